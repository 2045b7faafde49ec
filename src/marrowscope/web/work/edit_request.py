"""What the viewer asks for (strokes and clicks on its own grid) as an :class:`Edit` on the fluid grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marrowscope.errors import UsageError
from marrowscope.lesion.edits import Edit, EditKind, mask_to_runs
from marrowscope.web.work.common import data_folder, objects_of
from marrowscope.web.work.viewer_files import MANIFEST, Orientation, mask_of

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects

GROW = "grow"
"""The viewer's own kind: a click that becomes ADD_VOXELS."""

GROW_RADIUS_MM = 40.0
"""A click never reaches further than this: one edema of a knee condyle is under 80 mm across."""

GROW_SHARE = 0.5
"""A click takes connected marrow down to this share of the clicked brightness over the reference (half maximum)."""


def edit_of(study_id: str, data: Mapping[str, Any], by: str, at: str) -> Edit:
    """The edit a request stands for.

    Raises:
        UsageError: an unknown kind, voxels outside the grid, a click on something that cannot grow.
    """
    kind = str(data.get("kind", ""))
    label = int(data.get("label") or 0)
    if kind == GROW:
        mask = grown(objects_of(study_id), _voxel(study_id, data["voxel"]))
        runs = mask_to_runs(mask)
        return Edit(EditKind.ADD_VOXELS, by, at, label, runs=runs, reason="grown from a click")
    if kind not in set(EditKind):
        raise UsageError(f"an edit of kind {kind!r}", f"one of {', '.join(EditKind)}, {GROW}")
    return Edit(
        EditKind(kind), by, at, label,
        others=tuple(int(n) for n in data.get("others", ())),
        runs=_native_runs(study_id, data.get("runs", ())),
        target=str(data.get("target") or ""),
        value=data.get("value"),
        reason=str(data.get("reason") or ""),
    )  # fmt: skip


def words_of(edit: Edit) -> str:
    """An edit in words, for the list of versions."""
    voxels = sum(length for _, length in edit.runs)
    what = edit.kind.value.replace("_", " ")
    about = f" of lesion {edit.label}" if edit.label else ""
    size = f", {voxels} voxels" if voxels else ""
    cell = f" {edit.target} = {edit.value}" if edit.target else ""
    return f"{what}{about}{cell}{size}"


def _manifest(study_id: str) -> dict[str, Any]:
    path = data_folder().study(study_id).viewer / MANIFEST
    if not path.is_file():
        raise UsageError("an edit of a case without images", "an assessed study")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def _orientation(manifest: Mapping[str, Any]) -> Orientation:
    stored = manifest["orientation"]
    return Orientation(tuple(stored["axes"]), tuple(stored["flips"]))


def _native_runs(study_id: str, runs: Any) -> tuple[tuple[int, int], ...]:
    if not runs:
        return ()
    manifest = _manifest(study_id)
    pairs = tuple((int(start), int(length)) for start, length in runs)
    mask = mask_of(pairs, tuple(manifest["shape"]))
    return mask_to_runs(np.ascontiguousarray(_orientation(manifest).from_view(mask)))


def _voxel(study_id: str, voxel: Any) -> tuple[int, int, int]:
    """A viewer voxel as one of the fluid grid."""
    manifest = _manifest(study_id)
    view = np.zeros(tuple(manifest["shape"]), dtype=bool)
    x, y, z = (int(v) for v in voxel)
    if not all(0 <= v < n for v, n in zip((x, y, z), view.shape, strict=True)):
        raise UsageError("a click outside the image", f"inside {view.shape}")
    view[x, y, z] = True
    i, j, k = (int(v[0]) for v in np.nonzero(_orientation(manifest).from_view(view)))
    return i, j, k


def grown(objects: Objects, seed: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Marrow connected to a click: bounded by the clicked bone, by brightness and by distance.

    Args:
        objects: the detection. seed: voxel of the fluid grid.

    Raises:
        UsageError: the click is outside marrow, or not brighter than normal marrow.
    """
    from scipy import ndimage

    from marrowscope.lesion.objects import CONNECTIVITY

    bone = int(objects.anatomy.bones.volume.array[seed])
    if bone == 0:
        raise UsageError("a click outside the bones", "a click on marrow", "use the brush there")
    evidence = objects.evidence.array
    peak = float(evidence[seed])
    limit = max(GROW_SHARE * peak, objects.cutoff_low)
    if not np.isfinite(limit) or peak < limit:
        raise UsageError("a click on marrow that is not brighter than normal", "a bright spot", "use the brush there")
    reach = _reach(objects, seed)
    room = np.zeros(evidence.shape, dtype=bool)
    room[reach] = (objects.anatomy.bones.volume.array[reach] == bone) & (evidence[reach] >= limit)
    start = np.zeros_like(room)
    start[seed] = True
    return np.asarray(ndimage.binary_propagation(start, structure=CONNECTIVITY, mask=room))


def _reach(objects: Objects, seed: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    steps = [int(np.ceil(GROW_RADIUS_MM / s)) for s in objects.exam.image.spacing]
    a, b, c = (slice(max(0, v - n), v + n + 1) for v, n in zip(seed, steps, strict=True))
    return a, b, c
