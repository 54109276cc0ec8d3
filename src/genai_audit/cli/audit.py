"""Verbs that collect and compute: pull, import, run, rebuild, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genai_audit.cli.session import note, print_result, resolve, session_of, tell
from genai_audit.errors import QualityGateError, UsageError

if TYPE_CHECKING:
    from genai_audit.landing import Package
    from genai_audit.pipeline import Result

Since = Annotated[
    str | None, typer.Option(help="First day: 2026-11-01, yesterday, last-week or last-month (UK days).")
]
Until = Annotated[str | None, typer.Option(help="Last day, included.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Only this source; may be given more than once.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, in numbers; do nothing.")]
FailOn = Annotated[
    str | None, typer.Option(help="Exit 1 when there is one: finding, warning or gap (commas allowed).")
]


def pull(
    context: typer.Context,
    since: Since = None,
    until: Until = None,
    source: Sources = None,
    dry_run: DryRun = False,
) -> None:
    """Collect records into landing and stop there. Example: genai-audit pull --since yesterday"""
    from genai_audit import collection

    session = session_of(context)
    window = resolve(since, until) if since or until else None
    if dry_run:
        _say_plan(session_of(context).settings(), session.workspace, window, source)
        return
    with session.writing("pull") as run:
        collection.pull(run, window, source)
        run.write_down("completed with gaps" if run.gaps else "complete", [])
        tell(f"{len(run.landed)} package(s), {sum(p.counts['accepted'] for p in run.landed)} record(s).")
        for gap in run.gaps:
            tell(f"Gap: {gap}")
    collection.raise_if_nothing_came(run)


def import_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Exports: Purview CSV, JSON, JSON Lines, VLE CSV …")],
    kind: Annotated[str | None, typer.Option(help="Kind of the files, if content does not tell.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Take files into landing. Example: genai-audit import AuditLog.csv, then genai-audit run"""
    from genai_audit import collection

    session = session_of(context)
    if dry_run:
        for file in files:
            source_id, found = collection.recognise(file, kind, session.workspace.registers)
            tell(f"{file.name}: would be imported as {found} ({source_id}), {file.stat().st_size:,} bytes")
        return
    session.set_up_if_new()
    with session.writing("import") as run:
        try:
            collection.import_files(run, files, kind)
            run.write_down("complete", [])
        finally:  # what was landed before a file that is refused stays landed
            _tell_packages(run.landed)


def _tell_packages(landed: Sequence[Package]) -> None:
    for package in landed:
        counts = ", ".join(f"{count} {name}" for name, count in package.counts.items())
        tell(f"{package.package_id} {package.source}: {counts}")
        for reason, count in package.quarantine_reasons.items():
            tell(f"  quarantined: {count} x {reason}")


def run(
    context: typer.Context,
    since: Since = None,
    until: Until = None,
    source: Sources = None,
    fail_on: FailOn = None,
    dry_run: DryRun = False,
) -> None:
    """Do everything that is due: pull, parse, load, check, detect, publish, report."""
    from genai_audit import pipeline

    session = session_of(context)
    reasons = _read_reasons(fail_on)
    window = resolve(since, until) if since or until else None
    if dry_run:
        _say_plan(session.settings(), session.workspace, window, source)
        tell("Then: parse, load, check, detect, publish, report.")
        return
    with session.writing("run") as started:
        result = pipeline.run_everything(started, window, source)
    print_result(result)
    _raise_on(result, reasons)


def rebuild(
    context: typer.Context,
    from_: Annotated[str, typer.Option("--from", help="parsed, or landing to parse again too.")] = "parsed",
    dry_run: DryRun = False,
) -> None:
    """Compute everything derived again: warehouse, published files, reports."""
    from genai_audit import pipeline
    from genai_audit.landing import packages

    session = session_of(context)
    if from_ not in ("parsed", "landing"):
        raise UsageError(f"--from {from_} is unknown.", next_step="Write --from parsed or --from landing.")
    if dry_run:
        session.settings()
        tell(f"Would rebuild from {from_}: {len(packages(session.workspace))} package(s).")
        return
    with session.writing("rebuild") as started:
        result = pipeline.rebuild(started, from_landing=from_ == "landing")
    print_result(result)


def report(context: typer.Context, dry_run: DryRun = False) -> None:
    """Render the reports again from what is published."""
    from genai_audit import pipeline

    session = session_of(context)
    session.settings()
    if dry_run:
        tell("Would render compliance_audit, vle_usage and iss_operations.")
        return
    with session.writing("report") as started:
        paths = pipeline.report(started)
        started.write_down("complete", [])
    for path in paths:
        tell(f"Report: {path}")


def _say_plan(settings: object, workspace: object, window: object, source: list[str] | None) -> None:
    from genai_audit import collection

    for line in collection.describe_plan(workspace, settings, window, source):  # type: ignore[arg-type]
        tell(line)


def _read_reasons(fail_on: str | None) -> set[str]:
    """The words of --fail-on; a wrong one is said before the run, not after it."""
    asked = {word.strip() for word in (fail_on or "").split(",") if word.strip()}
    unknown = sorted(asked - {"finding", "warning", "gap"})
    if unknown:
        raise UsageError(
            f"'{unknown[0]}' is unknown.", where="--fail-on", next_step="Write finding, warning or gap."
        )
    return asked


def _raise_on(result: Result, asked: set[str]) -> None:
    hit = {
        "finding": result.findings > 0,
        "warning": result.quality.get("failed", 0) > 0,
        "gap": bool(result.gaps),
    }
    reasons = sorted(word for word in asked if hit[word])
    if reasons:
        note("")
        raise QualityGateError(
            f"--fail-on was hit: {', '.join(reasons)}.",
            where=result.run_id,
            next_step="Published data and reports are complete; look at them.",
        )
