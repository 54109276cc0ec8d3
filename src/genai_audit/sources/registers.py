"""The registers that people keep: tools, use cases, risks, training, labels, units, calendar, notices …

Contains: one record for each row of `registers/<name>.csv`, with the line it stands on and its cells as they
were typed (white space put right). Each accepted file is one package, and so one version of that register; a
version says what was in force, row by row, when it was landed. The directory and the training register name
people: they stay in landing, the warehouse has pseudonyms. Does not contain: events (nothing here was
"used"), times of occurrence, windows, names or texts of misuse reports (a report is a number and its dates),
formulas.

Lag: none; what people have not typed is not there. Permission: none. Traps: a register is true as of its last
edit, not as of today; a row without dates counts for all days; an empty register is "not kept", never
"nothing to report" (facts/controls.md §7, R7).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError, UsageError
from genai_audit.registers import REGISTERS, check_file, find_by_header, refuse
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext

PAGE_RECORDS = 2_000


def recognise(path: Path, head: bytes) -> str | None:
    """The register whose columns this file has."""
    return find_by_header(path) if path.suffix.lower() == ".csv" else None


def identify(record: dict[str, Any]) -> RecordIdentity:
    """A row has no time of its own: it is in force on the days that it names."""
    return RecordIdentity(f"{record['register']}:{record['line']}", None)


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """The rows of a register of the workspace, whole or not at all (BadDataError lists mistakes)."""
    if path.resolve() != (context.registers / f"{kind}.csv").resolve():
        raise UsageError(
            f"A register is taken from registers/{kind}.csv of the workspace, or the next run would undo it.",
            where=path.name,
            next_step="Use `genai-audit register import FILE`, which puts the file there.",
        )
    table, mistakes = check_file(kind, path)
    if mistakes:
        raise refuse(mistakes, BadDataError)
    columns = sorted({column for row in table.rows for column in row})
    facts = {
        "register": kind,
        "register_sha256": table.sha256,
        "row_count": len(table.rows),
        "columns": ", ".join(column for column in REGISTERS[kind].names if column in columns),
    }
    rows = list(zip(table.lines, table.rows, strict=True))
    for start in range(0, max(len(rows), 1), PAGE_RECORDS):
        page = [
            orjson.dumps({"register": kind, "line": line, "values": values})
            for line, values in rows[start : start + PAGE_RECORDS]
        ]
        yield RawPage(page, facts)


SOURCE = Source(
    title="Registers that people keep",
    family="",
    base_table="",
    identify=identify,
    lag=timedelta(0),
    expected="on import",
    unproven_when="a register was never filled or never landed",
    kinds=tuple(REGISTERS),
    recognise=recognise,
    read=read,
)
