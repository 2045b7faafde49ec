"""The main job: three pure steps, and the two ways in (a study, or an intake alone).

    prepare(study) -> Exam            roles, one grid, quality
    detect(exam) -> Objects           bones, regions, reference marrow, lesions
    conclude(objects, ...) -> Assessment   measure, score, findings, reasoning, plan

An edit, a corrected mask or a new intake re-enters at ``conclude`` and costs under a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.progress import Progress, silent

if TYPE_CHECKING:
    from marrowscope.anatomy.types import Exam
    from marrowscope.assessment.types import Assessment, Prior
    from marrowscope.lesion.edits import Edit
    from marrowscope.lesion.types import Objects
    from marrowscope.reasoning.intake import Intake
    from marrowscope.study import Study
    from marrowscope.volume import Volume


@dataclass(frozen=True, eq=False)
class Assessed:
    """An Assessment and the voxels it was drawn from (None when it came from an intake alone)."""

    assessment: Assessment
    objects: Objects | None


def prepare(study: Study, site: str | None = None, side: str | None = None, progress: Progress = silent) -> Exam:
    """One fluid series, its companions aligned on its grid, site, side and quality.

    Args:
        study: what ``read_study`` returned.
        site, side: override the study's own guess.
        progress: told of each companion aligned.

    Raises:
        NoFluidSeriesError: no usable fluid series. UsageError: the site cannot be told and was not given, or a site or
            side is none.
    """
    from marrowscope.anatomy.prepare import prepare_exam

    return prepare_exam(study, site, side, progress)


def detect(exam: Exam, bones: Path | Volume | None = None, progress: Progress = silent) -> Objects:
    """Bones, regions, reference marrow and lesions.

    Args:
        exam: what ``prepare`` returned.
        bones: a mask to search instead of the site's own segmenter.
        progress: told of each stage.

    Raises:
        GeometryError, UsageError: the given mask does not fit.
    """
    from marrowscope.anatomy.choose import segment
    from marrowscope.lesion.choose import detect_lesions

    progress("bones", 0, 1)
    anatomy = segment(exam, bones)
    progress("bones", 1, 1)
    progress("lesions", 0, 1)
    objects = detect_lesions(exam, anatomy)
    progress("lesions", 1, 1)
    return objects


def conclude(
    objects: Objects,
    intake: Intake | None = None,
    prior: Prior | None = None,
    edits: tuple[Edit, ...] = (),
) -> Assessment:
    """Measure, score, turn into findings, reason and plan.

    Args:
        objects: what ``detect`` returned; never changed.
        intake: history, symptoms, labs and a person's readings.
        prior: an earlier visit to compare with.
        edits: a person's changes, replayed over ``objects`` in order.

    Raises:
        UsageError: an edit names a lesion or voxels that do not exist.
    """
    from marrowscope.assessment.conclusions import conclude_objects

    return conclude_objects(objects, intake, prior, edits)


def assess(
    study: Study,
    site: str | None = None,
    side: str | None = None,
    bones: Path | Volume | None = None,
    intake: Intake | None = None,
    prior: Prior | None = None,
    edits: tuple[Edit, ...] = (),
    progress: Progress = silent,
) -> Assessment:
    """All three steps. Arguments and errors as in :func:`prepare`, :func:`detect`, :func:`conclude`."""
    return assess_with_objects(study, site, side, bones, intake, prior, edits, progress).assessment


def assess_with_objects(
    study: Study,
    site: str | None = None,
    side: str | None = None,
    bones: Path | Volume | None = None,
    intake: Intake | None = None,
    prior: Prior | None = None,
    edits: tuple[Edit, ...] = (),
    progress: Progress = silent,
) -> Assessed:
    """As :func:`assess`, and the voxels with it: what a results folder, a figure or an edit needs."""
    exam = prepare(study, site, side, progress)
    objects = detect(exam, bones, progress)
    progress("conclusions", 0, 1)
    assessment = conclude(objects, intake, prior, edits)
    progress("conclusions", 1, 1)
    return Assessed(assessment, objects)


def reason(intake: Intake) -> Assessment:
    """The way in without images: a written report and a history."""
    from marrowscope.assessment.conclusions import conclude_intake

    return conclude_intake(intake)
