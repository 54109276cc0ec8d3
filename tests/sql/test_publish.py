"""What is published: commented, self-contained, readable by older DuckDB, and without a person for LIDE."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genai_audit.warehouse import AUDIENCES, Warehouse, open_published

NOON = datetime(2026, 10, 6, 11, tzinfo=UTC)
HEAD = {
    "occurred_at": NOON,
    "occurred_day": date(2026, 10, 6),
    "source": "vle_csv",
    "package_id": "p",
    "line_no": 1,
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    with Warehouse(folder / "warehouse.duckdb") as warehouse:
        use = {
            "record_kind": "interaction",
            "actor_role": "student",
            "feature": "AI Conversation",
            "quantity": 3,
        }
        rows = [
            HEAD | use | {"record_id": f"{school}{n}", "person_key": f"ps_{school}{n}", "school": school}
            for school, people in (("Arts", 12), ("Law", 7), ("Health", 23))
            for n in range(people)
        ]
        warehouse.replace("stg_vle_use", rows)
        warehouse.connection.execute("INSERT INTO touched_day VALUES ('2026-10-06')")
        warehouse.build()
        for audience in AUDIENCES:
            warehouse.publish(audience, folder / f"{audience}.duckdb")
    return folder


def ask(file: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = open_published(file)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_table_and_column_is_explained(published: Path, audience: str) -> None:
    file = published / f"{audience}.duckdb"
    assert ask(file, "SELECT table_name FROM duckdb_tables() WHERE coalesce(comment, '') = ''") == []
    assert ask(file, "SELECT table_name, column_name FROM duckdb_columns() WHERE coalesce(comment, '') = ''"
                     " AND NOT internal") == []  # fmt: skip
    tables = {row[0] for row in ask(file, "SELECT table_name FROM duckdb_tables()")}
    listed = {row[0] for row in ask(file, "SELECT table_name FROM start_here")}
    assert tables == listed | {"start_here"}
    assert len(tables) <= 20


def test_lide_reads_no_person_and_no_small_number(published: Path) -> None:
    file = published / "lide.duckdb"
    names = {row[0] for row in ask(file, "SELECT column_name FROM duckdb_columns() WHERE NOT internal")}
    assert not names & {"person_key", "record_id", "course_key", "package_id"}
    rows = ask(
        file, "SELECT school, person_count, event_count, is_suppressed FROM vle_use_by_school ORDER BY 1"
    )
    assert rows == [("Arts", 10, 35, False), ("Health", 25, 70, False), ("Law", None, None, True)]
    assert b"ps_Law" not in file.read_bytes()


def test_a_reader_goes_on_undisturbed_while_a_new_file_is_published(published: Path) -> None:
    file = published / "iss.duckdb"
    before = file.stat().st_ino
    reader = open_published(file)
    try:
        with Warehouse(published / "warehouse.duckdb") as warehouse:
            warehouse.publish("iss", file)
        assert file.stat().st_ino != before
        assert reader.execute("SELECT count(*) FROM start_here").fetchone() is not None
    finally:
        reader.close()
    assert [path.name for path in published.iterdir() if ".part" in path.name] == []
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_file_has_the_storage_version_that_1_0_command_lines_read(published: Path, audience: str) -> None:
    with (published / f"{audience}.duckdb").open("rb") as file:
        head = file.read(20)
    assert head[8:12] == b"DUCK"
    assert int.from_bytes(head[12:20], "little") == 64  # version 64 is DuckDB 0.10 to 1.x


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x (a INTEGER)",
        "DELETE FROM start_here",
        "WITH d AS (DELETE FROM start_here RETURNING *) SELECT * FROM d",
        "ATTACH ':memory:' AS m",
        "COPY start_here TO 'x.csv'",
        "EXPORT DATABASE 'x'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE SECRET s (TYPE s3)",
        "SET enable_external_access = true",
        "SET threads = 8",
    ],
)
def test_a_published_file_gives_no_way_out(published: Path, sql: str) -> None:
    with pytest.raises(duckdb.Error):
        ask(published / "compliance.duckdb", sql)


def test_columns_that_are_published_are_the_ones_with_a_meaning(published: Path) -> None:
    sheet = Path(__file__).parents[2] / "sql" / "columns.csv"
    with sheet.open(encoding="utf-8", newline="") as file:
        known = {row["column"] for row in csv.DictReader(file)}
    for audience in AUDIENCES:
        sql = "SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal"
        assert {row[0] for row in ask(published / f"{audience}.duckdb", sql)} <= known
