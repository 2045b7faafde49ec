"""Volumes as the viewer shows them: patient-ordered axes, plain NIfTI, with a window set from the image.

The viewer's grid is the series' own grid with axes swapped and flipped to run right-to-left, front-to-back and
foot-to-head as nearly as they can (NIfTI's RAS): no voxel is resampled, so edits map back exactly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from marrowscope.volume import AnyArray, FloatArray, Volume

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects

WINDOW_PERCENTILES = (1.0, 99.5)
"""Of all voxels above the background: darkest and brightest shades of the default window."""

BRIGHT_PERCENTILES = (20.0, 99.9)
"""Window that tells bright marrow from joint fluid."""

DARK_PERCENTILES = (0.5, 92.0)
"""Window that brings out faint edema."""

BACKGROUND_SHARE = 0.02
"""Voxels under this share of the 99th percentile are air and do not set the window."""

MANIFEST = "viewer.json"


@dataclass(frozen=True)
class Orientation:
    """How a native index grid becomes the viewer's.

    Attributes:
        axes: native axis that each viewer axis (x, y, z) is taken from.
        flips: whether that axis runs the other way.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, affine_lps: FloatArray) -> Self:
        """The nearest orientation for an index-to-LPS affine."""
        from marrowscope.volume import ras_to_lps

        steps = ras_to_lps(affine_lps)[:3, :3]
        cosines = steps / np.linalg.norm(steps, axis=0)
        axes = _assignment(np.abs(cosines))
        flips = tuple(bool(cosines[world, native] < 0) for world, native in enumerate(axes))
        return cls(axes, (flips[0], flips[1], flips[2]))

    def to_view(self, array: AnyArray) -> AnyArray:
        """A native array as the viewer's, without a copy."""
        turned = array.transpose(self.axes)
        return turned[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]

    def from_view(self, array: AnyArray) -> AnyArray:
        """Inverse of :meth:`to_view`."""
        unflipped = array[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]
        return unflipped.transpose(tuple(int(a) for a in np.argsort(self.axes)))

    def affine(self, affine: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
        """Viewer index to the same world as ``affine`` (native index to world) for a native ``shape``."""
        change = np.zeros((4, 4))
        change[3, 3] = 1
        for view, (native, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            change[native, view] = -1 if flip else 1
            change[native, 3] = shape[native] - 1 if flip else 0
        return np.asarray(affine @ change)


def _assignment(cosines: FloatArray) -> tuple[int, int, int]:
    """Native axis of each world axis, each used once, with the largest sum of |cosine|."""
    from itertools import permutations

    best = max(permutations(range(3)), key=lambda axes: sum(cosines[w, a] for w, a in enumerate(axes)))
    return (best[0], best[1], best[2])


def runs_of(mask: npt.NDArray[np.bool_]) -> list[list[int]]:
    """(start, length) of each run in the viewer's order: x fastest, then y, then z."""
    from marrowscope.lesion.edits import mask_to_runs

    return [list(run) for run in mask_to_runs(np.ascontiguousarray(mask.transpose(2, 1, 0)))]


def mask_of(runs: tuple[tuple[int, int], ...], shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Inverse of :func:`runs_of` for a viewer ``shape`` (nx, ny, nz).

    Raises:
        UsageError: a run leaves the grid.
    """
    from marrowscope.lesion.edits import runs_to_mask

    return runs_to_mask(runs, (shape[2], shape[1], shape[0])).transpose(2, 1, 0)


def windows(array: AnyArray) -> dict[str, tuple[float, float]]:
    """Named windows (low, high) set from the image's own percentiles."""
    finite = array[np.isfinite(array)]
    body = finite[finite > BACKGROUND_SHARE * np.percentile(finite, 99)] if finite.size else finite
    if body.size == 0:
        return {"usual": (0.0, 1.0)}
    pairs = {"usual": WINDOW_PERCENTILES, "bright": BRIGHT_PERCENTILES, "faint": DARK_PERCENTILES}
    named = {}
    for name, (low, high) in pairs.items():
        a, b = (float(v) for v in np.percentile(body, (low, high)))
        named[name] = (a, b if b > a else a + 1.0)
    return named


def write_viewer_files(objects: Objects, folder: Path) -> None:
    """One NIfTI a series shown, ``bones.nii`` and the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    exam = objects.exam
    shown = {"fluid": exam.fluid} | {role.value: c.series for role, c in exam.companions.items()}
    entries = [_write_volume(folder, role, series.volume) for role, series in shown.items()]
    orientation = Orientation.of(exam.image.affine)
    manifest = {
        "volumes": entries,
        "orientation": asdict(orientation),
        "shape": list(orientation.to_view(exam.image.array).shape),
        "site": exam.site,
        "side": exam.side,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _write_volume(folder: Path, role: str, volume: Volume) -> dict[str, Any]:
    from marrowscope.volume import direction_letter

    orientation = Orientation.of(volume.affine)
    array = orientation.to_view(volume.array)
    name = f"{role}.nii"
    affine = orientation.affine(volume.affine_ras, volume.shape)
    save_nifti(folder / name, array, affine)
    slice_axis = orientation.axes.index(volume.slice_axis)
    toward = {
        axis: direction_letter(np.diag([-1.0, -1.0, 1.0])[:3, :3] @ affine[:3, n]) for n, axis in enumerate("xyz")
    }
    return {
        "role": role,
        "file": name,
        "shape": list(array.shape),
        "spacing": [float(s) for s in np.linalg.norm(affine[:3, :3], axis=0)],
        "windows": {n: list(w) for n, w in windows(volume.array).items()},
        "plane": ("sagittal", "coronal", "axial")[slice_axis],
        "toward": toward,
    }


def save_nifti(path: Path, array: AnyArray, affine_ras: FloatArray) -> None:
    """An uncompressed NIfTI: loopback is faster than inflating."""
    import nibabel

    library: Any = nibabel
    kind = array.dtype if array.dtype in (np.uint8, np.int16, np.uint16) else np.dtype(np.float32)
    image = library.Nifti1Image(np.asarray(array, dtype=kind), affine_ras)
    image.header.set_xyzt_units("mm")
    library.save(image, path)
