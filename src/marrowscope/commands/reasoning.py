"""``marrowscope reason``, ``intake`` and ``bench reasoning``: thin; the work is in the room ``reasoning``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marrowscope.errors import IntakeError, UsageError

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake
    from marrowscope.reasoning.interview import Ask

STOP_WORDS = ("stop", "quit", "q")
SKIP_WORDS = ("", "?", "unknown", "skip")

JsonOption = Annotated[bool, typer.Option("--json", help="Plain data on the screen.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Intake: YAML, JSON or FHIR QuestionnaireResponse.")]

intake = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@intake.callback()
def _about() -> None:
    """Write, check and complete an intake; search its words."""


def reason(
    file: FileArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Results folder to write.")] = None,
    setting: Annotated[str | None, typer.Option(help="Rank as seen in another setting, e.g. oncology.")] = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="Causes shown on the screen.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Causes with reasons, the cancer, infection and unstable-bone checks, next test and plan, from an intake."""
    from marrowscope.reasoning.answer import reason_findings
    from marrowscope.reasoning.summary import summary

    case = _in_setting(_load(file), setting)
    answer = reason_findings(case)
    if as_json:
        typer.echo(json.dumps({"intake": case.to_dict(), **answer.to_dict()}, indent=1, ensure_ascii=False))
    else:
        typer.echo(summary(answer, top))
    if out is not None:
        _write(case, out)
        typer.echo(f"report: {out / 'index.html'}", err=as_json)


def _load(file: Path) -> Intake:
    from marrowscope.reasoning.intake import Intake

    return Intake.load(file)


def _in_setting(case: Intake, setting: str | None) -> Intake:
    from marrowscope.knowledge.choices import choices, choose
    from marrowscope.reasoning.intake import Setting

    if setting is None:
        return case
    known = choose("setting", setting)
    if known is None:
        raise UsageError(f"--setting {setting}", ", ".join(choices()["setting"]))
    return replace(case, setting=Setting(known))


def _write(case: Intake, out: Path) -> None:
    """The results folder of an intake, whole or absent."""
    from marrowscope.assessment.pipeline import Assessed
    from marrowscope.assessment.pipeline import reason as assess_intake
    from marrowscope.results import write_results

    write_results(out, Assessed(assess_intake(case), None), {"intake": case.to_dict()}, {})


@intake.command("new")
def new(
    site: Annotated[str, typer.Option(help="knee, spine, si_joint, hip_pelvis, foot_ankle, ...")] = "knee",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; the screen without it.")] = None,
) -> None:
    """Write an empty intake for a site: the findings that tell most there, ready to fill in."""
    from marrowscope.knowledge.choices import choices, choose
    from marrowscope.reasoning.interview import template

    known = choose("site", site)
    if known is None:
        raise UsageError(f"--site {site}", ", ".join(choices()["site"]))
    _to(out, template(known))


def _to(out: Path | None, text: str) -> None:
    if out is None:
        typer.echo(text.rstrip("\n"))
        return
    _refuse_existing(out)
    out.write_text(text, encoding="utf-8")
    typer.echo(f"written: {out}")


@intake.command("check")
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check an intake: each mistake with its line and the nearest valid word; exit code 2 when there is one."""
    from marrowscope.findings import State
    from marrowscope.reasoning.contradictions import contradictions
    from marrowscope.reasoning.remarks import remarks

    case = _load(file)
    clashes, kept = (*contradictions(case), *remarks(case)), [f"kept, not weighed: {text}" for text in case.uncoded]
    if as_json:
        typer.echo(json.dumps({"intake": case.to_dict(), "notes": [*clashes, *kept]}, indent=1, ensure_ascii=False))
        return
    known = sum(finding.state is not State.UNKNOWN for finding in case.findings)
    typer.echo(f"{file.name}: valid, {known} findings known")
    for line in (*clashes, *kept):
        typer.echo(f"  note: {line}")


@intake.command("read")
def read(
    report: Annotated[
        str,
        typer.Argument(metavar="REPORT.txt", help="A radiology report in plain text; - reads it from standard input."),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Intake file to write.")] = None,
    site: Annotated[str | None, typer.Option(help="The joint asked about, where the report is about several.")] = None,
    side: Annotated[str | None, typer.Option(help="left, right or both, where it is about both.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Draft an intake from a written radiology report: what it says, denies and doubts, each with its words."""
    from marrowscope.reasoning.written.draft import draft, plain_data, possible, table
    from marrowscope.reasoning.written.layout import report_text
    from marrowscope.reasoning.written.read import read_report

    _refuse_existing(out)
    found = possible(read_report(report_text(report), site, side))
    text = draft(found)
    typer.echo(json.dumps(plain_data(found), indent=1, ensure_ascii=False) if as_json else table(found))
    if out is not None:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"written: {out}; check it, then: marrowscope reason {out}", err=as_json)


def _refuse_existing(out: Path | None) -> None:
    if out is not None and out.exists():
        raise UsageError(f"{out.name} exists", "a new file name", "choose another -o")


