"""Moodle's two AI registers as canonical records, by the same maps as their CSV exports (facts/vle.md §2.1).

The maps are the one place that says what a column means, so a row that was pulled and one that was exported
have the same id. A column that a release doesn't have yet (courseid) is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import orjson

from genai_audit.calendars import Window
from genai_audit.registry import RawPage
from genai_audit.sources._mapped_rows import UnreadableRowError
from genai_audit.sources._postgres import Postgres, quote
from genai_audit.sources._sql_parts import AbsentTableError, Part, stream_parts
from genai_audit.sources._vle_map import bind_columns, shipped_maps
from genai_audit.sources._vle_rows import RowMapper

ABSENT = "this account can't see it, or this Moodle is older than 4.5"
EMPTY = "no AI action and no acceptance: the AI subsystem may be off, or have no provider"
COLUMNS = (
    "SELECT column_name::text FROM information_schema.columns"
    " WHERE table_name = %(table)s AND table_schema = ANY(current_schemas(false))"
)


@dataclass(frozen=True)
class MoodleRegister:
    """A table without its prefix, and the map that its CSV export has. `time`: the column of windows."""

    table: str
    map_name: str
    time: str
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()


REGISTERS = (
    MoodleRegister(
        "ai_action_register",
        "moodle_ai_action_register",
        "timecreated",
        ("id", "actionname", "success", "userid", "contextid", "provider", "timecreated"),
        ("courseid",),
    ),
    MoodleRegister(
        "ai_policy_register", "moodle_ai_policy_register", "timeaccepted", ("userid", "timeaccepted")
    ),
)


class MoodleReader:
    """Reads one window. Times are whole seconds since 1970, so windows are asked by these."""

    def __init__(self, service: Postgres, window: Window, prefix: str) -> None:
        self._service, self._prefix = service, prefix
        self._span = {"start": int(window.start.timestamp()), "end": int(window.end.timestamp())}
        self._unreadable = 0

    def stream(self) -> Iterator[RawPage]:
        """Pages of canonical records; the last one carries the facts."""
        parts = [Part(one.table, partial(self._read, one)) for one in REGISTERS]
        return stream_parts(parts, self._describe, absent=ABSENT, empty=lambda: EMPTY)

    def _describe(self) -> dict[str, Any]:
        return {"unreadable": self._unreadable, "retry_count": self._service.patience.retry_count}

    def _read(self, register: MoodleRegister) -> Iterator[list[bytes]]:
        columns = find_columns(self._service, self._prefix, register)
        rules = shipped_maps()[register.map_name]
        mapper = RowMapper(register.map_name, rules, bind_columns(rules, columns), date.min)
        time, table = quote(register.time), quote(self._prefix + register.table)
        query = (
            f"SELECT {', '.join(quote(column) for column in columns)} FROM {table}"
            f" WHERE {time} >= %(start)s AND {time} < %(end)s ORDER BY {time}"
        )
        for batch in self._service.rows(query, self._span):
            yield [self._build(mapper, [write_cell(row[column]) for column in columns]) for row in batch]

    def _build(self, mapper: RowMapper, cells: list[str]) -> bytes:
        row = mapper.pick(cells)
        try:
            return orjson.dumps(mapper.build(row))
        except UnreadableRowError as error:
            self._unreadable += 1
            return orjson.dumps(mapper.set_aside(row, error.problem))


def find_columns(service: Postgres, prefix: str, register: MoodleRegister) -> tuple[str, ...]:
    """The columns to ask for. Raises AbsentTableError when one that is needed can't be seen."""
    seen = service.rows(COLUMNS, {"table": prefix + register.table})
    there = {row["column_name"] for batch in seen for row in batch}
    if not set(register.needed) <= there:
        raise AbsentTableError(
            f"There is no {register.table} with the columns we need.",
            where="Moodle's database",
            next_step="Ask who runs Moodle for the right to read them.",
        )
    return (*register.needed, *(column for column in register.optional if column in there))


def count_visible(service: Postgres, prefix: str) -> int:
    """How many of the registers the account can see."""
    visible = 0
    for register in REGISTERS:
        try:
            visible += bool(find_columns(service, prefix, register))
        except AbsentTableError:
            continue
    return visible


def write_cell(value: Any) -> str:
    """As a CSV export writes it; success may come as a number or as a yes."""
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
