"""New results folders: of an assessed study or intake, and of one that was refused."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.results.again import keep_versions
from marrowscope.results.folder import (
    DETECTION,
    FHIR,
    INSPECTION,
    FileWriter,
    write_assessment,
    write_folder,
    write_run,
    write_text,
)
from marrowscope.results.standards import dicom_but_pdf, is_dicom, write_dicom, write_fhir

if TYPE_CHECKING:
    from marrowscope.assessment.pipeline import Assessed
    from marrowscope.errors import InputError
    from marrowscope.lesion.types import Objects
    from marrowscope.report.figures import Figure
    from marrowscope.results.read import Results
    from marrowscope.study import Study

PLAIN_SETTINGS = ("site", "side")
"""Settings kept word for word in ``run.json``; the others name files."""


def write_results(
    out: Path,
    assessed: Assessed,
    settings: Mapping[str, Any] | None = None,
    seconds: Mapping[str, float] | None = None,
    earlier: Results | None = None,
    beside: Mapping[str, Figure] | None = None,
) -> Path:
    """The whole folder of design section 4 for one assessed study (or intake).

    Args:
        out: where. assessed: what ``assess`` returned. settings: the request.
        seconds: time a stage; ``writing``, up to ``run.json`` itself, is added to it.
        earlier: the same result before an edit, kept under ``versions/`` with its settings.
        beside: further pictures, of an earlier visit.
    """
    started = time.perf_counter()
    from marrowscope.report.folder import report_writers

    objects = edited_objects(assessed)
    assessment = assessed.assessment
    run = run_record(assessed, settings or {}, seconds or {})
    if earlier is not None:
        run["settings"] = earlier.run["settings"]
    also = (FHIR, *((DETECTION,) if objects is not None else ()), *(("dicom",) if is_dicom(objects) else ()))
    with ThreadPoolExecutor(1) as side:  # DICOM is Python's work, pictures and the PDF mostly are not
        dicom = side.submit(dicom_but_pdf, assessment, objects)
        writers: dict[str, FileWriter] = {
            "versions": lambda folder: keep_versions(earlier.folder, folder) if earlier is not None else None,
            "assessment": lambda folder: write_assessment(folder, assessment),
            **report_writers(assessment, objects, also, beside=beside),
            "fhir": lambda folder: write_fhir(folder, assessment),
            "detection": lambda folder: _write_detection(folder, assessed.objects),
            "dicom": lambda folder: write_dicom(folder, assessment, objects, dicom.result()),
            "run": lambda folder: write_run(folder, _timed(run, time.perf_counter() - started)),
        }
        return write_folder(out, writers)


def write_light(
    out: Path, assessed: Assessed, settings: Mapping[str, Any] | None = None, seconds: Mapping[str, float] | None = None
) -> Path:
    """A folder without renderings, for a large cohort: no page, PDF, leaflet, FHIR or DICOM.

    What it has, has the bytes that :func:`write_results` gives it, but for the list of pictures and ``run.json``.

    Args:
        out: where. assessed: with its voxels. settings: the request. seconds: time a stage.
    """
    from marrowscope.report.folder import light_writers

    objects = edited_objects(assessed)
    assert objects is not None  # assessed from a study
    writers: dict[str, FileWriter] = {
        "assessment": lambda folder: write_assessment(folder, assessed.assessment),
        **light_writers(assessed.assessment, objects),
        "run": lambda folder: write_run(folder, run_record(assessed, settings or {}, seconds or {})),
    }
    return write_folder(out, writers)


def write_inspection(out: Path, study: Study, refusal: InputError) -> Path:
    """What was read and why it was refused: ``index.html`` and ``inspection.json``, no assessment."""
    from marrowscope.report.inspection import inspection_data, render_inspection

    writers: dict[str, FileWriter] = {
        "data": lambda f: write_text(f, INSPECTION, json.dumps(inspection_data(study, refusal), indent=2) + "\n"),
        "index": lambda f: write_text(f, "index.html", render_inspection(study, refusal)),
    }
    return write_folder(out, writers)


def edited_objects(assessed: Assessed) -> Objects | None:
    """The objects the assessment speaks of: detection's, with the assessment's own edits replayed."""
    if assessed.objects is None:
        return None
    from marrowscope.lesion.edits import apply_edits

    return apply_edits(assessed.objects, assessed.assessment.edits)


def run_record(assessed: Assessed, settings: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """``run.json`` without its file hashes: software, settings, label names, and time in its one field ``time``."""
    objects = edited_objects(assessed)
    labels: dict[str, dict[str, str]] = {}
    if objects is not None:
        from marrowscope.report.masks import label_maps, label_names

        labels = label_names(label_maps(objects))
    return {
        "software": assessed.assessment.provenance.software,
        "settings": {k: v if k in PLAIN_SETTINGS else _given(v) for k, v in settings.items()},
        "labels": labels,
        "time": {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": {k: round(v, 3) for k, v in seconds.items()},
        },
    }


def _timed(run: dict[str, Any], writing: float) -> dict[str, Any]:
    """The record with the seconds that writing took so far."""
    seconds = {**run["time"]["seconds"], "writing": round(writing, 3)}
    return {**run, "time": {**run["time"], "seconds": seconds}}


def _given(value: Any) -> Any:
    """Whether a file was given, not where it lies: paths differ by machine and may hold a patient's name."""
    return sorted(value) if isinstance(value, Mapping) else bool(value)


def _write_detection(folder: Path, objects: Objects | None) -> None:
    if objects is None:
        return
    from marrowscope.assessment.detection import detection_bytes

    (folder / DETECTION).write_bytes(detection_bytes(objects))
