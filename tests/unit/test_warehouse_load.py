"""Loading by anti-join: what is new, what had come already, what came again with another body."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import make_settings, make_workspace
from genai_audit.loading import parse_and_load
from genai_audit.runs import Run
from genai_audit.warehouse import Warehouse

BASE = "stg_vle_use"
ROW: dict[str, Any] = {
    "record_kind": "interaction", "occurred_at": datetime(2026, 10, 6, 9, tzinfo=UTC),
    "occurred_day": date(2026, 10, 6), "feature": "x", "source": "vle_csv", "line_no": 1,
}  # fmt: skip


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def parse(warehouse: Warehouse, folder: Path, package: str, *rows: dict[str, Any]) -> dict[str, Path]:
    """The Parquet file that parsing such a package would have made."""
    full = [
        ROW | {"package_id": package, "line_no": number} | row for number, row in enumerate(rows, start=1)
    ]
    file = folder / f"{package}.parquet"
    warehouse.connection.execute(f"CREATE OR REPLACE TEMP TABLE made AS FROM {BASE} LIMIT 0")
    for row in full:
        marks = ", ".join(f"${name}" for name in row)
        warehouse.connection.execute(f"INSERT INTO made ({', '.join(row)}) VALUES ({marks})", row)
    warehouse.connection.execute(f"COPY made TO '{file}' (FORMAT parquet)")
    return {BASE: file}


def load(warehouse: Warehouse, folder: Path, package: str, *rows: dict[str, Any]) -> int:
    return warehouse.load(BASE, {package: parse(warehouse, folder, package, *rows)})


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    return warehouse.connection.execute(sql).fetchall()


def test_a_record_is_loaded_once_however_often_it_comes(warehouse: Warehouse, tmp_path: Path) -> None:
    assert load(warehouse, tmp_path, "p1", {"record_id": "a"}, {"record_id": "b"}) == 2
    assert load(warehouse, tmp_path, "p2", {"record_id": "b"}, {"record_id": "c"}) == 1
    assert ask(warehouse, f"SELECT record_id, package_id FROM {BASE} ORDER BY 1") == [
        ("a", "p1"), ("b", "p1"), ("c", "p2"),
    ]  # fmt: skip
    assert ask(warehouse, "SELECT source, sum(record_count)::INT FROM loaded_day GROUP BY 1") == [
        ("vle_csv", 3)
    ]
    assert ask(warehouse, "FROM stg_conflict") == ask(warehouse, "FROM stg_repeat") == []


def test_of_two_new_packages_the_first_wins(warehouse: Warehouse, tmp_path: Path) -> None:
    parsed = {name: parse(warehouse, tmp_path, name, {"record_id": "a"}) for name in ("p2", "p1")}
    assert warehouse.load(BASE, parsed) == 1
    assert ask(warehouse, f"SELECT package_id FROM {BASE}") == [("p1",)]


def test_a_record_that_came_through_another_door_is_noted(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, "p1", {"record_id": "a"}, {"record_id": "b"})
    load(warehouse, tmp_path, "p2", {"record_id": "a", "source": "vle_xapi"})
    assert ask(warehouse, "FROM stg_repeat") == [("a", "vle_xapi", date(2026, 10, 6))]
    assert ask(warehouse, "FROM stg_conflict") == []


def test_a_known_id_with_another_body_stays_as_it_was_and_is_told(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, "p1", {"record_id": "a"}, {"record_id": "b", "school": None})
    load(warehouse, tmp_path, "p2", {"record_id": "a", "feature": "y"}, {"record_id": "b", "school": None})
    assert ask(warehouse, f"SELECT feature FROM {BASE} WHERE record_id = 'a'") == [("x",)]
    assert ask(warehouse, "FROM stg_conflict") == [("a", "vle_csv", "p2", date(2026, 10, 6))]


def test_the_time_of_a_repeated_record_is_no_change(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, "p1", {"record_id": "a"})
    later = {"occurred_at": datetime(2026, 10, 7, 9, tzinfo=UTC), "occurred_day": date(2026, 10, 7)}
    load(warehouse, tmp_path, "p2", {"record_id": "a", **later})
    assert ask(warehouse, "FROM stg_conflict") == []
    load(warehouse, tmp_path, "p3", {"record_id": "a", "feature": "y", **later})
    assert ask(warehouse, "SELECT package_id FROM stg_conflict") == [("p3",)]


def test_a_run_with_nothing_new_tells_no_change(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with Warehouse(workspace.warehouse) as opened:
        load(opened, tmp_path, "p1", {"record_id": "a"})
        load(opened, tmp_path, "p2", {"record_id": "a", "feature": "y"})
        assert len(ask(opened, "FROM stg_conflict")) == 1
    parse_and_load(Run(workspace, make_settings(workspace), "run"))
    with Warehouse(workspace.warehouse) as opened:
        assert ask(opened, "FROM stg_conflict") == []


def test_a_load_that_fails_leaves_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    good = parse(warehouse, tmp_path, "p1", {"record_id": "a"})
    with pytest.raises(Exception, match="no_such_table"):
        warehouse.load(BASE, {"p1": good | {"no_such_table": good[BASE]}})
    assert ask(warehouse, f"SELECT count(*) FROM {BASE}") == [(0,)]
    assert warehouse.loaded() == set()


def test_a_warehouse_of_another_version_is_emptied_and_filled_again(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse(file) as older:
        load(older, tmp_path, "p1", {"record_id": "a"})
        older.connection.execute(f"ALTER TABLE {BASE} DROP COLUMN school")
        older.connection.execute("UPDATE built_with SET sha256 = 'another' WHERE name = 'staging'")
    with Warehouse(file) as newer:
        assert newer.loaded() == set()
        assert load(newer, tmp_path, "p1", {"record_id": "a", "school": "Law"}) == 1
    with Warehouse(file) as same:
        assert same.loaded() == {"p1"}
        assert ask(same, f"SELECT school FROM {BASE}") == [("Law",)]
