"""Sacroiliac cases with readers' masks, as the benchmark meets them: as they are, or changed in one way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from marrowscope.errors import UsageError
from marrowscope.volume import Volume

if TYPE_CHECKING:
    from marrowscope.labelmap import BoolArray
    from marrowscope.study import Study

COARSER = 1.3
TILT_DEGREES = 10.0
NOISE_SHARE = 0.08
"""Standard deviation of the noise added, as a share of the picture's 98th percentile."""


@dataclass(frozen=True, eq=False)
class Case:
    """One exam with what readers drew.

    Attributes:
        name: folder name. images: ``fluid`` and, where there is one, ``t1``.
        region: bone region a reader drew, or None. readings: lesion masks by reading, e.g. ``R11``; may be empty.
        hashes: SHA-256 of the image files.
    """

    name: str
    images: dict[str, Volume]
    region: Volume | None
    readings: dict[str, Volume] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()

    def study(self) -> Study:
        """The images as a study, quality judged as for files."""
        from marrowscope.study import FatSuppression, Guess, PatientFacts, Role, Sequence, SequenceClass, Series, Study
        from marrowscope.study.qc import judge

        series = []
        kinds = {"fluid": (Role.FLUID, SequenceClass.STIR), "t1": (Role.T1, SequenceClass.T1)}
        for number, (key, volume) in enumerate(sorted(self.images.items()), start=1):
            role, kind = kinds[key]
            suppressed = FatSuppression.INVERSION if key == "fluid" else FatSuppression.UNKNOWN
            sequence = Sequence(modality="MR", fat_suppression=suppressed)
            series.append(
                Series(
                    uid=key, number=number, description=key, role=role, sequence_class=kind, reasons=(),
                    sequence=sequence, volume=volume, source=None,
                )
            )  # fmt: skip
        judged = judge(tuple(series), PatientFacts())
        return Study("nifti", judged, site=Guess("si_joint"), side=Guess("both"), input_hash="0" * 64)


def find_cases(data: Path) -> list[Case]:
    """Every case of a folder: sub-folders with ``stir.nii.gz``.

    Raises:
        UsageError: none.
    """
    folders = sorted(p.parent for p in data.glob("*/stir.nii.gz"))
    if not folders:
        raise UsageError(f"no case in {data.name}", "folders CASE/stir.nii.gz (and t1, region, lesion_*)")
    return [load_case(f) for f in folders]


def load_case(folder: Path) -> Case:
    """A case folder: ``stir``, and where present ``t1``, ``region`` and ``lesion_*``, all ``.nii.gz``."""
    from marrowscope.study.nifti import read_nifti

    files = {"fluid": folder / "stir.nii.gz", "t1": folder / "t1.nii.gz"}
    present = {k: p for k, p in files.items() if p.is_file()}
    region = folder / "region.nii.gz"
    readings = {p.name.split(".")[0].removeprefix("lesion_"): p for p in sorted(folder.glob("lesion_*.nii.gz"))}
    return Case(
        folder.name,
        {k: read_nifti(p)[0] for k, p in present.items()},
        read_nifti(region)[0] if region.is_file() else None,
        {k: read_nifti(p)[0] for k, p in readings.items()},
        tuple(hashlib.sha256(p.read_bytes()).hexdigest() for p in present.values()),
    )


def mask(volume: Volume) -> BoolArray:
    """A drawn mask as bool."""
    return np.asarray(volume.array > 0)


def _each(case: Case, image: Callable[[Volume], Volume], drawn: Callable[[Volume], Volume]) -> Case:
    region = None if case.region is None else drawn(case.region)
    readings = {k: drawn(v) for k, v in case.readings.items()}
    return replace(case, images={k: image(v) for k, v in case.images.items()}, region=region, readings=readings)


def _mirrored(volume: Volume) -> Volume:
    """The patient mirrored: left becomes right, the grid stays."""
    axis = int(np.argmax(np.abs(volume.directions[0])))
    return volume.with_array(np.ascontiguousarray(np.flip(volume.array, axis)))


def _turned_storage(volume: Volume) -> Volume:
    """The same patient stored with in-plane axes swapped and one turned, affine following."""
    affine = np.array(volume.affine)
    affine[:, [0, 1]] = affine[:, [1, 0]]
    array = np.swapaxes(volume.array, 0, 1)[:, ::-1]
    affine[:3, 3] += affine[:3, 1] * (array.shape[1] - 1)
    affine[:3, 1] *= -1
    return Volume(np.ascontiguousarray(array), affine, volume.slice_axis)


def _resampled(volume: Volume, order: int, matrix: np.ndarray, shape: tuple[int, ...], affine: np.ndarray) -> Volume:
    source = volume.array.astype(np.float32)
    array = ndimage.affine_transform(source, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=1)
    return Volume(array if order else (array > 0.5).astype(np.uint8), affine, volume.slice_axis)


def _coarser(volume: Volume, order: int) -> Volume:
    shape = tuple(max(1, int(n / COARSER)) for n in volume.shape)
    matrix = np.diag([COARSER, COARSER, COARSER, 1.0])
    return _resampled(volume, order, matrix, shape, volume.affine @ matrix)


def _tilted(volume: Volume, order: int) -> Volume:
    """The picture turned in plane by TILT_DEGREES about its centre, stored on the old grid."""
    first, second = volume.in_plane_axes
    angle = np.radians(TILT_DEGREES)
    turn = np.eye(4)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    centre = (np.array(volume.shape) - 1) / 2
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    return _resampled(volume, order, turn, volume.shape, volume.affine)


def _noisy(volume: Volume) -> Volume:
    rng = np.random.default_rng(5)
    values = volume.array.astype(np.float32)
    noise = rng.normal(0, NOISE_SHARE * np.percentile(values, 98), values.shape)
    return volume.with_array(np.maximum(values + noise, 0).astype(np.float32))


def _typed(volume: Volume, kind: str) -> Volume:
    values = volume.array.astype(np.float64)
    top = max(float(values.max()), 1e-6)
    scaled = values / top if kind == "float32" else np.round(values / top * 4000)
    return volume.with_array(scaled.astype(kind))


CHANGES: dict[str, Callable[[Case], Case]] = {
    "as it is": lambda c: c,
    "left-right mirrored": lambda c: _each(c, _mirrored, _mirrored),
    "stored with axes swapped": lambda c: _each(c, _turned_storage, _turned_storage),
    "1.3x coarser": lambda c: _each(c, lambda v: _coarser(v, 1), lambda v: _coarser(v, 0)),
    "10 degrees tilted": lambda c: _each(c, lambda v: _tilted(v, 1), lambda v: _tilted(v, 0)),
    "int16": lambda c: _each(c, lambda v: _typed(v, "int16"), lambda v: v),
    "0-1 float": lambda c: _each(c, lambda v: _typed(v, "float32"), lambda v: v),
    "without T1": lambda c: replace(c, images={k: v for k, v in c.images.items() if k != "t1"}),
    "more noise": lambda c: _each(c, _noisy, lambda v: v),
}
"""Changes that a method must stand, by name."""
