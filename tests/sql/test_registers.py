"""Registers in the warehouse: every column arrives, people as pseudonyms, and the row of the day judges."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import count_days
from genai_audit.loading import type_row
from genai_audit.privacy.pseudonyms import pseudonym
from genai_audit.registers import REGISTERS, Column, Row
from genai_audit.warehouse import Warehouse

KEY = b"k" * 32
DAY = date(2026, 10, 6)
HEAD = {"occurred_at": datetime(2026, 10, 6, 11, tzinfo=UTC), "occurred_day": DAY, "source": "m365_audit",
        "package_id": "p1", "line_no": 1}  # fmt: skip
ENTRY = {"tool_id": "chatgpt", "tool_name": "ChatGPT", "status": "approved", "match_kind": "domain",
         "match_value": "chatgpt.com"}  # fmt: skip
PERSON = "Ada.Lovelace@westbridge.example"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse(tmp_path / "warehouse.duckdb") as opened:
        opened.replace("stg_m365_event", [HEAD | {"record_id": "base"}])
        count_days(opened, "stg_m365_event")
        yield opened


def fill(warehouse: Warehouse, name: str, *rows: Row) -> None:
    register = REGISTERS[name]
    warehouse.replace(register.table, [type_row(KEY, register.columns, row) for row in rows])
    warehouse.connection.execute("INSERT INTO touched_day VALUES ($day)", {"day": DAY})


def see(warehouse: Warehouse, *domains: str) -> None:
    rows = [
        HEAD | {"record_id": f"r{number}", "target_domain": domain, "channel": "endpoint"}
        for number, domain in enumerate(domains)
    ]
    warehouse.replace("stg_dlp_event", rows)


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    warehouse.build()
    return warehouse.connection.execute(sql).fetchall()


def example(column: Column) -> str:
    kinds = {"date": "2026-01-02", "number": "7", "yes_no": "yes", "list": "a; b", "sha256": "0a" * 32}
    if column.words:
        return "; ".join(column.words) if column.kind == "list" else column.words[0]
    return PERSON if column.is_person else kinds.get(column.kind, "text")


@pytest.mark.parametrize("name", REGISTERS)
def test_a_full_and_a_bare_row_arrive_typed_and_name_nobody(warehouse: Warehouse, name: str) -> None:
    register = REGISTERS[name]
    full = {column.name: example(column) for column in register.columns}
    bare = {column.name: example(column) for column in register.columns if column.is_required}
    bare |= {register.any_of[0]: PERSON} if register.any_of else {}
    fill(warehouse, name, full, bare)
    columns = [row[0] for row in warehouse.connection.execute(f"DESCRIBE {register.table}").fetchall()]
    rows = warehouse.connection.execute(f"FROM {register.table}").fetchall()
    first, second = sorted(rows, key=lambda row: row.count(None) + row.count([]))
    assert None not in first, dict(zip(columns, first, strict=True))
    assert PERSON not in str((first, second))
    values = dict(zip(columns, first, strict=True))
    for column in register.columns:
        if column.is_person and "upn" not in full:
            assert values[column.stored_name] == pseudonym(KEY, "person", PERSON)
        elif column.kind == "date":
            assert values[column.stored_name] == date(2026, 1, 2)
        elif column.kind == "yes_no":
            assert values[column.stored_name] is True


def test_somebody_known_by_two_ids_has_the_key_of_the_object_id(warehouse: Warehouse) -> None:
    fill(warehouse, "directory", {"object_id": "OID", "upn": PERSON, "unit_id": "u", "role": "staff"})
    rows = warehouse.connection.execute("SELECT person_key, alias_key FROM stg_directory").fetchall()
    assert rows == [(pseudonym(KEY, "person", "oid"), pseudonym(KEY, "person", PERSON.lower()))]


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("", "", "approved"),
        ("2026-10-06", "", "approved"),
        ("", "2026-10-06", "approved"),
        ("2026-10-07", "", "not in force"),
        ("", "2026-10-05", "not in force"),
    ],
)
def test_a_use_is_judged_by_the_row_in_force_on_its_day(
    warehouse: Warehouse, first: str, last: str, status: str
) -> None:
    fill(warehouse, "tools", ENTRY | {"effective_from": first, "effective_to": last})
    see(warehouse, "chatgpt.com")
    rows = ask(warehouse, "SELECT tool_id, tool_name, tool_status FROM fct_external_use")
    assert rows == [("chatgpt", "ChatGPT", status)]


def test_of_two_periods_the_one_of_the_day_counts_and_describes_the_tool_too(
    warehouse: Warehouse,
) -> None:
    past = ENTRY | {"status": "prohibited", "effective_to": "2026-10-05", "tool_name": "Old name"}
    fill(warehouse, "tools", past, ENTRY | {"effective_from": "2026-10-06", "effective_to": "2026-10-31"},
         ENTRY | {"status": "restricted", "effective_from": "2026-11-01"})  # fmt: skip
    see(warehouse, "chatgpt.com")
    assert ask(warehouse, "SELECT tool_status FROM fct_external_use") == [("approved",)]
    assert ask(warehouse, "SELECT tool_id, tool_status, effective_from FROM dim_tool") == [
        ("chatgpt", "approved", date(2026, 10, 6))
    ]


@pytest.mark.parametrize(
    ("past", "future", "status"),
    [("2026-09-30", "2026-11-01", "prohibited"), ("2026-11-02", "2026-11-01", "approved")],
)
def test_a_row_that_is_not_in_force_yet_does_not_describe_a_tool_that_another_one_knows(
    warehouse: Warehouse, past: str, future: str, status: str
) -> None:
    fill(warehouse, "tools",
         ENTRY | {"status": "restricted", "effective_from": "2026-12-01"},
         ENTRY | {"status": "approved", "effective_from": future},
         *([ENTRY | {"status": "prohibited", "effective_to": past}] if past < future else []))  # fmt: skip
    see(warehouse, "chatgpt.com")
    assert ask(warehouse, "SELECT tool_status FROM dim_tool") == [(status,)]


def test_a_shorter_entry_in_force_comes_before_a_longer_one_that_is_not(warehouse: Warehouse) -> None:
    gone = ENTRY | {"tool_id": "old", "match_value": "chat.openai.com", "effective_to": "2025-01-01"}
    fill(warehouse, "tools", gone, ENTRY | {"tool_id": "openai", "match_value": "openai.com"})
    see(warehouse, "chat.openai.com")
    assert ask(warehouse, "SELECT tool_id, tool_status FROM fct_external_use") == [("openai", "approved")]


def test_a_register_that_changes_judges_known_days_anew(warehouse: Warehouse) -> None:
    fill(warehouse, "tools", ENTRY)
    see(warehouse, "chatgpt.com")
    assert ask(warehouse, "SELECT tool_status FROM fct_external_use") == [("approved",)]
    register = REGISTERS["tools"]
    changed = ENTRY | {"effective_from": "2026-10-07"}
    warehouse.replace(register.table, [type_row(KEY, register.columns, changed)])  # no day is touched
    assert ask(warehouse, "SELECT tool_status FROM fct_external_use") == [("not in force",)]


def test_use_cases_are_published_with_their_tools(warehouse: Warehouse) -> None:
    row = {"use_case_id": "UC1", "use_case_title": "T", "area": "teaching", "tool_ids": "chatgpt;gemini",
           "route": "scrutiny", "decision": "pending", "personal_data": "unknown", "adm": "none"}  # fmt: skip
    fill(warehouse, "use_cases", row)
    sql = "SELECT use_case_id, tool_ids, has_personal_data, automated_decision FROM dim_use_case"
    assert ask(warehouse, sql) == [("UC1", "chatgpt; gemini", None, "none")]
