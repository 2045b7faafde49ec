"""The columns of every table and what each means."""

from __future__ import annotations

_WHO = {"subject": "as in the manifest", "site": "site that was assessed", "side": "left, right, both or empty"}

TIDY = {
    "subject": "as in the manifest",
    "visit": "as in the manifest",
    "site": "site that was assessed",
    "side": "left, right, both or empty",
    "level": "exam, bone, lesion or score",
    "item": "bone or lesion code, score id, or empty for the exam",
    "code": "measurement code",
    "value": "number in unit, empty where not measured",
    "unit": "UCUM unit",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "status": "measured, not_assessable or failed",
    "reason": "why there is no value",
}
"""Columns of ``measurements``."""

WIDE = {
    "subject": "as in the manifest",
    "visit": "as in the manifest",
    "site": "site that was assessed",
    "side": "left, right, both or empty",
    "study_date": "as the study states it, or empty",
    "status": "done, partly_not_assessable, refused, failed, or not_run",
    "reason": "why a study was refused or failed",
    "outcome": "what the search for edema came to",
    "sequence_class": "contrast class of the fluid series that lesions were sized on",
    "folder": "results folder, relative to the tables",
}
"""First columns of ``studies``; exam-wide measurements and scores follow, one a column, unit in the name."""

CHANGES = {
    **_WHO,
    "prior_visit": "earlier visit",
    "visit": "later visit",
    "code": "measurement or score",
    "before": "value at the earlier visit",
    "after": "value at the later visit",
    "difference": "after minus before, empty where not assessable",
    "difference_low": "lower end of its interval",
    "difference_high": "upper end of its interval",
    "ratio": "after over before, empty where before is 0",
    "ratio_low": "ratio divided by the smallest detectable factor, where one is known",
    "ratio_high": "ratio times the smallest detectable factor",
    "unit": "UCUM unit",
    "verdict": "increase, decrease, no measurable change, change of unknown significance, or not assessable",
    "limit": "smallest detectable changes used, each with origin and basis",
    "reasons": "why sizes were not compared, or what limits it",
}
"""Columns of ``changes``."""

LESION_CHANGES = {
    **_WHO,
    "prior_visit": "earlier visit",
    "visit": "later visit",
    "bone": "bone code",
    "place": "where, in words",
    "fate": "persisting, grown, shrunk, new, resolved, split, merged, or not comparable",
    "prior_lesions": "lesion codes at the earlier visit",
    "lesions": "lesion codes at the later visit",
    "volume_before": "cm3",
    "volume_after": "cm3",
    "volume_ratio": "after over before",
    "brightness_before": "fluid brightness over reference marrow, weighted by volume",
    "brightness_after": "the same at the later visit",
    "measurable": "whether the change of volume passes the smallest detectable change: yes, no, unknown",
}
"""Columns of ``lesion_changes``."""

NUMBERS = frozenset(
    {
        "value", "low", "high", "before", "after", "difference", "difference_low", "difference_high", "ratio",
        "ratio_low", "ratio_high", "volume_before", "volume_after", "volume_ratio", "brightness_before",
        "brightness_after",
    }
)  # fmt: skip
"""Columns that hold numbers; those of ``studies`` that are not listed above do too."""
