"""The verb `register`: list, check, import, diff and export the registers that people keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genai_audit.cli.session import Session, note, session_of, tell
from genai_audit.errors import BadDataError, UsageError

if TYPE_CHECKING:
    from genai_audit.landing import Package
    from genai_audit.registers import Table

register = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The registers: tools, use cases, notices … Example: genai-audit register check tools.csv",
)
SHOWN_ROWS = 50
Files = Annotated[list[Path], typer.Argument(help="CSV files, named after their register: tools.csv …")]
Name = Annotated[str | None, typer.Option(help="The register, if the file's name does not tell.")]


@register.command("list")
def list_(context: typer.Context) -> None:
    """Every register: its newest version, rows, when it was landed, and what has become of its file."""
    from genai_audit.register_versions import check_changed
    from genai_audit.registers import REGISTERS

    session = session_of(context)
    newest = _newest(session)
    for name, described in REGISTERS.items():
        package, path = newest.get(name), session.workspace.registers / f"{name}.csv"
        version = (
            f"version {package.package_id}, {package.source_facts['row_count']} rows, {package.closed_at}"
            if package
            else "not landed"
        )
        state = "file missing"
        if path.exists():
            table, wrong = check_changed(session.workspace, name, path, package)
            state = "file changed" if table else "file same"
            if table and not table.rows and not package:
                state = "file empty"
            state = f"file with {len(wrong)} mistake(s)" if wrong else state
        tell(f"{name}: {version}; {state}; {described.title}")


@register.command()
def check(context: typer.Context, files: Files, name: Name = None) -> None:
    """Print every mistake; exit 65 if there is one. Example: genai-audit register check tools.csv"""
    session = session_of(context)
    tables, mistakes = _check_files(session, files, name)
    for mistake in mistakes:
        tell(mistake)
    if mistakes:
        raise BadDataError(
            f"{len(mistakes)} mistake(s).", where="register check", next_step="Correct the lines named above."
        )
    for table in tables.values():
        tell(f"{table.name}: {len(table.rows)} row(s), no mistake")


@register.command("import")
def import_(
    context: typer.Context,
    files: Files,
    name: Name = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also over edits in registers/ that were never landed.")
    ] = False,
) -> None:
    """Land files as new versions and keep them in registers/: genai-audit register import tools.csv"""
    from genai_audit.landing import Landing
    from genai_audit.register_versions import SOURCE, find_newest, land
    from genai_audit.registers import refuse
    from genai_audit.workspace import write_durably

    session = session_of(context)
    tables, mistakes = _check_files(session, files, name)
    if mistakes:
        raise refuse(mistakes, BadDataError)
    with session.writing("register import") as run:
        landing = Landing(run.workspace, run.settings, run.run_id)
        newest = find_newest(landing.closed)
        if not force:
            _refuse_to_lose_edits(session, files, tables, newest)
        for file, found in zip(files, tables, strict=True):
            target = run.workspace.registers / f"{found}.csv"
            if file.resolve() != target:
                write_durably(target, file.read_bytes())
            run.landed.append(land(landing, run.context(SOURCE), found, tell, newest.get(found)))
        run.write_down("complete", [])


@register.command()
def diff(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One register; all of them if it is left out.")] = None,
) -> None:
    """What the files in registers/ would change, row by row. Example: genai-audit register diff tools"""
    from genai_audit.register_versions import check_changed, compare, describe, read_version, sum_up
    from genai_audit.registers import REGISTERS, refuse

    session = session_of(context)
    newest = _newest(session)
    for one in [_known(name)] if name else REGISTERS:
        path = session.workspace.registers / f"{one}.csv"
        if not path.exists():
            tell(f"{one}: no file, the landed version stays")
            continue
        table, wrong = check_changed(session.workspace, one, path, newest.get(one))
        if wrong:
            raise refuse(wrong, BadDataError)
        if table is None:
            tell(f"{one}: no difference")
            continue
        old = read_version(session.workspace, newest[one]).rows if one in newest else []
        found = compare(one, old, table.rows)
        tell(f"{one}: {sum_up(found)}")
        for difference in found[:SHOWN_ROWS]:
            tell(f"  {describe(one, difference)}")
        if len(found) > SHOWN_ROWS:
            tell(f"  and {len(found) - SHOWN_ROWS} more rows")


@register.command()
def export(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The register.")],
    out: Annotated[Path | None, typer.Option(help="Where to; else NAME.csv in this folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the newest landed version as CSV (mode 0600). Example: genai-audit register export tools"""
    from genai_audit.register_versions import read_version
    from genai_audit.registers import format_rows
    from genai_audit.workspace import write_durably

    session = session_of(context)
    newest, target = _newest(session), out or Path(f"{_known(name)}.csv")
    if _known(name) not in newest:
        raise UsageError(
            f"The register '{name}' was never landed.", next_step="See `genai-audit register list`."
        )
    if target.exists() and not force:
        raise UsageError(
            "The file is there already.",
            where=str(target),
            next_step="Name another with --out, or add --force.",
        )
    table = read_version(session.workspace, newest[name])
    write_durably(target, format_rows(name, table.rows))
    note(f"{target}: {len(table.rows)} row(s) of version {newest[name].package_id}")


def _newest(session: Session) -> dict[str, Package]:
    from genai_audit.landing import packages
    from genai_audit.register_versions import find_newest

    session.settings()
    return find_newest(packages(session.workspace))


def _known(name: str) -> str:
    import difflib

    from genai_audit.registers import REGISTERS

    if name not in REGISTERS:
        near = difflib.get_close_matches(name, REGISTERS, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"There is no register '{name}'.", next_step=f"{hint}Known: {', '.join(REGISTERS)}.")
    return name


def _check_files(
    session: Session, files: Sequence[Path], name: str | None
) -> tuple[dict[str, Table], list[str]]:
    """The registers that these files are, in their order, and every mistake in them and between them."""
    from genai_audit.register_versions import check_links_of
    from genai_audit.registers import REGISTERS, check_file, find_by_header

    tables: dict[str, Table] = {}
    mistakes: list[str] = []
    newest = _newest(session)
    for file in files:
        if not file.is_file():
            raise UsageError("There is no such file.", where=file.name, next_step="Check the path.")
        found = name or (file.stem if file.stem in REGISTERS else find_by_header(file))
        if found is None:
            raise UsageError(
                "It is not clear which register this is.", where=file.name, next_step="Name it with --name."
            )
        if _known(found) in tables:
            raise UsageError(f"Two files for the register '{found}'.", where=file.name, next_step="Give one.")
        tables[found], wrong = check_file(found, file)
        mistakes.extend(wrong)
    return tables, mistakes or check_links_of(session.workspace, tables, newest)


def _refuse_to_lose_edits(
    session: Session, files: Sequence[Path], tables: dict[str, Table], newest: dict[str, Package]
) -> None:
    """An import replaces the file in registers/: edits there that were never landed would be lost."""
    from genai_audit.register_versions import check_changed
    from genai_audit.registers import shipped_text

    for file, name in zip(files, tables, strict=True):
        target = session.workspace.registers / f"{name}.csv"
        if file.resolve() == target or not target.exists():
            continue
        if name not in newest and target.read_text("utf-8", "replace") == shipped_text(name):
            continue
        there, wrong = check_changed(session.workspace, name, target, newest.get(name))
        if wrong or (there and there.rows and there.sha256 != tables[name].sha256):
            raise UsageError(
                f"registers/{name}.csv holds edits that were never landed.",
                where=f"registers/{name}.csv",
                next_step=f"See `genai-audit register diff {name}`; import that file first, or add --force.",
            )
