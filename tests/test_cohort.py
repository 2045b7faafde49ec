"""A cohort of phantoms: fates before anything runs, one table whatever the workers, resume, change."""

from __future__ import annotations

import csv
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import phantom
from marrowscope import __version__
from marrowscope.cohort.cluster import check_versions, open_cluster, spread
from marrowscope.cohort.estimate import TimeLeft, estimate
from marrowscope.cohort.fingerprint import fingerprint
from marrowscope.cohort.gallery import only_failures
from marrowscope.cohort.job import CohortRequest, _agreement, cohort_to
from marrowscope.cohort.look import Look, judged, look
from marrowscope.cohort.manifest import Fate, Row, fates, read_manifest
from marrowscope.cohort.plots import bland_altman, read_reader_table, ticks
from marrowscope.cohort.run import STATE, Outcome, _remember, assess_row
from marrowscope.cohort.tables import Done, _joints, natural, open_table
from marrowscope.errors import UsageError
from marrowscope.followup.person import Person

TABLES = ("measurements.csv", "studies.csv", "changes.csv", "lesion_changes.csv")


def write_study(folder: Path, seed: int, lesion: bool = True) -> None:
    """The phantom as NIfTI files whose names tell, and its bones."""
    folder.mkdir(parents=True)
    study = phantom.study(seed=seed, lesion=lesion)
    for series, name in zip(study.series, ("stir", "t1"), strict=True):
        nib.save(nib.Nifti1Image(series.volume.array, series.volume.affine_ras), folder / f"{name}.nii.gz")
    bones = phantom.bones(study.series[0].volume)
    bones_file = folder.parent / "bones.nii.gz"
    nib.save(nib.Nifti1Image(bones.volume.array.astype(np.uint8), study.series[0].volume.affine_ras), bones_file)
    (folder.parent / "bones.yaml").write_text("1: femur\n2: tibia\n")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort")
    lines = ["subject,visit,study,site,side,bones"]
    for subject, visit, seed, lesion in (("a", "1", 1, True), ("a", "2", 2, False), ("b", "1", 3, True)):
        write_study(root / f"{subject}{visit}", seed, lesion)
        lines.append(f"{subject},{visit},{subject}{visit},knee,left,bones.nii.gz")
    (root / "broken").mkdir()
    (root / "broken" / "notes.txt").write_text("no image here")
    lines.append("c,1,broken,knee,left,")
    lines.append("d,1,nowhere,knee,left,")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root / "manifest.csv"


@pytest.fixture(scope="module")
def alone(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "out"
    cohort_to(fates(read_manifest(manifest)), CohortRequest(out))
    return out


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_one_bad_study_never_stops_the_rest(alone: Path) -> None:
    status = {(r["subject"], r["visit"]): r["status"] for r in rows(alone / "studies.csv")}
    assert status["c", "1"] == status["d", "1"] == "refused"
    assert {status["a", "1"], status["a", "2"], status["b", "1"]} <= {"done", "partly_not_assessable"}
    assert all(r["reason"] for r in rows(alone / "studies.csv") if r["status"] == "refused")


def test_two_workers_give_the_same_tables_and_a_second_run_does_nothing(
    manifest: Path, alone: Path, tmp_path: Path
) -> None:
    found = fates(read_manifest(manifest))
    cohort_to(found, CohortRequest(tmp_path / "two", workers=2))
    for name in TABLES:
        assert (tmp_path / "two" / name).read_bytes() == (alone / name).read_bytes(), name
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "two" / "studies").rglob("run.json")}
    again = cohort_to(found, CohortRequest(tmp_path / "two"))
    assert all(o.reused for o in again if o.status != "refused")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "two" / "studies").rglob("run.json")} == before


def test_change_is_found_between_visits(alone: Path) -> None:
    change = next(r for r in rows(alone / "changes.csv") if r["code"] == "edema_volume")
    truth = phantom.lesion_mask().sum() * 3 / 1000
    assert float(change["difference"]) == pytest.approx(-truth, rel=0.2)


