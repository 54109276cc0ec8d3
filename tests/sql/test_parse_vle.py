"""sql/parse/vle.sql: canonical VLE rows become typed, pseudonymous rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import Tables, parse_rows
from genai_audit.privacy.pseudonyms import pseudonym

ROW = {
    "record_id": "v1",
    "occurred_at": "2026-10-05T23:30:00Z",
    "record_kind": "interaction",
    "actor": "Ada@westbridge.example",
    "actor_role": "student",
    "course": "PHIL101-2026",
    "school": "Philosophy",
    "term": "Autumn",
    "feature": "generate_text",
    "tool": "openai",
    "outcome": "success",
    "action": "vle-77",
    "quantity": "3",
    "base_quantity": "10",
    "map": "generic",
}


def parse(folder: Path, *rows: dict[str, Any]) -> tuple[bytes, Tables]:
    return parse_rows(folder, "vle_csv", *rows)


def test_a_full_row(tmp_path: Path) -> None:
    key, tables = parse(tmp_path, ROW)
    row = tables["stg_vle_use"][0]
    assert row["occurred_at"].isoformat() == "2026-10-05T23:30:00+00:00"
    assert row["occurred_day"].isoformat() == "2026-10-06"  # British Summer Time
    assert row["person_key"] == pseudonym(key, "person", ROW["actor"])
    assert row["course_key"] == pseudonym(key, "course", ROW["course"])
    assert row["action_key"] == pseudonym(key, "object", ROW["action"])
    kept = (
        "record_id",
        "record_kind",
        "actor_role",
        "school",
        "term_name",
        "feature",
        "tool_name",
        "outcome",
        "quantity",
        "base_quantity",
    )
    assert [row[name] for name in kept] == [
        "v1",
        "interaction",
        "student",
        "Philosophy",
        "Autumn",
        "generate_text",
        "openai",
        "success",
        3,
        10,
    ]
    assert (row["source"], row["line_no"], tables["stg_parse_problem"]) == ("vle_csv", 1, [])


def test_names_are_in_no_table(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, ROW)
    assert "westbridge" not in str(tables).lower()
    assert "PHIL101" not in str(tables)


def test_only_the_needed_keys_are_needed(tmp_path: Path) -> None:
    _, tables = parse(tmp_path, {"record_id": "v1", "occurred_at": "2026-10-05", "record_kind": "aggregate"})
    row = tables["stg_vle_use"][0]
    assert (row["person_key"], row["course_key"], row["quantity"]) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "problem", "rows"),
    [
        ({"occurred_at": "soon"}, "no_time", 0),
        ({"record_kind": "novelty"}, "unknown_kind", 1),
        ({"quantity": "many"}, "not_a_number", 1),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, changes: dict[str, str], problem: str, rows: int
) -> None:
    _, tables = parse(tmp_path, ROW | changes)
    assert [row["problem"] for row in tables["stg_parse_problem"]] == [problem]
    assert len(tables["stg_vle_use"]) == rows


WORDS = {
    "actor_role": "actor_role",
    "school": "school",
    "term": "term_name",
    "feature": "feature",
    "tool": "tool_name",
    "outcome": "outcome",
    "record_kind": "record_kind",
}


@pytest.mark.parametrize("field", WORDS)
@pytest.mark.parametrize("text", ["carol.smith@x.example", "\\\\srv\\carol.smith\\exam.docx"])
def test_a_person_in_a_word_is_withheld(tmp_path: Path, field: str, text: str) -> None:
    _, tables = parse(tmp_path, ROW | {field: text})
    assert tables["stg_vle_use"][0][WORDS[field]] == "withheld"


@pytest.mark.parametrize("field", ROW)
def test_a_person_in_any_cell_or_key_is_in_no_table(tmp_path: Path, field: str) -> None:
    _, tables = parse(
        tmp_path,
        ROW | {field: "carol.smith@x.example", "carol.smith@x.example": "1"},
        ROW | {"record_id": "v2"},
    )
    assert len(tables["stg_vle_use"]) >= 1
    assert "carol" not in str(tables)


def test_terms_and_schools_are_kept(tmp_path: Path) -> None:
    names = {"school": "Politics / \u00c9conomie & Law (PPE)", "term": "2025/26/S1"}
    row = parse(tmp_path, ROW | names)[1]["stg_vle_use"][0]
    assert (row["school"], row["term_name"]) == (names["school"], names["term"])
