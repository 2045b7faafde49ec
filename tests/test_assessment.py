"""The three steps on a phantom of known voxels, edits, and the published schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import phantom
from marrowscope.anatomy.types import Anatomy
from marrowscope.assessment import conclude, from_json, json_schema, to_dict, to_json
from marrowscope.assessment.types import Outcome
from marrowscope.errors import NoFluidSeriesError, ResultsError, UsageError
from marrowscope.findings import State
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.detect import detect
from marrowscope.lesion.edits import Edit, EditKind, apply_edits, mask_to_runs, runs_to_mask
from marrowscope.lesion.types import Objects, Verdict
from marrowscope.measurement import Severity
from marrowscope.study import Role

SCHEMA = Path(__file__).parents[1] / "docs" / "schema" / "assessment.schema.json"


def found(**choices: object) -> Objects:
    exam = phantom.exam(**choices)
    bones = phantom.bones(exam.image)
    anatomy = Anatomy(bones, LabelMap.empty(exam.image), None, np.zeros(exam.image.shape, bool), (), "given mask")
    return detect(exam, anatomy)


@pytest.fixture(scope="module")
def objects() -> Objects:
    return found()


def test_the_lesion_is_found_where_it_is(objects: Objects) -> None:
    mask, truth = objects.lesions.mask(), phantom.lesion_mask()
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert dice > 0.9
    assert len(objects.objects) == 1


def test_volume_has_unit_and_interval(objects: Objects) -> None:
    lesion = conclude(objects).lesions[0]
    volume = lesion.measurement("volume")
    truth = phantom.lesion_mask().sum() * 3 / 1000
    assert volume is not None
    assert volume.value == pytest.approx(truth, rel=0.15)
    assert volume.low is not None and volume.high is not None
    assert volume.low <= volume.value <= volume.high
    assert (lesion.bone, lesion.side, lesion.key_slice) == ("femur", "left", pytest.approx(5.5, abs=2))


@pytest.mark.parametrize(("unseen", "measured"), [(np.s_[:, :, :6], True), (np.s_[:], False)])
def test_depth_is_that_of_the_slices_where_the_joint_is_seen(objects: Objects, unseen: tuple, measured: bool) -> None:
    depth = np.full(phantom.SHAPE, 7.0, np.float32)
    depth[unseen] = np.nan
    known = replace(objects, anatomy=replace(objects.anatomy, depth_mm=objects.exam.image.with_array(depth)))
    found_depth = conclude(known).lesions[0].measurement("depth_from_joint")
    assert found_depth is not None
    assert found_depth.value == (7.0 if measured else None)


def test_brightness_ratios_follow_the_tissue_table(objects: Objects) -> None:
    lesion = conclude(objects).lesions[0]
    expected = {
        "fluid_over_reference": phantom.EDEMA[0] / phantom.MARROW[0],
        "fluid_over_muscle": phantom.EDEMA[0] / phantom.MUSCLE[0],
        "t1_over_muscle": phantom.EDEMA[1] / phantom.MUSCLE[1],
    }
    for code, value in expected.items():
        measurement = lesion.measurement(code)
        assert measurement is not None
        assert measurement.value == pytest.approx(value, rel=0.15), code


def test_what_the_exam_does_not_allow_has_a_reason(objects: Objects) -> None:
    missing = [m for m in conclude(objects).lesions[0].measurements if not m.measured]
    assert {m.code for m in missing} >= {"adc", "fat_fraction", "opposed_phase_drop", "depth_from_joint"}
    assert all(m.reason for m in missing)


def test_no_lesion_is_never_no_disease() -> None:
    assessment = conclude(found(lesion=False))
    assert assessment.outcome is Outcome.NO_LESION_FOUND
    assert "does not exclude disease" in assessment.impression


def test_untrusted_reference_is_never_no_lesion() -> None:
    assessment = conclude(found(lesion=False, t1=False))
    assert assessment.outcome is Outcome.DIFFUSE_NOT_EXCLUDED
    assert any("reference" in n.what for n in assessment.not_assessed)


def test_measurements_become_findings(objects: Objects) -> None:
    findings = {f.code: f for f in conclude(objects).findings}
    assert findings["fluid_high"].state is State.PRESENT
    assert findings["t1_low"].state is State.PRESENT
    assert "opposed_phase_drop_small" not in findings  # not measured, so unknown


def test_a_study_without_fluid_series_is_refused() -> None:
    study = phantom.study()
    from marrowscope.assessment import prepare

    with pytest.raises(NoFluidSeriesError):
        prepare(replace(study, series=tuple(s for s in study.series if s.role is Role.T1)))


def test_edits_replay_over_the_automatic_result(objects: Objects) -> None:
    before = objects.lesions.volume.array.copy()
    new = np.zeros(objects.exam.image.shape, bool)
    new[20:24, 44:48, 4:6] = True
    edits = (
        Edit(EditKind.REJECT, "reader", "2026-01-01T00:00:00Z", label=1),
        Edit(EditKind.ADD_VOXELS, "reader", "2026-01-01T00:01:00Z", runs=mask_to_runs(new)),
    )
    assessment = conclude(objects, edits=edits)
    assert [x.verdict for x in assessment.lesions] == [Verdict.REJECTED, Verdict.EDITED]
    total = assessment.total("edema_volume")
    assert total is not None
    assert total.value == pytest.approx(new.sum() * 3 / 1000)
    assert np.array_equal(objects.lesions.volume.array, before)


def test_split_merge_and_remove(objects: Objects) -> None:
    half = objects.lesions.mask().copy()
    half[:, :, :6] = False
    at = "2026-01-01T00:00:00Z"
    split = apply_edits(objects, (Edit(EditKind.SPLIT, "r", at, label=1, runs=mask_to_runs(half)),))
    assert [o.label for o in split.objects] == [1, 2]
    merged = apply_edits(split, (Edit(EditKind.MERGE, "r", at, label=1, others=(2,)),))
    assert np.array_equal(merged.lesions.mask(), objects.lesions.mask())
    gone = apply_edits(
        objects, (Edit(EditKind.REMOVE_VOXELS, "r", at, label=1, runs=mask_to_runs(objects.lesions.mask())),)
    )
    assert gone.objects == ()


def test_edits_of_things_that_do_not_exist_are_refused(objects: Objects) -> None:
    with pytest.raises(UsageError, match="lesion 9"):
        apply_edits(objects, (Edit(EditKind.REJECT, "r", "now", label=9),))
    with pytest.raises(UsageError, match="outside the grid"):
        runs_to_mask(((0, 10**9),), objects.exam.image.shape)


@pytest.mark.parametrize(
    "edit",
    [
        Edit(EditKind.ACCEPT, "r", "now"),
        Edit(EditKind.REJECT, "r", "now", label=0),
        Edit(EditKind.MERGE, "r", "now", label=0, others=(1,)),
        Edit(EditKind.MERGE, "r", "now", label=1, others=(1,)),
        Edit(EditKind.SPLIT, "r", "now", runs=((0, 5),)),
        Edit(EditKind.SET_FINDING, "r", "now", target="no_such_finding", value="present"),
        Edit(EditKind.SET_FINDING, "r", "now", target="fracture_line", value="perhaps"),
        Edit(EditKind.SET_FINDING, "r", "now", target="fracture_line"),
    ],
)
def test_an_edit_without_its_lesion_or_finding_is_refused(objects: Objects, edit: Edit) -> None:
    with pytest.raises(UsageError):
        conclude(objects, edits=(edit,))


def test_assessment_json_round_trips_and_keeps_its_schema(objects: Objects) -> None:
    edits = (Edit(EditKind.ACCEPT, "reader", "2026-01-01T00:00:00Z", label=1),)
    assessment = conclude(objects, edits=edits)
    text = to_json(assessment)
    assert to_json(from_json(text)) == text
    jsonschema.Draft202012Validator(json_schema()).validate(to_dict(assessment))


def test_the_published_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema(), "run: python docs/schema/write.py"


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": "9.0"}', '{"schema_version": "1.0"}'])
def test_broken_assessments_are_named(text: str) -> None:
    with pytest.raises(ResultsError):
        from_json(text)


@pytest.mark.parametrize(("side", "told"), [("right", True), ("left", False), (None, False)])
def test_a_side_against_the_header_is_said(side: str | None, told: bool) -> None:
    from marrowscope.assessment import prepare

    found_side = prepare(phantom.study(), None, side)
    checks = [c for c in found_side.qc if c.code == "side_given"]
    assert [c.severity for c in checks] == [Severity.WARNING] * told
    assert found_side.side == (side or "left")
    if told:
        assert checks[0].message == "the side was given as right, but the header says left"
