"""What the viewer shows and what an edit needs: axes by geometry, windows by percentiles, objects to disk and back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from marrowscope.errors import ResultsError, UsageError
from marrowscope.volume import Volume, ras_to_lps
from marrowscope.web.work.codec import load, save
from marrowscope.web.work.common import OpenObjects
from marrowscope.web.work.viewer_files import Orientation, mask_of, runs_of, windows


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Any axis order and direction, turned by up to 30 degrees, any spacing."""
    turn = Rotation.from_euler("xyz", [draw(st.floats(-30, 30)) for _ in range(3)], degrees=True).as_matrix()
    order = draw(st.permutations(range(3)))
    signs = [draw(st.sampled_from([-1, 1])) for _ in range(3)]
    axes = turn @ np.eye(3)[:, list(order)] * signs
    affine = np.eye(4)
    affine[:3, :3] = axes * [draw(st.floats(0.3, 5)) for _ in range(3)]
    affine[:3, 3] = [draw(st.floats(-100, 100)) for _ in range(3)]
    shape = tuple(draw(st.integers(2, 5)) for _ in range(3))
    array = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 9, shape).astype(np.int16)
    return Volume(array, affine)


@given(volumes())
def test_the_viewer_s_axes_are_those_an_independent_reader_gives(volume: Volume) -> None:
    """nibabel's closest canonical image is the judge; a voxel keeps its place and goes back to where it was."""
    orientation = Orientation.of(volume.affine)
    view = orientation.to_view(volume.array)
    judge = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume.array, ras_to_lps(volume.affine)))
    # Slices turned by more than 45 degrees in sum have no nearest axes that everybody agrees on.
    if np.abs(judge.affine[:3, :3] / np.linalg.norm(judge.affine[:3, :3], axis=0)).max(axis=0).min() > 0.75:
        assert np.array_equal(np.asarray(judge.dataobj), view)
        assert np.allclose(judge.affine, orientation.affine(volume.affine_ras, volume.shape))
    assert np.array_equal(orientation.from_view(view), volume.array)
    mask = view > 4
    assert np.array_equal(mask_of(tuple((a, b) for a, b in runs_of(mask)), view.shape), mask)


def test_runs_count_x_fastest_and_refuse_what_leaves_the_grid() -> None:
    mask = np.zeros((4, 3, 2), dtype=bool)
    mask[1:3, 2, 1] = True
    assert runs_of(mask) == [[1 + 4 * (2 + 3 * 1), 2]]
    with pytest.raises(UsageError):
        mask_of(((23, 2),), (4, 3, 2))


def test_the_window_is_set_from_the_image_s_percentiles_without_its_background() -> None:
    rng = np.random.default_rng(0)
    array = np.zeros((20, 20, 20))
    array[:, :, 10:] = rng.uniform(100, 200, (20, 20, 10))
    array[0, 0, 19] = 1e6
    low, high = windows(array)["usual"]
    assert 100 <= low <= 102 and 198 <= high <= 200, "neither air nor one bright voxel sets it"
    for empty in (np.zeros((3, 3, 3)), np.full((3, 3, 3), np.nan)):
        assert windows(empty)["usual"][1] > windows(empty)["usual"][0]
    assert all(high > low for low, high in windows(np.full((3, 3, 3), 7.0)).values())


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    array: np.ndarray
    colour: Colour
    where: Path | None = None


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    named: dict[Colour, Leaf]
    cutoff: float
    words: dict[int, str]


def test_objects_come_back_as_they_were_and_share_arrays(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    leaf = Leaf(array, Colour.RED, Path("a/b"))
    tree = Tree((leaf, Leaf(array[::-1].T, Colour.RED)), {Colour.RED: leaf}, float("inf"), {1: "femur"})
    save(tree, tmp_path / "objects")
    save(tree, tmp_path / "objects")
    back = load(Tree, tmp_path / "objects")
    assert back.cutoff == float("inf") and back.words == {1: "femur"}
    assert back.leaves[0].colour is Colour.RED and back.leaves[0].where == Path("a/b")
    assert np.array_equal(back.leaves[0].array, array) and np.array_equal(back.leaves[1].array, array[::-1].T)
    assert back.named[Colour.RED].array is back.leaves[0].array
    assert len(list((tmp_path / "objects").glob("*.npy"))) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["objects"], "nothing half-written is left"


def test_a_stored_tree_cannot_name_a_foreign_class_and_a_missing_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no stored detection"):
        load(Tree, tmp_path / "absent")
    folder = tmp_path / "forged"
    folder.mkdir()
    (folder / "tree.json").write_text('{"version": 1, "root": {"$class": "Popen", "fields": {}}}')
    with pytest.raises(KeyError):
        load(Tree, folder)
    (folder / "tree.json").write_text('{"version": 99, "root": 1}')
    with pytest.raises(ResultsError, match="version 99"):
        load(Tree, folder)
    with pytest.raises(TypeError):
        save(object(), tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


def test_the_studies_read_last_stay_open_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("marrowscope.web.work.codec.load", lambda _, folder: loaded.append(folder.name) or object())
    opened = OpenObjects(2)
    first = opened(tmp_path / "a")
    opened(tmp_path / "b")
    assert opened(tmp_path / "a") is first
    opened(tmp_path / "c")  # closes b, unused for longest
    assert opened(tmp_path / "a") is first
    opened(tmp_path / "b")
    assert loaded == ["a", "b", "c", "b"]
