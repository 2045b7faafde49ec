"""Accuracy, seconds and memory on data with known answers: ``python -m benchmarks NAME``; without a name, the spine.

Run from the checkout: the package's source and the tests' own helpers (files that are written, judges) are found here.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [folder for part in ("src", "tests") if (folder := str(ROOT / part)) not in sys.path]
