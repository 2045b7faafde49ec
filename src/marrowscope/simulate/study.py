"""A whole simulated examination in memory: series, the person, and the truth on the fine grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from marrowscope.simulate.anatomy import VOXEL_MM, Anatomy, Person, Screw, build
from marrowscope.simulate.artefacts import Generator, Implant
from marrowscope.simulate.lesions import LesionRequest, LesionTruth, draw_lesions, lesion_data
from marrowscope.simulate.marrow import Mimics, fill_marrow
from marrowscope.simulate.protocols import SeriesProtocol, load_protocol, noise_level, scanner_value, series_names
from marrowscope.simulate.sampling import truth_mask
from marrowscope.simulate.scanner import Image, Imperfections, acquire
from marrowscope.simulate.signal import Float32Array, Suppression
from marrowscope.simulate.tissues import TissueTable, load_tissues
from marrowscope.volume import FloatArray, Volume

BONE_LABELS = {"femur": 1, "tibia": 2, "patella": 3, "fibula": 4}
"""Labels of the truth bone masks."""

BRIGHT_LEVEL, BRIGHT_SHARE = 1400.0, 99.9
"""The 99.9th percentile of a series is stored near this value, as 12-bit scanners do."""

LARGEST_VALUE = 4095
"""Largest value of a 12-bit image."""

SAGITTAL_CENTRE, CORONAL_CENTRE = (0.0, 1.0, 2.0), (0.0, -3.0, 2.0)
"""Where an operator puts the middle of the stacks, mm from the middle of the joint (LPS)."""

VISIT_SHIFT_MM, VISIT_TILT_DEG = (3.0, 3.0, 2.0), 3.0
"""How far (standard deviations) the stacks of a later visit lie from the first one's: an operator plans by hand."""

MOTION_PX = 1.6
"""Peak displacement of the motion fault in pixels: ghosts that a reader would reject or repeat (judgement)."""

SCREWS: tuple[Screw, ...] = (
    (np.array([[-6.0, -14.0, -34.0], [-2.0, -4.0, -16.0]]), 4.5),
    (np.array([[12.0, 14.0, 34.0], [22.0, 10.0, 44.0]]), 4.0),
)
"""Interference screws of a cruciate reconstruction: where they lie and how thick they are, mm."""

SCREW_SUSCEPTIBILITY_PPM = 180.0
"""Titanium against tissue (Schenck, Med Phys 1996;23:815-850)."""


class Fault(StrEnum):
    """What may go wrong with a whole examination."""

    FAILED_FATSAT = "failed_fatsat"
    METAL = "metal"
    MOTION = "motion"


@dataclass(frozen=True)
class SimulatedSeries:
    """One series as stored.

    Attributes:
        number: series number.
        protocol: how it was run.
        image: what of water and fat it shows.
        volume: uint16, index (column, row, slice).
    """

    number: int
    protocol: SeriesProtocol
    image: Image
    volume: Volume


@dataclass(frozen=True)
class Truth:
    """What is really there.

    Attributes:
        bones: uint8 on the fine grid, see ``BONE_LABELS``; cortex included.
        lesions: uint8 on the fine grid, the number of the lesion.
        listed: the lesions.
        faults: what went wrong on purpose.
        mimics: what looks like edema and is not.
    """

    bones: Volume
    lesions: Volume
    listed: tuple[LesionTruth, ...]
    faults: tuple[Fault, ...]
    mimics: Mimics

    def on_grid(self, labels: Volume, grid: Volume) -> Volume:
        """A truth label map on the grid of a series: each label where it fills at least half a voxel."""
        out = np.zeros(grid.shape, np.uint8)
        for label in np.unique(labels.array[labels.array > 0]):
            out[truth_mask(labels.with_array(labels.array == label), grid)] = label
        return replace(grid, array=out)


@dataclass(frozen=True)
class SimulatedStudy:
    """One examination.

    Attributes:
        seed: what it was drawn from.
        field_t: main field, tesla.
        person: whose knee.
        series: in the order they were run.
        truth: what is really there.
        visit: the first, or a later one of the same knee.
    """

    seed: int
    field_t: float
    person: Person
    series: tuple[SimulatedSeries, ...]
    truth: Truth
    visit: int = 1


@dataclass(frozen=True)
class KneeOptions:
    """How a knee is simulated; None leaves the choice to the seed.

    Attributes:
        lesions: what to draw; None = none to three, by the seed.
        field_t: 1.5 or 3.
        noise: ``low``, ``medium``, ``high`` or a share of muscle signal.
        fluid: kind of fluid series: ``pd_fs``, ``t2_fs``, ``stir``, ``dixon``.
        faults: what goes wrong.
        side, age_years, effusion: of the person.
        mimics: what looks like edema and is not.
        extra_series: further series of the protocol file.
        oblique_deg: turns all stacks about the patient's long axis and then left-right axis.
        reverse: number slices from the other end.
        visit: 2 and more scan the same knee again, half a year later each: other noise and shim, slices planned anew.
            Lesions keep place and shape as far as their volumes do; list those that come or go last.
        voxel_mm: step of the fine grid; the default is what truth is counted on, coarser is for quick trials.

    Raises:
        UsageError: a word or number the data files do not know.
    """

    lesions: tuple[LesionRequest, ...] | None = None
    field_t: float = 3.0
    noise: str | float = "medium"
    fluid: str = "pd_fs"
    faults: tuple[Fault, ...] = ()
    side: str | None = None
    age_years: int | None = None
    effusion: float | None = None
    mimics: Mimics | None = None
    extra_series: tuple[str, ...] = ()
    oblique_deg: float = 0.0
    reverse: bool = False
    visit: int = 1
    voxel_mm: float = VOXEL_MM

    def __post_init__(self) -> None:
        noise_level(self.noise)
        load_tissues(self.field_t)
        for name in self.series:
            load_protocol(name, self.field_t)

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series to run, in the protocol file's words."""
        return (*series_names(self.fluid), *self.extra_series)


