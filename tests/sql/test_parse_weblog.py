"""sql/parse/weblog.sql: lines of web logs become typed, pseudonymous rows about AI tools."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from builders import Tables, parse_rows
from genai_audit.privacy.pseudonyms import pseudonym

ROW = {
    "record_id": "web-1", "occurred_at": "2026-10-05T23:30:00Z", "record_kind": "event",
    "match_value": "chat.openai.com", "user": "Ada@westbridge.example", "action": "allowed", "bytes": "512",
    "map": "web_generic",
}  # fmt: skip
SUM = {
    "record_id": "web-2", "occurred_at": "2026-10-05T23:00:00Z", "record_kind": "aggregate",
    "match_value": "kagi.com/fastgpt", "action": "blocked", "bytes": "9900", "count": "1200", "users": "14",
}  # fmt: skip


def parse(folder: Path, *rows: dict[str, Any]) -> tuple[bytes, Tables]:
    return parse_rows(folder, "web_logs", *rows)


def test_an_event_stands_for_itself(tmp_path: Path) -> None:
    key, tables = parse(tmp_path, ROW)
    row = tables["stg_external_use"][0]
    assert row["occurred_at"].isoformat() == "2026-10-05T23:30:00+00:00"
    assert row["occurred_day"] == date(2026, 10, 6)  # British Summer Time
    assert row["person_key"] == pseudonym(key, "person", "ada@westbridge.example")
    kept = ("record_id", "record_kind", "match_kind", "match_value", "channel", "operation", "event_count",
            "person_count", "byte_count", "risk_tier", "source", "line_no")  # fmt: skip
    assert [row[name] for name in kept] == [
        "web-1", "event", "domain", "chat.openai.com", "web_log", "allowed", 1, None, 512, None, "web_logs",
        1,
    ]  # fmt: skip
    assert "westbridge" not in str(tables).lower()
    assert tables["stg_parse_problem"] == []


def test_a_sum_keeps_its_own_counts_and_names_nobody(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, SUM)
    row = tables["stg_external_use"][0]
    kept = ("record_kind", "match_value", "event_count", "person_count", "byte_count", "person_key")
    assert [row[name] for name in kept] == ["aggregate", "kagi.com/fastgpt", 1200, 14, 9900, None]


def test_a_sum_without_a_count_stands_for_an_unknown_number(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, SUM | {"count": ""})
    assert tables["stg_external_use"][0]["event_count"] is None


@pytest.mark.parametrize(
    ("change", "is_use"),
    [
        ({}, True),
        ({"action": ""}, True),
        ({"action": "allowed"}, True),
        ({"action": "blocked"}, False),
        ({"action": "Denied by policy"}, False),
        ({"action": "not found"}, False),
        ({"action": "TCP_MISS/403"}, False),
        ({"action": "answered", "map": "my_dns"}, False),
        ({"action": "", "map": "dns_queries"}, False),
    ],
)
def test_what_was_blocked_or_only_asked_for_is_no_use(
    tmp_path: Path, change: dict[str, Any], is_use: bool
) -> None:
    _, tables = parse(tmp_path, ROW | change)
    assert tables["stg_external_use"][0]["is_use"] is is_use


@pytest.mark.parametrize(
    ("change", "problems", "rows"),
    [
        ({"record_id": ""}, ["no_record_id"], 0),
        ({"occurred_at": "yesterday"}, ["no_time"], 0),
        ({"match_value": None}, ["no_address"], 1),
        ({"record_kind": "thing"}, ["unknown_kind"], 1),
        ({"count": "many"}, ["not_a_number"], 1),
        ({"bytes": "1e99"}, ["not_a_number"], 1),
    ],
)
def test_what_can_not_be_typed_is_a_problem_with_a_code(
    tmp_path: Path, change: dict[str, Any], problems: list[str], rows: int
) -> None:
    _, tables = parse(tmp_path, ROW | change)
    assert [one["problem"] for one in tables["stg_parse_problem"]] == problems
    assert len(tables["stg_external_use"]) == rows


@pytest.mark.parametrize("field", ["action", "match_value"])
def test_text_that_may_name_somebody_is_withheld(tmp_path: Path, field: str) -> None:
    _, tables = parse(tmp_path, ROW | {field: "ada@westbridge.example"})
    assert tables["stg_external_use"][0][{"action": "operation"}.get(field, field)] == "withheld"
