"""What a row will come to, said before it runs: its study is read, nothing is assessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from marrowscope.anatomy import given
from marrowscope.anatomy.choose import SEGMENTERS
from marrowscope.assessment.types import Assessment
from marrowscope.cohort.manifest import SWAPPED, Fate, Row, swapped
from marrowscope.errors import MarrowscopeError
from marrowscope.followup.comparable import SAME_FIELD_T, fluid_series, told_apart, unsuppressed
from marrowscope.followup.person import Person
from marrowscope.measurement import Severity
from marrowscope.reasoning.intake import Intake
from marrowscope.study import Role, read_study
from marrowscope.study.choose import require_fluid

MIXED = "sequence class differs between this subject's visits ({}): change will be not assessable"
MIXED_FIELD = "field strength differs between this subject's visits: change will be not assessable"
MIXED_T1 = "only some of this subject's visits have a T1: change to those without will be not assessable"
TWO_PEOPLE = "the headers of this subject's visits differ in {}: check that they are of one person"
UNSUPPRESSED = "fat suppression is doubted: change will be not assessable"
NO_BONES = "bones of this site are not found by marrowscope and none are given: nothing will be sized"


Twins = dict[str, list[Row]]
"""Rows by the hash of their images."""


@dataclass(frozen=True)
class Look:
    """What reading a study told.

    Attributes:
        refused: why it would be refused, or empty. note: what to expect of it, or empty.
        sequence_class, field_t: of the fluid series. site, side: as it will be assessed. t1: whether it has a T1.
        images: hash of its images, to find the same study in two places.
        person, sex: the patient as the header says; compared between visits, never written.
    """

    refused: str = ""
    note: str = ""
    sequence_class: str = ""
    field_t: float | None = None
    site: str = ""
    side: str = ""
    images: str = ""
    t1: bool = True
    person: Person = field(default=Person(), repr=False)
    sex: str = ""

    @classmethod
    def of_result(cls, a: Assessment) -> Look:
        """The same from a result that is kept."""
        fluid = fluid_series(a)
        kind, field_t = (fluid.sequence_class, fluid.field_t) if fluid else ("", None)
        note = UNSUPPRESSED if unsuppressed(a) else ""
        return cls("", note, kind, field_t, a.site, a.side, t1=told_apart(a), sex=a.subject.sex)


def look(row: Row) -> Look:
    """Read the study of a row."""
    try:
        study = read_study(Path(row.study))
        fluid = require_fluid(study)
        if row.bones:
            given.check(Path(row.bones), fluid.volume)
        if row.intake:
            Intake.load(Path(row.intake))
    except MarrowscopeError as error:
        return Look(refused=f"would be refused: {error.found}")
    site, side = row.site or study.site.value or "", row.side or study.side.value or ""
    if not site:
        return Look(refused="would be refused: the site cannot be told; give it in a column or with --site")
    notes = []
    if row.side and study.side.value and row.side != study.side.value:
        notes.append(f"the manifest says {row.side}, the study {study.side.value}: the manifest's is used")
    if row.site and study.site.value and row.site != study.site.value:
        notes.append(f"the manifest says {row.site}, the study {study.site.value}: the manifest's is used")
    if not row.bones and site not in SEGMENTERS:
        notes.append(NO_BONES)
    suppression = fluid.check("fat_suppression")
    if suppression is not None and suppression.severity is Severity.WARNING:
        notes.append(UNSUPPRESSED)
    t1 = any(s.role is Role.T1 and s.usable for s in study.series)
    kind, field_t = fluid.sequence_class.value, fluid.sequence.field_t
    person, sex = Person.of(study.dicom_header), study.patient.sex or ""
    return Look("", "; ".join(notes), kind, field_t, site, side, study.input_hash, t1, person, sex)


def judged(found: Sequence[Fate], looks: Mapping[str, Look]) -> tuple[Fate, ...]:
    """The manifest's fates with what the studies told: refusals, the same images twice, sides and classes that differ.

    Args:
        found: fates by the manifest alone. looks: by row name, for rows that run.
    """
    kept = {f.row.name: looks[f.row.name] for f in found if f.runs and f.row.name in looks}
    twins: Twins = {}
    for fate in found:
        if fate.row.name in kept and (images := kept[fate.row.name].images):
            twins.setdefault(images, []).append(fate.row)
    running: dict[str, list[tuple[Row, Look]]] = {}
    for fate in found:
        if fate.row.name in kept and _stays(kept[fate.row.name], twins):
            running.setdefault(fate.row.subject, []).append((fate.row, kept[fate.row.name]))
    return tuple(
        _judged(f, kept[f.row.name], twins, running.get(f.row.subject, ())) if f.row.name in kept else f for f in found
    )


def _stays(seen: Look, twins: Twins) -> bool:
    return not seen.refused and len(twins.get(seen.images, ())) <= 1


def _judged(fate: Fate, seen: Look, twins: Twins, own: Sequence[tuple[Row, Look]]) -> Fate:
    if not _stays(seen, twins):
        same_images = [f"{r.subject} {r.visit}" for r in twins.get(seen.images, ()) if r != fate.row]
        why = seen.refused or f"holds the same images as {', '.join(same_images)}"
        return Fate(fate.row, False, (*fate.reasons, why))
    same = [(r, x) for r, x in own if x.site == seen.site]
    reasons = [*fate.reasons, *([seen.note] if seen.note else [])]
    others = [(replace(r, site=fate.row.site), x.side) for r, x in same]
    if SWAPPED not in reasons and swapped(fate.row, seen.side, others):
        reasons.append(SWAPPED)
    mine = [x for r, x in same if not seen.side or x.side in ("", seen.side)]
    classes = sorted({x.sequence_class for x in mine})
    if len(classes) > 1:
        reasons.append(MIXED.format(", ".join(classes)))
    fields = [x.field_t for x in mine if x.field_t is not None]
    if fields and max(fields) - min(fields) > SAME_FIELD_T:
        reasons.append(MIXED_FIELD)
    if len({x.t1 for x in mine}) > 1:
        reasons.append(MIXED_T1)
    return Fate(fate.row, True, (*reasons, *_two_people([x for _, x in own])))


def _two_people(visits: Sequence[Look]) -> tuple[str, ...]:
    """A doubt where the headers of one subject's visits speak of two patients."""
    said = {
        "patient ID": {x.person.patient_id for x in visits},
        "birth date": {x.person.born for x in visits},
        "sex": {x.sex for x in visits},
    }
    differ = [name for name, values in said.items() if len(values - {""}) > 1]
    return (TWO_PEOPLE.format(", ".join(differ)),) * bool(differ)