def random_person(rng: Generator, options: KneeOptions) -> Person:
    """A person by chance, but for what the options fix."""
    scale = rng.normal(1.0, 0.045)
    drawn = Person(
        side=str(rng.choice(["left", "right"])),
        age_years=int(rng.integers(18, 80)),
        size=tuple(float(np.clip(scale * rng.normal(1, 0.015), 0.88, 1.1)) for _ in range(3)),  # type: ignore[arg-type]
        pose_deg=tuple(float(a) for a in np.clip(rng.normal(0, [3, 2.5, 5]), -9, 9)),  # type: ignore[arg-type]
        offset_mm=tuple(float(o) for o in rng.normal(0, [3, 3, 4])),  # type: ignore[arg-type]
        fat_mm=float(np.clip(rng.normal(0.5, 2.5), -3, 7)),
        warp_mm=float(rng.uniform(0.5, 1.0)),
        effusion=float(np.clip(rng.beta(1.2, 3.0), 0, 1)),
        baker_cyst=bool(rng.random() < 0.2),
    )
    return replace(
        drawn,
        side=options.side or drawn.side,
        age_years=drawn.age_years if options.age_years is None else options.age_years,
        effusion=drawn.effusion if options.effusion is None else options.effusion,
    )


def random_mimics(rng: Generator, age_years: int) -> Mimics:
    """Mimics by chance: more red marrow in the young, more cysts in the old."""
    red = float(rng.uniform(0.1, 0.8)) if rng.random() < (0.6 if age_years < 45 else 0.25) else 0.0
    cysts = int(rng.integers(1, 3)) if rng.random() < (0.1 if age_years < 45 else 0.35) else 0
    return Mimics(red, cysts, int(rng.integers(0, 3)))


def random_lesions(rng: Generator) -> tuple[LesionRequest, ...]:
    """None to three lesions by chance, 0.1 to 8 cm3, log-uniform; sometimes a kissing pair."""
    data = lesion_data()
    low, high = data["volume_cm3"]["smallest"], data["volume_cm3"]["largest"]

    def volume(most: float) -> float:
        return round(float(np.exp(rng.uniform(np.log(low), np.log(most)))), 3)

    if rng.random() < 0.2:
        return tuple(LesionRequest(site, volume(4.0), "contusion") for site in data["kissing"])
    small = {"patella_lateral": 2.0, "patella_medial": 2.0, "fibular_head": 1.0, "tibial_spines": 4.0}
    sites = rng.permutation(sorted(data["sites"]))[: rng.choice([1, 1, 1, 2, 2, 3])]
    patterns = sorted(data["patterns"])
    return tuple(
        LesionRequest(str(site), volume(small.get(str(site), high)), str(rng.choice(patterns))) for site in sites
    )


def knee(
    seed: int,
    options: KneeOptions | None = None,
    table: TissueTable | None = None,
    changed: Callable[[SeriesProtocol], SeriesProtocol] = lambda protocol: protocol,
) -> SimulatedStudy:
    """Simulate one knee examination.

    Args:
        seed: the same seed and options give the same bytes.
        options: what is fixed; the seed draws the rest.
        table: tissue properties; None = the built-in table at the field, edema a little different in every person.
        changed: what becomes of each series' protocol: other times, slices or pixels; as it is by default.

    Returns:
        The whole examination with its truth.

    Raises:
        UsageError: an option the data files do not know.
    """
    options = options or KneeOptions()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    person_rng, shape_rng, marrow_rng, lesion_rng, table_rng, scan_rng = streams
    if options.visit > 1:
        scan_rng = np.random.default_rng([seed, options.visit])
    person = random_person(person_rng, options)
    mimics = options.mimics if options.mimics is not None else random_mimics(person_rng, person.age_years)
    requests = options.lesions if options.lesions is not None else random_lesions(lesion_rng)
    table = table or varied(load_tissues(options.field_t), table_rng)
    hardware = SCREWS if Fault.METAL in options.faults else ()
    anatomy = build(person, table, shape_rng, hardware=hardware, voxel_mm=options.voxel_mm)
    contents = fill_marrow(anatomy, mimics, marrow_rng)
    listed, lesions = draw_lesions(requests, anatomy, contents, lesion_rng)
    layers = [layer for content in contents.values() for layer in content.layers(anatomy.tissues, table)]
    anatomy = replace(anatomy, tissues=anatomy.tissues.with_layers(*layers))
    truth = Truth(_bone_labels(anatomy), anatomy.tissues.grid.with_array(lesions), listed, options.faults, mimics)
    implants = tuple(_implant(anatomy, screw) for screw in hardware)
    series = _scan(anatomy, table, options, implants, scan_rng, changed)
    return SimulatedStudy(seed, options.field_t, person, series, truth, options.visit)


