"""Values of a DICOM header, looked up without trusting any of them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydicom.errors import BytesLengthException, InvalidDicomError

from marrowscope.study import limits

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    EOFError,
    OSError,
    RecursionError,
    struct.error,
    BytesLengthException,
    InvalidDicomError,
)
"""What pydicom raises, at parse or at access, on values that break their VR."""

Key = str | int | tuple[int, int]
"""A keyword, or a (group, element) for private attributes."""

PRIVATE_KEPT: Final = frozenset(
    ((0x0019, 0x100C), (0x2001, 0x1003), (0x0065, 0x1009), (0x0043, 0x1039), (0x0043, 0x102F), (0x2001, 0x1021))
)
"""Private attributes looked up: b-values (Siemens, Philips, United Imaging, GE), complex component (GE), SPIR."""

_TEXT_LIKE: Final[Mapping[str, type]] = {"DS": float, "IS": int, "CS": str, "UI": str}
"""VRs whose values are plain ASCII (PS3.5 table 6.2-1), and what each becomes."""


@lru_cache(maxsize=1024)
def tag_of(key: Key) -> BaseTag:
    """The tag of a keyword or pair, looked up once: ten thousand headers ask the same forty questions."""
    from pydicom.tag import Tag

    return Tag(key)


class Header:
    """Values looked up through a chain of data sets: a frame's functional groups, then the instance.

    Every getter returns None (or an empty tuple or text) for a value that is absent, empty or breaks its VR.
    """

    def __init__(self, *datasets: Dataset) -> None:
        self._chain = datasets

    def value(self, key: Key) -> Any:
        """The first non-empty value of a keyword or (group, element), None when there is none."""
        tag = tag_of(key)
        for dataset in self._chain:
            if tag not in dataset:
                continue
            try:
                value = _simple(dataset.get_item(tag))
                if value is None:
                    value = dataset[tag].value
            except PARSE_ERRORS:
                continue
            if value is not None and not (isinstance(value, (str, bytes, Sequence)) and len(value) == 0):
                return value
        return None

    def __contains__(self, key: Key) -> bool:
        tag = tag_of(key)
        return any(tag in dataset for dataset in self._chain)

    def items(self, keyword: Key) -> tuple[Dataset, ...]:
        """The items of a sequence."""
        from pydicom.sequence import Sequence as DicomSequence

        value = self.value(keyword)
        return tuple(value) if isinstance(value, DicomSequence) else ()

    def words(self, key: Key) -> tuple[str, ...]:
        """The values of a (multi-valued) text attribute, upper case, stripped."""
        value = self.value(key)
        if value is None:
            return ()
        many = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]
        return tuple(w for w in (_text(v).upper() for v in many) if w)

    def text(self, key: Key) -> str:
        """One text value, bounded and printable; several are joined with a backslash."""
        value = self.value(key)
        if value is None:
            return ""
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return "\\".join(_text(v) for v in value)[: limits.MAX_TEXT]
        return _text(value)

    def numbers(self, key: Key) -> tuple[float, ...]:
        """The finite numbers of an attribute; empty when any of them is not one."""
        value = self.value(key)
        if value is None:
            return ()
        many = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]
        try:
            numbers = tuple(float(v) for v in many)
        except (ValueError, TypeError, OverflowError):
            return ()
        return numbers if all(math.isfinite(n) for n in numbers) else ()

    def number(self, key: Key) -> float | None:
        """The first number of an attribute."""
        return next(iter(self.numbers(key)), None)

    def integer(self, key: Key) -> int | None:
        """The first number of an attribute, as an integer."""
        number = self.number(key)
        return None if number is None else int(number)


def _simple(element: Any) -> Any:
    """The value of a short element still in bytes, of the commonest VRs; None leaves it to pydicom (slower)."""
    raw = element.value
    if not isinstance(raw, bytes) or not raw:
        return None
    if element.VR == "US":
        numbers = struct.unpack(f"{'<' if element.is_little_endian else '>'}{len(raw) // 2}H", raw)
        return numbers[0] if len(numbers) == 1 else numbers
    if element.VR not in _TEXT_LIKE:
        return None
    parts = raw.decode("latin-1").rstrip(" \0").split("\\")
    try:
        values = [_TEXT_LIKE[element.VR](part) for part in parts]
    except ValueError:
        return None
    return values[0] if len(values) == 1 else values


def _text(value: object) -> str:
    raw = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    bounded = raw[: 4 * limits.MAX_TEXT]
    clean = bounded if bounded.isprintable() else "".join(c if c.isprintable() else " " for c in bounded)
    return clean.strip()[: limits.MAX_TEXT]
