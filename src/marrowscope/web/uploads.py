"""Streaming multipart to disk: memory stays flat, every limit counts real bytes, names are never trusted."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from marrowscope.errors import LimitExceededError, UsageError
from marrowscope.study import limits
from marrowscope.web.folders import safe_name
from marrowscope.web.settings import MAX_UPLOAD_BYTES, MAX_UPLOAD_FILES

MAX_FIELD_BYTES = 4096
"""Bytes of a plain field beside the files."""

MAX_HEADER_BYTES = 16 * 1024
"""Bytes of all headers of one part."""

MAX_FIELDS = 20

BONES = "bones"
"""Field and folder of a mask of the marrow to search, with a YAML of its label names."""

MASK_SUFFIXES = (".nii.gz", ".nii", ".dcm", ".yaml")


@dataclass
class Upload:
    """What came in.

    Attributes:
        folder: holds the files under safe names; the caller moves or removes it.
        fields: plain fields. files: how many.
    """

    folder: Path
    fields: dict[str, str] = field(default_factory=dict)
    files: int = 0

    def discard(self) -> None:
        """Remove every file."""
        shutil.rmtree(self.folder, ignore_errors=True)


async def receive_upload(request: Request, incoming: Path, limit: int = MAX_UPLOAD_BYTES) -> Upload:
    """Read a multipart body into a new folder below ``incoming``.

    Raises:
        LimitExceededError: over a bound, by declared or by real bytes; nothing is left on disk.
        UsageError: not multipart, or without a file.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    upload = Upload(incoming / uuid.uuid4().hex)
    upload.folder.mkdir(mode=0o700)
    whole = False
    try:
        await _receive(request, upload, limit)
        whole = True
    finally:
        if not whole:
            upload.discard()
    return upload


async def _receive(request: Request, upload: Upload, limit: int) -> None:
    from python_multipart.exceptions import MultipartParseError

    sink = _Sink(upload)
    total = 0
    try:
        parser = _parser(request, sink)
        async for chunk in request.stream():
            total += len(chunk)
            if total > limit:
                raise _too_large(limit)
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except MultipartParseError as error:
        raise UsageError("an upload that is not multipart/form-data", "the form's own upload") from error
    finally:
        sink.close()
    if not sink.complete or upload.files == 0:
        raise UsageError("an upload without a whole file", "a folder, a zip or image files", "choose a study")
    for path in upload.folder.glob("*.zip"):
        await run_in_threadpool(check_archive, path)


def _parser(request: Request, sink: _Sink) -> Any:
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise UsageError("an upload that is not multipart/form-data", "the form's own upload")
    callbacks: Any = {
        "on_part_begin": sink.part_begin,
        "on_header_field": sink.header_field,
        "on_header_value": sink.header_value,
        "on_header_end": sink.header_end,
        "on_headers_finished": sink.headers_finished,
        "on_part_data": sink.part_data,
        "on_part_end": sink.part_end,
        "on_end": sink.end,
    }
    return MultipartParser(boundary, callbacks)


class _Sink:
    """Receives the parser's events: files go to disk at once, small fields to memory."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._file: IO[bytes] | None = None
        self._field = ""
        self._text = bytearray()
        self.complete = False

    def part_begin(self) -> None:
        self._headers, self._name, self._value = {}, b"", b""
        self._field, self._text = "", bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._bound()

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound()

    def _bound(self) -> None:
        if len(self._name) + len(self._value) > MAX_HEADER_BYTES or len(self._headers) > MAX_FIELDS:
            raise LimitExceededError("an upload with an oversized part header", "an ordinary form")

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def headers_finished(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            if len(self._upload.fields) >= MAX_FIELDS:
                raise LimitExceededError("an upload with too many fields", f"at most {MAX_FIELDS}")
            return
        self._upload.files += 1
        if self._upload.files > MAX_UPLOAD_FILES:
            raise LimitExceededError("an upload of too many files", f"at most {MAX_UPLOAD_FILES}", "drop one study")
        self._file = self._path(options[b"filename"].decode("utf-8", "replace")).open("wb")

    def _path(self, given: str) -> Path:
        """Where a file goes: the study's files side by side, a bone mask apart from them."""
        suffix = next((s for s in MASK_SUFFIXES if given.lower().endswith(s)), "")
        if self._field != BONES or not suffix:
            return self._upload.folder / safe_name(given, self._upload.files)
        folder = self._upload.folder / BONES
        folder.mkdir(exist_ok=True)
        return folder / f"mask{suffix}"

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            raise LimitExceededError("a form field that is too long", f"at most {MAX_FIELD_BYTES} bytes")

    def part_end(self) -> None:
        if self._file is None:
            self._upload.fields[self._field] = self._text.decode("utf-8", "replace")
        self.close()

    def end(self) -> None:
        self.complete = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def check_archive(path: Path) -> None:
    """Refuse a bomb by its directory before anything is queued (the reader counts real bytes again).

    Raises:
        LimitExceededError: too many members, or too much inflated. UsageError: not an archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise UsageError("a .zip that is not an archive", "a zip of one study", "zip the folder again") from error
    inflated = sum(m.file_size for m in members)
    worst = max(
        (m.file_size / max(1, m.compress_size) for m in members if m.file_size > limits.ZIP_RATIO_FLOOR_BYTES),
        default=1.0,
    )
    if len(members) > limits.MAX_ZIP_ENTRIES or inflated > limits.MAX_ZIP_BYTES or worst > limits.MAX_ZIP_RATIO:
        raise LimitExceededError(
            "an archive that inflates beyond reason", "a zip of one study", "drop the folder itself"
        )


def _too_large(limit: int) -> LimitExceededError:
    return LimitExceededError(
        "an upload that is too large", f"at most {limit // 2**20} MiB", "drop one study at a time"
    )
