"""Geometry: what the Volume class promises, judged by nibabel and SimpleITK."""

from __future__ import annotations

from itertools import product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from geometry import affines, volumes
from marrowscope.anatomy.align import to_sitk
from marrowscope.errors import GeometryError
from marrowscope.volume import Volume, direction_letter, ras_to_lps, resample


@given(volumes())
def test_world_and_index_are_inverse(volume: Volume) -> None:
    index = np.array([[0, 0, 0], [1.5, 2.0, 0.25], volume.shape])
    assert np.allclose(volume.to_index(volume.to_world(index)), index, atol=1e-6)


@given(volumes())
def test_axis_codes_agree_with_nibabel(volume: Volume) -> None:
    # nibabel works in RAS and must name the same patient directions. Where two cosines tie (a turn by 45 degrees) its
    # answer is decided by round-off, ours by the order of the axes: there any answer it gives within a hair is right
    assert volume.axis_codes in {nibabel_codes(turn @ volume.affine) for turn in HAIRS}


HAIR_RAD = 1e-5
HAIRS = [
    np.pad(Rotation.from_euler("xyz", np.array(turns) * HAIR_RAD).as_matrix(), (0, 1)) + np.diag([0, 0, 0, 1])
    for turns in product((-1.0, 0.0, 1.0), repeat=3)
]
"""No turn, and turns too small to matter, about every axis and all of them together."""


def nibabel_codes(affine: np.ndarray) -> str:
    return "".join(nib.orientations.aff2axcodes(ras_to_lps(affine)))


@pytest.mark.parametrize(
    ("turn", "codes"),
    [((0.0, 0.0, 0.5), "LPS"), ((0.0, 0.0, 1.0), "PRS"), ((1.80411903, -2.39865571, -2.61656216), "LIP"),
     ((0.0, np.pi / 4, 0.5), "IPL"), ((0.0, 0.0, np.pi / 4), "LPS"), ((0.0, 0.0, np.pi / 4 + 1e-9), "LPS")],
)  # fmt: skip
def test_a_doubly_oblique_grid_names_each_patient_axis_once_and_ties_hold(turn: tuple, codes: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn).as_matrix()
    assert Volume(np.zeros((3, 3, 3)), affine).axis_codes == codes


@given(volumes())
def test_simpleitk_puts_every_voxel_where_we_do(volume: Volume) -> None:
    image = to_sitk(volume)
    for index in [(0, 0, 0), (1, 2, 0), tuple(n - 1 for n in volume.shape)]:
        point = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(point, volume.to_world(index), atol=1e-4)
        assert image.GetPixel(*index) == volume.array[index]


@given(volumes())
def test_resampling_on_its_own_grid_changes_nothing(volume: Volume) -> None:
    again = resample(volume, volume, order=0)
    assert np.array_equal(again.array, volume.array)
    assert again.same_grid(volume)


@given(volumes(), st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3))
def test_reordered_axes_hold_the_same_voxels_at_the_same_places(volume: Volume, order: list[int], flips: tuple) -> None:
    swap = np.zeros((4, 4))
    swap[3, 3] = 1
    for new, old in enumerate(order):
        swap[old, new] = -1 if flips[new] else 1
        swap[old, 3] += volume.shape[old] - 1 if flips[new] else 0
    array = np.transpose(volume.array, order)
    array = np.flip(array, [a for a in range(3) if flips[a]])
    other = Volume(np.ascontiguousarray(array), volume.affine @ swap)
    assert np.array_equal(resample(other, volume, order=0).array, volume.array)
    assert other.voxel_volume_mm3 == pytest.approx(volume.voxel_volume_mm3)


@given(volumes(), st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3))
def test_an_image_stored_in_another_axis_order_is_sampled_without_blending(
    volume: Volume, order: list[int], flips: tuple
) -> None:
    grey = volume.with_array(np.random.default_rng(0).uniform(0, 1000, volume.shape).astype(np.float32))
    codes = np.array([[new, -1 if flip else 1] for new, flip in zip(order, flips, strict=True)])
    image = nib.Nifti1Image(grey.array, grey.affine_ras).as_reoriented(codes)
    single = image.affine.astype(np.float32)  # as a file keeps it
    other = Volume(np.ascontiguousarray(image.dataobj), ras_to_lps(single))
    assert np.array_equal(resample(other, grey).array, grey.array)
    assert grey.same_voxels(other) and other.same_voxels(grey)
    moved = other.affine.copy()
    moved[0, 3] += 0.1
    assert not grey.same_voxels(Volume(other.array, moved))
    assert not grey.same_voxels(Volume(other.array[1:], other.affine))


@given(affines())
def test_ras_to_lps_is_its_own_inverse(affine: np.ndarray) -> None:
    assert np.allclose(ras_to_lps(ras_to_lps(affine)), affine)


@pytest.mark.parametrize(
    ("vector", "letter"),
    [((1, 0, 0), "L"), ((-1, 0, 0), "R"), ((0, 1, 0), "P"), ((0, -1, 0), "A"), ((0, 0, 1), "S"), ((0, 0, -1), "I")],
)
def test_letters_follow_the_dicom_patient_frame(vector: tuple, letter: str) -> None:
    assert direction_letter(vector) == letter


@pytest.mark.parametrize(
    ("columns", "plane"),
    [(((1, 0, 0), (0, 1, 0), (0, 0, 1)), "axial"), (((0, 1, 0), (0, 0, -1), (1, 0, 0)), "sagittal"),
     (((1, 0, 0), (0, 0, -1), (0, 1, 0)), "coronal")],
)  # fmt: skip
def test_planes_are_named_by_the_slices_normal(columns: tuple, plane: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    assert Volume(np.zeros((2, 2, 2)), affine).plane == plane


@pytest.mark.parametrize("bad", ["sheared", "flat", "nan", "two axes"])
def test_a_volume_is_valid_by_construction(bad: str) -> None:
    affine, array = np.eye(4), np.zeros((2, 2, 2))
    if bad == "sheared":
        affine[0, 1] = 0.3
    elif bad == "flat":
        affine[2, 2] = 0
    elif bad == "nan":
        affine[0, 3] = np.nan
    else:
        array = np.zeros((2, 2))
    with pytest.raises(GeometryError):
        Volume(array, affine)
