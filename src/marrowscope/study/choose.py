"""Which of several candidates is used: a stated order, never chance."""

from __future__ import annotations

from marrowscope.errors import NoFluidSeriesError
from marrowscope.measurement import Severity
from marrowscope.study.types import Role, SequenceClass, Series, Study

_CLASS_ORDER = (
    SequenceClass.STIR,
    SequenceClass.T2_FS,
    SequenceClass.DIXON_WATER,
    SequenceClass.PD_FS,
    SequenceClass.UNKNOWN,
)
"""Fluid classes by how plainly edema stands out against fatty marrow (STIR and T2 before PD)."""


_NOT_MR = frozenset((Role.CT, Role.CT_LOW_KV, Role.CT_HIGH_KV, Role.RADIOGRAPH))
_BY_INTAKE = (
    "add the MRI; without one, write what was read or reported into an intake (marrowscope intake new) "
    "and explain it with marrowscope reason FILE"
)


def rank(series: tuple[Series, ...], plane: str | None = None) -> tuple[Series, ...]:
    """Candidates of one role, best first.

    The order: not refused by QC; in the plane asked for; fewest QC warnings; class (STIR, T2-FS,
    Dixon water, PD-FS, unknown); finest voxels; series number; uid.
    """

    return tuple(sorted(series, key=lambda s: _key(s, plane)))


_CRITERIA = (
    "it passes its quality checks",
    "it lies in the plane asked for",
    "it has fewer quality warnings",
    "its contrast class shows edema more plainly",
    "its voxels are finer",
    "it has the lower series number",
    "it comes first by its uid",
)
"""What each place of :func:`_key` means, in its order."""


def _key(s: Series, plane: str | None) -> tuple[bool, bool, int, int, float, int, str]:
    warnings = sum(check.severity is Severity.WARNING for check in s.qc)
    order = _CLASS_ORDER.index(s.sequence_class) if s.sequence_class in _CLASS_ORDER else len(_CLASS_ORDER)
    number = s.number if s.number is not None else 0
    off_plane = plane is not None and s.plane != plane
    return (not s.usable, off_plane, warnings, order, round(s.volume.voxel_volume_mm3, 3), number, s.uid)


def explain_choice(study: Study, plane: str | None = None) -> str:
    """Why lesions are sized on the series that :func:`require_fluid` takes; empty when it takes none."""
    candidates = rank(tuple(s for s in study.series if s.role is Role.FLUID), plane)
    if not candidates or not candidates[0].usable:
        return ""
    best = candidates[0]
    if len(candidates) == 1:
        return f"series {_named(best)} is the only fluid-sensitive series"
    pairs = zip(_key(best, plane), _key(candidates[1], plane), _CRITERIA, strict=True)
    why = next(text for one, other, text in pairs if one != other)
    return f"series {_named(best)} is taken before series {_named(candidates[1])}: {why}"


def _named(series: Series) -> str:
    return str(series.number) if series.number is not None else series.uid


def require_fluid(study: Study, plane: str | None = None) -> Series:
    """The fluid series lesions are sized on.

    Raises:
        NoFluidSeriesError: no series of role ``fluid`` passes its quality checks; the message names the
            nearest ones and why each is not usable.
    """
    candidates = rank(tuple(s for s in study.series if s.role is Role.FLUID), plane)
    usable = next((s for s in candidates if s.usable), None)
    if usable is not None:
        return usable
    raise NoFluidSeriesError(
        f"no usable fat-suppressed fluid-sensitive series: {nearest(study)}",
        "a STIR, a fat-suppressed T2 or PD spin echo, or a T2 Dixon water image before contrast",
        "add that series to the study, or name it with --series fluid=FILE" if _has_mr(study) else _BY_INTAKE,
    )


def _has_mr(study: Study) -> bool:
    return any(s.role not in _NOT_MR for s in study.series if s.sequence.modality != "CT")


def nearest(study: Study, count: int = 3) -> str:
    """The series nearest to a usable fluid series, and what each lacks, in words."""
    order = (Role.FLUID, Role.T2_NOFS, Role.FLUID_GRE, Role.WATER, Role.T1_CONTRAST_FS)
    near = sorted((s for s in study.series if s.role in order), key=lambda s: (order.index(s.role), s.number or 0))
    if not near:
        return _nothing_near(study)
    return "; ".join(f"series {s.number if s.number is not None else s.uid}: {_lacks(s)}" for s in near[:count])


def _nothing_near(study: Study) -> str:
    kinds = {"CT": any(s.sequence.modality == "CT" for s in study.series), "radiographs": bool(study.radiographs)}
    present = " and ".join(name for name, there in kinds.items() if there)
    if present and not _has_mr(study):
        return f"it holds {present} only, on which bone marrow edema is not sized"
    return "none comes near" if study.series else "nothing in it could be read as a volume"


def _lacks(series: Series) -> str:
    if series.role is Role.FLUID:
        return ", ".join(check.message for check in series.refused)
    return series.reasons[0].text if series.reasons else str(series.role)
