"""``marrowscope simulate knee``: a whole DICOM study with known truth."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marrowscope.errors import UsageError

if TYPE_CHECKING:
    from marrowscope.simulate import KneeOptions, LesionRequest

STUDY_FOLDER, TRUTH_FOLDER = "study", "truth"
"""What is written below the output folder: DICOM here, what is really there beside it."""

simulate = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@simulate.callback()
def _about() -> None:
    """Write a simulated study with known truth."""


@simulate.command("knee")
def knee(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: study/ (DICOM) and truth/.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed and options: same bytes.")] = 1,
    lesions: Annotated[
        str, typer.Option(help="'random', 'none', or SITE[:CM3[:PATTERN]],... e.g. medial_tibial_plateau:2.0:fracture.")
    ] = "random",
    field: Annotated[float, typer.Option(help="Field strength: 1.5 or 3.")] = 3.0,
    noise: Annotated[str, typer.Option(help="low, medium, high, or a share of muscle signal.")] = "medium",
    fluid: Annotated[str, typer.Option(help="Fluid series: pd_fs, t2_fs, stir or dixon.")] = "pd_fs",
    fault: Annotated[list[str] | None, typer.Option(help="failed_fatsat, metal or motion; may be repeated.")] = None,
    extra: Annotated[list[str] | None, typer.Option(help="A further series, e.g. t1_sag or pd_fs_ax.")] = None,
    side: Annotated[str | None, typer.Option(help="left or right; the seed chooses.")] = None,
    age: Annotated[int | None, typer.Option(min=5, max=100, help="Years; the seed chooses.")] = None,
    oblique: Annotated[float, typer.Option(min=-40, max=40, help="Degrees the slices are turned by.")] = 0.0,
    visit: Annotated[int, typer.Option(min=1, help="2 and more: the same knee scanned again, half a year later.")] = 1,
    reverse: Annotated[bool, typer.Option("--reverse", help="Number the slices from the other end.")] = False,
) -> None:
    """Write one knee examination: fluid sagittal and coronal, T1 coronal, and the truth beside it."""
    from marrowscope.simulate import Fault, KneeOptions

    known = [f.value for f in Fault]
    if unknown := [f for f in fault or [] if f not in known]:
        raise UsageError(f"--fault {unknown[0]}", f"one of {', '.join(known)}")
    if side not in (None, "left", "right"):
        raise UsageError(f"--side {side}", "left or right")
    options = KneeOptions(
        lesions=read_lesions(lesions),
        field_t=field,
        noise=noise,
        fluid=fluid,
        faults=tuple(Fault(f) for f in fault or []),
        side=side,
        age_years=age,
        extra_series=tuple(extra or []),
        oblique_deg=oblique,
        reverse=reverse,
        visit=visit,
    )
    study = simulate_to(out, seed, options)
    typer.echo(f"study: {study}\ntruth: {out / TRUTH_FOLDER / 'truth.json'}")


def read_lesions(text: str) -> tuple[LesionRequest, ...] | None:
    """Lesions as typed: ``random`` gives None (the seed draws them), ``none`` an empty tuple.

    Raises:
        UsageError: an unknown site or pattern, or a volume that is not a number or out of range.
    """
    if text in ("random", "none"):
        return None if text == "random" else ()
    return tuple(_read_lesion(part) for part in text.split(","))


def _read_lesion(text: str) -> LesionRequest:
    from marrowscope.simulate import LesionRequest

    parts = [part.strip() for part in text.split(":")]
    site, volume, pattern = (*parts, *("", "1", "subchondral")[len(parts) :])[:3]
    try:
        cm3 = float(volume)
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3:
        raise UsageError(f"--lesions {text}", "SITE[:CM3[:PATTERN]]", "e.g. medial_tibial_plateau:2.0:fracture")
    return LesionRequest(site, cm3, pattern)


def simulate_to(out: Path, seed: int, options: KneeOptions | None = None) -> Path:
    """Write a simulated knee below ``out``, whole or not at all; an earlier one is replaced.

    Returns:
        The folder of DICOM files.

    Raises:
        UsageError: ``out`` holds a ``study`` or ``truth`` that was not simulated, is a results folder, or no folder to
            write into.
    """
    from marrowscope.results import check_no_results, check_place
    from marrowscope.simulate import knee as simulate_knee
    from marrowscope.simulate import write_dicom, write_truth

    check_place(out / STUDY_FOLDER)
    check_no_results(out)
    for name in (STUDY_FOLDER, TRUTH_FOLDER):
        if (out / name).exists() and not (out / TRUTH_FOLDER / "truth.json").is_file():
            raise UsageError(f"{out / name} exists and holds no simulated study", "a new folder", "choose another -o")
    simulated = simulate_knee(seed, options)
    aside = out / ".partial"
    shutil.rmtree(aside, ignore_errors=True)
    write_dicom(simulated, aside / STUDY_FOLDER)
    write_truth(simulated, aside / TRUTH_FOLDER)
    for name in (STUDY_FOLDER, TRUTH_FOLDER):
        if (out / name).exists():
            shutil.rmtree(out / name)
        (aside / name).rename(out / name)
    aside.rmdir()
    return out / STUDY_FOLDER
