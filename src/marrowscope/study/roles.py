"""What a series is for: physics first (TR, TE, TI, options, image type), words second, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from marrowscope.study.types import FatSuppression, Reason, Role, Sequence, SequenceClass
from marrowscope.study.words import load, meanings

_SUPPRESSING: Final = frozenset((FatSuppression.INVERSION, FatSuppression.SPECTRAL, FatSuppression.WATER_EXCITATION))
_DIXON_PARTS: Final = {
    "WATER": "water", "W": "water", "FAT": "fat", "F": "fat",
    "IN_PHASE": "in_phase", "IP": "in_phase", "INPHASE": "in_phase",
    "OUT_PHASE": "opposed_phase", "OPP_PHASE": "opposed_phase", "OP": "opposed_phase", "OUTPHASE": "opposed_phase",
}  # fmt: skip
_PHASE_WORDS: Final = frozenset(("P", "PHASE", "PHASE MAP", "PHASE_MAP", "REAL", "IMAGINARY", "R", "I", "VELOCITY"))
_MAP_WORDS: Final = frozenset(
    ("T1 MAP", "T2 MAP", "T2_STAR_MAP", "T2_MAP", "T1_MAP", "R2 MAP", "R2_MAP", "R2STAR", "T2STAR MAP",
     "PROTON_DENSITY MAP", "FAT_FRACTION", "FF", "PERFUSION", "TTP", "CBF", "CBV", "FA", "EADC", "T2STAR_MAP", "T2*MAP")
)  # fmt: skip
_DERIVED_WORDS: Final = frozenset(
    (
        "MPR",
        "PROJECTION IMAGE",
        "MIP",
        "MIN IP",
        "SUBTRACTION",
        "SUB",
        "REFORMATTED",
        "COMPOSED",
        "RESAMPLED",
        "MNIP",
        "CSA MPR",
    )
)
_DWI_WORDS: Final = frozenset(("DIFFUSION", "TRACEW", "TRACE", "DWI", "CALC_BVALUE"))


@dataclass(frozen=True)
class Decision:
    """A role with its contrast class and why; the first reason is the one that decided."""

    role: Role
    sequence_class: SequenceClass
    reasons: tuple[Reason, ...]


def limit(name: str, key: str = "value") -> float:
    """A number of ``roles.yaml``, e.g. ``limit("stir_ti_ms", "low")``."""
    return float(load("roles.yaml")[name][key])


def decide(sequence: Sequence, description: str) -> Decision:
    """The role of a series from its physics and its words."""
    words = meanings(description)
    if sequence.modality == "CT":
        return _decide_ct(sequence, description)
    types = frozenset(sequence.image_type)
    weighted = sequence.b_value is not None and sequence.b_value >= limit("diffusion_b_min")
    early = _by_image_type(types, words, weighted)
    if early is not None:
        return early
    part = next((_DIXON_PARTS[word] for word in sequence.image_type if word in _DIXON_PARTS), None)
    part = part or _part_by_words(words)
    if part is not None:
        return _decide_dixon(sequence, part, words)
    if _is_gradient_echo(sequence, words):
        return _decide_gradient(sequence, words)
    return _decide_spin_echo(sequence, words)


def _one(role: Role, kind: SequenceClass, code: str, text: str) -> Decision:
    return Decision(role, kind, (Reason(code, text),))


def _by_image_type(types: frozenset[str], words: frozenset[str], diffusion_weighted: bool) -> Decision | None:
    """What the image type settles alone, then the same from words."""
    maps, derived = sorted(types & _MAP_WORDS), sorted(types & _DERIVED_WORDS)
    is_adc = "ADC" in types or ("adc" in words and "EADC" not in types)
    is_dwi = diffusion_weighted or bool(types & _DWI_WORDS) or "diffusion" in words
    other, dwi = SequenceClass.OTHER, SequenceClass.DWI
    candidates = (
        ("LOCALIZER" in types or "localizer" in words, Role.OTHER, other, "localizer", "a localizer"),
        (is_adc, Role.ADC, dwi, "adc", "an apparent diffusion coefficient map"),
        (bool(maps), Role.MAP, other, "map", f"a computed map ({', '.join(maps)})"),
        (bool(types & _PHASE_WORDS), Role.OTHER, other, "phase_image", "a phase, real or imaginary image"),
        (bool(derived), Role.OTHER, other, "derived", f"a derived image ({', '.join(derived)})"),
        (is_dwi, Role.OTHER, dwi, "diffusion", "a diffusion-weighted image"),
        ("derived" in words, Role.OTHER, other, "derived_words", "described as a derived image"),
    )
    return next((_one(role, kind, code, text) for true, role, kind, code, text in candidates if true), None)


def _part_by_words(words: frozenset[str]) -> str | None:
    if "dixon" not in words:
        return None
    return next((part for part in ("water", "fat", "in_phase", "opposed_phase") if part in words), None)


def _decide_dixon(sequence: Sequence, part: str, words: frozenset[str]) -> Decision:
    reason = Reason("dixon_part", f"the {part.replace('_', ' ')} image of a Dixon or chemical-shift acquisition")
    if part != "water":
        role = {"fat": Role.FAT, "in_phase": Role.IN_PHASE, "opposed_phase": Role.OPPOSED_PHASE}[part]
        kind = SequenceClass.GRE if _is_gradient_echo(sequence, words) else SequenceClass.OTHER
        return Decision(role, kind, (reason,))
    weighting = None if _is_gradient_echo(sequence, words) else _weighting(sequence, words)
    if weighting in ("t2", "pd"):
        return Decision(Role.FLUID, SequenceClass.DIXON_WATER, (reason, _physics(sequence, weighting)))
    return Decision(Role.WATER, SequenceClass.T1_FS if weighting == "t1" else SequenceClass.OTHER, (reason,))


def _is_gradient_echo(sequence: Sequence, words: frozenset[str]) -> bool:
    scanning = frozenset(sequence.scanning_sequence)
    if scanning & {"GR", "SE"}:
        return "SE" not in scanning
    return "gre" in words or _excites_weakly(sequence)


def _excites_weakly(sequence: Sequence) -> bool:
    """Whether flip angle and repetition time are a gradient echo's, where the header names no sequence."""
    if sequence.flip_deg is None or sequence.tr_ms is None:
        return False
    return 0 < sequence.flip_deg <= limit("gre_flip_max_deg") and 0 < sequence.tr_ms <= limit("gre_tr_max_ms")


