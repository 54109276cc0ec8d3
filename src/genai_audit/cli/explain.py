"""`explain`: what a source is, in words for people who have to rely on it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from genai_audit.cli.session import session_of, tell
from genai_audit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from genai_audit.registry import Source


def explain(
    context: typer.Context,
    source: Annotated[str | None, typer.Argument(help="Its id; without one all are listed.")] = None,
) -> None:
    """What a source contains and does not, what it needs, and what is collected of it so far."""
    from genai_audit import registry

    known = registry.sources()
    if source is None:
        for name, one in known.items():
            tell(f"{name}: {one.title}")
        return
    if source not in known:
        raise UsageError(f"There is no source '{source}'.", next_step=f"Known: {', '.join(known)}.")
    for line in describe(source, known[source], registry.docstring("sources", source)):
        tell(line)
    published = session_of(context).workspace.published / "compliance.duckdb"
    if published.exists():
        for line in describe_coverage(published, source):
            tell(line)


def describe(name: str, source: Source, words: str) -> Iterator[str]:
    yield f"{name}: {source.title}"
    yield ""
    yield from words.splitlines()
    yield ""
    how = "files (genai-audit import)" if source.read else ""
    if source.pull:
        how = "pulled, a snapshot a day" if source.is_snapshot else "pulled, window by window"
        how += " or from files" if source.read else ""
    yield f"How:        {how}"
    if source.pull:
        yield f"Permission: {', '.join(source.needs) or 'none of Microsoft Graph'}"
        yield f"Section:    [{name}] of genai-audit.toml"
        yield f"Look back:  {source.keeps.days} days"
    yield f"Lag:        {write_span(source.lag)} until records are there"
    yield f"Expected:   {source.expected}"
    yield f"Unproven:   when {source.unproven_when}"


def describe_coverage(published: Path, name: str) -> Iterator[str]:
    """Days by state, from what is published."""
    from genai_audit.warehouse import open_published

    with open_published(published) as connection:
        rows = connection.execute(
            "SELECT coverage_status, count(*), min(covered_day), max(covered_day) FROM coverage "
            "WHERE source = $name GROUP BY coverage_status ORDER BY 1",
            {"name": name},
        ).fetchall()
    yield ""
    yield "Coverage:   " + ("not collected, on no day" if not rows else "")
    for status, days, first, last in rows:
        yield f"  {status}: {days} day(s), {first} to {last}"


def write_span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours / 24:g} day(s)" if hours >= 24 else f"{hours:g} hour(s)"
