"""Voxels to plain records: series, bones, lesions, places in words."""

from __future__ import annotations

import numpy as np

from marrowscope.anatomy.types import Exam
from marrowscope.assessment.types import (
    BoneRecord,
    LesionRecord,
    ReferenceRecord,
    RefusalRecord,
    SeriesRecord,
    SubjectRecord,
)
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.crop import Crop
from marrowscope.lesion.measure import Context, bone_measurements, lesion_measurements
from marrowscope.lesion.types import LesionObject, Objects
from marrowscope.measurement import Measurement
from marrowscope.sites import load_site
from marrowscope.study import Series, Study
from marrowscope.study.types import SourceFrames

SIDES = ("left", "right")


def series_records(exam: Exam) -> tuple[SeriesRecord, ...]:
    """Every series of the study, and what each was used as."""
    used = {exam.fluid.uid: "fluid"} | {c.series.uid: role.value for role, c in exam.companions.items()}
    return tuple(series_record(s, used.get(s.uid, "")) for s in exam.study.series)


def series_record(series: Series, used_as: str) -> SeriesRecord:
    """One series as plain data."""
    a, b, c = series.volume.spacing
    return SeriesRecord(
        uid=series.uid,
        number=series.number,
        description=series.description,
        role=series.role.value,
        sequence_class=series.sequence_class.value,
        plane=series.plane,
        shape=series.volume.shape,
        spacing_mm=(round(a, 4), round(b, 4), round(c, 4)),
        reasons=tuple(r.text for r in series.reasons),
        used_as=used_as,
        field_t=series.sequence.field_t,
    )


def refusal_records(study: Study) -> tuple[RefusalRecord, ...]:
    """Everything that was not used, and why."""
    return tuple(RefusalRecord(r.what, r.code, r.reason) for r in study.refusals)


def subject_record(study: Study) -> SubjectRecord:
    """Age and sex, nothing more."""
    return SubjectRecord(study.patient.age_years, study.patient.sex or "")


def reference_record(objects: Objects) -> ReferenceRecord | None:
    """Reference marrow as plain data, or None when none was found."""
    reference = objects.reference
    if reference is None:
        return None
    figures = [Measurement.of("reference_brightness", reference.median, "1")]
    if reference.muscle:
        figures.append(Measurement.of("reference_over_muscle", reference.median / reference.muscle, "1"))
    else:
        figures.append(Measurement.not_assessable("reference_over_muscle", "1", "muscle could not be found"))
    return ReferenceRecord(reference.trusted, reference.reason, tuple(figures))


def bone_records(objects: Objects) -> tuple[BoneRecord, ...]:
    """Every bone that was searched."""
    site = load_site(objects.exam.site)
    codes = objects.anatomy.bones.codes
    return tuple(BoneRecord(c, site.label_of(c), bone_measurements(objects, c)) for c in codes)


def lesion_records(objects: Objects) -> tuple[LesionRecord, ...]:
    """Every object, largest label order kept."""
    context = Context.of(objects)
    return tuple(_lesion(context, o) for o in objects.objects)


def _lesion(context: Context, found: LesionObject) -> LesionRecord:
    objects = context.objects
    mask = context.crops[found.label]
    bone = _most(objects.anatomy.bones, mask)
    regions = _touched(objects.anatomy.regions, mask)
    key = key_slice(mask, objects.exam.image.slice_axis)
    uid, frame = _source(objects.exam.fluid, key)
    x, y, z = mask.world(objects.exam.image).mean(axis=0)
    return LesionRecord(
        label=found.label,
        code=f"lesion_{found.label}",
        kind=found.kind,
        bone=bone,
        side=_side(bone, objects.exam.side),
        regions=regions,
        place=_place(objects.exam.site, bone, regions),
        confidence=round(found.confidence, 3),
        reasons=found.reasons,
        verdict=found.verdict,
        measurements=lesion_measurements(context, found.label),
        centroid_lps_mm=(round(float(x), 2), round(float(y), 2), round(float(z), 2)),
        key_slice=key,
        key_image_uid=uid,
        key_frame=frame,
    )


def key_slice(crop: Crop, slice_axis: int) -> int:
    """Index of the slice where the object is largest."""
    plane = tuple(a for a in range(3) if a != slice_axis)
    return int(crop.mask.sum(axis=plane).argmax()) + int(crop.box[slice_axis].start)


def _most(labels: LabelMap, mask: Crop) -> str:
    counts = np.bincount(mask.values(labels.volume.array), minlength=1)
    counts[0] = 0
    return labels.names[int(counts.argmax())] if counts.any() else ""


def _touched(labels: LabelMap, mask: Crop) -> tuple[str, ...]:
    counts = np.bincount(mask.values(labels.volume.array), minlength=1)
    counts[0] = 0
    order = np.argsort(-counts, kind="stable")
    return tuple(labels.names[int(n)] for n in order if counts[n] > 0)


def _side(bone: str, side: str) -> str:
    own = next((s for s in SIDES if bone.startswith(f"{s}_")), "")
    return own or (side if side in SIDES else "")


def _place(site: str, bone: str, regions: tuple[str, ...]) -> str:
    words = load_site(site)
    if regions:
        return words.label_of(regions[0])
    return words.label_of(bone) if bone else words.label


def _source(series: Series, index: int) -> tuple[str, int]:
    if not isinstance(series.source, SourceFrames):
        return "", 1
    frame = series.source.frames[index]
    return frame.sop_instance_uid, frame.frame_number or 1
