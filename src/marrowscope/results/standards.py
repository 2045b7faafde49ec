"""The parts of a results folder that other software reads: ``fhir/`` and ``dicom/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.assessment import Assessment
from marrowscope.results.folder import FHIR, write_text
from marrowscope.results.read import Results

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects


def write_fhir(folder: Path, assessment: Assessment) -> None:
    """``fhir/bundle.json``."""
    from marrowscope.exchange.fhir import bundle_json

    write_text(folder, FHIR, bundle_json(assessment))


def is_dicom(objects: Objects | None) -> bool:
    """Whether the result came from a DICOM study, and so can go back as DICOM."""
    return objects is not None and objects.exam.study.kind == "dicom"


def dicom_but_pdf(assessment: Assessment, objects: Objects | None) -> dict[str, bytes]:
    """Files of ``dicom/`` that do not wait for the report; none where the study was not DICOM."""
    if objects is None or not is_dicom(objects):
        return {}
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import KINDS, dicom_files

    masks = {"lesions": objects.lesions, "bones": objects.anatomy.bones, "regions": objects.anatomy.regions}
    source = Source.of(objects.exam.study, objects.exam.fluid)
    return dicom_files(assessment, masks, source, kinds=tuple(k for k in KINDS if k != "pdf"))


def write_dicom(folder: Path, assessment: Assessment, objects: Objects | None, files: Mapping[str, bytes]) -> None:
    """``dicom/``: the files at hand and the report as encapsulated PDF; nothing where the study was not DICOM."""
    if objects is None or not files:
        return
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import dicom_files, write_dicom_folder

    source = Source.of(objects.exam.study, objects.exam.fluid)
    pdf = dicom_files(assessment, {}, source, (folder / "report.pdf").read_bytes(), ("pdf",))
    write_dicom_folder(folder, {**files, **pdf})


def rewrite_dicom(old: Results, out: Path, assessment: Assessment) -> None:
    """``dicom/`` of a folder written again, from the attributes of the source kept in ``dicom/source.json``."""
    source_file = old.folder / "dicom" / "source.json"
    if not source_file.is_file():
        return
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import dicom_files, write_dicom_folder

    masks = {name: old.mask(name) for name in ("lesions", "bones", "regions")}
    source = Source.from_json(source_file.read_text(encoding="utf-8"))
    write_dicom_folder(out, dicom_files(assessment, masks, source, (out / "report.pdf").read_bytes()))
