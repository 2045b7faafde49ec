"""Every DICOM object of one result, written below ``dicom/``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.errors import UsageError
from marrowscope.exchange.dicom_pdf import write_pdf
from marrowscope.exchange.dicom_seg import write_seg
from marrowscope.exchange.dicom_sr import write_sr
from marrowscope.exchange.key_objects import write_key_objects
from marrowscope.exchange.presentation import write_presentation
from marrowscope.exchange.quiet import quiet
from marrowscope.exchange.source import Source

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from marrowscope.assessment import Assessment
    from marrowscope.labelmap import LabelMap

KINDS = ("seg", "sr", "pdf", "ko", "pr")
"""DICOM objects a result can be written as."""

SOURCE_FILE = "source.json"


def dicom_objects(
    assessment: Assessment,
    masks: Mapping[str, LabelMap],
    source: Source,
    pdf: bytes | None = None,
    kinds: tuple[str, ...] = KINDS,
) -> dict[str, Dataset]:
    """The objects asked for, by kind; one that would be empty (no lesion to show) is left out.

    Args:
        assessment: the result. masks: ``bones``, ``regions`` and ``lesions`` on the source grid.
        source: what the objects refer to. pdf: bytes of ``report.pdf``, for kind ``pdf``. kinds: of :data:`KINDS`.

    Raises:
        UsageError: an unknown kind.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UsageError(f"kinds {', '.join(unknown)}", f"of {', '.join(KINDS)}")
    made: dict[str, Dataset | None] = {}
    with quiet():
        if {"seg", "sr"} & set(kinds):
            seg = write_seg(assessment, masks, source)  # the SR names its segments
            made |= {"seg": seg, "sr": write_sr(assessment, source, seg)}
        if pdf is not None:
            made["pdf"] = write_pdf(assessment, source, pdf)
        if "ko" in kinds:
            made["ko"] = write_key_objects(assessment, source)
        if "pr" in kinds:
            made["pr"] = write_presentation(assessment, masks["lesions"], source)
    return {kind: ds for kind, ds in made.items() if ds is not None and kind in kinds}


def dicom_files(
    assessment: Assessment,
    masks: Mapping[str, LabelMap],
    source: Source,
    pdf: bytes | None = None,
    kinds: tuple[str, ...] = KINDS,
) -> dict[str, bytes]:
    """The objects asked for as files, by file name, and what they refer to. Arguments as :func:`dicom_objects`."""
    files = {SOURCE_FILE: source.to_json().encode()}
    with quiet():
        for kind, ds in dicom_objects(assessment, masks, source, pdf, kinds).items():
            buffer = io.BytesIO()
            ds.save_as(buffer, enforce_file_format=True)
            files[f"{kind}.dcm"] = buffer.getvalue()
    return files


def write_dicom_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """``dicom/`` below ``folder``: one file a kind, and what they refer to."""
    out = folder / "dicom"
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
