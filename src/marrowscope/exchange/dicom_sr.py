"""DICOM Structured Report (TID 1500): every measurement with its unit, linked to its segment; unverified.

Each value stands twice: as a decimal string (16 characters) and, exactly as in ``assessment.json``, as a Floating Point
Value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marrowscope import __version__
from marrowscope.assessment.types import LesionRecord
from marrowscope.exchange import codes
from marrowscope.exchange.instance import MANUFACTURER, attributes, fixed_dates, identity, standing
from marrowscope.exchange.uids import derived_uid
from marrowscope.measurement import Measurement

if TYPE_CHECKING:
    import highdicom as hd
    from highdicom.seg import Segmentation
    from highdicom.sr import Comprehensive3DSR

    from marrowscope.assessment import Assessment
    from marrowscope.exchange.source import Source

NO_QUALIFIER = {
    "not_assessable": ("DCM", "114007", "Measurement not attempted"),
    "failed": ("DCM", "114006", "Measurement failure"),
}
"""CID 42 words for a measurement without a value, which is written as a qualitative item: no number stands for it."""


def write_sr(assessment: Assessment, source: Source, seg: Segmentation | None) -> Comprehensive3DSR:
    """The measurement report.

    Args:
        assessment: what is reported. source: what it refers to. seg: the segmentation its lesions are linked to.
    """
    import highdicom as hd

    evidence = [*source.datasets(), *([seg] if seg is not None else [])]
    report = hd.sr.MeasurementReport(
        observation_context=_observer(assessment),
        procedure_reported=codes.coded("procedure", "reported"),
        imaging_measurements=_groups(assessment, source, seg),
        title=codes.make("DCM", "126000", "Imaging Measurement Report"),
        referenced_images=None,
    )
    sr = hd.sr.Comprehensive3DSR(
        evidence=evidence,
        content=report[0],
        **attributes("SR", assessment),
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="marrowscope measurements (draft)",
    )
    fixed_dates(sr, source)
    return sr


def _observer(assessment: Assessment) -> hd.sr.ObservationContext:
    import highdicom as hd

    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", "marrowscope", __version__),
        name="marrowscope",
        manufacturer_name=MANUFACTURER,
        model_name=__version__,
    )
    device_context = hd.sr.ObserverContext(
        observer_type=codes.make("DCM", "121007", "Device"), observer_identifying_attributes=device
    )
    return hd.sr.ObservationContext(observer_device_context=device_context)


def _groups(
    assessment: Assessment, source: Source, seg: Segmentation | None
) -> list[hd.sr.MeasurementsAndQualitativeEvaluations | hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    linked = [_lesion(assessment, x, source, seg) for x in standing(assessment)] if seg is not None else []
    return [*linked, _whole(assessment), *_scores(assessment), *_bones(assessment)]


def _lesion(
    assessment: Assessment, lesion: LesionRecord, source: Source, seg: Segmentation
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    import highdicom as hd

    number = next(int(s.SegmentNumber) for s in seg.SegmentSequence if s.SegmentLabel == lesion.code)
    reference = hd.sr.ReferencedSegment(
        sop_class_uid=str(seg.SOPClassUID),
        sop_instance_uid=str(seg.SOPInstanceUID),
        segment_number=number,
        source_series=hd.sr.SourceSeriesForSegmentation(source.frames.series_instance_uid),
    )
    confidence = Measurement.of("confidence", lesion.confidence, "1")
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=reference,
        tracking_identifier=_tracking(assessment, lesion.code),
        finding_type=codes.coded("types", lesion.kind.value),
        finding_sites=[_site(assessment, lesion.bone or assessment.site, lesion.side)],
        algorithm_id=_algorithm(assessment),
        measurements=_measurements((*lesion.measurements, confidence)),
        qualitative_evaluations=_missing(lesion.measurements),
    )


def _whole(assessment: Assessment) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    import highdicom as hd

    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(assessment, "whole_exam"),
        finding_type=codes.coded("types", "edema"),
        finding_sites=[_site(assessment, assessment.site, assessment.side)],
        measurements=_measurements(assessment.totals),
        qualitative_evaluations=_missing(assessment.totals),
    )


def _scores(assessment: Assessment) -> list[hd.sr.MeasurementsAndQualitativeEvaluations]:
    """One group a score: its total; every cell as a measurement of its own name."""
    import highdicom as hd

    groups = []
    for score in assessment.scores:
        cells = [Measurement.of(c.id.replace(".", "_"), c.value, "1") for c in score.cells if c.value is not None]
        total = Measurement(score.id, "1", score.total.status, score.total.value, reason=score.total.reason)
        groups.append(
            hd.sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=_tracking(assessment, score.id),
                finding_type=codes.make(codes.local_scheme(), score.id, score.label[:64]),
                finding_sites=[_site(assessment, assessment.site, assessment.side)],
                measurements=_measurements((total, *cells)),
                qualitative_evaluations=_missing((total,)),
            )
        )
    return groups


def _bones(assessment: Assessment) -> list[hd.sr.MeasurementsAndQualitativeEvaluations]:
    import highdicom as hd

    return [
        hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(assessment, bone.code),
            finding_sites=[_site(assessment, bone.code, codes.side_of(bone.code, assessment.side))],
            measurements=_measurements(bone.measurements),
            qualitative_evaluations=_missing(bone.measurements),
        )
        for bone in assessment.bones
    ]


def _tracking(assessment: Assessment, code: str) -> hd.sr.TrackingIdentifier:
    import highdicom as hd

    return hd.sr.TrackingIdentifier(uid=derived_uid("tracking", code, *identity(assessment)), identifier=code)


def _site(assessment: Assessment, part: str, side: str) -> hd.sr.FindingSite:
    import highdicom as hd

    from marrowscope.sites import load_site

    site = load_site(assessment.site)
    whole = part == assessment.site and site.term is not None
    concept = (
        codes.make(site.term.scheme, site.term.value, site.term.meaning)
        if whole and site.term is not None
        else codes.anatomy(assessment.site, part)
    )
    return hd.sr.FindingSite(
        anatomic_location=concept, laterality=codes.coded("laterality", side) if side in ("left", "right") else None
    )


def _algorithm(assessment: Assessment) -> hd.sr.AlgorithmIdentification:
    import highdicom as hd

    return hd.sr.AlgorithmIdentification(
        name=f"marrowscope: {assessment.provenance.detector}"[:64], version=__version__
    )


def _measurements(found: tuple[Measurement, ...]) -> list[hd.sr.Measurement]:
    import highdicom as hd

    return [
        hd.sr.Measurement(name=codes.coded("measurements", m.code), value=float(m.value), unit=codes.unit(m.unit))
        for m in found
        if m.value is not None
    ]


def _missing(found: tuple[Measurement, ...]) -> list[hd.sr.QualitativeEvaluation] | None:
    """What was not measured, said so: a number is never put in its place."""
    import highdicom as hd

    items = [
        hd.sr.QualitativeEvaluation(
            name=codes.coded("measurements", m.code), value=codes.make(*NO_QUALIFIER[m.status.value])
        )
        for m in found
        if m.value is None
    ]
    return items or None
