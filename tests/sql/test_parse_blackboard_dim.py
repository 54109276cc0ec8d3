"""sql/parse/blackboard_dim.sql and what the marts make of it: courses, memberships, filled VLE records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import Tables, count_days, parse_rows
from genai_audit.calendars import Window
from genai_audit.privacy.pseudonyms import pseudonym
from genai_audit.warehouse import Warehouse

NIGHT = datetime(2026, 10, 5, 23, 30, tzinfo=UTC)  # the 6th in London
WINDOW = Window(NIGHT.replace(hour=0, minute=0), NIGHT)
COURSE = {
    "kind": "course", "read_at": "2026-10-05T23:30:00Z", "id": "_722_1", "courseId": "HIS101",
    "externalId": "SRS-9", "termId": "_1_1", "term_name": "Autumn", "term_start": "2026-09-20T23:00:00.000Z",
    "term_end": "2026-12-11T23:59:59.000Z", "hierarchy": ["Westbridge", "School of History"],
    "school_level": 2,
}  # fmt: skip
MEMBER = {
    "kind": "membership", "read_at": "2026-10-05T23:30:00Z", "courseId": "_722_1", "userId": "_5_1",
    "courseRoleId": "Student", "user.uuid": "ABC-1",
}  # fmt: skip


def parse(folder: Path, *rows: dict[str, Any], window: Window = WINDOW) -> tuple[bytes, Tables]:
    return parse_rows(folder, "blackboard_rest", *rows, window=window)


def test_a_course_has_three_keys_and_the_day_in_its_id(tmp_path: Path) -> None:
    key, tables = parse(tmp_path, COURSE)
    row = tables["stg_vle_course"][0]
    assert row["record_id"] == "2026-10-05:course:_722_1"
    assert row["occurred_day"] == date(2026, 10, 6)
    keys = [row[name] for name in ("course_key", "course_number_key", "course_batch_key")]
    assert keys == [pseudonym(key, "course", name) for name in ("_722_1", "HIS101", "SRS-9")]
    assert (row["term_name"], row["term_start"], row["term_end"]) == (
        "Autumn", date(2026, 9, 21), date(2026, 12, 11),
    )  # fmt: skip
    assert (row["school"], row["source"], row["line_no"]) == ("School of History", "blackboard_rest", 1)
    assert tables["stg_parse_problem"] == []


@pytest.mark.parametrize(
    ("change", "school"),
    [({"school_level": 1}, "Westbridge"), ({"school_level": 3}, None), ({"school_level": 0}, None),
     ({"hierarchy": None}, None), ({"hierarchy": ["a", "ada@x.example"]}, "withheld")],
)  # fmt: skip
def test_the_school_is_the_node_at_the_level_that_was_asked_for(
    tmp_path: Path, change: dict[str, Any], school: str | None
) -> None:
    _, tables = parse(tmp_path, COURSE | change)
    assert tables["stg_vle_course"][0]["school"] == school


def test_a_membership_is_a_pseudonym_with_a_role_and_no_day(tmp_path: Path) -> None:
    key, tables = parse(tmp_path, MEMBER)
    row = tables["stg_vle_membership"][0]
    assert row["record_id"] == pseudonym(key, "object", "_722_1|_5_1|Student")
    assert row["course_key"] == pseudonym(key, "course", "_722_1")
    assert row["person_key"] == pseudonym(key, "person", "abc-1")
    assert (row["actor_role"], row["course_role"]) == ("student", "Student")
    assert "ABC-1" not in str(tables)
    assert "_5_1" not in str(tables)


@pytest.mark.parametrize(
    ("role", "actor"),
    [("Instructor", "staff"), ("TeachingAssistant", "staff"), ("Grader", "staff"), ("CourseBuilder", "staff"),
     ("Guest", "guest"), ("BB_MENTOR", "other"), (None, "other")],
)  # fmt: skip
def test_roles_of_learn_are_grouped(tmp_path: Path, role: str | None, actor: str) -> None:
    _, tables = parse(tmp_path, MEMBER | {"courseRoleId": role})
    assert tables["stg_vle_membership"][0]["actor_role"] == actor
    assert [one["problem"] for one in tables["stg_parse_problem"]] == (["no_role"] if role is None else [])


def test_without_a_uuid_the_user_id_names_the_person(tmp_path: Path) -> None:
    member = {name: value for name, value in MEMBER.items() if name != "user.uuid"}
    key, tables = parse(tmp_path, member)
    assert tables["stg_vle_membership"][0]["person_key"] == pseudonym(key, "person", "_5_1")


def test_every_record_is_one_row_of_the_base_table(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, COURSE, MEMBER, {"kind": "forum", "id": "_1_1"})
    assert [(row["dimension"], row["line_no"]) for row in tables["stg_vle_dimension"]] == [
        ("course", 1), ("membership", 2),
    ]  # fmt: skip
    assert [(one["line_no"], one["problem"]) for one in tables["stg_parse_problem"]] == [(3, "unknown_kind")]


# Marts

DAY = date(2026, 10, 6)
HEAD = {
    "occurred_at": NIGHT,
    "occurred_day": DAY,
    "source": "blackboard_rest",
    "package_id": "p",
    "line_no": 1,
}
USE = HEAD | {"record_id": "u", "record_kind": "interaction", "person_key": "ps_a", "feature": "x"}


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def course(record_id: str, **values: Any) -> dict[str, Any]:
    usual = {"course_key": "co_id", "course_number_key": "co_number", "course_batch_key": "co_batch",
             "school": "History", "term_name": "Autumn"}  # fmt: skip
    return HEAD | {"record_id": record_id} | usual | values


def put(warehouse: Warehouse, table: str, *rows: dict[str, Any]) -> None:
    warehouse.replace(table, rows)
    if table != "stg_vle_use":
        warehouse.replace("stg_vle_dimension", [
            {name: row[name] for name in (*HEAD, "record_id")} for row in rows
        ])  # fmt: skip
    for row in rows:
        warehouse.connection.execute("INSERT INTO touched_day VALUES ($day)", {"day": row["occurred_day"]})


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    warehouse.build()
    return warehouse.connection.execute(sql).fetchall()


@pytest.mark.parametrize("key", ["co_id", "co_number", "co_batch"])
def test_a_use_gets_school_and_term_by_any_key_of_its_course(warehouse: Warehouse, key: str) -> None:
    put(warehouse, "stg_vle_use", USE | {"course_key": key})
    put(warehouse, "stg_vle_course", course("c"))
    count_days(warehouse, "stg_vle_use")
    assert ask(warehouse, "SELECT school, term_name FROM fct_vle_use") == [("History", "Autumn")]


def test_what_a_record_says_itself_comes_first(warehouse: Warehouse) -> None:
    put(
        warehouse,
        "stg_vle_use",
        USE | {"course_key": "co_id", "school": "Law", "term_name": "Spring", "actor_role": "tutor"},
    )
    put(warehouse, "stg_vle_course", course("c"))
    count_days(warehouse, "stg_vle_use")
    assert ask(warehouse, "SELECT school, term_name, actor_role FROM fct_vle_use") == [
        ("Law", "Spring", "tutor")
    ]


def test_the_newest_snapshot_describes_a_course(warehouse: Warehouse) -> None:
    later = {"occurred_at": NIGHT + timedelta(days=1), "occurred_day": DAY + timedelta(days=1)}
    put(warehouse, "stg_vle_course", course("c"), course("d", school="Law", **later))
    assert ask(warehouse, "SELECT course_key, school, seen_day FROM dim_course") == [
        ("co_id", "Law", DAY + timedelta(days=1))
    ]


def test_a_role_comes_from_the_membership_in_that_course_and_the_newest_counts(warehouse: Warehouse) -> None:
    later = {"occurred_at": NIGHT + timedelta(days=1)}
    member = HEAD | {"course_key": "co_id", "person_key": "ps_a", "actor_role": "student", "record_id": "m"}
    put(
        warehouse,
        "stg_vle_use",
        USE | {"course_key": "co_number"},
        USE | {"record_id": "w", "course_key": "co_x"},
    )
    put(warehouse, "stg_vle_course", course("c"))
    put(warehouse, "stg_vle_membership", member, member | {"record_id": "n", "actor_role": "staff"} | later)
    count_days(warehouse, "stg_vle_use")
    rows = ask(warehouse, "SELECT record_id, actor_role FROM fct_vle_use ORDER BY 1")
    assert rows == [("u", "staff"), ("w", None)]


def test_a_new_snapshot_fills_days_that_were_built_before(warehouse: Warehouse) -> None:
    old = {"occurred_at": NIGHT - timedelta(days=30), "occurred_day": DAY - timedelta(days=30)}
    put(warehouse, "stg_vle_use", USE | old | {"course_key": "co_id"})
    count_days(warehouse, "stg_vle_use")
    assert ask(warehouse, "SELECT school FROM fct_vle_use") == [(None,)]
    put(warehouse, "stg_vle_course", course("c"))
    assert ask(warehouse, "SELECT school FROM fct_vle_use") == [("History",)]