def test_outputs_are_all_there_and_documented(alone: Path) -> None:
    for name in (*TABLES, "measurements.parquet", "gallery.html", "methods.txt", "volume_by_visit.svg"):
        assert (alone / name).stat().st_size > 0, name
    documented = {(r["table"], r["column"]) for r in rows(alone / "data_dictionary.csv")}
    assert {("measurements", c) for c in rows(alone / "measurements.csv")[0]} <= documented


def test_fates_are_said_before_anything_runs(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        (tmp_path / name).mkdir()
    study = {name: str(tmp_path / name) for name in ("x", "y", "z")}
    found = fates(
        [
            Row(2, "a", "1", study["x"], "knee", "left"),
            Row(3, "a", "2", study["y"], "knee", "right"),
            Row(4, "b", "1", study["z"], "knee", "left"),
            Row(5, "b", "1", study["z"], "knee", "left"),
            Row(6, "c", "1", str(tmp_path / "none"), "knee", "upside"),
        ]
    )
    assert [f.runs for f in found] == [True, True, False, False, False]
    assert "side differs" in found[0].reasons[0] and "side differs" in found[1].reasons[0]
    assert any("same study" in r for r in found[2].reasons)
    assert any("no such study" in r for r in found[4].reasons) and any("upside" in r for r in found[4].reasons)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "add subject, visit, study"),
        ("subject,visit\na,1\n", "add study"),
        ("subject;visit;study\na;1;x\n", "commas between"),
        ("subject,visit,study,colour\na,1,x,red\n", "remove colour"),
        ("subject,visit,study,study\na,1,x,y\n", "remove study"),
        ("subject,visit,study\na,1,x\nb,1,my,folder\n", "line 3"),
        ("subject,visit,study\n", "no rows"),
    ],
)
def test_broken_manifests_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize("subject", ["../up", "a/b", "ä b", "x" * 200, "plain"])
def test_names_are_safe_and_differ(subject: str) -> None:
    name = Row(2, subject, "1", "s").name
    assert "/" not in name and not name.startswith(".") and len(name) < 60
    assert name != Row(2, subject + "!", "1", "s").name


def test_bland_altman_of_known_numbers() -> None:
    ours = {("a", "1"): 2.0, ("b", "1"): 4.0, ("c", "1"): 7.0}
    reader = {("a", "1"): 1.0, ("b", "1"): 3.0, ("c", "1"): 6.0, ("d", "1"): 9.0}
    svg, figures = bland_altman(ours, reader)
    assert figures == {"n": 3.0, "bias": 1.0, "lower": 1.0, "upper": 1.0}
    assert svg.count("<circle") == 3


HEAD = "subject,visit,volume_cm3\n"


def test_a_readers_table_may_leave_studies_out_but_not_hold_nonsense(tmp_path: Path) -> None:
    table = tmp_path / "reader.csv"
    table.write_text(f"{HEAD}a,1,2.5\nb,1,\n c , 1 ,0\n")
    assert read_reader_table(table) == {("a", "1"): 2.5, ("c", "1"): 0.0}
    for line in ("a,1,nan\n", "a,1,-3\n", "a,1,inf\n", "a,1,two\n", "a,1,2\na,1,3\n", "a,1\n"):
        table.write_text(HEAD + line)
        with pytest.raises(UsageError, match=r"reader\.csv"):
            read_reader_table(table)


def test_a_readers_table_of_another_cohort_is_refused_before_anything_runs(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "reader.csv").write_text(f"{HEAD}a,1,2.5\nz,1,3\n")
    with pytest.raises(UsageError, match="1 of our studies"):
        cohort_to(fates(read_manifest(manifest)), CohortRequest(tmp_path / "out", reader=tmp_path / "reader.csv"))
    assert not (tmp_path / "out").exists()


def test_a_visit_of_two_joints_is_not_compared_with_the_reader(tmp_path: Path) -> None:
    def study(subject: str, side: str, volume: float | None) -> dict[str, Any]:
        return {"subject": subject, "visit": "1", "side": side, "edema_volume_cm3": volume}

    reader = {(s, "1"): 1.0 for s in "abcd"}
    studies = [study("a", "left", 1.0), study("a", "right", 9.0), study("b", "left", 2.0), study("c", "left", 2.0)]
    found = _agreement([*studies, study("d", "left", None)], reader, tmp_path)
    assert (found["n"], found["bias"]) == (2.0, 1.0)
    assert _agreement(studies[:3], reader, tmp_path) == {}
    assert not (tmp_path / "bland_altman.svg").exists()


