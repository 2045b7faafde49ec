"""Which tissues a completed knee map holds, and what each is to the scanner and to the bone model.

A completed map is a uint8 array of the codes below. ``physics`` names rows of the tissue table of
``marrowscope.simulate``; bone codes are ``bone * 10 + part``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SOFT = {
    0: "air",
    1: "skin",
    2: "subcutaneous_fat",
    3: "deep_fat",
    4: "muscle",
    5: "muscle",
    6: "muscle",
    7: "fascia",
    8: "tendon",
    9: "cruciate",
    10: "meniscus",
    11: "cartilage",
    12: "fluid",
    13: "synovium",
    14: "venous_blood",
    15: "arterial_flow_void",
    16: "deep_fat",
    17: "nerve",
    18: "ligament",
}
"""Codes below 20 and their row in the tissue table; several codes share a row so that each draws its own jitter."""

BONES = ("femur", "tibia", "patella", "fibula")
CORTEX, EPIPHYSIS, METAPHYSIS, PHYSIS, CYST = range(5)
PART_TISSUE = {
    CORTEX: "cortical_bone",
    EPIPHYSIS: "yellow_marrow",
    METAPHYSIS: "yellow_marrow",
    PHYSIS: "marrow_sclerosis",
    CYST: "fluid",
}
CODES = 70


def bone_code(bone: int, part: int) -> int:
    """Code of a part of bone 1 (femur) to 4 (fibula)."""
    return 10 + bone * 10 + part


@dataclass(frozen=True)
class Plan:
    """Look-up tables over codes: tissue name, bone number (0 = none), whether it is marrow."""

    tissue: tuple[str, ...]
    bone: np.ndarray
    marrow: np.ndarray


def plan() -> Plan:
    """The tables."""
    names = ["air"] * CODES
    bone = np.zeros(CODES, np.uint8)
    marrow = np.zeros(CODES, bool)
    for code, name in SOFT.items():
        names[code] = name
    for number in range(1, 5):
        for part, name in PART_TISSUE.items():
            code = bone_code(number, part)
            names[code], bone[code] = name, number
            marrow[code] = part in (EPIPHYSIS, METAPHYSIS)
    return Plan(tuple(names), bone, marrow)
