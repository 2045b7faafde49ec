"""Comparing two assessments of one joint: what grew, shrank, came or went, against the smallest detectable change."""
