"""Results out of their folder: which kinds, and which of them may leave before a release."""

from __future__ import annotations

from pathlib import Path

from marrowscope.errors import UsageError
from marrowscope.results import Results, check_place, read_results

DRAFT_KINDS = ("seg", "sr")
"""Draft measurements: may leave unsigned (key images and outlines too, they show no conclusion)."""

DICOM_KINDS = ("seg", "sr", "pdf", "ko", "pr")
RELEASED_KINDS = ("pdf", "fhir")
"""Carry the differential, the checks and the plan: leave only after a named person signed."""


def export_results(folder: Path, kinds: tuple[str, ...], out: Path) -> tuple[Path, ...]:
    """Write the kinds asked for below ``out``.

    Returns:
        The files written.

    Raises:
        UsageError: an unknown kind, one that needs a release first, or no place to write. ResultsError: no results
            folder.
    """
    results = read_results(folder)
    check_kinds(results, kinds)
    check_place(out / "files")
    out.mkdir(parents=True, exist_ok=True)
    return tuple(_write(results, kind, out) for kind in kinds if _available(results, kind))


def check_kinds(results: Results, kinds: tuple[str, ...]) -> None:
    """Refuse unknown kinds, and conclusions that nobody signed.

    Raises:
        UsageError: see above.
    """
    unknown = sorted(set(kinds) - {*DICOM_KINDS, "fhir"})
    if unknown or not kinds:
        raise UsageError(f"--to {','.join(unknown) or '(nothing)'}", f"some of {', '.join((*DICOM_KINDS, 'fhir'))}")
    unsigned = [k for k in kinds if k in RELEASED_KINDS] if not results.assessment.signed else []
    if unsigned:
        raise UsageError(
            f"a preliminary result asked for as {', '.join(unsigned)}",
            "a result that a named clinician released",
            "marrowscope release RESULTS --by NAME",
        )
    if set(kinds) & set(DICOM_KINDS) and not (results.folder / "dicom" / "source.json").is_file():
        raise UsageError("a result of a study that was not DICOM", "a DICOM study", "assess the DICOM files instead")


def _available(results: Results, kind: str) -> bool:
    """Whether the result has that part (no lesion: no key image)."""
    return kind == "fhir" or (results.folder / "dicom" / f"{kind}.dcm").is_file()


def _write(results: Results, kind: str, out: Path) -> Path:
    if kind == "fhir":
        from marrowscope.exchange.fhir import bundle_json

        target = out / "bundle.json"
        target.write_text(bundle_json(results.assessment), encoding="utf-8")
        return target
    target = out / f"{kind}.dcm"
    target.write_bytes((results.folder / "dicom" / f"{kind}.dcm").read_bytes())
    return target
