"""A DICOM SEG as others read it: by dcmqi (its own grid) and by DCMTK (its JSON), each as places in millimetres."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from needs import program

Places = dict[str, np.ndarray]
"""Segment label to the LPS mm of every voxel centre inside it, shape (n, 3)."""


def by_dcmqi(seg: Path, out: Path) -> Places:
    """What dcmqi's segimage2itkimage makes of it: one NRRD a segment."""
    out.mkdir(parents=True, exist_ok=True)
    command = [str(program("segimage2itkimage")), "--inputDICOM", str(seg), "--outputDirectory", str(out), "-p", "s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-800:]
    labels = {}
    for group in json.loads((out / "s-meta.json").read_text())["segmentAttributes"]:
        labels |= {int(s["labelID"]): s["SegmentLabel"] for s in group}
    found = {}
    for number, label in labels.items():
        image = sitk.ReadImage(str(out / f"s-{number}.nrrd"))
        index = np.argwhere(sitk.GetArrayFromImage(image) > 0)[:, ::-1]
        direction = np.array(image.GetDirection()).reshape(3, 3)
        found[label] = index * np.array(image.GetSpacing()) @ direction.T + np.array(image.GetOrigin())
    return found


def by_dcmtk(seg: Path) -> Places:
    """What DCMTK's dcm2json reads, its frames unpacked here bit by bit (PS3.5 8.1.1: first pixel, lowest bit)."""
    data = dcm2json(seg)
    rows, columns, count = (int(values(data, tag)[0]) for tag in ("00280010", "00280011", "00280008"))
    packed = np.frombuffer(base64.b64decode(data["7FE00010"]["InlineBinary"]), np.uint8)
    frames = np.unpackbits(packed, bitorder="little")[: rows * columns * count].reshape(count, rows, columns)
    labels = {int(values(s, "00620004")[0]): values(s, "00620005")[0] for s in values(data, "00620002")}
    shared = values(data, "52009229")[0]
    found: dict[str, list[np.ndarray]] = {}
    for frame, group in zip(frames, values(data, "52009230"), strict=True):
        label = labels[int(values(values(group, "0062000A")[0], "0062000B")[0])]
        found.setdefault(label, []).append(_centres(frame, {**shared, **group}))
    return {label: np.concatenate(parts) for label, parts in found.items()}


def dcm2json(path: Path) -> dict[str, Any]:
    """DICOM JSON by DCMTK. Its conversion library lacks the Japanese character sets: a copy is told Latin 1 instead."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy.dcm"
        copy.write_bytes(path.read_bytes())
        subprocess.run(["dcmodify", "-nb", "-i", "(0008,0005)=ISO_IR 100", str(copy)], capture_output=True, check=True)
        text = subprocess.run(["dcm2json", str(copy)], capture_output=True, text=True, check=True).stdout
    data: dict[str, Any] = json.loads(text)
    return data


def _centres(frame: np.ndarray, group: dict[str, Any]) -> np.ndarray:
    """PS3.3 equation C.7.6.2.1-1."""
    position = np.array(values(values(group, "00209113")[0], "00200032"), float)
    cosines = np.array(values(values(group, "00209116")[0], "00200037"), float)
    between_rows, between_columns = (float(v) for v in values(values(group, "00289110")[0], "00280030"))
    row, column = np.nonzero(frame)
    return position + np.outer(column * between_columns, cosines[:3]) + np.outer(row * between_rows, cosines[3:])


def values(item: dict[str, Any], tag: str) -> list[Any]:
    """The values of one attribute of DICOM JSON."""
    return list(item[tag]["Value"])
