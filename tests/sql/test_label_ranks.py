"""dim_label: what the register says, and where it says nothing, the place in Microsoft's catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
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


def label(key: str, priority: int | None, day: int = 0, **values: Any) -> dict[str, Any]:
    name = {"record_id": f"{day}:{key}", "label_id": key, "label_name": key.upper(), "priority": priority}
    return snapshot_head(day, "m365_labels") | name | values


def rank(warehouse: Warehouse, *rows: tuple[str, int]) -> None:
    since = {"valid_from": date(2024, 1, 1), "valid_to": None}
    warehouse.replace(
        "stg_label", [{"label_id": key, "label_name": key, "label_rank": one} | since for key, one in rows]
    )


def ranks(warehouse: Warehouse, *labels: dict[str, Any]) -> dict[str, int]:
    warehouse.replace("stg_label_catalogue", labels)
    return dict(ask(warehouse, "SELECT label_id, label_rank FROM dim_label"))


@pytest.mark.parametrize(
    ("register_rows", "expected"),
    [
        ((), {"a": 0, "b": 10, "c": 20, "c1": 20, "d": 30}),
        ((("a", 0), ("b", 10), ("c", 20), ("d", 30)), {"c1": 20}),
        ((("a", 0), ("d", 30)), {"b": 0, "c": 0, "c1": 0}),
        ((("b", 5), ("c1", 25)), {"a": 0, "c": 5, "d": 25}),
        ((("d", 15),), {"a": 0, "b": 10, "c": 15, "c1": 15}),
    ],
)
def test_a_label_that_only_the_catalogue_has_ranks_by_its_place_in_it(
    warehouse: Warehouse, register_rows: tuple[tuple[str, int], ...], expected: dict[str, int]
) -> None:
    rank(warehouse, *register_rows)
    found = ranks(
        warehouse, label("a", 0), label("b", 1), label("c", 2), label("c1", 3, parent_label_id="c"),
        label("d", 4),
    )  # fmt: skip
    assert found == dict(register_rows) | expected


def test_a_sublabel_whose_priority_begins_anew_lies_above_its_parent(warehouse: Warehouse) -> None:
    found = ranks(warehouse, label("a", 0), label("b", 1), label("b1", 0, parent_label_id="b"))
    assert found == {"a": 0, "b": 10, "b1": 10}


def test_a_label_without_a_priority_has_no_rank(warehouse: Warehouse) -> None:
    assert ranks(warehouse, label("a", None), label("b", 1)) == {"b": 0}


LABEL_PERIODS = (
    "SELECT label_name, label_rank, valid_from::VARCHAR, valid_to::VARCHAR FROM dim_label ORDER BY 3"
)


def test_a_label_begins_with_its_first_snapshot_and_a_new_name_begins_a_period(warehouse: Warehouse) -> None:
    rows = [label("a", 1, 0), label("a", 1, 1), label("a", 1, 2, label_name="New"), label("b", 0, 3)]
    warehouse.replace("stg_label_catalogue", rows)
    assert ask(warehouse, f"SELECT * FROM ({LABEL_PERIODS}) WHERE label_name <> 'B'") == [
        ("A", 0, "2026-10-06", "2026-10-07"), ("New", 0, "2026-10-08", None),
    ]  # fmt: skip


def test_the_register_has_its_own_periods(warehouse: Warehouse) -> None:
    rank(warehouse, ("a", 40))
    warehouse.replace("stg_label_catalogue", [label("a", 1)])
    assert ask(warehouse, LABEL_PERIODS) == [("a", 40, "2024-01-01", None)]
