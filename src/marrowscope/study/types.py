"""What a study is once read: typed series with roles and reasons. Plain data, no reading here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.measurement import QcCheck, Severity
from marrowscope.volume import AnyArray, FloatArray, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class Role(StrEnum):
    """What a series can be used for."""

    FLUID = "fluid"
    T1 = "t1"
    T1_CONTRAST_FS = "t1_contrast_fs"
    T2_NOFS = "t2_nofs"
    FLUID_GRE = "fluid_gre"
    IN_PHASE = "in_phase"
    OPPOSED_PHASE = "opposed_phase"
    FAT = "fat"
    WATER = "water"
    ADC = "adc"
    MAP = "map"
    CT_LOW_KV = "ct_low_kv"
    CT_HIGH_KV = "ct_high_kv"
    CT = "ct"
    RADIOGRAPH = "radiograph"
    OTHER = "other"


class SequenceClass(StrEnum):
    """Contrast class. Thresholds are kept apart by class, and visits are compared within one."""

    STIR = "stir"
    T2_FS = "t2_fs"
    PD_FS = "pd_fs"
    DIXON_WATER = "dixon_water"
    T1 = "t1"
    T1_FS = "t1_fs"
    T2 = "t2"
    PD = "pd"
    GRE = "gre"
    DWI = "dwi"
    OTHER = "other"
    UNKNOWN = "unknown"


class FatSuppression(StrEnum):
    """How the scanner took the fat signal away, by its header or the series' words."""

    INVERSION = "inversion"
    SPECTRAL = "spectral"
    WATER_EXCITATION = "water_excitation"
    DIXON = "dixon"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reason:
    """Why something was decided: a stable code and a sentence a user can read."""

    code: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """Plain data."""
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True)
class Sequence:
    """The acquisition's physics as its header states it; None where it does not.

    Attributes:
        tr_ms, te_ms, ti_ms: repetition, echo and inversion time in ms.
        flip_deg: excitation flip angle in degrees.
        field_t: field strength in tesla.
        bandwidth_hz_px: readout bandwidth in Hz a pixel.
        phase_axis: the volume's index axis along which phase was encoded.
        echo_train: echoes an excitation.
        averages: number of signals averaged.
        slice_thickness_mm: nominal slice thickness.
        b_value: diffusion weighting in s/mm2.
        kvp: tube voltage in kV (CT, radiograph).
        hounsfield: whether CT values are in Hounsfield units; None for other modalities.
        fat_suppression: how fat was suppressed.
        contrast_agent: True when the header or the words say one was given before this series,
            False when the header says none was, None when nothing is said.
        acquisition: ``2D`` or ``3D``.
        scanning_sequence, sequence_variant, scan_options, image_type: DICOM's own words.
        sequence_name, manufacturer, model, coil, body_part: the header's text.
    """

    modality: str = ""
    tr_ms: float | None = None
    te_ms: float | None = None
    ti_ms: float | None = None
    flip_deg: float | None = None
    field_t: float | None = None
    bandwidth_hz_px: float | None = None
    phase_axis: int | None = None
    echo_train: int | None = None
    averages: float | None = None
    slice_thickness_mm: float | None = None
    b_value: float | None = None
    kvp: float | None = None
    hounsfield: bool | None = None
    fat_suppression: FatSuppression = FatSuppression.UNKNOWN
    contrast_agent: bool | None = None
    acquisition: str | None = None
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    sequence_name: str = ""
    manufacturer: str = ""
    model: str = ""
    coil: str = ""
    body_part: str = ""


