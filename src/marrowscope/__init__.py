"""marrowscope finds, measures and explains bone marrow edema. For research use: a clinician decides.

    import marrowscope as ms

    assessment = ms.assess(ms.read_study("study"), site="knee")
    print(assessment.impression)

    assessed = ms.assess_with_objects(ms.read_study("study"), site="knee")   # voxels too
    ms.write_results(Path("results"), assessed)

Names are loaded on first use, so that importing marrowscope costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marrowscope.assessment.pipeline import assess, assess_with_objects, conclude, detect, prepare, reason
    from marrowscope.assessment.types import Assessment
    from marrowscope.errors import MarrowscopeError
    from marrowscope.reasoning.intake import Intake
    from marrowscope.results import read_results, write_results
    from marrowscope.study import Study, read_study

__version__ = "0.1.0"

_HOME = {
    "Assessment": "assessment.types",
    "Intake": "reasoning.intake",
    "MarrowscopeError": "errors",
    "Study": "study",
    "assess": "assessment.pipeline",
    "assess_with_objects": "assessment.pipeline",
    "conclude": "assessment.pipeline",
    "detect": "assessment.pipeline",
    "prepare": "assessment.pipeline",
    "read_results": "results",
    "read_study": "study",
    "reason": "assessment.pipeline",
    "write_results": "results",
}

__all__ = [
    "Assessment",
    "Intake",
    "MarrowscopeError",
    "Study",
    "__version__",
    "assess",
    "assess_with_objects",
    "conclude",
    "detect",
    "prepare",
    "read_results",
    "read_study",
    "reason",
    "write_results",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
