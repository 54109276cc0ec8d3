"""Web-proxy, DNS and firewall logs, from a table that somebody exported: only what concerns known AI tools.

Contains: lines whose host (and path, where the entry has one) is in the tool register, one record a line, by
a TOML map (`web_maps/`, or your own in `registers/web_maps/`, named with --kind). Does not contain: any other
line (counted only), query strings, paths, addresses of machines, referrers, what was sent or answered. Traps:
a DNS question is no visit, a blocked request is no use, and a tool that is missing in the register is not
seen: add it and import the same file again. Whoever works from home or with a phone is not in these logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.sources import _web_map as maps
from genai_audit.sources._tool_addresses import read_addresses
from genai_audit.sources._vle_table import open_table, read_columns
from genai_audit.sources._web_pages import check_header, check_rows, describe, find_file_day, read_pages
from genai_audit.sources._web_rows import WebRowMapper

ADVICE = "Export the log again, and import it unopened."


def recognise(path: Path, head: bytes) -> str | None:
    """The shipped map whose columns are all there and that knows most of the file's columns."""
    columns, _ = read_columns(path, head)
    best, most = None, 0
    for name, rules in maps.shipped_maps().items():
        bound = rules.bind(columns)
        if not rules.find_missing(bound) and len(bound) > most:
            best, most = name, len(bound)
    return best


def identify(record: dict[str, Any]) -> RecordIdentity:
    """Lines that could not be read have no id, and are quarantined."""
    return RecordIdentity(record.get("record_id"), record.get("occurred_at"))


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
    check = check_rows(table, mapper, wanted)
    check.damage.judge(path, "A time, a number or a required value", ADVICE)
    return read_pages(table, mapper, wanted, describe(table, check, tools, wanted))


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
