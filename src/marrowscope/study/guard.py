"""Finding the input's files without following anything out of it: links, devices, ``../``, nested archives.

Everything that is not taken becomes a :class:`Refusal` with its reason; nothing here raises for one bad file.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from marrowscope.errors import LimitExceededError, StudyError
from marrowscope.study import limits
from marrowscope.study.types import Refusal

RESULTS = frozenset(("assessment.json", "run.json"))
"""Files that only a results folder of ours has together: its masks and DICOM objects are no study."""

ZIP_MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 20
_ZIP_END = b"PK\x05\x06"
_ZIP64_END = b"PK\x06\x06"
_ZIP64 = 0xFFFFFFFF
_ZIP_TAIL = 22 + 65535 + 76
"""Bytes at an archive's end that hold its end record, the longest comment and the 64-bit record."""


class RefusedInputError(StudyError):
    """One file or series that is not used; ``reason_code`` becomes its :class:`Refusal`'s code."""

    def __init__(self, reason_code: str, found: str, expected: str = "", do: str = "") -> None:
        super().__init__(found, expected, do)
        self.reason_code = reason_code

    def refusal(self, what: str, count: int = 1) -> Refusal:
        """This error as data."""
        return Refusal(what, self.reason_code, self.message, count)


@dataclass(frozen=True)
class InputFile:
    """A regular file to read: ``path`` on disk, ``name`` as the user knows it (inside the folder or archive)."""

    path: Path
    name: str
    size: int


@dataclass(frozen=True)
class Inputs:
    """What was found, in name order, and what was left out with its reason."""

    files: tuple[InputFile, ...]
    refusals: tuple[Refusal, ...]


def find_inputs(path: Path, scratch: Path) -> Inputs:
    """The regular files of a folder, an archive (unpacked into ``scratch``) or a single file.

    Raises:
        StudyError: the path does not exist, cannot be opened, or is a results folder of ours.
        LimitExceededError: more files than :data:`limits.MAX_FILES`, or an archive over its bounds.
    """
    try:
        if not path.exists():
            raise StudyError(f"no file or folder named {path.name!r}", "a study folder, a zip of one, or image files")
        if path.is_dir() and all((path / name).is_file() for name in RESULTS):
            raise StudyError(
                f"{path.name!r} is a results folder, not a study",
                "the study that it was made from",
                "open its index.html, or give the study",
            )
        if path.is_dir():
            found = _collect(_walk(path))
            if not found.files and not found.refusals:
                raise StudyError(
                    "a folder without any file", "a study folder", "point at the folder that holds the images"
                )
            return found
        if _is_zip(path):
            return _collect(_unpack(path, scratch))
    except PermissionError as error:
        raise StudyError(
            f"{path.name!r} cannot be opened ({error.strerror})", "a study that may be read", "ask for leave to read it"
        ) from error
    return _collect(iter([_regular(path, path.name)]))


def _collect(found: Iterator[InputFile | Refusal]) -> Inputs:
    files: list[InputFile] = []
    refusals: list[Refusal] = []
    for item in found:
        if isinstance(item, Refusal):
            refusals.append(item)
        else:
            files.append(item)
        if len(files) + len(refusals) > limits.MAX_FILES:
            raise LimitExceededError(
                f"more than {limits.MAX_FILES} files", "the folder of one study", "point at one study's folder"
            )
    return Inputs(tuple(sorted(files, key=lambda f: f.name)), tuple(refusals))


def _walk(root: Path) -> Iterator[InputFile | Refusal]:
    closed: list[OSError] = []
    for seen, (folder, folders, names) in enumerate(os.walk(root, onerror=closed.append, followlinks=False)):
        if seen > limits.MAX_FILES:
            raise LimitExceededError(
                f"more than {limits.MAX_FILES} folders", "the folder of one study", "point at one study's folder"
            )
        relative = Path(folder).relative_to(root)
        if len(relative.parts) >= limits.MAX_DEPTH:
            folders.clear()
            yield Refusal(_shown(relative.name), "too_deep", f"folders nested deeper than {limits.MAX_DEPTH}")
        if set(names) >= RESULTS:
            folders.clear()
            yield Refusal(_shown(relative.as_posix()), "results_folder", "a results folder, not a part of the study")
            continue
        for name in list(folders):
            if (Path(folder) / name).is_symlink():
                folders.remove(name)
                yield _link(name)
        for name in sorted(names):
            yield _regular(Path(folder) / name, (relative / name).as_posix())
    for error in closed:
        yield Refusal(
            _shown(Path(error.filename).name), "unreadable", f"a folder that cannot be opened ({error.strerror})"
        )


