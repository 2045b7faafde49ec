"""Bounded reading of DICOM and NIfTI into series with roles and reasons."""
