"""From a path to a :class:`Study`: find, parse, split, stack, decode, decide. The room's one way in."""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from marrowscope.study import limits
from marrowscope.study.contrast import facts_of, injection_time, settle
from marrowscope.study.facts import parse_date, patient_of, side_of, site_of
from marrowscope.study.frames import Frame, frame_header, frames_of
from marrowscope.study.guard import InputFile, RefusedInputError, find_inputs
from marrowscope.study.header import Header, is_dicom, quiet_pydicom, read_header
from marrowscope.study.pixels import PixelReader, check_size, read_stack, volume_bytes
from marrowscope.study.qc import judge
from marrowscope.study.redact import names_in, redact
from marrowscope.study.roles import Decision, decide
from marrowscope.study.sequence import description_of, sequence_of
from marrowscope.study.split import Part, split
from marrowscope.study.stack import MIN_SLICES, Stack, build_stack
from marrowscope.study.types import (
    PatientFacts,
    Reason,
    Refusal,
    Role,
    Sequence,
    Series,
    SourceFrame,
    SourceFrames,
    Study,
)
from marrowscope.volume import Volume

_ROLE_ORDER = (Role.FLUID, Role.T1, Role.T1_CONTRAST_FS, Role.T2_NOFS, Role.WATER, Role.FAT, Role.IN_PHASE)
"""Which pixels are read first when a study is larger than :data:`limits.MAX_STUDY_BYTES`."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A stack whose pixels are still to be read, with what was decided from its header."""

    uid: str
    stack: Stack
    sequence: Sequence
    description: str
    decision: Decision
    reasons: tuple[Reason, ...]


def read_study(path: Path | str, *, series: Mapping[str, Path] | None = None) -> Study:
    """Read a study: a folder of any nesting, a zip of one, a multi-frame DICOM file, or NIfTI files.

    Args:
        path: the folder, archive or file.
        series: NIfTI files by role (``{"fluid": Path, "t1": Path}``); their roles are not guessed. Relative
            paths are taken from ``path``.

    Returns:
        Every usable volume with its role and reasons, and every refusal with its reason.

    Raises:
        StudyError: the path cannot be opened. A study without any usable image is returned with its refusals.
        LimitExceededError: the input as a whole is over a bound of :mod:`limits`.
        UsageError: ``series`` names an unknown role.
    """
    from marrowscope.study.nifti import looks_like_nifti, read_nifti_study

    path = Path(path)
    if series:
        return read_nifti_study({role: _under(path, file) for role, file in series.items()})
    with tempfile.TemporaryDirectory(prefix="marrowscope-") as scratch:
        inputs = find_inputs(path, Path(scratch))
        niftis = tuple(f for f in inputs.files if looks_like_nifti(f))
        others = tuple(f for f in inputs.files if f not in set(niftis))
        with quiet_pydicom():
            study = _read_dicom_study(others, inputs.refusals)
        if study.series or not niftis:
            return study
        return read_nifti_study({f.name: f.path for f in niftis}, guess=True, refusals=study.refusals)


def _under(path: Path, file: Path) -> Path:
    return file if file.is_absolute() or file.exists() or not path.is_dir() else path / file


def _read_dicom_study(files: tuple[InputFile, ...], refusals: tuple[Refusal, ...]) -> Study:
    frames, refused = _read_frames(files)
    frames, foreign = one_study(frames)
    planned, unplanned = _plan(frames)
    names = names_in(Header(frame.source.dataset) for frame in frames[:1])
    series, undecoded, hashes = _decode(settle_contrast(planned))
    headers = tuple(frame_header(plan.stack.frames[0]) for plan in planned)
    patient = patient_of(headers[0]) if headers else PatientFacts()
    firsts = {plan.uid: _first_instance(plan) for plan in planned}
    ordered = tuple(sorted(series, key=lambda s: (s.number or 0, s.uid)))
    site = site_of(headers, ordered)
    judged = judge(ordered, patient, site, firsts)
    studied = parse_date(headers[0].text("StudyDate")) if headers else None
    return Study(
        kind="dicom",
        series=judged,
        refusals=gather((*refusals, *refused, *foreign, *unplanned, *undecoded), names),
        patient=patient,
        site=site,
        side=side_of(headers, judged),
        study_date=studied.isoformat() if studied else None,
        dicom_header=frames[0].source.dataset if frames else None,
        file_hashes=hashes,
        input_hash=hashlib.sha256("".join(hashes).encode()).hexdigest(),
    )


