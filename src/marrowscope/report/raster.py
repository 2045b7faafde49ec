"""Drawing one slice: window, true proportions, outlines, scale bar, orientation letters. Same input, same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from marrowscope.labelmap import box_around
from marrowscope.report.planes import Layout, slice_picture

if TYPE_CHECKING:
    from marrowscope.labelmap import BoolArray
    from marrowscope.volume import AnyArray

WINDOW_PERCENTILES = (1.0, 99.0)
"""Brightness shown as black and white, among voxels above zero: robust against air and against single hot voxels."""

LARGEST_SIDE_PX = 520
"""Longer side of a key image; about twice an acquired matrix, so that single voxels can be told apart."""

SCALE_BARS_MM = (5, 10, 20, 50, 100)
"""Lengths a scale bar may have; the largest that spans at most a quarter of the picture is drawn."""

EDEMA_COLOUR = (230, 159, 0)
CYST_COLOUR = (86, 180, 233)
BONE_COLOUR = (0, 158, 115)
REJECTED_COLOUR = (170, 170, 170)
"""Okabe and Ito's palette: told apart with every common form of colour blindness, and from grey."""

INK = (255, 255, 255)
HALO = (0, 0, 0)
LETTER_PX = 15
MARGIN_PX = 6

PNG_LEVEL = 5
"""zlib level of a PNG: 9 takes four times as long on noisy images and saves under 2 %."""

PALETTE_SIZE = 256
MOST_LINE_COLOURS = 16
"""A picture with more colours than lines need keeps its three bytes a pixel."""

RgbArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Outline:
    """A mask to draw the edge of.

    Attributes:
        mask: bool array on the same grid as the image. colour: of the line. width: of the line in pixels.
        label: written beside it, e.g. the lesion's number; empty for none.
    """

    mask: BoolArray
    colour: tuple[int, int, int]
    width: int = 2
    label: str = ""


def window_of(array: AnyArray) -> tuple[float, float]:
    """Brightness shown black and white: :data:`WINDOW_PERCENTILES` of the finite values above zero."""
    values = array[np.isfinite(array) & (array > 0)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, WINDOW_PERCENTILES)
    return float(low), float(high) if high > low else float(low) + 1.0


def grey(plane: AnyArray, window: tuple[float, float]) -> RgbArray:
    """A slice (rows, columns) as 8-bit grey of the same shape; ``window``: brightness shown black and white."""
    low, high = window
    scaled = (np.nan_to_num(plane.astype(np.float64), nan=low) - low) / (high - low)
    return np.asarray(np.clip(scaled * 255, 0, 255).round(), dtype=np.uint8)


def picture_size(shape: tuple[int, int], layout: Layout, largest_px: int) -> tuple[int, int]:
    """Width and height in pixels of a slice of ``shape`` (rows, columns) with true proportions."""
    height_mm, width_mm = shape[0] * layout.pixel_mm[0], shape[1] * layout.pixel_mm[1]
    scale = largest_px / max(height_mm, width_mm)
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def draw_slice(
    array: AnyArray,
    layout: Layout,
    index: int,
    window: tuple[float, float],
    outlines: Sequence[Outline] = (),
    largest_px: int = LARGEST_SIDE_PX,
    annotate: bool = True,
) -> Image.Image:
    """One slice as an RGB picture.

    Args:
        array: the volume's values. layout: how its slices lie. index: which slice. window: black and white.
        outlines: masks on the same grid. largest_px: longer side. annotate: letters and scale bar.
    """
    plane = slice_picture(array, layout, index)
    size = picture_size((plane.shape[0], plane.shape[1]), layout, largest_px)
    picture = Image.fromarray(grey(plane, window)).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    for outline in outlines:
        _draw_outline(picture, slice_picture(outline.mask, layout, index), outline)
    if annotate:
        _letters(picture, layout.letters)
        _scale_bar(picture, size[0] / (plane.shape[1] * layout.pixel_mm[1]))
    return picture


