"""Coded concepts from ``exchange/data/concepts.yaml`` and the site files, as highdicom wants them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from marrowscope.sites import CodedTerm, load_site
from marrowscope.tables import parse_yaml

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept


@cache
def concepts() -> dict[str, Any]:
    """The table of concepts."""
    text = (resources.files("marrowscope.exchange") / "data" / "concepts.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = parse_yaml(text)
    return data


def local_scheme() -> str:
    """Designator of marrowscope's own coding scheme."""
    return str(concepts()["scheme"]["designator"])


def coded(section: str, name: str) -> CodedConcept:
    """A concept of the table; a name it lacks becomes a clearly local concept."""
    entry = concepts()[section].get(name)
    if entry is None:
        return make(local_scheme(), name, name.replace("_", " ")[:64])
    return make(entry["scheme"], entry["value"], entry["meaning"])


def unit(ucum: str) -> CodedConcept:
    """A UCUM unit."""
    return make("UCUM", ucum, concepts()["units"].get(ucum, ucum))


def anatomy(site: str, part: str) -> CodedConcept:
    """The published code of a bone or region, the site's own code, or a local concept."""
    known = load_site(site)
    found = known.part(part)
    term: CodedTerm | None = found.term if found else None
    if term is None and found is not None and found.bone:
        owner = known.part(found.bone)
        term = owner.term if owner else None
        if term is not None:
            return make(local_scheme(), part, known.label_of(part)[:64])
    if term is None:
        return make(local_scheme(), part, known.label_of(part)[:64])
    return make(term.scheme, term.value, term.meaning)


def side_of(part: str, side: str) -> str:
    """``left`` / ``right`` from a part's own prefix, else the exam's side, else empty."""
    own = next((s for s in ("left", "right") if part.startswith(f"{s}_")), "")
    return own or (side if side in ("left", "right") else "")


def make(scheme: str, value: str, meaning: str) -> CodedConcept:
    """One concept; a code of more than 16 characters is written as a Long Code Value (PS3.3 8.1)."""
    from highdicom.sr import CodedConcept

    return CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)
