"""What `check_tables` promises whatever the suites are: no value leaks, nothing broken passes as fine."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from genai_audit import quality
from genai_audit.errors import BadDataError, SoftwareError
from genai_audit.quality import QualityResult

CANARY = "canary.upn@example.ac.uk"
NOTES = "Why: x. What usually breaks it: y. Whom to ask: ISS."


def write_suite(folder: Path, table: str, *checks: tuple[str, dict[str, object]]) -> Path:
    folder.mkdir(exist_ok=True)
    expectations = [
        {
            "type": kind,
            "kwargs": kwargs,
            "severity": "critical",
            "meta": {"check": f"check_{number}", "notes": NOTES},
        }
        for number, (kind, kwargs) in enumerate(checks)
    ]
    (folder / f"{table}.json").write_text(json.dumps({"name": table, "expectations": expectations}))
    return folder


def query(sql: str) -> tuple[str, dict[str, object]]:
    return "unexpected_rows_expectation", {"unexpected_rows_query": sql}


@pytest.fixture
def run(tmp_path: Path, checked_at: datetime) -> Callable[..., list[QualityResult]]:
    """`run(create, check, …)`: results of checks on a table `t` that `create` makes."""

    def run(create: str, *checks: tuple[str, dict[str, object]]) -> list[QualityResult]:
        file = tmp_path / "warehouse.duckdb"
        with duckdb.connect(str(file)) as connection:
            connection.execute(create)
        suites = write_suite(tmp_path / "suites", "t", *checks)
        return quality.check_tables(file, "run-1", checked_at, suites=suites, lags={"a": timedelta(hours=36)})

    return run


def test_no_value_of_a_row_gets_into_a_result(
    run: Callable[..., list[QualityResult]], capfd: pytest.CaptureFixture[str]
) -> None:
    results = run(
        f"CREATE TABLE t AS SELECT '{CANARY}' AS name, 7654321 AS number FROM range(3)",
        ("expect_column_values_to_be_in_set", {"column": "name", "value_set": ["other"]}),
        ("expect_column_values_to_be_unique", {"column": "name"}),
        ("expect_column_max_to_be_between", {"column": "number", "max_value": 1}),
        ("expect_column_distinct_values_to_equal_set", {"column": "name", "value_set": ["other"]}),
        query("SELECT name FROM {batch} LIMIT 1000"),
        query("SELECT CAST(name AS INTEGER) AS n FROM {batch} LIMIT 1000"),
        query("SELECT error(name) AS n FROM {batch} LIMIT 1000"),
    )
    assert [one.status for one in results] == ["failed"] * 7
    output = capfd.readouterr()
    everything = repr(results) + output.out + output.err
    assert "canary" not in everything
    assert "7654321" not in everything
    assert output.out == output.err == ""


def test_a_planted_address_is_in_no_result_of_the_real_suites(
    check: Callable[..., list[QualityResult]],
) -> None:
    texts = ("person_key", "record_id", "source", "operation", "user_type")
    sets = ", ".join(f"{column} = '{CANARY}'" for column in texts)
    results = check(
        f"UPDATE stg_m365_event SET {sets} WHERE line_no = 1;"
        f"UPDATE fct_finding SET summary = '{CANARY}', severity = '{CANARY}'",
        "stg_m365_event", "fct_finding",
    )  # fmt: skip
    assert sum(one.status == "failed" for one in results) >= 4
    assert "canary" not in repr(results)


def test_results_say_what_was_checked_and_how_much_failed(
    run: Callable[..., list[QualityResult]], checked_at: datetime
) -> None:
    [result] = run(
        "CREATE TABLE t AS SELECT range % 4 AS a FROM range(2000)",
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [0, 1, 2]}),
    )
    assert result.as_row() == {
        "run_id": "run-1", "checked_at": checked_at, "table_name": "t", "check_name": "check_0",
        "column_name": "a", "severity": "critical", "status": "failed",
        "observed": "500 of 2,000 rows (25.00 %)", "failed_count": 500, "note": NOTES,
    }  # fmt: skip


def test_results_keep_the_order_of_the_suite(run: Callable[..., list[QualityResult]]) -> None:
    checks = [query(f"SELECT 1 AS n FROM {{batch}} WHERE a = {number} LIMIT 1000") for number in range(12)]
    results = run("CREATE TABLE t AS SELECT 5 AS a", *checks)
    assert [one.check_name for one in results] == [f"check_{number}" for number in range(12)]
    assert [one.status for one in results].index("failed") == 5


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (
            ("expect_column_values_to_not_be_null", {"column": "absent"}),
            "InvalidMetricAccessorDomainKwargsKeyError",
        ),
        (query("SELECT absent FROM {batch} LIMIT 1000"), "BinderException"),
        (query("SELEC a FROM {batch} LIMIT 1000"), "ParserException"),
        (("expect_column_values_to_match_regex", {"column": "name", "regex": "a"}), ""),
    ],
    ids=["no such column", "binder", "parser", "regex is not supported"],
)
def test_a_check_that_can_not_be_computed_has_failed(
    run: Callable[..., list[QualityResult]], check: tuple[str, dict[str, object]], error: str
) -> None:
    other = query("SELECT a FROM {batch} WHERE a > 1 LIMIT 1000")
    broken, fine = run("CREATE TABLE t AS SELECT 1 AS a, 'x' AS name", check, other)
    assert (broken.status, broken.observed, broken.failed_count) == ("failed", "not computed", None)
    assert broken.note.startswith("The check itself could not be computed (")
    assert error in broken.note
    assert quality.critical_failures([broken, fine]) == [broken]
    assert fine.status == "passed"


def test_a_missing_table_is_not_evaluated(run: Callable[..., list[QualityResult]]) -> None:
    [result] = run("CREATE TABLE other (a INTEGER)", query("SELECT a FROM {batch} LIMIT 1000"))
    assert (result.status, result.note) == ("NOT_EVALUATED", "The table is missing.")
    assert quality.critical_failures([result]) == []


def test_views_are_checked_too(run: Callable[..., list[QualityResult]]) -> None:
    [result] = run("CREATE VIEW t AS SELECT 1 AS a", query("SELECT a FROM {batch} LIMIT 1000"))
    assert (result.status, result.failed_count) == ("failed", 1)


def test_queries_know_the_time_of_the_check_and_the_documented_lags(
    run: Callable[..., list[QualityResult]],
) -> None:
    results = run(
        "CREATE TABLE t AS SELECT 1 AS a",
        query(
            "SELECT a FROM {batch} WHERE CAST('$checked_at' AS TIMESTAMP) <> TIMESTAMP '2026-11-24 12:00:00'"
            " LIMIT 1000"
        ),
        query(
            "SELECT t.a FROM {batch} AS t JOIN $documented_lags ON documented.source = 'a'"
            " WHERE lag_hours <> 36 LIMIT 1000"
        ),
    )
    assert [one.status for one in results] == ["passed", "passed"]


def test_a_suite_that_can_not_be_read_is_our_bug(run: Callable[..., list[QualityResult]]) -> None:
    with pytest.raises(SoftwareError, match=r"expectations/t\.json"):
        run("CREATE TABLE t AS SELECT 1 AS a", query("SELECT a FROM {batch} WHERE a > $unknown LIMIT 1000"))


def test_a_file_that_is_no_warehouse_is_bad_data(tmp_path: Path, checked_at: datetime) -> None:
    for content in (None, b"no database" * 1000):
        file = tmp_path / "warehouse.duckdb"
        if content:
            file.write_bytes(content)
        with pytest.raises(BadDataError, match=r"warehouse\.duckdb"):
            quality.check_tables(file, "run-1", checked_at, suites=tmp_path, lags={})
        assert file.exists() == bool(content)


def test_the_file_can_be_written_afterwards(run: Callable[..., list[QualityResult]], tmp_path: Path) -> None:
    run("CREATE TABLE t AS SELECT 1 AS a", query("SELECT a FROM {batch} WHERE a > 1 LIMIT 1000"))
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("INSERT INTO t VALUES (2)")


def test_a_large_table_is_checked_inside_duckdb(
    run: Callable[..., list[QualityResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_checks = [
        ("expect_column_values_to_be_unique", {"column": "record_id"}),
        ("expect_column_values_to_not_be_null", {"column": "record_id"}),
        query("SELECT record_id FROM {batch} WHERE a < 0 LIMIT 1000"),
        query("SELECT record_id FROM {batch} WHERE a >= 0 LIMIT 1000"),
    ]
    fetched = count_fetched_rows(monkeypatch)
    results = run(
        "CREATE TABLE t AS SELECT 'r' || range AS record_id, range % 3 AS a FROM range(100_000)", *run_checks
    )
    assert [one.observed for one in results] == [
        "0 of 100,000 rows (0.00 %)", "0 of 100,000 rows (0.00 %)", "0 rows", "1,000 rows or more",
    ]  # fmt: skip
    assert 0 < sum(fetched) < 1_200


def count_fetched_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from genai_audit.duckdb_dialect import DrainedCursor

    fetched: list[int] = []
    execute = DrainedCursor.execute

    def counting(self: DrainedCursor, sql: str, parameters: tuple[object, ...] = ()) -> None:
        execute(self, sql, parameters)
        rows = self.fetchall()
        fetched.append(len(rows))
        self._rows = iter(rows)

    monkeypatch.setattr(DrainedCursor, "execute", counting)
    return fetched


def test_telemetry_is_off_and_no_socket_is_opened(
    run: Callable[..., list[QualityResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a check opened a socket")

    monkeypatch.delenv("GX_ANALYTICS_ENABLED", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    run("CREATE TABLE t AS SELECT 1 AS a", query("SELECT a FROM {batch} WHERE a > 1 LIMIT 1000"))
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
