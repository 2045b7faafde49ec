"""From a study to an exam: the fluid series, its companions on its grid, site, side and quality."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from marrowscope.anatomy.align import align
from marrowscope.anatomy.knee_side import contradicted
from marrowscope.anatomy.shading import corrected
from marrowscope.anatomy.types import Companion, Exam
from marrowscope.errors import UsageError
from marrowscope.knowledge.choices import check_side
from marrowscope.labelmap import BoolArray
from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.progress import Progress
from marrowscope.sites import load_site, site_names
from marrowscope.study import Role, Series, Study
from marrowscope.study.choose import rank, require_fluid

COMPANION_ROLES = (
    Role.T1,
    Role.IN_PHASE,
    Role.OPPOSED_PHASE,
    Role.FAT,
    Role.WATER,
    Role.ADC,
    Role.T2_NOFS,
    Role.T1_CONTRAST_FS,
)
"""Roles that measurements are made on, beside the fluid series."""


def prepare_exam(study: Study, site: str | None, side: str | None, progress: Progress) -> Exam:
    """See :func:`marrowscope.assessment.pipeline.prepare`."""
    check_side(side or "")
    require_fluid(study)  # with nothing to size, say so before asking for a site
    name = _site(study, site)
    fluid = require_fluid(study, load_site(name).preferred_planes[0])
    with ThreadPoolExecutor(1) as beside:  # SimpleITK computes without the interpreter lock; each filter on one thread
        shading = beside.submit(corrected, fluid.volume)
        companions = _companions(study, fluid, progress)
        image = shading.result()
    unusable = _unusable(fluid)
    qc = (*fluid.qc, *(_registration_check(c) for c in companions.values()), *_missing_t1(companions))
    chosen_side = side or study.side.value or ""
    qc += _against_header(chosen_side, study.side.value or "")
    return Exam(study, fluid, image, companions, name, chosen_side, qc, unusable)


def _site(study: Study, site: str | None) -> str:
    name = site or study.site.value
    if name is None:
        hints = ", ".join(study.site.candidates) or "nothing in the study tells"
        raise UsageError(
            f"a study whose site cannot be told ({hints})", "a named site", "give --site knee (or si_joint)"
        )
    if name not in site_names():
        raise UsageError(f"site {name!r}", f"one of {', '.join(site_names())}", "give --site other with --bones FILE")
    return name


def _companions(study: Study, fluid: Series, progress: Progress) -> dict[Role, Companion]:
    wanted = [(role, _best(study, role, fluid)) for role in COMPANION_ROLES]
    present = [(role, s) for role, s in wanted if s is not None]
    found: dict[Role, Companion] = {}
    progress("alignment", 0, max(1, len(present)))
    for done, (role, series) in enumerate(present, start=1):
        companion = align(series, fluid.volume)
        if companion is not None:
            found[role] = companion
        progress("alignment", done, len(present))
    return found


def _best(study: Study, role: Role, fluid: Series) -> Series | None:
    candidates = rank(tuple(s for s in study.series if s.role is role and s.uid != fluid.uid), fluid.plane)
    return next((s for s in candidates if s.usable), None)


def _registration_check(companion: Companion) -> QcCheck:
    how = "rigid registration kept" if companion.registered else "header geometry kept"
    figure = Measurement.of("normalised_mutual_information", companion.similarity_after, "1")
    words = f"{companion.series.role.value} on the fluid grid: {how}"
    detail = f"similarity {companion.similarity_before:.3f} before, {companion.similarity_after:.3f} after"
    return QcCheck("registration", Severity.OK, f"{words} ({detail})", value=figure)


def _missing_t1(companions: dict[Role, Companion]) -> tuple[QcCheck, ...]:
    if Role.T1 in companions:
        return ()
    consequence = "fat in the marrow, fracture lines and marrow replacement are not assessable"
    return (QcCheck("t1_missing", Severity.WARNING, "no usable T1 series without contrast", consequence),)


def _against_header(side: str, header: str) -> tuple[QcCheck, ...]:
    """A warning where the side that was given is not the header's; it is used all the same."""
    if not contradicted(side, header):
        return ()
    message = f"the side was given as {side}, but the header says {header}"
    consequence = f"the report says {side}, and DICOM objects keep what the header says: check the side"
    return (QcCheck("side_given", Severity.WARNING, message, consequence),)


def _unusable(fluid: Series) -> BoolArray:
    """What is not to be sized on: slices whose fat suppression failed, metal voids with their margin."""
    mask = np.zeros(fluid.volume.shape, dtype=bool)
    if fluid.left_out is not None:
        mask |= fluid.left_out
    for check in fluid.qc:
        if check.severity is Severity.WARNING and check.code == "fat_suppression":
            for index in check.slices:
                mask[(slice(None),) * fluid.volume.slice_axis + (index,)] = True
    return mask
