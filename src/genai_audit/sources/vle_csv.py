"""GenAI activity of a virtual learning environment, from a table that somebody exported.

Contains: what the export holds, one canonical record a row, by a TOML map (`vle_maps/`, or your own in
`registers/vle_maps/`, named with --kind): AI Design Assistant tables, Ultra clicks, Moodle's AI registers,
LearnWise, Ally, or any other table; which object ids are GenAI is in the register of VLE features. Does not
contain: prompts, answers, titles, names (never read), or a reason to add different record kinds together:
artefact, interaction, quota_counter and aggregate are different facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.sources import _vle_map as maps
from genai_audit.sources._mapped_rows import check_rows, find_named_day, read_pages, refuse_repeats
from genai_audit.sources._vle_features import read_features
from genai_audit.sources._vle_map import FieldName, VleMap
from genai_audit.sources._vle_records import identify
from genai_audit.sources._vle_rows import RowMapper
from genai_audit.sources._vle_table import describe_columns, name_members, open_table, read_columns

DAY_ADVICE = "Put the day of the export into the file name, like courses_2026-11-24.csv."
ADVICE = "Correct these lines in the system they come from, export the table again, and import it unopened."


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
    kinds: set[str] = set()

    def select(cells: list[str]) -> dict[FieldName, str] | None:
        row = mapper.pick(table.unpack(cells))
        return row if mapper.is_kept(row) else None

    def note_kind(row: dict[FieldName, str]) -> None:
        kinds.add(mapper.build(row)["record_kind"])

    def build(row: dict[FieldName, str]) -> dict[str, str]:
        return mapper.number_repeat(row, mapper.build(row))

    check = check_rows(table.rows(wanted), len(table.columns), select, note_kind)
    check.damage.judge(path, "A time, a number or a required value", ADVICE)
    if len(kinds) > 1:
        what = f"The file mixes record kinds that must not be added together: {sorted(kinds)}."
        raise BadDataError(what, where=path.name, next_step="Export one file for each record kind.")
    facts = check.describe("none of the file's {} rows is GenAI activity", "the file holds no record")
    facts |= describe_columns(table, wanted)
    if "file_date" in rules.time.formats:
        facts["occurred_at_from"] = "date in the file name"
    return read_pages(table.rows(wanted), select, build, mapper.set_aside, facts)


def check_header(path: Path, kind: str, rules: VleMap, header: Sequence[str]) -> None:
    """Refuse a file that lacks a required column or names a mapped one twice."""
    bound = maps.bind_columns(rules, header)
    missing = maps.find_missing(rules, bound)
    if missing:
        what = f"The map '{kind}' doesn't fit: {maps.describe_missing(rules, missing, header)}."
        step = "Rename the header, or copy the map to registers/vle_maps/ under a new name and add it there."
        raise BadDataError(what, where=path.name, next_step=step)
    refuse_repeats(path, header, bound.values())


def find_file_day(path: Path, rules: VleMap) -> date:
    """The day of a table without dates: the one in the file's name, never that of its copying.

    `date.min` when the map doesn't need it. BadDataError when there is none, or no such day.
    """
    if "file_date" not in rules.time.formats:
        return date.min
    return find_named_day(path, DAY_ADVICE)


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
