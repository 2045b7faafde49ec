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


def fingerprint(row: Row, light: bool = False) -> str:
    """SHA-256 over names and bytes of the study's files, bones, intake, settings, software version and models."""
    digest = hashlib.sha256()
    settings = {"site": row.site, "side": row.side, "software": __version__, "models": models_hash(), "light": light}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in (row.study, row.bones, row.intake):
        for name, file in _files(Path(path)) if path else ():
            digest.update(name.encode() + b"\0" + _file_hash(file))
    return digest.hexdigest()


@cache
def models_hash() -> str:
    """SHA-256 over every model file and card of this installation."""
    root = Path(str(resources.files("marrowscope"))) / "models"
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(_file_hash(f) for f in files)).hexdigest()


def _files(path: Path) -> list[tuple[str, Path]]:
    """Files below a folder by relative name; for a mask, the YAML that names its labels too."""
    if not path.is_dir():
        names = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".yaml")
        return [(p.suffix, p) for p in (path, names) if p.is_file()]
    return [(p.relative_to(path).as_posix(), p) for p in sorted(path.rglob("*")) if p.is_file()]


def _file_hash(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.digest()
