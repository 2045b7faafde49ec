"""Bone marrow edema as a share of the marrow, scaled until its half-share volume is the one asked for.

The true volume of a lesion is that of the fine voxels whose marrow is edema by at least a half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowscope.errors import UsageError
from marrowscope.simulate.anatomy import Anatomy, Bone
from marrowscope.simulate.artefacts import Generator, smooth_field
from marrowscope.simulate.marrow import MarrowContents
from marrowscope.simulate.sampling import grid_volume
from marrowscope.simulate.signal import Float32Array
from marrowscope.tables import parse_yaml
from marrowscope.volume import FloatArray

LESION_FILE = Path(__file__).parent / "data" / "lesions.yaml"

EDEMA_SHARE = 0.5
"""Marrow that is edema by at least this share counts as lesion (issue 2)."""

LEAST_SHARE = 0.1
"""Where lesions overlap, one that contributes less than this to a voxel cannot own it."""

SCALE_STEPS = 18
"""Bisection steps for a lesion's scale; each halves the error, 18 leave less than one voxel."""

SCALE_RANGE_MM = (0.5, 60.0)
"""Range of a lesion's mean radius that bisection searches."""


@dataclass(frozen=True)
class LesionRequest:
    """One lesion to draw.

    Attributes:
        site: key of ``sites`` in the lesion file.
        volume_cm3: its volume at half share.
        pattern: key of ``patterns``.
    """

    site: str
    volume_cm3: float
    pattern: str = "subchondral"

    def __post_init__(self) -> None:
        data, limits = lesion_data(), lesion_data()["volume_cm3"]
        for word, known in ((self.site, data["sites"]), (self.pattern, data["patterns"])):
            if word not in known:
                raise UsageError(f"{word!r} in a lesion", f"one of {', '.join(known)}")
        if not limits["smallest"] <= self.volume_cm3 <= limits["largest"]:
            expected = f"{limits['smallest']:g} to {limits['largest']:g} cm3"
            raise UsageError(f"a lesion of {self.volume_cm3:g} cm3", expected)


@dataclass(frozen=True)
class LesionTruth:
    """One lesion as drawn.

    Attributes:
        label: its number in the truth masks, from 1.
        site, pattern, bone: what and where.
        volume_mm3: fine voxels at half share or more, once everything else was drawn.
        centre_mm: their centre of mass, LPS.
    """

    label: int
    site: str
    pattern: str
    bone: str
    volume_mm3: float
    centre_mm: tuple[float, float, float]


@lru_cache(maxsize=1)
def lesion_data() -> dict[str, Any]:
    """The lesion file as plain data."""

    data: dict[str, Any] = parse_yaml(LESION_FILE.read_text(encoding="utf-8"))
    return data


def draw_lesions(
    requests: tuple[LesionRequest, ...],
    anatomy: Anatomy,
    contents: Mapping[str, MarrowContents],
    rng: Generator,
) -> tuple[tuple[LesionTruth, ...], npt.NDArray[np.uint8]]:
    """Draw lesions into the marrow.

    Args:
        requests: what to draw.
        anatomy: the knee.
        contents: marrow of each bone; changed in place.
        rng: draws ragged borders and fracture lines.

    Returns:
        The lesions as drawn, and a uint8 label map over the fine grid (0 = none). Where lesions meet, a voxel
        belongs to the one that contributes most.
    """
    shares = [_draw(request, anatomy, contents, rng) for request in requests]
    labels = np.zeros(anatomy.tissues.labels.shape, np.uint8)
    best = np.zeros(labels.shape, np.float32)
    for number, (request, share) in enumerate(zip(requests, shares, strict=True), start=1):
        bone = anatomy.bones[_site(request)["bone"]]
        whole = (contents[bone.name].shares["marrow_edema"] >= EDEMA_SHARE) & (bone.marrow >= EDEMA_SHARE)
        mine = whole & (share > np.maximum(best[bone.box], LEAST_SHARE))
        labels[bone.box][mine], best[bone.box][mine] = number, share[mine]
    truths = tuple(_truth(request, number, labels, anatomy) for number, request in enumerate(requests, start=1))
    return truths, labels


def _site(request: LesionRequest) -> Mapping[str, Any]:
    site: Mapping[str, Any] = lesion_data()["sites"][request.site]
    return site


def _truth(request: LesionRequest, number: int, labels: npt.NDArray[np.uint8], anatomy: Anatomy) -> LesionTruth:
    where = np.argwhere(labels == number)
    centre = anatomy.tissues.grid.to_world(where.mean(axis=0)) if len(where) else np.full(3, np.nan)
    x, y, z = (round(float(c), 2) for c in centre)
    volume = len(where) * anatomy.tissues.grid.voxel_volume_mm3
    return LesionTruth(number, request.site, request.pattern, _site(request)["bone"], volume, (x, y, z))


