"""Model registry, sessions and slice preparation: what a model is shown, and what comes back."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from marrowscope.errors import GeometryError, ModelError
from marrowscope.inference import InputContract, canonical_slices, card, load_card, load_model, model_names, onto_grid
from marrowscope.inference.slices import linear_along, with_neighbours
from marrowscope.volume import Volume

CONTRACT = InputContract(("image",), "L", "S", 1.0, 8, 3.0, ("coronal",), (0.3, 2.0), (2.0, 6.0))
CORONAL = np.array([[1.0, 0, 0, -20], [0, 0, 4.0, 5], [0, 1.0, 0, 30], [0, 0, 0, 1]])


def coronal(shape: tuple[int, int, int] = (13, 10, 4)) -> Volume:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return Volume(array, CORONAL)


def rearranged(volume: Volume, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """The same picture stored with other index axes, its affine following."""
    array, affine = np.transpose(volume.array, order), np.array(volume.affine)
    affine[:3, :3] = affine[:3, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(array), affine, order.index(volume.slice_axis))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(itertools.permutations(range(3)))), st.tuples(*[st.booleans()] * 3))
def test_any_storage_order_gives_the_same_working_slices(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume = coronal()
    stored = rearranged(volume, order, flips)
    expected, found = canonical_slices(volume, CONTRACT), canonical_slices(stored, CONTRACT)
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.grid.affine, expected.grid.affine, atol=1e-9)
    np.testing.assert_array_equal(onto_grid(found, found.array), stored.array)


def test_working_slices_have_the_contracts_pixel_and_multiple_and_the_answer_comes_back_in_place() -> None:
    x, y = np.meshgrid(np.arange(40.0), np.arange(30.0), indexing="ij")
    ramp = np.repeat((2 * x + 3 * y)[:, :, None], 3, axis=2).astype(np.float32)
    stack = canonical_slices(Volume(ramp, CORONAL), replace(CONTRACT, pixel_mm=1.6))
    assert stack.array.shape[1] % 8 == 0 and stack.array.shape[2] % 8 == 0
    back = onto_grid(stack, stack.array)
    np.testing.assert_allclose(back[4:-4, 4:-4], ramp[4:-4, 4:-4], atol=0.6)
    world = stack.grid.to_world((5, 5, 1))
    i, j, _ = Volume(ramp, CORONAL).to_index(world)
    assert stack.grid.array[5, 5, 1] == pytest.approx(2 * i + 3 * j, abs=0.6)


@pytest.mark.parametrize(("count", "wanted"), [(20, 30), (30, 20), (17, 18), (1, 3)])
def test_linear_resampling_is_what_scipy_calls_a_grid_mode_zoom(count: int, wanted: int) -> None:
    array = np.random.default_rng(0).random((count, 5), dtype=np.float32)
    factor = wanted / count
    judge = ndimage.zoom(array, (factor, 1), order=1, grid_mode=True, mode="nearest")
    ours = linear_along(array, 0, (np.arange(wanted) + 0.5) / factor - 0.5)
    np.testing.assert_allclose(ours, judge, atol=1e-6)


def test_slices_of_another_plane_are_refused_with_the_reason() -> None:
    axial = Volume(np.zeros((8, 8, 3), np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))
    with pytest.raises(GeometryError, match="axial"):
        canonical_slices(axial, CONTRACT)


def test_neighbours_are_interpolated_at_a_fixed_distance() -> None:
    stack = canonical_slices(coronal((8, 8, 5)), CONTRACT)  # slices 4 mm apart
    values = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    around = with_neighbours(stack, values, 3.0)
    np.testing.assert_allclose(around[2, :, 0, 0], [1.25, 2.0, 2.75])
    np.testing.assert_allclose(around[0, :, 0, 0], [0.0, 0.0, 0.75])
    np.testing.assert_allclose(around[4, :, 0, 0], [3.25, 4.0, 4.0])


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folds that multiply by 2 and by 4, written with onnx itself."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path / "doubler"
    folder.mkdir()
    weights = []
    for fold, factor in enumerate((2.0, 4.0)):
        node = onnx.helper.make_node("Mul", ["x", "f"], ["y"])
        axes = [None, None, None, None]
        graph = onnx.helper.make_graph(
            [node],
            "g",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, axes)],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, axes)],
            [onnx.helper.make_tensor("f", onnx.TensorProto.FLOAT, [], [factor])],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
        data = model.SerializeToString()
        (folder / f"{fold}.onnx").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        weights.append({"file": f"{fold}.onnx", "sha256": digest, "fold": fold, "held_out": [f"case{fold}"]})
    raw = {
        "name": "doubler",
        "version": 1,
        "site": "knee",
        "task": "test",
        "contract": {
            "channels": ["image"],
            "first": "L",
            "second": "S",
            "pixel_mm": 1.0,
            "multiple_of": 8,
            "context_mm": 0.0,
            "planes": ["coronal"],
            "spacing_mm": [0.3, 2.0],
            "slice_spacing_mm": [2.0, 6.0],
        },
        "outputs": ["y"],
        "weights": weights,
        "images": {"case0": {"a": "h0"}, "case1": {"a": "h1"}, "case2": {"a": "h2"}},
        "data": [{"source": "made here"}],
        "results": {},
        "failures": [],
    }
    (folder / "card.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    monkeypatch.setattr(card, "models_folder", lambda: tmp_path)
    monkeypatch.setattr("marrowscope.inference.session.models_folder", lambda: tmp_path)
    load_card.cache_clear()
    load_model.cache_clear()
    yield tmp_path
    load_card.cache_clear()
    load_model.cache_clear()


def test_the_ensemble_is_the_mean_of_its_folds_and_sessions_are_made_once(registry: Path) -> None:
    model = load_model("doubler")
    batch = np.ones((19, 1, 2, 2), np.float32)
    np.testing.assert_array_equal(model.run(batch), 3 * batch)
    np.testing.assert_array_equal(model.run(batch, fold=1), 4 * batch)
    assert load_model("doubler") is model
    assert model_names() == ("doubler",)
    with pytest.raises(ModelError, match="fold 7"):
        model.run(batch, fold=7)


def test_a_case_is_scored_only_by_a_fold_that_never_saw_it(registry: Path) -> None:
    model_card = load_card("doubler")
    assert model_card.fold_that_never_saw(["h1"]) == 1
    assert model_card.fold_that_never_saw(["h0", "other"]) == 0
    with pytest.raises(ModelError, match="every fold"):
        model_card.fold_that_never_saw(["h2"])


def test_a_changed_weight_file_is_refused(registry: Path) -> None:
    path = registry / "doubler" / "0.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="SHA-256"):
        load_model("doubler")


def test_an_unknown_model_and_a_card_without_a_part_say_so(registry: Path) -> None:
    with pytest.raises(ModelError, match="doubler"):
        load_card("nothing")
    path = registry / "doubler" / "card.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    del raw["contract"]
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ModelError, match="contract"):
        load_card("doubler")
