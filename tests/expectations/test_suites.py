"""The suites as files: one a table, each check named, explained and of a known severity."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "expectations").glob("*.json"))
CHECKS = [(file.stem, check) for file in FILES for check in json.loads(file.read_text())["expectations"]]
QUERIES = [(table, check) for table, check in CHECKS if "unexpected_rows_query" in check["kwargs"]]


def name(case: tuple[str, dict[str, Any]]) -> str:
    return f"{case[0]}-{case[1]['meta']['check']}"


def test_every_table_has_a_suite_and_every_suite_a_table() -> None:
    created = re.compile(
        r"^CREATE (?:OR REPLACE )?TABLE (?:IF NOT EXISTS )?((?:stg|dim|fct)_\w+)", re.MULTILINE
    )
    models = [*(ROOT / "sql" / "staging").glob("*.sql"), *(ROOT / "sql" / "marts").glob("*.sql")]
    tables = {table for model in models for table in created.findall(model.read_text(encoding="utf-8"))}
    assert {file.stem for file in FILES} == tables


def test_the_test_warehouse_has_the_same_tables(clean_file: Path) -> None:
    with duckdb.connect(str(clean_file), read_only=True) as connection:
        tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert {file.stem for file in FILES} == tables


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_suite_is_named_after_its_table_and_its_checks_differ(file: Path) -> None:
    suite = json.loads(file.read_text(encoding="utf-8"))
    checks = [check["meta"]["check"] for check in suite["expectations"]]
    assert suite["name"] == file.stem
    assert len(checks) == len(set(checks)) > 0


@pytest.mark.parametrize("case", CHECKS, ids=name)
def test_a_check_says_why_what_breaks_it_and_whom_to_ask(case: tuple[str, dict[str, Any]]) -> None:
    _, check = case
    assert check["severity"] in ("critical", "warning")
    notes = check["meta"]["notes"]
    assert re.fullmatch(r"Why: .{10,} What usually breaks it: .{10,} Whom to ask: .+", notes)
    assert any(who in notes.split("Whom to ask: ")[1] for who in ("ISS", "LIDE", "compliance"))


@pytest.mark.parametrize("case", QUERIES, ids=name)
def test_a_query_reads_its_table_is_bounded_and_selects_no_name(case: tuple[str, dict[str, Any]]) -> None:
    query = case[1]["kwargs"]["unexpected_rows_query"]
    assert "{batch}" in query
    assert query.endswith(" LIMIT 1000")
    selected = re.findall(r"SELECT ((?:\w+\.)?\w+(?:, \w+)*) FROM", query)[-1]
    allowed = re.compile(r"(\w+\.)?(\w*_id|\w+_day|source|holiday)")
    assert all(allowed.fullmatch(column) for column in selected.split(", "))