def _draw(
    request: LesionRequest, anatomy: Anatomy, contents: Mapping[str, MarrowContents], rng: Generator
) -> Float32Array:
    """Put one lesion into its bone; returns its share of the marrow before anything later displaces it."""
    from scipy.special import expit

    site, pattern = _site(request), lesion_data()["patterns"][request.pattern]
    bone = anatomy.bones[site["bone"]]
    shape = bone.depth.shape
    grid = grid_volume((shape[0], shape[1], shape[2]), anatomy.tissues.affine)
    ragged = 0.7 * smooth_field(grid, rng, 7.0) + 0.3 * smooth_field(grid, rng, 3.0)
    soft = float(rng.uniform(*pattern["soft_mm"]))
    centre = np.array(site["anchor"], dtype=np.float64) + rng.uniform(-2.5, 2.5, 3)
    centre += _inward(anatomy, bone.name, centre) * pattern["depth_mm"]
    radii = np.array(site["radii"]) * rng.uniform(0.85, 1.15, 3)
    offsets = [axis[bone.box] - np.float32(c) for axis, c in zip(_axes(anatomy), centre, strict=True)]
    stretched = np.sqrt(sum((o / np.float32(r)) ** 2 for o, r in zip(offsets, radii, strict=True)))
    core, features = _features(request, np.asarray(stretched), anatomy, centre, ragged)
    border = np.asarray(stretched) + np.float32(min(pattern["ragged_mm"], request.volume_cm3 ** (1 / 3) * 2)) * ragged

    def share_at(radius: float) -> Float32Array:
        return np.asarray((1 - core) * expit((np.float32(radius) - border) / np.float32(soft)), dtype=np.float32)

    voxels = request.volume_cm3 * 1000 / grid.voxel_volume_mm3
    share = share_at(_radius_for(voxels, share_at, bone.marrow))
    contents[bone.name].put("marrow_edema", share)
    for tissue, part in features:
        contents[bone.name].put(tissue, part)
    return share


def _radius_for(voxels: float, share_at: Callable[[float], Float32Array], marrow: Float32Array) -> float:
    low, high = SCALE_RANGE_MM
    inside = marrow >= EDEMA_SHARE
    for _ in range(SCALE_STEPS):
        middle = (low + high) / 2
        if np.count_nonzero((share_at(middle) >= EDEMA_SHARE) & inside) < voxels:
            low = middle
        else:
            high = middle
    return high


def _axes(anatomy: Anatomy) -> tuple[Float32Array, Float32Array, Float32Array]:
    return anatomy.points.u, anatomy.points.v, anatomy.points.w


def _inward(anatomy: Anatomy, name: str, centre: FloatArray) -> FloatArray:
    """Unit vector from a lesion's anchor towards the middle of its bone's end."""
    middle = {"femur": (0.0, 2.0, 34.0), "tibia": (0.0, 2.0, -24.0)}.get(name)
    towards = np.array([0.0, 0.0, 1.0 if centre[2] > 0 else -1.0]) if middle is None else np.array(middle) - centre
    return np.asarray(towards / np.linalg.norm(towards))


def _features(
    request: LesionRequest, stretched: Float32Array, anatomy: Anatomy, centre: FloatArray, ragged: Float32Array
) -> tuple[Float32Array, list[tuple[str, Float32Array]]]:
    """What a pattern shows besides edema: the share kept free of edema, and tissues to put in afterwards."""
    feature = lesion_data()["patterns"][request.pattern].get("feature")
    if feature == "rim":
        return _necrosis(min(8.0, 3.0 + 2.0 * request.volume_cm3), stretched)
    bone = anatomy.bones[_site(request)["bone"]]
    lines = [("marrow_sclerosis", _fracture_line(anatomy, bone, centre, ragged))] if feature == "line" else []
    return np.zeros_like(stretched), lines


def _fracture_line(anatomy: Anatomy, bone: Bone, centre: FloatArray, ragged: Float32Array) -> Float32Array:
    """A thin dark line running along the joint surface, a few millimetres below it."""
    from scipy.special import expit

    du, dv, dw = (axis[bone.box] - np.float32(c) for axis, c in zip(_axes(anatomy), centre, strict=True))
    reach = np.sqrt(du * du + dv * dv + dw * dw)
    sheet = np.abs(bone.depth - (5.0 + 0.6 * ragged)) / np.float32(0.6)
    return np.asarray(0.9 * np.exp(-(sheet**2)) * expit((9.0 - reach) / 0.8), dtype=np.float32)


def _necrosis(radius: float, stretched: Float32Array) -> tuple[Float32Array, list[tuple[str, Float32Array]]]:
    """A core that stays fat, ringed by a dark rim and an inner bright line."""
    rim = 0.9 * np.exp(-(((stretched - radius) / 0.9) ** 2))
    inner = 0.8 * np.exp(-(((stretched - radius + 1.8) / 0.8) ** 2))
    from scipy.special import expit

    core = np.asarray(expit((radius - stretched) / 0.3), dtype=np.float32)
    return core, [("marrow_granulation", np.asarray(inner)), ("marrow_sclerosis", np.asarray(rim))]
