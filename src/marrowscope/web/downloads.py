"""What can be downloaded of a version, and how each file comes about."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.web.desk import HEAVY
from marrowscope.web.records import NotFoundError

if TYPE_CHECKING:
    from marrowscope.web.desk import Desk


@dataclass(frozen=True)
class Download:
    """One kind of file.

    Attributes:
        label: on the button. source: file or folder of the results folder. name: what it is called.
        needs_images: only for studies with images. needs_signature: leaves only after release.
    """

    label: str
    source: str
    name: str = ""
    needs_images: bool = False
    needs_signature: bool = False


DOWNLOADS = {
    "pdf": Download("Report (PDF)", "report.pdf", "report.pdf"),
    "seg": Download("Segmentation (DICOM SEG)", "dicom/seg.dcm", "seg.dcm", needs_images=True),
    "sr": Download("Structured report (DICOM SR)", "dicom/sr.dcm", "sr.dcm", needs_images=True),
    "fhir": Download("FHIR bundle (JSON)", "fhir/bundle.json", "fhir.json", needs_signature=True),
    "csv": Download("Measurements (CSV)", "measurements.csv", "measurements.csv"),
    "json": Download("Assessment (JSON)", "assessment.json", "assessment.json"),
    "text": Download("Impression (text)", "impression.txt", "impression.txt"),
    "folder": Download("Everything (zip)", "", "results.zip"),
}

ABSENT = {
    "seg": "a study that came as DICOM",
    "sr": "a study that came as DICOM",
    "fhir": "a version whose results folder holds a FHIR bundle",
}
"""What a missing part would have needed."""


def offered(with_images: bool) -> list[tuple[str, Download]]:
    """The downloads that make sense."""
    return [(key, d) for key, d in DOWNLOADS.items() if with_images or not d.needs_images]


def build_download(desk: Desk, study_id: str, number: int, what: str) -> Path:
    """The file, rendered now if it was not yet.

    Raises:
        Refused: rendering refused. NotFoundError: this version has no such part.
    """
    folder = desk.results_folder(study_id, number)
    if what == "folder":
        return _zipped(folder)
    path = folder / DOWNLOADS[what].source
    if what == "fhir" and not path.is_file():
        payload = {"study": study_id, "revision": number}
        desk.wait(desk.enqueue("export", payload, f"{study_id}-{number}-fhir", HEAVY, priority=5))
    if not path.is_file():
        raise NotFoundError(f"no {DOWNLOADS[what].label} in this version", ABSENT.get(what, "a version that has it"))
    return path


def _zipped(folder: Path) -> Path:
    """The results folder as one archive beside it, made once."""
    target = folder.with_suffix(".zip")
    if not target.is_file():
        aside = folder.with_suffix(".zip.part")
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                archive.write(path, path.relative_to(folder))
        aside.rename(target)
    return target
