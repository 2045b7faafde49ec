"""Bones given as a mask: the way in for any joint, and for a segmentation made elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import yaml
from scipy import ndimage

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.errors import GeometryError, UsageError
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.measurement import QcCheck, Severity
from marrowscope.study.segmentation import looks_like_dicom_file
from marrowscope.tables import parse_yaml
from marrowscope.volume import Volume, resample

GIVEN_MASK = "given mask"
"""What an anatomy's source says of bones that were given, and an assessment's provenance after it."""

SEARCH_REGION = "search_region"
"""Code of a mask with one label and no names: where to search, bone unknown."""

MINIMUM_OVERLAP = 0.98
"""Share of a given mask that must lie inside the fluid grid; less means it belongs to another series."""

RUN, MASKS = "run.json", "masks"
"""Where a results folder keeps the names of its label values, and the masks themselves."""

MOST_LABELS = 65535
"""Highest label of a mask; label maps are kept with 16 bits."""


def segment(exam: Exam, bones: Path | Volume) -> Anatomy:
    """The given mask as anatomy, resampled to the fluid grid when its own grid differs.

    A label map's names come from a YAML of the same stem beside it (``1: femur``), or from the ``run.json`` of the
    results folder that it lies in; without either, a single label is the search region.

    A DICOM SEG names its segments itself, and may bring regions (see :mod:`marrowscope.anatomy.from_seg`).

    Raises:
        GeometryError: the mask does not lie on the exam. UsageError: several labels without names, or no label.
        StudyError: a SEG that cannot be read.
    """
    if isinstance(bones, Path) and looks_like_dicom_file(bones):
        return _of_seg(exam, bones)
    volume, names = _read(bones) if isinstance(bones, Path) else (bones, None)
    return segment_map(exam, _labels_on(exam.image, volume, names), LabelMap.empty(exam.image))


def check(bones: Path, image: Volume) -> None:
    """Raise what :func:`segment` would of a mask file, without an exam; of a DICOM SEG nothing is told before.

    Args:
        bones: the file. image: a volume on the fluid series' grid.
    """
    if not looks_like_dicom_file(bones):
        _labels_on(image, *_read(bones))


def _labels_on(image: Volume, volume: Volume, names: dict[int, str] | None) -> LabelMap:
    labels = _integers(volume)
    on_grid = labels if labels.same_grid(image) else resample(labels, image, order=0)
    _check_overlap(labels, on_grid)
    values = [int(v) for v in np.unique(on_grid.array) if v]
    return LabelMap(on_grid, _names(values, names))


def _of_seg(exam: Exam, path: Path) -> Anatomy:
    from marrowscope.anatomy.from_seg import bones_from_seg

    drawn = bones_from_seg(path, exam, SEARCH_REGION)
    notes = tuple(QcCheck("given_bones", Severity.NOTE, note) for note in drawn.notes)
    return segment_map(exam, drawn.bones, drawn.regions, notes)


def segment_map(exam: Exam, bones: LabelMap, regions: LabelMap, notes: tuple[QcCheck, ...] = ()) -> Anatomy:
    """Bones and regions that lie on the exam's grid already, as anatomy."""
    return Anatomy(
        bones=bones,
        regions=regions,
        depth_mm=None,
        uncertain=rim(bones.mask(), exam.image.slice_axis),
        qc=(QcCheck("bones", Severity.OK, "the search region was given as a mask"), *notes),
        source=GIVEN_MASK,
    )


def abstain(exam: Exam, found: str, consequence: str) -> Anatomy:
    """No bones: empty maps and a REFUSE verdict."""
    empty = LabelMap.empty(exam.image)
    check = QcCheck("bones", Severity.REFUSE, found, consequence)
    return Anatomy(empty, empty, None, np.zeros(exam.image.shape, dtype=bool), (check,), "none")


