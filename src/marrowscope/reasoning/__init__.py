"""Intake, differential, not-to-miss checks and plan."""
