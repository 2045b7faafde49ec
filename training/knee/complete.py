"""Complete a knee bone-and-cartilage map to a whole limb: fibula, cortex, growth plates, muscle, fat, skin, fluid.

Everything is grown by rule around the real bones, with sizes drawn at random: the aim is variety that covers real
limbs, not one true limb. Axes of the maps: i to the patient's right (all maps are right knees, so i is lateral),
j to anterior, k to the head. Spacing after loading: about 0.70 x 0.73 x 0.73 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from training.knee import tissue_plan as tp

PAD = ((36, 36), (42, 18), (28, 28))
"""Voxels added on each side of i, j, k: the source grid ends inside the skin."""

TRIM = 10
"""Sections at each end of the field of view where the drawn masks thin out; replaced by the next whole section."""

JOINT_GAP_MM = 8.0
"""Where the distances to femur and tibia add up to less, the place belongs to the joint space."""


@dataclass(frozen=True)
class Knee:
    """A padded map: source labels 0-6 (lesions folded into their bone), lesion mask, spacing in mm, joint line k."""

    labels: np.ndarray
    lesion: np.ndarray
    spacing: tuple[float, float, float]
    joint: float


def load(path: Path) -> Knee:
    """Read a map, halve it in plane, fold lesions into bones, mend and extend the shafts, pad."""
    import nibabel

    image = nibabel.load(path)
    raw = np.asarray(image.dataobj).astype(np.uint8)[:, ::2, ::2]
    zooms = [float(z) for z in image.header.get_zooms()[:3]]
    lesion = raw >= 7
    labels = np.choose(raw, [0, 1, 2, 3, 4, 5, 6, 1, 3, 5]).astype(np.uint8)
    labels, lesion = (np.pad(a, PAD) for a in (labels, lesion))
    _extend(labels, 1, up=True)
    _extend(labels, 3, up=False)
    femur, tibia = (np.count_nonzero(labels == v, axis=(0, 1)) for v in (1, 3))
    low, high = np.flatnonzero(femur)[0], np.flatnonzero(tibia)[-1]
    between = range(min(low, high), max(low, high) + 1)
    joint = min(between, key=lambda k: abs(int(femur[k]) - int(tibia[k])))
    return Knee(labels, lesion, (zooms[0], zooms[1] * 2, zooms[2] * 2), float(joint))


def _extend(labels: np.ndarray, value: int, *, up: bool) -> None:
    """Carry the last whole shaft section on to the end of the padded grid, drifting along the shaft's own slope."""
    view = labels if up else labels[:, :, ::-1]
    mask = view == value
    last = view.shape[2] - PAD[2][1] - 1 - TRIM
    section, inner = mask[:, :, last], mask[:, :, last - 20]
    drift = (np.argwhere(section).mean(0) - np.argwhere(inner).mean(0)) / 20
    for k in range(last + 1, view.shape[2]):
        shift = np.round(drift * (k - last) * 0.7).astype(int)
        moved = np.roll(section, shift, (0, 1))
        plane = view[:, :, k]
        plane[plane == value] = 0
        plane[moved & (plane == 0)] = value


def _noise(shape: tuple[int, ...], rng: Generator, nodes: tuple[int, ...]) -> np.ndarray:
    """Smooth random field of about unit spread."""
    coarse = rng.standard_normal(nodes).astype(np.float32)
    grid = np.meshgrid(
        *[np.linspace(0, n - 1, s, dtype=np.float32) for n, s in zip(nodes, shape, strict=True)], indexing="ij"
    )
    field = ndimage.map_coordinates(coarse, grid, order=1, mode="nearest")
    return field / max(float(field.std()), 1e-6)


