"""A results folder corrected: edits appended to its list, everything concluded anew, the earlier version kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from marrowscope.anatomy.given import GIVEN_MASK
from marrowscope.errors import ResultsError, UsageError
from marrowscope.progress import Progress, silent

if TYPE_CHECKING:
    from marrowscope.assessment import Assessment
    from marrowscope.followup import Visit
    from marrowscope.lesion.edits import Edit
    from marrowscope.lesion.types import Objects
    from marrowscope.reasoning.intake import Intake
    from marrowscope.results import Results

MakeEdits = Callable[["Objects"], "tuple[Edit, ...]"]
"""New edits for the objects as the edits so far leave them."""


@dataclass(frozen=True)
class Corrected:
    """What an edit led to: the result before and after."""

    before: Assessment
    after: Assessment


def edit_results(
    folder: Path, study: Path, make: MakeEdits, prior: Path | None = None, progress: Progress = silent
) -> Corrected:
    """Append edits to a result and conclude anew. A released result is an amendment until it is signed again.

    Args:
        folder: a results folder made from images. study: the study it was made from.
        make: gives the edits. prior: results folder of the earlier visit, when the result holds a comparison.

    Raises:
        UsageError: another study, a missing prior, or nothing to change. ResultsError: the detection of this version
            differs from the one that was corrected before.
    """
    from marrowscope.assessment.pipeline import Assessed, conclude
    from marrowscope.lesion.edits import apply_edits
    from marrowscope.results import read_results, write_results

    old = read_results(folder)
    was = old.assessment
    visit = _prior(old, prior)
    objects = _detected(old, study, progress)
    so_far = apply_edits(objects, was.edits)
    if not np.array_equal(so_far.lesions.volume.array, old.mask("lesions").volume.array):
        raise ResultsError(
            "a detection that differs from the one in this folder",
            f"the version that made it ({was.provenance.software})",
        )
    new = make(so_far)
    if not new:
        raise UsageError("a correction that changes nothing", "something to add, remove, accept or reject")
    progress("conclusions", 0, 1)
    assessment = amended_after(was, conclude(objects, _intake(was), visit, (*was.edits, *new)))
    progress("conclusions", 1, 1)
    write_results(folder, Assessed(assessment, objects), earlier=old)
    return Corrected(was, assessment)


def _detected(old: Results, study: Path, progress: Progress) -> Objects:
    """The folder's own detection on the study read again; where it keeps none of this version, the same search."""
    from marrowscope.anatomy.given import segment_map
    from marrowscope.assessment.pipeline import detect, prepare
    from marrowscope.lesion.choose import detect_lesions
    from marrowscope.study import read_study

    was = old.assessment
    progress("reading", 0, 1)
    read = read_study(study)
    progress("reading", 1, 1)
    if read.input_hash != was.provenance.input_sha256.get("study"):
        raise UsageError("another study than the result was made from", "the same files", "assess this study instead")
    exam = prepare(read, was.site, was.side, progress)
    kept = old.detection()
    if kept is not None and kept.current:
        return kept.objects(exam)
    if was.provenance.anatomy != GIVEN_MASK:
        return detect(exam, None, progress)
    return detect_lesions(exam, segment_map(exam, old.mask("bones"), old.mask("regions")))


def _intake(was: Assessment) -> Intake | None:
    if was.intake is None:
        return None
    from marrowscope.reasoning.intake import Intake

    return Intake.from_dict(dict(was.intake))


def _prior(old: Results, prior: Path | None) -> Visit | None:
    """The earlier visit, vouched for where the comparison in the folder was."""
    if prior is not None:
        from marrowscope.results import read_results

        vouched = bool(old.run.get("settings", {}).get("same_patient"))
        return replace(read_results(prior).visit(), vouched=vouched)
    if old.assessment.change is not None:
        raise UsageError("a result that holds a comparison", "the earlier visit again", "give --prior RESULTS")
    return None


def amended_after(was: Assessment, now: Assessment) -> Assessment:
    """After a release whatever follows is an amendment that nobody signed yet."""
    from marrowscope.assessment.impression import impression_of
    from marrowscope.assessment.types import ReleaseStatus

    if was.status is ReleaseStatus.PRELIMINARY:
        return now
    amended = replace(now, status=ReleaseStatus.AMENDED, released_by="", released_at="")
    return replace(amended, impression=impression_of(amended))
