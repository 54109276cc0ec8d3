"""sql/parse/copilot_usage.sql: rows of the usage report, with and without a name."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from builders import Tables, day_window, parse_rows
from genai_audit.privacy.pseudonyms import pseudonym

ROW = {
    "user_principal_name": "Ada@westbridge.example", "report_refresh_date": "2026-10-04",
    "report_period": "7", "last_activity_date": "2026-10-03",
    "last_activity_by_app": {"word": "2026-10-02", "excel": "2026-10-03", "odd": "soon"},
    "is_concealed": False,
}  # fmt: skip
HIDDEN = "04ED172AFFD17C931C567960999335F9"


def parse(folder: Path, *rows: dict[str, Any]) -> tuple[bytes, Tables]:
    return parse_rows(folder, "m365_copilot_usage", *rows, window=day_window())


def test_a_full_row(tmp_path: Path) -> None:
    key, tables = parse(tmp_path, ROW)
    row = tables["stg_copilot_usage"][0]
    assert row["person_key"] == pseudonym(key, "person", "Ada@westbridge.example")
    assert row["record_id"].endswith(f":{row['person_key']}")
    kept = ("is_concealed", "report_day", "report_length", "last_activity_day", "active_app_count")
    assert [row[name] for name in kept] == [False, date(2026, 10, 4), 7, date(2026, 10, 3), 2]
    assert tables["stg_parse_problem"] == []


def test_no_name_is_in_a_table(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, ROW)
    assert "ada" not in str(tables).lower()


def test_a_concealed_name_is_nobody_but_can_be_counted(tmp_path: Path) -> None:
    other = HIDDEN.replace("0", "1")
    key, tables = parse(
        tmp_path, *(ROW | {"user_principal_name": one, "is_concealed": True} for one in (HIDDEN, other))
    )
    rows = tables["stg_copilot_usage"]
    assert [(one["person_key"], one["is_concealed"]) for one in rows] == [(None, True)] * 2
    assert rows[0]["record_id"].endswith(f":{pseudonym(key, 'object', HIDDEN)}")
    assert len({one["record_id"] for one in rows}) == 2
    assert HIDDEN not in str(tables)


@pytest.mark.parametrize(
    ("changes", "day"),
    [
        ({"last_activity_date": None}, date(2026, 10, 3)),
        ({"last_activity_date": "", "last_activity_by_app": {}}, None),
        ({"last_activity_date": "2026-10-01T00:00:00Z"}, date(2026, 10, 1)),
    ],
)
def test_the_last_day_is_that_of_any_application_if_there_is_no_other(
    tmp_path: Path, changes: dict[str, Any], day: date | None
) -> None:
    _, tables = parse(tmp_path, ROW | changes)
    assert tables["stg_copilot_usage"][0]["last_activity_day"] == day


@pytest.mark.parametrize(
    ("changes", "problem", "rows"),
    [
        ({"report_refresh_date": "soon"}, "no_report_day", 0),
        ({"last_activity_date": "never"}, "activity_day_unreadable", 1),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, changes: dict[str, str], problem: str, rows: int
) -> None:
    _, tables = parse(tmp_path, ROW | changes)
    assert [one["problem"] for one in tables["stg_parse_problem"]] == [problem]
    assert len(tables["stg_copilot_usage"]) == rows
