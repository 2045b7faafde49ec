"""The acquisition's physics out of a header, in one vocabulary for classic and enhanced objects."""

from __future__ import annotations

from typing import Final

from marrowscope.study.frames import Frame, frame_header
from marrowscope.study.header import Header
from marrowscope.study.roles import limit
from marrowscope.study.types import FatSuppression, Sequence
from marrowscope.study.words import meanings

_FAT_SATURATION_OPTIONS: Final = frozenset(
    ("FS", "FATSAT", "FAT_SAT", "FATSAT_GEMS", "SPIR", "SPAIR", "CHESS", "FAT SAT")
)
_PHILIPS_SPIR: Final = (0x2001, 0x1021)
_WATER_EXCITATION_OPTIONS: Final = frozenset(("WE", "WATER_EXC", "PROSET", "SS_WE"))
_NO_AGENT: Final = frozenset(("", "NONE", "NO", "N", "-", "0", "NO CONTRAST", "OHNE", "SANS", "UNKNOWN"))
_DIXON_TYPES: Final = frozenset(
    ("WATER", "FAT", "IN_PHASE", "OUT_PHASE", "OPP_PHASE", "DIXON", "W", "F", "IP", "OP", "INPHASE", "OUTPHASE")
)


def sequence_of(frame: Frame) -> Sequence:
    """The physics of a frame's acquisition; None for what its header does not say."""
    header = frame_header(frame)
    scanning = _enhanced_scanning(header) or header.words("ScanningSequence")
    return Sequence(
        modality=frame.modality,
        tr_ms=header.number("RepetitionTime"),
        te_ms=frame.echo_time_ms,
        ti_ms=_positive(frame.inversion_time_ms),
        flip_deg=header.number("FlipAngle"),
        field_t=_field_t(header),
        bandwidth_hz_px=header.number("PixelBandwidth"),
        phase_axis=_phase_axis(header),
        echo_train=header.integer("EchoTrainLength") or header.integer("RFEchoTrainLength"),
        averages=header.number("NumberOfAverages"),
        slice_thickness_mm=frame.thickness_mm,
        b_value=frame.b_value,
        kvp=frame.kvp,
        hounsfield=_hounsfield(header, frame),
        fat_suppression=fat_suppression_of(
            header, description_of(header), frame.kind, _positive(frame.inversion_time_ms), scanning
        ),
        contrast_agent=_agent(header),
        acquisition=header.text("MRAcquisitionType").upper() or None,
        scanning_sequence=scanning,
        sequence_variant=header.words("SequenceVariant"),
        scan_options=header.words("ScanOptions"),
        image_type=frame.kind,
        sequence_name=header.text("SequenceName") or header.text("PulseSequenceName"),
        manufacturer=header.text("Manufacturer"),
        model=header.text("ManufacturerModelName"),
        coil=header.text("ReceiveCoilName"),
        body_part=header.text("BodyPartExamined").upper(),
    )


def description_of(header: Header) -> str:
    """Everything a technologist typed about a series, for the word lists."""
    parts = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    return " ".join(text for key in parts if (text := header.text(key)))


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _enhanced_scanning(header: Header) -> tuple[str, ...]:
    """SE, GR, IR, EP from the enhanced object's attributes."""
    echo = header.text("EchoPulseSequence").upper()
    words = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}.get(echo, ())
    inversion = ("IR",) if header.text("InversionRecovery").upper() == "YES" else ()
    planar = ("EP",) if header.text("EchoPlanarPulseSequence").upper() == "YES" else ()
    return (*words, *inversion, *planar)


def _field_t(header: Header) -> float | None:
    """Field strength in tesla; some writers store gauss."""
    field = _positive(header.number("MagneticFieldStrength"))
    return field / 10_000 if field is not None and field > 100 else field


def _hounsfield(header: Header, frame: Frame) -> bool | None:
    """Whether CT values are in Hounsfield units after the rescale; None for other modalities."""
    if frame.modality != "CT":
        return None
    units = header.text("RescaleType").upper()
    return units in ("HU", "HU_MOD") if units else "RescaleIntercept" in header


def _phase_axis(header: Header) -> int | None:
    """Index axis of phase encoding: ROW means along a row (i), COL along a column (j)."""
    words = header.text("InPlanePhaseEncodingDirection").upper()
    return {"ROW": 0, "COL": 1, "COLUMN": 1}.get(words)


def fat_suppression_of(
    header: Header, described: str, kind: tuple[str, ...], ti: float | None, scanning: tuple[str, ...]
) -> FatSuppression:
    """How fat was suppressed: inversion time (ms), then the header's options, then the words.

    Args:
        header: the acquisition's. described: what it is called. kind: image type. scanning: SE, GR, IR, EP.
    """
    options, words = set(header.words("ScanOptions")), meanings(described)
    suppressed = header.text("SpectrallySelectedSuppression").upper()
    spir = header.text(_PHILIPS_SPIR).upper() in ("Y", "YES")
    excited = header.text("SpectrallySelectedExcitation").upper()
    nulls_fat = ti is not None and limit("stir_ti_ms", "low") <= ti <= limit("stir_ti_ms", "high")
    named_stir = (
        ("stir" in words or header.text("AcquisitionContrast").upper() == "STIR")
        and "GR" not in scanning
        and (ti is None or "IR" in scanning)
    )
    said_none = suppressed == "NONE" or "ScanOptions" in header or "SpectrallySelectedExcitation" in header
    evidence = (
        (nulls_fat, FatSuppression.INVERSION),
        (bool(_DIXON_TYPES & set(kind)), FatSuppression.DIXON),
        ("FAT" in suppressed or spir or bool(_FAT_SATURATION_OPTIONS & options), FatSuppression.SPECTRAL),
        (excited == "WATER" or bool(_WATER_EXCITATION_OPTIONS & options), FatSuppression.WATER_EXCITATION),
        (named_stir, FatSuppression.INVERSION),
        ("fat_suppressed" in words, FatSuppression.SPECTRAL),
        ("water_excitation" in words, FatSuppression.WATER_EXCITATION),
        (said_none, FatSuppression.NONE),
    )
    return next((how for true, how in evidence if true), FatSuppression.UNKNOWN)


def _agent(header: Header) -> bool | None:
    """Whether the header itself names a contrast agent; None when it says nothing."""
    agent = header.value("ContrastBolusAgent")
    if agent is None:
        return True if header.items("ContrastBolusAgentSequence") else None
    return is_agent(str(agent))


def is_agent(text: str) -> bool:
    """Whether an attribute for the contrast agent names one, and does not say that none was given."""
    return text.strip().upper() not in _NO_AGENT
