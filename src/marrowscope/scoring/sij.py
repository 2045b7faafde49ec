"""What the sacroiliac scores look at: each slice and side, its quadrants, its edema. Pure facts, no grades."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.labelmap import BoolArray
from marrowscope.lesion.measure import counted
from marrowscope.lesion.types import Objects
from marrowscope.volume import Volume

SIDES = ("right", "left")
QUADRANTS = ("ilium_upper", "ilium_lower", "sacrum_upper", "sacrum_lower")

CSF_REACH_MM = 20.0
"""Spinal fluid is sought this close to the midline of the sacrum."""

CSF_PERCENTILE = 99.0
"""Brightness of spinal fluid: this percentile of what lies outside bone near the midline."""

LEAST_CSF_CM3 = 0.5
"""Smallest volume near the midline that the percentile may be taken from."""


@dataclass(frozen=True, eq=False)
class JointSlice:
    """One side of one slice.

    Attributes:
        index: slice number in the fluid series. side: ``right`` or ``left``.
        height_mm: visible height of the joint; 0 where none is seen.
        quadrants: mask of each of QUADRANTS in the slice (2-D). edema: 2-D mask.
        depth_mm: distance from the joint line (2-D), NaN without a joint.
        brightness: fluid intensities (2-D).
    """

    index: int
    side: str
    height_mm: float
    quadrants: dict[str, BoolArray]
    edema: BoolArray
    depth_mm: npt.NDArray[np.float32]
    brightness: npt.NDArray[np.float32]

    def lit(self, quadrant: str) -> bool:
        """Whether the quadrant holds edema."""
        return bool((self.quadrants[quadrant] & self.edema).any())

    @cached_property
    def own_edema(self) -> BoolArray:
        """Edema inside this side's quadrants, bool, shape of the slice."""
        return np.asarray(self.edema & np.any(list(self.quadrants.values()), axis=0))

    def brightest(self) -> float | None:
        """90th percentile of this side's edema, or None without any."""
        values = self.brightness[self.own_edema]
        return float(np.percentile(values, 90)) if values.size else None

    def reaches_from_joint_to(self, depth_mm: float) -> bool:
        """Whether one edema patch of the slice begins nearer to the joint than ``depth_mm`` and reaches it."""
        labels, count = ndimage.label(self.own_edema, structure=np.ones((3, 3)))
        for n in range(1, count + 1):
            depth = self.depth_mm[labels == n]
            if np.nanmin(depth) < depth_mm <= np.nanmax(depth):
                return True
        return False


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything the sacroiliac scores need.

    Attributes:
        slices: both sides of every slice, right first, in slice order.
        spacing_mm: distance between slices. voxel_mm3: volume of a voxel.
        csf: brightness of spinal fluid, or None when it is not in view.
        reason: why nothing can be scored, else empty.
    """

    slices: tuple[JointSlice, ...]
    spacing_mm: float
    voxel_mm3: float
    csf: float | None
    reason: str = ""

    def side(self, side: str) -> tuple[JointSlice, ...]:
        """The slices of one side, in order."""
        return tuple(s for s in self.slices if s.side == side)


_SEEN: WeakKeyDictionary[Objects, Scene] = WeakKeyDictionary()
"""The scenes of objects still in use: three scores look at one and the same."""


def scene(objects: Objects) -> Scene:
    """The scene of an exam, made once for the same objects."""
    if objects not in _SEEN:
        _SEEN[objects] = _scene(objects)
    return _SEEN[objects]


def _scene(objects: Objects) -> Scene:
    grid, anatomy = objects.exam.image, objects.anatomy
    if objects.reference is None or not anatomy.regions.names or anatomy.depth_mm is None:
        why = "no reference marrow" if objects.reference is None else "the joint line was not found"
        return Scene((), grid.slice_spacing, grid.voxel_volume_mm3, None, why)
    brightness = objects.exam.fluid.volume.array
    return make_scene(
        grid,
        {code: anatomy.regions.mask(code) for code in anatomy.regions.codes},
        {side: anatomy.extras[f"{side}_joint"].array > 0 for side in SIDES},
        counted(objects),
        anatomy.depth_mm.array,
        brightness,
        csf_brightness(grid, brightness, anatomy.bones.mask(), anatomy.bones.mask("sacrum")),
    )


def make_scene(
    grid: Volume,
    regions: dict[str, BoolArray],
    joint: dict[str, BoolArray],
    edema: BoolArray,
    depth_mm: npt.NDArray[np.float32],
    brightness: npt.NDArray[np.float32],
    csf: float | None,
) -> Scene:
    """A scene from plain masks on one grid; region codes are ``SIDE_QUADRANT``."""
    axis = grid.slice_axis
    slices = []
    for k in range(grid.shape[axis]):
        here = (slice(None),) * axis + (k,)
        for side in SIDES:
            quadrants = {q: regions[f"{side}_{q}"][here] for q in QUADRANTS}
            height = _height(joint[side][here], grid)
            slices.append(JointSlice(k, side, height, quadrants, edema[here], depth_mm[here], brightness[here]))
    return Scene(tuple(slices), grid.slice_spacing, grid.voxel_volume_mm3, csf)


def _height(joint: BoolArray, grid: Volume) -> float:
    """Extent of the joint along its own longest in-plane direction, mm."""
    rows = np.argwhere(joint)
    if len(rows) < 2:
        return 0.0
    points = rows * np.array([grid.spacing[a] for a in grid.in_plane_axes])
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    along = points @ axes[0]
    return float(along.max() - along.min())


def csf_brightness(
    grid: Volume, brightness: npt.NDArray[np.float32], bone: BoolArray, sacrum: BoolArray
) -> float | None:
    """Brightness of spinal fluid near the midline outside bone, or None when too little of it is in view."""
    if not sacrum.any():
        return None
    index = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    x = sum(index[a].astype(np.float32) * np.float32(grid.affine[0, a]) for a in range(3))
    middle = np.mean(np.percentile(np.asarray(x)[sacrum], (1, 99)))
    near = (np.abs(x - middle) < CSF_REACH_MM) & ~bone
    if near.sum() * grid.voxel_volume_mm3 / 1000 < LEAST_CSF_CM3:
        return None
    return float(np.percentile(brightness[near], CSF_PERCENTILE))


def best_consecutive(heights: list[float], count: int) -> list[int]:
    """The consecutive positions with the largest summed height (the first such run)."""
    if len(heights) <= count:
        return list(range(len(heights)))
    sums = [sum(heights[i : i + count]) for i in range(len(heights) - count + 1)]
    start = int(np.argmax(sums))
    return list(range(start, start + count))
