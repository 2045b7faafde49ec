"""Training slices drawn from completed knee maps: any plane, pose, contrast and fault.

Contrast comes from the signal equations and tissue table of ``marrowscope.simulate``; a part of the slices gets
random tissue brightness instead, so that no single contrast is learnt by heart. Each slice is drawn straight in two
dimensions (a 3-D study is simulated only for tests), because training on two cores must make thousands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from marrowscope.anatomy.knee_model import LARGEST_INPUT, brightness
from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.lesions import TRUTH_SHARE
from marrowscope.simulate.signal import Sequence, Suppression, signal_table
from marrowscope.simulate.tissues import TissueTable, load_tissues

SIZE = 160
PIXEL_MM = 0.9
CLEAN_SHARE = 0.55
"""Share of slices as a good scanner makes them; the others carry faults far beyond clinical routine."""

LEAST_RISE, LEAST_TOP, LEAST_NOISE = 0.25, 0.06, 0.7
"""A lesion can be seen when its middle rise is this share of marrow, of the picture's brightest 2 %, and of a voxel's
noise. Judgement, from looking at drawn slices."""

NECROSIS_SHARE = 0.08
"""Share of slices through a necrosis: rare in patients, but a bone must be found around it."""

LESION_SHARE = 0.4
"""Share of slices put through a lesion on purpose (of maps that have one): few slices meet one by chance."""
ALONG = 2
"""The axis of a baked map along the limb."""

NAMES, BONE, MARROW = plan.tissue_names(), plan.bone_of_code(), plan.marrow_of_code()
META = np.array([plan.bone_code(b, plan.METAPHYSIS) for b in (1, 2, 4)])


@dataclass(frozen=True)
class Sample:
    """One slice: image (SIZE, SIZE) about 0..1, bone 0-4, lesion truth, and whether the contrast shows edema at all.

    ``hidden`` marks lesions that noise, failed suppression or red marrow hide: nothing is learnt or judged there.
    """

    image: np.ndarray
    bone: np.ndarray
    lesion: np.ndarray
    fluid: bool
    hidden: np.ndarray


@dataclass(frozen=True)
class Baked:
    """One completed map on disk."""

    array: np.ndarray
    spacing: np.ndarray
    joint: float
    spots: np.ndarray
    """Some voxels with much edema, (n, 3)."""


def open_maps(folder: Path, keep: set[str] | None = None) -> list[Baked]:
    """All baked maps whose subject is in ``keep`` (None = all), memory-mapped."""
    maps = []
    for path in sorted(folder.glob("*.json")):
        info = json.loads(path.read_text())
        if keep is None or info["subject"] in keep:
            array = np.load(path.with_suffix(".npy"), mmap_mode="r")
            maps.append(Baked(array, np.array(info["spacing"]), info["joint"], _spots(array[1])))
    return maps


def _spots(share: np.ndarray) -> np.ndarray:
    """A few hundred voxels whose marrow is half edema or more."""
    small = share[::3, ::3, ::3]
    spots = np.argwhere(small >= 100) * 3
    return spots[:: max(1, len(spots) // 300)]


@lru_cache(maxsize=1)
def _noise_bank() -> np.ndarray:
    """Fixed smooth fields (48, 256, 256) at four scales, cropped at random."""
    rng = np.random.default_rng(7)
    fields = []
    for sigma in (0.7, 1.5, 4.0, 18.0):
        for n in range(12):
            stretch = (sigma * (3 if n % 3 == 0 and sigma < 3 else 1), sigma * (3 if n % 3 == 1 and sigma < 3 else 1))
            f = ndimage.gaussian_filter(rng.standard_normal((256, 256)), stretch, mode="wrap")
            fields.append((f / f.std()).astype(np.float32))
    return np.stack(fields)


def texture(scale: int, rng: Generator) -> np.ndarray:
    """A SIZE x SIZE crop of unit-variance noise; scale 0 (grain) to 3 (broad)."""
    field = _noise_bank()[scale * 12 + rng.integers(12)]
    a, b = rng.integers(0, 256 - SIZE, 2)
    crop = field[a : a + SIZE, b : b + SIZE]
    return crop if rng.random() < 0.5 else crop[:, ::-1]


def _pose(baked: Baked, plane: str, rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centre and the step vectors (row, column, through) in voxels; rows run down the picture."""
    shape = np.array(baked.array.shape[1:], float)
    codes = {"sagittal": (0, 2, 1), "coronal": (1, 2, 0), "axial": (2, 1, 0)}[plane]
    normal, row, column = codes
    centre = np.array([shape[0] / 2, shape[1] * 0.53, baked.joint])
    spread = {"sagittal": 42.0, "coronal": 40.0, "axial": 60.0}[plane]
    centre[normal] += rng.uniform(-spread, spread) / baked.spacing[normal]
    centre += rng.normal(0, (6, 6, 16)) / baked.spacing
    if len(baked.spots) and rng.random() < LESION_SHARE:
        centre[normal] = baked.spots[rng.integers(len(baked.spots))][normal]
    basis = np.zeros((3, 3))
    basis[0, row], basis[1, column], basis[2, normal] = -1, 1 if plane != "sagittal" else -1, 1
    angles = rng.normal(0, (7, 7, 9)) * np.pi / 180
    turn = _rotation(angles)
    basis = basis @ turn.T
    stretch = np.exp(rng.normal(0, 0.09)) * np.array([1, np.exp(rng.normal(0, 0.06)), 1])[:, None]
    steps = basis * stretch * PIXEL_MM / baked.spacing
    return centre, steps[0], steps[1], basis[2] / baked.spacing


