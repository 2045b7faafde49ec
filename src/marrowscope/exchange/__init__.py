"""DICOM objects, FHIR, DICOMweb and DIMSE."""
