"""Frozen dataclasses with arrays to a folder and back, without pickle: JSON for the tree, one .npy an array.

Only the classes reachable from the given root type can come back, so a file cannot name anything else. Arrays are
memory-mapped when read: a big study opens in milliseconds and only what is touched is loaded.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import shutil
import tempfile
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from marrowscope.errors import ResultsError

TREE = "tree.json"
VERSION = 1


def save(value: Any, folder: Path) -> None:
    """Write ``value`` whole or not at all; a folder already there is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        writer = _Writer(aside)
        tree = {"version": VERSION, "root": writer.encode(value)}
        (aside / TREE).write_text(json.dumps(tree), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load(root: type, folder: Path) -> Any:
    """Inverse of :func:`save` for a ``root`` dataclass.

    Raises:
        ResultsError: absent, or of another version.
    """
    path = folder / TREE
    if not path.is_file():
        raise ResultsError("no stored detection", "a study that was assessed here", "assess the study again")
    tree = json.loads(path.read_text(encoding="utf-8"))
    if tree["version"] != VERSION:
        raise ResultsError(f"a stored detection of version {tree['version']}", f"version {VERSION}", "assess it again")
    return _Reader(folder, _classes(root)).decode(tree["root"])


class _Writer:
    """Encodes a tree; the same array is written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: dict[int, tuple[str, Any]] = {}

    def encode(self, value: Any) -> Any:  # noqa: PLR0911 - one line a kind of value
        if isinstance(value, Enum):
            return {"$enum": type(value).__name__, "value": value.value}
        if value is None or isinstance(value, bool | int | float | str):
            return _number(value)
        if isinstance(value, np.generic):
            return _number(value.item())
        if isinstance(value, np.ndarray):
            return {"$array": self._array(value)}
        if isinstance(value, tuple | list):
            return {"$tuple": [self.encode(v) for v in value]}
        if isinstance(value, Mapping):
            return {"$map": [[self.encode(k), self.encode(v)] for k, v in value.items()]}
        if isinstance(value, Path):
            return {"$path": str(value)}
        if dataclasses.is_dataclass(value):
            fields = {f.name: self.encode(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
            return {"$class": type(value).__name__, "fields": fields}
        return _encode_foreign(value)

    def _array(self, array: np.ndarray[Any, Any]) -> str:
        known = self._arrays.get(id(array))
        if known is None:
            known = (f"{len(self._arrays):04d}.npy", array)  # the array is kept, so its id stays taken
            np.save(self._folder / known[0], array, allow_pickle=False)
            self._arrays[id(array)] = known
        return known[0]


class _Reader:
    """Decodes a tree with the classes of one root type."""

    def __init__(self, folder: Path, classes: Mapping[str, type]) -> None:
        self._folder = folder
        self._classes = classes
        self._arrays: dict[str, Any] = {}

    def decode(self, data: Any) -> Any:  # noqa: PLR0911 - one line a kind of value
        if not isinstance(data, dict):
            return data
        if "$array" in data:
            return self._array(data["$array"])
        if "$tuple" in data:
            return tuple(self.decode(v) for v in data["$tuple"])
        if "$map" in data:
            return {self.decode(k): self.decode(v) for k, v in data["$map"]}
        if "$path" in data:
            return Path(data["$path"])
        if "$number" in data:
            return float(data["$number"])
        if "$enum" in data:
            return self._classes[data["$enum"]](data["value"])
        if "$class" in data:
            fields = {name: self.decode(v) for name, v in data["fields"].items()}
            return self._classes[data["$class"]](**fields)
        return _decode_foreign(data)

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            mapped = np.load(self._folder / name, mmap_mode="r", allow_pickle=False)
            self._arrays[name] = np.asarray(mapped)
        return self._arrays[name]


def _number(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return {"$number": str(value)}
    return value


def _encode_foreign(value: Any) -> Any:
    """The two library objects a study holds: its DICOM header and a NIfTI header."""
    import nibabel
    from pydicom.dataset import Dataset

    if isinstance(value, Dataset):
        return {"$dicom": base64.b64encode(_dicom_bytes(value)).decode("ascii")}
    if isinstance(value, nibabel.Nifti1Header):
        kind = type(value).__name__
        return {"$nifti": kind, "bytes": base64.b64encode(value.binaryblock).decode("ascii")}
    raise TypeError(f"no way to store a {type(value).__name__}")


def _dicom_bytes(dataset: Any) -> bytes:
    from pydicom.filewriter import dcmwrite

    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def _decode_foreign(data: dict[str, Any]) -> Any:
    if "$dicom" in data:
        from pydicom import dcmread

        return dcmread(io.BytesIO(base64.b64decode(data["$dicom"])), force=True)
    import nibabel

    headers: dict[str, Any] = {"Nifti1Header": nibabel.Nifti1Header, "Nifti2Header": nibabel.Nifti2Header}
    header = headers.get(data["$nifti"], nibabel.Nifti1Header)
    return header(base64.b64decode(data["bytes"]), check=False)


@cache
def _classes(root: type) -> Mapping[str, type]:
    """Every dataclass and enum reachable through the annotations of ``root``, by name."""
    found: dict[str, type] = {}
    waiting: list[Any] = [root]
    while waiting:
        hint = waiting.pop()
        waiting.extend(typing.get_args(hint))
        if typing.get_origin(hint) is not None or not isinstance(hint, type):
            continue
        if issubclass(hint, Enum):
            found[hint.__name__] = hint
        elif dataclasses.is_dataclass(hint) and hint.__name__ not in found:
            found[hint.__name__] = hint
            waiting.extend(_hints(hint).values())
    return found


def _hints(cls: type) -> dict[str, Any]:
    """Type hints of a class, with names that its module imports for type checking only."""
    from pydicom.dataset import Dataset

    return typing.get_type_hints(cls, localns={"Dataset": Dataset})
