"""Codes of a completed limb, and what each is to the scanner and to the truth.

Codes below 20 are soft tissue; several muscle codes share one row of the tissue table so that each can draw its own
brightness. Bone codes are ``10 + bone * 10 + part``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

AIR, SKIN, SUBCUTANEOUS, DEEP_FAT = range(4)
MUSCLES = (4, 5, 6)
FASCIA, TENDON, CRUCIATE, MENISCUS, CARTILAGE, FLUID, SYNOVIUM, VEIN, ARTERY, FAT_PAD, NERVE, LIGAMENT = range(7, 19)

BONES = ("femur", "tibia", "patella", "fibula")
CORTEX, EPIPHYSIS, METAPHYSIS, PHYSIS, CYST = range(5)
CODES = 70

_SOFT = {
    AIR: "air",
    SKIN: "skin",
    SUBCUTANEOUS: "subcutaneous_fat",
    DEEP_FAT: "deep_fat",
    **dict.fromkeys(MUSCLES, "muscle"),
    FASCIA: "fascia",
    TENDON: "tendon",
    CRUCIATE: "cruciate",
    MENISCUS: "meniscus",
    CARTILAGE: "cartilage",
    FLUID: "fluid",
    SYNOVIUM: "synovium",
    VEIN: "venous_blood",
    ARTERY: "arterial_flow_void",
    FAT_PAD: "deep_fat",
    NERVE: "nerve",
    LIGAMENT: "ligament",
}
_PART = {
    CORTEX: "cortical_bone",
    EPIPHYSIS: "yellow_marrow",
    METAPHYSIS: "yellow_marrow",
    PHYSIS: "marrow_sclerosis",
    CYST: "fluid",
}


def bone_code(bone: int, part: int) -> int:
    """Code of a part of bone 1 (femur) to 4 (fibula)."""
    return 10 + bone * 10 + part


def marrow_codes(bone: int) -> tuple[int, int]:
    """Codes of a bone's marrow: epiphysis, metaphysis."""
    return bone_code(bone, EPIPHYSIS), bone_code(bone, METAPHYSIS)


@cache
def tissue_names() -> tuple[str, ...]:
    """Row of the tissue table for every code."""
    names = ["air"] * CODES
    for code, name in _SOFT.items():
        names[code] = name
    for bone in range(1, len(BONES) + 1):
        for part, name in _PART.items():
            names[bone_code(bone, part)] = name
    return tuple(names)


@cache
def bone_of_code() -> npt.NDArray[np.uint8]:
    """Bone number (0 = none) of every code, shape (CODES,)."""
    bones = np.zeros(CODES, np.uint8)
    for bone in range(1, len(BONES) + 1):
        for part in _PART:
            bones[bone_code(bone, part)] = bone
    return bones


@cache
def marrow_of_code() -> npt.NDArray[np.bool_]:
    """Whether a code is marrow, shape (CODES,)."""
    marrow = np.zeros(CODES, np.bool_)
    for bone in range(1, len(BONES) + 1):
        marrow[list(marrow_codes(bone))] = True
    return marrow
