"""Splitting a series into stacks: what differs in kind, direction, echo, diffusion or time is not one volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from marrowscope.study.frames import Frame
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.stack import MIN_SLICES, SAME_POSITION_MM, normal_of, offsets_of
from marrowscope.study.types import Reason

ORIENTATION_TOLERANCE: Final = 1e-3
"""Frames whose cosines differ by less lie in parallel planes (0.06 degrees)."""

SLAB_GAP: Final = 3.0
"""A gap this many spacings wide parts two slabs (both knees in one series)."""

ECHOES_APART_MS: Final = 0.1
"""Two echoes lie at least 0.5 ms apart (water and fat at 3 T: 1.15 ms)."""

_KIND_NOISE: Final = frozenset(("ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY"))


@dataclass(frozen=True, eq=False)
class Part:
    """Frames that may form one volume, with why they were set apart from the rest of their series."""

    frames: tuple[Frame, ...]
    reasons: tuple[Reason, ...] = ()


_Key = Callable[[Frame], Hashable]

_HARD_KEYS: Final[tuple[tuple[str, str, _Key], ...]] = (
    ("split_by_matrix", "matrix or pixel spacing", lambda f: (f.rows, f.columns, *(round(s, 4) for s in f.spacing))),
    ("split_by_image_type", "image type", lambda f: tuple(w for w in f.kind if w not in _KIND_NOISE)),
    ("split_by_b_value", "b-value", lambda f: None if f.b_value is None else round(f.b_value)),
    ("split_by_tube_voltage", "tube voltage", lambda f: f.kvp),
)
"""Attributes that never vary inside one volume."""

_SOFT_KEYS: Final[tuple[tuple[str, str, _Key], ...]] = (
    ("split_by_stack", "stack", lambda f: f.stack_id),
    ("split_by_time", "temporal position", lambda f: f.temporal_position),
    ("split_by_inversion_time", "inversion time", lambda f: f.inversion_time_ms),
    ("split_by_acquisition", "acquisition number", lambda f: f.acquisition_number),
)
"""Attributes that part frames only where their places conflict (an interleaved series has two acquisitions)."""


SamePixels = Callable[[Frame, Frame], bool]
"""Whether two frames decode to the same image."""


def split(frames: Sequence[Frame], same: SamePixels) -> list[Part]:
    """Part the frames of one series into candidates for a volume.

    Args:
        frames: all frames of one series.
        same: asked only of frames that share a place and differ in nothing else.

    Raises:
        RefusedInputError: a frame's orientation is not usable.
    """
    parts = _by_orientation(Part(tuple(frames)))
    for code, words, key in _HARD_KEYS:
        parts = [piece for part in parts for piece in _by(part, code, words, key)]
    parts = [piece for part in parts for piece in _by_echo_time(part)]
    parts = [piece for part in parts for piece in _by_full_stacks(part)]
    for code, words, key in _SOFT_KEYS:
        parts = [piece for part in parts for piece in (_by(part, code, words, key) if _conflicts(part) else [part])]
    parts = [piece for part in parts for piece in (_by_repeat(part, same) if _conflicts(part) else [part])]
    return [piece for part in parts for piece in _by_slab(part)]


def _by(part: Part, code: str, words: str, key: _Key) -> list[Part]:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in part.frames:
        groups[key(frame)].append(frame)
    return _parts(part, groups.values(), code, words)


def _by_echo_time(part: Part) -> list[Part]:
    """Split by echo; times that only scatter (an effective echo time is computed slice by slice) are one."""
    times = sorted({f.echo_time_ms for f in part.frames if f.echo_time_ms is not None})
    steps = (b - a > ECHOES_APART_MS for a, b in pairwise(times))
    echoes: dict[float | None, int] = dict(zip(times, accumulate(steps, initial=0), strict=False))  # none: no times
    return _by(part, "split_by_echo_time", "echo time", lambda f: echoes.get(f.echo_time_ms))


def _by_full_stacks(part: Part) -> list[Part]:
    """Split by the stacks an enhanced object names, where each could be a volume: they may lie between one another."""
    code, words, key = _SOFT_KEYS[0]
    pieces = _by(part, code, words, key)
    return pieces if min(len(piece.frames) for piece in pieces) >= MIN_SLICES else [part]


def _parts(part: Part, groups: Iterable[Sequence[Frame]], code: str, words: str) -> list[Part]:
    pieces = [tuple(group) for group in groups]
    if len(pieces) == 1:
        return [part]
    reason = Reason(code, f"series split in {len(pieces)} by {words}")
    return [Part(piece, (*part.reasons, reason)) for piece in pieces]


def _by_orientation(part: Part) -> list[Part]:
    directions = np.array([frame.orientation for frame in part.frames])
    groups: list[list[Frame]] = []
    left = np.arange(len(directions))
    while len(left):
        normal_of(part.frames[left[0]])  # refuses what is no pair of directions
        near = np.abs(directions[left] - directions[left[0]]).max(axis=1) < ORIENTATION_TOLERANCE
        groups.append([part.frames[i] for i in left[near]])
        left = left[~near]
    return _parts(part, groups, "split_by_orientation", "orientation")


def _places(frames: Sequence[Frame]) -> np.ndarray:
    """The place of each frame along the normal, as integers: equal for frames at one place."""
    offsets = offsets_of(frames, normal_of(frames[0]))
    order = np.argsort(offsets, kind="stable")
    steps = np.diff(offsets[order], prepend=offsets[order][0]) > SAME_POSITION_MM
    places = np.empty(len(offsets), dtype=np.int64)
    places[order] = np.cumsum(steps)
    return places


def _conflicts(part: Part) -> bool:
    places = _places(part.frames)
    return len(np.unique(places)) < len(places)


def _by_repeat(part: Part, same: SamePixels) -> list[Part]:
    """Copies dropped; then every place held by the same number of frames: repeats in instance order. Else refused."""
    part = _without_copies(part, same)
    places = _places(part.frames)
    counts = np.unique(places, return_counts=True)[1]
    if counts.max() == 1:
        return [part]
    if len(set(counts.tolist())) != 1 or len(counts) < MIN_SLICES:
        raise RefusedInputError(
            "same_position", f"{int((counts > 1).sum())} place(s) with several slices and no attribute to tell which",
            "one slice a place",
        )  # fmt: skip
    order = sorted(range(len(places)), key=lambda i: (part.frames[i].instance_number or 0, i))
    groups: dict[int, list[Frame]] = defaultdict(list)
    seen: dict[int, int] = defaultdict(int)
    for i in order:
        groups[seen[int(places[i])]].append(part.frames[i])
        seen[int(places[i])] += 1
    return _parts(part, groups.values(), "split_by_repeat", "repeat at the same places, in instance order")


def _without_copies(part: Part, same: SamePixels) -> Part:
    """The part without frames that show the same pixels at the same place as one before them."""
    kept: dict[int, list[Frame]] = defaultdict(list)
    for place, frame in zip(_places(part.frames).tolist(), part.frames, strict=True):
        if not any(same(frame, other) for other in kept[place]):
            kept[place].append(frame)
    frames = tuple(frame for group in kept.values() for frame in group)
    dropped = len(part.frames) - len(frames)
    if not dropped:
        return part
    reason = Reason("duplicates_dropped", f"{dropped} copy(ies) of a slice dropped: same place, same pixels")
    return Part(frames, (*part.reasons, reason))


def _by_slab(part: Part) -> list[Part]:
    frames = part.frames
    if len(frames) < 2 * MIN_SLICES:
        return [part]
    offsets = offsets_of(frames, normal_of(frames[0]))
    order = np.argsort(offsets, kind="stable")
    steps = np.diff(offsets[order])
    wide = np.flatnonzero(steps > SLAB_GAP * max(float(np.median(steps)), SAME_POSITION_MM))
    if not len(wide) or not _complete(frames):
        return [part]
    cuts = wide + 1
    pieces = [tuple(frames[i] for i in piece) for piece in np.split(order, cuts)]
    if min(len(piece) for piece in pieces) < MIN_SLICES:
        return [part]
    return _parts(part, pieces, "split_by_slab", "wide gap between slabs")


def _complete(frames: Sequence[Frame]) -> bool:
    """Whether instance numbers run without a hole: then a wide gap parts slabs, and no slice was lost."""
    numbers = {f.instance_number for f in frames if f.instance_number is not None}
    return len(numbers) == len(frames) and max(numbers) - min(numbers) == len(numbers) - 1
