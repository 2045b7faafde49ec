"""Grayscale softcopy presentation state: each lesion's outline on each of its slices, for any viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowscope.exchange.instance import attributes, fixed_dates, standing
from marrowscope.exchange.outlines import outlines
from marrowscope.exchange.source import frame_numbers

if TYPE_CHECKING:
    import highdicom as hd
    from highdicom.pr import GrayscaleSoftcopyPresentationState
    from pydicom.dataset import Dataset

    from marrowscope.assessment import Assessment
    from marrowscope.exchange.source import Source
    from marrowscope.labelmap import LabelMap

LAYER = "MARROWSCOPE"
LATERALITY = {"left": "L", "right": "R"}


def write_presentation(
    assessment: Assessment, lesions: LabelMap, source: Source
) -> GrayscaleSoftcopyPresentationState | None:
    """The presentation state, or None when there is no lesion.

    Args:
        assessment: whose lesions. lesions: their label map on the source grid. source: the images shown.
    """
    import highdicom as hd

    images = source.datasets()
    layer = hd.pr.GraphicLayer(layer_name=LAYER, order=1, description="Lesion outlines (draft)")
    labels = lesions.volume.array
    shown = np.where(np.isin(labels, [x.label for x in standing(assessment)]), labels, 0)
    annotations = [
        annotation
        for k in range(len(source.frames.frames))
        if (annotation := _annotation(shown[:, :, k], k, images, layer, source)) is not None
    ]
    if not annotations:
        return None
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=images,
        **attributes("PR", assessment),
        content_label=LAYER,
        content_description="Lesion outlines (draft, for research use)",
        graphic_annotations=annotations,
        graphic_layers=[layer],
    )
    state.Laterality = LATERALITY.get(assessment.side, "")
    fixed_dates(state, source)
    return state


def _annotation(
    labels: npt.NDArray[np.uint16], k: int, images: list[Dataset], layer: hd.pr.GraphicLayer, source: Source
) -> hd.pr.GraphicAnnotation | None:
    """Closed polylines around every lesion of one slice, from 0,0 at the first pixel's upper left (PS3.3 C.10.5)."""
    import highdicom as hd

    lines = [line for label in np.unique(labels[labels > 0]) for line in outlines(labels == label)]
    if not lines:
        return None
    graphics = [
        hd.pr.GraphicObject(hd.pr.GraphicTypeValues.POLYLINE, line, hd.pr.AnnotationUnitsValues.PIXEL) for line in lines
    ]
    frames = frame_numbers(source.frames.frames)
    return hd.pr.GraphicAnnotation(
        referenced_images=images if source.multi_frame else [images[k]],
        graphic_layer=layer,
        referenced_frame_number=frames[k] if source.multi_frame else None,
        graphic_objects=graphics,
    )