def kept(*seen: Look) -> tuple[list[Fate], dict[str, Look]]:
    """Visits of one subject, each with what reading its study told."""
    rows = [Row(n, "a", str(n), f"study{n}") for n in range(1, len(seen) + 1)]
    return [Fate(r, True) for r in rows], {r.name: x for r, x in zip(rows, seen, strict=True)}


STIR = Look(sequence_class="stir", field_t=1.5, site="knee", side="left", images="x")


@pytest.mark.parametrize(
    ("second", "runs", "words"),
    [
        (replace(STIR, images="y"), True, ""),
        (replace(STIR, images="y", sequence_class="pd_fs"), True, "sequence class differs"),
        (replace(STIR, images="y", field_t=3.0), True, "field strength differs"),
        (replace(STIR, images="y", side="right"), True, "side differs"),
        (replace(STIR, images="y", t1=False), True, "have a T1"),
        (replace(STIR), False, "same images"),
        (Look(refused="would be refused: no fluid series"), False, "would be refused"),
    ],
)
def test_what_studies_tell_becomes_each_rows_fate(second: Look, runs: bool, words: str) -> None:
    told = judged(*kept(STIR, second))[1]
    assert told.runs is runs
    assert words in "; ".join(told.reasons) and bool(told.reasons) == bool(words)


def test_reading_a_study_tells_its_class_and_what_is_missing(manifest: Path) -> None:
    rows = read_manifest(manifest)
    seen = look(rows[0])
    assert (seen.sequence_class, seen.site, seen.side, seen.refused) == ("stir", "knee", "left", "")
    assert "site cannot be told" in look(replace(rows[0], site="")).refused
    assert look(rows[3]).refused.startswith("would be refused")
    assert "are not found by marrowscope" in look(replace(rows[0], site="other", bones="")).note
    assert look(replace(rows[0], site="other")).note == ""


def test_a_mask_or_history_that_cannot_be_used_is_said_before_anything_runs(manifest: Path, tmp_path: Path) -> None:
    row = read_manifest(manifest)[0]
    far = np.diag([1.0, 1.0, 1.0, 1.0])
    far[:3, 3] = 900.0
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), far), tmp_path / "far.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), far), tmp_path / "none.nii.gz")
    (tmp_path / "history.yaml").write_text("colour: red\n")
    for kind, name, words in (
        ("bones", "far.nii.gz", "0 % lies on the fluid series"),
        ("bones", "none.nii.gz", "without any label"),
        ("intake", "history.yaml", "colour"),
    ):
        seen = look(replace(row, **{kind: str(tmp_path / name)}))
        assert seen.refused.startswith("would be refused") and words in seen.refused


@pytest.mark.parametrize(("name", "site"), [("T2w", ""), ("bp-knee_T2w", "knee"), ("bp-elbow_T2w", "")])
def test_bids_and_mids_folders_are_manifests(tmp_path: Path, name: str, site: str) -> None:
    for subject, visit in (("01", "1"), ("01", "2"), ("02", "1")):
        folder = tmp_path / f"sub-{subject}" / f"ses-{visit}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_ses-{visit}_acq-stir_{name}.nii.gz").write_bytes(b"")
    found = read_manifest(tmp_path)
    assert [(r.subject, r.visit, r.site) for r in found] == [("01", "1", site), ("01", "2", site), ("02", "1", site)]
    assert {r.site for r in read_manifest(tmp_path, site="si_joint")} == {site or "si_joint"}


