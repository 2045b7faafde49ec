"""Label maps as NIfTI on the fluid input's own grid: a NIfTI input's header and affine are kept, DICOM gets RAS."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np

from marrowscope.labelmap import LabelMap
from marrowscope.lesion.types import Objects
from marrowscope.study import NiftiSource, Series

SCANNER_CODE = 1
"""NIfTI's code for "scanner-based anatomical coordinates"."""

FREE_TEXT_FIELDS = ("descrip", "aux_file", "intent_name", "db_name")
"""Header fields in which a person or a converter may have left words; none is carried into a mask."""

LARGEST_BYTE = 255

GZIP_LEVEL = 4
"""Label maps are long runs: higher levels take four times as long for a few kilobytes."""


def label_maps(objects: Objects) -> dict[str, LabelMap]:
    """The four label maps of a results folder, by file stem; ``reference`` is empty when none was found."""
    reference = objects.reference.mask if objects.reference else LabelMap.empty(objects.exam.image)
    return {
        "bones": objects.anatomy.bones,
        "regions": objects.anatomy.regions,
        "lesions": objects.lesions,
        "reference": reference,
    }


def label_names(maps: dict[str, LabelMap]) -> dict[str, dict[str, str]]:
    """Label value to code of every map, for ``run.json``."""
    return {stem: {str(label): code for label, code in sorted(m.names.items())} for stem, m in maps.items()}


def write_masks(folder: Path, maps: dict[str, LabelMap], fluid: Series) -> None:
    """``masks/<stem>.nii.gz`` for every map."""
    target = folder / "masks"
    target.mkdir(parents=True, exist_ok=True)
    for stem, labels in maps.items():
        (target / f"{stem}.nii.gz").write_bytes(mask_bytes(labels, fluid))


def mask_bytes(labels: LabelMap, fluid: Series) -> bytes:
    """One label map as gzipped NIfTI-1 without a time stamp: same labels, same bytes.

    Args:
        labels: on the grid of ``fluid.volume``.
        fluid: the series the grid came from; its NIfTI header, if any, gives codes and units.
    """
    nibabel = _nibabel()
    array = labels.volume.array
    dtype = np.uint8 if array.max(initial=0) <= LARGEST_BYTE else np.uint16
    if isinstance(fluid.source, NiftiSource):
        image = nibabel.Nifti1Image(array.astype(dtype), fluid.source.affine_ras, _clean(fluid.source.header))
    else:
        image = nibabel.Nifti1Image(array.astype(dtype), labels.volume.affine_ras)
        image.set_sform(labels.volume.affine_ras, SCANNER_CODE)
        image.set_qform(labels.volume.affine_ras, SCANNER_CODE)
        image.header.set_xyzt_units("mm")
    image.header.set_data_dtype(dtype)
    image.header.set_slope_inter(1, 0)
    return _gzipped(image.to_bytes())


def _nibabel() -> Any:
    """nibabel, whose own annotations cover only part of it."""
    import nibabel

    return nibabel


def _clean(header: Any) -> Any:
    """A copy of a header without words, display range or extensions."""
    copy = _nibabel().Nifti1Header.from_header(header)
    for name in FREE_TEXT_FIELDS:
        copy[name] = b""
    copy["cal_min"], copy["cal_max"] = 0, 0
    copy.extensions.clear()
    return copy


def _gzipped(raw: bytes) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=GZIP_LEVEL) as stream:
        stream.write(raw)
    return buffer.getvalue()
