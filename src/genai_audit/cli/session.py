"""What every verb shares: the workspace, its settings, and how things are said to people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genai_audit import __version__
from genai_audit.errors import GenaiAuditError

if TYPE_CHECKING:
    from genai_audit.calendars import Window
    from genai_audit.pipeline import Result
    from genai_audit.runs import Run
    from genai_audit.settings import Settings
    from genai_audit.workspace import Workspace


@dataclass
class Session:
    """Made once from the global options; found in the context of every verb."""

    workspace_flag: Path | None
    debug: bool

    @staticmethod
    def open(
        context: typer.Context,
        workspace: Annotated[
            Path | None,
            typer.Option(help="Workspace folder; else $GENAI_AUDIT_WORKSPACE, else ./workspace."),
        ] = None,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
        version: Annotated[bool, typer.Option("--version", help="Print versions and exit.")] = False,
    ) -> None:
        if version:
            import duckdb

            print(f"genai-audit {__version__}, DuckDB {duckdb.__version__}, Python {sys.version.split()[0]}")
            raise typer.Exit
        context.obj = Session(workspace, debug)

    @property
    def workspace(self) -> Workspace:
        from genai_audit.workspace import find_workspace

        return find_workspace(self.workspace_flag)

    def settings(self) -> Settings:
        from genai_audit.configuration import load_settings

        self.workspace.require()
        return load_settings(self.workspace.settings_file)

    def set_up_if_new(self) -> None:
        """Somebody who has an export and no workspace gets one, and is told so."""
        from genai_audit.doctor import set_up

        if not self.workspace.root.exists():
            for name in set_up(self.workspace):
                note(f"Wrote {self.workspace.root / name}")

    @contextmanager
    def writing(self, verb: str) -> Iterator[Run]:
        """A run that holds the workspace's lock; a failure is written down for operations."""
        from genai_audit.pipeline import record_failure
        from genai_audit.runs import Run

        settings = self.settings()
        with self.workspace.lock(verb), Progress() as progress:
            run = Run(self.workspace, settings, verb, say=progress.say, advance=progress.advance)
            try:
                yield run
            except BaseException as error:
                record_failure(run, error)
                raise


class Progress:
    """A bar on a terminal, plain lines elsewhere; always on stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)  # honours NO_COLOR and TERM=dumb
        self._bars: Bars | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bars = Bars(*columns, console=self._console, transient=True)
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> Progress:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def say(self, text: str) -> None:
        self._console.print(visible(text), markup=False, highlight=False)

    def advance(self, label: str, done: int, total: int) -> None:
        if self._bars:
            if label not in self._tasks:
                self._tasks[label] = self._bars.add_task(label, total=total)
            self._bars.update(self._bars.tasks[self._tasks[label]].id, completed=done, total=total)
        elif done == total or done % 10 == 0:
            self.say(f"{label}: {done} of {total}")


def session_of(context: typer.Context) -> Session:
    found = context.obj
    assert isinstance(found, Session)
    return found


def resolve(since: str | None, until: str | None) -> Window:
    """The window that the flags name, said back in UTC."""
    from genai_audit.calendars import resolve_window

    window = resolve_window(since, until, datetime.now(UTC))
    note(f"Window: {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC")
    return window


def visible(value: object) -> str:
    """One line of visible characters: log fields are written by strangers, and a terminal obeys them."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text)


def tell(text: str) -> None:
    """A line of the result, on stdout."""
    print(visible(text))


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(visible(text), file=sys.stderr)


def print_error(error: GenaiAuditError) -> None:
    note(f"Error: {error.what}")
    if error.where:
        note(f"Where: {error.where}")
    if error.next_step:
        note(f"Next:  {error.next_step}")


def print_result(result: Result) -> None:
    """What a run came to, in plain words."""
    tell(f"Run {result.run_id}: {result.outcome}.")
    tell(
        f"{result.packages} package(s) landed, {result.records} new record(s), {result.findings} finding(s)."
    )
    checks = ", ".join(f"{count} {status}" for status, count in sorted(result.quality.items()))
    tell(f"Quality: {checks}.")
    for gap in result.gaps[:10]:
        tell(f"Gap: {gap}")
    if len(result.gaps) > 10:
        tell(f"And {len(result.gaps) - 10} more gaps: see `genai-audit query coverage_gaps`.")
    for path in result.reports:
        tell(f"Report: {path}")
