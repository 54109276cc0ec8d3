"""sql/parse/label_catalogue.sql: labels of the catalogue, each once a day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import Tables, day_window, parse_rows

LABEL = {
    "id": "4C0E7A12-52D3-4B8F-A6E1-93B7D5F0C2A8", "name": "conf", "displayName": "Confidential",
    "priority": 4, "hasProtection": False, "parentId": "AB",
}  # fmt: skip


def parse(folder: Path, *rows: dict[str, Any]) -> Tables:
    return parse_rows(folder, "m365_labels", *rows, window=day_window())[1]


def test_a_full_label(tmp_path: Path) -> None:
    tables = parse(tmp_path, LABEL)
    row = tables["stg_label_catalogue"][0]
    assert row["label_id"] == LABEL["id"].lower()  # type: ignore[attr-defined]
    assert row["record_id"].endswith(f":{row['label_id']}")
    kept = ("label_name", "parent_label_id", "priority", "has_protection", "source", "line_no")
    assert [row[name] for name in kept] == ["Confidential", "ab", 4, False, "m365_labels", 1]
    assert tables["stg_parse_problem"] == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"displayName": None}, "conf"), ({"displayName": "", "name": None}, "label without a name"),
     ({"displayName": "carol.smith@x.example"}, "withheld")],
)  # fmt: skip
def test_a_name_is_found_or_said_to_be_missing(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    assert parse(tmp_path, LABEL | changes)["stg_label_catalogue"][0]["label_name"] == name


@pytest.mark.parametrize("priority", [None, "high"])
def test_a_label_without_a_priority_is_kept_and_named(tmp_path: Path, priority: Any) -> None:
    tables = parse(tmp_path, LABEL | {"priority": priority})
    assert tables["stg_label_catalogue"][0]["priority"] is None
    assert [one["problem"] for one in tables["stg_parse_problem"]] == ["no_priority"]
