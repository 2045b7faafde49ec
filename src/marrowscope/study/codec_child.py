"""The codecs' own process: ``python -P -m marrowscope.study.codec_child``, jobs on stdin, pixels on stdout.

Native codecs end the whole process, or run for minutes, on some damaged streams. Here that costs one frame. Each job
is a length and a JSON object, then the encoded bytes; each answer is a status byte, a length and the decoded bytes.
"""

from __future__ import annotations

import json
import math
import os
import resource
import struct
import sys
from typing import IO, Any, Final

HEAD: Final = struct.Struct(">II")
"""Lengths of the JSON and of the encoded bytes of a job."""

ANSWER: Final = struct.Struct(">cI")
"""Status (``o`` or ``e``) and length of the decoded bytes."""

FRAME_SECONDS: Final = 10
PIXELS_A_SECOND: Final = 1_000_000
"""Processor time a frame may take: a floor, and a quarter of the slowest healthy codec's speed (JPEG 2000)."""

_GDCM: Final = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("51", "57", "70"))
_PLUGINS: Final = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{end}" for end in ("90", "91", "201", "202", "203")), "pylibjpeg"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{end}" for end in ("80", "81")), "pyjpegls"),
    "1.2.840.10008.1.2.4.50": "pillow",
}
"""Which codec reads what, where several could: the one that stands damaged streams best."""


def main() -> None:
    """Decode until stdin closes. A native crash or the time limit ends the process; the parent starts another."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must leave no copy of the patient's pixels
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # codecs print to stdout
    while (head := jobs.read(HEAD.size)) and len(head) == HEAD.size:
        text, size = HEAD.unpack(head)
        job = json.loads(jobs.read(text))
        _answer(answers, job, jobs.read(size))


def _answer(answers: IO[bytes], job: dict[str, Any], encoded: bytes) -> None:
    from marrowscope.study.header import PARSE_ERRORS

    _allow_seconds(FRAME_SECONDS + math.ceil(job["rows"] * job["columns"] / PIXELS_A_SECOND))
    try:
        decoded, status = _decode(job, encoded), b"o"
    except (*PARSE_ERRORS, RuntimeError, MemoryError):
        decoded, status = b"", b"e"
    answers.write(ANSWER.pack(status, len(decoded)) + decoded)
    answers.flush()


def _allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _decode(job: dict[str, Any], encoded: bytes) -> bytes:
    syntax = job.pop("syntax")
    if syntax in _GDCM:
        return _by_gdcm(syntax, encoded, job)
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    decoder, plugin = get_decoder(syntax), _PLUGINS.get(syntax, "")
    array, _ = decoder.as_array(encapsulate([encoded]), raw=True, index=0, decoding_plugin=plugin, **job)
    if array.shape != (job["rows"], job["columns"]):
        raise ValueError("another shape")
    return bytes(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())


def _by_gdcm(syntax: str, encoded: bytes, job: dict[str, Any]) -> bytes:
    """GDCM called directly: pydicom's way in refuses 12-bit JPEG Extended, which GDCM reads."""
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(encoded)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((job["columns"], job["rows"], 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    stored = job["bits_stored"]
    image.SetPixelFormat(gdcm.PixelFormat(1, job["bits_allocated"], stored, stored - 1, job["pixel_representation"]))
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    main()
