"""What is left of one data set: a keep list, keyed UIDs, shifted dates, known names looked for in every kept text."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from marrowscope.errors import UsageError
from marrowscope.study.facts import parse_date
from marrowscope.study.header import PARSE_ERRORS, Header
from marrowscope.study.types import Refusal
from marrowscope.study.words import load

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

_STANDARD_UIDS: Final = "1.2.840.10008."
_BASIC_PROFILE: Final = ("113100", "Basic Application Confidentiality Profile")
_METHOD: Final = "marrowscope: PS3.15 Basic Profile, keep list"
_IMPLEMENTATION_UID: Final = "2.25.317009284618247206433870921384650517"
_SHORTEST_TOKEN: Final = 3
_MAX_SHIFT_DAYS: Final = 3650
_CODE_STRING: Final = re.compile(r"^[A-Z0-9_ ]{0,16}$")
_TEXT_VRS: Final = frozenset(("LO", "SH", "CS", "UC", "LT", "ST", "UT", "AE"))
_DATE_VRS: Final = frozenset(("DA", "DT"))
_AGENT: Final = "AGENT"
_NUMBER_VRS: Final = frozenset(("IS", "DS"))
_LONG_NUMBER: Final = 6
"""Digits from which a number alone can identify."""

_SHORT_CODE: Final = 4
"""Codes this short (``SE``, ``SAT1``) hold no name worth hiding."""

_SEQUENCE_NAME: Final = re.compile(r"^(?=.*[0-9*_#])[*#A-Za-z0-9_.-]{1,24}$")
"""Vendors' pulse sequence names hold a digit or a mark (``*tse2d1_15``); people's names do not."""

_FREE_TEXT_OPTIONS: Final = frozenset(load("deidentify.yaml")["options"]["device"]["keep"]) | {"PatientAge"}


@dataclass(frozen=True)
class Deidentification:
    """How to de-identify.

    Attributes:
        key: secret; the same key maps the same UID, patient and date shift the same way every time.
        options: names of ``deidentify.yaml``'s options: ``characteristics``, ``device``, ``shifted_dates``.
        accept_burned_in: copy images that say they carry burned-in annotation.
    """

    key: bytes
    options: frozenset[str] = frozenset()
    accept_burned_in: bool = False

    def __post_init__(self) -> None:
        known = set(load("deidentify.yaml")["options"])
        if unknown := self.options - known:
            raise UsageError(f"option {', '.join(sorted(unknown))}", f"one of {', '.join(sorted(known))}")
        if not self.key:
            raise UsageError("an empty key", "a secret of at least one byte", "--key-file FILE")

    def digest(self, purpose: str, value: str) -> int:
        """128 keyed bits of a value."""
        return int.from_bytes(hmac.new(self.key, f"{purpose}:{value}".encode(), hashlib.sha256).digest()[:16], "big")

    def uid(self, uid: str) -> str:
        """The replacement of an instance's UID (2.25 form); the standard's own UIDs stay."""
        return uid if uid.startswith(_STANDARD_UIDS) else f"2.25.{self.digest('uid', uid)}"

    def pseudonym(self, patient: str) -> str:
        """A name and id that stand for the patient."""
        return f"ANON{self.digest('patient', patient) % 10**10:010d}"

    def shift(self, patient: str) -> timedelta:
        """How far this patient's dates move back: 1 day to ten years, whole days."""
        return timedelta(days=-(1 + self.digest("days", patient) % _MAX_SHIFT_DAYS))