def _decide_gradient(sequence: Sequence, words: frozenset[str]) -> Decision:
    if "EP" in sequence.scanning_sequence:
        return _one(Role.OTHER, SequenceClass.OTHER, "echo_planar", "a gradient echo planar image")
    if "map" in words and "DERIVED" in sequence.image_type:
        return _one(Role.MAP, SequenceClass.OTHER, "map_words", "described as a computed map")
    if "fluid_gre" in words:
        text = "a gradient echo that shows fluid (DESS, MEDIC and alike): misses edema, so it never sizes it"
        return _one(Role.FLUID_GRE, SequenceClass.GRE, "fluid_gradient_echo", text)
    if sequence.contrast_agent and sequence.fat_suppression in _SUPPRESSING:
        text = "a fat-suppressed T1 gradient echo after contrast"
        return _one(Role.T1_CONTRAST_FS, SequenceClass.T1_FS, "t1_fs_after_contrast", text)
    return _one(Role.OTHER, SequenceClass.GRE, "gradient_echo", "a gradient echo: not sensitive enough to marrow edema")


def _decide_spin_echo(sequence: Sequence, words: frozenset[str]) -> Decision:
    if "EP" in sequence.scanning_sequence:
        return _one(Role.OTHER, SequenceClass.DWI, "echo_planar", "an echo planar image")
    if "map" in words:
        return _one(Role.MAP, SequenceClass.OTHER, "map_words", "described as a computed map")
    if sequence.ti_ms is not None and sequence.ti_ms >= limit("flair_ti_ms", "low"):
        text = f"an inversion time of {sequence.ti_ms:.0f} ms nulls fluid, not fat"
        return _one(Role.OTHER, SequenceClass.OTHER, "long_inversion", text)
    if sequence.fat_suppression is FatSuppression.INVERSION:
        return _stir(sequence)
    weighting = _weighting(sequence, words)
    if weighting is None:
        text = "neither repetition and echo time nor the words tell the weighting"
        return _one(Role.OTHER, SequenceClass.UNKNOWN, "weighting_unknown", text)
    suppressed = sequence.fat_suppression in _SUPPRESSING
    return _suppressed(sequence, weighting) if suppressed else _unsuppressed(sequence, weighting)