@dataclass(frozen=True)
class SourceFrame:
    """The DICOM frame one slice came from.

    Attributes:
        frame_number: 1-based frame of a multi-frame instance, None for a single-frame one.
        file: path inside the study folder or archive.
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    file: str


@dataclass(frozen=True)
class SourceFrames:
    """Where a DICOM series' slices came from, in the volume's k order."""

    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    frames: tuple[SourceFrame, ...]


SCANNER, ALIGNED = 1, 2
"""NIfTI codes of the scanner's coordinates (NIFTI_XFORM_SCANNER_ANAT), and of those aligned to another file's."""


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """The NIfTI file a series came from, so that masks keep its shape, axis order and affine.

    Attributes:
        path: the file read.
        affine_ras: the file's own 4x4 index-to-RAS affine.
        header: the file's nibabel header (copy it, set the dtype, write the mask).
    """

    path: Path
    affine_ras: FloatArray
    header: Any = field(repr=False)

    def shares_frame(self, other: NiftiSource) -> bool:
        """Whether both files lie in the scanner's frame: both say so (code 1), or one does and the other is aligned.

        A tool that saves a file anew writes "aligned" (code 2, nibabel does). Two files that are aligned are not taken
        to be so to each other: a place made up for an array without one has that code too.
        """
        codes = [{int(s.header["sform_code"]), int(s.header["qform_code"])} for s in (self, other)]
        return all(c & {SCANNER, ALIGNED} for c in codes) and any(SCANNER in c for c in codes)


@dataclass(frozen=True, eq=False)
class Series:
    """One volume of a study, with what it is for and why.

    Attributes:
        uid: unique inside the study; a DICOM series split in parts has one uid a part.
        number: DICOM series number, None for NIfTI.
        description: the series' own words. May hold anything a person typed: escape it before showing it.
        role, sequence_class: what it is for, and its contrast class.
        reasons: why this role, and every split or repair made on the way.
        sequence: the acquisition's physics.
        volume: (i = column, j = row, k = slice) for DICOM; the file's own axes for NIfTI.
        source: where the voxels came from.
        qc: quality checks on header and pixels.
        left_out: bool, the volume's shape: voxels not to be sized on (a metal void and its margin); None for none.
    """

    uid: str
    number: int | None
    description: str
    role: Role
    sequence_class: SequenceClass
    reasons: tuple[Reason, ...]
    sequence: Sequence
    volume: Volume
    source: SourceFrames | NiftiSource | None = None
    qc: tuple[QcCheck, ...] = ()
    left_out: AnyArray | None = field(default=None, repr=False)

    @property
    def plane(self) -> str:
        """``axial``, ``coronal``, ``sagittal`` or ``oblique``."""
        return self.volume.plane

    @property
    def refused(self) -> tuple[QcCheck, ...]:
        """The checks that forbid sizing lesions on this series."""
        return tuple(check for check in self.qc if check.severity is Severity.REFUSE)

    @property
    def usable(self) -> bool:
        """Whether no quality check refuses this series."""
        return not self.refused

    def check(self, code: str) -> QcCheck | None:
        """The quality check of that code, or None where it was not made."""
        return next((check for check in self.qc if check.code == code), None)


@dataclass(frozen=True)
class Radiograph:
    """A radiograph of the study: shown to a reader as evidence of another kind, never measured as a volume.

    Attributes:
        number: DICOM series number.
        description: the series' own words, escaped before they are shown.
        body_part, view, laterality: as the header says; "" where it does not.
        rows, columns: size in pixels.
        source: the instance and its file.
        picture: small 8-bit grey picture, shape (rows, columns), air black; None without one.
        no_picture: why there is none.
    """

    number: int | None
    description: str
    body_part: str
    view: str
    laterality: str
    rows: int
    columns: int
    source: SourceFrame
    picture: AnyArray | None = field(default=None, repr=False, compare=False)
    no_picture: str = ""

    @property
    def role(self) -> Role:
        """Always ``radiograph``."""
        return Role.RADIOGRAPH


@dataclass(frozen=True)
class Refusal:
    """Something in the input that was not used, and why.

    Attributes:
        what: file, archive member or series, without any patient name.
        code: stable machine name of the reason.
        reason: what was found, what was expected.
        count: how many files this refusal stands for.
    """

    what: str
    code: str
    reason: str
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"what": self.what, "code": self.code, "reason": self.reason, "count": self.count}


@dataclass(frozen=True)
class Guess:
    """A value read off the study with its reasons; None when the study does not tell, so ask.

    Attributes:
        value: the site or side, or None when unsure.
        reasons: the evidence, for and against.
        candidates: what it might be, most likely first, when unsure.
    """

    value: str | None
    reasons: tuple[Reason, ...] = ()
    candidates: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "value": self.value,
            "reasons": [r.to_dict() for r in self.reasons],
            "candidates": list(self.candidates),
        }


@dataclass(frozen=True)
class PatientFacts:
    """What reasoning needs of the patient, and nothing that names one.

    Attributes:
        age_years: at the study date, None where not told.
        sex: ``F``, ``M``, ``O`` or None.
    """

    age_years: float | None = None
    sex: str | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """A study as read: its series, what was refused, and what it tells about patient and site.

    Attributes:
        kind: ``dicom`` or ``nifti``.
        series: usable volumes, in series-number order.
        refusals: files and series not used, each with its reason.
        radiographs: radiographs found beside the series.
        patient: age and sex.
        site, side: guesses with reasons; None values are to be asked for.
        study_date: YYYY-MM-DD, None where not told.
        dicom_header: one instance's data set without pixels, for copying patient and study attributes into
            DICOM results exactly. Holds names: never log it, never show it.
        input_hash: sha256 over the sorted sha256 of every pixel-bearing file used.
        file_hashes: those hashes, sorted.
    """

    kind: str
    series: tuple[Series, ...]
    refusals: tuple[Refusal, ...] = ()
    patient: PatientFacts = PatientFacts()
    site: Guess = Guess(None)
    side: Guess = Guess(None)
    study_date: str | None = None
    dicom_header: Dataset | None = field(default=None, repr=False)
    file_hashes: tuple[str, ...] = ()
    input_hash: str = ""
    radiographs: tuple[Radiograph, ...] = ()

    def with_role(self, role: Role) -> tuple[Series, ...]:
        """The series of a role, best first (see :func:`marrowscope.study.choose.rank`)."""
        from marrowscope.study.choose import rank

        return rank(tuple(s for s in self.series if s.role is role))

    @property
    def fluid(self) -> Series | None:
        """The fluid series lesions are sized on: the first usable candidate, or None."""
        return next((s for s in self.with_role(Role.FLUID) if s.usable), None)
