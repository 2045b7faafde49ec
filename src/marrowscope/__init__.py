"""marrowscope finds, measures and explains bone marrow edema. For research use: a clinician decides."""

from __future__ import annotations

__version__ = "0.1.0"