@intake.command("ask")
def ask(
    out: Annotated[Path, typer.Option("--out", "-o", help="Intake file to write.")],
    start: Annotated[Path | None, typer.Option("--from", help="Intake to go on from.")] = None,
) -> None:
    """Ask the most informative question next, until you stop; write the intake."""
    from marrowscope.reasoning.intake import Intake
    from marrowscope.reasoning.interview import next_ask

    if out.exists() and out != start:
        raise UsageError(f"{out.name} exists", "a new file name", "choose another -o, or --from it")
    case, skipped = _load(start) if start else Intake(), set[str]()
    typer.echo("Enter alone: not known. stop: write and end.")
    while (question := next_ask(case, skipped)) is not None:
        said = _said(question)
        if said.lower() in STOP_WORDS:
            break
        if said.lower() in SKIP_WORDS:
            skipped.add(question.key)
            continue
        answered = _answered(case, question, said)
        if answered != case:
            skipped.add(question.key)  # an answer that leaves it open is an answer too
        case = answered
    _write_intake(case, out)


def _said(question: Ask) -> str:
    """The answer typed; the end of input (or an interruption) ends the questions and keeps what was answered."""
    try:
        return str(typer.prompt(f"{question.text} [{question.allowed}]", default="", show_default=False)).strip()
    except typer.Abort:
        typer.echo("")
        return STOP_WORDS[0]


def _answered(case: Intake, question: Ask, said: str) -> Intake:
    from marrowscope.reasoning.interview import with_answer
    from marrowscope.reasoning.remarks import remarks

    try:
        answered = with_answer(case, question.key, said)
    except IntakeError as error:
        typer.echo(f"  not understood: {error.found}")
        return case
    for line in set(remarks(answered)) - set(remarks(case)):
        typer.echo(f"  note: {line}")
    return answered


def _write_intake(case: Intake, out: Path) -> None:
    import yaml

    out.write_text(yaml.safe_dump(case.to_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
    typer.echo(f"written: {out}; next: marrowscope reason {out}")


@intake.command("vocabulary")
def vocabulary(
    word: Annotated[str, typer.Argument(help="Word to search, e.g. 'meniscus' or 'bone pain'.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Search the codes of an intake; all of them without a word."""
    from marrowscope.reasoning.vocabulary import find_codes

    found = find_codes(word)
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if not found:
        raise UsageError(f"no code for {word!r}", "another word", "put the statement under `uncoded`")
    place = ""
    for item in found:
        if not word and item["place"] != place:
            place = item["place"]
            typer.echo(f"\n{place}")
        also = f"  ({', '.join(item['also'][:4])})" if item["also"] else ""
        typer.echo(f"  {item['code']}  {item['label']}{also}" + (f"  under {item['place']}" if word else ""))


@intake.command("schema")
def schema() -> None:
    """Print the JSON Schema of an intake."""
    from marrowscope.reasoning.schema import intake_schema

    typer.echo(json.dumps(intake_schema(), indent=1, ensure_ascii=False))


@intake.command("questionnaire")
def fhir_questionnaire(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; the screen without it.")] = None,
) -> None:
    """Print the intake as a FHIR R4B Questionnaire; a QuestionnaireResponse to it is accepted wherever an intake is."""
    from marrowscope.reasoning.questionnaire import questionnaire

    _to(out, json.dumps(questionnaire(), indent=1, ensure_ascii=False) + "\n")


@intake.command("response")
def fhir_response(
    file: FileArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; the screen without it.")] = None,
) -> None:
    """Print an intake as a FHIR R4B QuestionnaireResponse."""
    from marrowscope.reasoning.questionnaire_response import response_of

    _to(out, json.dumps(response_of(_load(file)), indent=1, ensure_ascii=False) + "\n")


def bench_reasoning(
    folder: Annotated[Path, typer.Argument(help="Folder of intakes and answers.yaml.")],
    as_json: JsonOption = False,
) -> None:
    """Hits, cancer and infection checks, calibration on cases with known diagnoses, with bootstrap intervals."""
    from marrowscope.reasoning.bench import run_cases, summarise

    report = summarise(run_cases(folder))
    if as_json:
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
        return
    for line in _bench_lines(report):
        typer.echo(line)


def _bench_lines(report: dict[str, Any]) -> list[str]:
    lines = [f"{'n':24}{report['n']}"]
    for name, bounds in report["intervals"].items():
        value = "cannot be told" if report[name] is None else f"{report[name]:.3f}"
        lines.append(f"{name:24}{value}" + (f"  (95 % {bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else ""))
    lines += [f"{name:24}{report[name]}" for name in ("cancer_at_no_sign", "infection_at_no_sign")]
    lines.append("leading group's probability against how often it was right")
    lines += [
        f"  {row['from']:.2f}-{row['to']:.2f}: n {row['n']:3} predicted {row['predicted']:.2f} right {row['right']:.2f}"
        for row in report["reliability"]
    ]
    for row in report["cases"]:
        leading = ", ".join(f"{item['group']} {item['probability']:.2f}" for item in row["leading"])
        checks = f"cancer {row['cancer']['level']}, infection {row['infection']['level']}"
        lines.append(f"{row['id']:10} {row['group']:24} rank {row['group_rank']}  {leading}; {checks}")
        for side in ("put_first", "stated"):
            if reasons := row.get("miss", {}).get(side):
                lines.append(
                    f"    {side}: {reasons['cause']} {reasons['probability']:.2f}: {'; '.join(reasons['reasons'])}"
                )
    return lines