def _rotation(angles: np.ndarray) -> np.ndarray:
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        one = np.eye(3)
        a, b = [(1, 2), (0, 2), (0, 1)][axis]
        one[a, a], one[a, b], one[b, a], one[b, b] = c, -s, s, c
        out = out @ one
    return out


def _slab(baked: Baked, plane: str, thickness: float, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Codes and edema share of the sub-slices, each (n, SIZE, SIZE)."""
    centre, row, column, through = _pose(baked, plane, rng)
    parts = max(1, round(thickness / 0.9))
    grid = np.arange(SIZE) - SIZE / 2
    warp = [texture(3, rng) * rng.uniform(0, 2.0) for _ in range(2)]
    at_row, at_column = grid[:, None] + warp[0], grid[None, :] + warp[1]
    flat = centre[:, None, None] + row[:, None, None] * at_row + column[:, None, None] * at_column
    shape = baked.array.shape[1:]
    out = []
    for offset in (np.arange(parts) + 0.5) / parts - 0.5:
        place = np.round(flat + (through * offset * thickness)[:, None, None]).astype(np.int32)
        inside = np.ones(place.shape[1:], bool)
        for axis in range(3):
            if axis != ALONG:  # the limb goes on past both ends of a map, as its last slices
                inside &= (place[axis] >= 0) & (place[axis] < shape[axis])
            np.clip(place[axis], 0, shape[axis] - 1, out=place[axis])
        index = (place[0] * shape[1] + place[1]) * shape[2] + place[2]
        pair = [np.where(inside, np.take(v.reshape(-1), index), 0) for v in baked.array]
        out.append(pair)
    return np.stack([p[0] for p in out]), np.stack([p[1] for p in out]).astype(np.float32) / 200


def draw_sequence(rng: Generator) -> tuple[str, Sequence]:
    """A routine protocol at random: its class and timing."""
    kind = str(rng.choice(["pd_fs", "t2_fs", "stir", "t1", "pd", "t2"], p=[0.32, 0.14, 0.12, 0.27, 0.1, 0.05]))
    spectral = Suppression.SPECTRAL
    if kind == "pd_fs":
        return kind, Sequence(rng.uniform(2000, 4500), rng.uniform(15, 48), spectral, echo_train=8)
    if kind == "t2_fs":
        return kind, Sequence(rng.uniform(3000, 5500), rng.uniform(48, 90), spectral, echo_train=12)
    if kind == "stir":
        return kind, Sequence(
            rng.uniform(3200, 6000), rng.uniform(25, 70), Suppression.INVERSION, rng.uniform(140, 210), 10
        )
    if kind == "t1":
        return kind, Sequence(rng.uniform(380, 850), rng.uniform(8, 22), echo_train=2)
    return kind, Sequence(rng.uniform(2200, 4500), rng.uniform(12, 40) if kind == "pd" else rng.uniform(70, 110))


def _jitter(rng: Generator) -> np.ndarray:
    """A brightness factor a code; marrow varies little between the parts of one knee."""
    jitter = rng.normal(0, 0.18, plan.CODES)
    marrow = rng.normal(0, 0.18)
    for bone in range(1, 5):
        own = marrow + rng.normal(0, 0.05)
        for part in (plan.EPIPHYSIS, plan.METAPHYSIS):
            jitter[plan.bone_code(bone, part)] = own + rng.normal(0, 0.05)
    return np.exp(jitter).astype(np.float32)


def _signals(rng: Generator) -> tuple[str, np.ndarray, np.ndarray]:
    """Sequence class, (CODES, 2) water and fat signal with jitter, and the same for edema (2,)."""
    table: TissueTable = load_tissues(float(rng.choice([1.5, 3.0])))
    kind, sequence = draw_sequence(rng)
    by_name = dict(zip(table.names, signal_table(sequence, table), strict=True))
    signals = np.array([by_name[name] for name in NAMES], np.float32)
    signals *= _jitter(rng)[:, None]
    share = rng.beta(1.2, 5)  # red marrow in the metaphyses, evenly spread
    signals[META] = (1 - share) * signals[META] + share * by_name["red_marrow"]
    edema = by_name["marrow_edema"] * np.exp(rng.normal(0, 0.15))
    if rng.random() < 0.12:  # brightness without physics
        signals = np.stack([rng.uniform(0, 1, plan.CODES), np.zeros(plan.CODES)], 1).astype(np.float32)
        signals[0] = 0
        for bone in range(1, 5):
            cortex, *marrow = (plan.bone_code(bone, p) for p in range(4))
            signals[cortex] *= 0.2
            signals[marrow] = signals[marrow[0]] * rng.uniform(0.8, 1.2, (3, 1))
        kind, edema = "free", signals[plan.bone_code(1, plan.EPIPHYSIS)]
    return kind, signals, edema


def _residual(kind: str, rng: Generator, clean: bool) -> np.ndarray | float:
    """Share of fat signal left, a number or a field."""
    if kind not in ("pd_fs", "t2_fs"):
        return 1.0
    likely = [0.7, 0.3, 0.0] if clean else [0.55, 0.33, 0.12]
    base = rng.choice([rng.uniform(0.0, 0.1), rng.uniform(0.1, 0.3), rng.uniform(0.3, 0.55)], p=likely)
    field = base * (1 + 0.3 * texture(3, rng) * rng.random())
    if rng.random() < (0.1 if clean else 0.35):  # suppression fails towards one side or corner
        y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
        angle = rng.uniform(0, 2 * np.pi)
        ramp = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(0.2, 0.9)
        field = field + rng.uniform(0.2, 0.9) / (1 + np.exp(-ramp / rng.uniform(0.05, 0.25)))
    return np.clip(field, 0, 1).astype(np.float32)


def _water_fat(codes: np.ndarray, share: np.ndarray, rng: Generator, clean: bool) -> tuple[str, np.ndarray, np.ndarray]:
    """Sequence class; water and fat signal (2, parts, SIZE, SIZE), and the same had there been no edema."""
    kind, signals, edema = _signals(rng)
    pools, healthy = [], []
    patch = np.clip(texture(2, rng) + texture(1, rng) * 0.5 - rng.uniform(0.2, 2.0), 0, 1)
    patch *= rng.uniform(0.3, 1.0) if rng.random() < (0.18 if clean else 0.35) else rng.uniform(0, 0.5)
    if rng.random() < 0.35:  # shaft and epiphysis of the young differ much
        signals[META] *= np.float32(np.exp(rng.normal(0, 0.45)))
    for pool in (0, 1):
        value = signals[:, pool][codes]
        target = signals[4, pool] * 0.9
        value += np.where(np.isin(codes, META), patch * (target - value), 0)  # islands of red marrow
        healthy.append(value)
        pools.append(value + np.where(MARROW[codes], share * (edema[pool] - value), 0))
    return kind, np.stack(pools), np.stack(healthy)


def _textures(codes: np.ndarray, rng: Generator, clean: bool) -> np.ndarray:
    """A factor on the signal: grain in marrow, streaks in muscle, septa in fat, drift everywhere."""
    main = codes[len(codes) // 2]
    factor = 1 + 0.06 * rng.random() * texture(2, rng)
    marrow = (main >= 20) & MARROW[main]
    grain = 0.5 if clean else 1.0
    factor = factor + grain * marrow * (rng.uniform(0, 0.16) * texture(0, rng) + rng.uniform(0, 0.1) * texture(1, rng))
    muscle = (main >= 4) & (main <= 6)
    factor = factor + muscle * (rng.uniform(0, 0.25) * texture(1, rng) + rng.uniform(0, 0.15) * texture(0, rng))
    soft = np.isin(main, (2, 3, 13, 16))
    streak = texture(1, rng)
    factor = factor + soft * rng.uniform(0, 0.3) * texture(0, rng)
    bright = rng.uniform(1.2, 2.2)
    factor = np.where(soft & (streak > bright), factor + rng.uniform(-0.8, 2.5), factor)
    return np.clip(factor, 0.05, 6).astype(np.float32)


def _vessels(water: np.ndarray, codes: np.ndarray, level: float, rng: Generator, clean: bool) -> None:
    """Thin bright lines and dots of water: many in fat and joint tissue, a few in marrow."""
    main = codes[len(codes) // 2]
    most = (10, 3) if clean else (26, 7)
    for many, where in ((rng.integers(0, most[0]), main < 19), (rng.integers(0, most[1]), MARROW[main])):
        spots = np.argwhere(where & (main > 1))
        for _ in range(many if len(spots) else 0):
            y, x = spots[rng.integers(len(spots))].astype(float)
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(1, 14)
            for _ in range(int(length)):
                a, b = round(y), round(x)
                if 0 <= a < SIZE and 0 <= b < SIZE and where[a, b]:
                    water[a, b] = level
                y, x = y + np.sin(angle), x + np.cos(angle)
                angle += rng.normal(0, 0.3)


def _necrosis(water: np.ndarray, fat: np.ndarray, codes: np.ndarray, edema: float, rng: Generator) -> np.ndarray:
    """Dead bone: a dark rim, a bright line inside it, a core that keeps its fat; changes both signals in place.

    Returns:
        The rim and all inside it (bool, SIZE x SIZE): readers differ on edema there, so nothing is learnt.
    """
    main = codes[len(codes) // 2]
    marrow = MARROW[main]
    spots = np.argwhere(marrow)
    if not len(spots):
        return np.zeros(main.shape, bool)
    cy, cx = spots[rng.integers(len(spots))]
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    angle, radii = rng.uniform(0, np.pi), rng.uniform(3, 17) * rng.uniform(0.6, 1.5, 2)
    along = (np.cos(angle) * (y - cy) + np.sin(angle) * (x - cx)) / radii[0]
    across = (np.cos(angle) * (x - cx) - np.sin(angle) * (y - cy)) / radii[1]
    depth = (1 - np.hypot(along, across) + 0.12 * texture(2, rng)) * radii.mean()  # pixels inside the border
    rim, line = rng.uniform(0.8, 2.5), rng.uniform(0.8, 2.5)
    dark = marrow & (depth > 0) & (depth < rim)
    bright = marrow & (depth >= rim) & (depth < rim + line)
    for pool in (water, fat):
        pool[dark] *= rng.uniform(0.05, 0.4)
        pool[bright] *= rng.uniform(0.1, 0.5)
    water[bright] += edema * rng.uniform(0.3, 1.1)
    if rng.random() < 0.3:  # the core may lose its fat too
        core = marrow & (depth >= rim + line)
        water[core] = edema * rng.uniform(0.1, 0.9)
        fat[core] *= rng.uniform(0.1, 0.8)
    return marrow & (depth > 0)


def _metal(image: np.ndarray, codes: np.ndarray, rng: Generator) -> None:
    spots = np.argwhere(codes[len(codes) // 2] >= 20)
    if not len(spots):
        return
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    for _ in range(rng.integers(1, 4)):
        cy, cx = spots[rng.integers(len(spots))]
        size = rng.uniform(2, 9)
        far = np.hypot((y - cy) / rng.uniform(0.7, 1.4), x - cx) + texture(2, rng)
        rim = image.max() * rng.uniform(0.6, 1.2)
        image[
            (far < size * rng.uniform(1.2, 1.7)) & (np.sin(np.arctan2(y - cy, x - cx) * 2) > rng.uniform(-0.8, 0.6))
        ] = rim
        image[far < size] = 0


def _pulsation(image: np.ndarray, top: float, rng: Generator) -> np.ndarray:
    """Stripes that a pulsating vessel leaves along the phase direction, in a band of the picture."""
    period, sharp = rng.uniform(5, 24), rng.uniform(1, 5)
    at = np.arange(SIZE) + rng.uniform(0, period) + texture(3, rng)[0] * rng.uniform(0, 2)
    comb = np.clip(np.cos(2 * np.pi * at / period), 0, 1) ** sharp * np.exp(rng.normal(0, 0.4, SIZE))
    band = np.exp(-((np.linspace(-1, 1, SIZE) - rng.uniform(-0.8, 0.8)) ** 2) / rng.uniform(0.1, 1.5))
    stripes = np.outer(band, ndimage.gaussian_filter1d(comb, 0.7))
    stripes = (stripes if rng.random() < 0.75 else stripes.T) * (1 + 0.5 * texture(1, rng))
    return image + top * rng.uniform(0.03, 0.25) * (image > 0.02 * top) * stripes


def _camera(image: np.ndarray, rng: Generator, clean: bool) -> tuple[np.ndarray, float]:
    """Blur, shading, ghosts, noise; and the standard deviation of the noise."""
    image = ndimage.gaussian_filter(image, (rng.uniform(0.25, 0.9), rng.uniform(0.25, 0.9)))
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    shade = np.exp(rng.normal(0, 0.15) * x + rng.normal(0, 0.15) * y + rng.uniform(-0.1, 0.5) * x * x)
    shade *= np.exp(-rng.choice([0, rng.uniform(0, 1.5)]) * np.clip(np.abs(y) - rng.uniform(0.5, 0.9), 0, 1))
    image = image * shade * (1 + 0.08 * rng.random() * texture(3, rng))
    if rng.random() < (0.1 if clean else 0.4):
        axis, shift, size = rng.integers(2), rng.integers(6, 60), rng.uniform(0.01, 0.1 if clean else 0.25)
        ghost = np.roll(image, shift, axis) + np.roll(image, -shift, axis)
        image = image + size * ghost * np.cos(texture(2, rng))
    top = float(np.percentile(image, 98)) + 1e-6
    if rng.random() < 0.2:
        image = np.abs(_pulsation(image, top, rng))
    sigma = top / np.exp(rng.uniform(np.log(20 if clean else 9), np.log(70)))
    noise = rng.standard_normal((2, SIZE, SIZE)).astype(np.float32) * sigma
    if rng.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, (0, *rng.uniform(0, 0.7, 2))) * 1.3
    image = np.hypot(image + noise[0], noise[1])
    if rng.random() < 0.5:
        image = image - sigma * rng.uniform(0, 1.2)
    return np.clip(image, 0, None), sigma


def hidden_lesions(lesion: np.ndarray, ill: np.ndarray, healthy: np.ndarray, noise: float) -> np.ndarray:
    """Those connected lesions (bool, SIZE x SIZE) that cannot be told from the marrow around them.

    Args:
        lesion: truth. ill, healthy: the noiseless picture with and without edema. noise: standard deviation.
    """
    labels, count = ndimage.label(lesion)
    if not count:
        return np.zeros(lesion.shape, bool)
    numbers = np.arange(1, count + 1)
    rise = ndimage.median(ill - healthy, labels, numbers)
    before = ndimage.median(healthy, labels, numbers)
    least = np.maximum(LEAST_RISE * before, max(LEAST_TOP * np.percentile(ill, 98), LEAST_NOISE * noise))
    return np.isin(labels, numbers[rise < least])


def _window(image: np.ndarray, bone: np.ndarray, rng: Generator) -> np.ndarray:
    """Cut the field of view (truth outside it is background), scale, round to 8 bits."""
    border = rng.integers(0, 14, 4) * (rng.random(4) < 0.5)
    if rng.random() < 0.12:
        border = rng.integers(0, 45, 4)
    for array in (image, bone):
        array[: border[0]], array[SIZE - border[1] :] = 0, 0
        array[:, : border[2]], array[:, SIZE - border[3] :] = 0, 0
    image = image / (np.percentile(image, rng.uniform(96, 100)) + 1e-6)
    image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.15))
    if rng.random() < 0.7:
        image = np.round(image * 255) / 255
    return image


def normalise(image: np.ndarray) -> np.ndarray:
    """The model's input scale, by the rule that is used on real slices."""
    return np.clip(image * brightness(image), 0, LARGEST_INPUT).astype(np.float32)


def draw(maps: list[Baked], rng: Generator, clean: bool | None = None) -> Sample:
    """One random slice; ``clean`` as a good scanner makes it (None: by chance)."""
    clean = bool(rng.random() < CLEAN_SHARE) if clean is None else clean
    baked = maps[rng.integers(len(maps))]
    plane = str(rng.choice(["sagittal", "coronal", "axial"], p=[0.46, 0.32, 0.22]))
    codes, share = _slab(baked, plane, rng.uniform(0.7, 4.5), rng)
    kind, ill, healthy = _water_fat(codes, share, rng, clean)
    grain = _textures(codes, rng, clean)
    (water, fat), (water0, fat0) = ill.mean(1) * grain, healthy.mean(1) * grain
    dead = np.zeros(water.shape, bool)
    if rng.random() < NECROSIS_SHARE:
        dead = _necrosis(water, fat, codes, float(np.percentile(water, 97)), rng)
        water0, fat0 = np.where(dead, water, water0), np.where(dead, fat, fat0)
    _vessels(water, codes, float(np.abs(water).max()) * rng.uniform(0.3, 1), rng, clean)
    shift = int(rng.integers(-2, 3)) if rng.random() < 0.4 else 0
    axis, residual = int(rng.integers(2)), _residual(kind, rng, clean)
    image, plain = np.abs(water + residual * np.roll(fat, shift, axis)), np.abs(water0 + residual * fat0)
    if rng.random() < 0.04:
        _metal(image, codes, rng)
    bone = _majority(BONE[codes])
    lesion = (np.where(MARROW[codes], share, 0).mean(0) > TRUTH_SHARE) & (bone > 0)
    seen = image
    image, noise = _camera(image, rng, clean)
    lesion &= ~dead
    hidden = hidden_lesions(lesion, seen, plain, noise) | dead
    image = normalise(_window(image, bone, rng)) * np.float32(rng.uniform(0.85, 1.15))
    lesion &= bone > 0
    if rng.random() < 0.5:
        image, bone, lesion, hidden = (a[:, ::-1].copy() for a in (image, bone, lesion, hidden))
    return Sample(image, bone, lesion, kind in ("pd_fs", "t2_fs", "stir"), hidden)


def _majority(bone: np.ndarray) -> np.ndarray:
    votes = np.stack([(bone == b).sum(0) for b in range(5)])
    return votes.argmax(0).astype(np.uint8)
