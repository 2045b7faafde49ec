"""Lays a prior visit on this one, bone by bone, for the viewer's linked panes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from marrowscope.followup.register import register_bone
from marrowscope.volume import FloatArray
from marrowscope.web.prior_links import links_file
from marrowscope.web.work.common import data_folder, objects_of

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_links(study_id: str, prior_id: str) -> None:
    """Register every bone both visits show and keep the transforms; written again only when absent."""
    target = links_file(data_folder().study(study_id).viewer, prior_id)
    if target.is_file():
        return
    now, before = objects_of(study_id).anatomy.bones, objects_of(prior_id).anatomy.bones
    found: list[tuple[int, dict[str, Any]]] = []
    for code in (c for c in now.codes if c in before.codes):
        transform = register_bone(code, before, now)
        if transform is not None:
            link = {"bone": code, "dice": transform.fit.dice_after, **_both(transform.matrix)}
            found.append((int(now.mask(code).sum()), link))
    found.sort(key=lambda pair: -pair[0])
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps([link for _, link in found]), encoding="utf-8")
    aside.rename(target)


def _both(matrix_lps: FloatArray) -> dict[str, list[float]]:
    forward = LPS_RAS @ matrix_lps @ LPS_RAS
    return {"forward": forward.ravel().tolist(), "backward": np.linalg.inv(forward).ravel().tolist()}