def _read_frames(files: tuple[InputFile, ...]) -> tuple[list[Frame], list[Refusal]]:
    frames: list[Frame] = []
    refused: list[Refusal] = []
    for file in files:
        try:
            if not is_dicom(file):
                raise RefusedInputError("not_an_image", "neither DICOM nor NIfTI", "image files")
            frames += frames_of(read_header(file))
        except RefusedInputError as error:
            refused.append(error.refusal(file.name))
    return frames, refused


def _plan(frames: list[Frame]) -> tuple[list[Planned], list[Refusal]]:
    by_series: dict[str, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=_frame_order):
        by_series[frame.series_uid].append(frame)
    planned: list[Planned] = []
    refused: list[Refusal] = []
    reader = PixelReader()
    for uid, members in by_series.items():
        name = series_name(members[0].series_number)
        try:
            unique, copies = without_copies(members, reader)
            parts = split(unique, reader.same)
        except RefusedInputError as error:
            refused.append(error.refusal(name, len(members)))
            continue
        for index, part in enumerate(parts):
            try:
                part_uid = f"{uid}/{index + 1}" if len(parts) > 1 else uid
                planned.append(_plan_part(part_uid, Part(part.frames, (*copies, *part.reasons))))
            except RefusedInputError as error:
                refused.append(_explain(error, part, len(parts)).refusal(name, len(part.frames)))
    return planned, refused


def _frame_order(frame: Frame) -> tuple[int, int, str, int, str]:
    """An order that does not depend on file names."""
    return (frame.series_number or 0, frame.instance_number or 0, frame.sop_instance_uid, frame.index, frame.series_uid)


def series_name(number: int | None) -> str:
    """How messages name a series: by number, never by what a person typed."""
    return f"series {number}" if number is not None else "a series without number"


def without_copies(frames: list[Frame], reader: PixelReader) -> tuple[list[Frame], tuple[Reason, ...]]:
    """Frames with each SOP instance once.

    Raises:
        RefusedInputError: ``conflicting_copies`` when two files of one SOP Instance UID differ in place or pixels.
    """
    seen: dict[tuple[str, int], Frame] = {}
    for frame in frames:
        first = seen.setdefault((frame.sop_instance_uid, frame.index), frame)
        if first is frame:
            continue
        if first.position != frame.position or first.orientation != frame.orientation or not reader.same(first, frame):
            raise RefusedInputError(
                "conflicting_copies", "two different images with one SOP Instance UID", "one image a UID"
            )
    copies = len(frames) - len(seen)
    reason = Reason("duplicates_dropped", f"{copies} copy(ies) of the same instance dropped")
    return list(seen.values()), (reason,) if copies else ()


def _explain(error: RefusedInputError, part: Part, parts: int) -> RefusedInputError:
    """A stack too small because its series was parted says so: that is the cause the user can act on."""
    codes = [reason.code for reason in part.reasons]
    if error.reason_code != "too_few_slices":
        return error
    if "LOCALIZER" in part.frames[0].kind:
        return RefusedInputError("localizer", "a localizer of too few parallel slices", "a stack of slices")
    if "split_by_orientation" in codes:
        return RefusedInputError(
            "several_orientations", f"one series in {parts} orientations, {len(part.frames)} slice(s) in this one",
            f"at least {MIN_SLICES} parallel slices",
        )  # fmt: skip
    if {"split_by_time", "split_by_repeat", "split_by_acquisition"} & set(codes):
        return RefusedInputError(
            "one_place_many_times", f"{parts} images of one place (a cine or time series)", "a stack of slices"
        )
    return error


def _plan_part(uid: str, part: Part) -> Planned:
    stack = build_stack(part.frames)
    first = stack.frames[0]
    sequence = sequence_of(first)
    description = description_of(frame_header(first))
    decision = decide(sequence, description)
    return Planned(uid, stack, sequence, description, decision, (*part.reasons, *stack.reasons))


