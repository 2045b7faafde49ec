"""Intake text (YAML, of which JSON is a part) to plain data with the line of every entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from marrowscope.errors import IntakeError

MAX_CHARACTERS = 200_000
"""Longest intake read, in characters: a hundred times a full one."""

MAX_DEPTH = 16
"""Deepest nesting read; the schema needs four, a FHIR QuestionnaireResponse eleven."""

NO_INTAKE = (
    "marrowscope intake read REPORT.txt -o case.yaml drafts one from a report in free text;"
    " marrowscope intake new --site knee -o case.yaml writes an empty one"
)
"""What to do with a file that is no intake, such as a report: free text is read by a command of its own."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Lined:
    """Plain data and, for each entry's path, its line (from 1); no lines when the data did not come from a text."""

    data: Any
    lines: Mapping[Path, int] = field(default_factory=dict)
    name: str = "intake"

    def where(self, path: Path) -> str:
        """Place of an entry in words, for a message: ``line 4`` or the dotted path."""
        line = self.lines.get(path)
        return f"{self.name} line {line}" if line else ".".join(path) or self.name


class _Words(yaml.SafeLoader):
    """YAML's safe loader, with dates left as text: an intake has none."""


_Words.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_text(text: str, name: str = "intake") -> Lined:
    """Read an intake text.

    Raises:
        IntakeError: too long, not YAML, nested too deep, or using YAML anchors.
    """
    if len(text) > MAX_CHARACTERS:
        raise IntakeError(f"{name} has {len(text)} characters", f"at most {MAX_CHARACTERS}", "is this an intake?")
    try:
        return _build(text, name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise IntakeError(f"{name}{line}: {problem}", "YAML or JSON", NO_INTAKE) from error


def _build(text: str, name: str) -> Lined:
    loader = _Words(text)
    try:
        _check_events(text, name)
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        return Lined(_walk(loader, node, (), lines, name), lines, name) if node else Lined({}, {}, name)
    finally:
        loader.dispose()


def _check_events(text: str, name: str) -> None:
    """Refuse anchors, and nesting that would exhaust the recursion of everything after this.

    Raises:
        IntakeError: see above.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise IntakeError(f"{name} uses YAML anchors (* and &)", "plain entries")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH + 1:
            line = f" line {event.start_mark.line + 1}" if event.start_mark else ""
            raise IntakeError(f"{name}{line}: nested too deep", f"at most {MAX_DEPTH} levels")


def _walk(loader: _Words, node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    if len(path) > MAX_DEPTH:
        raise IntakeError(f"{name} line {node.start_mark.line + 1}: nested too deep", f"at most {MAX_DEPTH} levels")
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines, name)
    if isinstance(node, yaml.SequenceNode):
        return [_walk(loader, item, (*path, str(i)), lines, name) for i, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


def _mapping(loader: _Words, node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value in node.value:
        key = str(key_node.value)
        if key in data:
            raise IntakeError(f"{name} line {key_node.start_mark.line + 1}: {key!r} twice", "each entry once")
        lines[*path, key] = key_node.start_mark.line + 1
        data[key] = _walk(loader, value, (*path, key), lines, name)
    return data
