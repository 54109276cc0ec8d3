"""The lines of a web log's table: checked in a first pass, then handed over in pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage
from genai_audit.sources._tables import SHOWN_LINES, Damage
from genai_audit.sources._tool_addresses import ToolAddresses
from genai_audit.sources._vle_map import simplify
from genai_audit.sources._vle_rows import UnreadableRowError
from genai_audit.sources._vle_table import Table, describe_columns
from genai_audit.sources._web_map import WebField, WebMap
from genai_audit.sources._web_rows import WebRowMapper

PAGE_RECORDS = 2_000


@dataclass
class Check:
    """What the first pass over the file found."""

    damage: Damage = field(default_factory=Damage)
    not_genai: int = 0


def check_header(path: Path, kind: str, rules: WebMap, header: Sequence[str]) -> dict[WebField, int]:
    """Where the mapped columns are. BadDataError when one that is needed is missing or a mapped one comes
    twice."""
    bound = rules.bind(header)
    missing = rules.find_missing(bound)
    if missing:
        what = f"The map '{kind}' doesn't fit: no column for {'; '.join(missing)}."
        step = "Rename the header, or copy the map to registers/web_maps/ under a new name and add it there."
        raise BadDataError(what, where=path.name, next_step=step)
    names = [simplify(name) for name in header]
    twice = [header[place] for place in bound.values() if names.count(names[place]) > 1]
    if twice:
        what = f"The header names a column twice: '{twice[0]}'."
        raise BadDataError(what, where=path.name, next_step="Export each column once, or rename one.")
    return bound


def find_file_day(path: Path, rules: WebMap, bound: dict[WebField, int]) -> date:
    """The day in the file's name, for a table without times; `date.min` for all others."""
    if "occurred_at" in bound or "file_date" not in rules.time.formats:
        return date.min
    named = re.search(r"(?<!\d)(20\d\d-\d\d-\d\d)(?!\d)", path.name)
    try:
        return date.fromisoformat(named[1] if named else "")
    except ValueError:
        step = "Put the day of the report into the file name, like gateway_2026-11-24.csv."
        what = "This table holds no date, and the file's name gives no day."
        raise BadDataError(what, where=path.name, next_step=step) from None


def check_rows(table: Table, mapper: WebRowMapper, wanted: set[int]) -> Check:
    check = Check()
    damage = check.damage
    for line, cells in table.rows(wanted):
        if not any(cells):
            damage.blank_lines += 1
        elif len(cells) != len(table.columns):
            damage.rows += 1
            damage.wrong_width.append(line)
        elif (address := mapper.find_tool(cells)) is None:
            check.not_genai += 1
        else:
            damage.rows += 1
            try:
                mapper.build(cells, address)
            except UnreadableRowError:
                damage.unreadable.append(line)
    mapper.start_again()
    return check


def read_pages(
    table: Table, mapper: WebRowMapper, wanted: set[int], facts: dict[str, Any]
) -> Iterator[RawPage]:
    page: list[bytes] = []
    for _, cells in table.rows(wanted):
        if any(cells) and (address := mapper.find_tool(cells)) is not None:
            try:
                page.append(orjson.dumps(mapper.build(cells, address)))
            except UnreadableRowError as error:
                page.append(orjson.dumps(mapper.set_aside(address, error.problem)))
        if len(page) == PAGE_RECORDS:
            yield RawPage(page, facts)
            page = []
    yield RawPage(page, facts)


def describe(table: Table, check: Check, tools: ToolAddresses, wanted: set[int]) -> dict[str, Any]:
    """Facts for the manifest; every page carries them, because a long file becomes several packages."""
    damage = check.damage
    facts: dict[str, Any] = {
        "file_rows": damage.rows + check.not_genai,
        "rows_not_genai": check.not_genai,
        "register_domains": len(tools),
        "register_sha256": tools.register_sha256,
        "unreadable_rows": len(damage.unreadable),
        "unreadable_lines": ", ".join(str(line) for line in damage.unreadable[:SHOWN_LINES]),
        "blank_lines": damage.blank_lines,
    } | describe_columns(table, wanted)
    if not damage.rows:
        seen = f"none of the file's {check.not_genai:,} lines is about a tool of the register"
        facts |= {"outcome": "unproven", "reason": seen if check.not_genai else "the file holds no line"}
    return facts
