"""One study to one results folder: the job that the command line, the web app, the listener and a cohort all run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from marrowscope.errors import ExitCode, NoFluidSeriesError, UsageError
from marrowscope.progress import Progress, silent

if TYPE_CHECKING:
    from marrowscope.assessment.pipeline import Assessed
    from marrowscope.followup import Visit
    from marrowscope.reasoning.intake import Intake
    from marrowscope.report.figures import Figure


@dataclass(frozen=True)
class AssessRequest:
    """What to assess; plain strings, so that it can wait in a queue.

    Attributes:
        study: folder, zip or file; empty when ``series`` names the files.
        series: role to NIfTI file.
        site, side: overrides of the study's own guess, or empty.
        bones: mask to search. intake: intake file.
        prior: an earlier visit: its results folder, or its study, which is then assessed on the way.
        light: leave the renderings out (see :func:`marrowscope.results.write_light`).
        same_patient: the user says that both visits are of one patient, whatever their headers say.
    """

    study: str = ""
    series: Mapping[str, str] = field(default_factory=dict)
    site: str = ""
    side: str = ""
    bones: str = ""
    intake: str = ""
    prior: str = ""
    light: bool = False
    same_patient: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**data)


def assess_to(request: AssessRequest, out: Path, progress: Progress = silent, prior: Visit | None = None) -> ExitCode:
    """Read, assess and write one results folder, whole or not at all.

    Args:
        request: what. out: where. progress: told of each stage. prior: an earlier visit already read; else the
            request's own.

    Returns:
        DONE, or PARTLY_NOT_ASSESSABLE when the assessment lists something that was not assessed, or its change is not
        assessable.

    Raises:
        NoFluidSeriesError: refused; an inspection folder is written first. Other MarrowscopeErrors as they come.
    """
    from marrowscope.assessment.pipeline import assess_with_objects
    from marrowscope.knowledge.choices import check_side
    from marrowscope.results import check_target, write_inspection, write_light, write_results
    from marrowscope.study import read_study

    if not request.study and not request.series:
        raise UsageError("neither a study nor --series", "one of them", "marrowscope assess STUDY -o OUT")
    check_side(request.side)
    check_target(out)
    clock = StageClock(progress)
    clock("reading", 0, 1)
    prior = prior or _prior(request)
    files = {role: Path(name) for role, name in request.series.items()}
    study = read_study(Path(request.study or "."), series=files or None)
    clock("reading", 1, 1)
    try:
        with ThreadPoolExecutor(1) as side:
            ahead = side.submit(_look_ahead)
            assessed = assess_with_objects(
                study,
                request.site or None,
                request.side or None,
                Path(request.bones) if request.bones else None,
                _intake(request),
                prior,
                progress=clock,
            )
            ahead.result()
    except NoFluidSeriesError as refusal:
        write_inspection(out, study, refusal)
        raise
    clock("writing", 0, 1)
    if request.light:
        write_light(out, assessed, request.to_dict(), clock.seconds)
    else:
        write_results(out, assessed, request.to_dict(), clock.seconds, beside=_beside(prior, assessed))
    clock("writing", 1, 1)
    change = assessed.assessment.change
    partly = assessed.assessment.not_assessed or (change is not None and not change["comparable"])
    return ExitCode.PARTLY_NOT_ASSESSABLE if partly else ExitCode.DONE


@cache
def _look_ahead() -> None:
    """Load what concluding and writing will ask for, while the voxels are worked on without the interpreter lock."""
    import highdicom  # noqa: F401 - loaded for the DICOM room
    import typst  # noqa: F401 - loaded for the PDF

    import marrowscope.report.folder  # noqa: F401 - and the pictures
    from marrowscope.reasoning.answer import reason_findings
    from marrowscope.reasoning.intake import Intake

    reason_findings(Intake())  # reads every table


class StageClock:
    """A Progress that passes on what it hears and keeps the seconds each stage took."""

    def __init__(self, onward: Progress) -> None:
        self._onward = onward
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Time since the last call belongs to ``stage``, unless it only begins."""
        now = time.perf_counter()
        if done > 0:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        self._onward(stage, done, total)


def _intake(request: AssessRequest) -> Intake | None:
    if not request.intake:
        return None
    from marrowscope.reasoning.intake import Intake

    return Intake.load(Path(request.intake))


def _prior(request: AssessRequest) -> Visit | None:
    if not request.prior:
        return None
    return replace(visit_of(Path(request.prior), request.site, request.side), vouched=request.same_patient)


def visit_of(path: Path, site: str = "", side: str = "") -> Visit:
    """An earlier visit: read from its results folder, or assessed from its study (then its image is at hand).

    Raises:
        ResultsError, InputError, UsageError: neither can be used.
    """
    from marrowscope.results import holds_results, read_results

    if holds_results(path):
        return read_results(path).visit()
    from marrowscope.assessment.pipeline import assess_with_objects
    from marrowscope.study import read_study

    assessed = assess_with_objects(read_study(path), site or None, side or None)
    return _visit(assessed)


def _visit(assessed: Assessed) -> Visit:
    from marrowscope.followup import Visit
    from marrowscope.followup.person import Person

    objects = assessed.objects
    assert objects is not None  # assessed from a study
    masks, person = (objects.anatomy.bones, objects.lesions), Person.of(objects.exam.study.dicom_header)
    return Visit(assessed.assessment, *masks, objects.exam.fluid.volume, person)


def _beside(prior: Visit | None, assessed: Assessed) -> Mapping[str, Figure]:
    """Pictures of both visits on one plane, where the earlier one's image is at hand."""
    if prior is None or prior.image is None or assessed.assessment.change is None:
        return {}
    from marrowscope.report.pairs import pair_figures

    return pair_figures(prior, _visit(assessed), assessed.assessment.change)