@dataclass(frozen=True)
class Frame:
    """Half-resolution working grid: mm offsets from the limb's axis, polar angle, height above the joint line."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    hull: np.ndarray


def frame(knee: Knee, bones: np.ndarray) -> Frame:
    """Coordinates around the limb's axis and the radius of the bones' smoothed hull."""
    half = bones[::2, ::2, ::2]
    spacing = np.array(knee.spacing) * 2
    ni, nj, nk = half.shape
    shaft = np.isin(knee.labels[::2, ::2, ::2], (1, 3))
    weight = shaft.sum((0, 1)).astype(float) + 1e-6
    ci = (shaft.sum(1) * np.arange(ni)[:, None]).sum(0) / weight
    cj = (shaft.sum(0) * np.arange(nj)[:, None]).sum(0) / weight
    ci, cj = (ndimage.gaussian_filter1d(c, 14, mode="nearest") for c in (ci, cj))
    x = (np.arange(ni)[:, None, None] - ci[None, None, :]) * spacing[0] + np.zeros(half.shape)
    y = (np.arange(nj)[None, :, None] - cj[None, None, :]) * spacing[1] + np.zeros(half.shape)
    z = (np.arange(nk)[None, None, :] - knee.joint / 2) * spacing[2] + np.zeros(half.shape)
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    bins = ((angle + np.pi) / (2 * np.pi) * 72).astype(int) % 72
    table = np.zeros((nk, 72))
    at = np.nonzero(half)
    np.maximum.at(table, (at[2], bins[at]), radius[at])
    table = ndimage.maximum_filter(table, (17, 13), mode=("nearest", "wrap"))
    table = ndimage.gaussian_filter(table, (5, 3), mode=("nearest", "wrap"))
    hull = _polar(table, angle)
    return Frame(*(a.astype(np.float32) for a in (x, y, z, radius, angle, hull)))


def _polar(table: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Values of a (height, angle) table on the grid."""
    column = (angle + np.pi) / (2 * np.pi) * table.shape[1] - 0.5
    row = np.broadcast_to(np.arange(angle.shape[2], dtype=np.float32)[None, None, :], angle.shape)
    return ndimage.map_coordinates(table.astype(np.float32), [row, column], order=1, mode="grid-wrap")


