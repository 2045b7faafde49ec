"""Which pictures a report shows: every lesion on the fluid series and T1, and an overview of all slices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image

from marrowscope.anatomy.types import Companion
from marrowscope.assessment.types import Assessment, LesionRecord
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Verdict
from marrowscope.report.planes import Layout, layout_of
from marrowscope.report.raster import (
    BONE_COLOUR,
    CYST_COLOUR,
    EDEMA_COLOUR,
    REJECTED_COLOUR,
    Outline,
    draw_slice,
    png_bytes,
    window_of,
    write,
)
from marrowscope.report.words import word
from marrowscope.study import Role, SequenceClass, Series
from marrowscope.volume import Volume, resample

MOST_LESIONS_PICTURED = 12
"""Lesions with pictures of their own, largest first; the table lists all and the overview outlines all."""

DRAWN_AT_ONCE = 2
"""Lesions drawn at a time: the two cores of a small machine."""

OVERVIEW_TILES = 30
OVERVIEW_COLUMNS = 6
OVERVIEW_TILE_PX = 190
"""The overview: at most this many slices, evenly spread, each lesion's key slice among them."""


@dataclass(frozen=True)
class Figure:
    """One picture: file stem, PNG bytes, size in pixels, and what it shows in words (also its alternative text)."""

    name: str
    png: bytes
    width: int
    height: int
    caption: str


def figure_of(name: str, picture: Image.Image, caption: str) -> Figure:
    """A drawn picture with its caption."""
    return Figure(name, png_bytes(picture), picture.width, picture.height, caption)


def make_figures(assessment: Assessment, objects: Objects, most: int = MOST_LESIONS_PICTURED) -> dict[str, Figure]:
    """Every figure of one report, by name: ``overview``, ``lesion_1_plain``, ``lesion_1_fluid``, ``lesion_1_t1``...

    Args:
        assessment: names the lesions and their key slices.
        objects: the edited objects the assessment was concluded from.
    """
    window = window_of(objects.exam.fluid.volume.array)
    t1 = objects.exam.companion(Role.T1)
    t1_window = window_of(t1.series.volume.array) if t1 is not None else window
    outlines = lesion_outlines(objects)
    with ThreadPoolExecutor(DRAWN_AT_ONCE) as pool:  # scaling and packing run without the interpreter lock
        whole = pool.submit(overview, assessment, objects)
        drawn = pool.map(
            lambda lesion: lesion_figures(lesion, objects, window, t1_window, outlines),
            pictured_lesions(assessment)[:most],
        )
        figures = [whole.result(), *chain.from_iterable(drawn)]
    return {f.name: f for f in figures}


def pictured_lesions(assessment: Assessment) -> list[LesionRecord]:
    """The lesions with pictures of their own: not rejected, edema before cysts, largest first."""
    shown = [x for x in assessment.lesions if x.verdict is not Verdict.REJECTED]
    shown.sort(key=lambda x: (x.kind is not LesionKind.EDEMA, -_volume(x), x.label))
    return shown[:MOST_LESIONS_PICTURED]


def _volume(lesion: LesionRecord) -> float:
    volume = lesion.measurement("volume")
    return volume.value if volume and volume.value is not None else 0.0


def lesion_figures(
    lesion: LesionRecord,
    objects: Objects,
    window: tuple[float, float],
    t1_window: tuple[float, float],
    outlines: list[Outline],
) -> list[Figure]:
    """The lesion's largest slice without and with outlines, and T1 at the same place where there is one."""
    fluid = objects.exam.fluid
    layout = layout_of(fluid.volume)
    kind = contrast_words(fluid)
    where = f"{kind}, {fluid.plane}, slice {lesion.key_slice + 1}"
    array, index = fluid.volume.array, lesion.key_slice
    figures = [
        figure_of(f"{lesion.code}_plain", draw_slice(array, layout, index, window), where),
        figure_of(f"{lesion.code}_fluid", draw_slice(array, layout, index, window, outlines), f"{where}, outlined"),
    ]
    t1 = objects.exam.companion(Role.T1)
    return [*figures, _t1_figure(lesion, objects, t1, t1_window, outlines)] if t1 is not None else figures


def contrast_words(series: Series) -> str:
    """The contrast of a series in words; its role where the contrast class is not known."""
    if series.sequence_class in (SequenceClass.UNKNOWN, SequenceClass.OTHER):
        return word("roles", series.role.value)
    return word("sequence_classes", series.sequence_class.value)