def settle_contrast(planned: list[Planned]) -> list[Planned]:
    """The plans decided again, knowing what the whole study tells about contrast."""
    facts = [facts_of(frame_header(p.stack.frames[0]), p.sequence.contrast_agent) for p in planned]
    injected = injection_time(facts)
    settled = []
    for plan, fact in zip(planned, facts, strict=True):
        agent, why = settle(fact, injected)
        sequence = replace(plan.sequence, contrast_agent=agent)
        decision = decide(sequence, plan.description)
        settled.append(replace(plan, sequence=sequence, decision=decision, reasons=(*why, *plan.reasons)))
    return settled


def _first_instance(plan: Planned) -> int | None:
    """Lowest instance number of a series that was not split and is one frame a file."""
    frames = plan.stack.frames
    numbers = [f.instance_number for f in frames if f.instance_number is not None]
    if "/" in plan.uid or frames[0].of is not None or len(numbers) != len(frames):
        return None
    contiguous = max(numbers) - min(numbers) == len(numbers) - 1
    return min(numbers) if contiguous else None


def _decode(planned: list[Planned]) -> tuple[list[Series], list[Refusal], tuple[str, ...]]:
    reader = PixelReader()
    budget = limits.MAX_STUDY_BYTES
    series: list[Series] = []
    refused: list[Refusal] = []
    for plan in sorted(planned, key=_usefulness):
        first = plan.stack.frames[0]
        try:
            check_size(plan.stack.frames)
            size = volume_bytes(plan.stack.frames)
            if size > budget:
                raise RefusedInputError(
                    "study_too_large", f"over {limits.MAX_STUDY_BYTES} bytes of volumes in one study"
                )
            volume = Volume(read_stack(plan.stack, reader), plan.stack.affine)
            budget -= volume.array.nbytes
        except RefusedInputError as error:
            refused.append(error.refusal(series_name(first.series_number), len(plan.stack.frames)))
            continue
        series.append(_series(plan, volume))
    return series, refused, tuple(sorted(reader.hashes.values()))


def _usefulness(plan: Planned) -> tuple[int, int, str]:
    role = plan.decision.role
    rank = _ROLE_ORDER.index(role) if role in _ROLE_ORDER else len(_ROLE_ORDER)
    return rank, plan.stack.frames[0].series_number or 0, plan.uid


def _series(plan: Planned, volume: Volume) -> Series:
    first = plan.stack.frames[0]
    header = frame_header(first)
    frames = tuple(
        SourceFrame(f.sop_class_uid, f.sop_instance_uid, None if f.of is None else f.index + 1, f.source.file.name)
        for f in plan.stack.frames
    )
    return Series(
        uid=plan.uid,
        number=first.series_number,
        description=redact(header.text("SeriesDescription"), names_in([header])),
        role=plan.decision.role,
        sequence_class=plan.decision.sequence_class,
        reasons=(*plan.decision.reasons, *plan.reasons),
        sequence=plan.sequence,
        volume=volume,
        source=SourceFrames(first.study_uid, first.series_uid, first.frame_of_reference_uid, frames),
    )


def one_study(frames: list[Frame]) -> tuple[list[Frame], list[Refusal]]:
    """The frames of the study with most frames; others are refused, for two patients must never be mixed."""
    by_study: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_study[frame.study_uid].append(frame)
    if len(by_study) <= 1:
        return frames, []
    kept = min(by_study, key=lambda uid: (-len(by_study[uid]), uid))
    error = RefusedInputError(
        "another_study", f"{len(by_study)} studies in one input", "one study", "give each study a folder of its own"
    )
    foreign = [error.refusal("another study", len(members)) for uid, members in by_study.items() if uid != kept]
    return by_study[kept], foreign


def gather(refusals: tuple[Refusal, ...], names: tuple[str, ...]) -> tuple[Refusal, ...]:
    """Refusals of one kind and reason as one with a count; patients' names blotted out of file names."""
    gathered: dict[tuple[str, str, str], Refusal] = {}
    for refusal in refusals:
        what = refusal.what if refusal.what.startswith("series ") else ""
        key = (refusal.code, refusal.reason, what)
        first = gathered.get(key)
        shown = redact(refusal.what, names)
        count = refusal.count + (first.count if first else 0)
        gathered[key] = replace(first or refusal, what=first.what if first else shown, count=count)
    return tuple(gathered.values())
