"""Web-proxy, DNS and firewall logs, from a table that somebody exported: only what concerns known AI tools.

Contains: lines whose host (and path, where the entry has one) is in the tool register, one record a line, by
a TOML map (`web_maps/`, or your own in `registers/web_maps/`, named with --kind). Does not contain: any other
line (counted only), query strings, paths, addresses of machines, referrers, what was sent or answered. Traps:
a DNS question is no visit, a blocked request is no use, and a tool that is missing in the register is not
seen: add it and import the same file again. Whoever works from home or with a phone is not in these logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.sources import _web_map as maps
from genai_audit.sources._mapped_rows import check_rows, find_named_day, read_pages, refuse_repeats
from genai_audit.sources._tool_addresses import read_addresses
from genai_audit.sources._vle_records import identify
from genai_audit.sources._vle_table import describe_columns, open_table, read_columns
from genai_audit.sources._web_map import WebField, WebMap
from genai_audit.sources._web_rows import WebRowMapper

ADVICE = "Export the log again, and import it unopened."
DAY_ADVICE = "Put the day of the report into the file name, like gateway_2026-11-24.csv."


def recognise(path: Path, head: bytes) -> str | None:
    """The shipped map whose columns are all there and that knows most of the file's columns."""
    columns, _ = read_columns(path, head)
    best, most = None, 0
    for name, rules in maps.shipped_maps().items():
        bound = rules.bind(columns)
        if not rules.find_missing(bound) and len(bound) > most:
            best, most = name, len(bound)
    return best


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records in pages of 2,000; `kind` is the name of a map. The file is read once before, and
    refused whole (BadDataError) when it lacks a needed column or day, has rows of different widths, or has
    more than one line in a hundred (and at least two) about AI tools that can't be read."""
    rules = maps.find_map(kind, context.registers)
    table = open_table(path, None)
    bound = check_header(path, kind, rules, table.header)
    tools = read_addresses(context.registers)
    mapper = WebRowMapper(kind, rules, bound, find_file_day(path, rules, bound), tools)
    wanted = set(bound.values())
    check = check_rows(table.rows(wanted), len(table.columns), mapper.select, mapper.build)
    check.damage.judge(path, "A time, a number or a required value", ADVICE)
    mapper.start_again()
    facts = check.describe(
        "none of the file's {} lines is about a tool of the register", "the file holds no line"
    )
    facts |= {"register_domains": len(tools), "register_sha256": tools.register_sha256}
    facts |= describe_columns(table, wanted)
    return read_pages(table.rows(wanted), mapper.select, mapper.build, mapper.set_aside, facts)


def check_header(path: Path, kind: str, rules: WebMap, header: Sequence[str]) -> dict[WebField, int]:
    """Where the mapped columns are. BadDataError when one that is needed is missing or a mapped one comes
    twice."""
    bound = rules.bind(header)
    missing = rules.find_missing(bound)
    if missing:
        what = f"The map '{kind}' doesn't fit: no column for {'; '.join(missing)}."
        step = "Rename the header, or copy the map to registers/web_maps/ under a new name and add it there."
        raise BadDataError(what, where=path.name, next_step=step)
    refuse_repeats(path, header, bound.values())
    return bound


def find_file_day(path: Path, rules: WebMap, bound: dict[WebField, int]) -> date:
    """The day in the file's name, for a table without times; `date.min` for all others."""
    if "occurred_at" in bound or "file_date" not in rules.time.formats:
        return date.min
    return find_named_day(path, DAY_ADVICE)


SOURCE = Source(
    title="Web-proxy, DNS and firewall logs",
    family="weblog",
    base_table="stg_external_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="on import",
    unproven_when="none of a file's lines is about a tool of the register",
    kinds=("dns_queries", "proxy_summary", "squid_csv", "web_generic"),
    takes_own_kinds=True,
    own_kinds=maps.ROOM,
    recognise=recognise,
    read=read,
)
