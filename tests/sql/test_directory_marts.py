"""Marts that rest on directory snapshots: who somebody is, since when, and how large a unit is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import count_days, snapshot_head
from genai_audit.warehouse import Warehouse

DAY = date(2026, 10, 6)
NOON = datetime(2026, 10, 6, 11, tzinfo=UTC)
UNITS = [
    {"unit_id": "cmp", "unit_name": "School of Computing", "parent_unit_name": "College of Science"},
    {"unit_id": "law", "unit_name": "School of Law", "parent_unit_name": None},
]
STAFF = {"department": "School of Computing", "role": "staff", "is_enabled": True}


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse(tmp_path / "warehouse.duckdb") as opened:
        opened.replace("stg_unit", UNITS)
        yield opened


def person(key: str, day: int = 0, **values: Any) -> dict[str, Any]:
    name = {"record_id": f"{day}:{key}", "person_key": key, "alias_key": f"{key}_upn"}
    return snapshot_head(day, "m365_directory") | STAFF | name | values


def show(warehouse: Warehouse, *people: dict[str, Any], partial: tuple[int, ...] = ()) -> None:
    """Snapshots of the directory; those of the days `partial` broke off."""
    warehouse.replace("stg_directory_snapshot", people)
    days = sorted({(one["package_id"], (one["occurred_day"] - DAY).days) for one in people})
    warehouse.replace(
        "stg_package",
        [{"package_id": name, "source": "m365_directory", "kind": "snapshot",
          "outcome": "partial" if day in partial else "complete"} for name, day in days],
    )  # fmt: skip


def register(warehouse: Warehouse, *rows: tuple[str, str | None, str | None, str]) -> None:
    names = ("person_key", "alias_key", "unit_id", "role")
    warehouse.replace("stg_directory", [dict(zip(names, row, strict=True)) for row in rows])


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    count_days(warehouse, "stg_interaction")
    warehouse.build()
    return warehouse.connection.execute(sql).fetchall()


IDENTITY = "SELECT * FROM dim_identity ORDER BY alias_key"


def test_a_person_of_the_snapshot_is_known_by_object_id_and_upn(warehouse: Warehouse) -> None:
    show(warehouse, person("a"))
    assert ask(warehouse, IDENTITY) == [("a", "a", "cmp", "staff"), ("a_upn", "a", "cmp", "staff")]


@pytest.mark.parametrize(
    ("department", "unit"),
    [("School of Computing", "cmp"), (" school of COMPUTING ", "cmp"), ("CMP", "cmp"), ("Alchemy", None),
     (None, None)],
)  # fmt: skip
def test_a_department_is_a_unit_by_its_name_or_id(
    warehouse: Warehouse, department: str | None, unit: str | None
) -> None:
    show(warehouse, person("a", department=department))
    assert ask(warehouse, "SELECT DISTINCT unit_id FROM dim_identity") == [(unit,)]


def test_the_register_decides_about_everybody_whom_it_has(warehouse: Warehouse) -> None:
    show(warehouse, person("a"), person("b", role="student"))
    register(warehouse, ("a", None, "law", "service"))
    assert ask(warehouse, IDENTITY) == [
        ("a", "a", "law", "service"), ("a_upn", "a", "law", "service"),
        ("b", "b", "cmp", "student"), ("b_upn", "b", "cmp", "student"),
    ]  # fmt: skip


def test_whom_the_register_knows_by_upn_alone_is_the_same_person(warehouse: Warehouse) -> None:
    show(warehouse, person("a"))
    register(warehouse, ("a_upn", "a_upn", "law", "staff"))
    assert ask(warehouse, IDENTITY) == [("a", "a_upn", "law", "staff"), ("a_upn", "a_upn", "law", "staff")]


def test_a_upn_that_the_register_gives_to_somebody_else_stays_theirs(warehouse: Warehouse) -> None:
    show(warehouse, person("a", alias_key="shared"))
    register(warehouse, ("b", "shared", "law", "staff"))
    assert ask(warehouse, IDENTITY) == [
        ("a", "a", "cmp", "staff"), ("b", "b", "law", "staff"), ("shared", "b", "law", "staff"),
    ]  # fmt: skip


def test_the_newest_snapshot_that_has_a_person_counts(warehouse: Warehouse) -> None:
    show(
        warehouse,
        person("a", 0, department="School of Law", alias_key="maiden"),
        person("a", 1, alias_key="married"),
        person("left", 0, alias_key=None),
    )
    assert ask(warehouse, IDENTITY) == [
        ("a", "a", "cmp", "staff"), ("left", "left", "cmp", "staff"), ("maiden", "a", "cmp", "staff"),
        ("married", "a", "cmp", "staff"),
    ]  # fmt: skip


def test_a_upn_that_passed_on_belongs_to_the_newest_person(warehouse: Warehouse) -> None:
    show(warehouse, person("old", 0, alias_key="x"), person("new", 1, alias_key="x"))
    assert ask(warehouse, "SELECT person_key FROM dim_identity WHERE alias_key = 'x'") == [("new",)]


def test_who_left_does_not_take_the_place_of_who_has_the_upn_now(warehouse: Warehouse) -> None:
    show(warehouse, person("old", 0, alias_key="x"), person("new", 1, alias_key="x"))
    register(warehouse, ("x", "x", "law", "staff"))
    assert ask(warehouse, IDENTITY) == [
        ("new", "x", "law", "staff"), ("old", "old", "cmp", "staff"), ("x", "x", "law", "staff"),
    ]  # fmt: skip


def test_facts_follow_a_directory_that_changed(warehouse: Warehouse) -> None:
    used = snapshot_head(0, "m365_audit") | {"record_id": "r", "record_type": 261, "person_key": "a_upn"}
    warehouse.replace("stg_interaction", [used])
    show(warehouse, person("a", department="School of Law"))
    unit = "SELECT person_key, unit_id FROM fct_interaction"
    assert ask(warehouse, unit) == [("a", "law")]
    show(warehouse, person("a", department="School of Law"), person("a", 1))
    warehouse.build()
    assert warehouse.connection.execute(unit).fetchall() == [("a", "cmp")]


PERIODS = """SELECT person_key, valid_from::VARCHAR, valid_to::VARCHAR, unit_id, role
    FROM dim_person_period ORDER BY ALL"""


def test_equal_days_are_one_period_and_a_change_begins_another(warehouse: Warehouse) -> None:
    law = {"department": "School of Law"}
    show(
        warehouse, person("a", 0), person("a", 1), person("a", 3, **law), person("a", 4, **law),
        person("left", 0), person("left", 1),
    )  # fmt: skip
    assert ask(warehouse, PERIODS) == [
        ("a", "2026-10-06", "2026-10-08", "cmp", "staff"), ("a", "2026-10-09", None, "law", "staff"),
        ("left", "2026-10-06", "2026-10-07", "cmp", "staff"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"role": "student"}, {"is_enabled": False}, {"has_copilot_licence": True}], ids=str
)
def test_role_state_and_licence_begin_a_period_as_well(warehouse: Warehouse, change: dict[str, Any]) -> None:
    show(warehouse, person("a", 0), person("a", 1, **change), person("a", 2, **change))
    assert ask(warehouse, "SELECT count(*) FROM dim_person_period") == [(2,)]


def test_a_list_that_broke_off_ends_nobodys_period(warehouse: Warehouse) -> None:
    show(warehouse, person("a", 0), person("b", 0), person("a", 1), partial=(1,))
    assert ask(warehouse, "SELECT count(*) FROM dim_person_period WHERE valid_to IS NULL") == [(2,)]


def test_of_two_snapshots_of_one_day_the_later_counts(warehouse: Warehouse) -> None:
    early = person("a", 0, department="School of Law") | {"occurred_at": NOON - timedelta(hours=11)}
    show(warehouse, early, person("a", 0))
    assert ask(warehouse, PERIODS) == [("a", "2026-10-06", None, "cmp", "staff")]


def test_a_person_of_the_register_has_periods_under_the_same_key(warehouse: Warehouse) -> None:
    show(warehouse, person("a"))
    register(warehouse, ("a_upn", "a_upn", "law", "staff"))
    assert ask(warehouse, "SELECT person_key FROM dim_person_period") == [("a_upn",)]


@pytest.mark.parametrize(("count", "name"), [(7, "College of Science"), (8, "School of Computing")])
def test_a_small_unit_is_reported_with_its_parent(warehouse: Warehouse, count: int, name: str) -> None:
    show(warehouse, *(person(f"p{number}") for number in range(count)))
    rows = ask(warehouse, "SELECT person_count, reporting_unit_name FROM dim_unit WHERE unit_id = 'cmp'")
    assert rows == [(count, name)]


def test_who_left_or_is_disabled_is_not_counted_and_nobody_twice(warehouse: Warehouse) -> None:
    register(warehouse, ("a", "a_upn", "cmp", "staff"))
    show(
        warehouse, person("left", 0), person("a", 1), person("b", 1), person("off", 1, is_enabled=False),
    )  # fmt: skip
    assert ask(warehouse, "SELECT unit_id, person_count, reporting_unit_name FROM dim_unit ORDER BY 1") == [
        ("cmp", 2, "College of Science"), ("law", 0, "School of Law"),
    ]  # fmt: skip
