"""fct_usage_reconciliation: users of a day in the audit log beside those of Microsoft's usage report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import count_days, snapshot_head
from genai_audit.warehouse import Warehouse

DAY = date(2026, 10, 6)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    count_days(warehouse, "stg_interaction")
    warehouse.build()
    return warehouse.connection.execute(sql).fetchall()


def report(key: str, last_active: int | None, day: int = 0, **values: Any) -> dict[str, Any]:
    """A row of the report for DAY, read `day` days later."""
    return snapshot_head(day + 2, "m365_copilot_usage") | {
        "record_id": f"{day}:{key}", "person_key": key, "is_concealed": False, "report_day": DAY,
        "last_activity_day": None if last_active is None else DAY + timedelta(days=last_active),
    } | values  # fmt: skip


def use(key: str, day: int = 0, **values: Any) -> dict[str, Any]:
    return (
        snapshot_head(day, "m365_audit")
        | {"record_id": f"u{day}{key}", "record_type": 261, "person_key": key}
        | values
    )


def collect(warehouse: Warehouse, day: int, outcome: str = "complete") -> None:
    start = datetime(2026, 10, 5, tzinfo=UTC) + timedelta(days=day)
    warehouse.replace(
        "stg_package",
        [{"package_id": "p", "source": "m365_audit", "kind": "pull", "outcome": outcome, "seq": 1,
          "window_start": start, "window_end": start + timedelta(days=3)}],
    )  # fmt: skip


COMPARED = """SELECT report_user_count, audit_user_count, user_difference, reconciliation_status
    FROM fct_usage_reconciliation ORDER BY usage_day"""


@pytest.mark.parametrize(
    ("reported", "audited", "row"),
    [
        (10, 10, (10, 10, 0, "within")),
        (10, 9, (10, 9, -1, "within")),
        (10, 8, (10, 8, -2, "outside")),
        (9, 10, (9, 10, 1, "within")),
        (5, 10, (5, 10, 5, "outside")),
        (0, 3, (None, 3, None, "no report")),
    ],
)
def test_users_of_a_day_are_counted_on_both_sides(
    warehouse: Warehouse, reported: int, audited: int, row: tuple[Any, ...]
) -> None:
    warehouse.replace("stg_copilot_usage", [report(f"p{number}", 0) for number in range(reported)])
    warehouse.replace("stg_interaction", [use(f"p{number}") for number in range(audited)])
    assert ask(warehouse, COMPARED) == [row]


def test_only_those_last_active_on_the_day_of_the_report_count_and_once(warehouse: Warehouse) -> None:
    warehouse.replace(
        "stg_copilot_usage", [report("a", 0), report("a", 0, 1), report("b", -1), report("c", None)]
    )
    warehouse.replace("stg_interaction", [use("a")])
    assert ask(warehouse, COMPARED) == [(1, 1, 0, "within")]


@pytest.mark.parametrize(
    "values", [{"record_type": 284}, {"app_host": "Copilot Studio"}, {"app_host": "autonomous"}], ids=str
)
def test_only_end_users_of_copilot_are_compared(warehouse: Warehouse, values: dict[str, Any]) -> None:
    warehouse.replace("stg_copilot_usage", [report("a", 0)])
    warehouse.replace("stg_interaction", [use("a"), use("b", **values)])
    assert ask(warehouse, COMPARED) == [(1, 1, 0, "within")]


def test_concealed_names_are_counted_but_not_judged(warehouse: Warehouse) -> None:
    hidden = {"person_key": None, "is_concealed": True}
    warehouse.replace("stg_copilot_usage", [report(f"ob_{n}", 0, **hidden) for n in range(3)])
    warehouse.replace("stg_interaction", [use("a")])
    assert ask(warehouse, COMPARED) == [(3, 1, -2, "names concealed")]


def test_a_day_that_was_not_collected_has_no_number(warehouse: Warehouse) -> None:
    warehouse.replace("stg_copilot_usage", [report("a", 0)])
    assert ask(warehouse, COMPARED) == [(1, None, None, "no audit log")]


def test_a_day_that_was_collected_without_any_use_has_the_number_none(warehouse: Warehouse) -> None:
    warehouse.replace("stg_copilot_usage", [report("a", 0)])
    collect(warehouse, 0)
    assert ask(warehouse, COMPARED) == [(1, 0, -1, "outside")]


@pytest.mark.parametrize("outcome", ["partial", "capped", "unproven"])
@pytest.mark.parametrize(("audited", "row"), [(0, (5, None, None)), (2, (5, 2, -3))])
def test_a_day_that_was_not_read_whole_is_not_judged(
    warehouse: Warehouse, outcome: str, audited: int, row: tuple[Any, ...]
) -> None:
    warehouse.replace("stg_copilot_usage", [report(f"p{number}", 0) for number in range(5)])
    warehouse.replace("stg_interaction", [use(f"p{number}") for number in range(audited)])
    collect(warehouse, 0, outcome)
    assert ask(warehouse, COMPARED) == [(*row, "audit log incomplete")]


def test_a_report_without_a_user_of_the_day_agrees_with_a_day_without_use(warehouse: Warehouse) -> None:
    warehouse.replace("stg_copilot_usage", [report("a", -1)])
    collect(warehouse, 0)
    assert ask(warehouse, COMPARED) == [(0, 0, 0, "within")]


def test_each_row_says_why_the_numbers_may_differ(warehouse: Warehouse) -> None:
    warehouse.replace("stg_copilot_usage", [report("a", 0)])
    warehouse.replace("stg_interaction", [use("a"), use("b"), use("a", 1)])
    reasons = ask(
        warehouse, "SELECT known_reasons, tolerance FROM fct_usage_reconciliation ORDER BY usage_day"
    )
    assert "licensed users only" in reasons[0][0]
    assert "48 to 72 hours" in reasons[1][0]
    assert {one[1] for one in reasons} == {0.1}
