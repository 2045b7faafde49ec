"""Scores as pure functions of regions and lesions, and reader-entered forms."""