def varied(table: TissueTable, rng: Generator) -> TissueTable:
    """The table of another person: each tissue a few per cent off, edema more."""
    factors: dict[str, dict[str, float]] = {
        t.name: {"t1_ms": float(rng.normal(1, 0.04)), "t2_ms": float(rng.normal(1, 0.05))} for t in table.tissues[1:]
    }
    factors["marrow_edema"] |= {"fat_fraction": float(rng.uniform(0.75, 1.35)), "t2_ms": float(rng.uniform(0.85, 1.2))}
    factors["red_marrow"] |= {"fat_fraction": float(rng.uniform(0.85, 1.15))}
    return table.scaled(factors)


def _implant(anatomy: Anatomy, screw: Screw) -> Implant:
    middle = np.linalg.inv(anatomy.to_knee) @ np.array([*screw[0].mean(axis=0), 1.0])
    x, y, z = (float(c) for c in middle[:3])
    return Implant((x, y, z), screw[1], SCREW_SUSCEPTIBILITY_PPM)


def _bone_labels(anatomy: Anatomy) -> Volume:
    labels = np.zeros(anatomy.tissues.labels.shape, np.uint8)
    for name, bone in anatomy.bones.items():
        labels[bone.box][bone.depth >= 0] = BONE_LABELS[name]
    return anatomy.tissues.grid.with_array(labels)


def _scan(
    anatomy: Anatomy,
    table: TissueTable,
    options: KneeOptions,
    implants: tuple[Implant, ...],
    rng: Generator,
    changed: Callable[[SeriesProtocol], SeriesProtocol],
) -> tuple[SimulatedSeries, ...]:
    """Run every series of the study, each with its own share of the chance."""
    names = options.series
    plan = _replanned(rng) if options.visit > 1 else (np.zeros(3), np.eye(3))
    series: list[SimulatedSeries] = []
    for name, stream in zip(names, rng.spawn(len(names)), strict=True):
        protocol = changed(load_protocol(name, options.field_t))
        grid = _planned(protocol, anatomy, options, plan)
        dixon = protocol.sequence.suppression is Suppression.DIXON
        for image in tuple(Image)[1:] if dixon else (Image.SUM,):
            shown = acquire(
                anatomy.tissues, table, protocol, grid,
                imperfections=_imperfections(protocol, options, implants), rng=stream, image=image,
            )  # fmt: skip
            number = len(series) + 2  # series 1 is the localizer a scanner runs first
            series.append(SimulatedSeries(number, protocol, image, replace(grid, array=stored(shown))))
    return tuple(series)


def _replanned(rng: Generator) -> tuple[FloatArray, FloatArray]:
    """Shift in mm and rotation of all stacks of a later visit."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", rng.normal(0, VISIT_TILT_DEG, 3), degrees=True).as_matrix()
    return rng.normal(0, VISIT_SHIFT_MM), np.asarray(turn)


def _planned(
    protocol: SeriesProtocol, anatomy: Anatomy, options: KneeOptions, plan: tuple[FloatArray, FloatArray]
) -> Volume:
    from scipy.spatial.transform import Rotation

    centre = CORONAL_CENTRE if protocol.plane == "coronal" else SAGITTAL_CENTRE
    turn = Rotation.from_euler("zx", [options.oblique_deg, options.oblique_deg / 2], degrees=True).as_matrix()
    rotation = plan[1] @ turn if options.oblique_deg or options.visit > 1 else None
    return protocol.grid(np.array(centre) + anatomy.person.offset_mm + plan[0], rotation, reverse=options.reverse)


def _imperfections(protocol: SeriesProtocol, options: KneeOptions, implants: tuple[Implant, ...]) -> Imperfections:
    fluid = protocol.sequence.suppression is not Suppression.NONE
    return Imperfections(
        noise=noise_level(options.noise) * (1.0 if fluid else 0.6),
        residual=scanner_value("suppression_residual"),
        shim_ppm=scanner_value("shim_error_ppm"),
        flip=scanner_value("flip_error"),
        shading=scanner_value("coil_shading"),
        lost_suppression=1.0 if Fault.FAILED_FATSAT in options.faults else 0.0,
        motion_px=MOTION_PX if Fault.MOTION in options.faults else 0.0,
        implants=implants,
    )


def stored(image: Float32Array) -> npt.NDArray[np.uint16]:
    """Magnitudes as the 12-bit integers a scanner stores, same shape."""
    scale = BRIGHT_LEVEL / max(float(np.percentile(image, BRIGHT_SHARE)), 1e-9)
    return np.clip(np.round(image * np.float32(scale)), 0, LARGEST_VALUE).astype(np.uint16)
