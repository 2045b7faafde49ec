"""Mutated DICOM and NIfTI files against the reader: no traceback, no hang, no memory over its bound.

    python -m benchmarks fuzz_study --files 20000 --seconds 900

Each round mutates the files of a small study (headers, lengths, bytes, truncations, splices) and reads the folder in
a child process that is killed when it takes too long. Anything but a Study or a deliberate error is a failure, and
the folder that caused it is kept.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import statistics
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate

from benchmarks import ROOT
from study_files import encoded, instance, truth

SYNTAXES = ("", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1.99")
ARCHIVED = {"htj2k_lossless": "1.2.840.10008.1.2.4.201", "jpeg_lossless_sv6": "1.2.840.10008.1.2.4.57",
    "jpeg_extended": "1.2.840.10008.1.2.4.51"}  # fmt: skip
PER_STUDY = 60
PER_CHILD = 40
SECONDS_A_STUDY = 60
CPU_A_STUDY = 3.0
"""Seconds of processor time a study of :data:`PER_STUDY` small files may take, however damaged."""

PEAK_BYTES = 300 * 1024 * 1024
EVIL = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 46341, 2**31)


NUMBERS = ("0", "-1", "1e-9", "0.011", "99", "1e6", "1e30", "1e308", "nan", "inf", "-0.0", "abc", "")
SHORTS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 32, 64, 255, 8192, 65535)
TWISTED = ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "EchoTime",
    "RepetitionTime", "InversionTime", "FlipAngle", "MagneticFieldStrength", "ImagePositionPatient", "InstanceNumber",
    "ImageOrientationPatient", "NumberOfFrames", "KVP", "SeriesNumber", "EchoTrainLength", "PixelBandwidth", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PatientAge",
    "PatientBirthDate", "AcquisitionTime", "ContrastBolusStartTime", "TemporalPositionIdentifier")  # fmt: skip
"""Attributes that all slices of a whole series state alike, and wrongly: such a series reaches the pixel checks."""


def seeds(shared: Path | None) -> list[bytes]:
    """Small whole files in every encoding, and one of each kind of the development data where it is there."""
    found = []
    for k, syntax in enumerate(SYNTAXES):
        ds = instance(truth(), k)
        if syntax.endswith((".5", ".90", ".80")):
            ds.compress(syntax, generate_instance_uid=False)
        elif syntax:
            ds.file_meta.TransferSyntaxUID = syntax
        found.append(encoded(ds))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stir.nii.gz"
        nibabel.save(nibabel.Nifti1Image(truth().astype(np.int16), np.eye(4)), path)
        found.append(path.read_bytes())
    if shared is not None:
        folders = ("vendors", "transfer_syntaxes", "irregular")
        paths = [p for name in folders for p in sorted((shared / "data" / "dicom" / name).rglob("*.dcm"))[::9]]
        found += [data for p in paths if len(data := p.read_bytes()) < 400_000]
    return found


def stacks() -> list[list[bytes]]:
    """Whole series, one an encoding, so that damaged pixels are reached too."""
    found = []
    for number, syntax in enumerate(SYNTAXES, start=1):
        slices = [instance(truth(number), k, series=number) for k in range(truth().shape[2])]
        for ds in slices:
            if syntax.endswith((".5", ".90", ".80")):
                ds.compress(syntax, generate_instance_uid=False)
            elif syntax:
                ds.file_meta.TransferSyntaxUID = syntax
        found.append([encoded(ds) for ds in slices])
    archive = np.load(ROOT / "tests" / "data" / "encoded_slices.npz")
    for number, (name, syntax) in enumerate(ARCHIVED.items(), start=len(found) + 1):
        slices = []
        for k in range(3):
            ds = instance(archive["slices"], k, series=number, BitsStored=12, HighBit=11)
            ds.file_meta.TransferSyntaxUID = syntax
            ds.PixelData = encapsulate([archive[f"{name}_{k}"].tobytes()])
            ds["PixelData"].is_undefined_length = True
            slices.append(encoded(ds))
        found.append(slices)
    return found


def study_of(good: list[bytes], whole: list[list[bytes]], rng: random.Random) -> list[bytes]:
    """The files of one study: every encoding's series, lightly damaged, and strangers, heavily damaged."""
    files = []
    for series in whole:
        for data in series:
            damaged = bytearray(data)
            for _ in range(rng.choice((0, 0, 1, 2))):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            files.append(bytes(damaged[: rng.randrange(len(damaged))] if rng.random() < 0.02 else damaged))
    files += twisted(rng)
    strangers = PER_STUDY - len(files)
    return files + [mutated(rng.choice(good), good, rng) for _ in range(strangers)]


