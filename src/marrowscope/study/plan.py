"""From frames to stacks with roles: copies dropped, series split, contrast and tube voltage settled study-wide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from marrowscope.study.contrast import facts_of, injection_time, settle
from marrowscope.study.energy import CtFacts, energies
from marrowscope.study.frames import Frame, frame_header
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import Header
from marrowscope.study.pixels import PixelReader
from marrowscope.study.roles import Decision, decide
from marrowscope.study.sequence import description_of, sequence_of
from marrowscope.study.split import Part, split
from marrowscope.study.stack import MIN_SLICES, Stack, build_stack
from marrowscope.study.types import Reason, Refusal, Role, Sequence

_LOSSY_SYNTAXES: Final = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "81"))
"""JPEG baseline and extended, near-lossless JPEG-LS. JPEG 2000 may be either: there the header's word is taken."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A stack whose pixels are still to be read, with what was decided from its header."""

    uid: str
    stack: Stack
    sequence: Sequence
    description: str
    decision: Decision
    reasons: tuple[Reason, ...]


def plan_series(frames: list[Frame]) -> tuple[list[Planned], list[Refusal]]:
    """The stacks of a study's frames with their roles, and why the rest is no stack."""
    by_series: dict[str, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=_frame_order):
        by_series[frame.series_uid].append(frame)
    planned: list[Planned] = []
    refused: list[Refusal] = []
    reader = PixelReader()
    for uid, members in by_series.items():
        name = series_name(members[0].series_number)
        try:
            unique, copies, damaged = without_copies(members, reader)
            refused += damaged
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


def without_copies(
    frames: list[Frame], reader: PixelReader
) -> tuple[list[Frame], tuple[Reason, ...], tuple[Refusal, ...]]:
    """Frames with each SOP instance once, and the damaged copies of whole files, refused by name.

    Raises:
        RefusedInputError: ``conflicting_copies`` when two files of one SOP Instance UID differ in place or pixels.
    """
    groups: dict[tuple[str, int], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.sop_instance_uid, frame.index].append(frame)
    damaged = _damaged_copies(groups.values(), reader)
    kept: list[Frame] = []
    for group in groups.values():
        whole = [frame for frame in group if frame.source.file.name not in damaged] or group
        if not all(_same_image(whole[0], other, reader) for other in whole[1:]):
            raise RefusedInputError(
                "conflicting_copies", "two different images with one SOP Instance UID", "one image a UID"
            )
        kept.append(whole[0])
    copies = len(frames) - len(kept) - sum(frame.source.file.name in damaged for frame in frames)
    reason = Reason("duplicates_dropped", f"{copies} copy(ies) of the same instance dropped")
    refused = tuple(error.refusal(name) for name, error in sorted(damaged.items()))
    return kept, (reason,) if copies else (), refused


def _same_image(one: Frame, other: Frame, reader: PixelReader) -> bool:
    placed = [(frame.position, frame.orientation) for frame in (one, other)]
    return placed[0] == placed[1] and reader.same(one, other)


def _damaged_copies(groups: Iterable[list[Frame]], reader: PixelReader) -> dict[str, RefusedInputError]:
    """Files that cannot be decoded though a copy of every frame of theirs can, by name, each with what is wrong."""
    faults: dict[str, RefusedInputError] = {}
    replaceable: dict[str, bool] = defaultdict(lambda: True)
    for group in groups:
        if len(group) > 1 and not all(_same_image(group[0], other, reader) for other in group[1:]):
            found = {frame.source.file.name: reader.fault(frame) for frame in group}
            faults.update({name: fault for name, fault in found.items() if fault is not None})
        else:
            found = {frame.source.file.name: None for frame in group}
        for name in found:
            replaceable[name] &= any(fault is None for other, fault in found.items() if other != name)
    return {name: fault for name, fault in faults.items() if replaceable[name]}


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
    reasons = (*part.reasons, *stack.reasons, *_lossy(stack.frames))
    return Planned(uid, stack, sequence, description, decision, reasons)


def _lossy(frames: tuple[Frame, ...]) -> tuple[Reason, ...]:
    """Whether pixels were compressed with loss, now or at any time before."""
    for frame in frames:
        syntax = frame.source.transfer_syntax
        said = Header(frame.source.dataset).text("LossyImageCompression") == "01"
        if said or syntax in _LOSSY_SYNTAXES:
            return (Reason("lossy_compression", "compressed with loss: fine texture and faint edges are altered"),)
    return ()


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


def settle_energy(planned: list[Planned]) -> list[Planned]:
    """The plans with the two halves of a dual-energy CT told apart."""
    at = [i for i, plan in enumerate(planned) if plan.decision.role is Role.CT]
    found = energies([_ct_facts(planned[i]) for i in at])
    settled = list(planned)
    for place, (role, reason) in found.items():
        plan = planned[at[place]]
        decision = replace(plan.decision, role=role, reasons=(reason, *plan.decision.reasons))
        settled[at[place]] = replace(plan, decision=decision)
    return settled


def _ct_facts(plan: Planned) -> CtFacts:
    first = plan.stack.frames[0]
    acquired = facts_of(frame_header(first), None).acquired_s
    frames = len(plan.stack.frames)
    return CtFacts(plan.stack.affine, frames, first.frame_of_reference_uid, plan.sequence.kvp, acquired)
