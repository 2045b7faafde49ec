"""``explain``: a cause, symptom, test, treatment, question, joint, score or measure in plain and in clinical words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from marrowscope.knowledge.load import Claim
    from marrowscope.reasoning.explain import Explanation

WIDTH = 100
"""Widest line on the terminal, in characters; longer ones tire the eye."""


def explain(
    topic: Annotated[list[str] | None, typer.Argument(help="Free words, or a key such as cause:gout.")] = None,
    patient: Annotated[bool, typer.Option("--patient", help="The patient's words only.")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List every topic.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
) -> None:
    """Explain a topic: what holds, with its sources, and the same in a patient's words.

    Examples: marrowscope explain "can it be cancer" | marrowscope explain gout | marrowscope explain knee
    """
    from marrowscope.errors import UsageError
    from marrowscope.reasoning.explain import explain as explain_topic

    if show_list:
        _list(as_json)
        return
    words = " ".join(topic or ()).strip()
    if not words:
        raise UsageError("no topic", "a few words", 'marrowscope explain "can it be cancer", or --list')
    told = explain_topic(words)
    if as_json:
        typer.echo(json.dumps(told.to_dict(), indent=2, ensure_ascii=False))
    else:
        _show(told, patient)


def _list(as_json: bool) -> None:
    from marrowscope.reasoning.explain import KINDS, topics

    if as_json:
        typer.echo(json.dumps({key: topic.title for key, topic in topics().items()}, indent=2, ensure_ascii=False))
        return
    for kind in KINDS:
        typer.echo(f"{kind}:")
        for key, topic in topics().items():
            if key.startswith(f"{kind}:"):
                typer.echo(f"  {key.partition(':')[2]:36} {topic.title}")


def _show(told: Explanation, patient_only: bool) -> None:
    from marrowscope.knowledge.article import corrections

    typer.echo(f"{told.title}  [{told.key}]")
    _block("In plain words", told.patient)
    if not patient_only:
        for part in told.parts:
            _block(part.heading, part.claims)
    for key in told.corrections:
        item = corrections()[key]
        typer.echo(f"\nOften read elsewhere, {item.verdict}: {item.says}")
        _lines((item.patient if patient_only else item.holds,))
    if not patient_only:
        _sources(told)
    if told.others:
        typer.echo(f"\nOther topics: {', '.join(told.others)}")


def _block(heading: str, claims: Iterable[Claim]) -> None:
    claims = tuple(claims)
    if claims:
        typer.echo(f"\n{heading}")
        _lines(claims)


def _lines(claims: Iterable[Claim]) -> None:
    import textwrap

    for claim in claims:
        text = f"{claim.text} [{claim.basis}]"
        typer.echo(textwrap.fill(text, WIDTH, initial_indent="  - ", subsequent_indent="    "))


def _sources(told: Explanation) -> None:
    from marrowscope.knowledge.load import sources

    if told.source_keys:
        typer.echo("\nSources")
    for key in told.source_keys:
        source = sources()[key]
        typer.echo(f"  {key}: {source.title}. {source.url}" + (" (secondary)" if source.kind == "secondary" else ""))
