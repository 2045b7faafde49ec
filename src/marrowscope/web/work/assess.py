"""The ``assess`` job: from an upload to revision 1, the automatic result."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marrowscope.errors import MarrowscopeError, UsageError
from marrowscope.jobs import JobContext, Payload
from marrowscope.web import records
from marrowscope.web.folders import StudyFolder
from marrowscope.web.work.common import data_folder, database

if TYPE_CHECKING:
    from marrowscope.assessment.pipeline import Assessed

REQUEST = "automatic"
"""Request name of revision 1: one a study, however often the job runs."""


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Assess the study of ``payload["study"]``; a refusal is kept on the study and shown."""
    study_id = str(payload["study"])
    with database().begin() as db:
        study = records.get_study(db, study_id)
        site, side, by = study.site, study.side, study.created_by
    folder = data_folder().study(study_id)
    try:
        _fetch(payload, folder, context)
        assessed = _assess(folder, site, side, context)
    except MarrowscopeError as error:
        _keep_refusal(study_id, error)
        raise
    _keep(study_id, assessed, by)
    return {"study": study_id, "revision": 1}


def _fetch(payload: Payload, folder: StudyFolder, context: JobContext) -> None:
    """Get the study from the peer that the payload names, if it names one and nothing was fetched yet."""
    if not payload.get("peer") or folder.upload.is_dir():
        return
    from marrowscope.exchange.pacs import archive
    from marrowscope.exchange.peers import read_peers

    peers = read_peers()
    aside = folder.root / "fetching"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    context.progress("fetching", 0, 1)
    archive(peers.named(str(payload["peer"])), peers.ae_title).get(str(payload["study_uid"]), aside)
    aside.rename(folder.upload)
    context.progress("fetching", 1, 1)


def _assess(folder: StudyFolder, site: str, side: str, context: JobContext) -> Assessed:
    from marrowscope.assessing import StageClock
    from marrowscope.assessment.pipeline import assess_with_objects
    from marrowscope.results import write_results
    from marrowscope.study import read_study
    from marrowscope.web.work.codec import save
    from marrowscope.web.work.viewer_files import write_viewer_files

    clock = StageClock(context.progress)
    clock("reading", 0, 1)
    study = read_study(folder.source)
    clock("reading", 1, 1)
    assessed = assess_with_objects(study, site or None, side or None, folder.bones, progress=clock)
    assert assessed.objects is not None
    clock("writing", 0, 3)
    save(assessed.objects, folder.objects)
    clock("writing", 1, 3)
    write_viewer_files(assessed.objects, folder.viewer)
    clock("writing", 2, 3)
    write_results(folder.revision(1), assessed, {"site": site, "side": side}, clock.seconds)
    clock("writing", 3, 3)
    return assessed


def _keep(study_id: str, assessed: Assessed, by: str) -> None:
    from marrowscope.assessment import to_json
    from marrowscope.web.work.lesions import overlay_text

    assessment = assessed.assessment
    assert assessed.objects is not None
    text, overlay = to_json(assessment), overlay_text(assessed.objects)
    with database().begin() as db:
        study = records.get_study(db, study_id)
        study.state, study.error = "ready", None
        study.site, study.side = assessment.site, assessment.side
        study.study_date = assessment.provenance.study_date[:10]
        if records.revision_of(db, study_id, REQUEST) is None:
            status = assessment.status.value
            records.add_revision(db, study_id, REQUEST, "automatic", text, status, by, overlay=overlay)


def _keep_refusal(study_id: str, error: MarrowscopeError) -> None:
    asks_site = isinstance(error, UsageError)
    with database().begin() as db:
        study = records.get_study(db, study_id)
        study.state = "asks" if asks_site else "refused"
        study.error = error.to_dict()
    shutil.rmtree(data_folder().study(study_id).objects, ignore_errors=True)
