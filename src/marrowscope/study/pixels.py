"""Decoding frames within bounds: what a header declares is checked against what is there before memory is taken."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

from marrowscope.study import limits
from marrowscope.study.codec import Patience
from marrowscope.study.codestream import check_codestream, decode_rle
from marrowscope.study.dicom_file import Encoded, encoded_again, file_bytes
from marrowscope.study.encapsulated import Span, frame_spans, joined
from marrowscope.study.frames import Frame
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import Header
from marrowscope.study.stack import Stack
from marrowscope.volume import AnyArray

RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
_FLOAT_TYPES: Final = {0x7FE00008: "f4", 0x7FE00009: "f8"}


class PixelReader:
    """Decodes frames one at a time, holding the bytes of one file.

    ``hashes`` collects the sha256 of every file whose pixels were read, by file name.
    """

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self._codecs = Patience()
        self._name = ""
        self._encoded: Encoded | None = None
        self._spans: list[list[Span]] | None = None

    def _open(self, frame: Frame) -> Encoded:
        file = frame.source.file
        if self._encoded is None or self._name != file.name:
            data = file_bytes(file)
            self.hashes.setdefault(file.name, hashlib.sha256(data).hexdigest())
            self._name, self._encoded, self._spans = file.name, encoded_again(frame.source, data), None
        return self._encoded

    def read(self, frame: Frame) -> AnyArray:
        """Stored values of one frame, shape (rows, columns).

        Raises:
            RefusedInputError: ``pixels_truncated``, ``pixel_format``, ``pixels_conflict`` or ``pixels_damaged``.
        """
        encoded = self._open(frame)
        element = frame.source.pixels
        if element is None:
            raise RefusedInputError("no_pixels", "a frame without pixel data", "images")
        dtype = _stored_type(frame)
        if element.length is None:
            values = self._read_encapsulated(frame, encoded, element.value_start, dtype)
        else:
            values = _read_native(frame, encoded, element.value_start, element.length, dtype)
        return _sign_extend(values, frame)

    def same(self, one: Frame, other: Frame) -> bool:
        """Whether two frames show the same pixels; frames that cannot be decoded are not the same."""
        scaled = [(f.rows, f.columns, f.slope, f.intercept) for f in (one, other)]
        if scaled[0] != scaled[1]:
            return False
        try:
            return bool(np.array_equal(self._read_bounded(one), self._read_bounded(other)))
        except RefusedInputError:
            return False

    def fault(self, frame: Frame) -> RefusedInputError | None:
        """Why a frame cannot be decoded; None where it can."""
        try:
            self._read_bounded(frame)
        except RefusedInputError as error:
            return error
        return None

    def _read_bounded(self, frame: Frame) -> AnyArray:
        check_size((frame,))
        check_ratio((frame,))
        return self.read(frame)

    def _read_encapsulated(self, frame: Frame, encoded: Encoded, start: int, dtype: np.dtype[Any]) -> AnyArray:
        if self._spans is None:
            self._spans = frame_spans(encoded.data, start, frame.of or 1)
        if frame.index >= len(self._spans):
            raise RefusedInputError(
                "pixels_truncated", f"{len(self._spans)} encoded frames of {frame.of or 1} declared", "every frame"
            )
        spans = self._spans[frame.index]
        size, most = sum(b - a for a, b in spans), _most_encoded(frame, dtype)
        if size > most:
            raise RefusedInputError("pixels_conflict", f"{size} encoded bytes for one frame", f"{most} at most")
        return _decode(joined(encoded.data, spans), frame, encoded.transfer_syntax, dtype, self._codecs)


def _most_encoded(frame: Frame, dtype: np.dtype[Any]) -> int:
    """Bytes an encoded frame may have: twice the plain ones, for noise can grow a little."""
    return 2 * frame.rows * frame.columns * dtype.itemsize + limits.MIB


def read_stack(stack: Stack, reader: PixelReader) -> AnyArray:
    """The voxels of a stack, indexed (column, row, slice).

    Stored integers where every rescale is the identity, else float32 values after slope and intercept.

    Raises:
        RefusedInputError: over a bound, or a frame that cannot be decoded.
    """
    first = stack.frames[0]
    check_size(stack.frames)
    check_ratio(stack.frames)
    identity = all(f.slope == 1.0 and f.intercept == 0.0 for f in stack.frames)
    slices = None
    for k, frame in enumerate(stack.frames):
        values = reader.read(frame)
        if slices is None:
            dtype = values.dtype.newbyteorder("=") if identity else np.dtype(np.float32)
            slices = np.empty((len(stack.frames), first.rows, first.columns), dtype=dtype)
        if identity and values.dtype.newbyteorder("=") != slices.dtype:
            raise RefusedInputError("pixels_conflict", "slices stored in different types", "one type a series")
        slices[k] = values if identity else values * frame.slope + frame.intercept
    assert slices is not None
    return slices.transpose(2, 1, 0)


def volume_bytes(frames: tuple[Frame, ...]) -> int:
    """Upper bound of a stack's decoded size in bytes."""
    return frames[0].rows * frames[0].columns * len(frames) * 4


