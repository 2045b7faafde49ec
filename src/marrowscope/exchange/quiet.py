"""No warnings while DICOM objects are handled: libraries print the values they warn about, which may be names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings inside the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
