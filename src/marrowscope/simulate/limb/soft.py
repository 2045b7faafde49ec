"""Skin, fat, fascia, muscle, vessels and nerve around the bones (half grid).

Sizes are drawn wide on purpose: they are our judgement of what limbs look like, from thin to obese, not measured.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from marrowscope.labelmap import BoolArray
from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.frame import ANGLES, Frame, noise, polar
from marrowscope.simulate.signal import Float32Array
from marrowscope.simulate.tissue_map import LabelArray

MUSCLES = (
    # lateral mm, front mm, lowest mm, highest mm, radius across, radius front to back
    (-33, 16, 8, 140, 19, 22),  # vastus medialis
    (32, 18, 32, 140, 17, 22),  # vastus lateralis
    (0, 30, 42, 140, 26, 11),  # vastus intermedius and rectus
    (31, -36, -8, 140, 12, 16),  # biceps femoris
    (-22, -40, 2, 140, 17, 17),  # semimembranosus
    (-33, -48, 12, 140, 8, 8),  # semitendinosus, gracilis
    (-43, -26, -25, 140, 6, 15),  # sartorius
    (-19, -40, -140, 27, 20, 16),  # gastrocnemius, medial head
    (18, -38, -140, 24, 19, 15),  # gastrocnemius, lateral head
    (0, -26, -140, -14, 26, 11),  # popliteus, soleus
    (25, 6, -140, -28, 13, 17),  # tibialis anterior, extensors
    (38, -10, -140, -34, 8, 12),  # peroneal muscles
)
"""Muscle bellies as tapering tubes, for a joint 84 mm wide (judgement from standard anatomy; jittered by 30 %)."""

VESSELS = (
    # lateral mm, front mm, radius mm, code
    (-5, -36, 4.0, plan.ARTERY),
    (4, -40, 4.5, plan.VEIN),
    (9, -46, 4.0, plan.NERVE),
)
"""What runs through the back of the knee."""

TYPICAL_HULL_MM = 36.0
"""Hull radius of the joint that the muscle table was written for."""


def soft_tissue(f: Frame, rng: Generator) -> LabelArray:
    """Codes of everything but bone, cartilage and joint: uint8, shape of the frame."""
    fascia, skin = _outlines(f, rng)
    soft = np.zeros(f.x.shape, np.uint8)
    soft[f.radius < skin] = plan.SKIN
    soft[f.radius < skin - rng.uniform(0.8, 2.5)] = plan.SUBCUTANEOUS
    inside = np.asarray(f.radius < fascia)
    soft[inside] = plan.DEEP_FAT
    scale = float(np.percentile(f.hull, 60)) / TYPICAL_HULL_MM
    _muscles(soft, f, inside, scale, rng)
    if rng.random() < 0.5:
        soft[np.abs(f.radius - fascia) < rng.uniform(0.5, 1.2)] = plan.FASCIA
    pad = inside & (f.y > rng.uniform(12, 20)) & (f.z > rng.uniform(-28, -12)) & (f.z < rng.uniform(15, 32))
    soft[pad & np.isin(soft, (plan.DEEP_FAT, *plan.MUSCLES))] = plan.FAT_PAD
    _vessels(soft, f, inside, scale, rng)
    if rng.random() < 0.15:  # popliteal (Baker) cyst
        far = ((f.x + 20) / rng.uniform(5, 12)) ** 2 + ((f.y + 47) / rng.uniform(4, 9)) ** 2
        soft[inside & (far + ((f.z - 5) / rng.uniform(10, 28)) ** 2 < 1)] = plan.FLUID
    return soft


def _outlines(f: Frame, rng: Generator) -> tuple[Float32Array, Float32Array]:
    """Radius of deep fascia and of skin at every voxel: hull, then flesh, then fat."""
    around = np.linspace(-np.pi, np.pi, ANGLES, endpoint=False)
    front, side = (1 + np.cos(around)) / 2, np.abs(np.sin(around))
    behind, height = 1 - front, f.x.shape[2]
    wave = ndimage.gaussian_filter(noise((height, ANGLES), rng, (5, 9)), (2, 3), mode=("nearest", "wrap"))
    lean = rng.uniform(0, 1)
    fat = 2 + rng.uniform(1, 9) * front**3 + rng.uniform(3, 9 + 20 * lean) * side**2 + rng.uniform(2, 22) * behind**2
    flesh = rng.uniform(2, 7) * front + rng.uniform(3, 16) * side**2 + rng.uniform(12, 42) * behind**2
    away = np.abs(np.linspace(-1, 1, height))[:, None]
    fat_mm = np.maximum(fat[None] * (1 + 0.25 * wave), 1.5)
    flesh_mm = np.maximum(flesh[None] * (1 + 0.2 * wave[::-1]), 2.0) * (1 + rng.uniform(0, 0.9) * away)
    fascia = f.hull + polar(flesh_mm, f.angle)
    return fascia, fascia + polar(fat_mm, f.angle)


def _muscles(soft: LabelArray, f: Frame, inside: BoolArray, scale: float, rng: Generator) -> None:
    bulk = rng.uniform(0.8, 1.9)
    warp = noise(soft.shape, rng, (5, 5, 6)) * rng.uniform(0.05, 0.2)
    for number, (px, py, lowest, highest, rx, ry) in enumerate(MUSCLES):
        jx, jy, size = rng.normal(0, 4), rng.normal(0, 4), bulk * rng.uniform(0.7, 1.3)
        low, high = lowest + rng.normal(0, 6), highest + rng.normal(0, 6)
        taper = np.sqrt(np.clip(np.minimum(f.z - low, high - f.z) / rng.uniform(20, 45), 0, 1))
        far = ((f.x - px * scale - jx) / (rx * size)) ** 2 + ((f.y - py * scale - jy) / (ry * size)) ** 2
        soft[inside & (np.sqrt(far) + warp < taper)] = plan.MUSCLES[number % len(plan.MUSCLES)]


def _vessels(soft: LabelArray, f: Frame, inside: BoolArray, scale: float, rng: Generator) -> None:
    for dx, dy, typical, code in VESSELS:
        bend = ndimage.gaussian_filter1d(rng.normal(0, 12, soft.shape[2]), 12)[None, None, :]
        tube = np.hypot(f.x - dx - bend, f.y - dy * scale + bend[..., ::-1]) < typical * rng.uniform(0.5, 1.2)
        slow = code == plan.ARTERY and rng.random() >= 0.6  # slow flow keeps its signal
        soft[inside & tube] = plan.VEIN if slow else code
