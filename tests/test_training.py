"""The parts of ``training`` that need neither torch nor LightGBM, and that training sees what the product shows."""

from __future__ import annotations

import ast
import json
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from marrowscope.anatomy import si_model
from marrowscope.inference import canonical_slices, load_card
from marrowscope.lesion.si_features import Marrow
from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.complete import CARTILAGE_LABELS
from marrowscope.simulate.limb.source import Knee
from marrowscope.study.nifti import ras_to_lps
from marrowscope.volume import Volume
from needs import CHECKOUT

sys.path.insert(0, str(CHECKOUT))

from training.knee import bake, images, package, subjects
from training.si_joint import data, simulate_lesions, split_labels

SCRIPTS = sorted((CHECKOUT / "training").rglob("*.py"))


def defined(module: str) -> set[str]:
    """What a module of ``training`` defines or imports at its top, read without running it."""
    names = set()
    for node in ast.parse((CHECKOUT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(CHECKOUT)))
def test_what_a_script_imports_of_ours_exists(path: Path) -> None:
    """Most scripts need torch, which is not installed here: their imports are read, not run."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        wanted = {alias.name for alias in node.names}
        root = node.module.partition(".")[0]
        if root == "training":
            there = defined(node.module) if not (CHECKOUT / node.module.replace(".", "/")).is_dir() else wanted
            assert wanted <= there, node.module
        elif root == "marrowscope":
            module = import_module(node.module)
            missing = {name for name in wanted if not hasattr(module, name)}
            for name in missing:
                import_module(f"{node.module}.{name}")
        else:
            assert not (path.parent / f"{root}.py").exists(), f"{root} is imported by its bare name"


@pytest.mark.parametrize("turn", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_the_sacroiliac_networks_are_trained_on_what_the_product_shows_them(
    turn: tuple[int, int], swapped: bool
) -> None:
    """Orientation, pixel size, brightness and neighbours, for slices stored from front to back at 3.3 mm."""
    noise = np.random.default_rng(5).uniform(0, 900, (60, 72, 6))
    array = ndimage.gaussian_filter(noise, (4, 4, 0)).astype(np.float32)
    ras = np.zeros((4, 4))
    ras[0, 0], ras[2, 1], ras[1, 2], ras[3, 3] = 0.6 * turn[0], 0.6 * turn[1], -3.3, 1
    if swapped:
        array, ras = array.swapaxes(0, 1), ras[:, [1, 0, 2, 3]]
    contract = load_card(si_model.REGION).contract
    stored = data.canonical(nib.Nifti1Image(array, ras))
    trained = data.triplet(SimpleNamespace(spacing=(0.6, 0.6, 3.3)), stored)
    volume = Volume(np.ascontiguousarray(array), ras_to_lps(ras))
    stack = canonical_slices(volume, contract)
    shown = si_model._channels(stack, [stack.array], contract)[:, :3]
    first, second, _ = stack.grid.shape
    # The working grid runs to the front. Training takes the bright end before resampling, the product after it.
    np.testing.assert_allclose(shown[::-1, :, :first, :second], trained, atol=0.02)


def test_every_sacroiliac_case_is_held_out_once() -> None:
    assert sorted(case for fold in data.FOLDS for case in fold) == sorted(data.REGION_CASES)
    card = load_card(si_model.REGION)
    assert [set(w.held_out) for w in card.weights] == [set(fold) for fold in data.FOLDS]


def test_the_knee_card_as_packed_holds_out_the_subjects_of_the_shipped_one(tmp_path: Path) -> None:
    """The split, and the card made from it, by the names of the maps alone; visits of one subject stay together."""
    shipped = load_card("knee")
    held = {name.split("_")[0] for name in shipped.weights[0].held_out}
    trained = set(shipped.settings["trained_subjects"])
    run, maps, labels = (tmp_path / name for name in ("run", "maps", "labels"))
    for folder in (run, maps, labels):
        folder.mkdir()
    for subject in held | trained:
        (maps / f"{subject}_00m.json").write_text(json.dumps({"subject": subject}))
        for visit in ("00m", "72m"):
            (labels / f"{subject}_{visit}.nii.gz").write_text(f"{subject} {visit}")
    assert subjects.split(maps) == (trained, held)
    (run / "knee.onnx").write_bytes(b"weights")
    (run / "log.jsonl").write_text('{"step": 1, "minutes": 1, "femur": 0.1}\n{"step": 9, "minutes": 2, "femur": 0.9}\n')
    card = package.card(run, maps, labels, {"bench": {"dice": 0.9}})
    assert card["weights"][0]["held_out"] == sorted(f"{s}_{v}" for s in held for v in ("00m", "72m"))
    assert card["settings"] == {"trained_subjects": sorted(trained)}
    assert card["results"] == {"held_out_slices": {"femur": 0.9}, "bench": {"dice": 0.9}}
    assert len(card["images"]) == 2 * len(held | trained)
    assert (card["outputs"], card["version"]) == (list(shipped.outputs), shipped.version)
    assert card["failures"] == list(shipped.failures)


class _Booster:
    """As much of a LightGBM booster as the export asks for."""

    def dump_model(self) -> dict[str, Any]:
        def split(feature: int, threshold: float, left: Any, right: Any, to_left: bool) -> dict[str, Any]:
            return {
                "split_feature": feature, "threshold": threshold, "default_left": to_left,
                "left_child": left, "right_child": right,
            }  # fmt: skip

        leaves = [{"leaf_value": value} for value in (-1.5, 0.25, 2.0, 0.5, -0.75)]
        first = split(0, 0.5, leaves[0], split(1, -1.0, leaves[1], leaves[2], True), False)
        second = split(1, 2.0, leaves[3], leaves[4], False)
        return {"tree_info": [{"tree_structure": first}, {"tree_structure": second}]}


def _walk(node: dict[str, Any], row: np.ndarray) -> float:
    while "split_feature" in node:
        value = row[node["split_feature"]]
        left = node["default_left"] if np.isnan(value) else value <= node["threshold"]
        node = node["left_child"] if left else node["right_child"]
    return float(node["leaf_value"])


def test_exported_trees_answer_as_the_booster_does_missing_values_too() -> None:
    pytest.importorskip("onnx", reason="trees are exported with onnx")
    import onnxruntime
    from training.si_joint.trees_onnx import to_onnx

    rows = np.array([[a, b] for a in (0.0, 0.5, 1.0, np.nan) for b in (-2.0, -1.0, 0.0, 3.0, np.nan)], np.float32)
    trees = [tree["tree_structure"] for tree in _Booster().dump_model()["tree_info"]]
    scores = np.array([sum(_walk(tree, row) for tree in trees) for row in rows])
    session = onnxruntime.InferenceSession(to_onnx(_Booster(), 2))
    (answer,) = session.run(None, {"x": rows})
    np.testing.assert_allclose(answer[:, 0], 1 / (1 + np.exp(-scores)), atol=1e-6)


def test_the_joint_line_follows_a_dark_path() -> None:
    rows, height = len(split_labels.REACH_MM), 40
    wanted = (30 + 8 * np.sin(np.arange(height) / 9)).astype(int)
    cost = np.zeros((rows, height))
    cost[wanted, np.arange(height)] = -1
    path = split_labels.darkest_path(cost, 3, height - 4)
    np.testing.assert_allclose(path[3:-3], split_labels.REACH_MM[wanted[3:-3]])
    assert (path[:3] == path[3]).all() and (path[-3:] == path[-4]).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_lesions_put_into_real_marrow_lie_in_it_and_take_its_fat(seed: int) -> None:
    shape = (48, 40, 8)
    rng = np.random.default_rng(1)
    bone = np.zeros(shape, np.uint8)
    bone[8:24, 6:34, 1:7], bone[26:42, 6:34, 1:7] = 1, 2
    stir, t1 = (rng.uniform(90, 110, shape).astype(np.float32) for _ in range(2))
    before = Marrow(stir, t1, bone > 0, bone)
    after, where = simulate_lesions.simulate(before, np.random.default_rng(seed))
    again, _ = simulate_lesions.simulate(before, np.random.default_rng(seed))
    assert after.stir.shape == shape and np.isfinite(after.stir).all()
    assert not (where & ~before.region).any()
    assert (after.t1 <= before.t1 * (1 + 1e-5)).all()
    assert np.array_equal(after.stir, again.stir)
    if where.any():
        assert np.median((after.stir / before.stir)[where]) > 1


def _knee() -> images.Baked:
    """Muscle around a femur and a tibia with a block of edema in the femur; voxels of 0.9 mm, the limb along k."""
    codes = np.zeros((120, 120, 140), np.uint8)
    codes[5:115, 5:115] = plan.MUSCLES[0]
    for bone, ends in ((1, slice(72, 140)), (2, slice(0, 68))):
        codes[25:95, 25:95, ends] = plan.bone_code(bone, plan.CORTEX)
        codes[27:93, 27:93, ends] = plan.bone_code(bone, plan.EPIPHYSIS)
    share = np.zeros_like(codes)
    share[40:70, 40:70, 80:100] = 200
    return images.Baked(np.stack([codes, share]), np.full(3, 0.9), 70.0, np.argwhere(share >= 100)[::300])


@pytest.mark.parametrize("clean", [True, False])
def test_drawn_slices_are_what_the_network_takes(clean: bool) -> None:
    maps = [_knee()]
    bones, marked = 0, 0
    for seed in range(12):
        drawn, again = (images.draw(maps, np.random.default_rng(seed), clean) for _ in range(2))
        assert drawn.image.shape == drawn.bone.shape == drawn.lesion.shape == (images.SIZE, images.SIZE)
        assert np.isfinite(drawn.image).all() and drawn.image.min() >= 0
        assert set(np.unique(drawn.bone)) <= {0, 1, 2}
        assert not (drawn.lesion & (drawn.bone == 0)).any(), "edema lies in bone"
        assert np.array_equal(drawn.image, again.image) and np.array_equal(drawn.lesion, again.lesion)
        bones += len(set(np.unique(drawn.bone))) > 1
        marked += bool(drawn.lesion.any())
    assert bones >= 10 and marked >= 3


def test_a_lesion_that_nothing_shows_is_not_learnt() -> None:
    lesion = np.zeros((images.SIZE, images.SIZE), bool)
    lesion[20:30, 20:30] = lesion[60:70, 60:70] = True
    healthy = np.full(lesion.shape, 0.3)
    ill = healthy.copy()
    ill[20:30, 20:30] += 0.5
    ill[60:70, 60:70] += 0.02
    hidden = images.hidden_lesions(lesion, ill, healthy, noise=0.05)
    assert not hidden[20:30, 20:30].any() and hidden[60:70, 60:70].all() and hidden.sum() == 100
    assert (images.hidden_lesions(lesion, ill, healthy, noise=5.0) == lesion).all()
    assert not images.hidden_lesions(lesion & False, ill, healthy, 0.05).any()


def test_thicker_cartilage_grows_into_nothing_but_gaps() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:, :, :8] = 1
    labels[:, :, 8:10] = CARTILAGE_LABELS[0]
    labels[:, :, 13:] = 3
    grown = bake.thickened(Knee(labels, labels > 6, (0.5, 0.5, 0.5), 10.0), 1.0).labels
    assert np.array_equal(grown[labels > 0], labels[labels > 0]), "bone and cartilage keep their places"
    assert (grown[:, :, 10:12] == CARTILAGE_LABELS[0]).all() and (grown[:, :, 12] == 0).all()
