"""The knee model at work: any plane and contrast in, bone labels and edema probability on the same grid out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.volume import Volume

if TYPE_CHECKING:
    from marrowscope.inference.card import InputContract
    from marrowscope.inference.session import Model

Float32 = npt.NDArray[np.float32]

MODEL = "knee"
BONES = ("femur", "tibia", "patella", "fibula")
"""Channels 1 to 4 of the model; channel 0 is everything else, channel 5 is edema."""

EDEMA, OUTLINES = "edema", "outlines"
"""Names under which an Anatomy carries the edema probability and the bones with their cortex."""

DIRECTIONS = {"sagittal": ("I", "P"), "coronal": ("I", "L"), "axial": ("P", "L"), "oblique": ("I", "L")}
"""Rows and columns of the slices shown to the model, by plane, as in training."""

TOP_PERCENTILE = 99.0
"""Percentile of a slice that is scaled to 1, as in training."""

LARGEST_INPUT = 1.5
"""Brightness is cut here, as in training."""

AIR, LEAST_MEDIAN = 0.02, 0.1
"""Where a large effusion takes the top percentile, tissue drowns in the dark: a slice is brightened until the median of
what is above air (share of the top) reaches this. See docs/decisions/0020."""

BETWEEN_SLICES = 0.35
"""Standard deviation, in slices, of the blend of neighbouring slices: a bone does not end and begin again."""


@dataclass(frozen=True, eq=False)
class Chances:
    """The model's answer on the image's grid.

    Attributes:
        label: uint8, 0 = no bone, n = ``BONES[n - 1]``.
        sure: probability of that label, 0 to 1.
        edema: probability of edema, 0 to 1; meaningful inside bone on fluid-sensitive images only.
        source: name and version of the model.
    """

    label: npt.NDArray[np.uint8]
    sure: Float32
    edema: Float32
    source: str


def look(image: Volume) -> Chances:
    """Bones and edema of a knee volume.

    Raises:
        GeometryError: slices so oblique that rows and columns have no direction.
        ModelError: the model's file is missing or altered.
    """
    from marrowscope.inference.session import load_model, thread_count
    from marrowscope.inference.slices import canonical_slices, onto_grid

    model = load_model(MODEL)
    stack = canonical_slices(image, contract_for(model.card.contract, image.plane))
    height, width, _ = stack.grid.shape
    chance = answer(model, scaled(stack.array, stack.array[:, :height, :width]))
    blended = ndimage.gaussian_filter1d(chance, BETWEEN_SLICES, axis=0, truncate=3)
    shown = [*(blended[:, channel] for channel in range(len(BONES) + 1)), chance[:, len(BONES) + 1]]
    with ThreadPoolExecutor(thread_count()) as pool:  # the filters run without the interpreter lock
        *fields, edema = pool.map(lambda field: onto_grid(stack, field), shown)
    label, sure = np.zeros(fields[0].shape, dtype=np.uint8), fields[0]
    for number, field in enumerate(fields[1:], start=1):
        more = field > sure
        label, sure = np.where(more, np.uint8(number), label), np.where(more, field, sure)
    return Chances(label, sure, edema, model.card.id)


def contract_for(contract: InputContract, plane: str) -> InputContract:
    """The model's contract with the directions of one plane."""
    first, second = DIRECTIONS[plane]
    return replace(contract, first=first, second=second)


def scaled(slices: Float32, inside: Float32) -> Float32:
    """Each slice with the 99th percentile of its part without padding at 1 and tissue not drowned, cut at 1.5.

    Args:
        slices: (slices, h, w); an empty slice stays 0. inside: the same slices without padding.
    """
    factors = np.array([brightness(one) for one in inside], dtype=np.float32)
    return np.asarray(np.clip(slices * factors[:, None, None], 0, LARGEST_INPUT))


def brightness(inside: Float32) -> float:
    """The factor that makes one slice (h, w) ready for the model; 0 for an empty slice. Training uses the same."""
    top = float(np.percentile(inside, TOP_PERCENTILE))
    if top <= 0:
        return 0.0
    tissue = float(np.median(inside[inside > AIR * top])) / top
    return max(1.0, LEAST_MEDIAN / tissue) / top


def answer(model: Model, slices: Float32) -> Float32:
    """Probabilities (slices, 6, h, w): background and bones add up to 1, edema stands by itself."""
    logits = model.run(slices[:, None])
    count = len(BONES) + 1
    powers = np.exp(logits[:, :count] - logits[:, :count].max(axis=1, keepdims=True))
    bones = powers / powers.sum(axis=1, keepdims=True)
    edema = 1 / (1 + np.exp(-logits[:, count : count + 1]))
    return np.concatenate([bones, edema], axis=1)
