"""Two or more visits to one results folder that shows the change: the job behind ``marrowscope compare``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.assessing import AssessRequest, assess_to, visit_of
from marrowscope.errors import UsageError
from marrowscope.followup import Visit, compare
from marrowscope.knowledge.choices import check_side
from marrowscope.progress import Progress, silent
from marrowscope.results import check_target, holds_results, read_results, write_comparison

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from marrowscope.report.figures import Figure


def compare_to(
    visits: Sequence[Path],
    out: Path,
    site: str = "",
    side: str = "",
    progress: Progress = silent,
    same_patient: bool = False,
) -> Mapping[str, Any]:
    """Compare visits, oldest first, and write the last one's folder with the change in it.

    Each may be a results folder or a study; a study is assessed on the way. The last is compared with the one before
    it; the others give the line over all visits.

    Args:
        visits: at least two. out: folder to write. site, side: for studies that do not tell.
        same_patient: all are of one patient, whatever their headers say.

    Returns:
        The change, as in ``change.json``.

    Raises:
        UsageError: fewer than two visits, or ``out`` is one of them or may not be written. Other MarrowscopeErrors:
            one that cannot be read or assessed.
    """
    if len(visits) < 2:
        raise UsageError(
            f"{len(visits)} visit", "two or more, oldest first", "marrowscope compare PRIOR CURRENT -o OUT"
        )
    if out.resolve() in {v.resolve() for v in visits}:
        raise UsageError(
            f"{out.name} is one of the visits", "a folder of its own for the comparison", "choose another -o"
        )
    check_side(side)
    check_target(out)
    prior = _chain([replace(visit_of(v, site, side), vouched=same_patient) for v in visits[:-1]])
    last = visits[-1]
    if holds_results(last):
        return _with_results(prior, visits[-2], last, out)
    request = AssessRequest(study=str(last), site=site, side=side, same_patient=same_patient)
    return _with_study(prior, request, out, progress)


def _chain(visits: list[Visit]) -> Visit:
    """The last of the earlier visits, knowing the line over those before it."""
    last = visits[0]
    for visit in visits[1:]:
        change = compare(last, visit).to_dict()
        last = replace(visit, assessment=replace(visit.assessment, change=change))
    return last


def _with_results(prior: Visit, prior_folder: Path, current: Path, out: Path) -> Mapping[str, Any]:
    now = read_results(current)
    change = compare(prior, now.visit()).to_dict()
    earlier = read_results(prior_folder) if holds_results(prior_folder) else None
    beside = _pictures(prior_folder, current, change) if earlier is not None else {}
    write_comparison(out, now, replace(now.assessment, change=change), beside, earlier, prior.vouched)
    return change


def _pictures(prior: Path, current: Path, change: Mapping[str, Any]) -> Mapping[str, Figure]:
    from marrowscope.report.folder import read_figures
    from marrowscope.report.pairs import paired_pictures

    return paired_pictures(read_figures(prior), read_figures(current), change)


def _with_study(prior: Visit, request: AssessRequest, out: Path, progress: Progress) -> Mapping[str, Any]:
    assess_to(request, out, progress, prior)
    change = read_results(out).assessment.change
    assert change is not None  # a prior was given
    return change
