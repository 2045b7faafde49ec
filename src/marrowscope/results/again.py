"""A results folder written again: after a release, an amended intake, or a comparison. Voxels are kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.assessment import Assessment, ReleaseStatus
from marrowscope.assessment.impression import impression_of
from marrowscope.errors import UsageError
from marrowscope.results.folder import (
    ASSESSMENT,
    DETECTION,
    FHIR,
    FileWriter,
    write_assessment,
    write_folder,
    write_run,
    write_text,
)
from marrowscope.results.read import Results, read_results
from marrowscope.results.standards import rewrite_dicom, write_fhir

if TYPE_CHECKING:
    from marrowscope.report.figures import Figure


def rewrite(folder: Path, assessment: Assessment) -> Path:
    """The same folder for another state of the same result (a release, an amended intake): voxels are kept.

    Every earlier assessment is kept under ``versions/``.

    Args:
        folder: a results folder. assessment: what it is to say now.

    Raises:
        ResultsError: the folder cannot be read.
    """
    from marrowscope.report.folder import read_figures, report_writers

    old = read_results(folder)
    source = folder / "dicom" / "source.json"
    kept = (DETECTION,) if (folder / DETECTION).is_file() else ()
    also = (FHIR, *kept, *(("dicom",) if source.is_file() else ()))
    writers: dict[str, FileWriter] = {
        "kept": lambda out: _keep(folder, out),
        "assessment": lambda out: write_assessment(out, assessment),
        **report_writers(assessment, None, also, read_figures(folder)),
        "fhir": lambda out: write_fhir(out, assessment),
        "dicom": lambda out: rewrite_dicom(old, out, assessment),
        "run": lambda out: write_run(out, {k: v for k, v in old.run.items() if k != "files"}),
    }
    return write_folder(folder, writers)


def release(folder: Path, by: str, at: str) -> Assessment:
    """Sign a result: from then on its differential, checks, report and leaflet may leave.

    Args:
        folder: a results folder. by: the clinician's name. at: ISO 8601 time.

    Returns:
        The released assessment: ``final``, or ``amended`` when it was changed after an earlier release.

    Raises:
        UsageError: no name, or nothing has changed since it was signed. ResultsError: the folder cannot be read.
    """
    signed = signed_by(read_results(folder).assessment, by, at)
    rewrite(folder, signed)
    return signed


def check_unsigned(was: Assessment) -> None:
    """Refuse a second signature under what has not changed since the first.

    Raises:
        UsageError: it is signed as it is.
    """
    if was.signed:
        raise UsageError(
            f"a result that is signed ({was.status.value}) and has not changed since",
            "an unsigned result, or a correction after the signature",
            "correct it first, then sign the correction",
        )


def signed_by(was: Assessment, by: str, at: str) -> Assessment:
    """The assessment with a signature. FHIR and DICOM call amended only what was changed after it was final.

    Args:
        was: unsigned. by: the clinician's name. at: ISO 8601 time.

    Raises:
        UsageError: no name, or it is signed as it is.
    """
    if not by.strip():
        raise UsageError("a release without a name", "the name of the clinician who signs", "give --by NAME")
    check_unsigned(was)
    status = ReleaseStatus.AMENDED if was.status is ReleaseStatus.AMENDED else ReleaseStatus.FINAL
    signed = replace(was, status=status, released_by=by.strip(), released_at=at)
    return replace(signed, impression=impression_of(signed))


def write_comparison(
    out: Path,
    current: Results,
    assessment: Assessment,
    beside: Mapping[str, Figure],
    earlier: Results | None = None,
    same_patient: bool = False,
) -> Path:
    """The current visit's folder with the change in it, and the earlier visit's pictures beside its own.

    Args:
        out: where. current: the later visit. assessment: its own, with its ``change``.
        beside: pictures of both visits. earlier: the earlier visit, where it is a results folder.
        same_patient: somebody vouched for both visits being of one patient; kept with the settings.
    """
    from marrowscope.report.folder import read_figures, report_writers

    old = read_figures(earlier.folder) if earlier is not None else {}
    prior = {
        f"prior_{name}": replace(figure, name=f"prior_{name}", caption=f"Earlier visit: {figure.caption}")
        for name, figure in old.items()
        if name == "overview"
    }
    run = {k: v for k, v in current.run.items() if k != "files"}
    settings = run.get("settings", {})
    change = json.dumps(assessment.change, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    writers: dict[str, FileWriter] = {
        "masks": lambda folder: _copy_voxels(current.folder, folder),
        "assessment": lambda folder: write_assessment(folder, assessment),
        "change": lambda folder: write_text(folder, "change.json", change),
        **report_writers(assessment, None, (FHIR,), read_figures(current.folder), {**beside, **prior}),
        "fhir": lambda folder: write_fhir(folder, assessment),
        "run": lambda folder: write_run(folder, {**run, "settings": {**settings, "same_patient": same_patient}}),
    }
    return write_folder(out, writers)


def _copy_voxels(source: Path, out: Path) -> None:
    if (source / "masks").is_dir():
        shutil.copytree(source / "masks", out / "masks")
    if (source / DETECTION).is_file():
        shutil.copyfile(source / DETECTION, out / DETECTION)


def _keep(folder: Path, out: Path) -> None:
    """Masks as they are, and the assessment so far as the newest version."""
    _copy_voxels(folder, out)
    keep_versions(folder, out)


def keep_versions(folder: Path, out: Path) -> None:
    """Every earlier assessment, and the one so far as the newest of them."""
    if (folder / "versions").is_dir():
        shutil.copytree(folder / "versions", out / "versions")
    versions = out / "versions"
    versions.mkdir(exist_ok=True)
    number = 1 + len(list(versions.glob("*.json")))
    shutil.copyfile(folder / ASSESSMENT, versions / f"{number:04d}.json")
