"""Handlers that the jobs tests run in real worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marrowscope.errors import StudyError
from marrowscope.jobs import JobContext, Payload


def write(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Idempotent work in steps: aside, then renamed."""
    out = Path(payload["folder"]) / f"{context.job.key}.txt"
    for step in range(payload.get("steps", 1)):
        context.progress("writing", step, payload.get("steps", 1))
        time.sleep(payload.get("seconds", 0.0))
    aside = out.with_suffix(f".{os.getpid()}")
    aside.write_text(context.job.key, encoding="utf-8")
    aside.rename(out)
    return {"key": context.job.key}


def refuse(payload: Payload, context: JobContext) -> None:
    raise StudyError("nothing readable", "DICOM or NIfTI", "choose another folder")


def die(payload: Payload, context: JobContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash(payload: Payload, context: JobContext) -> None:
    raise ValueError("secret^patient")


def deaf(payload: Payload, context: JobContext) -> None:
    time.sleep(60)
