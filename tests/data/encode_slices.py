"""The recipe of ``encoded_slices.npz``: three simulated slices in encodings that no dependency of ours can write.

    pip install imagecodecs==2026.3.6        (OpenJPH for HTJ2K; in an environment of its own)
    apt install dcmtk                        (dcmcjpeg for 12-bit JPEG Extended and JPEG Lossless)
    PYTHONPATH=src:tests python tests/data/encode_slices.py

The slices are a 48x48 window of a knee simulated by ``marrowscope.simulate`` (seed 7), 12 bits, so nobody's data.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.encaps import generate_frames

from marrowscope.simulate import KneeOptions, knee
from study_files import instance

HERE = Path(__file__).parent
WINDOW = (slice(128, 176), slice(128, 176), slice(12, 15))


def dcmtk(array: np.ndarray, k: int, *flags: str) -> bytes:
    """One slice encoded by DCMTK's dcmcjpeg."""
    ds = instance(array, k, BitsStored=12, HighBit=11)
    with tempfile.TemporaryDirectory() as folder:
        plain, coded = Path(folder) / "a.dcm", Path(folder) / "b.dcm"
        ds.save_as(plain, enforce_file_format=True)
        subprocess.run(["dcmcjpeg", *flags, str(plain), str(coded)], check=True)
        return next(generate_frames(dcmread(coded).PixelData, number_of_frames=1))


def main() -> None:
    """Write the archive beside this file."""
    study = knee(7, KneeOptions(voxel_mm=1.0))
    array = np.ascontiguousarray(study.series[0].volume.array[WINDOW]).astype(np.uint16)
    parts = {"slices": array}
    for k in range(array.shape[2]):
        plane = np.ascontiguousarray(array[:, :, k].T)
        signed = plane.astype(np.int16) - 1000
        coded = {
            "htj2k_lossless": imagecodecs.htj2k_encode(plane, reversible=True),
            "htj2k_signed": imagecodecs.htj2k_encode(signed, reversible=True),
            "htj2k_lossy": imagecodecs.htj2k_encode(plane, level=0.001, reversible=False),
            "jpeg_extended": dcmtk(array, k, "+ee", "+q", "98"),
            "jpeg_lossless_sv6": dcmtk(array, k, "+el", "+sv", "6"),
        }
        parts |= {f"{name}_{k}": np.frombuffer(data, np.uint8) for name, data in coded.items()}
    np.savez_compressed(HERE / "encoded_slices.npz", **parts)


if __name__ == "__main__":
    main()
