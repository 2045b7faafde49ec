"""The physics core: signal equations, partial volume, artefacts, each against an answer known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowscope.errors import UsageError
from marrowscope.simulate import artefacts
from marrowscope.simulate.protocols import load_protocol, noise_level, series_names
from marrowscope.simulate.sampling import grid_volume, sample, truth_mask
from marrowscope.simulate.scanner import Imperfections, acquire
from marrowscope.simulate.signal import Sequence, Suppression, pool_signal, signal_table, water_fat_signal
from marrowscope.simulate.tissue_map import Canvas, TissueMap, pools
from marrowscope.simulate.tissues import load_tissues
from marrowscope.volume import Volume

FIELDS = (1.5, 3.0)


def test_every_tissue_number_names_a_listed_source() -> None:
    import yaml

    from marrowscope.simulate.tissues import TISSUE_FILE

    data = yaml.safe_load(TISSUE_FILE.read_text(encoding="utf-8"))
    assert {row["source"] for row in data["tissues"].values()} <= set(data["sources"])
    assert {row["source"] for row in data["fat"].values()} <= set(data["sources"])


def test_unknown_field_and_words_are_refused() -> None:
    for call in (
        lambda: load_tissues(7.0),
        lambda: load_protocol("pd_fs_sag", 7.0),
        lambda: load_protocol("flair", 3.0),
        lambda: noise_level("loud"),
        lambda: noise_level(3.0),
        lambda: series_names("ct"),
        lambda: load_tissues(3.0).label("cheese"),
    ):
        with pytest.raises(UsageError, match="expected"):
            call()


@pytest.mark.parametrize("field", FIELDS)
def test_inversion_nulls_fat_at_ln2_t1(field: float) -> None:
    fat = load_tissues(field).fat
    null = Sequence(50_000, 10, Suppression.INVERSION, ti_ms=math.log(2) * fat.t1_ms)
    early = Sequence(50_000, 10, Suppression.INVERSION, ti_ms=0.3 * fat.t1_ms)
    assert abs(pool_signal(null, fat.t1_ms, fat.t2_ms)) < 1e-3
    assert pool_signal(early, fat.t1_ms, fat.t2_ms) < -0.3


@settings(max_examples=50, deadline=None)
@given(
    tr=st.floats(1000, 6000),
    te=st.floats(5, 120),
    t1=st.floats(200, 4000),
    t2=st.floats(5, 180),
    ti=st.none() | st.floats(100, 400),
)
def test_signal_is_the_steady_state_of_the_pulses(tr: float, te: float, t1: float, t2: float, ti: float | None) -> None:
    """The closed form equals magnetisation followed pulse by pulse: (180, TI,) 90, echo train, recovery, again."""
    suppression = Suppression.NONE if ti is None else Suppression.INVERSION
    sequence = Sequence(tr, te, suppression, ti, echo_train=8, echo_spacing_ms=10)
    longitudinal = excited = 1.0
    for _ in range(40):
        if ti is not None:
            longitudinal = 1 + (-longitudinal - 1) * math.exp(-ti / t1)
        excited = longitudinal * math.exp(-te / t2)
        longitudinal = 1 - math.exp(-(tr - 80 - (ti or 0)) / t1)  # refocused for 80 ms, then free
    assert pool_signal(sequence, t1, t2) == pytest.approx(excited, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("field", FIELDS)
def test_contrast_a_radiologist_expects(field: float) -> None:
    table = load_tissues(field)

    def shown(series: str, tissue: str, residual: float) -> float:
        water, fat = water_fat_signal(load_protocol(series, field).sequence, table[tissue], table.fat)
        return abs(water + residual * fat)

    for series, residual in (("pd_fs_sag", 0.06), ("t2_fs_sag", 0.06), ("stir_sag", 1.0)):
        order = [shown(series, t, residual) for t in ("cortical_bone", "yellow_marrow", "red_marrow", "marrow_edema")]
        assert order == sorted(order), series
        assert shown(series, "fluid", residual) > 1.2 * shown(series, "marrow_edema", residual)
        assert shown(series, "marrow_edema", residual) > 2.5 * shown(series, "yellow_marrow", residual)
    t1 = {
        t: shown("t1_cor", t, 1.0) for t in ("yellow_marrow", "red_marrow", "marrow_edema", "muscle", "cortical_bone")
    }
    assert t1["yellow_marrow"] > t1["red_marrow"] > t1["marrow_edema"] > t1["muscle"] > t1["cortical_bone"]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), spacing=st.floats(1.5, 5.0), reverse=st.booleans())
def test_sampling_keeps_the_amount_inside(seed: int, spacing: float, reverse: bool) -> None:
    """What lies well inside the slices is neither lost nor doubled by partial volume."""
    rng = np.random.default_rng(seed)
    fine = np.zeros((40, 40, 40), np.float32)
    fine[12:28, 12:28, 12:28] = rng.random((16, 16, 16))
    source = Volume(fine, np.diag([0.75, 0.75, 0.75, 1.0]))
    count = int(30 / spacing) + 2
    affine = np.diag([0.5, 0.5, -spacing if reverse else spacing, 1.0])
    affine[2, 3] = 30.0 if reverse else -0.4
    grid = grid_volume((60, 60, count), affine)
    got = sample(source, grid).sum() * grid.voxel_volume_mm3
    assert got == pytest.approx(fine.sum() * 0.75**3, rel=0.02)


def test_sampling_agrees_with_scipy_on_any_axis_order() -> None:
    from marrowscope.volume import resample

    rng = np.random.default_rng(3)
    smooth = Volume(rng.random((6, 6, 6)).repeat(8, 0).repeat(8, 1).repeat(8, 2).astype(np.float32), np.eye(4))
    affine = np.array([[0, 0, 1.0, 2.3], [1, 0, 0, 4.1], [0, -1, 0, 40.2], [0, 0, 0, 1]])
    grid = grid_volume((30, 32, 35), affine)
    ours = sample(smooth, grid)
    # Average of scipy's trilinear values over the same one-voxel box.
    offsets = (np.arange(9) + 0.5) / 9 - 0.5
    total = np.zeros(grid.shape)
    for a in offsets[::2]:
        for b in offsets[::2]:
            for c in offsets[::2]:
                moved = affine.copy()
                moved[:3, 3] += affine[:3, :3] @ np.array([a, b, c])
                total += resample(smooth, grid_volume(grid.shape, moved)).array
    assert np.abs(ours - total / 125).max() < 0.08
    assert np.abs(ours - total / 125).mean() < 0.005


def test_oblique_slices_see_the_same_object() -> None:
    centre = np.array([20.0, 20.0, 20.0])
    index = np.indices((55, 55, 55)) * 0.75
    ball = np.square(index - centre[:, None, None, None]).sum(axis=0) < 12.0**2
    fine = Volume(ball, np.diag([0.75, 0.75, 0.75, 1.0]))
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.6, 0.6, 3.0])
    affine[:3, 3] = centre - affine[:3, :3] @ np.array([29.5, 29.5, 6.5])
    grid = grid_volume((60, 60, 14), affine)
    mask = truth_mask(fine, grid)
    assert mask.sum() * grid.voxel_volume_mm3 == pytest.approx(ball.sum() * 0.75**3, rel=0.04)


def test_canvas_keeps_the_share_of_border_voxels() -> None:
    canvas = Canvas((1, 1, 3))
    whole = (slice(None),) * 3
    canvas.paint(whole, np.array([[[1.0, 0.75, 0.25]]], np.float32), 5)
    canvas.paint(whole, np.array([[[0.0, 0.4, 0.0]]], np.float32), 7)
    tissues = canvas.finish(np.eye(4))
    assert np.allclose(tissues.share_of(5), [[[1, 0.45 / 0.85, 0.25]]])
    assert np.allclose(tissues.share_of(7), [[[0, 0.40 / 0.85, 0]]])
    assert np.allclose(tissues.share_of(0), [[[0, 0, 0.75]]])


def test_a_layer_takes_its_fraction_of_marrow_only() -> None:
    table = load_tissues(3.0)
    marrow, edema, muscle = (table.label(t) for t in ("yellow_marrow", "marrow_edema", "muscle"))
    plain = TissueMap.from_labels(np.array([[[marrow, marrow, muscle]]], np.uint8), np.eye(4))
    box = (slice(0, 1), slice(0, 1), slice(1, 3))
    layer = plain.layer(edema, marrow, np.array([[[0.25, 1.0]]], np.float32), box)
    signals = signal_table(load_protocol("pd_fs_sag", 3.0).sequence, table)
    water, _ = pools(plain.with_layers(layer), signals)
    assert water[0, 0] == pytest.approx(
        [signals[marrow, 0], 0.75 * signals[marrow, 0] + 0.25 * signals[edema, 0], signals[muscle, 0]]
    )


def test_suppression_is_lost_off_resonance_and_water_only_where_it_meets_the_fat_band() -> None:
    left = artefacts.suppression_residual([0.0, 1.0, 3.4], 0.0, 0.06)
    assert left[0] < 0.08 and left[0] < left[1] < 0.3 and left[2] > 0.95
    assert artefacts.suppression_residual(0.0, 0.3, 0.06) > 0.4
    kept = artefacts.water_kept([0.0, -3.4], 3.4)
    assert kept[0] > 0.99 and kept[1] < 0.05


def test_rician_noise_floor_and_determinism() -> None:
    zero = np.zeros((40, 40, 40), np.float32)
    noisy = artefacts.rician(zero, 2.0, np.random.default_rng(1))
    assert noisy.mean() == pytest.approx(2.0 * math.sqrt(math.pi / 2), rel=0.01)  # Rayleigh mean
    assert (noisy == artefacts.rician(zero, 2.0, np.random.default_rng(1))).all()


def test_motion_ghosts_run_along_the_phase_axis_only() -> None:
    image = np.zeros((64, 64, 3), np.float32)
    image[30:34, 30:34, 1] = 1
    out = artefacts.motion_ghosts(image, 1, amplitude_px=2.0, rng=np.random.default_rng(0))
    assert out[:28].sum() < 1e-3 and out[36:].sum() < 1e-3
    assert out[30:34, :20, 1].max() > 0.02
    assert out[:, :, (0, 2)].max() < 1e-6


@settings(max_examples=20, deadline=None)
@given(axis=st.integers(0, 1), seed=st.integers(0, 99))
def test_distortion_moves_signal_but_makes_none(axis: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((24, 24, 2)).astype(np.float32)
    image[:6], image[-6:], image[:, :6], image[:, -6:] = 0, 0, 0, 0
    shift = rng.uniform(-5, 5, image.shape).astype(np.float32)
    assert artefacts.distort(image, shift, axis).sum() == pytest.approx(image.sum(), rel=1e-5)
    assert np.allclose(artefacts.distort(image, np.zeros_like(shift), axis), image)


def test_chemical_shift_follows_bandwidth_and_field() -> None:
    protocol, table = load_protocol("t1_cor", 3.0), load_tissues(3.0)
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[15:25, 15:25, 15:25] = table.label("subcutaneous_fat")
    tissues = TissueMap.from_labels(labels, np.diag([1.0, 1.0, 1.0, 1.0]))
    grid = protocol.grid((19.5, 19.5, 19.5))
    image = acquire(tissues, table, protocol, grid, imperfections=Imperfections(), rng=np.random.default_rng(0))
    middle = np.average(np.arange(320), weights=image.sum(axis=(0, 2)))
    assert protocol.frequency_axis == 1
    assert middle - 159.5 == pytest.approx(table.fat_shift_hz / protocol.bandwidth_hz, rel=0.1)
