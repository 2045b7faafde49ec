"""The JSON beside a NIfTI image (BIDS, as dcm2niix writes it): the acquisition's physics in a header's vocabulary."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marrowscope.study import limits
from marrowscope.study.contrast import ContrastFacts, contrast_words, settle
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import Header
from marrowscope.study.sequence import description_of, fat_suppression_of, is_agent
from marrowscope.study.types import Sequence

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_BYTES: Final = limits.MIB
"""A sidecar of dcm2niix is about 2 KiB; those with slice timings and private values reach 100 KiB."""

MS_A_SECOND: Final = 1000.0
"""BIDS states times in seconds, DICOM in milliseconds."""

_TIMES: Final = ("RepetitionTime", "EchoTime", "InversionTime")
_NUMBERS: Final = (
    "FlipAngle", "MagneticFieldStrength", "PixelBandwidth", "EchoTrainLength", "NumberOfAverages", "SliceThickness",
)  # fmt: skip
_TEXTS: Final = {
    "Manufacturer": "Manufacturer", "ManufacturersModelName": "ManufacturerModelName", "SequenceName": "SequenceName",
    "SeriesDescription": "SeriesDescription", "ProtocolName": "ProtocolName", "MRAcquisitionType": "MRAcquisitionType",
    "StudyDescription": "StudyDescription",
    "BodyPart": "BodyPartExamined", "BodyPartExamined": "BodyPartExamined", "ReceiveCoilName": "ReceiveCoilName",
    "ContrastBolusIngredient": "ContrastBolusAgent",
}  # fmt: skip
"""BIDS key to DICOM keyword, where the value is text."""

_CODES: Final = ("ScanningSequence", "SequenceVariant")
"""Two-letter codes; dcm2niix joins several by a backslash, older versions by an underscore."""

_PRINTABLE: Final = re.compile(r"[^\x20-\x5b\x5d-\x7e]")
_LONGEST: Final = 64


@dataclass(frozen=True, eq=False)
class Sidecar:
    """What the JSON beside an image states.

    Attributes:
        header: its values under DICOM's keywords. sequence: the physics. described: words for the series, those of the
            image's file name included.
    """

    header: Header
    sequence: Sequence
    described: str


def sidecar_of(image: Path) -> Path | None:
    """The JSON file of the same name, or None."""
    path = image.with_name(image.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    return path if path.is_file() else None


def read_sidecar(path: Path, name: str) -> Sidecar:
    """Read a sidecar.

    Args:
        path: the JSON file. name: words of the image's file name.

    Raises:
        RefusedInputError: it is too large or holds no JSON object.
    """
    header = Header(_as_dicom(_parsed(path)))
    described = f"{description_of(header)} {name}"
    return Sidecar(header, _sequence(header, described), described)


def _sequence(header: Header, described: str) -> Sequence:
    scanning, kind = header.words("ScanningSequence"), header.words("ImageType")
    ti = header.number("InversionTime") or None
    return Sequence(
        modality=header.text("Modality") or "MR",
        tr_ms=header.number("RepetitionTime"),
        te_ms=header.number("EchoTime"),
        ti_ms=ti,
        flip_deg=header.number("FlipAngle"),
        field_t=header.number("MagneticFieldStrength"),
        bandwidth_hz_px=header.number("PixelBandwidth"),
        echo_train=header.integer("EchoTrainLength"),
        averages=header.number("NumberOfAverages"),
        slice_thickness_mm=header.number("SliceThickness"),
        fat_suppression=fat_suppression_of(header, described, kind, ti, scanning),
        contrast_agent=_agent(header, described),
        acquisition=header.text("MRAcquisitionType").upper() or None,
        scanning_sequence=scanning,
        sequence_variant=header.words("SequenceVariant"),
        scan_options=header.words("ScanOptions"),
        image_type=kind,
        sequence_name=header.text("SequenceName"),
        manufacturer=header.text("Manufacturer"),
        model=header.text("ManufacturerModelName"),
        coil=header.text("ReceiveCoilName"),
        body_part=header.text("BodyPartExamined").upper(),
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RefusedInputError("sidecar_too_large", f"a JSON file over {MAX_BYTES} bytes", "a BIDS sidecar")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedInputError("sidecar_damaged", "a JSON file that cannot be read", "a BIDS sidecar") from error
    if not isinstance(data, dict):
        raise RefusedInputError("sidecar_damaged", "JSON that is no object", "a BIDS sidecar")
    return data


def _as_dicom(data: dict[str, Any]) -> Dataset:
    """The values that roles are decided by, under DICOM's keywords and in its units; others are left out."""
    from pydicom.dataset import Dataset

    out = Dataset()
    for key in (*_TIMES, *_NUMBERS):
        value = _number(data.get(key))
        if value is not None:
            setattr(out, key, round(value * (MS_A_SECOND if key in _TIMES else 1.0), 4))
    for key, keyword in _TEXTS.items():
        if text := _text(data.get(key)):
            setattr(out, keyword, text)
    for key in _CODES:
        if words := _words(data.get(key), r"[\\_]"):
            setattr(out, key, words)
    if "ScanOptions" in data:
        whole = _words(data["ScanOptions"], r"\\")
        out.ScanOptions = [*whole, *(p for w in whole if "_" in w for p in w.split("_") if p)] or None
    if words := _words(data.get("ImageType"), r"\\"):
        out.ImageType = words
    if (modality := _text(data.get("Modality"))) in ("MR", "CT"):
        out.Modality = modality
    return out


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]


def _text(value: object) -> str:
    return _PRINTABLE.sub(" ", value).strip()[:_LONGEST] if isinstance(value, str) else ""


def _words(value: object, parting: str) -> list[str]:
    """Codes of a list, or of a text that joins several."""
    many = value if isinstance(value, list) else re.split(parting, value) if isinstance(value, str) else []
    return [word[:16] for v in many if (word := _text(v).upper())]


def _agent(header: Header, described: str) -> bool | None:
    """Whether contrast was given, by the stated agent, else by the words."""
    stated = header.text("ContrastBolusAgent")
    before, after = contrast_words(described)
    agent, _ = settle(ContrastFacts(is_agent(stated) if stated else None, after, before, None, None), None)
    return agent
