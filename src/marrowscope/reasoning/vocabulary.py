"""Searching the codes an intake may hold: findings, laboratory items, regions, sites."""

from __future__ import annotations

from typing import Any

from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.knowledge.search import rank

FOUND = 12
"""Codes listed for a word."""

MODALITY = {
    "radiograph": "imaging.radiograph",
    "ct": "imaging.ct (dual_energy_ct for dect_)",
    "nuclear_ultrasound": "imaging.bone_scan, pet or ultrasound",
}
"""Where an imaging section is entered; every other section is MRI."""


def find_codes(word: str = "") -> list[dict[str, Any]]:
    """Codes that match free words, best first; all, by place, without a word.

    Returns:
        ``code``, ``label``, ``place`` in the intake, ``also`` (synonyms); of a laboratory item ``levels``, ``unit``.
    """
    entries = _entries()
    if not word.strip():
        return list(entries.values())
    known = {code: (entry["label"], *entry["also"]) for code, entry in entries.items()}
    return [entries[code] for code in rank(word.replace("_", " "), known, FOUND)]


def _entries() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in vocabulary().values():
        if item.kind is Kind.LAB:
            continue
        place = item.kind.value
        if item.kind is Kind.REGION:
            place = f"regions ({item.section})"
        elif item.kind is Kind.IMAGING:
            place = MODALITY.get(item.section, f"imaging.mri ({item.section.replace('_', ' ')})")
        found[item.code] = {"code": item.code, "label": item.label, "place": place, "also": list(item.also)}
    for lab in labs().values():
        found[lab.code] = {
            "code": lab.code,
            "label": f"{lab.label} ({lab.unit + '; ' if lab.unit else ''}{' / '.join(lab.levels)})",
            "place": "labs",
            "also": list(lab.also),
            "levels": list(lab.levels),
            "unit": lab.unit,
        }
    for name in ("site", "setting", "onset", "age_group"):
        for choice in choices()[name].values():
            key = f"{name}: {choice.id}"
            found[key] = {"code": key, "label": choice.label, "place": name, "also": list(choice.also)}
    return found
