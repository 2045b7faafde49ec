"""A study as plain data: what was read, what it is for, what was refused, and why. No names, no voxels."""

from __future__ import annotations

from typing import Any

from marrowscope.study.choose import explain_choice
from marrowscope.study.types import Radiograph, Series, Study


def describe(study: Study) -> dict[str, Any]:
    """Plain data of a study, ready for JSON."""
    fluid = study.fluid
    return {
        "kind": study.kind,
        "study_date": study.study_date,
        "age_years": study.patient.age_years,
        "sex": study.patient.sex,
        "site": study.site.to_dict(),
        "side": study.side.to_dict(),
        "fluid_series": None if fluid is None else fluid.uid,
        "fluid_choice": explain_choice(study),
        "series": [describe_series(s) for s in study.series],
        "radiographs": [describe_radiograph(r) for r in study.radiographs],
        "refusals": [r.to_dict() for r in study.refusals],
        "input_hash": study.input_hash,
    }


def describe_radiograph(radiograph: Radiograph) -> dict[str, Any]:
    """Plain data of one radiograph."""
    return {
        "number": radiograph.number,
        "description": radiograph.description,
        "role": radiograph.role.value,
        "body_part": radiograph.body_part,
        "view": radiograph.view,
        "laterality": radiograph.laterality,
        "shape": [radiograph.columns, radiograph.rows],
    }


def describe_series(series: Series) -> dict[str, Any]:
    """Plain data of one series."""
    sequence = series.sequence
    physics = {
        "tr_ms": sequence.tr_ms,
        "te_ms": sequence.te_ms,
        "ti_ms": sequence.ti_ms,
        "field_t": sequence.field_t,
        "b_value": sequence.b_value,
        "kvp": sequence.kvp,
        "fat_suppression": sequence.fat_suppression.value,
        "contrast_agent": sequence.contrast_agent,
        "manufacturer": sequence.manufacturer,
    }
    return {
        "uid": series.uid,
        "number": series.number,
        "description": series.description,
        "role": series.role.value,
        "class": series.sequence_class.value,
        "usable": series.usable,
        "plane": series.plane,
        "shape": list(series.volume.shape),
        "spacing_mm": [round(step, 4) for step in series.volume.spacing],
        "orientation": series.volume.axis_codes,
        "affine_lps": [[round(float(v), 6) for v in row] for row in series.volume.affine],
        "sequence": {name: value for name, value in physics.items() if value not in (None, "")},
        "reasons": [r.to_dict() for r in series.reasons],
        "qc": [check.to_dict() for check in series.qc],
    }
