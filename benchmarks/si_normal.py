"""False lesions on normal sacroiliac joints: real bone shapes, simulated images, no edema in them.

``python -m benchmarks si_normal ATLAS [--count 12] [--pictures OUT]``. ATLAS holds closed surfaces of hips and sacra of
twelve people (files ``sacrum_SacrumN_cpd.vtk``, ``left_LeftHipN_cpd.vtk``, ``right_RightHipN_cpd.vtk``, LPS mm;
rhan93 pelvis atlas, CC BY 4.0). Soft tissue, spinal fluid and a last lumbar vertebra are drawn by rule. Every subject
is scanned as semicoronal STIR and T1 and read as a stranger's study, twice: by the bone network, and with the true
bones given. Prints one line a subject and a summary as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.anatomy.given import segment_map
from marrowscope.assessment.pipeline import detect, prepare
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.choose import detect_lesions
from marrowscope.lesion.types import LesionKind, Objects
from marrowscope.measurement import Severity
from marrowscope.simulate.protocols import SeriesProtocol, load_protocol
from marrowscope.simulate.sampling import sample
from marrowscope.simulate.scanner import Imperfections, acquire
from marrowscope.simulate.tissue_map import TissueMap
from marrowscope.simulate.tissues import load_tissues
from marrowscope.study import FatSuppression, Guess, PatientFacts, Role, Sequence, SequenceClass, Series, Study
from marrowscope.study.qc import judge
from marrowscope.volume import Volume

FINE_MM = 1.0
"""Voxel of the grid the tissues are drawn on."""
CORTEX_MM = 1.2
JOINT_MM = 2.0
"""Voxels this near to both bones, and outside both, are joint cartilage."""
MATRIX, PIXEL_MM, SLICE_MM, SLICES = (336, 336), 0.6, 3.3, 25
"""A common semicoronal protocol; ``simulate`` holds timings only for knees."""
STEEPEST = np.radians(40.0)
"""Semicoronal slices are not tilted further, however the sacrum lies."""
MARGIN_MM = 8.0
BODY_MM = (175.0, 115.0)
"""Half axes of the trunk, to the side and to the front and back (judgement)."""
FAT_MM = 25.0
SPINE_MM = (24.0, 15.0, 13.0)
"""Half axes of the last lumbar body: to the side, to the front and back, along the spine (judgement)."""
NOISES = (0.04, 0.08, 0.12)
"""Noise as a share of muscle, taken in turn."""
CONTRASTS = {"usual": (0.72, 0.85), "nulled": (1.0, 1.0)}
"""Inversion time over the one that nulls fat. Marrow of five real sacroiliac STIR exams is 0.95 to 1.5 times as bright
as muscle, which takes a short inversion time; ``nulled`` leaves it at about half of muscle."""
TE_MS = 60.0

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
BONES = ("sacrum", "left_ilium", "right_ilium", "lumbar_body")


@dataclass(frozen=True, eq=False)
class Pelvis:
    """Bones of one person on a fine grid, index order (x, y, z).

    Attributes:
        bones: (nx, ny, nz) uint8, 0 none, then 1 + place in ``BONES``. affine: index to LPS mm.
        centre: middle of the sacrum, mm. down: unit vector along the sacrum, to the tail.
    """

    bones: npt.NDArray[np.uint8]
    affine: Float
    centre: Float
    down: Float


def surface(path: Path) -> tuple[Float, npt.NDArray[np.int64]]:
    """Points (n, 3) mm and triangles (m, 3) of an ASCII legacy VTK surface."""
    text = path.read_text(encoding="ascii")
    points, faces = text.index("POINTS"), text.index("POLYGONS")
    many = int(text[points:].split(maxsplit=2)[1])
    coordinates = np.array(text[points:faces].split()[3 : 3 + 3 * many], float).reshape(-1, 3)
    count = int(text[faces:].split(maxsplit=2)[1])
    triangles = np.array(text[faces:].split()[3 : 3 + 4 * count], int).reshape(-1, 4)[:, 1:]
    return coordinates, triangles


def filled(points: Float, triangles: npt.NDArray[np.int64], shape: tuple[int, int, int]) -> Bool:
    """Voxels inside a surface given in index units, by crossings along each axis; two of three must agree."""
    votes = np.zeros(shape, np.uint8)
    for axis in range(3):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        inside = _crossings(points[:, order][triangles], tuple(shape[a] for a in order))
        votes += np.moveaxis(inside, (0, 1, 2), order).astype(np.uint8)
    return np.asarray(votes >= 2)


def _crossings(corners: Float, shape: tuple[int, ...]) -> Bool:
    """Inside by parity along the last axis. ``corners`` (m, 3 corners, 3 coordinates)."""
    toggles = np.zeros((shape[0], shape[1], shape[2] + 1), np.uint16)
    nudge = 1e-4  # no voxel centre lies exactly on an edge
    for a, b, c in corners:
        low = np.maximum(np.ceil(np.min((a, b, c), axis=0)[:2] - 2 * nudge).astype(int), 0)
        high = np.minimum(np.floor(np.max((a, b, c), axis=0)[:2]).astype(int), np.array(shape[:2]) - 1)
        if (high < low).any():
            continue
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
        x, y = x.ravel() + nudge, y.ravel() + nudge * 1.7
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-12:
            continue
        v = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        w = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        hit = (v >= 0) & (w >= 0) & (v + w <= 1)
        depth = a[2] + v[hit] * (b[2] - a[2]) + w[hit] * (c[2] - a[2])
        first = np.clip(np.ceil(depth).astype(int), 0, shape[2])
        np.add.at(toggles, (x[hit].astype(int), y[hit].astype(int), first), 1)
    return np.asarray(np.cumsum(toggles, axis=2)[:, :, :-1] % 2 == 1)


def read_pelvis(atlas: Path, number: int) -> Pelvis:
    """One person's bones, turned so that the sacrum's long axis can be followed."""
    names = (f"sacrum_Sacrum{number}", f"left_LeftHip{number}", f"right_RightHip{number}")
    meshes = [surface(atlas / f"{name}_cpd.vtk") for name in names]
    sacrum = meshes[0][0]
    centre = sacrum.mean(0)
    spread = np.linalg.eigh(np.cov((sacrum - centre)[:, 1:].T))[1][:, -1]
    down = np.array([0.0, *spread]) * (-1 if spread[1] > 0 else 1)
    reach = np.array([MATRIX[0] * PIXEL_MM / 2] * 3) + MARGIN_MM
    low = centre - reach
    wide, deep, high = (int(2 * r / FINE_MM) for r in reach)
    shape = (wide, deep, high)
    affine = np.diag([FINE_MM, FINE_MM, FINE_MM, 1.0])
    affine[:3, 3] = low
    bones = np.zeros(shape, np.uint8)
    for number_of_bone, (points, triangles) in enumerate(meshes, start=1):
        bones[filled((points - low) / FINE_MM, triangles, shape) & (bones == 0)] = number_of_bone
    _add_vertebra(bones, affine, sacrum, centre, down)
    return Pelvis(bones, affine, centre, down)


def _add_vertebra(bones: npt.NDArray[np.uint8], affine: Float, sacrum: Float, centre: Float, down: Float) -> None:
    """The last lumbar body above the sacrum's upper end, a disc's height away."""
    along = (sacrum - centre) @ down
    top = sacrum[along < np.percentile(along, 6)].mean(0)
    middle = top - down * (SPINE_MM[2] + 8)
    front = np.array([0.0, -down[2], down[1]])
    offset = _world(bones.shape, affine) - middle[:, None, None, None]
    parts = (offset[0], np.tensordot(front, offset, 1), np.tensordot(down, offset, 1))
    far = sum(np.abs(p / half) ** 4 for p, half in zip(parts, SPINE_MM, strict=True))
    bones[(far < 1) & (bones == 0)] = 1 + BONES.index("lumbar_body")


def _world(shape: tuple[int, ...], affine: Float) -> Float:
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij"))
    return np.asarray(index * FINE_MM + affine[:3, 3][:, None, None, None])


def tissues_of(pelvis: Pelvis, field_t: float, rng: np.random.Generator) -> TissueMap:
    """Everything a scanner sees of a normal pelvis: marrow with red islands, cortex, joint, canal, muscle, fat."""
    table = load_tissues(field_t)
    shape = pelvis.bones.shape
    offset = _world(shape, pelvis.affine) - pelvis.centre[:, None, None, None]
    body = np.hypot(offset[0] / BODY_MM[0], (offset[1] + 45) / BODY_MM[1])
    septa = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), (2, 2, 5))
    names = np.full(shape, table.label("muscle"), np.uint8)
    names[septa > 1.1 * septa.std()] = table.label("deep_fat")
    names[body > 1 - FAT_MM / BODY_MM[1]] = table.label("subcutaneous_fat")
    names[body > 1] = table.label("air")
    _soft_parts(names, pelvis, offset, table.label, rng)
    bone = pelvis.bones > 0
    depth = np.asarray(ndimage.distance_transform_edt(bone)) * FINE_MM
    names[bone] = table.label("cortical_bone")
    names[depth > CORTEX_MM] = table.label("yellow_marrow")
    patches = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 9)
    red = np.clip(rng.uniform(0.25, 0.55) + 0.12 * patches / patches.std(), 0, 0.9).astype(np.float32)
    grain = (1 + 0.06 * rng.standard_normal(shape, dtype=np.float32)).astype(np.float32)
    plain = replace(TissueMap.from_labels(names, pelvis.affine), texture=grain)
    return plain.with_layers(plain.layer(table.label("red_marrow"), table.label("yellow_marrow"), red))


def _soft_parts(
    names: npt.NDArray[np.uint8], pelvis: Pelvis, offset: Float, label: Callable[[str], int], rng: np.random.Generator
) -> None:
    """Joint cartilage, the spinal canal's fluid and vessels beside the bones; bones are drawn over them later."""
    near = [np.asarray(ndimage.distance_transform_edt(pelvis.bones != n)) * FINE_MM for n in (1, 2, 3)]
    for ilium in (1, 2):
        names[np.maximum(near[0], near[ilium]) < JOINT_MM] = label("cartilage")
    along = np.tensordot(pelvis.down, offset, 1)
    behind = np.tensordot(np.array([0.0, -pelvis.down[2], pelvis.down[1]]), offset, 1)
    canal = np.hypot(offset[0], behind - 22) < np.clip(8 - 0.06 * (along + 40), 0, 8)
    names[canal] = label("fluid")
    for _ in range(6):
        start = np.array([rng.choice([-1, 1]) * rng.uniform(25, 60), rng.uniform(-45, -25)])
        drift = rng.uniform(-0.3, 0.3, 2)
        far = np.hypot(offset[0] - start[0] - drift[0] * along, behind - start[1] - drift[1] * along)
        names[far < rng.uniform(1.5, 4)] = label("venous_blood")


