"""Pixel data without what may ride along: bytes after the last pixel, comments inside codestreams."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import PARSE_ERRORS, Header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_JPEG: Final = b"\xff\xd8"
_J2K: Final = b"\xff\x4f\xff\x51"
_JPEG_SCAN: Final = 0xDA
_JPEG_COMMENTS: Final = frozenset((0xFE, *range(0xE1, 0xE8), *range(0xE9, 0xEE), 0xEF))
"""COM and application segments, but JFIF (E0), SPIFF (E8) and Adobe's colour transform (EE)."""

_J2K_COMMENT, _J2K_TILE = 0x64, 0x90
_BITS_A_BYTE: Final = 8


def clean_pixels(dataset: Dataset, *, encapsulated: bool) -> bytes | None:
    """The pixel data to write, or None when there is nothing to change.

    Raises:
        RefusedInputError: ``embedded_overlay``: drawings in the unused bits of pixels may be text.
            ``pixels_damaged``: the encapsulated frames cannot be followed.
    """
    _refuse_embedded_overlays(dataset)
    if "PixelData" not in dataset:
        return None
    if not encapsulated:
        size = _native_bytes(Header(dataset))
        data = bytes(dataset.PixelData)
        return data[: size + size % 2] if len(data) > size + size % 2 else None
    from pydicom.encaps import encapsulate, generate_frames

    count = Header(dataset).integer("NumberOfFrames") or 1
    try:
        frames = [without_comments(frame) for frame in generate_frames(dataset.PixelData, number_of_frames=count)]
    except (*PARSE_ERRORS, StopIteration, RuntimeError) as error:
        raise RefusedInputError("pixels_damaged", "encapsulated pixel data that cannot be parsed") from error
    return bytes(encapsulate(frames))


def _refuse_embedded_overlays(dataset: Dataset) -> None:
    header = Header(dataset)
    for group in range(0x6000, 0x6020, 2):
        if (header.integer((group, 0x0102)) or 0) != 0 or (header.integer((group, 0x0100)) or 1) != 1:
            raise RefusedInputError(
                "embedded_overlay", "an overlay kept in unused bits of the pixels, which may be text",
                "overlays in attributes of their own, which are removed",
            )  # fmt: skip


def _native_bytes(header: Header) -> int:
    numbers = [header.integer(key) for key in ("Rows", "Columns", "BitsAllocated")]
    samples, frames = header.integer("SamplesPerPixel") or 1, header.integer("NumberOfFrames") or 1
    rows, columns, bits = (number or 0 for number in numbers)
    return -(-rows * columns * samples * frames * bits // _BITS_A_BYTE)


def without_comments(frame: bytes) -> bytes:
    """A JPEG, JPEG-LS or JPEG 2000 codestream without its comment and application segments."""
    if frame[:4] == _J2K:
        return _filtered(frame, frozenset((_J2K_COMMENT,)), _J2K_TILE)
    return _filtered(frame, _JPEG_COMMENTS, _JPEG_SCAN) if frame[:2] == _JPEG else frame


def _filtered(frame: bytes, drop: frozenset[int], stop: int) -> bytes:
    kept, at = [frame[:2]], 2
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != stop:
        if frame[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        end = at + 2 + struct.unpack_from(">H", frame, at + 2)[0]
        if frame[at + 1] not in drop:
            kept.append(frame[at:end])
        at = end
    return b"".join((*kept, frame[at:]))
