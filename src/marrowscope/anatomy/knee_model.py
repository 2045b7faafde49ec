"""The knee model at work: any plane and contrast in, bone labels and edema probability on the same grid out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.labelmap import BoolArray
from marrowscope.volume import Volume, covered, resample

if TYPE_CHECKING:
    from marrowscope.inference.card import InputContract
    from marrowscope.inference.session import Model
    from marrowscope.inference.slices import SliceStack

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

OTHERS_WORD = 1.2
"""What another series' log probabilities weigh beside the fluid series' own (docs/decisions/0025)."""

LEAST_AGREEMENT = ((0.92, 0.72), (0.965, 0.85))
"""Dice of all bones on both series below which the other one is not listened to, at two mean probabilities of the first
series' own bones, linear between. Judgement: one of them shows the knee elsewhere. In place, 20 simulated studies reach
0.88 and more where the first series is clear, 0.76 where its signal is twice the noise; 15 mm apart 0.70 at most;
twelve real exams without geometry, put together by their middles, 0.77 at most."""

HALF = 0.5
"""Background less likely than this is bone."""

SMALLEST_SHARE = np.float32(1e-3)
"""No series rules out a bone altogether."""


@dataclass(frozen=True, eq=False)
class Chances:
    """The model's answer on the image's grid.

    Attributes:
        label: uint8, 0 = no bone, n = ``BONES[n - 1]``.
        sure: probability of that label, 0 to 1.
        edema: probability of edema, 0 to 1; meaningful inside bone on fluid-sensitive images only.
        source: name and version of the model.
        heard: of the other series given, whether each had its say; see :func:`look`.
    """

    label: npt.NDArray[np.uint8]
    sure: Float32
    edema: Float32
    source: str
    heard: tuple[bool, ...] = ()


def look(image: Volume, others: Sequence[Volume] = ()) -> Chances:
    """Bones and edema of a knee volume.

    Args:
        image: the volume that lesions are sized on; edema is looked for on it alone.
        others: further series of the knee in any plane and contrast. Where they lie over ``image``, bones follow from
            the product of all series' probabilities: slices that graze a bone cut it square in another plane.

    Raises:
        GeometryError: slices so oblique that rows and columns have no direction.
        ModelError: the model's file is missing or altered.
    """
    from marrowscope.inference.session import load_model, thread_count
    from marrowscope.inference.slices import onto_grid

    model = load_model(MODEL)
    stack, bones, edema = _asked(model, image)
    heard = tuple(_listen(stack.grid, bones, _told(model, other)) for other in others)
    with ThreadPoolExecutor(thread_count()) as pool:  # the filters run without the interpreter lock
        *fields, chance = pool.map(lambda field: onto_grid(stack, field), [*np.moveaxis(bones, 1, 0), edema])
    label, sure = np.zeros(fields[0].shape, dtype=np.uint8), fields[0]
    for number, field in enumerate(fields[1:], start=1):
        more = field > sure
        label, sure = np.where(more, np.uint8(number), label), np.where(more, field, sure)
    return Chances(label, sure, chance, model.card.id, heard)


def _listen(grid: Volume, bones: Float32, told: Sequence[Volume]) -> bool:
    """Has another series its say, in place, unless it disagrees.

    Args:
        grid: working grid of the first series. bones: (slices, 5, h, w), padded. told: the other's log probabilities.
    """
    height, width, _ = grid.shape
    own = np.moveaxis(bones[:, :, :height, :width], (1, 0), (0, 3))
    both = combined(own, np.stack([resample(field, grid).array for field in told]), covered(told[0], grid))
    if both is not None:
        own[:] = both
    return both is not None


def combined(own: Float32, word: Float32, there: BoolArray) -> Float32 | None:
    """Probabilities times those of another series to the power of its weight, where it lies; None if the two disagree.

    Args:
        own: (5, x, y, z), background and bones add up to 1. word: log probabilities by the other series, same shape.
        there: (x, y, z), where the other series lies.
    """
    bones = (own[0] < HALF) & there
    sure = float(own.max(axis=0)[bones].mean()) if bones.any() else 0.0
    least = np.interp([sure], [at for at, _ in LEAST_AGREEMENT], [needed for _, needed in LEAST_AGREEMENT])
    if _agreement(bones, (word[0] < np.log(HALF)) & there) < float(least[0]):
        return None
    both = own * np.exp(np.float32(OTHERS_WORD) * word)
    return np.asarray(np.where(there, both / both.sum(axis=0), own))


def _asked(model: Model, image: Volume) -> tuple[SliceStack, Float32, Float32]:
    """The stack shown, the probabilities of background and bones (slices, 5, h, w), and that of edema."""
    from marrowscope.inference.slices import canonical_slices

    stack = canonical_slices(image, contract_for(model.card.contract, image.plane))
    height, width, _ = stack.grid.shape
    chance = answer(model, scaled(stack.array, stack.array[:, :height, :width]))
    edema = len(BONES) + 1
    return stack, ndimage.gaussian_filter1d(chance[:, :edema], BETWEEN_SLICES, axis=0, truncate=3), chance[:, edema]


def _told(model: Model, other: Volume) -> list[Volume]:
    """Log probabilities of background and each bone by another series, on its working grid.

    Coronal slices are thicker than what they see of the patella: of it they say no more than of the background.
    """
    stack, bones, _ = _asked(model, other)
    height, width, _ = stack.grid.shape
    fields = np.moveaxis(bones[:, :, :height, :width], (1, 0), (0, 3))
    if other.plane == "coronal":
        patella = 1 + BONES.index("patella")
        fields[0] = fields[patella] = fields[0] + fields[patella]
    return [stack.grid.with_array(field) for field in _logs(fields)]


def _logs(shares: Float32) -> Float32:
    return np.log(np.maximum(shares, SMALLEST_SHARE))


def _agreement(own: BoolArray, other: BoolArray) -> float:
    """Dice of two masks; 0 where both are empty."""
    both = float(own.sum() + other.sum())
    return 2 * float((own & other).sum()) / both if both else 0.0


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
