"""One DICOM file to one parsed header, within bounds: its bytes, their encoding, what stays in memory."""

from __future__ import annotations

import logging
import mmap
import warnings
import zlib
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from marrowscope.study import limits
from marrowscope.study.guard import ZIP_MAGIC, InputFile, RefusedInputError
from marrowscope.study.header import PARSE_ERRORS, PRIVATE_KEPT
from marrowscope.study.scan import KNOWN_VRS, PixelElement, scan

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IMPLICIT_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_LE: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BE: Final = "1.2.840.10008.1.2.2"
DEFLATED_LE: Final = "1.2.840.10008.1.2.1.99"

_PRIVATE_HELD: Final = PRIVATE_KEPT | {(group, 0x0010) for group, _ in PRIVATE_KEPT}
"""The private attributes that are looked up, and their creators' names."""

_LONGEST_KEPT: Final = 4096
"""Bytes of an attribute that stays in memory; nothing that is looked up is longer."""

_PREAMBLE: Final = 128
"""Bytes before the prefix DICM (PS3.10 7.1)."""

_MAP_FROM_BYTES: Final = 32 * limits.MIB
"""Larger files are mapped, not read."""


@dataclass(frozen=True, eq=False)
class DicomFile:
    """One parsed header.

    Attributes:
        file: where it came from.
        dataset: everything before the pixel data.
        transfer_syntax: UID of the encoding.
        pixels: where the pixel data lies in the (inflated) bytes, None when there is none.
        elements: data elements in the header, those of items included.
        kept_bytes: how much of the header stays in memory.
    """

    file: InputFile
    dataset: Dataset
    transfer_syntax: str
    pixels: PixelElement | None
    elements: int = 0
    kept_bytes: int = 0


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from printing values of a header, which may name a patient."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def looks_like_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes are a DICOM file's: the prefix, or a bare data set of group 0002 or 0008."""
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    return len(head) >= 12 and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] == b"\x00" and head[2] < 0x20


def is_dicom(file: InputFile) -> bool:
    """Whether a file's first bytes are DICOM's.

    Raises:
        RefusedInputError: it cannot be read, or is an archive or a file of arrays.
    """
    try:
        with file.path.open("rb") as stream:
            head = stream.read(_PREAMBLE + 4)
    except OSError as error:
        raise RefusedInputError("unreadable", f"a file that cannot be read ({error.strerror})") from error
    if head[:4] == ZIP_MAGIC and file.name.lower().endswith(".npz"):
        raise RefusedInputError("not_an_image", "arrays of NumPy (.npz)", "image files", "save them as NIfTI")
    if head[:4] == ZIP_MAGIC:
        raise RefusedInputError("nested_archive", "an archive inside the study", "image files", "unpack it first")
    return looks_like_dicom(head)


