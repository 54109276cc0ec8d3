"""Verbs that only read: query, trace, verify."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genai_audit.cli.session import note, session_of, tell, visible
from genai_audit.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from genai_audit.querying import Answer, Question


def query(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="A saved question's name, or SQL.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value.")] = None,
    audience: Annotated[str, typer.Option(help="compliance, lide or iss.")] = "compliance",
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table.")] = False,
) -> None:
    """List saved questions, ask one, or run SQL on the published file. Example: genai-audit query coverage"""
    from genai_audit.publishing import AUDIENCES
    from genai_audit.querying import Answer, ask, saved_questions

    session, saved = session_of(context), saved_questions()
    if question is None:
        rows = [[q.name, q.title, q.asked_by, ", ".join(q.params)] for q in saved.values()]
        _print(Answer(["name", "question", "asked by", "parameters"], rows), as_csv, as_json, as_markdown)
        return
    if audience not in AUDIENCES:
        raise UsageError(f"There is no audience '{audience}'.", next_step=f"One of {', '.join(AUDIENCES)}.")
    if question not in saved and " " not in question.strip():
        raise UsageError(
            f"There is no saved question '{question}'.", next_step="`genai-audit query` lists them."
        )
    settings = session.settings()
    asked = saved.get(question)
    answer = ask(
        session.workspace.published / f"{audience}.duckdb",
        asked.sql if asked else question,
        _params(asked, param or []),
        seconds=settings.limits.query_seconds,
        memory_mb=settings.limits.query_memory_mb,
        name=question if asked else "SQL",
    )
    _print(answer, as_csv, as_json, as_markdown)


def trace(
    context: typer.Context,
    identifier: Annotated[str, typer.Argument(help="A record_id or finding_id of the published file.")],
    show_record: Annotated[
        bool, typer.Option("--show-record", help="Print the landed record too: it names people.")
    ] = False,
) -> None:
    """Walk a published row back to its package, line and hash."""
    from genai_audit import tracing

    session = session_of(context)
    session.settings()
    for found in tracing.trace(session.workspace, identifier):
        package = found.package
        tell(f"{found.table} row of record {found.record_id}")
        tell(f"  package   {package.package_id} ({package.source}), number {package.seq} of the chain")
        tell(f"  line      {found.line_no}, sha256 {found.line_sha256}")
        tell(f"  file      records.ndjson.zst, sha256 {found.file_sha256} (checked now)")
        tell(f"  manifest  sha256 {package.sha256}")
        if show_record:
            tell(f"  record    {found.line.decode()}")


def verify(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not valid, and the sum.")] = False,
    head: Annotated[
        str | None, typer.Option(help="Head hash that was kept elsewhere: proves nothing was cut off.")
    ] = None,
) -> None:
    """Check the whole chain of packages: valid, INVALID, missing or gap, one by one."""
    from genai_audit import parsing, tracing, verification

    session = session_of(context)
    session.settings()
    workspace = session.workspace
    verdicts = verification.verify_landing(workspace)
    chain = verification.read_chain(workspace)
    if head and head not in {package.sha256 for package in chain}:
        verdicts.append(verification.Verdict("head", "INVALID", "the chain does not contain this head"))
    for package_id, state, detail in tracing.check_parsed(workspace, chain):
        verdicts.append(verification.Verdict(f"parsed {package_id}", state, detail))
    waiting = sum(
        parsing.has_family(package) and not parsing.is_parsed(workspace, package) for package in chain
    )
    if waiting:
        note(f"{waiting} package(s) have no parsed folder; `genai-audit run` parses what is new.")
    counts: dict[str, int] = {}
    for verdict in verdicts:
        counts[verdict.state] = counts.get(verdict.state, 0) + 1
        if not (quiet and verdict.state == "valid"):
            tell(f"{verdict.state:8} {verdict.subject}" + (f": {verdict.detail}" if verdict.detail else ""))
    tell(", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "No package yet.")
    if chain:
        tell(f"Head: {chain[-1].sha256}")
    if counts.get("INVALID") or counts.get("missing"):
        raise IntegrityError(
            "The evidence is not whole.",
            where="landing/ or parsed/",
            next_step="Restore what is named above from the backup; don't report from this workspace.",
        )


def _params(asked: Question | None, given: list[str]) -> dict[str, str]:
    if any("=" not in one for one in given):
        raise UsageError("A parameter is written name=value.", where="--param")
    params = dict(one.split("=", 1) for one in given)
    known = dict(asked.params) if asked else {}
    unknown = sorted(set(params) - set(known)) if asked else []
    if unknown:
        raise UsageError(
            f"This question has no parameter '{unknown[0]}'.",
            next_step=f"It has: {', '.join(known) or 'none'}.",
        )
    return known | params


def _print(answer: Answer, as_csv: bool, as_json: bool, as_markdown: bool) -> None:
    if as_json:
        print(json.dumps([dict(zip(answer.columns, row, strict=True)) for row in answer.rows], default=str))
    elif as_csv:
        writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(map(visible, answer.columns))
        writer.writerows([_guard(cell) for cell in row] for row in answer.rows)
    elif as_markdown:
        cells = [answer.columns, ["---"] * len(answer.columns), *answer.rows]
        for row in cells:
            print("| " + " | ".join(visible(cell).replace("|", "\\|") for cell in row) + " |")
    else:
        _print_table(answer)


def _print_table(answer: Answer) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(*map(visible, answer.columns), show_edge=False)
    for row in answer.rows[:200]:
        table.add_row(*(visible(cell) for cell in row))
    console.print(table, markup=False) if answer.rows else note("No rows.")
    if len(answer.rows) > 200:
        note(f"{len(answer.rows) - 200} more rows: use --csv or --json.")


def _guard(cell: object) -> str:
    """A spreadsheet must not take a cell for a formula (facts/trust.md §8.3)."""
    text = visible(cell)
    if isinstance(cell, (int, float)) or not text.lstrip().startswith(
        ("=", "+", "-", "@", "＝", "＋", "－", "＠")
    ):
        return text
    return "'" + text
