"""Verbs that set up: init, doctor, demo."""

from __future__ import annotations

from typing import Annotated

import typer

from genai_audit.cli.session import Progress, note, session_of, tell
from genai_audit.errors import ConfigurationError


def init(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written.")] = False,
) -> None:
    """Make a workspace: configuration, registers, pseudonym key. Nothing that exists is replaced."""
    from genai_audit import doctor

    workspace = session_of(context).workspace
    for name in doctor.set_up(workspace, dry_run=dry_run):
        tell(f"{'Would write' if dry_run else 'Wrote'} {name}")
    note("Next: edit genai-audit.toml and registers/, then run `genai-audit doctor`.")


def doctor(
    context: typer.Context,
    settings: Annotated[
        bool, typer.Option("--settings", help="Show every setting and where it came from.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Make no request.")] = False,
) -> None:
    """Check configuration, credentials, clock, disk, key, modes, versions, reachability: a line each."""
    from genai_audit import doctor as checkup

    session = session_of(context)
    if settings:
        for line in checkup.describe_settings(session.workspace):
            tell(line)
        return
    findings = list(checkup.examine(session.workspace, offline=offline))
    for finding in findings:
        tell(f"{finding.state:4} {finding.subject}: {finding.text}")
    broken = sum(finding.state == "fix" for finding in findings)
    if broken:
        raise ConfigurationError(
            f"{broken} thing(s) to mend.", where="doctor", next_step="Each line marked 'fix' says how."
        )


def demo(
    context: typer.Context,
    people: Annotated[int, typer.Option(min=50, help="People of the pretend university.")] = 3000,
    days: Annotated[int, typer.Option(min=28, help="Days of logs.")] = 60,
    seed: Annotated[int, typer.Option(help="Same seed, same university.")] = 7,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
) -> None:
    """Audit a pretend university from end to end: no tenant, no credentials. Example: genai-audit demo"""
    from genai_audit.demo import tour

    if dry_run:
        for line in tour.describe(session_of(context).workspace, people, days, seed):
            tell(line)
        return
    with Progress() as progress:
        for line in tour.show(session_of(context).workspace, people, days, seed, progress):
            tell(line)