def protocol_of(name: str, field_t: float, early: float) -> SeriesProtocol:
    """A knee protocol with the sacroiliac field of view; ``early`` multiplies the inversion time."""
    fov = (MATRIX[0] * PIXEL_MM, MATRIX[1] * PIXEL_MM)
    base = load_protocol(name, field_t)
    if base.sequence.ti_ms is not None:
        base = replace(base, sequence=replace(base.sequence, ti_ms=base.sequence.ti_ms * early, te_ms=TE_MS))
    return replace(base, fov_mm=fov, matrix=MATRIX, thickness_mm=SLICE_MM, gap_mm=0.0, slices=SLICES)


def scanned(pelvis: Pelvis, contrast: str, noise: float, rng: np.random.Generator) -> tuple[Study, LabelMap]:
    """STIR and T1 as a study, and the bones on the STIR grid."""
    early = float(rng.uniform(*CONTRASTS[contrast]))
    field_t = float(rng.choice([1.5, 3.0]))
    tissues, table = tissues_of(pelvis, field_t, rng), load_tissues(field_t)
    angle = np.clip(np.arctan2(-pelvis.down[1], -pelvis.down[2]), -STEEPEST, STEEPEST)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    series = []
    rows = (("stir_cor", Role.FLUID, SequenceClass.STIR), ("t1_cor", Role.T1, SequenceClass.T1))
    for number, (name, role, kind) in enumerate(rows, start=1):
        protocol = protocol_of(name, field_t, early)
        grid = protocol.grid(pelvis.centre, turn)
        faults = Imperfections(noise=noise, shading=0.3)
        image = acquire(tissues, table, protocol, grid, imperfections=faults, rng=rng)
        suppressed = FatSuppression.INVERSION if role is Role.FLUID else FatSuppression.UNKNOWN
        sequence = Sequence(modality="MR", fat_suppression=suppressed)
        series.append(Series(role.value, number, name, role, kind, (), sequence, grid.with_array(image * 1000)))
    judged = judge(tuple(series), PatientFacts(age_years=40.0))
    study = Study("nifti", judged, site=Guess("si_joint"), side=Guess("both"), input_hash="0" * 64)
    return study, _labels(pelvis, series[0].volume)