def _stir(sequence: Sequence) -> Decision:
    if sequence.ti_ms is None:
        reason = Reason("stir_words", "described as STIR or TIRM; the header gives no inversion time")
    else:
        reason = Reason("stir_inversion_time", f"inversion time {sequence.ti_ms:.0f} ms nulls fat")
    return Decision(Role.FLUID, SequenceClass.STIR, (reason,))


def _suppressed(sequence: Sequence, weighting: str) -> Decision:
    how = Reason(f"fat_{sequence.fat_suppression}", f"fat suppressed ({sequence.fat_suppression.replace('_', ' ')})")
    physics = _physics(sequence, weighting)
    if weighting == "t1":
        if sequence.contrast_agent:
            return Decision(Role.T1_CONTRAST_FS, SequenceClass.T1_FS, (physics, how))
        no_agent = Reason("t1_fs_without_contrast", "T1 with fat suppression and no contrast agent stated")
        return Decision(Role.OTHER, SequenceClass.T1_FS, (no_agent, physics, how))
    kind = SequenceClass.T2_FS if weighting == "t2" else SequenceClass.PD_FS
    return Decision(Role.FLUID, kind, (physics, how))


def _unsuppressed(sequence: Sequence, weighting: str) -> Decision:
    physics = _physics(sequence, weighting)
    if weighting == "t1":
        if sequence.contrast_agent:
            after = Reason("t1_after_contrast", "T1 after contrast without fat suppression")
            return Decision(Role.OTHER, SequenceClass.T1, (after, physics))
        return Decision(Role.T1, SequenceClass.T1, (physics,))
    missing = Reason("no_fat_suppression", f"{weighting.upper()}-weighted, but no fat suppression stated")
    kind = SequenceClass.T2 if weighting == "t2" else SequenceClass.PD
    return Decision(Role.T2_NOFS if weighting == "t2" else Role.OTHER, kind, (missing, physics))


def _physics(sequence: Sequence, weighting: str) -> Reason:
    if sequence.tr_ms is None or sequence.te_ms is None:
        return Reason(f"{weighting}_words", f"described as {weighting.upper()}; the header gives no TR and TE")
    return Reason(
        f"{weighting}_physics", f"TR {sequence.tr_ms:.0f} ms, TE {sequence.te_ms:.0f} ms: {weighting.upper()}"
    )


def _weighting(sequence: Sequence, words: frozenset[str]) -> str | None:
    """``t1``, ``t2``, ``pd``, or None when neither physics nor words tell."""
    tr, te, ti = sequence.tr_ms, sequence.te_ms, sequence.ti_ms
    if tr is None or te is None:
        named = [w for w in ("t1", "t2", "pd") if w in words]
        return named[0] if len(named) == 1 else None
    if te <= limit("t1_te_max_ms") and tr <= limit("t1_tr_max_ms"):
        return "t1"
    inverted = ti is not None and limit("t1_ir_ti_ms", "low") <= ti <= limit("t1_ir_ti_ms", "high")
    if te <= limit("t1_te_max_ms") and inverted:
        return "t1"
    if te >= limit("t2_te_min_ms"):
        return "t2"
    if tr >= limit("pd_tr_min_ms"):
        return "pd"
    return next((w for w in ("t1", "t2", "pd") if w in words), None)


def _decide_ct(sequence: Sequence, description: str) -> Decision:
    words = meanings(description)
    if frozenset(sequence.image_type) & (_DERIVED_WORDS | {"LOCALIZER"}):
        return _one(Role.OTHER, SequenceClass.OTHER, "derived", "a CT localizer or reformat")
    if "ct_material" in words:
        text = "a material map of spectral CT (virtual non-calcium and alike): not in Hounsfield units"
        return _one(Role.MAP, SequenceClass.OTHER, "ct_material_map", text)
    if sequence.hounsfield is False:
        return _one(Role.OTHER, SequenceClass.OTHER, "not_hounsfield", "CT values without a scale to Hounsfield units")
    kvp = f" at {sequence.kvp:.0f} kV" if sequence.kvp is not None else ""
    return _one(Role.CT, SequenceClass.OTHER, "ct", f"CT{kvp}")
