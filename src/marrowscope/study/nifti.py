"""NIfTI at the edge: bounded reading, roles from flags or file names, the file's own grid kept."""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from marrowscope.errors import GeometryError, UsageError
from marrowscope.study import limits
from marrowscope.study.facts import side_of, site_of
from marrowscope.study.guard import InputFile, RefusedInputError
from marrowscope.study.header import Header
from marrowscope.study.roles import Decision, decide
from marrowscope.study.sidecar import Sidecar, read_sidecar, sidecar_of
from marrowscope.study.stack import MIN_SLICES, plausible
from marrowscope.study.types import (
    FatSuppression,
    NiftiSource,
    PatientFacts,
    Reason,
    Refusal,
    Role,
    Sequence,
    SequenceClass,
    Series,
    Study,
)
from marrowscope.study.words import meanings
from marrowscope.volume import AnyArray, Volume, ras_to_lps

_SUFFIXES: Final = (".nii", ".nii.gz")
_SAME_PLACE_MM: Final = 0.5
"""How far sform and qform may differ: a qform is a rounded quaternion."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_HEADER_BYTES: Final = 348
_MAGIC_AT: Final = 344
_CLASS_OF_ROLE: Final = {
    Role.T1: SequenceClass.T1,
    Role.T1_CONTRAST_FS: SequenceClass.T1_FS,
    Role.T2_NOFS: SequenceClass.T2,
}
_ENTITIES: Final = re.compile(r"(?<![A-Za-z0-9])(?:sub|ses|run|bp|hemi|vp|chunk|part)-[A-Za-z0-9]+_?")
"""Parts of a BIDS or MIDS name that say who, when and where, not how; ``sub-`` is no subtraction."""

_MASK_WORDS: Final = ("lesion", "mask", "label", "region", "seg", "roi", "normal_marrow", "bones")


def looks_like_nifti(file: InputFile) -> bool:
    """Whether a file is named as NIfTI (its content is checked when it is read)."""
    return file.name.lower().endswith(_SUFFIXES)


def read_nifti_study(files: Mapping[str, Path], *, guess: bool = False, refusals: tuple[Refusal, ...] = ()) -> Study:
    """A study of NIfTI files, keyed by role, or by name when ``guess`` is set.

    Raises:
        UsageError: a key that is no role.
        StudyError: a file named on purpose cannot be read.
    """
    series: list[Series] = []
    refused: list[Refusal] = list(refusals)
    hashes: list[str] = []
    headers: list[Header] = []
    budget = limits.MAX_STUDY_BYTES
    for number, (key, path) in enumerate(sorted(files.items()), start=1):
        try:
            sidecar = _sidecar(path, refused, hashes)
            one = _read_series(key, path, number, guess, sidecar)
            headers += [sidecar.header] if sidecar else []
            budget -= one.volume.array.nbytes
            if budget < 0:
                raise RefusedInputError(
                    "study_too_large", f"over {limits.MAX_STUDY_BYTES} bytes of volumes", "one study"
                )
            series.append(one)
            hashes.append(_sha256(path))
        except RefusedInputError as error:
            if not guess:
                raise _named(error, key, path) from error
            refused.append(error.refusal(key))
    from marrowscope.study.qc import judge

    ordered = tuple(sorted(hashes))
    combined = hashlib.sha256("".join(ordered).encode()).hexdigest()
    judged = judge(tuple(series), PatientFacts())
    site, side = site_of(tuple(headers), judged), side_of(headers, judged if headers else ())
    return Study("nifti", judged, tuple(refused), site=site, side=side, file_hashes=ordered, input_hash=combined)


def _named(error: RefusedInputError, key: str, path: Path) -> RefusedInputError:
    """The same error, saying which file it is about."""
    found = f"--series {key}={path.name}: {error.found}"
    return RefusedInputError(error.reason_code, found, error.expected, error.do)


def _read_series(key: str, path: Path, number: int, guess: bool, sidecar: Sidecar | None) -> Series:
    name = Path(key).name if guess else path.name
    decision = _from_name(name) if guess else _from_flag(key, name)
    sequence = Sequence(modality="MR", fat_suppression=_suppression(decision))
    if sidecar is not None:
        sequence, decision = sidecar.sequence, _with_sidecar(decision, sidecar, guess)
    volume, source = read_nifti(path)
    slices = volume.shape[volume.slice_axis]
    if slices < MIN_SLICES:
        raise RefusedInputError("too_few_slices", f"{slices} slice(s)", f"at least {MIN_SLICES} parallel slices")
    placed = _placed(source, volume)
    return Series(
        uid=name if guess else f"{key}:{name}",
        number=number,
        description=name,
        role=decision.role,
        sequence_class=decision.sequence_class,
        reasons=(*decision.reasons, *placed),
        sequence=sequence,
        volume=volume,
        source=source,
    )


def _sidecar(path: Path, refused: list[Refusal], hashes: list[str]) -> Sidecar | None:
    """What the JSON beside an image states; a damaged one is listed and left out."""
    beside = sidecar_of(path)
    if beside is None:
        return None
    try:
        found = read_sidecar(beside, _stem(path.name))
    except RefusedInputError as error:
        refused.append(error.refusal(beside.name))
        return None
    hashes.append(_sha256(beside))
    return found


def _with_sidecar(decision: Decision, sidecar: Sidecar, guess: bool) -> Decision:
    """The role by stated physics; a role that the user or the name gave stays, its class filled in where unknown."""
    stated = decide(sidecar.sequence, sidecar.described)
    if not guess or decision.reasons[0].code == "role_from_name":
        unknown = decision.sequence_class is SequenceClass.UNKNOWN and stated.role is decision.role
        return replace(decision, sequence_class=stated.sequence_class) if unknown else decision
    return stated


def _suppression(decision: Decision) -> FatSuppression:
    if decision.sequence_class is SequenceClass.STIR:
        return FatSuppression.INVERSION
    if decision.sequence_class in (SequenceClass.T2_FS, SequenceClass.PD_FS, SequenceClass.T1_FS):
        return FatSuppression.SPECTRAL
    return FatSuppression.DIXON if decision.sequence_class is SequenceClass.DIXON_WATER else FatSuppression.UNKNOWN


def _from_flag(key: str, name: str) -> Decision:
    """The role a user gave; a fluid series' class from its name where that tells."""
    try:
        role = Role(key)
    except ValueError:
        roles = ", ".join(r.value for r in Role)
        raise UsageError(f"--series {key}=...: no such role", f"one of {roles}", "--series fluid=FILE") from None
    given = Reason("role_given", f"given as {role}")
    if role is not Role.FLUID:
        return Decision(role, _CLASS_OF_ROLE.get(role, SequenceClass.OTHER), (given,))
    return Decision(role, _fluid_class(_stem(name)), (given,))


