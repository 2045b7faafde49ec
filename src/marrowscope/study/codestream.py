"""Looking inside an encoded frame before a codec does: a codestream may declare a size its header does not."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

from marrowscope.study.guard import RefusedInputError
from marrowscope.volume import AnyArray

_J2K_START: Final = b"\xff\x4f\xff\x51"
_JP2_START: Final = b"\x00\x00\x00\x0cjP"
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_LS_FRAME: Final = b"\xff\xf7"
_LS_HEAD: Final = 4096
"""Bytes in which a JPEG-LS stream's frame marker lies. Without its end marker CharLS runs on for seconds."""

_NO_LENGTH: Final = frozenset((0x01, 0xD8, *range(0xD0, 0xD8)))
_FRAME_MARKERS: Final = frozenset(
    (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7)
)
_RLE_HEADER: Final = 64


def check_codestream(data: bytes, rows: int, columns: int) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 stream whose own size is not the header's.

    Raises:
        RefusedInputError: ``pixels_conflict`` or ``pixels_damaged``.
    """
    is_ls = _JPEG_LS_FRAME in data[:_LS_HEAD] and data[:2] == _JPEG_START
    if is_ls and not data.rstrip(b"\0").endswith(_JPEG_END):
        raise RefusedInputError("pixels_truncated", "a JPEG-LS frame without its end", "every pixel")
    size = _j2k_size(data) if data[:4] == _J2K_START or data[:6] == _JP2_START else _jpeg_size(data)
    if size is None:
        raise RefusedInputError("pixels_damaged", "an encoded frame without a size of its own", "JPEG or JPEG 2000")
    if size != (rows, columns, 1):
        raise RefusedInputError(
            "pixels_conflict", f"an encoded frame of {size[0]}x{size[1]} with {size[2]} component(s)",
            f"{rows}x{columns} as its header says",
        )  # fmt: skip


def _j2k_size(data: bytes) -> tuple[int, int, int] | None:
    at = data.find(_J2K_START)
    if at < 0 or len(data) < at + 42:
        return None
    width, height, left, top = struct.unpack_from(">IIII", data, at + 8)
    return height - top, width - left, int(struct.unpack_from(">H", data, at + 40)[0])


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    if data[:2] != _JPEG_START:
        return None
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        elif marker in _FRAME_MARKERS:
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
            return height, width, components
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def decode_rle(data: bytes, rows: int, columns: int, dtype: np.dtype[Any]) -> AnyArray:
    """Decode an RLE Lossless frame (PS3.5 annex G), never writing past its declared size.

    Raises:
        RefusedInputError: ``pixels_damaged`` when the segments do not fill the frame.
    """
    if len(data) < _RLE_HEADER:
        raise RefusedInputError("pixels_damaged", "an RLE frame shorter than its header", "PS3.5 annex G")
    count, *offsets = struct.unpack_from("<16I", data)
    if count != dtype.itemsize:
        raise RefusedInputError("pixels_damaged", f"{count} RLE segments", f"{dtype.itemsize}, one a byte")
    ends = [*offsets[1:count], len(data)]
    planes = [_unpack_bits(data[a:b], rows * columns) for a, b in zip(offsets[:count], ends, strict=True)]
    stacked = np.stack(planes, axis=-1)
    return np.ascontiguousarray(stacked).view(dtype.newbyteorder(">"))[..., 0].reshape(rows, columns)


def _unpack_bits(segment: bytes, size: int) -> np.ndarray:
    out = bytearray()
    at = 0
    while len(out) < size and at + 1 < len(segment):
        control = segment[at]
        if control < 128:
            out += segment[at + 1 : at + 2 + control]
            at += 2 + control
        elif control > 128:
            out += segment[at + 1 : at + 2] * (257 - control)
            at += 2
        else:
            at += 1
    if len(out) < size:
        raise RefusedInputError("pixels_truncated", "an RLE segment shorter than its frame", "every pixel")
    return np.frombuffer(bytes(out[:size]), dtype=np.uint8)
