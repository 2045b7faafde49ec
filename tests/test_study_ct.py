"""CT and radiographs: Hounsfield units, tube voltages told apart, radiographs listed, and a way on without MRI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from marrowscope.errors import NoFluidSeriesError
from marrowscope.report.inspection import render_inspection
from marrowscope.study import Role, Study, read_study, require_fluid
from marrowscope.study.describe import describe
from study_files import AXIAL, encoded, instance, save, series, truth

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def ct(number: int = 1, *, seed: int = 0, drop: tuple[str, ...] = (), **extra: object) -> list[FileDataset]:
    facts = {
        "Modality": "CT", "SOPClassUID": CT_CLASS, "KVP": "120", "RescaleSlope": "2", "RescaleIntercept": "-1024",
        "RescaleType": "HU", "SeriesDescription": "knee bone", "AcquisitionTime": "101500", "ScanOptions": "HELIX",
    }  # fmt: skip
    found = series(truth(seed), series=number, orientation=AXIAL, **{**facts, **extra})
    for ds in found:
        for keyword in ("ScanningSequence", "SequenceVariant", "RepetitionTime", "EchoTime", *drop):
            del ds[keyword]
    return found


def roles(study: Study) -> list[Role]:
    return [s.role for s in study.series]


def test_ct_is_read_in_hounsfield_units(tmp_path: Path) -> None:
    (one,) = read_study(save(ct(), tmp_path)).series
    assert one.role is Role.CT and one.sequence.hounsfield is True
    assert np.array_equal(one.volume.array, truth().astype(np.float32) * 2 - 1024)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({"KVP": "140"}, [Role.CT_LOW_KV, Role.CT_HIGH_KV]),
        ({"KVP": "100"}, [Role.CT, Role.CT]),
        ({"KVP": "140", "AcquisitionTime": "102000"}, [Role.CT, Role.CT]),
        ({"KVP": "140", "PixelSpacing": [0.9, 0.9]}, [Role.CT, Role.CT]),
        ({"KVP": "140", "FrameOfReferenceUID": "1.2.3"}, [Role.CT, Role.CT]),
    ],
)
def test_low_and_high_voltage_are_told_apart(second: dict[str, object], expected: list[Role], tmp_path: Path) -> None:
    first = ct(1, KVP="80" if second["KVP"] == "140" else "90")
    study = read_study(save([*ct(2, seed=1, **second), *first], tmp_path))
    assert roles(study) == expected
    if expected[0] is Role.CT_LOW_KV:
        assert study.series[0].reasons[0].text == "dual-energy CT: 80 and 140 kV at one place and time"


def test_two_voltages_in_one_series_are_split(tmp_path: Path) -> None:
    second = ct(2, seed=1, KVP="140", SeriesInstanceUID="1.2.3", SeriesNumber=1)
    study = read_study(save([*ct(SeriesInstanceUID="1.2.3", KVP="80"), *second], tmp_path))
    assert roles(study) == [Role.CT_LOW_KV, Role.CT_HIGH_KV]
    assert all("split_by_tube_voltage" in [reason.code for reason in s.reasons] for s in study.series)


@pytest.mark.parametrize(
    ("change", "drop", "code"),
    [
        ({"RescaleType": "US"}, (), "not_hounsfield"),
        ({}, ("RescaleType", "RescaleIntercept", "RescaleSlope"), "not_hounsfield"),
        ({"SeriesDescription": "DE VNCa knee"}, (), "ct_material_map"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, (), "derived"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, (), "derived"),
    ],
)
def test_what_is_not_in_hounsfield_units_is_no_ct_role(
    change: dict[str, object], drop: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    (one,) = read_study(save(ct(drop=drop, **change), tmp_path)).series
    assert one.role not in (Role.CT, Role.CT_LOW_KV, Role.CT_HIGH_KV)
    assert one.reasons[0].code == code


def radiograph(modality: str = "DX") -> FileDataset:
    extra = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "ViewPosition": "AP", "ImageLaterality": "L"}
    found = instance(truth(), 0, series=3, Modality=modality, PhotometricInterpretation="MONOCHROME1", **extra)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del found[keyword]
    found.SeriesDescription = "knee ap MUSTER"
    return found


@pytest.mark.parametrize("modality", ["DX", "CR"])
def test_radiographs_are_listed_and_never_volumes(modality: str, tmp_path: Path) -> None:
    save(series(truth()), tmp_path)
    (tmp_path / "xray").write_bytes(encoded(radiograph(modality)))
    study = read_study(tmp_path)
    assert study.refusals == () and len(study.series) == 1
    (shown,) = study.radiographs
    assert (shown.role, shown.view, shown.laterality, shown.number) == (Role.RADIOGRAPH, "AP", "L", 3)
    assert describe(study)["radiographs"][0]["role"] == "radiograph"
    assert "MUSTER" not in str(describe(study))


def test_a_radiograph_is_shown_as_it_is_looked_at(tmp_path: Path) -> None:
    xray = radiograph()
    pixels = np.zeros((xray.Rows, xray.Columns), np.uint16)
    pixels[: xray.Rows // 2] = 900  # MONOCHROME1: high values are black
    xray.PixelData = pixels.tobytes()
    (tmp_path / "xray").write_bytes(encoded(xray))
    (shown,) = read_study(tmp_path).radiographs
    assert shown.picture is not None and shown.picture.dtype == np.uint8
    assert shown.picture[0].max() == 0 and shown.picture[-1].min() == 255
    page = render_inspection(read_study(tmp_path))
    assert 'src="data:image/png;base64,' in page and "MUSTER" not in page
    xray.BurnedInAnnotation = "YES"
    (tmp_path / "xray").write_bytes(encoded(xray))
    burned = read_study(tmp_path)
    assert burned.radiographs[0].picture is None
    assert "not shown, text is burned into it" in render_inspection(burned)


def test_a_radiograph_that_cannot_be_decoded_is_listed_with_the_reason(tmp_path: Path) -> None:
    xray = radiograph()
    xray.PixelData = xray.PixelData[:20]
    (tmp_path / "xray").write_bytes(encoded(xray))
    (shown,) = read_study(tmp_path).radiographs
    assert shown.picture is None and "pixel" in shown.no_picture


def test_without_mri_the_refusal_names_the_intake(tmp_path: Path) -> None:
    save(ct(), tmp_path)
    (tmp_path / "xray").write_bytes(encoded(radiograph()))
    with pytest.raises(NoFluidSeriesError, match="it holds CT and radiographs only") as caught:
        require_fluid(read_study(tmp_path))
    assert "marrowscope intake new" in str(caught.value) and caught.value.exit_code == 3