def _fluid_class(stem: str) -> SequenceClass:
    words = meanings(stem)
    if "stir" in words:
        return SequenceClass.STIR
    if "dixon" in words or "water" in words:
        return SequenceClass.DIXON_WATER
    if "t2" in words and "pd" not in words:
        return SequenceClass.T2_FS
    return SequenceClass.PD_FS if "pd" in words and "t2" not in words else SequenceClass.UNKNOWN


def _from_name(name: str) -> Decision:
    stem = _stem(name)
    if any(word in stem.lower() for word in _MASK_WORDS):
        raise RefusedInputError("mask", "a file named as a mask, not an image", "images")
    words = meanings(stem)
    if "fluid" in stem.lower().split("_"):
        return Decision(Role.FLUID, _fluid_class(stem), (Reason("role_from_name", "named fluid"),))
    suppressed = FatSuppression.SPECTRAL if "fat_suppressed" in words else FatSuppression.NONE
    if "stir" in words:
        suppressed = FatSuppression.INVERSION
    agent = True if "contrast" in words and "no_contrast" not in words else None
    decision = decide(Sequence(modality="MR", fat_suppression=suppressed, contrast_agent=agent), stem)
    if decision.sequence_class is SequenceClass.UNKNOWN and suppressed is FatSuppression.SPECTRAL:
        reason = Reason("fat_suppressed_name", "named fat-suppressed; weighting unknown")
        return Decision(Role.FLUID, SequenceClass.UNKNOWN, (reason,))
    return decision


def _stem(name: str) -> str:
    """A file name without its suffix and without BIDS' entities of person, visit and place."""
    bare = re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)
    return _ENTITIES.sub("", bare)


