"""The results folder: the one writer and the one reader. Whole or absent: written aside, then renamed.

index.html  report.pdf  impression.txt  patient.html  assessment.json  measurements.csv
masks/{bones,regions,lesions,reference}.nii.gz   figures/*.png   dicom/   fhir/bundle.json   run.json
detection.npz (for corrections)
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.assessment import Assessment, ReleaseStatus, from_json, to_json
from marrowscope.assessment.impression import impression_of
from marrowscope.errors import ResultsError, UsageError

if TYPE_CHECKING:
    from marrowscope.assessment.detection import Detection
    from marrowscope.assessment.pipeline import Assessed
    from marrowscope.errors import InputError
    from marrowscope.followup import Visit
    from marrowscope.labelmap import LabelMap
    from marrowscope.lesion.types import Objects
    from marrowscope.report.figures import Figure
    from marrowscope.study import Study

ASSESSMENT = "assessment.json"
RUN = "run.json"
FHIR = "fhir/bundle.json"
DETECTION = "detection.npz"
"""What was found before any edit (see ``marrowscope.assessment.detection``)."""

INSPECTION = "inspection.json"
"""What a refused study leaves instead of an assessment."""

MASKS = ("bones", "regions", "lesions", "reference")
"""Label maps of ``masks/``, each on the fluid input's own grid, axis order and affine."""

PLAIN_SETTINGS = ("site", "side")
"""Settings kept word for word in ``run.json``; the others name files."""

FileWriter = Callable[[Path], None]
"""Writes one part of the folder below the given directory."""


@dataclass(frozen=True)
class Results:
    """A whole results folder that was read.

    Attributes:
        folder: where it is. assessment: what it says. run: ``run.json`` (hashes, versions, settings, seconds).
    """

    folder: Path
    assessment: Assessment
    run: Mapping[str, Any]

    def mask(self, name: str) -> LabelMap:
        """One of :data:`MASKS`, with its names from ``run.json``.

        Raises:
            ResultsError: the folder has no such mask.
        """
        from marrowscope.labelmap import LabelMap
        from marrowscope.study.nifti import read_nifti

        path = self.folder / "masks" / f"{name}.nii.gz"
        if not path.is_file():
            raise ResultsError(f"no masks/{name}.nii.gz in {self.folder.name}", "a results folder made from images")
        volume, _ = read_nifti(path)
        names = {int(k): str(v) for k, v in self.run["labels"][name].items()}
        return LabelMap(volume.with_array(volume.array.astype("uint16")), names)

    def detection(self) -> Detection | None:
        """What detection found before any edit; None where the folder keeps none (light, or without images).

        Raises:
            ResultsError: it cannot be read.
        """
        from marrowscope.assessment.detection import read_detection

        path = self.folder / DETECTION
        return read_detection(path.read_bytes()) if path.is_file() else None

    def visit(self) -> Visit:
        """This result as an earlier or later visit of a comparison.

        Raises:
            ResultsError: it was made without images.
        """
        from marrowscope.followup import Visit

        return Visit(self.assessment, self.mask("bones"), self.mask("lesions"))


