"""The earlier visit beside this one, lesion by lesion: on the same plane where both images are at hand."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from marrowscope.report.figures import Figure, figure_of, one_slice
from marrowscope.report.planes import layout_of
from marrowscope.report.raster import BONE_COLOUR, EDEMA_COLOUR, Outline, draw_slice, window_of, write
from marrowscope.volume import AnyArray, FloatArray, Volume, resample

if TYPE_CHECKING:
    from marrowscope.followup import Visit

MOST_PAIRS = 8
"""Lesion groups with pictures, largest first; the table lists all."""

GAP_PX = 6


def pair_figures(prior: Visit, current: Visit, change: Mapping[str, Any]) -> dict[str, Figure]:
    """``change_1``...: each group of lesions before and now, on the current visit's own slice.

    The prior image is laid there by the rigid transform of the lesion's bone. Nothing when a visit's image is not
    at hand.
    """
    if prior.image is None or current.image is None:
        return {}
    fits = {f["bone"]: f for f in change["fits"]}
    groups = [x for x in change["lesions"] if x["bone"] in fits and x["fate"] != "not comparable"][:MOST_PAIRS]
    figures = [_pair(n, x, fits[x["bone"]], prior, current) for n, x in enumerate(groups, start=1)]
    return {f.name: f for f in figures}


def _pair(number: int, group: Mapping[str, Any], fit: Mapping[str, Any], prior: Visit, current: Visit) -> Figure:
    assert prior.image is not None
    assert current.image is not None
    matrix = np.array(fit["matrix"])
    index = _slice_of(group, matrix, prior, current)
    grid = one_slice(current.image, index)
    before = resample(_moved(prior.image, matrix), grid, order=1)
    labels = resample(_moved(prior.lesions.volume, matrix), grid, order=0).array
    bones = resample(_moved(prior.bones.volume, matrix), grid, order=0).array
    now = [one_slice(v, index).array for v in (current.lesions.volume, current.bones.volume)]
    left = _picture(before, (labels, bones), window_of(prior.image.array), f"before {_date(prior)}")
    right = _picture(grid, (now[0], now[1]), window_of(current.image.array), f"now {_date(current)}")
    words = (
        f"{group['place']}: {group['fate']}. Left: the earlier visit on this slice ({index + 1}), laid there by its "
        f"{fit['bone'].replace('_', ' ')} (overlap of the bone {fit['dice_after']:.2f}). Right: this visit."
    )
    return figure_of(f"change_{number}", side_by_side(left, right), words)


def _slice_of(group: Mapping[str, Any], matrix: FloatArray, prior: Visit, current: Visit) -> int:
    """The current lesion's key slice, or where the middle of the prior's largest lesion lies now."""
    assert current.image is not None
    if group["current"]:
        return next(x.key_slice for x in current.assessment.lesions if x.code == group["current"][0])
    was = next(x for x in prior.assessment.lesions if x.code == group["prior"][0])
    centre = (matrix @ np.array([*was.centroid_lps_mm, 1.0]))[:3]
    axis = current.image.slice_axis
    return int(np.clip(round(float(current.image.to_index(centre)[axis])), 0, current.image.shape[axis] - 1))


def _moved(volume: Volume, matrix: FloatArray) -> Volume:
    return Volume(volume.array, matrix @ volume.affine, volume.slice_axis)


def _picture(image: Volume, masks: tuple[AnyArray, AnyArray], window: tuple[float, float], words: str) -> Image.Image:
    lesions, bones = masks
    outlines = [Outline(np.asarray(bones > 0), BONE_COLOUR, 1), Outline(np.asarray(lesions > 0), EDEMA_COLOUR)]
    picture = draw_slice(image.array, layout_of(image), 0, window, outlines)
    write(picture, (6, 4), words.strip(), "la")
    return picture


def _date(visit: Visit) -> str:
    return visit.assessment.provenance.study_date


def paired_pictures(
    before: Mapping[str, Figure], now: Mapping[str, Figure], change: Mapping[str, Any]
) -> dict[str, Figure]:
    """The same from the two visits' finished pictures, each on its own slice: what two results folders allow."""
    figures: dict[str, Figure] = {}
    for n, group in enumerate(change["lesions"][:MOST_PAIRS], start=1):
        old, new = _first(before, group["prior"]), _first(now, group["current"])
        if old is None or new is None:
            continue
        words = (
            f"{group['place']}: {group['fate']}. Left: earlier visit, {old.caption}. Right: this visit, {new.caption}."
        )
        pictures = [Image.open(io.BytesIO(f.png)).convert("RGB") for f in (old, new)]
        for picture, label in zip(pictures, ("before", "now"), strict=True):
            write(picture, (6, 4), label, "la")
        figures[f"change_{n}"] = figure_of(f"change_{n}", side_by_side(*pictures), words)
    return figures


def _first(figures: Mapping[str, Figure], codes: list[str]) -> Figure | None:
    return next((figures[f"{c}_fluid"] for c in codes if f"{c}_fluid" in figures), None)


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures in a row."""
    both = Image.new("RGB", (left.width + GAP_PX + right.width, max(left.height, right.height)), (255, 255, 255))
    both.paste(left, (0, 0))
    both.paste(right, (left.width + GAP_PX, 0))
    return both
