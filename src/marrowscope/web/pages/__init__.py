"""The pages and the API, one module a subject; ``ROUTERS`` is all of them."""

from __future__ import annotations

from marrowscope.web.pages import (
    cds,
    cohort,
    edits,
    intake,
    knowledge,
    peers,
    reasoning,
    report,
    session,
    studies,
    study,
    viewer,
)

ROUTERS = tuple(
    m.router for m in (session, studies, study, viewer, edits, intake, reasoning, report, knowledge, cohort, peers, cds)
)