def _labels(pelvis: Pelvis, grid: Volume) -> LabelMap:
    """The bone that fills most of each voxel of the slices, if more than half."""
    shares = [
        sample(Volume((pelvis.bones == n).astype(np.float32), pelvis.affine), grid, slice_mm=SLICE_MM)
        for n in range(1, len(BONES) + 1)
    ]
    best = np.argmax(shares, axis=0) + 1
    array = np.where(np.max(shares, axis=0) > 0.5, best, 0).astype(np.uint16)
    return LabelMap(grid.with_array(array), {n: code for n, code in enumerate(BONES, start=1) if (array == n).any()})


def read(study: Study, truth: LabelMap, path: Path | None = None) -> dict[str, Any]:
    """What the program finds, by its own bones and by the true ones."""
    exam = prepare(study, "si_joint")
    own = detect(exam)
    given = detect_lesions(exam, segment_map(exam, truth, LabelMap.empty(truth.volume)))
    ours, true = own.anatomy.bones.mask(), truth.mask()
    checks = (*own.anatomy.qc, *own.qc)
    if path is not None:
        picture(study, (ours, own.lesions.mask()), path)
    return {
        "refused": "; ".join(c.message for c in checks if c.severity is Severity.REFUSE),
        "region_dice": round(float(2 * (ours & true).sum() / max(1, ours.sum() + true.sum())), 3),
        "own_bones": false_marks(own),
        "given_bones": false_marks(given),
    }