def read_nifti(path: Path) -> tuple[Volume, NiftiSource]:
    """One NIfTI file as a volume in its own axis order, bounded.

    Raises:
        RefusedInputError: not NIfTI, not 3-D, too large, damaged, or without a usable affine (a sheared one included).
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    _check_declared(path)
    try:
        image: Any = nibabel.load(path)
        array = _voxels(image, path.stat().st_size)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise RefusedInputError(
            "nifti_damaged", f"a NIfTI file that cannot be read ({type(error).__name__})"
        ) from error
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise RefusedInputError("bad_affine", "an affine that cannot be inverted", "sform or qform in mm")
    lps = plausible(ras_to_lps(affine))
    try:
        volume = Volume(array, lps, _slice_axis(image.header, affine))
    except GeometryError as error:
        raise RefusedInputError("sheared", error.found, error.expected, error.do) from error
    return volume, NiftiSource(path, affine, image.header.copy())


def _placed(source: NiftiSource, volume: Volume) -> tuple[Reason, ...]:
    """What is to be said of where the header places the image: nothing when sform and qform agree.

    Raises:
        RefusedInputError: they mirror one another, so that left and right cannot be told.
    """
    if not int(source.header["sform_code"]) and not int(source.header["qform_code"]):
        return (Reason("place_assumed", "neither sform nor qform: orientation and place are assumed"),)
    sform, qform = _stated(source.header.get_sform), _stated(source.header.get_qform)
    if sform is None or qform is None:
        return ()
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in volume.shape))])
    apart = float(np.abs(corners @ (sform - qform).T).max())
    if apart <= _SAME_PLACE_MM:
        return ()
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise RefusedInputError(
            "sform_qform_conflict", "an sform and a qform that mirror one another: left and right cannot be told",
            "one place", "convert it again from DICOM, or set both alike",
        )  # fmt: skip
    return (Reason("sform_taken", f"sform and qform are up to {apart:.0f} mm apart: the sform is taken"),)


def _stated(get: Callable[..., tuple[AnyArray | None, int]]) -> AnyArray | None:
    """The sform or qform, None where the header gives none, or none that can be worked out."""
    try:
        matrix, _ = get(coded=True)
    except ValueError:  # a quaternion longer than 1; nibabel's own error is one too
        return None
    return matrix if matrix is not None and np.isfinite(matrix).all() else None


def _check_declared(path: Path) -> None:
    """Magic and declared size, before a library takes memory for it."""
    try:
        opener = gzip.open if path.name.lower().endswith(".gz") else open
        with opener(path, "rb") as stream:
            head = stream.read(_HEADER_BYTES)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        found = f"no file that can be read at {path.name} ({error.strerror})"
        raise RefusedInputError("unreadable", found, "a NIfTI file", "check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        found = f"a file that cannot be read as its name says ({type(error).__name__})"
        raise RefusedInputError("unreadable", found, "a whole .nii or .nii.gz", "copy it again") from error
    if head[:2] == _GZIP_MAGIC:
        raise RefusedInputError("not_nifti", "a compressed file that is not named .gz", "NAME.nii.gz", "rename it")
    if head[_MAGIC_AT : _MAGIC_AT + 3] not in (b"n+1", b"ni1") and head[4:7] != b"n+2":
        raise RefusedInputError("not_nifti", "a file without NIfTI's magic", "NIfTI-1 or NIfTI-2")


def _voxels(image: Any, file_bytes: int) -> AnyArray:
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise RefusedInputError("not_a_volume", f"an array of shape {tuple(image.shape)}", "three axes")
    kind = image.get_data_dtype()
    if kind.kind not in "iuf":
        raise RefusedInputError("pixel_format", f"voxels of type {kind}", "integers or floats")
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)  # nibabel empties the header's own on loading
    size = math.prod(shape) * (4 if scaled else kind.itemsize)
    if size > limits.MAX_NIFTI_BYTES:
        raise RefusedInputError("image_too_large", f"{size} bytes", f"{limits.MAX_NIFTI_BYTES} at most")
    if size > limits.PIXEL_RATIO_FLOOR_BYTES and size > limits.MAX_PIXEL_RATIO * file_bytes:
        raise RefusedInputError(
            "inflates_too_much", f"a file of {file_bytes} bytes that inflates to {size}", "an image"
        )
    raw = np.asanyarray(image.dataobj if scaled else image.dataobj.get_unscaled()).reshape(shape)
    with np.errstate(over="ignore"):  # what is too large for 32 bits is refused below
        array = raw.astype(np.float32) if scaled or kind.itemsize > 4 else np.asarray(raw)
    if array.dtype.kind != "f":
        return array
    if not np.isfinite(raw).all():
        raise RefusedInputError("not_finite", "voxels that are not numbers (NaN or infinite)", "finite values")
    if float(np.abs(array).max()) > limits.MAX_VOXEL:
        raise RefusedInputError(
            "values_too_large", f"voxels of {float(np.abs(raw).max()):.2g}", f"{limits.MAX_VOXEL:g} at most"
        )
    return array


def _slice_axis(header: Any, affine: AnyArray) -> int:
    """The header's slice dimension; else the axis with clearly the widest spacing; else the last."""
    declared = header.get_dim_info()[2]
    if declared is not None:
        return int(declared)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    widest = int(steps.argmax())
    others = np.delete(steps, widest)
    return widest if steps[widest] > 1.2 * others.max() else 2


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(limits.MIB):
            digest.update(chunk)
    return digest.hexdigest()
