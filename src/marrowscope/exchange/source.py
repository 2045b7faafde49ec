"""What results refer to in DICOM: the fluid series' instances, and the patient and study they belong to.

Kept as ``dicom/source.json`` (DICOM JSON model) in the results folder, so that objects can be written again after an
edit without the study at hand. Holds the patient's identity, as every DICOM object does: never logged, never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydicom.dataset import Dataset

from marrowscope.errors import ExchangeError
from marrowscope.exchange.uids import derived_uid
from marrowscope.study.types import Series, SourceFrame, SourceFrames, Study
from marrowscope.volume import Volume

COPIED_GROUPS = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "OtherPatientIDsSequence",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "SpecificCharacterSet",
    "Modality",
    "Laterality",
    "BodyPartExamined",
    "PositionReferenceIndicator",
)
"""Patient and study attributes copied exactly from the source (PS3.3 C.7.1, C.7.2)."""

REQUIRED_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2 attributes: present in every object, empty when the source does not state them."""

_AGE = re.compile(r"\d{3}[DWMY]")

MULTI_FRAME = frozenset({"1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.2.1"})
"""Enhanced MR and enhanced CT image storage."""


@dataclass(frozen=True, eq=False)
class Source:
    """The series that results refer to.

    Attributes:
        header: patient and study attributes. frames: one a slice, in the volume's order.
        grid: geometry of the volume (i = column, j = row, k = slice); its array is never used.
    """

    header: Dataset
    frames: SourceFrames
    grid: Volume

    @classmethod
    def of(cls, study: Study, series: Series) -> Self:
        """The source behind an assessed series.

        Raises:
            ExchangeError: the study was not DICOM.
        """
        if study.dicom_header is None or not isinstance(series.source, SourceFrames):
            raise ExchangeError("a study that was not DICOM", "a DICOM study", "assess the DICOM files instead")
        header = Dataset()
        for keyword in COPIED_GROUPS:
            if keyword in study.dicom_header:
                header.add(study.dicom_header[keyword])
        if "PatientAge" in header and not _AGE.fullmatch(str(header.PatientAge or "")):
            del header.PatientAge  # an age string that breaks its VR would make every object invalid
        return cls(header, _with_frame_of_reference(series.source), series.volume)

    @property
    def multi_frame(self) -> bool:
        """Whether the slices are frames of one enhanced instance."""
        return self.frames.frames[0].sop_class_uid in MULTI_FRAME

    def datasets(self) -> list[Dataset]:
        """Source images as data sets without pixels: one a slice, or one multi-frame instance."""
        slices = range(len(self.frames.frames))
        return [self._enhanced()] if self.multi_frame else [self._classic(k) for k in slices]

    def position(self, k: int) -> list[float]:
        """ImagePositionPatient of slice k, LPS mm, at most 16 characters a number."""
        return [float(f"{x:.9g}") for x in self.grid.to_world((0, 0, k))]

    @property
    def orientation(self) -> list[float]:
        """ImageOrientationPatient: along a row (i), then along a column (j)."""
        d = self.grid.directions
        return [float(f"{x:.9g}") for x in (*d[:, 0], *d[:, 1])]

    @property
    def pixel_spacing(self) -> list[float]:
        """Between rows (j), then between columns (i), mm."""
        return [float(f"{x:.9g}") for x in (self.grid.spacing[1], self.grid.spacing[0])]

    def patient_and_study(self) -> Dataset:
        """Patient and study attributes, copied exactly; those every object must have are empty where unknown."""
        ds = Dataset()
        ds.update(self.header)
        for keyword in REQUIRED_EMPTY:
            if keyword not in ds:
                setattr(ds, keyword, "")
        ds.StudyInstanceUID = self.frames.study_instance_uid
        return ds

    def _base(self, frame: SourceFrame) -> Dataset:
        ds = self.patient_and_study()
        ds.SeriesInstanceUID = self.frames.series_instance_uid
        ds.FrameOfReferenceUID = self.frames.frame_of_reference_uid
        ds.SOPClassUID, ds.SOPInstanceUID = frame.sop_class_uid, frame.sop_instance_uid
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Columns, ds.Rows = self.grid.shape[0], self.grid.shape[1]
        return ds

    def _classic(self, k: int) -> Dataset:
        ds = self._base(self.frames.frames[k])
        ds.ImagePositionPatient = self.position(k)
        ds.ImageOrientationPatient = self.orientation
        ds.PixelSpacing = self.pixel_spacing
        ds.SliceThickness = float(f"{self.grid.spacing[2]:.9g}")
        return ds

    def _enhanced(self) -> Dataset:
        ds = self._base(self.frames.frames[0])
        measures, orientation = Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = self.pixel_spacing, float(f"{self.grid.spacing[2]:.9g}")
        orientation.ImageOrientationPatient = self.orientation
        shared = Dataset()
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
        ds.SharedFunctionalGroupsSequence = [shared]
        per_frame = []
        for k in range(len(self.frames.frames)):
            plane, group = Dataset(), Dataset()
            plane.ImagePositionPatient = self.position(k)
            group.PlanePositionSequence = [plane]
            per_frame.append(group)
        ds.PerFrameFunctionalGroupsSequence = per_frame
        ds.NumberOfFrames = len(per_frame)
        return ds

    def to_json(self) -> str:
        """``dicom/source.json``."""
        f = self.frames
        data = {
            "header": self.header.to_json_dict(),
            "study_instance_uid": f.study_instance_uid,
            "series_instance_uid": f.series_instance_uid,
            "frame_of_reference_uid": f.frame_of_reference_uid,
            "frames": [[x.sop_class_uid, x.sop_instance_uid, x.frame_number] for x in f.frames],
            "affine": self.grid.affine.tolist(),
            "shape": list(self.grid.shape),
        }
        return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            ExchangeError: the text is not one that :meth:`to_json` wrote.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            frames = tuple(SourceFrame(c, i, n, "") for c, i, n in data["frames"])
            uids = (data["study_instance_uid"], data["series_instance_uid"], data["frame_of_reference_uid"])
            grid = Volume(np.zeros(data["shape"], dtype=np.uint8), np.array(data["affine"]))
            return cls(Dataset.from_json(data["header"]), SourceFrames(*uids, frames), grid)
        except (KeyError, ValueError, TypeError) as error:
            raise ExchangeError("dicom/source.json cannot be read", "a file written by marrowscope") from error


def _with_frame_of_reference(frames: SourceFrames) -> SourceFrames:
    """A de-identified source may lack its frame of reference, which results must name: derive one from its series."""
    if frames.frame_of_reference_uid:
        return frames
    return replace(frames, frame_of_reference_uid=derived_uid("frame of reference", frames.series_instance_uid))


def frame_numbers(frames: Sequence[SourceFrame]) -> list[int]:
    """Frame number of each slice in its instance (1 for single-frame ones)."""
    return [f.frame_number or 1 for f in frames]