def check_size(frames: tuple[Frame, ...]) -> None:
    """Refuse sizes over the bounds before anything is allocated.

    Raises:
        RefusedInputError: ``image_too_large``.
    """
    rows, columns = frames[0].rows, frames[0].columns
    if not (0 < rows <= limits.MAX_ROWS and 0 < columns <= limits.MAX_ROWS):
        raise RefusedInputError("image_too_large", f"{rows}x{columns} pixels", f"1 to {limits.MAX_ROWS} a side")
    if rows * columns > limits.MAX_FRAME_PIXELS or volume_bytes(frames) > 2 * limits.MAX_VOLUME_BYTES:
        raise RefusedInputError(
            "image_too_large", f"{len(frames)} slices of {rows}x{columns}", f"{limits.MAX_VOLUME_BYTES} bytes at most"
        )


def check_ratio(frames: tuple[Frame, ...]) -> None:
    """Refuse a large volume that comes out of files far smaller than itself, before it is decoded.

    Raises:
        RefusedInputError: ``inflates_too_much``.
    """
    files = {frame.source.file.name: frame.source.file.size for frame in frames}
    size = volume_bytes(frames)
    if size > limits.PIXEL_RATIO_FLOOR_BYTES and size > limits.MAX_PIXEL_RATIO * sum(files.values()):
        raise RefusedInputError(
            "inflates_too_much",
            f"{sum(files.values())} bytes of files that decode to a volume of {size}",
            "medical images, which shrink 2 to 6 times",
        )


def _stored_type(frame: Frame) -> np.dtype[Any]:
    header = Header(frame.source.dataset)
    tag = frame.source.pixels.tag if frame.source.pixels else 0
    if tag in _FLOAT_TYPES:
        return np.dtype(_FLOAT_TYPES[tag])
    allocated = header.integer("BitsAllocated") or 0
    if allocated not in (8, 16, 32):
        raise RefusedInputError("pixel_format", f"{allocated} bits a pixel", "8, 16 or 32")
    return np.dtype(f"{'i' if header.integer('PixelRepresentation') == 1 else 'u'}{allocated // 8}")


def _read_native(frame: Frame, encoded: Encoded, start: int, length: int, dtype: np.dtype[Any]) -> AnyArray:
    size = frame.rows * frame.columns * dtype.itemsize
    begin = start + frame.index * size
    if begin + size > min(start + length, len(encoded.data)):
        raise RefusedInputError(
            "pixels_truncated", f"pixel data shorter than {frame.of or 1} frame(s) of {frame.rows}x{frame.columns}",
            "every pixel", "copy the file again from its source",
        )  # fmt: skip
    order = dtype.newbyteorder(">" if encoded.big_endian else "<")
    return np.frombuffer(encoded.data[begin : begin + size], dtype=order).reshape(frame.rows, frame.columns)


def _decode(fragment: bytes, frame: Frame, syntax: str, dtype: np.dtype[Any], codecs: Patience) -> AnyArray:
    if syntax == RLE_LOSSLESS:
        return decode_rle(fragment, frame.rows, frame.columns, dtype)
    check_codestream(fragment, frame.rows, frame.columns)
    header = Header(frame.source.dataset)
    job: dict[str, Any] = {
        "syntax": syntax,
        "rows": frame.rows,
        "columns": frame.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_representation": int(dtype.kind == "i"),
        "bits_allocated": dtype.itemsize * 8,
        "bits_stored": header.integer("BitsStored") or dtype.itemsize * 8,
        "pixel_keyword": "PixelData",
    }
    decoded = codecs.decode(fragment, job)
    size = frame.rows * frame.columns
    if len(decoded) % size or len(decoded) // size not in (1, 2, 4):
        raise RefusedInputError("pixels_conflict", f"{len(decoded)} decoded bytes", f"{frame.rows}x{frame.columns}")
    stored = np.dtype(f"<{dtype.kind}{len(decoded) // size}")
    return np.frombuffer(decoded, dtype=stored).reshape(frame.rows, frame.columns)


def _sign_extend(values: AnyArray, frame: Frame) -> AnyArray:
    """Clear (or sign-extend over) the bits above BitsStored: old scanners kept overlays there."""
    if values.dtype.kind not in "iu":
        return values
    spare = values.dtype.itemsize * 8 - (Header(frame.source.dataset).integer("BitsStored") or values.itemsize * 8)
    if not 0 < spare < values.dtype.itemsize * 8:
        return values
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return np.asarray(np.right_shift(np.left_shift(native, spare), spare))
