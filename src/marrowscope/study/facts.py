"""What a study tells about patient, site and side: read off, with reasons, never guessed when unsure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from typing import Final

from marrowscope.study.header import Header
from marrowscope.study.types import Guess, PatientFacts, Reason, Role, Series
from marrowscope.study.words import load, meanings, mentions, phrase_of, plain, tokens_of

_AGE: Final = re.compile(r"^(\d{1,3})([DWMY])$")
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
_DAYS_A_YEAR: Final = 365.25
_OLDEST_YEARS: Final = 130.0
_OFF_CENTRE_MM: Final = 40.0
"""A joint this far from the magnet's middle lies on that side, unless the coil was off centre: support, no proof."""


def patient_of(header: Header) -> PatientFacts:
    """Age at the study and sex; None for what is absent or cannot be."""
    sex = header.text("PatientSex").upper()
    return PatientFacts(_age(header), sex if sex in ("F", "M", "O") else None)


def _age(header: Header) -> float | None:
    born, studied = parse_date(header.text("PatientBirthDate")), parse_date(header.text("StudyDate"))
    if born and studied:
        years = (studied - born).days / _DAYS_A_YEAR
    elif match := _AGE.match(header.text("PatientAge").upper()):
        years = float(match[1]) * _DAYS[match[2]] / _DAYS_A_YEAR
    else:
        return None
    return round(years, 2) if 0 <= years <= _OLDEST_YEARS else None


def parse_date(text: str) -> date | None:
    """A DICOM date (YYYYMMDD), None when it is not one."""
    digits = text.replace(".", "").replace("-", "")
    if len(digits) != 8 or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def site_of(headers: Iterable[Header], series: tuple[Series, ...]) -> Guess:
    """The site, when body part, words and field of view agree; else the candidates to ask about."""
    headers = tuple(headers)
    votes: Counter[str] = Counter()
    reasons: list[Reason] = []
    for header in headers:
        _vote_body_part(header, votes, reasons)
        _vote_words(header, votes, reasons)
    unique = tuple(dict.fromkeys(reasons))
    candidates = tuple(site for site, _ in votes.most_common())
    if not candidates:
        return Guess(None, unique, _region_candidates(headers))
    best = candidates[0]
    if len(candidates) > 1:
        conflict = Reason("site_conflict", f"the study names {' and '.join(candidates[:3])}")
        return Guess(None, (*unique, conflict), candidates)
    if too_wide := _too_wide(best, series):
        return Guess(None, (*unique, too_wide), candidates)
    return Guess(best, unique, candidates)


def _vote_body_part(header: Header, votes: Counter[str], reasons: list[Reason]) -> None:
    part = re.sub(r"[^A-Z]", "", header.text("BodyPartExamined").upper())
    for site, words in load("sites.yaml")["sites"].items():
        if part and part in words["body_part"]:
            votes[site] += 2
            reasons.append(Reason("body_part", f"body part examined: {part}"))


def _vote_words(header: Header, votes: Counter[str], reasons: list[Reason]) -> None:
    keys = ("StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription")
    phrase = phrase_of(" ".join(header.text(key) for key in keys))
    found = {
        site: [str(word) for word in words["words"] if mentions(phrase, str(word))]
        for site, words in load("sites.yaml")["sites"].items()
    }
    named = {site: words[0] for site, words in found.items() if words}
    if "si_joint" in named:
        named = {"si_joint": named["si_joint"]}
    for site, word in named.items():
        votes[site] += 1
        reasons.append(Reason("site_word", f"described with the word '{word}'"))
    coil = " ".join(tokens_of(header.text("ReceiveCoilName")))
    for site, words in load("sites.yaml")["coil_words"].items():
        if any(word in coil.split() for word in words) and site in votes:
            reasons.append(Reason("coil", f"received with a {site.replace('_', ' ')} coil"))


def _region_candidates(headers: tuple[Header, ...]) -> tuple[str, ...]:
    region = load("sites.yaml")["region"]["body_part"]
    parts = {re.sub(r"[^A-Z]", "", header.text("BodyPartExamined").upper()) for header in headers}
    return tuple(dict.fromkeys(site for part in sorted(parts) if part in region for site in region[part]))


def _too_wide(site: str, series: tuple[Series, ...]) -> Reason | None:
    sites = load("sites.yaml")
    if site not in sites["small_sites"]:
        return None
    fields = [
        max(s.volume.spacing[a] * s.volume.shape[a] for a in s.volume.in_plane_axes)
        for s in series
        if s.role in (Role.FLUID, Role.T1)
    ]
    allowed = float(sites["small_site_extent_mm"]["value"])
    if fields and min(fields) > allowed:
        return Reason("field_too_wide", f"a field of view of {min(fields):.0f} mm is too wide for one {site}")
    return None


def side_of(headers: Iterable[Header], series: tuple[Series, ...]) -> Guess:
    """Left or right, when every mention agrees; an off-centre position supports but never decides."""
    found: dict[str, Reason] = {}
    for header in headers:
        for key in ("FrameLaterality", "ImageLaterality", "Laterality"):
            code = header.text(key).upper()
            if code in ("L", "R"):
                found.setdefault("left" if code == "L" else "right", Reason("laterality", f"laterality {code}"))
        for side, reason in _side_words(header):
            found.setdefault(side, reason)
    position = _off_centre(series)
    reasons = (*found.values(), *((position[1],) if position else ()))
    if len(found) == 1:
        side = next(iter(found))
        if position and position[0] != side:
            conflict = Reason("side_conflict", "words and position in the magnet disagree")
            return Guess(None, (*reasons, conflict), ("left", "right"))
        return Guess(side, reasons, (side,))
    candidates = tuple(found) or ((position[0],) if position else ())
    return Guess(None, reasons, candidates)


def _side_words(header: Header) -> Iterable[tuple[str, Reason]]:
    keys = ("StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription")
    tokens = [token for key in keys for token in tokens_of(header.text(key))]
    places = {plain(str(word)) for words in load("sites.yaml")["sites"].values() for word in words["words"]}
    negated = {a for a, b in pairwise(tokens) if "contrast" in meanings(b)}
    beside = {t for a, b in pairwise(tokens) for t, other in ((a, b), (b, a)) if other in places} - negated
    doubtful = set(load("sites.yaml")["ambiguous_sides"])
    phrase = phrase_of(" ".join(tokens))
    for side, words in load("sites.yaml")["sides"].items():
        said = [str(word) for word in words if mentions(phrase, str(word))]
        if hit := sorted(w for w in said if (len(w) > 1 and w not in doubtful) or w in beside or not w.isascii()):
            yield side, Reason("side_word", f"described with the word '{hit[0]}'")


def _off_centre(series: tuple[Series, ...]) -> tuple[str, Reason] | None:
    volumes = [s.volume for s in series if s.role in (Role.FLUID, Role.T1)]
    centres = [float(v.to_world([(n - 1) / 2 for n in v.shape])[0]) for v in volumes]
    if not centres or abs(centres[0]) < _OFF_CENTRE_MM:
        return None
    side = "left" if centres[0] > 0 else "right"
    return side, Reason("off_centre", f"imaged {abs(centres[0]):.0f} mm to the {side} of the magnet's middle")
