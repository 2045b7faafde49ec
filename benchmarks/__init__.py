"""Accuracy, seconds and memory on data with known answers; ``python -m benchmarks --help``."""