def test_a_bids_folder_runs_from_end_to_end(manifest: Path, tmp_path: Path) -> None:
    # Workers start and the knee model runs twice: about 8 s.
    timing = {"fluid": ("acq-stir_T2w", 4.2, 0.04), "t1": ("T1w", 0.54, 0.012)}
    for visit in ("1", "2"):
        for source, (name, tr, te) in zip(("stir", "t1"), timing.values(), strict=True):
            folder = tmp_path / "bids" / "sub-07" / f"ses-{visit}" / "anat"
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"sub-07_ses-{visit}_bp-knee_{name}.nii.gz"
            shutil.copy(manifest.parent / f"a{visit}" / f"{source}.nii.gz", file)
            sidecar = {"RepetitionTime": tr, "EchoTime": te, "MagneticFieldStrength": 1.5}
            file.with_name(file.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
    (tmp_path / "bids" / "dataset_description.json").write_text('{"Name": "try", "BIDSVersion": "1.9.0"}')
    out = tmp_path / "out"
    cohort_to(fates(read_manifest(tmp_path / "bids", side="left")), CohortRequest(out, light=True))
    studies = rows(out / "studies.csv")
    assert [(r["subject"], r["visit"], r["site"], r["sequence_class"]) for r in studies] == [
        ("07", visit, "knee", "stir") for visit in ("1", "2")
    ]
    assert {r["status"] for r in studies} <= {"done", "partly_not_assessable"}
    assert {(r["prior_visit"], r["visit"]) for r in rows(out / "changes.csv")} == {("1", "2")}


def test_a_study_is_done_again_when_a_file_name_content_or_setting_changes(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "stir.nii.gz").write_bytes(b"1")
    (tmp_path / "bones.nii.gz").write_bytes(b"2")
    row = Row(2, "a", "1", str(tmp_path / "s"), "knee", bones=str(tmp_path / "bones.nii.gz"))
    marks = [fingerprint(row), fingerprint(row), fingerprint(replace(row, side="left"))]
    (tmp_path / "bones.yaml").write_text("1: femur")
    marks.append(fingerprint(row))
    (tmp_path / "s" / "stir.nii.gz").rename(tmp_path / "s" / "pd.nii.gz")
    marks.append(fingerprint(row))
    assert marks[0] == marks[1]
    assert len(set(marks)) == 4


def test_visits_of_each_joint_are_paired_with_their_own_side(alone: Path) -> None:
    from marrowscope.results import read_results

    result = read_results(next(alone.glob("studies/a_1*")))

    def done(visit: str, side: str) -> Done:
        return Done(Row(0, "a", visit, "s"), replace(result, assessment=replace(result.assessment, side=side)))

    both_knees = [done("10", "left"), done("2", "right"), done("2", "left"), done("10", "right")]
    paired = [[(d.row.visit, d.results.assessment.side) for d in g] for g in _joints(both_knees)]
    assert paired == [[("2", "left"), ("10", "left")], [("2", "right"), ("10", "right")]]
    swapped_sides = [[d.row.visit for d in g] for g in _joints([done("1", "left"), done("2", "right")])]
    assert swapped_sides == [["1", "2"]]  # paired all the same, so that the table says why it is not assessable


def test_visit_names_sort_by_their_numbers() -> None:
    assert sorted(["m10", "m2", "baseline", "m1"], key=natural) == ["baseline", "m1", "m2", "m10"]


def test_tables_keep_every_digit_in_both_formats(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    with open_table(tmp_path / "t", ("subject", "value")) as add:
        add([{"subject": "a, b", "value": 0.1 + 0.2}, {"subject": "c", "value": None}])
    read = rows(tmp_path / "t.csv")
    assert [r["subject"] for r in read] == ["a, b", "c"]
    assert (float(read[0]["value"]), read[1]["value"]) == (0.1 + 0.2, "")
    assert pq.read_table(tmp_path / "t.parquet").to_pylist()[1] == {"subject": "c", "value": None}


def test_time_and_memory_expected_come_from_finished_studies(tmp_path: Path) -> None:
    some = [Row(n, f"s{n}", "1", "x") for n in range(3)]
    assert estimate(some, tmp_path).studies == 0
    (tmp_path / STATE).mkdir()
    for row, seconds in zip(some, (2.0, 4.0, 9.0), strict=True):
        _remember(Outcome(row.name, "done", "", "f", seconds=seconds, peak_mb=100 * seconds), tmp_path)
    cost = estimate(some, tmp_path)
    assert (cost.seconds, cost.peak_mb, cost.minutes(30, 2)) == (4.0, 900.0, 1.0)
    left = TimeLeft(100.0, 8)
    assert left(100.0, 0) is None
    assert left(110.0, 2) == 30.0


def test_only_failures_of_this_cohort_are_taken(tmp_path: Path) -> None:
    some = (Row(2, "a", "1", "x"), Row(3, "b", "1", "y"))
    (tmp_path / "failures.csv").write_text('subject,visit,name\n"b","1","b_1"\n')
    assert only_failures(some, tmp_path / "failures.csv") == {"b_1"}
    (tmp_path / "other.csv").write_text("subject,visit,name\nz,1,z_1\n")
    with pytest.raises(UsageError):
        only_failures(some, tmp_path / "other.csv")


def test_workers_keep_no_profile_of_what_they_did() -> None:
    def kept(dask_worker: Any) -> tuple[bool, int]:
        timers = dask_worker.periodic_callbacks
        return "profile" in timers, len(dask_worker.profile_history)

    with open_cluster(1, "") as client:
        client.submit(time.sleep, 1.5, pure=False).result()
        assert list(client.run(kept).values()) == [(False, 0)]


def test_workers_with_another_version_are_named_instead_of_never_answering() -> None:
    check_versions({})
    check_versions({"tcp://a:1": __version__})
    for other, words in (("0.0.1", "0.0.1"), (ModuleNotFoundError("x"), "none")):
        with pytest.raises(UsageError, match=f"1 of 2 workers .*tcp://b:1: {words}"):
            check_versions({"tcp://a:1": __version__, "tcp://b:1": other})


def test_work_is_given_in_portions() -> None:
    from distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        given: list[int] = []

        def items():
            for n in range(20):
                given.append(n)
                yield n

        done = 0
        for _, result in spread(client, abs, items(), "test"):
            done += 1
            assert not isinstance(result, BaseException)
            assert len(given) <= done + 4
        assert done == 20


@pytest.mark.parametrize(("low", "high"), [(0.0, 5.87), (-0.3, 2.25), (0.0, 0.004), (0.0, 1300.0), (-7.0, -2.0)])
def test_axes_carry_round_numbers_that_span_the_data(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert marks[0] <= low and marks[-1] >= high
    assert 3 <= len(marks) <= 7
    assert all(len(f"{m:g}".lstrip("-").replace(".", "").strip("0")) <= 3 for m in marks)


def test_light_results_have_the_bytes_of_whole_ones(manifest: Path, alone: Path, tmp_path: Path) -> None:
    row = read_manifest(manifest)[0]
    outcome = assess_row(row, str(tmp_path), light=True)
    folder, whole = tmp_path / "studies" / row.name, alone / "studies" / row.name
    made = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert outcome.fingerprint != fingerprint(row)
    assert {"assessment.json", "measurements.csv", "masks/lesions.nii.gz", "figures/overview.png"} <= made
    assert not {"index.html", "report.pdf", "fhir/bundle.json"} & made
    for name in sorted(made - {"run.json", "figures/captions.json"}):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_judging_rows_grows_with_their_number_not_its_square(tmp_path: Path) -> None:
    study = str(tmp_path)
    many = [Row(n, f"s{n // 2}", str(n % 2), f"{study}/{n}", "knee", "left") for n in range(2_000)]
    looks = {r.name: replace(STIR, images=r.name) for r in many}
    told = judged([Fate(r, True) for r in many], looks)
    assert all(f.runs and not f.reasons for f in told)
    assert len(fates(many)) == len(many)


def test_visits_of_two_patients_are_said_before_anything_runs() -> None:
    rows = [Row(2, "s1", visit, f"study_{visit}", site="knee", side="left") for visit in ("1", "2")]
    seen = Look(site="knee", side="left", sequence_class="stir", person=Person("A1", "", "19600101"), sex="F")
    other = replace(seen, person=Person("B2", "", "19600101"), sex="M")
    found = [Fate(row, True, ()) for row in rows]
    for now, words in (
        (seen, []),
        (replace(seen, person=Person(), sex=""), []),
        (other, ["the headers of this subject's visits differ in patient ID, sex:"]),
    ):
        looks = dict(zip([row.name for row in rows], (seen, now), strict=True))
        for fate in judged(found, looks):
            assert [r[: len(w)] for r, w in zip(fate.reasons, words, strict=True)] == words
            assert "A1" not in repr(looks)
