"""De-identified copies after PS3.15 annex E: only what is known to be harmless is kept, UIDs mapped by a key.

Whole or absent: the copy is written beside its place and renamed. The report says what was done, never what was there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.errors import StudyError, UsageError
from marrowscope.study.dicom_file import file_bytes, is_dicom, quiet_pydicom, read_header
from marrowscope.study.guard import InputFile, RefusedInputError, find_inputs
from marrowscope.study.header import PARSE_ERRORS, Header
from marrowscope.study.scrub import Deidentification, Report, deidentified
from marrowscope.study.scrub_pixels import clean_pixels

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Deidentification", "Report", "deidentify_study"]


def deidentify_study(source: Path, out: Path, how: Deidentification) -> Report:
    """Write a de-identified copy of every MR and CT image under ``source`` into the new folder ``out``.

    Raises:
        UsageError: ``out`` exists already.
        StudyError: no image could be copied; nothing is written.
    """
    if out.exists():
        raise UsageError(f"{out.name} exists already", "a new folder", "name another with -o")
    out.parent.mkdir(parents=True, exist_ok=True)
    report = Report(options=tuple(sorted(how.options)))
    with tempfile.TemporaryDirectory(prefix="marrowscope-") as scratch:
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            inputs = find_inputs(source, Path(scratch))
            report.refused += inputs.refusals
            with quiet_pydicom():
                _copy_all(inputs.files, staging, how, report)
            if not report.written:
                reasons = "; ".join(sorted({refusal.code for refusal in report.refused})) or "nothing found"
                raise StudyError(f"no image could be copied ({reasons})", "MR or CT images as DICOM")
            text = json.dumps(report.to_dict(), indent=2) + "\n"
            (staging / "deidentification.json").write_text(text, encoding="utf-8")
            staging.chmod(0o755)
            staging.rename(out)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return report


def _copy_all(files: tuple[InputFile, ...], folder: Path, how: Deidentification, report: Report) -> None:
    series: dict[str, int] = {}
    for file in files:
        try:
            dataset = _read(file, how)
            clean = deidentified(dataset, how, report)
            _clean_pixels(clean, dataset)
            number = series.setdefault(str(clean.SeriesInstanceUID), len(series) + 1)
            target = folder / f"series{number:03d}" / f"{report.written + 1:06d}.dcm"
            target.parent.mkdir(exist_ok=True)
            _write(clean, target)
        except RefusedInputError as error:
            report.refused.append(error.refusal(file.name))
            continue
        report.written += 1


def _clean_pixels(clean: Dataset, dataset: Dataset) -> None:
    encapsulated = bool(dataset["PixelData"].is_undefined_length) if "PixelData" in dataset else False
    pixels = clean_pixels(dataset, encapsulated=encapsulated)
    if pixels is not None:
        clean.PixelData = pixels
        clean["PixelData"].VR = dataset["PixelData"].VR
        clean["PixelData"].is_undefined_length = encapsulated


def _read(file: InputFile, how: Deidentification) -> Dataset:
    """The whole data set of an image that may be copied, after the bounded scan."""
    from pydicom import dcmread

    if not is_dicom(file):
        raise RefusedInputError("not_an_image", "not DICOM", "MR or CT images")
    dicom = read_header(file)
    header = Header(dicom.dataset)
    if dicom.pixels is None or header.text("Modality").upper() not in ("MR", "CT"):
        raise RefusedInputError("not_mr_or_ct", "not an MR or CT image: such objects hold free text", "MR or CT images")
    capture = "ConversionType" in dicom.dataset or "SCREEN SAVE" in header.words("ImageType")
    secondary = capture or header.text("SOPClassUID").startswith("1.2.840.10008.5.1.4.1.1.7")
    burned_in = header.text("BurnedInAnnotation").upper() == "YES" or secondary
    if burned_in and not how.accept_burned_in:
        raise RefusedInputError(
            "burned_in",
            "text burned into the pixels, or a screen capture",
            "plain images",
            "--accept-burned-in to copy it",
        )
    if not all(header.text(key) for key in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")):
        raise RefusedInputError("no_uid", "an image without its UIDs", "SOP, series and study instance UID")
    try:
        return dcmread(BytesIO(file_bytes(file)[:]), force=True)
    except PARSE_ERRORS as error:
        raise RefusedInputError("damaged_header", "an image that cannot be parsed") from error


def _write(clean: Dataset, target: Path) -> None:
    try:
        clean.save_as(target, enforce_file_format=True)
    except PARSE_ERRORS as error:
        target.unlink(missing_ok=True)
        raise RefusedInputError("not_writable", "an image whose kept attributes cannot be written") from error
