"""Growth cartilage is no edema: sheets drawn by hand, and the simulated knee of a child."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import marrowscope as ms
import marrowscope.simulate as sim
from marrowscope.anatomy.types import Anatomy
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.lesion.growth_plate import GROWTH_PLATE, growth_plates
from marrowscope.lesion.types import LesionKind
from marrowscope.study import read_study
from marrowscope.volume import Volume

SHAPE = (60, 60, 14)
"""x to the back, y to the feet, z to the side: sagittal slices of 1 x 1 x 4 mm."""

AFFINE = np.array([[0, 0, 4.0, 0], [1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
BONE = np.s_[10:50, 5:55, 1:13]


def bone(depth: float = 30.0) -> Anatomy:
    mask = np.zeros(SHAPE, bool)
    mask[BONE] = True
    grid = Volume(np.zeros(SHAPE, np.float32), AFFINE, 2)
    bones = LabelMap.from_masks(grid, {"femur": mask})
    depths = grid.with_array(np.full(SHAPE, depth, np.float32))
    return Anatomy(bones, LabelMap.empty(grid), depths, np.zeros(SHAPE, bool))


def wave(thickness: int = 3, share: float = 1.0) -> BoolArray:
    """A wavy sheet across the bone, or across a share of it from one side."""
    x, y, z = np.indices(SHAPE)
    height = 30 + np.round(3 * np.sin(x / 6) + np.cos(z))
    sheet = (y >= height) & (y < height + thickness) & (x < 10 + share * 40)
    return np.asarray(sheet & bone().bones.mask())


@pytest.mark.parametrize("thickness", [2, 3, 4])
def test_a_thin_sheet_across_the_bone_is_found_whole(thickness: int) -> None:
    found = growth_plates(wave(thickness), bone())
    assert (found == wave(thickness)).all()


def test_a_lesion_that_touches_the_plate_is_not_part_of_it() -> None:
    lesion = np.zeros(SHAPE, bool)
    lesion[18:34, 34:50, 4:8] = True
    found = growth_plates(wave() | lesion, bone())
    beyond = lesion & ~wave()
    assert (found & beyond).sum() < 0.02 * beyond.sum()
    clear = wave().copy()
    clear[14:38, :, 3:9] = False
    assert (found & clear).sum() > 0.98 * clear.sum()


@pytest.mark.parametrize(
    ("bright", "anatomy"),
    [
        (wave(share=0.4), bone()),  # a line that ends inside the bone
        (wave(12), bone()),  # a band of edema
        (wave(), bone(depth=3.0)),  # edema beneath the joint surface
        (np.zeros(SHAPE, bool), bone()),
    ],
)
def test_what_is_thick_short_or_at_the_joint_is_no_plate(bright: BoolArray, anatomy: Anatomy) -> None:
    assert not growth_plates(bright, anatomy).any()


def test_slices_across_the_limb_show_no_plate_as_a_line() -> None:
    grid = Volume(np.zeros(SHAPE, np.float32), np.diag([1.0, 1, 4, 1]), 2)
    anatomy = bone()
    axial = replace(anatomy, bones=LabelMap.from_masks(grid, {"femur": anatomy.bones.mask()}))
    assert not growth_plates(wave(), axial).any()


def test_a_childs_open_plates_are_kept_out_and_no_edema(tmp_path: Path) -> None:
    options = sim.KneeOptions(field_t=1.5, fluid="stir", noise="low", lesions=(), age_years=11, voxel_mm=1.0)
    sim.write_dicom(sim.knee(9808, options), tmp_path)
    objects = ms.detect(ms.prepare(read_study(tmp_path)))
    assert not [o for o in objects.objects if o.kind in (LesionKind.EDEMA, LesionKind.CYST)]
    plates = objects.kept_out.mask(GROWTH_PLATE)
    femur, tibia = (int((plates & objects.anatomy.bones.mask(b)).sum()) for b in ("femur", "tibia"))
    assert femur > 1500 and tibia > 1500