MUSCLES = (
    # lateral mm, anterior mm, lowest mm, highest mm, radius across, radius front to back
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


def _muscles(soft: np.ndarray, f: Frame, inside: np.ndarray, scale: float, rng: Generator) -> None:
    bulk = rng.uniform(0.8, 1.9)
    warp = _noise(soft.shape, rng, (5, 5, 6)) * rng.uniform(0.05, 0.2)
    for number, (px, py, low, high, rx, ry) in enumerate(MUSCLES):
        jx, jy, jr = rng.normal(0, 4), rng.normal(0, 4), bulk * rng.uniform(0.7, 1.3)
        low, high = low + rng.normal(0, 6), high + rng.normal(0, 6)
        taper = np.sqrt(np.clip(np.minimum(f.z - low, high - f.z) / rng.uniform(20, 45), 0, 1))
        far = ((f.x - px * scale - jx) / (rx * jr)) ** 2 + ((f.y - py * scale - jy) / (ry * jr)) ** 2
        soft[inside & (np.sqrt(far) + warp < taper)] = 4 + number % 3


def soft_tissue(knee: Knee, f: Frame, rng: Generator) -> np.ndarray:
    """Codes of everything but bone, cartilage and joint, on the half grid."""
    shape = f.x.shape
    front = (1 + np.cos(np.linspace(-np.pi, np.pi, 72, endpoint=False))) / 2
    side = np.abs(np.sin(np.linspace(-np.pi, np.pi, 72, endpoint=False)))
    behind = 1 - front
    lean = rng.uniform(0, 1)
    wave = _noise((shape[2], 72), rng, (5, 9))
    wave = ndimage.gaussian_filter(wave, (2, 3), mode=("nearest", "wrap"))
    fat = (2 + rng.uniform(1, 9) * front**3 + rng.uniform(3, 9 + 20 * lean) * side**2 + rng.uniform(2, 22) * behind**2)
    fat = np.maximum(fat[None] * (1 + 0.25 * wave), 1.5)
    flesh = rng.uniform(2, 7) * front + rng.uniform(3, 16) * side**2 + rng.uniform(12, 42) * behind**2
    flesh = np.maximum(flesh[None] * (1 + 0.2 * wave[::-1]), 2.0)
    shin = np.linspace(-1, 1, shape[2])[:, None]
    flesh = flesh * (1 + rng.uniform(0, 0.9) * np.abs(shin))
    fascia = f.hull + _polar(flesh, f.angle)
    skin = fascia + _polar(fat, f.angle)
    soft = np.zeros(shape, np.uint8)
    soft[f.radius < skin] = 1
    soft[f.radius < skin - rng.uniform(0.8, 2.5)] = 2
    inside = f.radius < fascia
    soft[inside] = 3
    scale = float(np.percentile(f.hull, 60)) / 36.0
    _muscles(soft, f, inside, scale, rng)
    if rng.random() < 0.5:
        soft[np.abs(f.radius - fascia) < rng.uniform(0.5, 1.2)] = 7
    hoffa = inside & (f.y > rng.uniform(12, 20)) & (f.z > rng.uniform(-28, -12)) & (f.z < rng.uniform(15, 32))
    soft[hoffa & np.isin(soft, (3, 4, 5, 6))] = 16
    for dx, dy, size, code in ((-5, -36, 4.0, 15), (4, -40, 4.5, 14), (9, -46, 4.0, 17)):
        bend = ndimage.gaussian_filter1d(rng.normal(0, 12, shape[2]), 12)[None, None, :]
        size *= rng.uniform(0.5, 1.2)
        tube = np.hypot(f.x - dx - bend, f.y - dy * scale + bend[..., ::-1]) < size
        soft[inside & tube] = code if code != 15 or rng.random() < 0.6 else 14
    if rng.random() < 0.15:  # popliteal (Baker) cyst
        far = ((f.x + 20) / rng.uniform(5, 12)) ** 2 + ((f.y + 47) / rng.uniform(4, 9)) ** 2
        soft[inside & (far + ((f.z - 5) / rng.uniform(10, 28)) ** 2 < 1)] = 12
    return soft


def fibula(knee: Knee, rng: Generator) -> np.ndarray:
    """A tapering tube behind and lateral to the tibia; the head lies 8 to 20 mm below the joint line."""
    tibia = knee.labels == 3
    dx, dy, dz = knee.spacing
    level = int(knee.joint - 22 / dz)
    section = np.argwhere(tibia[:, :, level])
    if not len(section):
        return np.zeros_like(tibia)
    edge = np.percentile(section[:, 0], 98)
    back = np.percentile(section[:, 1], 25)
    top = knee.joint - rng.uniform(8, 18) / dz
    k = np.arange(tibia.shape[2])
    depth = np.clip((top - k) * dz, 0, None)
    head, shaft = rng.uniform(8, 12), rng.uniform(5, 7.5)
    size = (shaft + (head - shaft) * np.exp(-(((depth - 9) / 14) ** 2))) * np.sqrt(np.clip(depth / 7, 0, 1))
    centre = edge + (rng.uniform(-7, 2) + rng.uniform(-6, 2) * np.clip(depth / 80, 0, 1)) / dx
    behind = back - (rng.uniform(0, 8) + rng.uniform(-4, 8) * np.clip(depth / 80, 0, 1)) / dy
    i, j = np.meshgrid(np.arange(tibia.shape[0]), np.arange(tibia.shape[1]), indexing="ij")
    turn = rng.uniform(0, np.pi)
    u = (i[..., None] - centre) * dx
    v = (j[..., None] - behind) * dy
    wobble = 1 + 0.18 * np.cos(3 * (np.arctan2(v, u) - turn))
    mask = (np.hypot(u, v) < size * wobble) & (k <= top)
    near = ndimage.binary_dilation(tibia | (knee.labels == 1), iterations=2)
    return np.asarray(mask & ~near)


def joint_space(codes: np.ndarray, knee: Knee, f: Frame, bones: np.ndarray, rng: Generator) -> None:
    """Menisci, fluid, cruciates, tendons and capsule, painted over soft tissue (half grid)."""
    labels = knee.labels[::2, ::2, ::2]
    spacing = np.array(knee.spacing) * 2
    free = bones[::2, ::2, ::2] == 0
    away = {v: ndimage.distance_transform_edt(~np.isin(labels, v), sampling=spacing) for v in ((1, 2), (3, 4), (5, 6))}
    femur, tibia, patella = away.values()
    gap = free & (femur + tibia < JOINT_GAP_MM * rng.uniform(0.8, 1.4)) & (np.abs(f.z) < 25)
    codes[gap] = rng.choice([12, 13, 11])
    rim = np.abs(f.x) > 10
    inner = np.hypot((np.abs(f.x) - 24) / 12, (f.y + 2) / 15) < rng.uniform(0.5, 1.0)
    codes[gap & rim & ~inner & (f.radius < f.hull + 2)] = 10
    notch = free & (np.abs(f.x) < 11) & (f.z > -10) & (f.z < 22) & (f.y < 14) & (f.radius < f.hull - 4)
    codes[notch] = rng.choice([3, 13, 16, 12], p=[0.4, 0.3, 0.2, 0.1])
    for sign, tilt in ((1, 0.8), (-1, -0.9)):
        line = f.y - sign * (-4 + 0) - tilt * -f.z * 0.9
        codes[notch & (np.abs(line) < rng.uniform(3, 6)) & (f.x * sign > -7)] = 9 if sign > 0 else 8
    groove = free & (patella < rng.uniform(2, 5)) & (femur < rng.uniform(2, 5))
    codes[groove] = 12
    thickness = rng.choice([0, rng.uniform(1, 3), rng.uniform(3, 14)], p=[0.3, 0.45, 0.25])
    recess = free & (f.z > 12) & (f.z < rng.uniform(40, 75)) & (f.y > 6) & (np.abs(f.x) < rng.uniform(15, 34))
    start = rng.uniform(0.5, 5)
    codes[recess & (femur > start) & (femur < start + thickness)] = 12
    film = free & (femur < rng.uniform(0.5, 2.5)) & (f.z < 30) & (f.y > -40)
    if rng.random() < 0.4:
        codes[film & (_noise(codes.shape, rng, (6, 6, 6)) > 0.3)] = 12
    _tendons(codes, knee, f, free, rng)
    for value in (femur, tibia):  # periosteum, capsule and ligaments hugging the bone
        sheet = free & (value < rng.uniform(0.8, 2.4)) & (_noise(codes.shape, rng, (6, 6, 6)) > rng.uniform(-0.5, 1.2))
        codes[sheet & (np.abs(f.z) < 60) & (codes != 12)] = rng.choice([8, 7, 18, 13])
    for sign in (-1, 1):
        wide = np.abs(np.abs(f.angle * sign - np.pi / 2)) < rng.uniform(0.15, 0.5)
        off = f.radius - f.hull
        start = rng.uniform(-5, 2)
        band = wide & (off > start) & (off < start + rng.uniform(1.5, 4)) & (f.z > -60) & (f.z < 45)
        codes[band & free] = rng.choice([8, 18])


def _tendons(codes: np.ndarray, knee: Knee, f: Frame, free: np.ndarray, rng: Generator) -> None:
    labels = knee.labels[::2, ::2, ::2]
    patella = np.argwhere(labels == 5)
    if len(patella) < 20:
        return
    spacing = np.array(knee.spacing) * 2
    low = patella[patella[:, 2] <= np.percentile(patella[:, 2], 8)].mean(0)
    top = patella[patella[:, 2] >= np.percentile(patella[:, 2], 92)].mean(0)
    level = max(int(knee.joint / 2 - rng.uniform(38, 52) / spacing[2]), 1)
    section = np.argwhere(labels[:, :, level] == 3)
    if not len(section):
        return
    front = np.array([section[:, 0].mean(), np.percentile(section[:, 1], 99), level])
    up = top + np.array([rng.normal(0, 2), -rng.uniform(0, 10), 45])
    down = front + np.array([0, -rng.uniform(0, 3), -20])
    for start, end, wide, thick in ((low, front, 13, 2.8), (front, down, 10, 2.0), (top, up, 15, 3.6)):
        k = np.arange(codes.shape[2])
        t = np.clip((k - start[2]) / (end[2] - start[2] + 1e-6), 0, 1)
        ci, cj = (start[a] + t * (end[a] - start[a]) for a in (0, 1))
        span = (k >= min(start[2], end[2])) & (k <= max(start[2], end[2]))
        u = (np.arange(codes.shape[0])[:, None, None] - ci) * spacing[0]
        v = (np.arange(codes.shape[1])[None, :, None] - cj) * spacing[1]
        band = (np.abs(u) < wide * rng.uniform(0.8, 1.2)) & (np.abs(v) < thick * rng.uniform(0.7, 1.3)) & span
        codes[band & free] = 8


def bone_parts(codes: np.ndarray, knee: Knee, bones: np.ndarray, rng: Generator) -> None:
    """Cortex (thin at the joint, thick along the shaft), growth plate, epiphyseal and metaphyseal marrow."""
    height = (np.arange(codes.shape[2]) - knee.joint) * knee.spacing[2]
    shaft_mm, joint_mm = rng.uniform(1.6, 4.2), rng.uniform(0.4, 1.0)
    reach = np.clip((np.abs(height) - rng.uniform(22, 34)) / rng.uniform(28, 45), 0, 1)
    thickness = joint_mm + (shaft_mm - joint_mm) * reach**1.3
    plate = _noise(codes.shape[:2], rng, (6, 6)) * rng.uniform(0.5, 2.5)
    level = {1: rng.uniform(22, 32), 2: -rng.uniform(14, 22), 4: -rng.uniform(18, 26)}
    plate_mm = rng.choice([0.0, rng.uniform(0.7, 1.3), rng.uniform(1.2, 2.5)], p=[0.35, 0.5, 0.15])
    for bone in (1, 2, 3, 4):
        box = ndimage.find_objects((bones == bone).astype(np.uint8))
        if not box or box[0] is None:
            continue
        mask = np.pad(bones[box[0]] == bone, 1)
        inside = ndimage.distance_transform_edt(mask, sampling=knee.spacing)[1:-1, 1:-1, 1:-1]
        part = codes[box[0]]
        mask = mask[1:-1, 1:-1, 1:-1]
        own = thickness[box[0][2]] if bone < 3 else np.full(part.shape[2], rng.uniform(0.7, 1.8))
        part[mask] = tp.bone_code(bone, tp.EPIPHYSIS)
        if bone in level:
            z = height[box[0][2]][None, None, :] - level[bone] - plate[box[0][:2]][..., None]
            beyond = z > 0 if bone == 1 else z < 0
            part[mask & beyond] = tp.bone_code(bone, tp.METAPHYSIS)
            part[mask & (np.abs(z) < plate_mm / 2)] = tp.bone_code(bone, tp.PHYSIS)
        part[mask & (inside <= own[None, None, :])] = tp.bone_code(bone, tp.CORTEX)


def complete(knee: Knee, rng: Generator) -> np.ndarray:
    """A whole-limb map of tissue codes (see :mod:`training.knee.tissue_plan`), uint8, the padded grid."""
    bones = np.choose(knee.labels, [0, 1, 0, 2, 0, 3, 0]).astype(np.uint8)
    bones[fibula(knee, rng) & (bones == 0)] = 4
    f = frame(knee, bones)
    half = soft_tissue(knee, f, rng)
    joint_space(half, knee, f, bones, rng)
    codes = half.repeat(2, 0).repeat(2, 1).repeat(2, 2)[tuple(slice(0, n) for n in bones.shape)]
    codes = np.ascontiguousarray(codes)
    codes[np.isin(knee.labels, (2, 4, 6))] = 11
    codes[(bones == 0) & (codes >= 20)] = 3
    bone_parts(codes, knee, bones, rng)
    return codes
