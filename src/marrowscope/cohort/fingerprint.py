"""What a result was made from, as one hash: a study is done again only when it changes."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path

from marrowscope import __version__
from marrowscope.cohort.manifest import Row

CHUNK = 1 << 20


def fingerprint(row: Row) -> str:
    """SHA-256 over the study's files, bones, intake, settings, software version and models."""
    digest = hashlib.sha256()
    settings = {"site": row.site, "side": row.side, "software": __version__, "models": models_hash()}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in (row.study, row.bones, row.intake):
        for file in _files(Path(path)) if path else ():
            digest.update(_file_hash(file))
    return digest.hexdigest()


@cache
def models_hash() -> str:
    """SHA-256 over every model file of this installation."""
    root = resources.files("marrowscope")
    files = sorted(Path(str(root)).glob("models/**/*.onnx"))
    return hashlib.sha256(b"".join(_file_hash(f) for f in files)).hexdigest()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def _file_hash(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.digest()
