"""Radiological convention and true proportions for any acquisition, and masks that lie where they were drawn."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.labelmap import LabelMap
from marrowscope.report.masks import mask_bytes
from marrowscope.report.planes import layout_of, slice_picture
from marrowscope.report.raster import scale_bar_mm, window_of
from marrowscope.study import NiftiSource, Role, SequenceClass
from marrowscope.volume import Volume, ras_to_lps
from report_sample import series

SHAPE = (7, 9, 5)
SHOWN_LEFT_OF = {"axial": "R", "coronal": "R", "sagittal": "A"}
SHOWN_ON_TOP = {"axial": "A", "coronal": "S", "sagittal": "S"}


@st.composite
def grids(draw: st.DrawFn) -> Volume:
    """Axial, coronal, sagittal and oblique grids, any axis order, any direction reversed."""
    order = draw(st.permutations([0, 1, 2]))
    signs = draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3))
    turn = np.eye(3)
    for axis in range(3):
        angle = draw(st.floats(-0.5, 0.5))
        c, s = np.cos(angle), np.sin(angle)
        a, b = [n for n in range(3) if n != axis]
        step = np.eye(3)
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        turn = step @ turn
    columns = turn @ np.eye(3)[:, list(order)] * np.array(signs)
    spacing = [draw(st.floats(0.3, 5.0)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = columns * np.array(spacing)
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    return Volume(np.zeros(SHAPE, dtype=np.uint16), affine, draw(st.sampled_from([0, 1, 2])))


@given(grids())
def test_a_picture_follows_the_patient_not_the_array(grid: Volume) -> None:
    layout = layout_of(grid)
    named = ("sagittal", "coronal", "axial")[int(np.abs(grid.directions[:, grid.slice_axis]).argmax())]
    world = grid.to_world(np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1))
    x, y, z = (slice_picture(world[..., axis], layout, 2) for axis in range(3))
    rightward = {"axial": x, "coronal": x, "sagittal": y}[named]
    downward = {"axial": y, "coronal": -z, "sagittal": -z}[named]
    assert (np.diff(rightward, axis=1) > 0).all()
    assert (np.diff(downward, axis=0) > 0).all()
    assert SHOWN_LEFT_OF[named] in layout.letters[0]
    assert SHOWN_ON_TOP[named] in layout.letters[2]


@given(grids())
def test_letters_at_opposite_edges_are_opposite(grid: Volume) -> None:
    opposite = str.maketrans("RLAPIS", "LRPASI")
    left, right, top, bottom = layout_of(grid).letters
    assert left.translate(opposite) == right
    assert top.translate(opposite) == bottom


@given(grids())
def test_pixels_keep_their_proportions(grid: Volume) -> None:
    layout = layout_of(grid)
    plane = slice_picture(grid.array, layout, 0)
    assert plane.shape == (SHAPE[layout.row_axis], SHAPE[layout.column_axis])
    assert layout.pixel_mm == (grid.spacing[layout.row_axis], grid.spacing[layout.column_axis])


def _labels(grid: Volume, seed: int) -> LabelMap:
    array = np.random.default_rng(seed).integers(0, 4, grid.shape).astype(np.uint16)
    return LabelMap(grid.with_array(array), {1: "a", 2: "b", 3: "c"})


@given(grids(), st.integers(0, 9))
def test_a_dicom_mask_read_by_nibabel_and_simpleitk_lies_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, grid: Volume, seed: int
) -> None:
    labels = _labels(grid, seed)
    path = tmp_path_factory.mktemp("mask") / "lesions.nii.gz"
    path.write_bytes(mask_bytes(labels, series("1", Role.FLUID, SequenceClass.STIR, grid, "")))
    _judge(path, labels)


def _judge(path: Path, labels: LabelMap) -> None:
    import nibabel
    import SimpleITK as sitk

    grid = labels.volume
    by_nibabel = nibabel.load(path)
    assert np.array_equal(np.asarray(by_nibabel.dataobj), grid.array)
    np.testing.assert_allclose(ras_to_lps(by_nibabel.affine), grid.affine, atol=2e-3)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), grid.array)
    for index in ((0, 0, 0), (6, 0, 4), (3, 8, 1)):
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), grid.to_world(index), atol=5e-3)


@given(grids(), st.integers(0, 9))
def test_a_nifti_mask_keeps_the_inputs_affine_codes_and_shape_but_none_of_its_words(
    tmp_path_factory: pytest.TempPathFactory, grid: Volume, seed: int
) -> None:
    import nibabel

    original = nibabel.Nifti1Image(np.zeros(SHAPE, dtype=np.float32), grid.affine_ras)
    original.set_sform(grid.affine_ras, 2)
    original.set_qform(grid.affine_ras, 1)
    original.header["descrip"] = b"DOE^JANE"
    source = NiftiSource(Path("fluid.nii.gz"), original.affine, original.header)
    fluid = series("1", Role.FLUID, SequenceClass.STIR, grid, "")
    labels = _labels(grid, seed)
    path = tmp_path_factory.mktemp("mask") / "bones.nii.gz"
    path.write_bytes(mask_bytes(labels, type(fluid)(**{**vars(fluid), "source": source})))
    _judge(path, labels)
    written = nibabel.load(path)
    assert np.array_equal(written.header.get_sform(coded=True)[0], original.header.get_sform(coded=True)[0])
    assert int(written.header["sform_code"]) == 2
    assert int(written.header["qform_code"]) == 1
    assert b"DOE" not in gzip.decompress(path.read_bytes())


def test_a_mask_is_the_same_bytes_every_time() -> None:
    grid = Volume(np.zeros(SHAPE, dtype=np.uint16), np.eye(4))
    fluid = series("1", Role.FLUID, SequenceClass.STIR, grid, "")
    assert mask_bytes(_labels(grid, 1), fluid) == mask_bytes(_labels(grid, 1), fluid)


def test_many_labels_need_two_bytes() -> None:
    import nibabel

    grid = Volume(np.zeros((20, 20, 2), dtype=np.uint16), np.eye(4))
    array = np.arange(800, dtype=np.uint16).reshape(grid.shape)
    labels = LabelMap(grid.with_array(array), {n: f"lesion_{n}" for n in range(1, 800)})
    raw = mask_bytes(labels, series("1", Role.FLUID, SequenceClass.STIR, grid, ""))
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(raw))
    assert np.array_equal(np.asarray(image.dataobj), array)


def test_the_window_is_not_moved_by_a_hot_voxel() -> None:
    array = np.random.default_rng(0).uniform(50, 150, (40, 40, 10))
    quiet = window_of(array)
    array[3, 3, 3] = 1e9
    assert window_of(array) == pytest.approx(quiet, rel=0.01)


def test_an_empty_image_has_a_window() -> None:
    assert window_of(np.zeros((3, 3, 3))) == (0.0, 1.0)


@pytest.mark.parametrize(("width_mm", "bar"), [(160.0, 20), (400.0, 100), (30.0, 5), (12.0, 5)])
def test_the_scale_bar_spans_at_most_a_quarter_where_one_fits(width_mm: float, bar: int) -> None:
    assert scale_bar_mm(width_mm) == bar
