"""Vendors' dialects: the same simulated slices in each maker's headers, private attributes and habits included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from enhanced_files import enhanced, item
from marrowscope.study import FatSuppression, Role, SequenceClass, Study, read_study
from study_files import AXIAL, SHAPE, affine, encoded, save, series, truth

LEGACY_CONVERTED = "1.2.840.10008.5.1.4.1.1.4.4"
SLICES = range(SHAPE[2])
SHUFFLED = [(int(k), int(t)) for t in (1, 0) for k in np.random.default_rng(5).permutation(SHAPE[2])]
FAT_SAT = {"MRModifierSequence": item(InversionRecovery="NO", SpectrallySelectedSuppression="FAT")}
STIR = {"MRModifierSequence": item(InversionRecovery="YES", InversionTimes=220.0, SpectrallySelectedSuppression="NONE")}
SPIN = {"EchoPulseSequence": "SPIN", "Manufacturer": "Siemens Healthineers", "SoftwareVersions": "syngo MR XA30"}


def write(tmp_path: Path, *datasets: Dataset) -> Path:
    tmp_path.mkdir(exist_ok=True)
    for number, ds in enumerate(datasets):
        (tmp_path / f"{number}.dcm").write_bytes(encoded(ds))
    return tmp_path


def arrays(study: Study) -> list[np.ndarray]:
    return [s.volume.array for s in study.series]


def decoy(group: Dataset, k: int, t: int) -> None:
    """Siemens XA and Philips repeat instance attributes inside private groups, with other meanings."""
    inner = Dataset()
    inner.ImagePositionPatient, inner.InstanceNumber, inner.SeriesNumber = [0, 0, 0], 99, 77
    inner.SOPInstanceUID, inner.SeriesInstanceUID, inner.EchoTime = "1.2.3.4", "1.2.3.5", 5
    for creator, number in (("SIEMENS MR SDI 02", 0x0021), ("Philips MR Imaging DD 005", 0x2005)):
        group.private_block(number, creator, create=True).add_new(0xFE if number == 0x0021 else 0x0F, "SQ", [inner])


def test_siemens_xa_shuffled_frames_of_two_moments_are_two_volumes(tmp_path: Path) -> None:
    both = [truth(), truth(1)]
    ds = enhanced(both, SHUFFLED, shared=FAT_SAT, per_frame=decoy, **SPIN)
    study = read_study(write(tmp_path, ds))
    assert study.refusals == () and [s.number for s in study.series] == [1, 1]
    assert all(any(np.array_equal(got, want) for got in arrays(study)) for want in both)
    for one in study.series:
        assert np.allclose(one.volume.affine, affine(), atol=1e-4)
        assert (one.role, one.sequence_class, one.sequence.te_ms) == (Role.FLUID, SequenceClass.T2_FS, 70.0)
        assert "split_by_time" in [reason.code for reason in one.reasons]


def test_frames_are_found_again_in_their_instance(tmp_path: Path) -> None:
    order = [(int(k), 0) for k in np.random.default_rng(2).permutation(SHAPE[2])]
    study = read_study(write(tmp_path, enhanced([truth()], order, shared=FAT_SAT, **SPIN)))
    frames = study.series[0].source.frames  # type: ignore[union-attr]
    assert [order[frame.frame_number - 1][0] for frame in frames] == list(SLICES)  # type: ignore[operator]


def test_a_concatenation_in_two_files_is_one_volume(tmp_path: Path) -> None:
    first = enhanced([truth()], [(k, 0) for k in range(4)], shared=FAT_SAT, ConcatenationUID="1.2.9", **SPIN)
    second = enhanced([truth()], [(k, 0) for k in range(4, 7)], shared=FAT_SAT, ConcatenationUID="1.2.9", **SPIN)
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = "1.2.9.2"
    assert np.array_equal(arrays(read_study(write(tmp_path, first, second)))[0], truth())


def test_private_groups_tell_the_sequence_only_where_nothing_else_does(tmp_path: Path) -> None:
    def philips(group: Dataset, k: int, t: int) -> None:
        decoy(group, k, t)
        for element in group:
            if element.tag.is_private and element.VR == "SQ":
                element.value[0].ScanningSequence = "GR"

    facts = {**SPIN, "Manufacturer": "Philips", "SeriesDescription": "sag"}
    named = read_study(write(tmp_path / "a", enhanced([truth()], SHUFFLED[7:], per_frame=philips, **facts)))
    assert (named.series[0].role, named.series[0].sequence.te_ms) == (Role.T2_NOFS, 70.0)
    unnamed = enhanced([truth()], SHUFFLED[7:], per_frame=philips, **{**facts, "EchoPulseSequence": ""})
    assert read_study(write(tmp_path / "b", unnamed)).series[0].sequence_class is SequenceClass.GRE


def test_enhanced_stir_goes_by_its_inversion_time(tmp_path: Path) -> None:
    (one,) = read_study(write(tmp_path, enhanced([truth()], SHUFFLED[7:], shared=STIR, **SPIN))).series
    assert (one.sequence_class, one.sequence.ti_ms) == (SequenceClass.STIR, 220.0)


def phase_in_second_moment(group: Dataset, k: int, t: int) -> None:
    group.MRImageFrameTypeSequence[0].ComplexImageComponent = "PHASE" if t else "MAGNITUDE"
    group.FrameContentSequence[0].TemporalPositionIndex = 1


def test_complex_components_are_told_apart(tmp_path: Path) -> None:
    ds = enhanced([truth(), truth(1)], SHUFFLED, shared=FAT_SAT, per_frame=phase_in_second_moment, **SPIN)
    study = read_study(write(tmp_path, ds))
    assert {s.role for s in study.series} == {Role.FLUID, Role.OTHER}
    phase = next(s for s in study.series if s.role is Role.OTHER)
    assert phase.reasons[0].code == "phase_image" and np.array_equal(phase.volume.array, truth(1))


def scaled(group: Dataset, k: int, t: int) -> None:
    group.PixelValueTransformationSequence = item(RescaleSlope=1.0 + k, RescaleIntercept=-3.0 * k, RescaleType="US")


def test_philips_scales_every_frame_with_its_own_slope(tmp_path: Path) -> None:
    facts = {**SPIN, "Manufacturer": "Philips Medical Systems"}
    (one,) = read_study(write(tmp_path, enhanced([truth()], SHUFFLED[7:], per_frame=scaled, **facts))).series
    ks = np.arange(SHAPE[2])
    assert np.allclose(one.volume.array, truth() * (1.0 + ks) - 3.0 * ks)


def test_two_stacks_in_two_orientations_are_split(tmp_path: Path) -> None:
    def second_stack(group: Dataset, k: int, t: int) -> None:
        if t:
            group.FrameContentSequence[0].StackID, group.FrameContentSequence[0].TemporalPositionIndex = "2", 1
            group.PlaneOrientationSequence = item(ImageOrientationPatient=list(AXIAL))
            group.PlanePositionSequence = item(ImagePositionPatient=[0, 0, 3.5 * k])
        else:
            group.PlaneOrientationSequence = item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])

    ds = enhanced([truth(), truth(1)], SHUFFLED, shared=FAT_SAT, per_frame=second_stack, **SPIN)
    assert {s.plane for s in read_study(write(tmp_path, ds)).series} == {"sagittal", "axial"}


def test_parallel_stacks_that_lie_between_one_another_are_two_volumes(tmp_path: Path) -> None:
    def second_stack(group: Dataset, k: int, t: int) -> None:
        group.FrameContentSequence[0].StackID, group.FrameContentSequence[0].TemporalPositionIndex = str(t + 1), 1
        x, *rest = (float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient)
        group.PlanePositionSequence = item(ImagePositionPatient=[x + 1.7 * t, *rest])

    ds = enhanced([truth(), truth(1)], SHUFFLED, shared=FAT_SAT, per_frame=second_stack, **SPIN)
    found = read_study(write(tmp_path, ds)).series
    assert len(found) == 2 and all("split_by_stack" in [r.code for r in one.reasons] for one in found)


def test_a_multi_frame_object_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    def lost(group: Dataset, k: int, t: int) -> None:
        if k == 4:
            del group.PlanePositionSequence

    ds = enhanced([truth()], [(k, 0) for k in SLICES], shared=FAT_SAT, per_frame=lost, **SPIN)
    study = read_study(write(tmp_path, ds))
    assert (study.series, [r.code for r in study.refusals]) == ((), ["no_position"])


def test_another_makers_private_number_is_no_b_value(tmp_path: Path) -> None:
    foreign = classic(tmp_path, ((0x0019, "GEMS_ACQU_01", 0x0C, "DS", 800.0),), ScanOptions="FS")
    assert (foreign.series[0].sequence.b_value, foreign.series[0].role) == (None, Role.FLUID)


def test_a_file_that_describes_fewer_frames_than_it_declares_is_refused(tmp_path: Path) -> None:
    ds = enhanced([truth()], SHUFFLED[7:], shared=FAT_SAT, **SPIN)
    ds.NumberOfFrames = 9
    assert [r.code for r in read_study(write(tmp_path, ds)).refusals] == ["frame_count_conflict"]


def test_a_legacy_converted_object_is_read_by_its_converted_attributes(tmp_path: Path) -> None:
    def converted(group: Dataset, k: int, t: int) -> None:
        group.UnassignedPerFrameConvertedAttributesSequence = item(ScanOptions="FS", ScanningSequence="SE")

    facts = {**SPIN, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.4"}
    ds = enhanced(
        [truth()], SHUFFLED[7:], per_frame=converted, **{k: v for k, v in facts.items() if k != "SOPClassUID"}
    )
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = facts["SOPClassUID"]
    (one,) = read_study(write(tmp_path, ds)).series
    assert (one.role, np.array_equal(one.volume.array, truth())) == (Role.FLUID, True)


Private = tuple[int, str, int, str, object]
"""Group, creator, element, value representation, value."""


def classic(tmp_path: Path, private: tuple[Private, ...] = (), drop: tuple[str, ...] = (), **facts: object) -> Study:
    files = series(truth(), **{"ScanOptions": "", "SeriesDescription": "sag", **facts})
    for ds in files:
        for keyword in drop:
            del ds[keyword]
        for group, creator, element, vr, value in private:
            ds.private_block(group, creator, create=True).add_new(element, vr, value)
    return read_study(save(files, tmp_path))


GE = {"Manufacturer": "GE MEDICAL SYSTEMS", "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"]}
PHILIPS = {"Manufacturer": "Philips Medical Systems", "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]}
CANON = {"Manufacturer": "CANON_MEC", "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"]}
HITACHI = {"Manufacturer": "Hitachi Medical Corporation", "MagneticFieldStrength": 0.3}
GE_TYPE, GE_B = (0x0043, "GEMS_PARM_01", 0x2F, "SS"), (0x0043, "GEMS_PARM_01", 0x39, "IS")
SPIR = (0x2001, "Philips Imaging DD 001", 0x21, "CS")
DIALECTS = [
    ("ge fat sat", {**GE, "ScanOptions": ["FAST_GEMS", "SAT_GEMS", "FS"]}, (), "fluid", "t2_fs"),
    ("ge magnitude", {**GE, "ScanOptions": "FS"}, ((*GE_TYPE, 0),), "fluid", "t2_fs"),
    ("ge phase", {**GE, "ScanOptions": "FS"}, ((*GE_TYPE, 1),), "other", "other"),
    ("ge real", {**GE, "ScanOptions": "FS"}, ((*GE_TYPE, 2),), "other", "other"),
    ("ge stir", {**GE, "ScanningSequence": ["SE", "IR"], "InversionTime": 150}, (), "fluid", "stir"),
    ("ge ideal water", {**GE, "SeriesDescription": "WATER: Sag T2 IDEAL"}, (), "fluid", "dixon_water"),
    ("ge ideal fat", {**GE, "SeriesDescription": "FAT: Sag T2 IDEAL"}, (), "fat", "other"),
    ("ge in phase", {**GE, "SeriesDescription": "InPhase: Sag T2 IDEAL"}, (), "in_phase", "other"),
    ("philips spir", PHILIPS, ((*SPIR, "Y"),), "fluid", "t2_fs"),
    ("philips no spir", PHILIPS, ((*SPIR, "N"),), "t2_nofs", "t2"),
    ("philips stir", {**PHILIPS, "ScanningSequence": "IR", "InversionTime": 160}, (), "fluid", "stir"),
    ("philips research", {**PHILIPS, "ScanningSequence": "RM", "ScanOptions": "FS"}, (), "fluid", "t2_fs"),
    ("philips mffe", {**PHILIPS, "ScanningSequence": "RM", "SeriesDescription": "mFFE we"}, (), "fluid_gre", "gre"),
    (
        "philips dixon",
        {**PHILIPS, "ImageType": ["DERIVED", "PRIMARY", "W", "W", "DERIVED"]},
        (),
        "fluid",
        "dixon_water",
    ),
    ("philips phase", {**PHILIPS, "ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "SE"]}, (), "other", "other"),
    ("canon fat sat", {**CANON, "ScanOptions": ["FS", "PFP"]}, (), "fluid", "t2_fs"),
    ("canon words", {**CANON, "SeriesDescription": "Sag FatSat FSE"}, (), "fluid", "t2_fs"),
    ("toshiba stir", {"Manufacturer": "TOSHIBA_MEC", "SeriesDescription": "FASTIR sag"}, (), "fluid", "stir"),
    ("hitachi stir", {**HITACHI, "ScanningSequence": ["SE", "IR"], "InversionTime": 75}, (), "fluid", "stir"),
    ("hitachi fatsep", {**HITACHI, "SeriesDescription": "T2 FatSat"}, (), "fluid", "t2_fs"),
    ("siemens space", {"SeriesDescription": "pd_space_spair_sag", "ScanOptions": "FS"}, (), "fluid", "t2_fs"),
    ("siemens dixon", {"ImageType": ["DERIVED", "PRIMARY", "M", "DIXON", "WATER"]}, (), "fluid", "dixon_water"),
]


@pytest.mark.parametrize(("facts", "private", "role", "kind"), [d[1:] for d in DIALECTS], ids=[d[0] for d in DIALECTS])
@pytest.mark.parametrize("implicit", [False, True])
def test_dialects(
    facts: dict[str, object], private: tuple[Private, ...], role: str, kind: str, implicit: bool, tmp_path: Path
) -> None:
    files = series(truth(), **{"ScanOptions": "", "SeriesDescription": "sag", **facts})
    for ds in files:
        for group, creator, element, vr, value in private:
            ds.private_block(group, creator, create=True).add_new(element, vr, value)
        if implicit:
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    (one,) = read_study(save(files, tmp_path)).series
    assert (one.role.value, one.sequence_class.value) == (role, kind), [r.text for r in one.reasons]
    assert np.array_equal(one.volume.array, truth())


@pytest.mark.parametrize(
    ("facts", "private"),
    [
        ({"DiffusionBValue": 800.0}, ()),
        ({"ImageComments": "b=800(0.445,0.000,0.895)", **CANON}, ()),
        ({**GE}, ((*GE_B, [1_000_000_800, 8, 0, 0]),)),
        ({"Manufacturer": "SIEMENS"}, ((0x0019, "SIEMENS MR HEADER", 0x0C, "IS", 800),)),
        ({**PHILIPS}, ((0x2001, "Philips Imaging DD 001", 0x03, "FL", 800.0),)),
        ({"SequenceName": "*ep_b800t"}, ()),
        ({"Manufacturer": "UIH"}, ((0x0065, "Image Private Header", 0x09, "FD", 800.0),)),
    ],
)
def test_diffusion_is_told_apart_in_every_dialect(
    facts: dict[str, object], private: tuple[Private, ...], tmp_path: Path
) -> None:
    plain = classic(tmp_path / "a", ScanOptions="FS")
    assert plain.series[0].sequence.b_value is None
    study = classic(tmp_path / "b", private, ScanOptions="FS", **facts)
    assert study.series[0].sequence.b_value == 800.0
    assert study.series[0].role is Role.OTHER, "a diffusion-weighted image is no fluid series"


CHARSETS = [
    "", "ISO_IR 6", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 144", "ISO_IR 127", "ISO_IR 126",
    "ISO_IR 138", "ISO_IR 148", "ISO_IR 203", "ISO_IR 13", "ISO_IR 166", "ISO_IR 192", "GB18030", "GBK",
    "ISO 2022 IR 6", "ISO 2022 IR 100", "ISO 2022 IR 101", "ISO 2022 IR 109", "ISO 2022 IR 110", "ISO 2022 IR 144",
    "ISO 2022 IR 127", "ISO 2022 IR 126", "ISO 2022 IR 138", "ISO 2022 IR 148", "ISO 2022 IR 203", "ISO 2022 IR 13",
    "ISO 2022 IR 166", "\\ISO 2022 IR 87", "\\ISO 2022 IR 159", "\\ISO 2022 IR 149", "\\ISO 2022 IR 58",
    "nonsense", "ISO_IR 9999",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("charset", CHARSETS)
def test_every_character_set_is_read_valid_or_broken(charset: str, tmp_path: Path) -> None:
    files = series(truth())
    for ds in files:
        if charset:
            ds.SpecificCharacterSet = charset.split("\\")
    save(files, tmp_path)
    for path in sorted(tmp_path.iterdir()):  # high bytes of no particular character set, same length
        path.write_bytes(path.read_bytes().replace(b"MUSTER^ERIKA", b"M\xfcS\x1b$BR^\xe9\x80\xff "))
    study = read_study(tmp_path)
    assert np.array_equal(arrays(study)[0], truth())
    assert study.series[0].sequence.fat_suppression is FatSuppression.SPECTRAL


def test_keywords_of_this_file_are_the_standards() -> None:
    assert all(dictionary_VR(tag_for_keyword(k) or 0) for facts in (GE, PHILIPS, CANON, HITACHI) for k in facts)