def twisted(rng: random.Random) -> list[bytes]:
    """A whole series whose slices share one to three values out of every range."""
    shape = rng.choice(((40, 36, 5), (64, 64, 5), (130, 120, 4), (1, 9, 4)))
    array = np.random.default_rng(rng.randrange(1000)).integers(0, 4000, shape, dtype=np.uint16)
    slices = [instance(array, k, series=30) for k in range(shape[2])]
    for keyword in rng.sample(TWISTED, rng.randint(1, 3)):
        tag = tag_for_keyword(keyword) or 0
        short = dictionary_VR(tag) == "US"
        value = rng.choice(SHORTS) if short else [rng.choice(NUMBERS)] * int(dictionary_VM(tag)[0])
        for ds in slices:
            ds[tag] = DataElement(tag, dictionary_VR(tag), value, already_converted=True)
    return [encoded(ds) for ds in slices]


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to twelve damages."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        if not out:
            break
        at = rng.randrange(min(len(out), 4000)) if rng.random() < 0.8 else rng.randrange(len(out))
        kind = rng.randrange(7)
        if kind == 0:
            out[at] = rng.randrange(256)
        elif kind == 1:
            out[at : at + 4] = rng.choice(EVIL).to_bytes(4, "little")
        elif kind == 2:
            out[at : at + 2] = (rng.choice(EVIL) & 0xFFFF).to_bytes(2, "little")
        elif kind == 3:
            del out[at : at + rng.randint(1, 64)]
        elif kind == 4:
            out[at:at] = out[at : at + rng.randint(1, 200)]
        elif kind == 5:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            out[at : at + 40] = other[start : start + rng.randint(1, 400)]
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


def busy() -> float:
    """Processor time of this process and its children, ended and running, seconds."""
    import psutil

    me = psutil.Process()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [one.cpu_times() for one in (me, *me.children())]
    return ended.ru_utime + ended.ru_stime + sum(times.user + times.system for times in running)


def child(jobs: list[Path], pipe: Any) -> None:
    """Read studies one after another; send (folder, verdict, peak bytes, seconds of CPU) for each."""
    import pydicom.pixels  # noqa: F401
    import scipy.ndimage  # noqa: F401

    from marrowscope.errors import MarrowscopeError
    from marrowscope.study import read_study
    from marrowscope.study.describe import describe

    for job in jobs:
        idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = busy()
        try:
            study = read_study(job)
            json.dumps(describe(study))
            verdict = "|".join(sorted({r.code for r in study.refusals}) + ["read"] * bool(study.series))
        except MarrowscopeError as error:
            verdict = error.code
        except BaseException:  # noqa: BLE001
            verdict = "TRACEBACK " + traceback.format_exc()
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) * 1024
        pipe.send((job, verdict, peak, busy() - start))
    pipe.close()


def run(jobs: list[Path]) -> list[tuple[Path, str, int, float]]:
    """Read the studies in one child; what kills or stalls it is a verdict too."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(jobs, theirs))
    process.start()
    theirs.close()
    done: list[tuple[Path, str, int, float]] = []
    while len(done) < len(jobs):
        try:
            if not ours.poll(SECONDS_A_STUDY):
                done.append((jobs[len(done)], f"HANG over {SECONDS_A_STUDY} s", 0, SECONDS_A_STUDY))
                process.kill()
                break
            done.append(ours.recv())
        except EOFError:
            process.join()
            done.append((jobs[len(done)], f"CRASH exit {process.exitcode}", 0, 0.0))
            break
    process.join()
    rest = jobs[len(done) :]
    return done + (run(rest) if rest else [])


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz until enough files were read or the time is up; exit 1 on any failure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks fuzz_study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"))
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    good = seeds(options.shared if (options.shared / "data" / "dicom").is_dir() else None)
    whole = stacks()
    codes: Counter[str] = Counter()
    failures = files = worst = 0
    cpu: list[float] = []
    start = time.monotonic()
    while files < options.files and time.monotonic() - start < options.seconds:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
            jobs = []
            for j in range(PER_CHILD):
                folder = Path(scratch) / f"{j:03d}"
                folder.mkdir()
                for i, data in enumerate(study_of(good, whole, rng)):
                    suffix = ".nii.gz" if data[:2] == b"\x1f\x8b" else ".dcm"
                    (folder / f"{i:03d}{suffix}").write_bytes(data)
                jobs.append(folder)
            for folder, verdict, peak, seconds_busy in run(jobs):
                files += PER_STUDY
                cpu.append(seconds_busy)
                worst = max(worst, peak)
                codes.update(verdict.split("|") if verdict[:1].islower() else [verdict.split(" ")[0]])
                if not verdict[:1].islower() or peak > PEAK_BYTES or seconds_busy > CPU_A_STUDY:
                    failures += 1
                    kept = options.keep / f"{options.seed}-{files}"
                    shutil.copytree(folder, kept, dirs_exist_ok=True)
                    print(f"{kept}: {verdict} (peak {peak / 2**20:.0f} MB, {seconds_busy:.1f} s of CPU)", flush=True)
    seconds = time.monotonic() - start
    print(
        f"{files} files in {seconds:.0f} s, {failures} failures, largest rise {worst / 2**20:.0f} MB, "
        f"CPU a study: median {statistics.median(cpu):.2f} s, worst {max(cpu):.2f} s"
    )
    for code, count in codes.most_common():
        print(f"  {count:6d} studies with {code}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
