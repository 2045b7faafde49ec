"""``measurements.csv``: tidy, one row a measurement, every attempted one with its status and reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from marrowscope.assessment.types import Assessment, LesionRecord
from marrowscope.measurement import Measurement

COLUMNS = (
    "study_uid", "site", "side", "level", "object", "place", "kind", "verdict", "confidence",
    "measurement", "value", "unit", "low", "high", "interval_basis", "status", "reason",
)  # fmt: skip
"""``level`` is exam, reference, bone, lesion, score, score_cell or quality; ``object`` names the one meant."""

Row = dict[str, str]


def measurements_csv(assessment: Assessment) -> str:
    """The table as text with plain newlines; numbers at full precision, a missing value is an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    shared = {"study_uid": assessment.provenance.study_uid, "site": assessment.site, "side": assessment.side}
    writer.writerows({**shared, **row} for row in rows(assessment))
    return out.getvalue()


def rows(a: Assessment) -> Iterator[Row]:
    """Every row, in the report's order."""
    for m in a.totals:
        yield {"level": "exam", **_cells(m)}
    for m in a.reference.measurements if a.reference else ():
        yield {"level": "reference", **_cells(m)}
    for bone in a.bones:
        yield from ({"level": "bone", "object": bone.code, "place": bone.label, **_cells(m)} for m in bone.measurements)
    for lesion in a.lesions:
        yield from ({**_lesion(lesion, a.side), **_cells(m)} for m in lesion.measurements)
    for score in a.scores:
        yield {"level": "score", "object": score.id, **_cells(score.total)}
        for cell in score.cells:
            status = "measured" if cell.value is not None else "not_assessable"
            value = "" if cell.value is None else repr(float(cell.value))
            yield {"level": "score_cell", "object": score.id, "place": cell.id, "measurement": "grade", "value": value,
                   "unit": "1", "status": status, "reason": cell.reason}  # fmt: skip
    for check in a.qc:
        if check.value is not None:
            yield {"level": "quality", "object": check.code, **_cells(check.value)}


def _lesion(x: LesionRecord, side: str) -> Row:
    return {
        "level": "lesion",
        "object": x.code,
        "place": x.place,
        "side": x.side or side,
        "kind": x.kind.value,
        "verdict": x.verdict.value,
        "confidence": repr(x.confidence),
    }


def _cells(m: Measurement) -> Row:
    return {
        "measurement": m.code,
        "unit": m.unit,
        "value": _number(m.value),
        "low": _number(m.low),
        "high": _number(m.high),
        "interval_basis": m.interval_basis,
        "status": m.status.value,
        "reason": m.reason,
    }


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))
