"""``python -m benchmarks [NAME] [options]``: run one benchmark; without a name the spine."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def names() -> list[str]:
    """Benchmarks: every module of this folder with a ``main``."""
    here = Path(__file__).parent
    return sorted(p.stem for p in here.glob("*.py") if "\ndef main(" in p.read_text(encoding="utf-8"))


def run(arguments: list[str]) -> int:
    """Run the benchmark named first, or the spine."""
    name, rest = (
        (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("spine", arguments)
    )
    if name not in names():
        print(f"no benchmark called {name}; expected: one of {', '.join(names())}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"benchmarks.{name}")
    return int(module.main(rest))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