def _draw_outline(picture: Image.Image, plane: AnyArray, outline: Outline) -> None:
    """The mask's own edge, outside its last voxel, with a dark seam so that it shows on bright marrow too."""
    if not plane.any():
        return
    from scipy import ndimage

    large = Image.fromarray(plane.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.NEAREST)
    whole = np.asarray(large) > 0
    if not whole.any():
        return
    box = box_around(whole, outline.width + 1)
    inside = whole[box]
    thick = ndimage.binary_dilation(inside, iterations=outline.width)
    ring = thick & ~inside
    seam = ndimage.binary_dilation(thick) & ~thick
    top, left = box[0].start, box[1].start
    corner = (left, top, box[1].stop, box[0].stop)
    pixels = np.array(picture.crop(corner))
    pixels[seam] = pixels[seam] // 3
    pixels[ring] = outline.colour
    picture.paste(Image.fromarray(pixels), (left, top))
    if outline.label:
        rows, columns = np.nonzero(ring)
        write(picture, (left + int(columns.max()) + 2, top + int(rows.min())), outline.label, "ls")


def font(size: int) -> Any:
    """The one font of every picture, at a size in pixels."""
    return ImageFont.load_default(size)


def _letters(picture: Image.Image, letters: tuple[str, str, str, str]) -> None:
    width, height = picture.size
    places = (
        ((MARGIN_PX, height / 2), "lm"),
        ((width - MARGIN_PX, height / 2), "rm"),
        ((width / 2, MARGIN_PX), "ma"),
        ((width / 2, height - MARGIN_PX), "md"),
    )
    for letter, (place, anchor) in zip(letters, places, strict=True):
        write(picture, place, letter, anchor)


def write(picture: Image.Image, place: tuple[float, float], text: str, anchor: str, size: int = LETTER_PX) -> None:
    """White text with a dark edge, at ``place`` in pixels (``anchor`` as Pillow's)."""
    draw = ImageDraw.Draw(picture)
    draw.text(place, text, fill=INK, font=font(size), anchor=anchor, stroke_width=2, stroke_fill=HALO)


def scale_bar_mm(width_mm: float) -> int:
    """The length of the scale bar of a picture ``width_mm`` wide."""
    fitting = [n for n in SCALE_BARS_MM if n <= width_mm / 4]
    return fitting[-1] if fitting else SCALE_BARS_MM[0]


def _scale_bar(picture: Image.Image, px_per_mm: float) -> None:
    width, height = picture.size
    length = scale_bar_mm(width / px_per_mm)
    right, bottom = width - 3 * MARGIN_PX, height - 3 * MARGIN_PX
    left = right - round(length * px_per_mm)
    draw = ImageDraw.Draw(picture)
    draw.line([(left, bottom), (right, bottom)], fill=HALO, width=6)
    draw.line([(left, bottom), (right, bottom)], fill=INK, width=2)
    text = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    write(picture, ((left + right) / 2, bottom - MARGIN_PX), text, "md")


def png_bytes(picture: Image.Image) -> bytes:
    """PNG without any metadata: the same picture gives the same bytes."""
    buffer = io.BytesIO()
    compact(picture).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def compact(picture: Image.Image) -> Image.Image:
    """The picture as plain grey, or as one byte a pixel where a few line colours lie on it: a third of the size.

    Greys keep 8 bits without colours; with colours they share the palette with them (a step of one in 255 at most).
    """
    pixels = np.asarray(picture.convert("RGB"))
    coloured = (pixels != pixels[..., :1]).any(axis=-1)
    if not coloured.any():
        return Image.fromarray(pixels[..., 0])
    colours, which = np.unique(pixels[coloured], axis=0, return_inverse=True)
    greys = PALETTE_SIZE - len(colours)
    if len(colours) > MOST_LINE_COLOURS:
        return picture
    ramp = np.round(np.arange(greys) * (255 / (greys - 1))).astype(np.uint8)
    index = np.round(pixels[..., 0] * ((greys - 1) / 255)).astype(np.uint8)
    index[coloured] = greys + which.ravel().astype(np.uint8)
    palette = np.concatenate([np.repeat(ramp[:, None], 3, axis=1), colours])
    small = Image.fromarray(index).convert("P")
    small.putpalette(palette.astype(np.uint8).tobytes())
    return small
