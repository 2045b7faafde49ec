"""Bone region and bone names of the sacroiliac joints by the two small networks, as logits on the fluid grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowscope.anatomy.types import Exam
from marrowscope.inference import InputContract, SliceStack, canonical_slices, load_card, load_model, onto_grid
from marrowscope.inference.slices import linear_along, with_neighbours
from marrowscope.study import Role
from marrowscope.volume import Volume

Float32 = npt.NDArray[np.float32]

REGION, BONES = "si_region", "si_bones"

BODY_SHARE, BODY_TOP, BRIGHT = 0.05, 99.5, 98.0
"""Body = voxels above 5 % of the 99.5th percentile; its 98th percentile becomes 1. As in training."""

PLACE_SCALE_MM = 100.0
"""Millimetres from the picture's centre that the place channels call 1. As in training."""

BONES_POOL = 2
"""The naming network works on pixels of twice the size."""


@dataclass(frozen=True, eq=False)
class Logits:
    """Networks' answers on the fluid grid: ``region`` (positive = bone); ``bones``: sacrum, ilium, lumbar body."""

    region: Float32
    bones: tuple[Float32, Float32, Float32]


def run(exam: Exam, fold: int | None = None) -> Logits:
    """Both networks on an exam.

    Args:
        exam: prepared exam. fold: one fold only (benchmarks), None = the ensemble.

    Raises:
        GeometryError: the slices lie in another plane than the networks were trained on.
    """
    contract = load_card(REGION).contract
    t1 = exam.companion(Role.T1)
    stack = canonical_slices(exam.fluid.volume, contract)
    images = [None if t1 is None else canonical_slices(t1.volume, contract).array, stack.array]
    batch = _channels(stack, images, contract)
    region = load_model(REGION).run(batch, fold)[:, 0]
    named = load_model(BONES).run(_pooled(batch), fold)
    full = [_repeat(named[:, n], region.shape) for n in range(3)]
    bone, sacrum, ilium, lumbar = (onto_grid(stack, field) for field in (region, *full))
    return Logits(bone, (sacrum, ilium, lumbar))


def normalised(array: Float32) -> Float32:
    """Intensity over the bright end of the body, 0..2."""
    body = array[array > BODY_SHARE * np.percentile(array, BODY_TOP)]
    top = float(np.percentile(body, BRIGHT)) if body.size else 1.0
    return np.asarray(np.clip(array / max(top, 1e-6), 0, 2), dtype=np.float32)


def _channels(stack: SliceStack, images: list[Float32 | None], contract: InputContract) -> Float32:
    """(slices, 8, first, second): T1 and fluid, each between its neighbours, zeros without T1; then the place."""
    parts = []
    for image in images:
        if image is None:
            parts.append(np.zeros((len(stack.array), 3, *stack.array.shape[1:]), dtype=np.float32))
        else:
            around = with_neighbours(stack, normalised(image), contract.context_mm)
            parts.append(around[:, ::-1])  # trained with the anterior neighbour first; the working grid runs forwards
    return np.concatenate([*parts, _place(stack)], axis=1)


def _place(stack: SliceStack) -> Float32:
    first, second, _ = stack.grid.shape
    step = [stack.grid.spacing[0] / PLACE_SCALE_MM, stack.grid.spacing[1] / PLACE_SCALE_MM]
    count, wide, high = stack.array.shape
    x = (np.arange(wide) - (first - 1) / 2) * step[0]
    y = (np.arange(high) - (second - 1) / 2) * step[1]
    grid = np.stack(np.meshgrid(x, y, indexing="ij")).astype(np.float32)
    return np.broadcast_to(grid, (count, 2, wide, high))


def _pooled(batch: Float32) -> Float32:
    n, c, w, h = batch.shape
    pooled = batch.reshape(n, c, w // BONES_POOL, BONES_POOL, h // BONES_POOL, BONES_POOL).mean(axis=(3, 5))
    return np.asarray(pooled, dtype=np.float32)


def _repeat(small: Float32, shape: tuple[int, ...]) -> Float32:
    """Pooled logits on the full working grid, linear between pool centres."""
    big = small
    for axis in (1, 2):
        big = linear_along(big, axis, (np.arange(shape[axis]) + 0.5) / BONES_POOL - 0.5)
    return big


def working(volume: Volume, pixel_mm: float) -> SliceStack:
    """A volume on the lesion model's finer working grid, unpadded."""
    base = load_card(REGION).contract
    contract = InputContract(
        base.channels, base.first, base.second, pixel_mm, 1, base.context_mm, base.planes, base.spacing_mm,
        base.slice_spacing_mm,
    )  # fmt: skip
    return canonical_slices(volume, contract)
