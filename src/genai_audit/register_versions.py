"""Versions of the registers: each is a package in landing, and an audit reads the newest, never the CSV file.

A version holds one record a row: {"register", "line", "values"}. The manifest names the register and the
SHA-256 of the file. A CSV file that is gone leaves the landed version in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from genai_audit.errors import BadDataError, ConfigurationError
from genai_audit.landing import Landing, Package, read_records
from genai_audit.registers import REGISTERS, Row, Table, check_file, check_links, refuse
from genai_audit.registry import SourceContext, sources
from genai_audit.workspace import Workspace

SOURCE = "registers"
BATCH = 10_000
READ_BY_SOURCES = {  # what sources make of it when the file is gone
    "tools": "sources that need it read nothing",
    "vle_features": "sources read the list that we ship",
}
LINKS = [
    (name, column.link) for name, register in REGISTERS.items() for column in register.columns if column.link
]
LINKED = {one for name, link in LINKS for one in (name, link.split(".")[0])}  # registers that name each other


@dataclass(frozen=True)
class Difference:
    """Rows of one key that two versions don't share: one of `old` and `new` may be empty."""

    key: tuple[str, ...]
    old: Row | None
    new: Row | None

    @property
    def kind(self) -> str:
        if self.old is None:
            return "added"
        return "removed" if self.new is None else "changed"


def find_newest(chain: Iterable[Package]) -> dict[str, Package]:
    """The newest version of every register that was ever landed, by name."""
    found = {p.source_facts["register"]: p for p in chain if p.source == SOURCE}
    return {name: found[name] for name in REGISTERS if name in found}


def read_version(workspace: Workspace, package: Package) -> Table:
    """The rows of a landed version; its file's hash is checked first."""
    facts = package.source_facts
    rows, lines = [], []
    for batch in read_records(workspace, package, BATCH):
        for record in map(orjson.loads, batch):
            rows.append(record["values"])
            lines.append(record["line"])
    return Table(facts["register"], rows, lines, facts["register_sha256"])


def read_newest(workspace: Workspace, chain: Iterable[Package]) -> dict[str, list[Row]]:
    """The rows in force of every register; one that was never landed has none."""
    newest = find_newest(chain)
    return {name: read_version(workspace, newest[name]).rows if name in newest else [] for name in REGISTERS}


def land_changed(landing: Landing, context: SourceContext, say: Callable[[str], None]) -> list[Package]:
    """Land every CSV file of the workspace that differs from its newest version; all of them or none.

    A file that only holds a header, of a register that was never landed, is not filled yet and stays out.
    Raises ConfigurationError that lists the mistakes; then nothing was landed.
    """
    newest = find_newest(landing.closed)
    changed, mistakes = {}, []
    for name in REGISTERS:
        path = context.registers / f"{name}.csv"
        if not path.exists():
            continue
        table, wrong = check_changed(landing.workspace, name, path, newest.get(name))
        mistakes.extend(wrong)
        if table and (table.rows or name in newest):
            changed[name] = table
    if not mistakes and changed:
        mistakes = check_links_of(landing.workspace, changed, newest)
    if mistakes:
        raise refuse(mistakes, ConfigurationError)
    return [land(landing, context, name, say, newest.get(name)) for name in changed]


def check_changed(
    workspace: Workspace, name: str, path: Path, newest: Package | None
) -> tuple[Table | None, list[str]]:
    """The register as the file holds it, or None when that is what was landed; and the file's mistakes.

    A file that was saved again with the same rows is the same register.
    """
    table, wrong = check_file(name, path)
    if wrong or newest is None:
        return table, wrong
    if table.sha256 == newest.source_facts["register_sha256"]:
        return None, []
    is_same = not compare(name, read_version(workspace, newest).rows, table.rows)
    return (None if is_same else table), []


def check_links_of(
    workspace: Workspace, given: Mapping[str, Table], newest: Mapping[str, Package]
) -> list[str]:
    """Mistakes between these registers, or between them and the landed versions of the others."""
    if not LINKED & given.keys():
        return []
    others = {name: read_version(workspace, newest[name]) for name in LINKED & newest.keys() - given.keys()}
    return check_links({**others, **given})


def land(
    landing: Landing, context: SourceContext, name: str, say: Callable[[str], None], newest: Package | None
) -> Package:
    """Land `registers/<name>.csv` of the workspace as a new version: one package, however long it is."""
    source = sources()[SOURCE]
    assert source.read is not None
    writer = landing.open_package(SOURCE, source, None)
    try:
        rows = 0
        for page in source.read(context.registers / f"{name}.csv", name, context):
            rows += len(page.records)
            writer.add(page)
        if writer.accepted != rows:
            raise BadDataError(
                f"{rows - writer.accepted} row(s) could not be landed.",
                where=f"registers/{name}.csv",
                next_step="Shorten the longest cells of the register.",
            )
        if writer.content_cut:  # `register check` knows the usual keys; the settings may name more
            raise BadDataError(
                f"{writer.content_cut} cell(s) read like the text of a prompt and would have been blanked.",
                where=f"registers/{name}.csv",
                next_step="Write them without quotation marks and colon (content_keys of the settings).",
            )
        package = writer.close()
    except BaseException:
        writer.discard()
        raise
    old = read_version(landing.workspace, newest).rows if newest else []
    found = compare(name, old, read_version(landing.workspace, package).rows)
    say(f"registers/{name}.csv: landed as version {package.package_id}: {sum_up(found)}")
    return package


def find_missing(chain: Iterable[Package], folder: Path) -> list[str]:
    """Gaps: files that sources read and that are gone, although a version of them was landed."""
    newest = find_newest(chain)
    return [
        f"registers/{name}.csv is missing; {instead}"
        for name, instead in READ_BY_SOURCES.items()
        if name in newest and not (folder / f"{name}.csv").exists()
    ]


def compare(name: str, old: Iterable[Row], new: Iterable[Row]) -> list[Difference]:
    """What differs, row by row, by the register's key and the first day of its period."""
    before, after = _by_key(name, old), _by_key(name, new)
    return [
        Difference(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if not _is_same(name, before.get(key), after.get(key))
    ]


def sum_up(found: Iterable[Difference]) -> str:
    kinds = [one.kind for one in found]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("added", "changed", "removed"))


def describe(name: str, found: Difference) -> str:
    """One line: the key, and old and new values of what changed. Of people only that something changed."""
    register = REGISTERS[name]
    people = {column.name for column in register.columns if column.is_person}
    columns = (*register.key, *(register.period or ())[:1])
    shown = [
        "…" if column in people and cell else cell for column, cell in zip(columns, found.key, strict=True)
    ]
    text = f"{found.kind} {' · '.join(cell for cell in shown if cell)}"
    if found.old is None or found.new is None:
        return text
    changes = []
    for column in register.names:
        old, new = found.old.get(column, ""), found.new.get(column, "")
        if old != new:
            changes.append(column if column in people else f"{column} '{old}' → '{new}'")
    return f"{text}: {', '.join(changes)}"


def _by_key(name: str, rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    register = REGISTERS[name]
    columns = (*register.key, *(register.period or ())[:1])
    return {tuple(row.get(column, "").casefold() for column in columns): row for row in rows}


def _is_same(name: str, one: Row | None, other: Row | None) -> bool:
    """Equal in every column; one that a file leaves out is as good as empty."""
    if one is None or other is None:
        return False
    return all(one.get(column, "") == other.get(column, "") for column in REGISTERS[name].names)