def _link(name: str) -> Refusal:
    return Refusal(_shown(name), "symbolic_link", "a symbolic link; expected: regular files, links are not followed")


def _regular(path: Path, name: str) -> InputFile | Refusal:
    try:
        info = path.lstat()
    except OSError as error:
        return Refusal(_shown(name), "unreadable", f"cannot be opened ({error.strerror})")
    if stat.S_ISLNK(info.st_mode):
        return _link(name)
    if not stat.S_ISREG(info.st_mode):
        return Refusal(_shown(name), "not_a_file", "not a regular file (pipe, socket or device)")
    if info.st_size > limits.MAX_FILE_BYTES:
        return Refusal(
            _shown(name), "file_too_large", f"{info.st_size} bytes; expected: {limits.MAX_FILE_BYTES} at most"
        )
    return InputFile(path, _shown(name), info.st_size)


def _shown(name: str) -> str:
    """A name safe to show: printable, no control characters, bounded."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return clean.encode("utf-8", "replace").decode("utf-8")[-limits.MAX_TEXT :]


def _is_zip(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == ZIP_MAGIC


def _unpack(path: Path, scratch: Path) -> Iterator[InputFile | Refusal]:
    """Members of an archive, written under numbered names: a member's own name never becomes a path."""
    _check_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise StudyError(f"an archive that cannot be opened ({error})", "a whole zip file") from error
    with archive:
        members = archive.infolist()
        if len(members) > limits.MAX_ZIP_ENTRIES:
            raise LimitExceededError(f"an archive of {len(members)} members", f"{limits.MAX_ZIP_ENTRIES} at most")
        total = 0
        most = int(max(limits.ZIP_TOTAL_FLOOR_BYTES, limits.MAX_ZIP_TOTAL_RATIO * path.stat().st_size))
        most = min(most, limits.MAX_ZIP_BYTES)
        for index, member in enumerate(members):
            if member.is_dir():
                continue
            item = _unpack_member(archive, member, scratch / f"{index:06d}", most - total)
            total += item.size if isinstance(item, InputFile) else 0
            yield item


def _check_directory(path: Path) -> None:
    """Refuse an archive whose table of contents alone would fill memory.

    Raises:
        LimitExceededError: over :data:`limits.MAX_ZIP_DIRECTORY_BYTES`.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - _ZIP_TAIL))
        tail = stream.read(_ZIP_TAIL)
    at = tail.rfind(_ZIP_END)
    if at < 0 or at + 20 > len(tail):
        return  # no end record: zipfile refuses it
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if directory == _ZIP64:
        record = tail.rfind(_ZIP64_END)
        directory = int.from_bytes(tail[record + 40 : record + 48], "little") if record >= 0 else size
    if directory > limits.MAX_ZIP_DIRECTORY_BYTES:
        raise LimitExceededError(
            f"an archive whose table of contents has {directory} bytes", f"{limits.MAX_ZIP_DIRECTORY_BYTES} at most"
        )


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, budget: int) -> InputFile | Refusal:
    name = _shown(member.filename)
    if PurePosixPath(member.filename).is_absolute() or ".." in PurePosixPath(member.filename).parts:
        return Refusal(name, "path_traversal", "a member whose name leads out of the archive")
    if stat.S_ISLNK(member.external_attr >> 16):
        return _link(name)
    if member.flag_bits & 1:
        return Refusal(name, "encrypted", "an encrypted member; expected: an archive without password")
    try:
        size = _inflate(archive, member, target, budget)
    except RefusedInputError as error:
        target.unlink(missing_ok=True)
        return error.refusal(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        target.unlink(missing_ok=True)
        return Refusal(name, "archive_damaged", f"a member that cannot be inflated ({type(error).__name__})")
    return InputFile(target, name, size)


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, budget: int) -> int:
    allowed = max(limits.ZIP_RATIO_FLOOR_BYTES, int(member.compress_size * limits.MAX_ZIP_RATIO))
    size = 0
    with archive.open(member) as source, target.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > allowed:
                raise RefusedInputError(
                    "inflates_too_much",
                    f"a member that inflates more than {limits.MAX_ZIP_RATIO:.0f} times",
                    "medical images, which shrink 2 to 6 times",
                )
            if size > min(limits.MAX_FILE_BYTES, budget):
                raise RefusedInputError(
                    "archive_too_large", "an archive that inflates to too much in all",
                    f"{limits.MAX_ZIP_TOTAL_RATIO:.0f} times its size and {limits.MAX_ZIP_BYTES} bytes at most",
                )  # fmt: skip
            sink.write(chunk)
    return size
