"""``python -m benchmarks [NAME] [options]``: run one benchmark; without a name the spine."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path


def names() -> list[str]:
    """Benchmarks: every module of this folder with a ``main``."""
    here = Path(__file__).parent
    return sorted(p.stem for p in here.glob("*.py") if "\ndef main(" in p.read_text(encoding="utf-8"))


def run(arguments: Sequence[str]) -> int:
    """Run the benchmark named first, or the spine.

    Returns:
        What the benchmark returns; 2 when there is none of that name, or a package it needs is not installed.
    """
    name, rest = (
        (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("spine", arguments)
    )
    if name not in names():
        print(f"no benchmark called {name}; expected: one of {', '.join(names())}", file=sys.stderr)
        return 2
    try:
        return int(importlib.import_module(f"benchmarks.{name}").main(rest))
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "benchmarks", "marrowscope"):
            raise
        print(
            f"the benchmark {name} needs the package {package}\n"
            f"  found: no package of this name in {sys.prefix}\n"
            f"  expected: {package}, which marrowscope itself does not need\n"
            f"  do this: run it in an environment of its own that also has it (pip install {package})",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