def write_folder(out: Path, writers: Mapping[str, FileWriter], *, replace_existing: bool = True) -> Path:
    """Run every writer in a temporary folder beside ``out``, then put it in place in one rename.

    Args:
        out: the folder to make. A results folder already there is replaced; anything else is left alone.
        writers: part name to the function that writes it.
        replace_existing: False refuses when ``out`` exists.

    Raises:
        UsageError: ``out`` exists and is not a results folder.
    """
    check_target(out, replace_existing)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for write in writers.values():
            write(aside)
        aside.chmod(0o755)
        _swap(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return out


def check_target(out: Path, replace_existing: bool = True) -> None:
    """Whether ``out`` may be written: absent, empty, or a folder of ours.

    Raises:
        UsageError: it is something else.
    """
    if not out.exists():
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    ours = any((out / name).is_file() for name in (ASSESSMENT, INSPECTION))
    if not ours or not replace_existing:
        raise UsageError(f"{out.name} exists and is not a results folder", "a new folder name", "choose another -o")


def _swap(aside: Path, out: Path) -> None:
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
        out.rename(old / "was")
        aside.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    else:
        aside.rename(out)


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
        dicom = side.submit(_dicom_but_pdf, assessment, objects)
        writers: dict[str, FileWriter] = {
            "versions": lambda folder: _keep_versions(earlier.folder, folder) if earlier is not None else None,
            "assessment": lambda folder: write_assessment(folder, assessment),
            **report_writers(assessment, objects, also, beside=beside),
            "fhir": lambda folder: _write_fhir(folder, assessment),
            "detection": lambda folder: _write_detection(folder, assessed.objects),
            "dicom": lambda folder: _write_dicom(folder, assessment, objects, dicom.result()),
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


def _write_detection(folder: Path, objects: Objects | None) -> None:
    if objects is None:
        return
    from marrowscope.assessment.detection import detection_bytes

    (folder / DETECTION).write_bytes(detection_bytes(objects))


def _write_fhir(folder: Path, assessment: Assessment) -> None:
    from marrowscope.exchange.fhir import bundle_json

    write_text(folder, FHIR, bundle_json(assessment))


def is_dicom(objects: Objects | None) -> bool:
    """Whether the result came from a DICOM study, and so can go back as DICOM."""
    return objects is not None and objects.exam.study.kind == "dicom"


def _dicom_but_pdf(assessment: Assessment, objects: Objects | None) -> dict[str, bytes]:
    """Files of ``dicom/`` that do not wait for the report; none where the study was not DICOM."""
    if objects is None or not is_dicom(objects):
        return {}
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import KINDS, dicom_files

    masks = {"lesions": objects.lesions, "bones": objects.anatomy.bones, "regions": objects.anatomy.regions}
    source = Source.of(objects.exam.study, objects.exam.fluid)
    return dicom_files(assessment, masks, source, kinds=tuple(k for k in KINDS if k != "pdf"))


def _write_dicom(folder: Path, assessment: Assessment, objects: Objects | None, files: Mapping[str, bytes]) -> None:
    if objects is None or not files:
        return
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import dicom_files, write_dicom_folder

    source = Source.of(objects.exam.study, objects.exam.fluid)
    pdf = dicom_files(assessment, {}, source, (folder / "report.pdf").read_bytes(), ("pdf",))
    write_dicom_folder(folder, {**files, **pdf})


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
        "fhir": lambda out: _write_fhir(out, assessment),
        "dicom": lambda out: _rewrite_dicom(old, out, assessment),
        "run": lambda out: write_run(out, {k: v for k, v in old.run.items() if k != "files"}),
    }
    return write_folder(folder, writers)


def write_comparison(
    out: Path, current: Results, assessment: Assessment, beside: Mapping[str, Figure], earlier: Results | None = None
) -> Path:
    """The current visit's folder with the change in it, and the earlier visit's pictures beside its own.

    Args:
        out: where. current: the later visit. assessment: its own, with its ``change``.
        beside: pictures of both visits. earlier: the earlier visit, where it is a results folder.
    """
    from marrowscope.report.folder import read_figures, report_writers

    old = read_figures(earlier.folder) if earlier is not None else {}
    prior = {
        f"prior_{name}": replace(figure, name=f"prior_{name}", caption=f"Earlier visit: {figure.caption}")
        for name, figure in old.items()
        if name == "overview"
    }
    change = json.dumps(assessment.change, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    writers: dict[str, FileWriter] = {
        "masks": lambda folder: _copy_voxels(current.folder, folder),
        "assessment": lambda folder: write_assessment(folder, assessment),
        "change": lambda folder: write_text(folder, "change.json", change),
        **report_writers(assessment, None, (FHIR,), read_figures(current.folder), {**beside, **prior}),
        "fhir": lambda folder: _write_fhir(folder, assessment),
        "run": lambda folder: write_run(folder, {k: v for k, v in current.run.items() if k != "files"}),
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
    _keep_versions(folder, out)


def _keep_versions(folder: Path, out: Path) -> None:
    """Every earlier assessment, and the one so far as the newest of them."""
    if (folder / "versions").is_dir():
        shutil.copytree(folder / "versions", out / "versions")
    versions = out / "versions"
    versions.mkdir(exist_ok=True)
    number = 1 + len(list(versions.glob("*.json")))
    shutil.copyfile(folder / ASSESSMENT, versions / f"{number:04d}.json")


def _rewrite_dicom(old: Results, out: Path, assessment: Assessment) -> None:
    source_file = old.folder / "dicom" / "source.json"
    if not source_file.is_file():
        return
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import dicom_files, write_dicom_folder

    masks = {name: old.mask(name) for name in ("lesions", "bones", "regions")}
    source = Source.from_json(source_file.read_text(encoding="utf-8"))
    write_dicom_folder(out, dicom_files(assessment, masks, source, (out / "report.pdf").read_bytes()))


def release(folder: Path, by: str, at: str) -> Assessment:
    """Sign a result: from then on its differential, checks, report and leaflet may leave.

    Args:
        folder: a results folder. by: the clinician's name. at: ISO 8601 time.

    Returns:
        The released assessment: ``final``, or ``amended`` when it was released before.

    Raises:
        UsageError: no name. ResultsError: the folder cannot be read.
    """
    if not by.strip():
        raise UsageError("a release without a name", "the name of the clinician who signs", "give --by NAME")
    was = read_results(folder).assessment
    status = ReleaseStatus.FINAL if was.status is ReleaseStatus.PRELIMINARY else ReleaseStatus.AMENDED
    signed = replace(was, status=status, released_by=by.strip(), released_at=at)
    signed = replace(signed, impression=impression_of(signed))
    rewrite(folder, signed)
    return signed


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


def write_inspection(out: Path, study: Study, refusal: InputError) -> Path:
    """What was read and why it was refused: ``index.html`` and ``inspection.json``, no assessment."""
    from marrowscope.report.inspection import inspection_data, render_inspection

    writers: dict[str, FileWriter] = {
        "data": lambda f: write_text(f, INSPECTION, json.dumps(inspection_data(study, refusal), indent=2) + "\n"),
        "index": lambda f: write_text(f, "index.html", render_inspection(study, refusal)),
    }
    return write_folder(out, writers)


def write_text(folder: Path, name: str, text: str) -> None:
    """One UTF-8 file below ``folder``, its parents made, with plain newlines."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_assessment(folder: Path, assessment: Assessment) -> None:
    """``assessment.json``."""
    write_text(folder, ASSESSMENT, to_json(assessment))


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """``run.json``, with the SHA-256 of every other file of the folder."""
    files = {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != RUN
    }
    write_text(folder, RUN, json.dumps({**run, "files": files}, indent=2, sort_keys=True) + "\n")


def read_results(folder: Path) -> Results:
    """A results folder.

    Raises:
        ResultsError: absent, partial, or of another version.
    """
    for name in (ASSESSMENT, RUN):
        if not (folder / name).is_file():
            raise ResultsError(
                f"no {name} in {folder.name}", "a folder written by marrowscope", "assess the study again"
            )
    assessment = from_json((folder / ASSESSMENT).read_text(encoding="utf-8"))
    return Results(folder, assessment, json.loads((folder / RUN).read_text(encoding="utf-8")))
