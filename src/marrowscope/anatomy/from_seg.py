"""Bones (and regions, where they are named) out of a DICOM SEG, on the exam's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marrowscope.anatomy.types import Exam
from marrowscope.errors import GeometryError, UsageError
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.sites import Site, load_site
from marrowscope.study.seg_grid import Placed, place
from marrowscope.study.segmentation import ABNORMAL, Segment, Segmentation, read_segmentation
from marrowscope.study.types import SourceFrames

SIDES = ("left", "right")


@dataclass(frozen=True, eq=False)
class DrawnBones:
    """What a SEG gives.

    Attributes:
        bones, regions: on the exam's grid; regions are empty where none is named. notes: what was done on the way.
    """

    bones: LabelMap
    regions: LabelMap
    notes: tuple[str, ...]


def bones_from_seg(path: Path, exam: Exam, unnamed: str) -> DrawnBones:
    """Bones of a SEG: segments named or coded as bones of the site; if none is, all that are no lesions.

    Args:
        path: the SEG. exam: whose grid. unnamed: code of a single segment that names no bone.

    Raises:
        GeometryError: drawn in another space. UsageError: no bone in it. StudyError: it cannot be read.
    """
    drawn = read_segmentation(path)
    check_space(drawn, exam)
    site = load_site(exam.site)
    rest = [s for s in drawn.segments if s.category != ABNORMAL]
    bones = {s.number: code for s in rest if (code := part_of(s, site, "bones"))}
    regions = {s.number: code for s in rest if s.number not in bones and (code := part_of(s, site, "regions"))}
    unused = [s.name for s in rest if s.number not in bones | regions] if bones else []
    if not bones:
        bones = {rest[0].number: unnamed} if len(rest) == 1 else {s.number: s.name for s in rest}
        regions = {}
    if not bones:
        raise UsageError("a SEG in which every segment is a lesion or empty", "a segment a bone")
    placed = {s.number: place(s, exam.image) for s in rest if s.number in bones | regions}
    notes = [f"{(bones | regions)[n]}: {p.note}" for n, p in placed.items() if p.note]
    notes += [f"segments that name no bone of the {site.label} left out: {', '.join(unused)}"] if unused else []
    bone_map, shared = _map(exam, bones, placed)
    notes += [f"{shared} voxels in two bones given to the first"] if shared else []
    return DrawnBones(bone_map, _map(exam, regions, placed)[0], tuple(notes))


def check_space(drawn: Segmentation, exam: Exam) -> None:
    """Whether the SEG lies in the exam's own space: its frame of reference, or drawn on its very series.

    Raises:
        GeometryError: neither.
    """
    source = exam.fluid.source
    if not isinstance(source, SourceFrames):
        raise GeometryError("a DICOM SEG for a study that is not DICOM", "a NIfTI mask, or the DICOM study")
    same = drawn.frame_of_reference_uid == source.frame_of_reference_uid != ""
    if not same and source.series_instance_uid not in drawn.series_uids:
        raise GeometryError(
            "a SEG in another frame of reference than the fluid series",
            "one drawn on this study",
            "draw it on this study's images, or register it there first",
        )


def part_of(segment: Segment, site: Site, kind: str) -> str:
    """Code of the bone or region that a segment names, by name, then by its coded type; empty when it is neither."""
    parts = site.bones if kind == "bones" else site.regions
    paired = [f"{side}_{p.code}" for p in parts if p.paired for side in SIDES]
    names = {p.code for p in parts} | set(paired) | {"_".join(p.label.lower().split()) for p in parts}
    if segment.name in names:
        return next((p.code for p in parts if "_".join(p.label.lower().split()) == segment.name), segment.name)
    coded = next((p for p in parts if p.term and p.term.value == segment.type_code), None)
    if coded is None:
        return ""
    return f"{segment.side}_{coded.code}" if coded.paired and segment.side else coded.code


def _map(exam: Exam, codes: dict[int, str], placed: dict[int, Placed]) -> tuple[LabelMap, int]:
    """The label map, and how many voxels two segments claimed (the first keeps them)."""
    masks: dict[str, BoolArray] = {}
    taken = np.zeros(exam.image.shape, dtype=bool)
    shared = 0
    for number, code in codes.items():
        mask = placed[number].mask
        shared += int((mask & taken).sum())
        masks[code] = masks.get(code, np.zeros_like(taken)) | (mask & ~taken)
        taken |= mask
    return LabelMap.from_masks(exam.image, {c: m for c, m in masks.items() if m.any()}), shared