def lesion_outlines(objects: Objects, numbered: bool = True) -> list[Outline]:
    """One outline a lesion object with its number, rejected ones grey."""
    array = objects.lesions.volume.array
    return [
        Outline(np.asarray(array == o.label), colour_of(o), label=str(o.label) if numbered else "")
        for o in objects.objects
    ]


def colour_of(lesion: LesionObject) -> tuple[int, int, int]:
    """Orange for edema, blue for cysts, grey for what a reader rejected."""
    if lesion.verdict is Verdict.REJECTED:
        return REJECTED_COLOUR
    return EDEMA_COLOUR if lesion.kind is LesionKind.EDEMA else CYST_COLOUR


def _t1_figure(
    lesion: LesionRecord, objects: Objects, t1: Companion, window: tuple[float, float], outlines: list[Outline]
) -> Figure:
    """T1 on the fluid slice where both share a plane; else T1's own slice through the lesion's centre."""
    name = f"{lesion.code}_t1"
    fluid = objects.exam.fluid.volume
    if t1.series.plane == fluid.plane:
        picture = draw_slice(t1.volume.array, layout_of(fluid), lesion.key_slice, window, outlines)
        return figure_of(name, picture, f"T1, {t1.series.plane}, at slice {lesion.key_slice + 1}, outlined")
    own = t1.series.volume
    index = int(np.clip(round(float(own.to_index(lesion.centroid_lps_mm)[own.slice_axis])), 0, _count(own) - 1))
    shown = one_slice(own, index)
    outlines = [Outline(_on_grid(objects, o, shown), colour_of(o), label=str(o.label)) for o in objects.objects]
    picture = draw_slice(shown.array, layout_of(shown), 0, window, outlines)
    caption = f"T1, {own.plane}, own slice {index + 1} through the centre of the lesion; outline by scanner position"
    return figure_of(name, picture, caption)


def one_slice(volume: Volume, index: int) -> Volume:
    """One acquired slice as a volume of its own, in its place."""
    corner = [0, 0, 0]
    corner[volume.slice_axis] = index
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_world(corner)
    return Volume(np.take(volume.array, [index], axis=volume.slice_axis), affine, volume.slice_axis)


def _on_grid(objects: Objects, lesion: LesionObject, grid: Volume) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where a lesion lies on another grid: at least half of it there."""
    mask = objects.lesions.volume.with_array((objects.lesions.volume.array == lesion.label).astype(np.float32))
    return np.asarray(resample(mask, grid, order=1).array >= 0.5)


def _count(volume: Volume) -> int:
    return volume.shape[volume.slice_axis]


def overview(assessment: Assessment, objects: Objects) -> Figure:
    """All slices (or an even choice of them) of the fluid series with bones and lesions outlined."""
    volume = objects.exam.fluid.volume
    layout = layout_of(volume)
    keys = [x.key_slice for x in pictured_lesions(assessment)]
    indices = chosen_slices(_count(volume), keys)
    bones = [Outline(objects.anatomy.bones.mask(code), BONE_COLOUR, 1) for code in objects.anatomy.bones.codes]
    tiles = _tiles(volume, layout, indices, [*bones, *lesion_outlines(objects, numbered=False)])
    sheet = _sheet(tiles)
    some = "all" if len(indices) == _count(volume) else f"{len(indices)} of {_count(volume)}"
    kind = contrast_words(objects.exam.fluid)
    caption = f"{kind}, {volume.plane}, {some} slices: marrow searched (green), edema-like (orange), cyst-like (blue)"
    return figure_of("overview", sheet, caption)


def chosen_slices(count: int, keys: list[int]) -> list[int]:
    """At most :data:`OVERVIEW_TILES` slice indices: the key slices, the rest evenly spread."""
    if count <= OVERVIEW_TILES:
        return list(range(count))
    spread = np.linspace(0, count - 1, OVERVIEW_TILES - len(set(keys))).round().astype(int).tolist()
    return sorted({*spread, *keys})


def _tiles(volume: Volume, layout: Layout, indices: list[int], outlines: list[Outline]) -> list[Image.Image]:
    window = window_of(volume.array)
    tiles = []
    for index in indices:
        tile = draw_slice(volume.array, layout, index, window, outlines, OVERVIEW_TILE_PX, annotate=False)
        write(tile, (4, 2), str(index + 1), "la", 12)
        tiles.append(tile)
    return tiles


def _sheet(tiles: list[Image.Image]) -> Image.Image:
    columns = min(OVERVIEW_COLUMNS, len(tiles))
    width, height = tiles[0].size
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + 2) - 2, rows * (height + 2) - 2))
    for n, tile in enumerate(tiles):
        sheet.paste(tile, ((n % columns) * (width + 2), (n // columns) * (height + 2)))
    return sheet
