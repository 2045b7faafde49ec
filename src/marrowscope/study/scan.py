"""A bounded walk over a DICOM data set's structure, before any library parses it.

PS3.5 chapter 7, iterative: nesting costs a list entry, never a stack frame. It finds where the pixel data
starts and refuses what would hang or swell a parser: deep nesting, endless items, lengths past the end.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import Final

from marrowscope.study import limits
from marrowscope.study.guard import RefusedInputError

_LONG_VRS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_SHORT_VRS: Final = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
KNOWN_VRS: Final = _LONG_VRS | frozenset(_SHORT_VRS.encode().split())


@dataclass(frozen=True)
class PixelElement:
    """Where the pixel data lies in the scanned bytes.

    Attributes:
        tag: 7FE00010 (integer), 7FE00008 (float) or 7FE00009 (double).
        element_start: offset of the element's tag.
        value_start: offset of its first byte.
        length: bytes of the value, None when encapsulated (undefined length).
    """

    tag: int
    element_start: int
    value_start: int
    length: int | None


@dataclass(frozen=True)
class _Coding:
    """How lengths and tags are written."""

    implicit: bool
    pair: struct.Struct
    short: struct.Struct
    long: struct.Struct

    @classmethod
    def of(cls, implicit: bool, big_endian: bool) -> _Coding:
        order = ">" if big_endian else "<"
        return cls(implicit, struct.Struct(order + "HH"), struct.Struct(order + "H"), struct.Struct(order + "I"))


@dataclass
class _Walk:
    """Where the scan stands: open sequences and items, each with its end offset (None = delimited), and how each codes.

    ``codings`` has one entry more: the data set's own, at the bottom.
    """

    position: int
    open_ends: list[int | None]
    codings: list[_Coding]
    elements: int = 0
    items: int = 0

    def close(self) -> None:
        """Leave the innermost sequence or item, if any is open."""
        if self.open_ends:
            self.open_ends.pop()
            self.codings.pop()


def scan(data: bytes | mmap.mmap, start: int, *, implicit: bool, big_endian: bool) -> tuple[PixelElement | None, int]:
    """Walk a data set from ``start``: where its pixel data lies (None when it has none), and how many elements it has.

    Raises:
        RefusedInputError: ``nested_too_deep``, ``too_many_elements``, ``header_too_large`` or ``truncated``.
    """
    walk = _Walk(start, [], [_Coding.of(implicit, big_endian)])
    end = len(data)
    while walk.position + 8 <= end:
        _close_finished(walk)
        element_start, coding = walk.position, walk.codings[-1]
        group, element = coding.pair.unpack_from(data, element_start)
        tag = group << 16 | element
        if tag in _PIXEL_TAGS and not walk.open_ends:
            _within_header(walk, start)
            return _pixels(data, tag, element_start, coding), walk.elements
        value_start, length, is_sequence = _element(data, tag, element_start, coding)
        _count(walk, tag, start)
        if tag in (_ITEM_END, _SEQUENCE_END):
            walk.position = value_start
            walk.close()
        elif tag == _ITEM or is_sequence:
            walk.position = value_start
            walk.codings.append(_inside(data, element_start, coding))
            _open(walk, value_start, length, end)
        else:
            _skip(walk, value_start, length, end)
    _within_header(walk, start)
    return None, walk.elements


def _inside(data: bytes | mmap.mmap, at: int, coding: _Coding) -> _Coding:
    """The coding inside a sequence or item: a UN of undefined length holds implicit little endian (PS3.5 6.2.2)."""
    if not coding.implicit and data[at + 4 : at + 6] == b"UN" and data[at : at + 2] != b"\xfe\xff":
        return _Coding.of(True, False)
    return coding


def _element(data: bytes | mmap.mmap, tag: int, at: int, coding: _Coding) -> tuple[int, int, bool]:
    """Offset of the value, its length, and whether it holds items."""
    if coding.implicit or tag >> 16 == 0xFFFE:
        length = coding.long.unpack_from(data, at + 4)[0]
        return at + 8, length, tag != _ITEM and length == _UNDEFINED
    vr = bytes(data[at + 4 : at + 6])
    if vr not in KNOWN_VRS:
        raise RefusedInputError(
            "damaged_header", f"a data element ({tag >> 16:04X},{tag & 0xFFFF:04X}) without a valid VR", "DICOM PS3.5"
        )
    if vr not in _LONG_VRS:
        return at + 8, int(coding.short.unpack_from(data, at + 6)[0]), False
    if at + 12 > len(data):
        raise _truncated()
    length = coding.long.unpack_from(data, at + 8)[0]
    return at + 12, length, vr == b"SQ" or (vr == b"UN" and length == _UNDEFINED)


def _pixels(data: bytes | mmap.mmap, tag: int, at: int, coding: _Coding) -> PixelElement:
    value_start = at + (8 if coding.implicit else 12)
    if value_start > len(data):
        raise _truncated()
    length = coding.long.unpack_from(data, value_start - 4)[0]
    return PixelElement(tag, at, value_start, None if length == _UNDEFINED else length)


def _count(walk: _Walk, tag: int, start: int) -> None:
    walk.elements += 1
    walk.items += tag == _ITEM
    if walk.elements > limits.MAX_ELEMENTS or walk.items > limits.MAX_ITEMS:
        raise RefusedInputError(
            "too_many_elements",
            f"a header of more than {limits.MAX_ELEMENTS} elements or {limits.MAX_ITEMS} items",
            "an image header",
        )
    _within_header(walk, start)


def _within_header(walk: _Walk, start: int) -> None:
    if walk.position - start > limits.MAX_HEADER_BYTES:
        raise RefusedInputError(
            "header_too_large", f"a header of more than {limits.MAX_HEADER_BYTES} bytes", "an image header"
        )


def _open(walk: _Walk, value_start: int, length: int, end: int) -> None:
    if length != _UNDEFINED and value_start + length > end:
        raise _truncated()
    walk.open_ends.append(None if length == _UNDEFINED else value_start + length)
    if len(walk.open_ends) > 2 * limits.MAX_SEQUENCE_DEPTH:
        raise RefusedInputError(
            "nested_too_deep",
            f"sequences nested deeper than {limits.MAX_SEQUENCE_DEPTH}",
            "an image header, which nests about 4 deep",
        )


def _skip(walk: _Walk, value_start: int, length: int, end: int) -> None:
    if length == _UNDEFINED or value_start + length > end:
        raise _truncated()
    walk.position = value_start + length


def _close_finished(walk: _Walk) -> None:
    while walk.open_ends and walk.open_ends[-1] is not None and walk.position >= walk.open_ends[-1]:
        walk.close()


def _truncated() -> RefusedInputError:
    return RefusedInputError(
        "truncated", "a file that ends before its header does", "a whole file", "copy it again from its source"
    )
