"""GenAI activity of a virtual learning environment, from a table that somebody exported.

Contains: what the export holds, one canonical record a row, by a TOML map (`vle_maps/`, or your own in
`registers/vle_maps/`, named with --kind): AI Design Assistant tables, Ultra clicks, Moodle's AI registers,
LearnWise, Ally, or any other table; which object ids are GenAI is in the register of VLE features. Does not
contain: prompts, answers, titles, names (never read), or a reason to add different record kinds together:
artefact, interaction, quota_counter and aggregate are different facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.sources import _vle_map as maps
from genai_audit.sources._tables import SHOWN_LINES, Damage
from genai_audit.sources._vle_features import read_features
from genai_audit.sources._vle_map import VleMap
from genai_audit.sources._vle_rows import RowMapper, UnreadableRowError
from genai_audit.sources._vle_table import Table, describe_columns, name_members, open_table, read_columns

PAGE_RECORDS = 2_000
ADVICE = "Correct these lines in the system they come from, export the table again, and import it unopened."


@dataclass
class Check:
    """What the first pass over the file found."""

    damage: Damage = field(default_factory=Damage)
    not_genai: int = 0
    record_kinds: set[str] = field(default_factory=set)


def recognise(path: Path, head: bytes) -> str | None:
    """The shipped map whose required headers are all there and that knows most of the file's columns."""
    columns, _ = read_columns(path, head)
    best, most = None, 0
    for name, rules in maps.shipped_maps().items():
        if rules.by_name_only:
            continue
        bound = maps.bind_columns(rules, (*columns, *name_members(columns, rules.unpack)))
        if not maps.find_missing(rules, bound) and len(bound) > most:
            best, most = name, len(bound)
    return best


def identify(record: dict[str, Any]) -> RecordIdentity:
    """Rows that could not be read have no id, and are quarantined."""
    return RecordIdentity(record.get("record_id"), record.get("occurred_at"))


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records in pages of 2,000; `kind` is the name of a map. The file is read once before, and
    refused whole (BadDataError) when it lacks a required column or the day that it needs, has rows of
    different widths, mixes record kinds, or has more than one row in a hundred (and at least two) that can't
    be read."""
    rules = maps.find_map(kind, context.registers / "vle_maps")
    table = open_table(path, rules.unpack)
    check_header(path, kind, rules, table.header)
    bound = maps.bind_columns(rules, table.header)
    features = read_features(context.registers)
    mapper = RowMapper(kind, rules, bound, find_file_day(path, rules), features)
    wanted = set(bound.values())
    check = check_rows(table, mapper, wanted)
    check.damage.judge(path, "A time, a number or a required value", ADVICE)
    if len(check.record_kinds) > 1:
        what = f"The file mixes record kinds that must not be added together: {sorted(check.record_kinds)}."
        raise BadDataError(what, where=path.name, next_step="Export one file for each record kind.")
    facts = _describe(table, check) | describe_columns(table, wanted)
    if "file_date" in rules.time.formats:
        facts["occurred_at_from"] = "date in the file name"
    return _read_pages(table, mapper, wanted, facts)


def check_header(path: Path, kind: str, rules: VleMap, header: Sequence[str]) -> None:
    """Refuse a file that lacks a required column or names a mapped one twice."""
    bound = maps.bind_columns(rules, header)
    missing = maps.find_missing(rules, bound)
    if missing:
        what = f"The map '{kind}' doesn't fit: {maps.describe_missing(rules, missing, header)}."
        step = "Rename the header, or copy the map to registers/vle_maps/ under a new name and add it there."
        raise BadDataError(what, where=path.name, next_step=step)
    names = [maps.simplify(name) for name in header]
    twice = [header[place] for place in bound.values() if names.count(names[place]) > 1]
    if twice:
        what = f"The header names a column twice: '{twice[0]}'."
        raise BadDataError(what, where=path.name, next_step="Export each column once, or rename one.")


def find_file_day(path: Path, rules: VleMap) -> date:
    """The day of a table without dates: the one in the file's name, never that of its copying.

    `date.min` when the map doesn't need it. BadDataError when there is none, or no such day.
    """
    if "file_date" not in rules.time.formats:
        return date.min
    named = re.search(r"(?<!\d)(20\d\d-\d\d-\d\d)(?!\d)", path.name)
    try:
        return date.fromisoformat(named[1] if named else "")
    except ValueError:
        raise BadDataError(
            "This table holds no date, and the file's name gives no day.",
            where=path.name,
            next_step="Put the day of the export into the file name, like courses_2026-11-24.csv.",
        ) from None


def check_rows(table: Table, mapper: RowMapper, wanted: set[int]) -> Check:
    check = Check()
    damage = check.damage
    for line, cells in table.rows(wanted):
        if not any(cells):
            damage.blank_lines += 1
        elif len(cells) != len(table.columns):
            damage.rows += 1
            damage.wrong_width.append(line)
        elif not mapper.is_kept(row := mapper.pick(table.unpack(cells))):
            check.not_genai += 1
        else:
            damage.rows += 1
            try:
                check.record_kinds.add(mapper.build(row)["record_kind"])
            except UnreadableRowError:
                damage.unreadable.append(line)
    return check


def _read_pages(
    table: Table, mapper: RowMapper, wanted: set[int], facts: dict[str, Any]
) -> Iterator[RawPage]:
    page: list[bytes] = []
    for _, cells in table.rows(wanted):
        if any(cells) and mapper.is_kept(row := mapper.pick(table.unpack(cells))):
            try:
                page.append(orjson.dumps(mapper.number_repeat(row, mapper.build(row))))
            except UnreadableRowError as error:
                page.append(orjson.dumps(mapper.set_aside(row, error.problem)))
        if len(page) == PAGE_RECORDS:
            yield RawPage(page, facts)
            page = []
    yield RawPage(page, facts)


def _describe(table: Table, check: Check) -> dict[str, Any]:
    """Facts for the manifest; every page carries them, because a long file becomes several packages."""
    damage = check.damage
    facts: dict[str, Any] = {
        "file_rows": damage.rows + check.not_genai,
        "rows_not_genai": check.not_genai,
        "unreadable_rows": len(damage.unreadable),
        "unreadable_lines": ", ".join(str(line) for line in damage.unreadable[:SHOWN_LINES]),
        "blank_lines": damage.blank_lines,
    }
    if not damage.rows:
        seen = f"none of the file's {check.not_genai:,} rows is GenAI activity"
        facts |= {"outcome": "unproven", "reason": seen if check.not_genai else "the file holds no record"}
    return facts


SOURCE = Source(
    title="VLE GenAI activity, exported tables",
    family="vle",
    base_table="stg_vle_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="on import",
    takes_own_kinds=True,
    recognise=recognise,
    read=read,
)
