"""From a path to a :class:`Study`: find, parse, split, stack, decode, decide. The room's one way in."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from marrowscope.study import limits
from marrowscope.study.dicom_file import HeaderBudget, is_dicom, quiet_pydicom, read_header
from marrowscope.study.facts import parse_date, patient_of, side_of, site_of
from marrowscope.study.frames import Frame, frame_header, frames_of, is_radiograph
from marrowscope.study.guard import InputFile, RefusedInputError, find_inputs
from marrowscope.study.header import Header
from marrowscope.study.pixels import PixelReader, check_size, read_stack, volume_bytes
from marrowscope.study.plan import Planned, plan_series, series_name, settle_contrast, settle_energy
from marrowscope.study.qc import judge
from marrowscope.study.radiograph import radiograph_of, with_picture
from marrowscope.study.redact import names_in, redact
from marrowscope.study.types import PatientFacts, Radiograph, Refusal, Role, Series, SourceFrame, SourceFrames, Study
from marrowscope.volume import Volume

_ROLE_ORDER = (Role.FLUID, Role.T1, Role.T1_CONTRAST_FS, Role.T2_NOFS, Role.WATER, Role.FAT, Role.IN_PHASE)
"""Which pixels are read first when a study is larger than :data:`limits.MAX_STUDY_BYTES`."""


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
    from marrowscope.study.sidecar import sidecar_of

    path = Path(path)
    if series:
        return read_nifti_study({role: _under(path, file) for role, file in series.items()})
    with tempfile.TemporaryDirectory(prefix="marrowscope-") as scratch:
        inputs = find_inputs(path, Path(scratch))
        niftis = tuple(f for f in inputs.files if looks_like_nifti(f))
        beside = {sidecar for f in niftis if (sidecar := sidecar_of(f.path)) is not None}
        others = tuple(f for f in inputs.files if f not in set(niftis) and f.path not in beside)
        with quiet_pydicom():
            study = _read_dicom_study(others, inputs.refusals)
        if study.series:
            return _without_niftis(study, niftis)
        if not niftis:
            return study
        return read_nifti_study({f.name: f.path for f in niftis}, guess=True, refusals=study.refusals)


def _without_niftis(study: Study, niftis: tuple[InputFile, ...]) -> Study:
    """A DICOM study with the NIfTI files that lay beside it listed as left out."""
    if not niftis:
        return study
    error = RefusedInputError(
        "nifti_beside_dicom", "a NIfTI file beside a DICOM study, which is read instead", "one or the other",
        "name it with --series ROLE=FILE to use it",
    )  # fmt: skip
    names = names_in([Header(study.dicom_header)]) if study.dicom_header is not None else ()
    beside = gather(tuple(error.refusal(file.name) for file in niftis), names)
    return replace(study, refusals=(*study.refusals, *beside))


def _under(path: Path, file: Path) -> Path:
    return file if file.is_absolute() or file.exists() or not path.is_dir() else path / file


def _read_dicom_study(files: tuple[InputFile, ...], refusals: tuple[Refusal, ...]) -> Study:
    frames, radiographs, refused = _read_frames(files)
    frames, foreign = one_study(frames)
    planned, unplanned = plan_series(frames)
    names = names_in(Header(frame.source.dataset) for frame in frames[:1])
    series, undecoded, hashes = _decode(settle_energy(settle_contrast(planned)))
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
        radiographs=tuple(radiographs),
    )


def _read_frames(files: tuple[InputFile, ...]) -> tuple[list[Frame], list[Radiograph], list[Refusal]]:
    frames: list[Frame] = []
    radiographs: list[Radiograph] = []
    refused: list[Refusal] = []
    budget = HeaderBudget()
    for file in files:
        try:
            if not is_dicom(file):
                raise RefusedInputError("not_an_image", "neither DICOM nor NIfTI", "image files")
            dicom = budget.spend(read_header(file))
            if is_radiograph(dicom):
                pictures = sum(one.picture is not None for one in radiographs)
                radiographs.append(with_picture(radiograph_of(dicom), dicom, pictures))
            else:
                frames += tuple(frames_of(dicom))  # whole or not at all
        except RefusedInputError as error:
            refused.append(error.refusal(file.name))
    return frames, radiographs, refused


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
    for one in sorted(planned, key=_usefulness):
        first = one.stack.frames[0]
        try:
            check_size(one.stack.frames)
            size = volume_bytes(one.stack.frames)
            if size > budget:
                raise RefusedInputError(
                    "study_too_large", f"over {limits.MAX_STUDY_BYTES} bytes of volumes in one study"
                )
            volume = Volume(read_stack(one.stack, reader), one.stack.affine)
            budget -= volume.array.nbytes
        except RefusedInputError as error:
            refused.append(error.refusal(series_name(first.series_number), len(one.stack.frames)))
            continue
        series.append(_series(one, volume))
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
    """The frames of the study with most frames, then of its patient with most; two patients must never be mixed."""
    kept, foreign = _most(frames, lambda frame: frame.study_uid, "another_study", "studies")
    ids = Counter(patient for frame in kept if (patient := _patient(frame)))
    if len(ids) <= 1:
        return kept, foreign
    usual = min(ids, key=lambda patient: (-ids[patient], patient))
    kept, others = _most(kept, lambda frame: _patient(frame) or usual, "another_patient", "patient IDs in one study")
    return kept, foreign + others


def _patient(frame: Frame) -> str:
    return Header(frame.source.dataset).text("PatientID").upper()


def _most(frames: list[Frame], of: Callable[[Frame], str], code: str, many: str) -> tuple[list[Frame], list[Refusal]]:
    """The largest group of frames, and the others refused."""
    groups: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[of(frame)].append(frame)
    if len(groups) <= 1:
        return frames, []
    kept = min(groups, key=lambda key: (-len(groups[key]), key))
    error = RefusedInputError(code, f"{len(groups)} {many}", "one study", "give each study a folder of its own")
    what = code.replace("_", " ")
    return groups[kept], [error.refusal(what, len(members)) for key, members in groups.items() if key != kept]


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
