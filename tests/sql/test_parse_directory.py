"""sql/parse/directory.sql: accounts become pseudonymous people of a day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import Tables, parse_rows
from genai_audit.calendars import Window
from genai_audit.privacy.pseudonyms import pseudonym

ACCOUNT = {
    "id": "0b1c-Object", "userPrincipalName": "Ada@westbridge.example", "department": "School of Computing",
    "jobTitle": "Lecturer", "employeeType": "Staff", "userType": "Member", "accountEnabled": True,
    "hasCopilotLicence": True,
}  # fmt: skip
SUMMER = Window(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 1, 23, 30, tzinfo=UTC))


def parse(folder: Path, *rows: dict[str, Any]) -> tuple[bytes, Tables]:
    return parse_rows(folder, "m365_directory", *rows, window=SUMMER)


def test_a_full_account(tmp_path: Path) -> None:
    key, tables = parse(tmp_path, ACCOUNT)
    row = tables["stg_directory_snapshot"][0]
    person = pseudonym(key, "person", ACCOUNT["id"])
    assert row["person_key"] == person
    assert row["alias_key"] == pseudonym(key, "person", ACCOUNT["userPrincipalName"])
    assert row["record_id"] == f"2026-06-01:{person}"
    assert row["occurred_at"].isoformat() == "2026-06-01T23:30:00+00:00"
    assert row["occurred_day"].isoformat() == "2026-06-02"  # British Summer Time
    kept = ("department", "job_title", "employee_type", "role", "is_enabled", "has_copilot_licence")
    assert [row[name] for name in kept] == ["School of Computing", "Lecturer", "Staff", "staff", True, True]
    assert (row["source"], row["line_no"], tables["stg_parse_problem"]) == ("m365_directory", 1, [])


def test_names_and_object_ids_are_in_no_table(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, ACCOUNT)
    assert "ada@" not in str(tables).lower()
    assert "0b1c" not in str(tables)


@pytest.mark.parametrize(
    ("changes", "role"),
    [
        ({"userType": "guest"}, "guest"),
        ({"userPrincipalName": "x_y.example#EXT#@w.example", "userType": None}, "guest"),
        ({"employeeType": "Postgraduate STUDENT"}, "student"),
        ({"employeeType": "Service account"}, "service"),
        ({"employeeType": "Contractor", "userType": None}, "staff"),
        ({"employeeType": None}, "unknown"),
        ({"employeeType": " "}, "unknown"),
        ({"employeeType": "Student", "userType": "Guest"}, "guest"),
    ],
)
def test_the_role_is_read_off_words(tmp_path: Path, changes: dict[str, Any], role: str) -> None:
    _, tables = parse(tmp_path, ACCOUNT | changes)
    assert tables["stg_directory_snapshot"][0]["role"] == role


def test_only_the_id_is_needed(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, {"id": "o1"})
    row = tables["stg_directory_snapshot"][0]
    assert (row["alias_key"], row["department"], row["is_enabled"], row["has_copilot_licence"]) == (None,) * 4
    assert [one["problem"] for one in tables["stg_parse_problem"]] == ["no_principal_name"]


@pytest.mark.parametrize("field", ["department", "jobTitle", "employeeType"])
def test_a_person_in_a_word_is_withheld(tmp_path: Path, field: str) -> None:
    _, tables = parse(tmp_path, ACCOUNT | {field: "carol.smith@x.example"})
    assert "carol" not in str(tables)
    assert "withheld" in tables["stg_directory_snapshot"][0].values()


@pytest.mark.parametrize("field", ACCOUNT)
def test_a_person_in_any_cell_or_key_is_in_no_table(tmp_path: Path, field: str) -> None:
    _, tables = parse(
        tmp_path,
        ACCOUNT | {field: "carol.smith@x.example", "carol.smith@x.example": "1"},
        ACCOUNT | {"id": "o2"},
    )
    assert len(tables["stg_directory_snapshot"]) == 2
    assert "carol" not in str(tables)
