"""From a dropped study to edits, versions and signatures, on SQLite and on PostgreSQL, across a restart."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import pack_bits

from web_helpers import assessed, edit, postgresql, running, state, tiny_dicom, volume

__all__ = ["postgresql"]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def test_a_study_from_drop_to_signature_and_after_a_restart(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql") if database == "postgresql" else ""
    with running(tmp_path, database=url) as client:
        study = assessed(client)
        automatic = state(client, study)
        assert automatic["revision"] == 1 and automatic["status"] == "preliminary"
        whole = next(
            x for x in automatic["lesions"] if len(x["runs"]) == max(len(y["runs"]) for y in automatic["lesions"])
        )

        half = whole["runs"][: len(whole["runs"]) // 2]
        erased = edit(client, study, kind="remove_voxels", label=whole["label"], runs=half)
        assert erased.status_code == 200, erased.text
        voxels = sum(n for _, n in half)
        expected = volume(automatic) - voxels * 4.0 / 1000
        assert volume(erased.json()) == pytest.approx(expected, abs=0.011)

        painted = edit(client, study, kind="add_voxels", label=whole["label"], runs=half)
        assert volume(painted.json()) == pytest.approx(volume(automatic), abs=0.011)

        name = {"request": "the-same-request", "kind": "reject", "label": whole["label"]}
        rejected = [client.post(f"/api/studies/{study}/edits", json=name).json() for _ in range(2)]
        assert rejected[0] == rejected[1] and rejected[0]["revision"] == 4, "sent twice, done once"
        assert volume(rejected[0]) < volume(automatic)

        refused = edit(client, study, kind="accept", label=999)
        assert refused.status_code == 422 and set(refused.json()) == {"code", "found", "expected", "do"}
        assert state(client, study)["revision"] == 4, "a refused edit is not kept"

        undone = client.post(f"/api/studies/{study}/undo", json={"request": "undo-once-1"}).json()
        assert volume(undone) == pytest.approx(volume(automatic), abs=0.011)
        assert state(client, study, 1) == automatic, "the automatic result stays reachable"

        stale = client.post(f"/studies/{study}/sign", data={"revision": "1"})
        assert stale.status_code == 422
        signed = client.post(f"/studies/{study}/sign", data={"revision": "5"})
        assert signed.status_code == 200 and state(client, study)["status"] == "final"
        twice = client.post(f"/studies/{study}/sign", data={"revision": "6"})
        assert twice.status_code == 422 and "has not changed since" in twice.text
        after = edit(client, study, kind="accept", label=whole["label"])
        assert after.json()["status"] == "amended"
        final = state(client, study)
    with running(tmp_path, database=url) as again:
        assert state(again, study) == final
        history = again.get(f"/studies/{study}/history").text
        assert "Dr Test" in history and "edit 3 undone" in history and history.count("Version ") >= 7
        assessment = json.loads(again.get(f"/studies/{study}/versions/6/download/json").text)
        assert assessment["status"] == "final" and assessment["released_by"] == "Dr Test"
        assert len(assessment["edits"]) == 2, "an undone edit does not count"
        if database == "postgresql":
            return  # what follows is files, not records
        pdf = again.get(f"/studies/{study}/versions/6/download/pdf")
        assert pdf.content.startswith(b"%PDF-")
        seg = again.get(f"/studies/{study}/versions/6/download/seg")
        assert seg.status_code == 404 and "DICOM" in seg.json()["expected"]


def test_a_click_grows_inside_its_bone_and_down_to_half_its_brightness(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        study = assessed(client)
        start = state(client, study)
        lesion = max(start["lesions"], key=lambda x: len(x["runs"]))
        assert edit(client, study, kind="remove_voxels", label=lesion["label"], runs=lesion["runs"]).status_code == 200
        shape = client.get(f"/api/studies/{study}/viewer").json()["shape"]
        first = lesion["runs"][len(lesion["runs"]) // 2][0]
        voxel = [first % shape[0], first // shape[0] % shape[1], first // shape[0] // shape[1]]
        grown = edit(client, study, kind="grow", voxel=voxel)
        assert grown.status_code == 200, grown.text
        new = max(grown.json()["lesions"], key=lambda x: len(x["runs"]))
        inside = {i for a, n in lesion["runs"] for i in range(a, a + n)}
        found = {i for a, n in new["runs"] for i in range(a, a + n)}
        assert len(inside & found) / len(inside | found) > 0.8
        for bad in ([0, 0, 0], [10, 10, 9]):
            assert edit(client, study, kind="grow", voxel=bad).status_code == 422
        assert edit(client, study, kind="grow", voxel=[10**5, 0, 0]).status_code == 422
        assert edit(client, study, kind="add_voxels", runs=[[10**9, 5]]).status_code == 422
        assert edit(client, study, kind="paint_it_black").status_code == 422


def halved(seg: bytes) -> tuple[bytes, int]:
    """The SEG with every second voxel of its lesions rubbed out, and how many those were."""
    ds = pydicom.dcmread(BytesIO(seg))
    lesions = {s.SegmentNumber for s in ds.SegmentSequence if s.SegmentLabel.lower().startswith("lesion")}
    groups = ds.PerFrameFunctionalGroupsSequence
    owner = [g.SegmentIdentificationSequence[0].ReferencedSegmentNumber for g in groups]
    pixels = ds.pixel_array.copy()
    mine = np.isin(owner, sorted(lesions))
    before = int(pixels[mine].sum())
    half = pixels[mine]
    half[:, :, : pixels.shape[2] * 17 // 40] = 0  # the spot reaches from column 13 to 21
    pixels[mine] = half
    ds.PixelData = pack_bits(pixels.ravel())
    stream = BytesIO()
    ds.save_as(stream)
    return stream.getvalue(), before - int(half.sum())


def test_a_seg_corrected_elsewhere_becomes_edits_that_are_undone_together(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        study = assessed(client, dicom=True)
        automatic = state(client, study)
        seg = client.get(f"/studies/{study}/versions/1/download/seg").content
        same = client.post(f"/studies/{study}/corrected", files={"seg": ("x.dcm", seg)})
        assert same.status_code == 422 and "says what the result says" in same.text
        corrected, gone = halved(seg)
        assert gone > 0
        done = client.post(f"/studies/{study}/corrected", files={"seg": ("x.dcm", corrected)}, follow_redirects=False)
        assert done.status_code == 303, done.text
        after = state(client, study)
        assert after["revision"] == 2
        assert volume(after) == pytest.approx(volume(automatic) - gone * 3.5 / 1000, abs=0.011)
        assert "corrected SEG" in client.get(f"/studies/{study}/history").text
        undone = client.post(f"/api/studies/{study}/undo", json={"request": "undo-the-seg"}).json()
        assert volume(undone) == pytest.approx(volume(automatic), abs=0.011)
        for wrong, word in ((b"no DICOM", "DICOM"), (tiny_dicom()["1-0.dcm"], "modality MR"), (b"", "DICOM")):
            refused = client.post(f"/studies/{study}/corrected", files={"seg": ("x.dcm", wrong)})
            assert refused.status_code == 422 and word in refused.text, refused.text
        two = [("seg", ("a.dcm", corrected)), ("seg", ("b.dcm", corrected))]
        assert "2 files" in client.post(f"/studies/{study}/corrected", files=two).text
        assert state(client, study)["revision"] == 3, "what was refused left nothing behind"
        kept = list((tmp_path / "studies" / study / "corrected").iterdir())
        assert len(kept) == 1


def test_an_edit_needs_a_name(tmp_path: Path) -> None:
    with running(tmp_path, reader="") as client:
        answer = edit(client, "0" * 12, kind="accept", label=1)
        assert answer.status_code == 422 and "name" in answer.json()["found"]


def test_a_grade_of_zero_survives_being_kept() -> None:
    from marrowscope.lesion.edits import Edit, EditKind

    edit = Edit(EditKind.SET_CELL, "Dr Test", "2026-11-23T06:00:00+00:00", target="moaks_bml/x", value=0.0)
    assert Edit.from_dict(edit.to_dict()) == edit


def test_a_cell_tells_the_viewer_its_own_highest_grade() -> None:
    from marrowscope.measurement import Measurement
    from marrowscope.scoring.types import Cell, Score
    from marrowscope.web.pages.viewer import sheet

    cells = tuple(Cell(f"patella_medial.{part}", 2.0) for part in ("size", "number", "percent_not_cyst"))
    moaks = sheet(Score("moaks_bml", "MOAKS BML", Measurement.of("moaks_bml", 2, "1"), 0, 45, cells))
    assert [c["highest"] for c in moaks["cells"]] == [3, 45, 3], "a size of 3 could not be set by clicking"
    asas = sheet(Score("asas_sij", "ASAS", Measurement.of("asas_sij", 1, "1"), 0, 1, (Cell("edema_cm3", 1.7),)))
    assert asas["cells"][0]["highest"] is None
