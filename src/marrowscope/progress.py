"""How long work tells how far it is: one callable, handed down by whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on; may raise :class:`Cancelled` to stop it at the next safe point."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of ``stage`` are finished."""
        ...


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Raised by a Progress to stop the work; nothing half-written is left behind."""
