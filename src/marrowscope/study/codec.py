"""Encoded frames decoded in a process of their own, so that no stream can end or stall the reader."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from typing import Any, Final

from marrowscope.study.codec_child import ANSWER, HEAD
from marrowscope.study.guard import RefusedInputError

MAX_CRASHES: Final = 5
"""Frames of one study that may end the codecs' process before that study's encoded frames are given up."""

_COMMAND: Final = (sys.executable, "-P", "-m", "marrowscope.study.codec_child")


class Codecs:
    """One process, started with the first encoded frame and again after a crash. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def decode(self, encoded: bytes, job: dict[str, Any]) -> bytes:
        """The decoded bytes of one frame, little endian.

        Args:
            encoded: the frame's codestream, its own size checked already.
            job: pydicom's decoding options and the transfer syntax as ``syntax``.

        Raises:
            RefusedInputError: ``pixels_damaged`` when the codec refuses, ``codec_stopped`` when it crashed or took
                longer than its limit.
        """
        text = json.dumps(job).encode()
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(HEAD.pack(len(text), len(encoded)) + text + encoded)
                process.stdin.flush()
                answer = process.stdout.read(ANSWER.size)
            except BrokenPipeError:
                answer = b""
            if len(answer) < ANSWER.size:
                self.stop()
                raise RefusedInputError(
                    "codec_stopped", f"encoded pixels (transfer syntax {job['syntax']}) that crashed the codec",
                    "a readable image", "copy the file again from its source",
                )  # fmt: skip
            status, size = ANSWER.unpack(answer)
            decoded = process.stdout.read(size)
        if status != b"o":
            raise RefusedInputError(
                "pixels_damaged", f"encoded pixels (transfer syntax {job['syntax']}) that cannot be decoded",
                "a readable image",
            )  # fmt: skip
        return decoded

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.stop()
            self._owner = os.getpid()
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
            self._process = subprocess.Popen(
                _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
        return self._process

    def stop(self) -> None:
        """End the process, if any; a fork leaves its parent's alone."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        process.wait()


CODECS: Final = Codecs()
atexit.register(CODECS.stop)


class Patience:
    """Counts the crashes of one study, and gives up after :data:`MAX_CRASHES`."""

    def __init__(self) -> None:
        self._crashes = 0

    def decode(self, encoded: bytes, job: dict[str, Any]) -> bytes:
        """:meth:`Codecs.decode`, as long as the study has not crashed it too often.

        Raises:
            RefusedInputError: as there.
        """
        if self._crashes >= MAX_CRASHES:
            raise RefusedInputError(
                "codec_stopped",
                f"a study whose encoded pixels crashed the codec {MAX_CRASHES} times",
                "readable images",
            )
        try:
            return CODECS.decode(encoded, job)
        except RefusedInputError as error:
            self._crashes += error.reason_code == "codec_stopped"
            raise