def rim(mask: BoolArray, slice_axis: int) -> BoolArray:
    """The outermost in-plane voxel layer of a mask: partial volume with cortex, so never lesion by itself."""
    flat = ndimage.generate_binary_structure(3, 1)
    outside_plane = [slice(None)] * 3
    outside_plane[slice_axis] = slice(0, None, 2)
    flat[tuple(outside_plane)] = False
    return np.asarray(mask & ~ndimage.binary_erosion(mask, flat, border_value=1))


def _read(path: Path) -> tuple[Volume, dict[int, str] | None]:
    from marrowscope.study.nifti import read_nifti

    volume, _ = read_nifti(path)
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    sidecar, run = path.with_name(f"{stem}.yaml"), path.resolve().parent.parent / RUN
    if sidecar.is_file():
        return volume, _names_in(sidecar)
    if path.resolve().parent.name == MASKS and run.is_file():
        return volume, _names_of_results(run, stem)
    return volume, None


def _names_of_results(run: Path, mask: str) -> dict[int, str]:
    """Label to name of a mask that lies in a results folder, from its ``run.json``.

    Raises:
        UsageError: the record cannot be read, or has no names for that mask.
    """
    try:
        names = json.loads(run.read_text(encoding="utf-8"))["labels"][mask]
        return {int(label): str(name) for label, name in names.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{run.name} beside {MASKS}/ holds no names for {mask}",
            "a whole results folder",
            f"put {mask}.yaml with lines such as '1: femur' beside the mask",
        ) from error


def _names_in(sidecar: Path) -> dict[int, str]:
    """Label to name, from the YAML beside a mask.

    Raises:
        UsageError: it is no YAML, or holds something else than whole numbers with a name each.
    """
    try:
        data = parse_yaml(sidecar.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{sidecar.name} cannot be read as YAML", "lines such as '1: femur', in UTF-8") from error
    if not isinstance(data, dict):
        raise UsageError(f"{sidecar.name} holds no names", "lines such as '1: femur'")
    for label, name in data.items():
        if not re.fullmatch(r"\d+", str(label)) or not isinstance(name, str) or not name.strip():
            raise UsageError(f"{sidecar.name}: {label!r}: {name!r}", "a whole label and its name, e.g. '1: femur'")
    return {int(label): name for label, name in data.items()}


def _integers(volume: Volume) -> Volume:
    rounded = np.rint(volume.array)
    if float(rounded.max()) > MOST_LABELS:
        raise UsageError(f"a bone mask with label {float(rounded.max()):.0f}", f"labels of {MOST_LABELS} at most")
    if not np.allclose(volume.array, rounded) or rounded.min() < 0:
        raise UsageError("a bone mask with fractions or negative values", "whole labels, 0 = outside")
    return volume.with_array(rounded.astype(np.uint16))


def _check_overlap(labels: Volume, on_grid: Volume) -> None:
    before = float((labels.array > 0).sum()) * labels.voxel_volume_mm3
    after = float((on_grid.array > 0).sum()) * on_grid.voxel_volume_mm3
    if before == 0:
        raise UsageError("a bone mask without any label", "at least one non-zero voxel")
    if after < MINIMUM_OVERLAP * before and not labels.same_grid(on_grid):
        raise GeometryError(
            f"a bone mask of which {100 * after / before:.0f} % lies on the fluid series",
            f"at least {100 * MINIMUM_OVERLAP:.0f} %",
            "give a mask drawn on this study's fluid series",
        )


def _names(values: list[int], names: dict[int, str] | None) -> dict[int, str]:
    if names is not None:
        missing = [v for v in values if v not in names]
        if missing:
            raise UsageError(f"mask labels without a name: {missing}", "one line a label in the YAML beside the mask")
        return {v: names[v] for v in values}
    if len(values) > 1:
        raise UsageError(f"a mask with labels {values} and no names", "a YAML beside it, e.g. '1: femur'")
    return {values[0]: SEARCH_REGION}
