"""Quality checks on pixels: real exams with known faults, and the same checks turned against made-up images."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.random import default_rng
from scipy import ndimage

from marrowscope.measurement import Severity
from marrowscope.simulate import KneeOptions, knee
from marrowscope.simulate.artefacts import motion_ghosts
from marrowscope.study import FatSuppression, PatientFacts, Sequence, Study, read_study
from marrowscope.study.qc.dixon import check_swap
from marrowscope.study.qc.extent import check_coverage, check_maturity
from marrowscope.study.qc.ghosts import check_motion_inside
from marrowscope.study.qc.judge import _same_frame
from marrowscope.study.qc.metal import MARGIN_MM, check_metal, find_metal
from marrowscope.study.qc.morphology import grown, shrunk
from marrowscope.study.qc.noise import check_motion, check_snr
from marrowscope.study.qc.physis import check_growth_plates
from marrowscope.study.qc.slices import Slices, coarse
from marrowscope.study.qc.suppression import check_suppression
from marrowscope.study.qc.voids import boxes_of, near
from marrowscope.study.types import NiftiSource, Role, SequenceClass, Series
from marrowscope.volume import Volume, ras_to_lps
from needs import shared_root
from study_files import save, series

IN_PLANE_MM, BETWEEN_MM = 0.55, 3.5  # the data's README
SAGITTAL_RAS = ((0.0, 0.0, BETWEEN_MM), (-IN_PLANE_MM, 0.0, 0.0), (0.0, -IN_PLANE_MM, 0.0))
CORONAL_RAS = ((IN_PLANE_MM, 0.0, 0.0), (0.0, 0.0, -BETWEEN_MM), (0.0, -IN_PLANE_MM, 0.0))
SAGITTAL_LPS = np.array([[0, 0, 3.5, 0], [0.55, 0, 0, 0], [0, -0.55, 0, 0], [0, 0, 0, 1.0]])
KNEES = ("0001", "0002", "0004", "0005", "0006", "0009", "1122", "1125", "1130", "1133", "1138", "1140")
POOR_SUPPRESSION, METAL = {"0005", "1140"}, {"1138"}
STIRS = ("1007", "1013", "2015")  # python -m benchmarks reading --quality runs all of them
FLAGGED = (Severity.WARNING, Severity.REFUSE)


def write_knee(archive: Path, folder: Path) -> dict[str, Path]:
    """One exam of ``knee_clinical`` as two NIfTI files, spacing as its README says."""
    arrays = np.load(archive)
    files = {}
    for role, key, columns in (("fluid", "sagittal_fs", SAGITTAL_RAS), ("t1", "coronal_t1", CORONAL_RAS)):
        array = arrays[key].transpose(2, 1, 0)
        affine = np.eye(4)
        affine[:3, :3] = columns
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(array.shape) - 1) / 2)
        files[role] = folder / f"{key}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, affine), files[role])
    return files


@pytest.mark.needs("shared:data/knee_clinical")
@pytest.mark.parametrize("exam", KNEES)
def test_clinical_knees_are_flagged_for_what_is_wrong_with_them_only(exam: str, shared: Path, tmp_path: Path) -> None:
    files = write_knee(shared / "data" / "knee_clinical" / f"{exam}.npz", tmp_path)
    study = read_study(tmp_path, series=files)
    flagged = {check.code for series in study.series for check in series.qc if check.severity in FLAGGED}
    expected = {"fat_suppression"} if exam in POOR_SUPPRESSION else set()
    expected |= {"metal"} if exam in METAL else set()
    assert flagged == expected


@cache
def sacroiliac(case: str) -> Study:
    root = shared_root()
    assert root is not None
    return read_study(root / "data" / "si_joint" / case)


@pytest.mark.needs("shared:data/si_joint")
@pytest.mark.parametrize("case", STIRS)
def test_good_stirs_raise_no_alarm(case: str) -> None:
    fluid = sacroiliac(case).fluid
    assert fluid is not None
    suppression = fluid.check("fat_suppression")
    assert suppression is not None and suppression.value is not None and suppression.value.measured
    assert [check.code for check in fluid.qc if check.severity in FLAGGED] == []


@pytest.mark.needs("shared:data/si_joint")
def test_an_unsuppressed_image_in_the_fluid_role_is_refused(shared: Path) -> None:
    folder = shared / "data" / "si_joint" / "1007"
    study = read_study(folder, series={"fluid": Path("t1.nii.gz"), "t1": Path("t1.nii.gz")})
    fluid = next(s for s in study.series if s.role == "fluid")
    check = fluid.check("fat_suppression")
    assert check is not None and check.severity in FLAGGED


def limb(
    *, fat: float, muscle: float = 60.0, marrow: float | None = None, noise: float = 2.0, slices: int = 12
) -> Volume:
    """A cylinder: 6 mm of fat under the skin, muscle, and a 40 mm marrow cavity with a dark cortex."""
    y, x = np.mgrid[:160, :160] - 79.5
    r = np.hypot(x, y)
    plane = np.where(r < 60, fat, 0.0)
    plane = np.where(r < 54, muscle, plane)
    plane = np.where(r < 22, 2.0, plane)
    plane = np.where(r < 20, fat if marrow is None else marrow, plane)
    rng = default_rng(3)
    stack = np.stack([plane] * slices, axis=-1) + rng.normal(0, noise, (160, 160, slices))
    return Volume(np.abs(stack).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))


SPECTRAL = Sequence(fat_suppression=FatSuppression.SPECTRAL)


@pytest.mark.parametrize(
    ("fat", "severity"), [(15.0, Severity.OK), (110.0, Severity.WARNING), (260.0, Severity.REFUSE)]
)
def test_suppression_of_a_limb_is_judged_by_its_marrow(fat: float, severity: Severity) -> None:
    check = check_suppression(SPECTRAL, coarse(limb(fat=fat)), None)
    assert check.severity is severity
    assert check.value is not None and check.value.value == pytest.approx(fat / 60, rel=0.15)


@pytest.mark.parametrize(
    ("fat", "te_ms", "severity"),
    [
        (100.0, None, Severity.WARNING),
        (100.0, 30.0, Severity.WARNING),
        (100.0, 70.0, Severity.OK),
        (130.0, 100.0, Severity.OK),
        (135.0, 60.0, Severity.WARNING),
        (200.0, 100.0, Severity.REFUSE),
    ],
)
def test_fat_may_be_brighter_than_muscle_at_a_late_echo(fat: float, te_ms: float | None, severity: Severity) -> None:
    check = check_suppression(replace(SPECTRAL, te_ms=te_ms), coarse(limb(fat=fat)), None)
    assert check.severity is severity


def test_suppression_is_judged_locally_where_t1_shows_fat_and_muscle() -> None:
    t1 = coarse(limb(fat=200.0, muscle=60.0))
    shading = np.linspace(0.5, 2.0, 160)[:, None, None]
    good, bad = limb(fat=20.0), limb(fat=150.0)
    for volume, severity in ((good, Severity.OK), (bad, Severity.WARNING)):
        shaded = volume.with_array((volume.array * shading).astype(np.float32))
        assert check_suppression(SPECTRAL, coarse(shaded), t1).severity is severity


def test_suppression_without_limb_or_t1_is_said_not_guessed() -> None:
    flat = Volume(np.full((80, 80, 6), 100, np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))
    check = check_suppression(SPECTRAL, coarse(flat), None)
    assert check.severity is Severity.NOTE and check.value is not None and not check.value.measured


def test_swapped_fat_and_water_are_caught() -> None:
    water, fat = coarse(limb(fat=10.0)), coarse(limb(fat=200.0, muscle=15.0))
    assert check_swap(water, fat).severity is Severity.OK
    swapped = check_swap(fat, water)
    assert swapped.severity is Severity.REFUSE and len(swapped.slices) == 12
    half = np.arange(12) < 4
    mixed = [np.where(half[:, None, None], a, b) for a, b in ((fat.values, water.values), (water.values, fat.values))]
    partly = check_swap(replace_values(water, mixed[0]), replace_values(fat, mixed[1]))
    assert partly.severity is Severity.WARNING and partly.slices == (0, 1, 2, 3)


def replace_values(slices: Slices, values: np.ndarray) -> Slices:
    return Slices(values, slices.noise, slices.step_mm)


def test_ghosts_of_pulsation_are_seen() -> None:
    base = limb(fat=15.0)
    wide = np.abs(default_rng(4).normal(0, 2.0, (320, 160, 12)))
    wide[80:240] = base.array
    verdicts = []
    for vessel in (0.0, 4.0, 60.0):
        array = wide.copy()
        for place in (20, 45, 270, 295):
            array[place : place + 6, 70:90] += vessel
        verdicts.append(check_motion(coarse(Volume(array.astype(np.float32), base.affine))).severity)
    assert verdicts == [Severity.OK, Severity.OK, Severity.WARNING]


@pytest.mark.needs("shared:data/knee_clinical")
@pytest.mark.parametrize("exam", ["0004", "0006", "1138"])
def test_ghosts_inside_the_limb_are_seen_along_their_own_axis_only(exam: str, shared: Path) -> None:
    array = np.load(shared / "data" / "knee_clinical" / f"{exam}.npz")["sagittal_fs"].transpose(2, 1, 0)
    still = Volume(array, SAGITTAL_LPS)
    moved = still.with_array(
        motion_ghosts(array.astype(np.float32), 1, amplitude_px=1.6, rng=default_rng(1), slice_axis=2)
    )
    assert check_motion_inside(still, coarse(still)).severity is Severity.OK
    check = check_motion_inside(moved, coarse(moved))
    assert check.severity is Severity.WARNING and "head-foot" in check.message
    distance = float(check.message.split("after ")[1].split(" mm")[0])  # an eighth of 256 pixels of 0.55 mm
    assert distance == pytest.approx(256 / 8 * 0.55, abs=2.5)


@pytest.mark.needs("shared:data/knee_clinical")
@pytest.mark.parametrize("exam", ["1130", "0006", "1140"])
def test_a_closing_growth_plate_is_seen_and_a_joint_line_or_scar_is_none(exam: str, shared: Path) -> None:
    array = np.load(shared / "data" / "knee_clinical" / f"{exam}.npz")["sagittal_fs"].transpose(2, 1, 0)
    fluid = Volume(array, SAGITTAL_LPS)
    check = check_growth_plates(fluid, coarse(fluid))
    assert check.severity is (Severity.WARNING if exam == "1130" else Severity.OK)


@pytest.mark.parametrize(("age", "severity"), [(12, Severity.WARNING), (40, Severity.OK)])
def test_open_plates_of_a_simulated_child_are_seen_and_an_adults_scars_are_not(age: int, severity: Severity) -> None:
    study = knee(402, KneeOptions(age_years=age, voxel_mm=1.0, lesions=()))
    fluid = study.series[0].volume
    assert check_growth_plates(fluid, coarse(fluid)).severity is severity


@pytest.mark.parametrize("shape", [(4, 30, 23), (3, 1, 9), (1, 5, 1)])
@pytest.mark.parametrize("times", [1, 2, 5, 12])
def test_masks_grow_and_shrink_as_scipys(shape: tuple[int, ...], times: int) -> None:
    stack = default_rng(3).random(shape) > 0.5
    stack[:, : shape[1] // 2] |= default_rng(4).random((shape[0], shape[1] // 2, shape[2])) > 0.1
    for mask, found, lost in zip(stack, grown(stack, times), shrunk(stack, times), strict=True):
        assert np.array_equal(found, ndimage.binary_dilation(mask, iterations=times))
        assert np.array_equal(lost, ndimage.binary_erosion(mask, iterations=times))


def test_nothing_repeats_in_an_image_without_edges() -> None:
    flat = Volume(np.full((160, 160, 6), 100, np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))
    assert check_motion_inside(flat, coarse(flat)).severity in (Severity.OK, Severity.NOTE)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("shape", "step_mm"), [((1, 1, 5), 0.5), ((40, 1, 5), 0.5), ((40, 36, 5), 0.01), ((8, 8, 5), 90)]
)
def test_images_too_small_to_judge_are_still_read(shape: tuple[int, ...], step_mm: float, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 999, shape).astype(np.uint16)
    fluid = series(array, PixelSpacing=[step_mm, step_mm])
    t1 = series(array, series=2, ScanOptions="", RepetitionTime=500, EchoTime=10, PixelSpacing=[step_mm, step_mm])
    study = read_study(save([*fluid, *t1], tmp_path))
    assert study.refusals == () and [s.volume.shape for s in study.series] == [shape, shape]


def test_motion_inside_a_small_image_is_said_to_be_unjudged() -> None:
    small = Volume(np.full((80, 80, 6), 100, np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))
    check = check_motion_inside(small, coarse(small))
    assert check.severity is Severity.NOTE and check.value is not None and not check.value.measured


def test_a_screw_is_seen_and_a_vessel_is_not() -> None:
    base = limb(fat=200.0, muscle=60.0)
    array = base.array.copy()
    array[74:86, 74:86, 4:8] = 1.0
    assert metal_verdict(base.with_array(array)) is Severity.OK
    array[86:89, 72:88, 4:8] = 420.0
    assert metal_verdict(base.with_array(array)) is Severity.WARNING


@pytest.mark.parametrize(("width", "verdict"), [(6, Severity.OK), (10, Severity.WARNING)])
def test_a_joint_line_seen_end_on_is_not_metal(width: int, verdict: Severity) -> None:
    base = limb(fat=200.0, muscle=60.0)
    array = base.array.copy()
    array[74 : 74 + width, 60:100, 4:8] = 1.0  # black, long, with displaced fat along its border
    array[74 + width : 77 + width, 58:102, 4:8] = 420.0
    assert metal_verdict(base.with_array(array)) is verdict


def metal_verdict(volume: Volume) -> Severity:
    return check_metal(find_metal(coarse(volume)), "x").severity


@pytest.mark.parametrize("turned", [False, True])
def test_a_void_and_its_margin_are_left_out_of_another_series_slice_by_slice(turned: bool) -> None:
    base = limb(fat=200.0, muscle=60.0)
    array = base.array.copy()
    array[74:86, 74:86, 4:8] = 1.0
    array[86:89, 72:88, 4:8] = 420.0
    t1 = base.with_array(array)
    plain, grid = coarse(t1), coarse(t1)
    found = find_metal(plain)
    assert found
    fluid = Volume(np.zeros((160, 12, 160) if turned else (160, 160, 12), np.float32), base.affine)
    if turned:  # a stack across the first: its slices run along y
        fluid = Volume(fluid.array, base.affine[:, [0, 2, 1, 3]], slice_axis=2)
    mask = near(boxes_of(found, grid, t1), fluid, MARGIN_MM)
    world = [fluid.to_world(index) for index in np.argwhere(mask)]
    low, high = np.min(world, axis=0), np.max(world, axis=0)
    reach = MARGIN_MM + 8
    assert np.all(low >= np.array([74, 74, 16]) - reach) and np.all(high <= np.array([86, 86, 28]) + reach)
    assert mask[tuple(np.round(np.linalg.inv(fluid.affine) @ np.array([80, 80, 24, 1])).astype(int)[:3])]
    assert 0 < mask.mean() < 0.05


def test_noise_lowers_the_signal_to_noise_verdict() -> None:
    values = []
    for noise in (2.0, 8.0, 30.0):
        volume = limb(fat=15.0, noise=noise)
        check = check_snr(volume, coarse(volume))
        assert check.value is not None and check.value.value is not None
        values.append(check.value.value)
    assert values[0] > values[1] > values[2]
    assert check_snr(limb(fat=15.0, noise=30.0), coarse(limb(fat=15.0, noise=30.0))).severity in FLAGGED


def test_coverage_says_gaps_ends_and_empty_slices() -> None:
    volume = limb(fat=15.0)
    array = volume.array.copy()
    array[..., 11] = 0
    short = replace(volume, array=array)
    check = check_coverage(short, Sequence(slice_thickness_mm=2.0), coarse(short), first_instance=3)
    assert check.severity is Severity.NOTE and check.slices == (11,)
    assert all(part in check.message for part in ("empty", "gaps of 2.0 mm", "starts at 3"))
    assert check_coverage(volume, Sequence(slice_thickness_mm=4.0), coarse(volume), 1).severity is Severity.OK


@pytest.mark.parametrize(
    ("age", "severity"),
    [(None, Severity.NOTE), (12.0, Severity.WARNING), (19.0, Severity.NOTE), (45.0, Severity.OK)],
)
def test_maturity_goes_by_age_and_unknown_is_not_adult(age: float | None, severity: Severity) -> None:
    check = check_maturity(PatientFacts(age))
    assert check.severity is severity
    assert (check.value is not None and check.value.measured) is (age is not None)


def nifti_series(codes: tuple[int, int], order: list[int], affine: np.ndarray) -> Series:
    """A series of a NIfTI file whose axes are stored in that order."""
    image = nibabel.Nifti1Image(np.zeros((30, 40, 6), np.float32), affine)
    image = image.as_reoriented(np.array([[a, 1] for a in order]))
    placed = image.affine.copy()
    image.set_sform(placed, codes[0])
    image.set_qform(placed, codes[1])
    source = NiftiSource(Path("file.nii"), placed, image.header)
    volume = Volume(np.asarray(image.dataobj), ras_to_lps(placed.astype(np.float32)))
    return Series("file", 1, "", Role.OTHER, SequenceClass.UNKNOWN, (), Sequence(), volume, source)


@pytest.mark.parametrize(
    ("fluid", "t1", "together"),
    [((1, 1), (1, 1), True), ((1, 1), (2, 0), True), ((2, 1), (2, 0), True), ((2, 0), (2, 2), False),
     ((1, 1), (4, 4), False), ((0, 0), (0, 0), False), ((1, 1), (0, 0), False)],
)  # fmt: skip
def test_a_file_saved_anew_shares_the_frame_of_the_scanner(fluid: tuple, t1: tuple, together: bool) -> None:
    here, elsewhere = np.diag([1.0, 1.0, 3.0, 1.0]), np.diag([1.0, 2.0, 2.0, 1.0])
    one = nifti_series(fluid, [0, 1, 2], here)
    assert _same_frame(one, nifti_series(t1, [0, 1, 2], elsewhere)) is together
    for order in ([0, 1, 2], [2, 0, 1]):  # the same voxels are in one place, whatever the codes and the axis order
        assert _same_frame(one, nifti_series(t1, order, here))


@pytest.mark.needs("shared:data/si_joint")
def test_a_t1_in_another_axis_order_says_the_same_of_fat_suppression(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "si_joint" / "1007"
    t1 = nibabel.as_closest_canonical(nibabel.load(folder / "t1.nii.gz"))
    nibabel.save(nibabel.Nifti1Image(np.asarray(t1.dataobj), t1.affine), tmp_path / "t1.nii.gz")  # float64, code 2
    study = read_study(folder, series={"fluid": Path("stir.nii.gz"), "t1": tmp_path / "t1.nii.gz"})
    before, after = sacroiliac("1007").fluid, study.fluid
    assert before is not None and after is not None
    assert after.check("fat_suppression") == before.check("fat_suppression")
