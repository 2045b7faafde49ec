"""The command line: a table of commands, each imported only when it is called.

``marrowscope --help`` must answer in under 0.3 s, so nothing but typer is imported here; a command's module is
loaded when that command runs or shows its own help.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import typer
from typer.main import get_command

from marrowscope.commands.lazy import LazyGroup, lazy_app

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime can be imported, anywhere
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: sums must not depend on cores, and its threads spin for work

ABOUT = """Find, measure and explain bone marrow edema.

For research use and decision support: a named clinician decides. Nothing is sent anywhere unless you name a peer."""

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:typer app or function, one line of help), in the order of a newcomer's questions
    "demo": ("marrowscope.commands.assess:demo", "Simulate a knee study and assess it: the two-minute tour."),
    "assess": ("marrowscope.commands.assess:assess", "Find, measure and explain the edema in one study."),
    "inspect": ("marrowscope.commands.study:inspect", "Say what a study holds, series by series, with reasons."),
    "reason": ("marrowscope.commands.reasoning:reason", "Causes, cancer check and plan from an intake, no images."),
    "intake": ("marrowscope.commands.reasoning:intake", "Draft an intake from a report; write, check, complete one."),
    "explain": ("marrowscope.commands.explain:explain", "Explain a cause, symptom, test, treatment or question."),
    "compare": ("marrowscope.commands.compare:compare", "Compare two visits of one joint."),
    "cohort": ("marrowscope.commands.cohort:cohort", "Assess many studies: tables, gallery, change."),
    "serve": ("marrowscope.commands.serve:serve", "Open the reading room in the browser."),
    "edit": ("marrowscope.commands.edit:edit", "Correct a result: lesions from a SEG, verdicts, grades."),
    "export": ("marrowscope.commands.exchange:export", "Write DICOM SEG, SR, PDF, key images, FHIR of a result."),
    "release": ("marrowscope.commands.exchange:release", "Sign a result: from then on it may leave."),
    "pacs": ("marrowscope.commands.exchange:pacs", "Find, get and send studies at a PACS."),
    "listen": ("marrowscope.commands.exchange:listen", "Receive studies, assess them, send back drafts."),
    "cds": ("marrowscope.commands.cds:cds", "Answer a CDS Hooks call: cards for a record system."),
    "deidentify": ("marrowscope.commands.study:deidentify", "Write a de-identified copy of a study."),
    "simulate": ("marrowscope.commands.simulate:simulate", "Write a simulated study with known truth."),
    "bench": ("marrowscope.commands.bench:bench", "Measure accuracy on data with known answers."),
    "doctor": ("marrowscope.commands.doctor:doctor", "Check this installation and say what is missing."),
}


class Root(LazyGroup):
    """All commands."""

    table: ClassVar[Mapping[str, tuple[str, str]]] = COMMANDS


def _version(wanted: bool) -> None:
    if wanted:
        from marrowscope import __version__

        typer.echo(f"marrowscope {__version__}")
        raise typer.Exit


root = lazy_app(Root, ABOUT)


@root.callback(help=ABOUT)
def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Say which.")] = False,
) -> None:
    """Options before the command."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every deliberate error is one clear line on stderr."""
    from marrowscope.errors import ExitCode, MarrowscopeError

    try:
        get_command(root)(args=arguments, prog_name="marrowscope")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(ExitCode.DONE)
    except MarrowscopeError as error:
        typer.echo(f"marrowscope: {error.message}", err=True)
        return int(error.exit_code)
    return int(ExitCode.DONE)


def main() -> None:
    """Run one command and end the process with its exit code (0, 2, 3, 4 or 5; see ``marrowscope.errors``)."""
    sys.exit(run())