def false_marks(objects: Objects) -> list[float]:
    """cm3 of every edema object found."""
    edema = [o.label for o in objects.objects if o.kind is LesionKind.EDEMA]
    sizes = np.bincount(objects.lesions.volume.array.ravel(), minlength=max(edema, default=0) + 1)
    return sorted((round(float(sizes[n] * _voxel_cm3(objects)), 2) for n in edema), reverse=True)


def _voxel_cm3(objects: Objects) -> float:
    """cm3 of a voxel."""
    return float(objects.lesions.volume.voxel_volume_mm3 / 1000)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over all subjects."""
    out: dict[str, Any] = {"joints": len(rows), "refused": sum(bool(r["refused"]) for r in rows)}
    for way in ("own_bones", "given_bones"):
        marks = [r[way] for r in rows]
        out[way] = {
            "marks": sum(len(m) for m in marks),
            "marks_over_0.2_cm3": sum(v > 0.2 for m in marks for v in m),
            "subjects_without_a_mark": sum(not m for m in marks),
            "cm3_a_subject": [round(sum(m), 2) for m in marks],
        }
    return out


def picture(study: Study, masks: tuple[Bool, Bool], path: Path) -> None:
    """Eight slices of both series; bones found outlined green, edema found outlined red."""
    from PIL import Image

    rows = []
    for k in range(2, 25, 3):
        tiles = []
        for series in study.series:
            level = series.volume.array[:, :, k] / np.percentile(series.volume.array, 99.5)
            tile = np.repeat((np.clip(level, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
            for mask, colour in zip(masks, ((0, 200, 0), (255, 0, 0)), strict=True):
                tile[mask[:, :, k] & ~ndimage.binary_erosion(mask[:, :, k])] = colour
            tiles.append(tile.swapaxes(0, 1))
        rows.append(np.hstack(tiles))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack([np.hstack(rows[n : n + 2]) for n in range(0, len(rows), 2)])).save(path)


def main(arguments: Many[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks si_normal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--contrast", choices=tuple(CONTRASTS), default="usual")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args(arguments)
    numbers = sorted(int(p.name.removeprefix("sacrum_Sacrum").split("_")[0]) for p in given.atlas.glob("sacrum_*.vtk"))
    rows = []
    for place, number in enumerate(numbers[: given.count]):
        rng = np.random.default_rng([7, number])
        study, truth = scanned(read_pelvis(given.atlas, number), given.contrast, NOISES[place % len(NOISES)], rng)
        path = given.pictures / f"{number}.png" if given.pictures else None
        rows.append({"subject": number, "noise": NOISES[place % len(NOISES)], **read(study, truth, path)})
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(summary(rows), indent=1))
    return 0
