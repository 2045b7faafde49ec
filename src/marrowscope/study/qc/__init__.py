"""Quality checks on header and pixels: what was seen, how bad it is, what it means for the result.

    judge(series, study) -> tuple[QcCheck, ...]

One file a question; every threshold with its source in ``study/data/qc.yaml``.
"""

from __future__ import annotations

from marrowscope.study.qc.judge import judge

__all__ = ["judge"]