def file_bytes(file: InputFile) -> bytes | mmap.mmap:
    """The whole file: in memory when small, mapped when over :data:`_MAP_FROM_BYTES`.

    Raises:
        RefusedInputError: it cannot be read.
    """
    try:
        with file.path.open("rb") as stream:
            if file.size > _MAP_FROM_BYTES:
                return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            return stream.read(_MAP_FROM_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RefusedInputError("unreadable", f"a file that cannot be read ({type(error).__name__})") from error


@dataclass(frozen=True, eq=False)
class Encoded:
    """A data set's bytes, inflated where they were deflated, with how to read them."""

    data: bytes | mmap.mmap
    start: int
    implicit: bool
    big_endian: bool
    transfer_syntax: str


def encoded_again(dicom: DicomFile, data: bytes | mmap.mmap) -> Encoded:
    """The bytes of a file whose header was read before; only a deflated one is taken apart anew.

    Raises:
        RefusedInputError: as :func:`unwrap`.
    """
    syntax = dicom.transfer_syntax
    if syntax == DEFLATED_LE:
        return unwrap(data)
    return Encoded(data, 0, syntax == IMPLICIT_LE, syntax == EXPLICIT_BE, syntax)


def unwrap(data: bytes | mmap.mmap) -> Encoded:
    """Find the data set behind preamble and file meta information; inflate it within bounds.

    Raises:
        RefusedInputError: ``damaged_header``, ``inflates_too_much``, ``truncated``.
    """
    start = _PREAMBLE + 4 if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else 0
    syntax, start = _file_meta(data, start)
    if syntax == DEFLATED_LE:
        return Encoded(_inflate(data[start : start + limits.MAX_INFLATED_BYTES]), 0, False, False, syntax)
    if not syntax:
        implicit = data[start + 4 : start + 6].isalpha() is False
        return Encoded(data, start, implicit, False, IMPLICIT_LE if implicit else EXPLICIT_LE)
    return Encoded(data, start, _is_implicit(data, start, syntax), syntax == EXPLICIT_BE, syntax)


def _is_implicit(data: bytes | mmap.mmap, start: int, syntax: str) -> bool:
    """Whether the data set is implicit VR: as its first element shows, whatever a little-endian syntax declares."""
    if syntax == EXPLICIT_BE or len(data) < start + 8:
        return syntax == IMPLICIT_LE
    return bytes(data[start + 4 : start + 6]) not in KNOWN_VRS


def _file_meta(data: bytes | mmap.mmap, start: int) -> tuple[str, int]:
    """The transfer syntax UID ("" when there is no file meta) and where the data set starts."""
    from pydicom.filereader import read_dataset

    if data[start : start + 2] != b"\x02\x00":
        return "", start
    stream = BytesIO(data[start : start + limits.MIB])
    try:
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        syntax = str(meta.get("TransferSyntaxUID", "") or "").strip("\0 ")
    except PARSE_ERRORS as error:
        raise RefusedInputError("damaged_header", "file meta information that cannot be parsed") from error
    return syntax, start + stream.tell()


def _inflate(data: bytes) -> bytes:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = engine.decompress(data, limits.MAX_INFLATED_BYTES + 1)
    except zlib.error as error:
        raise RefusedInputError("truncated", "a deflated data set that cannot be inflated") from error
    if len(inflated) > limits.MAX_INFLATED_BYTES:
        raise RefusedInputError(
            "inflates_too_much",
            f"a deflated data set of {len(data)} bytes that inflates past {limits.MAX_INFLATED_BYTES}",
            "an image",
        )
    return inflated


def read_header(file: InputFile) -> DicomFile:
    """Parse everything before the pixel data, after a bounded structural scan.

    Raises:
        RefusedInputError: the header is damaged, truncated or over a bound of :mod:`limits`.
    """
    from pydicom.filereader import read_dataset

    encoded = unwrap(file_bytes(file))
    coding = {"implicit": encoded.implicit, "big_endian": encoded.big_endian}
    pixels, elements = scan(encoded.data, encoded.start, **coding)
    end = pixels.element_start if pixels else len(encoded.data)
    try:
        dataset = read_dataset(
            BytesIO(encoded.data[encoded.start : end]), encoded.implicit, not encoded.big_endian, stop_when=None
        )
    except PARSE_ERRORS as error:
        raise RefusedInputError(
            "damaged_header", f"a header that cannot be parsed ({type(error).__name__})", "DICOM PS3.5"
        ) from error
    _slim(dataset)
    return DicomFile(
        file, dataset, encoded.transfer_syntax, pixels, elements, _kept_bytes(dataset, end - encoded.start)
    )


def _kept_bytes(dataset: Dataset, header_bytes: int) -> int:
    """Bytes that stay in memory with a slimmed header: its raw values, or all of it where sequences were parsed."""
    held = [element.value for element in dataset.values()]  # as they lie there: iterating would parse every value
    values = sum(len(value) for value in held if isinstance(value, bytes))
    parsed = any(isinstance(value, MutableSequence) for value in held)
    return max(values, header_bytes if parsed else 0)


class HeaderBudget:
    """What the headers of one study may keep in memory together."""

    def __init__(self) -> None:
        self._bytes, self._elements = limits.MAX_STUDY_HEADER_BYTES, limits.MAX_STUDY_ELEMENTS

    def spend(self, dicom: DicomFile) -> DicomFile:
        """The same file, once its header is paid for; only multi-frame headers are charged by elements.

        Raises:
            RefusedInputError: ``study_headers_too_large``.
        """
        many = dicom.elements if "PerFrameFunctionalGroupsSequence" in dicom.dataset else 0
        if dicom.kept_bytes > self._bytes or many > self._elements:
            raise RefusedInputError(
                "study_headers_too_large", "more headers than one study may hold in memory",
                f"{limits.MAX_STUDY_HEADER_BYTES} bytes and {limits.MAX_STUDY_ELEMENTS} elements",
            )  # fmt: skip
        self._bytes -= dicom.kept_bytes
        self._elements -= many
        return dicom


def _slim(dataset: Dataset) -> None:
    """Drop what is never looked up (vendors' private blobs), so that ten thousand headers fit in memory."""
    for tag, raw in list(dataset.items()):
        length = getattr(raw, "length", 0) or 0
        private = tag.is_private and (tag.group, tag.element) not in _PRIVATE_HELD
        if private or (length > _LONGEST_KEPT and raw.VR != "SQ"):
            del dataset[tag]