@dataclass
class Report:
    """What was done, without any original value.

    Attributes:
        written: files written.
        removed, emptied, replaced: attributes by keyword, with how many files they were met in.
        refused: files not copied, with the reason.
        options: the profile's options used.
    """

    written: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    emptied: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)
    options: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data; file names of refused files are left out, for they may name the patient."""
        reasons = Counter((refusal.code, refusal.reason) for refusal in self.refused)
        return {
            "profile": _BASIC_PROFILE[1],
            "options": list(self.options),
            "files_written": self.written,
            "removed": dict(sorted(self.removed.items())),
            "emptied": dict(sorted(self.emptied.items())),
            "replaced": dict(sorted(self.replaced.items())),
            "refused": [{"code": c, "reason": r, "count": n} for (c, r), n in sorted(reasons.items())],
        }


def deidentified(dataset: Dataset, how: Deidentification, report: Report) -> Dataset:
    """A new data set holding only what is kept; ``report`` counts what was not."""
    header = Header(dataset)
    patient = header.text("PatientID") or header.text("PatientName") or header.text("StudyInstanceUID")
    secrets = _secrets(header)
    clean = _filtered(dataset, _Rules(_kept(how), how, patient, secrets), report)
    for keyword in load("deidentify.yaml")["empty"]:
        if keyword not in clean:
            setattr(clean, keyword, "")
            report.emptied[keyword] += 1
    if header.text("ContrastBolusAgent"):
        clean.ContrastBolusAgent = _AGENT
        report.replaced["ContrastBolusAgent"] += 1
    clean.PatientName = clean.PatientID = how.pseudonym(patient)
    report.replaced.update(("PatientName", "PatientID"))
    _mark(clean, how)
    _set_file_meta(clean, dataset)
    return clean


def _kept(how: Deidentification) -> frozenset[str]:
    data = load("deidentify.yaml")
    keywords = {keyword for group in data["keep"].values() for keyword in group}
    return frozenset(keywords.union(*(data["options"][name]["keep"] for name in how.options)))


def _secrets(header: Header) -> tuple[str, ...]:
    """Names and numbers that identify, in lower case, whole and in parts."""
    texts = [header.text(keyword) for keyword in load("deidentify.yaml")["identifying"]]
    parts = {part.lower() for text in texts for part in [text, *re.split(r"[\s^=,;/\\]+", text)]}
    return tuple(sorted(part for part in parts if len(part) >= _SHORTEST_TOKEN))


@dataclass(frozen=True)
class _Rules:
    """What holds for one instance: the keep list, the key, whose it is, what must not show."""

    kept: frozenset[str]
    how: Deidentification
    patient: str
    secrets: tuple[str, ...]


def _filtered(dataset: Dataset, rules: _Rules, report: Report) -> Dataset:
    from pydicom.dataset import Dataset as New
    from pydicom.sequence import Sequence

    clean = New()
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
        except PARSE_ERRORS:
            report.removed["unreadable attribute"] += 1
            continue
        name = element.keyword or ("private attribute" if tag.is_private else "unknown attribute")
        if element.keyword not in rules.kept or tag.is_private or element.VR == "UN":
            report.removed[name] += 1
        elif element.VR == "SQ":
            items = [_filtered(item, rules, report) for item in element.value]
            clean[tag] = type(element)(tag, "SQ", Sequence(items))
        elif (safe := _safe(element, rules, report)) is not None:
            clean[tag] = safe
    return clean


def _safe(element: DataElement, rules: _Rules, report: Report) -> DataElement | None:
    """The element as it may be written: UIDs mapped, dates shifted; None when its text must not be kept."""
    name = element.keyword
    if element.VR == "UI" and element.value:
        report.replaced[name] += 1
        many = element.value if isinstance(element.value, (list, tuple)) or element.VM > 1 else [element.value]
        mapped = [rules.how.uid(str(uid)) for uid in many]
        return type(element)(element.tag, "UI", mapped if len(mapped) > 1 else mapped[0])
    if element.VR in _DATE_VRS and element.value:
        report.replaced[name] += 1
        return type(element)(element.tag, element.VR, _shifted(str(element.value), rules.how.shift(rules.patient)))
    if element.VR in (_TEXT_VRS | _NUMBER_VRS) and not _harmless(element, rules.secrets):
        report.removed[name] += 1
        return None
    return element


def _harmless(element: DataElement, secrets: tuple[str, ...]) -> bool:
    """Whether every word of a kept text is known, and none identifies this patient."""
    values = [str(v) for v in element.value] if element.VM > 1 else [str(element.value or "")]
    joined = " ".join(values).lower()
    if element.VR in _NUMBER_VRS:
        return not any(value.strip() in secrets for value in values if len(value.strip()) >= _LONG_NUMBER)
    return not any(secret in joined for secret in secrets) and _known_words(element, values, joined)


def _known_words(element: DataElement, values: list[str], joined: str) -> bool:
    if element.keyword == "BodyPartExamined":
        known = {part for site in load("sites.yaml")["sites"].values() for part in site["body_part"]}
        known |= set(load("sites.yaml")["region"]["body_part"])
        return re.sub(r"[^A-Z]", "", joined.upper()) in known
    if element.VR == "CS":
        return all(_known_code(value) for value in values)
    if element.keyword == "Manufacturer":
        return set(re.findall(r"[a-z0-9]+", joined)) <= set(load("deidentify.yaml")["maker_words"])
    if element.keyword in ("SequenceName", "PulseSequenceName"):
        return all(_SEQUENCE_NAME.match(value) for value in values)
    return element.keyword in _FREE_TEXT_OPTIONS or all(len(value) <= _SHORT_CODE for value in values)


def _known_code(value: str) -> bool:
    words = set(load("deidentify.yaml")["code_words"])
    parts = value.split() if value not in words else []
    return bool(_CODE_STRING.match(value)) and all(
        part in words or len(part) <= _SHORT_CODE or part.endswith("_GEMS") for part in parts
    )


def _shifted(text: str, by: timedelta) -> str:
    day = parse_date(text[:8])
    if day is None:
        return ""
    return (datetime(day.year, day.month, day.day) + by).strftime("%Y%m%d") + text[8:]


def _mark(clean: Dataset, how: Deidentification) -> None:
    """Say in the object itself what was done (PS3.3 C.7.1.1, CID 7050)."""
    from pydicom.dataset import Dataset as New

    options = load("deidentify.yaml")["options"]
    codes = [_BASIC_PROFILE, *((options[name]["code"], options[name]["meaning"]) for name in sorted(how.options))]
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = _METHOD
    clean.LongitudinalTemporalInformationModified = "MODIFIED" if "shifted_dates" in how.options else "REMOVED"
    items = []
    for value, meaning in codes:
        item = New()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning[:64]
        items.append(item)
    clean.DeidentificationMethodCodeSequence = items


def _set_file_meta(clean: Dataset, dataset: Dataset) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    stated = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = clean.SOPClassUID, clean.SOPInstanceUID
    implicit, little = dataset.original_encoding
    meta.TransferSyntaxUID = UID(stated or ("1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"))
    meta.ImplementationClassUID = UID(_IMPLEMENTATION_UID)
    clean.file_meta = meta
    clean.set_original_encoding(bool(implicit), bool(little))
