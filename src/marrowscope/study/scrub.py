"""What is left of one data set: a keep list, keyed UIDs, shifted dates, known names looked for in every kept text."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from marrowscope.errors import UsageError
from marrowscope.study.contrast import facts_of, settle
from marrowscope.study.facts import parse_date
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import PARSE_ERRORS, Header
from marrowscope.study.limits import MAX_SEQUENCE_DEPTH
from marrowscope.study.scrub_text import kept_values, secrets_of
from marrowscope.study.sequence import is_agent
from marrowscope.study.types import Refusal
from marrowscope.study.words import load

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

_BASIC_PROFILE: Final = ("113100", "Basic Application Confidentiality Profile")
_METHOD: Final = "marrowscope: PS3.15 Basic Profile, keep list"
_IMPLEMENTATION_UID: Final = "2.25.317009284618247206433870921384650517"
_MAX_SHIFT_DAYS: Final = 3650
"""Dates move back by a day to ten years."""

_DATE_VRS: Final = frozenset(("DA", "DT"))
_TEXT_VRS: Final = frozenset(("AE", "AS", "CS", "DS", "IS", "LO", "SH", "TM", "UC"))
_BINARY_VRS: Final = frozenset(("AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"))
_PIXELS: Final = frozenset(("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
_AGENT, _NO_AGENT = "AGENT", "NONE"


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
        return uid if uid in _standard_uids() else f"2.25.{self.digest('uid', uid)}"

    def pseudonym(self, patient: str) -> str:
        """A name and id that stand for the patient."""
        return f"ANON{self.digest('patient', patient) % 10**10:010d}"

    def code(self, value: str) -> str:
        """A code string that stands for an unknown one, so that what differed still differs."""
        return f"X{self.digest('code', value) % 16**8:08X}"

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
    secrets = secrets_of(header)
    stand_ins = load("deidentify.yaml")["stand_ins"] if "PerFrameFunctionalGroupsSequence" in dataset else {}
    clean = _filtered(dataset, _Rules(_kept(how), how, patient, secrets, stand_ins), report)
    for keyword in load("deidentify.yaml")["empty"]:
        if keyword not in clean:
            setattr(clean, keyword, "")
            report.emptied[keyword] += 1
    if (agent := _agent(header)) is not None:
        clean.ContrastBolusAgent = agent
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


@cache
def _standard_uids() -> frozenset[str]:
    """The UIDs the standard itself registers (PS3.6 annex A)."""
    from pydicom._uid_dict import UID_dictionary

    return frozenset(UID_dictionary)


def _agent(header: Header) -> str | None:
    """What is said of contrast in the copy, from header, clock and words, which are all taken out of it."""
    named = header.value("ContrastBolusAgent")
    has_items = bool(header.items("ContrastBolusAgentSequence"))
    agent = True if has_items else None if named is None else is_agent(str(named))
    facts = facts_of(header, agent)
    settled, _ = settle(facts, facts.injected_s)
    return None if settled is None else _AGENT if settled else _NO_AGENT


@dataclass(frozen=True)
class _Rules:
    """What holds for one instance: the keep list, the key, whose it is, what must not show, what stands for moments."""

    kept: frozenset[str]
    how: Deidentification
    patient: str
    secrets: tuple[str, ...]
    stand_ins: Mapping[str, str]


def _filtered(dataset: Dataset, rules: _Rules, report: Report, depth: int = 0) -> Dataset:
    from pydicom.dataset import Dataset as New
    from pydicom.sequence import Sequence

    if depth > MAX_SEQUENCE_DEPTH:
        raise RefusedInputError(
            "nested_too_deep", f"sequences nested deeper than {MAX_SEQUENCE_DEPTH}", "an image header"
        )
    clean = New()
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
        except PARSE_ERRORS:
            report.removed["unreadable attribute"] += 1
            continue
        name = element.keyword or ("private attribute" if tag.is_private else "unknown attribute")
        if tag.is_private or not element.keyword or not _as_in_dictionary(element):
            report.removed[name] += 1
        elif name in rules.stand_ins and name not in rules.kept and not element.is_empty:
            clean[tag] = type(element)(tag, element.VR, rules.stand_ins[name])
            report.replaced[name] += 1
        elif name not in rules.kept:
            report.removed[name] += 1
        elif element.VR == "SQ":
            items = [_filtered(item, rules, report, depth + 1) for item in element.value]
            clean[tag] = type(element)(tag, "SQ", Sequence(items))
        elif (safe := _safe(element, rules, report)) is not None:
            clean[tag] = safe
        else:
            report.removed[name] += 1
    return clean


def _as_in_dictionary(element: DataElement) -> bool:
    """Whether the value has the representation its tag has by the standard: text may hide under another."""
    from pydicom.datadict import dictionary_VR

    return element.VR in dictionary_VR(element.tag).split(" or ")


def _safe(element: DataElement, rules: _Rules, report: Report) -> DataElement | None:
    """The element as it may be written: UIDs mapped, dates shifted, codes known; None when it must go."""
    name = element.keyword
    if element.VR in _BINARY_VRS or name in _PIXELS:
        return element
    if element.VR == "UI":
        report.replaced[name] += 1
        many = [str(uid) for uid in element.value] if element.VM > 1 else [str(element.value or "")]
        return _with(element, [rules.how.uid(uid) if uid else "" for uid in many])
    if element.VR not in _TEXT_VRS | _DATE_VRS:
        return None
    values = kept_values(element, rules.secrets, rules.how.code)
    if values is None:
        return None
    if element.VR in _DATE_VRS:
        report.replaced[name] += 1
        values = [_shifted(value, rules.how.shift(rules.patient)) for value in values]
    return _with(element, values)


def _with(element: DataElement, values: list[str]) -> DataElement:
    return type(element)(element.tag, element.VR, values if len(values) > 1 else values[0])


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
