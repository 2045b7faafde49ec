"""A methods paragraph ready for a paper: versions, models, what was measured, what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from marrowscope import __version__
from marrowscope.cohort.fingerprint import models_hash
from marrowscope.cohort.run import Outcome
from marrowscope.cohort.tables import Done


def methods_paragraph(outcomes: Sequence[Outcome], done: Sequence[Done]) -> str:
    """Plain text; figures are this cohort's own."""
    counts = Counter(o.status for o in outcomes)
    subjects = len({d.row.subject for d in done})
    classes = Counter(s.sequence_class for d in done for s in d.results.assessment.series if s.used_as == "fluid")
    methods = sorted(
        {(d.results.assessment.provenance.anatomy, d.results.assessment.provenance.detector) for d in done}
    )
    series = ", ".join(f"{n} {name}" for name, n in sorted(classes.items())) or "none"
    ways = "; ".join(f"bones by {a}, lesions by {b}" for a, b in methods) or "none"
    partly = counts["partly_not_assessable"]
    refused = f"{counts['refused']} were refused and {counts['failed']} failed (listed in studies.csv)"
    return (
        f"Edema-like marrow signal was found and measured with marrowscope {__version__} (models SHA-256 "
        f"{models_hash()[:16]}; Python, CPU). Of {len(outcomes)} examinations, {len(done)} of {subjects} subjects were "
        f"assessed, {partly} of them with parts not assessable; {refused}. Lesions were sized on "
        f"fat-suppressed fluid-sensitive series ({series}); {ways}. Volumes are given with the interval of plausible "
        "thresholds; scores are estimates, not a reader's. Change was compared only between examinations of the same "
        "side, site, sequence class, plane and field strength, against the smallest detectable change stated in "
        "changes.csv. Software output was not reviewed by a clinician unless stated otherwise.\n"
    )
