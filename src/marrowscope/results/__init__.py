"""The results folder: the one writer and the one reader. Whole or absent: written aside, then renamed.

index.html  report.pdf  impression.txt  patient.html  assessment.json  measurements.csv
masks/{bones,regions,lesions,reference}.nii.gz   figures/*.png   dicom/   fhir/bundle.json   run.json
detection.npz (for corrections)
"""

from marrowscope.results.again import check_unsigned, release, rewrite, write_comparison
from marrowscope.results.folder import (
    ASSESSMENT,
    DETECTION,
    INSPECTION,
    RUN,
    check_no_results,
    check_place,
    check_target,
    write_folder,
    write_text,
)
from marrowscope.results.read import MASKS, Results, holds_results, read_results
from marrowscope.results.standards import is_dicom
from marrowscope.results.write import edited_objects, write_inspection, write_light, write_results

__all__ = [
    "ASSESSMENT",
    "DETECTION",
    "INSPECTION",
    "MASKS",
    "RUN",
    "Results",
    "check_no_results",
    "check_place",
    "check_target",
    "check_unsigned",
    "edited_objects",
    "holds_results",
    "is_dicom",
    "read_results",
    "release",
    "rewrite",
    "write_comparison",
    "write_folder",
    "write_inspection",
    "write_light",
    "write_results",
    "write_text",
]
