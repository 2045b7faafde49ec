"""The command line: a table of commands, each imported only when it is called.

``marrowscope --help`` must answer in under 0.3 s, so nothing but typer is imported here; a command's module is
loaded when that command runs or shows its own help.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
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


SHOW_TRACEBACK = "MARROWSCOPE_TRACEBACK"
"""Environment variable that lets an internal error end with its traceback, for whoever mends it."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is one clear line on stderr."""
    from marrowscope.errors import ExitCode, MarrowscopeError

    try:
        get_command(root)(args=arguments, prog_name="marrowscope")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(ExitCode.DONE)
    except MarrowscopeError as error:
        typer.echo(f"marrowscope: {error.message}", err=True)
        return int(error.exit_code)
    except Exception as error:
        if os.environ.get(SHOW_TRACEBACK):
            raise
        typer.echo(f"marrowscope: {_unforeseen(error)}", err=True)
        return int(ExitCode.INTERNAL)
    return int(ExitCode.DONE)


def _unforeseen(error: Exception) -> str:
    """An error nobody raised on purpose, in one line; its own words may hold a patient's name and are left out."""
    from marrowscope.errors import MarrowscopeError

    if isinstance(error, OSError) and error.strerror:
        found = f"a file, folder or connection that cannot be used ({error.strerror})"
        if error.filename:
            found = (
                f"a file or folder {Path(str(error.filename)).name!r} that cannot be read or written ({error.strerror})"
            )
        return MarrowscopeError(found, "", "check that it exists, its rights and the free space").message
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" in {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else ""
    found = f"an internal error ({type(error).__name__}{where})"
    return MarrowscopeError(found, "", f"report it; {SHOW_TRACEBACK}=1 shows the whole of it").message


def _terminated(number: int, _frame: FrameType | None) -> None:
    """End as Python ends, so that what was written aside is removed."""
    sys.exit(128 + number)


def main() -> None:
    """Run one command and end the process with its exit code (0, 2, 3, 4 or 5; see ``marrowscope.errors``)."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run())
