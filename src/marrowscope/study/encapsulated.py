"""Where each encoded frame lies in encapsulated pixel data (PS3.5 annex A.4), without copying any of it."""

from __future__ import annotations

import mmap
import struct
from itertools import pairwise
from typing import Final

from marrowscope.study import limits
from marrowscope.study.guard import RefusedInputError

_ITEM: Final = b"\xfe\xff\x00\xe0"
_END: Final = b"\xfe\xff\xdd\xe0"
_HEAD: Final = 8
_END_MARKER: Final = b"\xff\xd9"
_TAIL: Final = 10
"""Bytes at a fragment's end in which a codestream's end marker lies, padding included."""

Span = tuple[int, int]
"""Start and end of a fragment's bytes."""


def frame_spans(data: bytes | mmap.mmap, start: int, frames: int) -> list[list[Span]]:
    """The fragments of each frame, as spans of ``data``.

    Args:
        data: the file. start: offset of the first item, the basic offset table.
        frames: how many frames the header declares.

    Raises:
        RefusedInputError: ``pixels_damaged`` when the items cannot be followed.
    """
    items = _items(data, start)
    if not items:
        raise RefusedInputError("pixels_damaged", "encapsulated pixel data without items", "PS3.5 annex A.4")
    table, fragments = items[0], items[1:]
    if frames == 1:
        return [fragments]
    if len(fragments) == frames:
        return [[span] for span in fragments]
    offsets = _offsets(data, table)
    if len(offsets) == frames:
        return _by_offsets(fragments, offsets, table[1])
    return _by_end_marker(data, fragments)


def joined(data: bytes | mmap.mmap, spans: list[Span]) -> bytes:
    """The bytes of one frame."""
    return b"".join(data[a:b] for a, b in spans)


def _items(data: bytes | mmap.mmap, start: int) -> list[Span]:
    found: list[Span] = []
    at, end = start, len(data)
    while at + _HEAD <= end and data[at : at + 4] == _ITEM:
        length = struct.unpack_from("<I", data, at + 4)[0]
        if at + _HEAD + length > end or len(found) > limits.MAX_ITEMS:
            raise RefusedInputError(
                "pixels_damaged", "encapsulated pixel data that cannot be parsed", "whole fragments"
            )
        found.append((at + _HEAD, at + _HEAD + length))
        at += _HEAD + length
    if at + _HEAD <= end and data[at : at + 4] != _END:
        raise RefusedInputError("pixels_damaged", "encapsulated pixel data that cannot be parsed", "items")
    return found


def _offsets(data: bytes | mmap.mmap, table: Span) -> list[int]:
    count = (table[1] - table[0]) // 4
    return list(struct.unpack_from(f"<{count}I", data, table[0]))


def _by_offsets(fragments: list[Span], offsets: list[int], base: int) -> list[list[Span]]:
    bounds = [*(base + offset + _HEAD for offset in offsets), fragments[-1][1] + 1 if fragments else 0]
    return [[span for span in fragments if a <= span[0] < b] for a, b in pairwise(bounds)]


def _by_end_marker(data: bytes | mmap.mmap, fragments: list[Span]) -> list[list[Span]]:
    grouped: list[list[Span]] = [[]]
    for span in fragments:
        grouped[-1].append(span)
        if _END_MARKER in data[max(span[0], span[1] - _TAIL) : span[1]]:
            grouped.append([])
    return [group for group in grouped if group]
