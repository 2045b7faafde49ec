"""The ``export`` job: what a version's results folder does not hold from the start, made of what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.jobs import JobContext, Payload
from marrowscope.web.work.common import data_folder


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Write ``fhir/bundle.json`` of ``payload["revision"]`` of ``payload["study"]``."""
    from marrowscope.exchange.fhir import bundle_json
    from marrowscope.results import read_results

    folder = data_folder().study(str(payload["study"])).revision(int(payload["revision"]))
    target = folder / "fhir" / "bundle.json"
    target.parent.mkdir(exist_ok=True)
    aside = target.with_suffix(".part")
    aside.write_text(bundle_json(read_results(folder).assessment), encoding="utf-8")
    aside.rename(target)
    return {"file": "fhir/bundle.json"}
