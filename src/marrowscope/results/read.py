"""The one reader of results folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.assessment import Assessment, from_json
from marrowscope.errors import ResultsError
from marrowscope.results.aside import clear_leftovers
from marrowscope.results.folder import ASSESSMENT, DETECTION, RUN

if TYPE_CHECKING:
    from marrowscope.assessment.detection import Detection
    from marrowscope.followup import Visit
    from marrowscope.followup.person import Person
    from marrowscope.labelmap import LabelMap

SOURCE = "dicom/source.json"
"""Attributes of the DICOM source that results refer to (see ``marrowscope.exchange.source``)."""

MASKS = ("bones", "regions", "lesions", "reference")
"""Label maps of ``masks/``, each on the fluid input's own grid, axis order and affine."""


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

        return Visit(self.assessment, self.mask("bones"), self.mask("lesions"), person=self._person())

    def _person(self) -> Person:
        """The patient by the attributes that ``dicom/`` holds; nobody known where the folder has none."""
        from marrowscope.exchange.source import Source
        from marrowscope.followup.person import Person

        source = self.folder / SOURCE
        return Person.of(Source.from_json(source.read_text(encoding="utf-8")).header) if source.is_file() else Person()


def holds_results(folder: Path) -> bool:
    """Whether that is a results folder of an assessment; one that a killed run had just taken away is put back."""
    if not folder.exists():
        clear_leftovers(folder)
    return (folder / ASSESSMENT).is_file()


def read_results(folder: Path) -> Results:
    """A results folder; one that a killed run had just taken away is put back first.

    Raises:
        ResultsError: absent, partial, or of another version.
    """
    holds_results(folder)
    for name in (ASSESSMENT, RUN):
        if not (folder / name).is_file():
            raise ResultsError(
                f"no {name} in {folder.name}", "a folder written by marrowscope", "assess the study again"
            )
    assessment = from_json((folder / ASSESSMENT).read_text(encoding="utf-8"))
    return Results(folder, assessment, _run_of(folder))


def _run_of(folder: Path) -> Mapping[str, Any]:
    """``run.json``.

    Raises:
        ResultsError: it is damaged.
    """
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except ValueError:  # no JSON, or no UTF-8
        run = None
    if not isinstance(run, dict) or not isinstance(run.get("labels"), dict):
        raise ResultsError(f"{RUN} cannot be read", "a whole results folder", "assess the study again")
    return run
