"""A revision's lesion labels as runs on the viewer's grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marrowscope.web.work.viewer_files import Orientation, runs_of

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects


def lesion_runs(objects: Objects) -> list[Mapping[str, Any]]:
    """Label, kind, verdict and runs (viewer order) of every object."""
    orientation = Orientation.of(objects.exam.image.affine)
    labels = orientation.to_view(objects.lesions.volume.array)
    return [
        {"label": o.label, "kind": o.kind.value, "verdict": o.verdict.value, "runs": runs_of(labels == o.label)}
        for o in objects.objects
    ]


def overlay_text(objects: Objects) -> str:
    """:func:`lesion_runs` as kept with the revision."""
    return json.dumps(lesion_runs(objects), separators=(",", ":"))
