"""ONNX Runtime sessions: loaded once a process, hash checked, threads bounded, slices in batches.

A session works on one thread; folds and batches run beside each other. Small networks gain more by that than by sharing
out each layer (five folds over 25 slices on two cores: 1.0 s for 1.4 s); their answer is the same to the last bit.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowscope.errors import ModelError
from marrowscope.inference.card import ModelCard, load_card, models_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Float32 = npt.NDArray[np.float32]

BATCH_SLICES = 4
"""Slices given to a session at once; two such batches hold about 100 MB of activations."""

BATCH_ROWS = 50_000
"""Rows of features given to a session at once: 8 MB of the sacroiliac trees' 40 columns."""

MOST_THREADS = 2
"""Batches at work at a time unless MARROWSCOPE_THREADS says otherwise; a job runner runs one study a core pair."""


def thread_count() -> int:
    """Threads for one model: MARROWSCOPE_THREADS, else the cores this process may use, at most MOST_THREADS."""
    stated = os.environ.get("MARROWSCOPE_THREADS", "")
    if stated.isdigit() and int(stated) > 0:
        return int(stated)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_THREADS, usable)


@dataclass(frozen=True)
class Model:
    """A card with its sessions.

    Attributes:
        card: what the model is. sessions: one a fold, keyed by the fold's number.
    """

    card: ModelCard
    sessions: dict[int, InferenceSession]

    def run(self, batch: Float32, fold: int | None = None) -> Float32:
        """The model's output for slices, or for rows of features.

        Args:
            batch: float32, first axis = slices or rows, as the card's contract says.
            fold: one fold only (benchmarks); None = the mean over all folds.

        Returns:
            float32, first axis as in ``batch``.

        Raises:
            ModelError: no such fold.
        """
        if fold is not None and fold not in self.sessions:
            raise ModelError(f"fold {fold} of {self.card.id}", f"one of {sorted(self.sessions)}")
        chosen = [self.sessions[f] for f in (sorted(self.sessions) if fold is None else [fold])]
        step = BATCH_SLICES if batch.ndim > 2 else BATCH_ROWS
        starts = range(0, max(1, len(batch)), step)
        jobs = [(session, batch[s : s + step]) for s in starts for session in chosen]
        with ThreadPoolExecutor(thread_count()) as pool:  # a session lets go of the interpreter lock
            answers = list(pool.map(_run, *zip(*jobs, strict=True)))
        groups = [answers[n : n + len(chosen)] for n in range(0, len(answers), len(chosen))]
        return np.concatenate([sum(group[1:], start=group[0]) / np.float32(len(chosen)) for group in groups])


def _run(session: InferenceSession, part: Float32) -> Float32:
    name = session.get_inputs()[0].name
    return np.asarray(session.run(None, {name: np.ascontiguousarray(part)})[0])


@cache
def load_model(name: str) -> Model:
    """The model with its sessions; made once a process.

    Raises:
        ModelError: a weight file is absent or its hash is not the card's.
    """
    card = load_card(name)
    folder = models_folder() / name
    return Model(card, {w.fold: _session(_checked(folder / w.file, w.sha256)) for w in card.weights})


def _checked(path: Traversable, sha256: str) -> bytes:
    if not path.is_file():
        raise ModelError(f"no weight file {path.name}", "the file that the model card names", "reinstall marrowscope")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(
            f"weight file {path.name} with SHA-256 {found[:12]}...", f"{sha256[:12]}...", "reinstall marrowscope"
        )
    return data


def _session(data: bytes) -> InferenceSession:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library is first imported
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
