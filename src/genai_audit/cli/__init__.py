"""The command line: parse arguments, call one function, print, exit. No logic lives here.

Results go to stdout, everything for people (progress, notes, errors) to stderr.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback

import typer

from genai_audit.cli import audit, explain, judge, questions, registers, setup
from genai_audit.cli.session import Session, print_error
from genai_audit.errors import GenaiAuditError

EXIT_CODES = (
    "Exit codes: 0 fine, 1 quality gate or --fail-on hit, 2 usage, 65 bad data, 69 source unavailable, "
    "70 our bug, 75 already running, 78 configuration, 130 interrupted."
)
INTERRUPTED = 130
app = typer.Typer(
    name="genai-audit",
    help="Evidence for a university's GenAI policy, from the activity logs it already has.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.callback()(Session.open)
for verb in (setup.init, setup.doctor, setup.demo, audit.pull, audit.run, audit.rebuild, audit.report):
    app.command()(verb)
app.command("import")(audit.import_)
app.command()(judge.judge)
for question in (questions.query, explain.explain, questions.trace, questions.verify):
    app.command()(question)
app.add_typer(registers.register, name="register")


def main() -> None:
    """Run the command line; every expected error becomes its exit code, a traceback needs --debug."""
    os.umask(0o077)
    # Records are many small objects without cycles: looking for cycles all the time costs a third of a pull.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    debug = "--debug" in sys.argv
    interrupts: list[int] = []
    _watch_interrupts(interrupts)
    try:
        code = app(standalone_mode=False)  # an exit of the parser's comes as a number
    except KeyboardInterrupt:
        code = INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code
    except Exception as error:
        code = INTERRUPTED if interrupts else _explain(error, debug)
    if code == INTERRUPTED:
        print("Interrupted. Everything that was landed is whole; run again to go on.", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)  # requests that are under way must not hold the process
    sys.exit(code)


def _watch_interrupts(seen: list[int]) -> None:
    """Remember Ctrl-C: DuckDB turns it into an error of its own, which looks like a failed query."""

    def interrupt(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _explain(error: Exception, debug: bool) -> int:
    """Say what happened, in words for people; gives the exit code."""
    if isinstance(error, GenaiAuditError):
        if debug:
            traceback.print_exception(error)
        print_error(error)
        return error.exit_code
    if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the argument parser
        error.show()
        return int(error.exit_code)
    if debug:
        traceback.print_exception(error)
    # The message of an unknown error may quote data, so only its type is shown.
    print(f"Error: our own bug ({type(error).__name__}).", file=sys.stderr)
    print("Next:  run again with --debug and send us the traceback; it may quote data.", file=sys.stderr)
    return 70
