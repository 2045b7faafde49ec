"""Which files of a results folder are renderings, and who writes each. The folder itself is ``results``' business."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.assessment.types import Assessment
from marrowscope.report.build import report_view
from marrowscope.report.html import render_index
from marrowscope.report.leaflet import has_leaflet, patient_page
from marrowscope.report.pdf import render_pdf
from marrowscope.report.tables import measurements_csv
from marrowscope.report.view import ReportView

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects
    from marrowscope.report.figures import Figure

FileWriter = Callable[[Path], None]
"""Writes one part of the folder below the given directory."""

CAPTIONS = "figures/captions.json"
"""What each picture shows, in words."""

FILE_WORDS = {
    "report.pdf": "the same report on paper (PDF/A)",
    "impression.txt": "the impression, to paste",
    "patient.html": "for the patient, in plain words (draft until released)",
    "measurements.csv": "every measurement, one a row",
    "assessment.json": "everything above as data",
    "masks": "bones, regions, lesions and reference marrow as NIfTI on the fluid series' grid",
    "figures": "the pictures above as PNG",
    "dicom": "segmentation, structured report and more for the PACS",
    "fhir/bundle.json": "the result as FHIR R4B",
    "detection.npz": "what was found before any correction, so that a correction need not search again",
    "run.json": "versions, settings, file hashes, seconds",
}
"""What ``index.html`` says of each file it links."""


def report_writers(
    assessment: Assessment,
    objects: Objects | None,
    also: tuple[str, ...] = (),
    drawn: Mapping[str, Figure] | None = None,
    beside: Mapping[str, Figure] | None = None,
) -> dict[str, FileWriter]:
    """Writers of every rendered part, by part name. Pictures are drawn here, once; files are written when called.

    Args:
        assessment: what is reported.
        objects: the objects it was concluded from, edits applied; None for an intake alone.
        drawn: pictures already drawn, when the folder is written again without the images at hand.
        beside: further pictures, of an earlier visit; the line over all visits is added by itself.
        also: further parts of the folder that others write, as named in :data:`FILE_WORDS`, to be linked.
    """
    view = report_view(assessment)
    figures = {
        **(_drawn(assessment, objects) if drawn is None else drawn),
        **(beside or {}),
        **_course(assessment),
    }
    own = ("report.pdf", "impression.txt", "measurements.csv", "assessment.json", "run.json")
    told = ("patient.html",) if has_leaflet(assessment) else ()
    present = {*own, *told, *also, *(("masks", "figures") if objects is not None or figures else ())}
    files = [(name, words) for name, words in FILE_WORDS.items() if name in present]
    writers: dict[str, FileWriter] = {
        "figures": lambda folder: _write_figures(folder, figures),
        "index": lambda folder: _write(folder, "index.html", render_index(view, figures, files)),
        "pdf": lambda folder: _write_pdf(folder, view, figures, assessment),
        "impression": lambda folder: _write(folder, "impression.txt", assessment.impression + "\n"),
        "measurements": lambda folder: _write(folder, "measurements.csv", measurements_csv(assessment)),
    }
    if told:
        writers["leaflet"] = lambda folder: _write(folder, "patient.html", patient_page(assessment))
    if objects is not None:
        writers["masks"] = lambda folder: _write_masks(folder, objects)
    return writers


def light_writers(assessment: Assessment, objects: Objects) -> dict[str, FileWriter]:
    """Writers of what a large cohort needs and no more: impression, measurements, masks, pictures of one lesion."""
    from marrowscope.report.figures import make_figures

    figures = make_figures(assessment, objects, most=1)
    return {
        "figures": lambda folder: _write_figures(folder, figures),
        "impression": lambda folder: _write(folder, "impression.txt", assessment.impression + "\n"),
        "measurements": lambda folder: _write(folder, "measurements.csv", measurements_csv(assessment)),
        "masks": lambda folder: _write_masks(folder, objects),
    }


def _drawn(assessment: Assessment, objects: Objects | None) -> Mapping[str, Figure]:
    if objects is None:
        return {}
    from marrowscope.report.figures import make_figures

    return make_figures(assessment, objects)


def _course(assessment: Assessment) -> Mapping[str, Figure]:
    if not assessment.change:
        return {}
    from marrowscope.report.course import course_figure

    return course_figure(assessment.change)


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _write_pdf(folder: Path, view: ReportView, figures: Mapping[str, Figure], assessment: Assessment) -> None:
    date = assessment.released_at or assessment.provenance.study_date
    (folder / "report.pdf").write_bytes(render_pdf(view, figures, date))


def _write_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    if figures:
        (folder / "figures").mkdir(exist_ok=True)
    for name, figure in figures.items():
        (folder / "figures" / f"{name}.png").write_bytes(figure.png)
    if figures:
        captions = {name: figure.caption for name, figure in figures.items()}
        _write(folder, CAPTIONS, json.dumps(captions, indent=1, ensure_ascii=False) + "\n")


def read_figures(folder: Path) -> dict[str, Figure]:
    """The pictures of a results folder, in the order they were drawn; none when it has none."""
    from PIL import Image

    from marrowscope.report.figures import Figure

    listing = folder / CAPTIONS
    if not listing.is_file():
        return {}
    found = {}
    for name, caption in json.loads(listing.read_text(encoding="utf-8")).items():
        path = folder / "figures" / f"{name}.png"
        with Image.open(path) as picture:
            found[name] = Figure(name, path.read_bytes(), picture.width, picture.height, caption)
    return found


def _write_masks(folder: Path, objects: Objects) -> None:
    from marrowscope.report.masks import label_maps, write_masks

    write_masks(folder, label_maps(objects), objects.exam.fluid)
