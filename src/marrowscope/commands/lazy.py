"""Groups of commands that are imported one at a time, so that ``--help`` stays instant."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command


class LazyGroup(TyperGroup):
    """A group that knows its commands' names and help lines, and imports one only to run it."""

    table: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the table's order."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now; None for a name that is not in the table."""
        return load_command(cmd_name, self.table[cmd_name][0]) if cmd_name in self.table else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table, without importing any of it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])


def load_command(name: str, path: str) -> Any:
    """Import ``module:attribute`` (a Typer app, or a plain typed function) as a command."""
    module_name, attribute = path.split(":")
    target = getattr(importlib.import_module(module_name), attribute)
    if isinstance(target, typer.Typer):
        app = target
    else:
        app = typer.Typer(add_completion=False)
        app.command(name)(target)
    command = get_command(app)
    command.name = name
    return command


def lazy_app(group: type[LazyGroup], text: str) -> typer.Typer:
    """A Typer app whose commands come from ``group.table``."""
    app = typer.Typer(
        cls=group,
        help=text,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def _group() -> None:
        """Nothing to do before the command."""

    return app
