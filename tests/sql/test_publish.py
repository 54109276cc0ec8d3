"""What is published: commented, self-contained, readable by older DuckDB, and without a person for LIDE."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from builders import count_days
from genai_audit import publishing
from genai_audit.publishing import AUDIENCES
from genai_audit.warehouse import Warehouse, open_published

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
        count_days(warehouse, "stg_vle_use")
        warehouse.build()
        for audience in AUDIENCES:
            publishing.publish(warehouse, audience, folder / f"{audience}.duckdb")
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
    assert rows == [
        ("All", None, 105, False),  # from what is shown: Law is not in it
        ("Arts", 10, 35, False), ("Health", 25, 70, False), ("Law", None, None, True),
    ]  # fmt: skip
    assert b"ps_Law" not in file.read_bytes()


def test_a_total_is_summed_from_what_is_shown_and_says_so(published: Path) -> None:
    file = published / "lide.duckdb"
    sql = "SELECT school, feature, person_count, event_count FROM vle_use_by_school WHERE is_total"
    assert ask(file, sql) == [("All", "All", None, 105)]
    sql = "SELECT actor_role, record_kind, person_count, event_count FROM vle_use_by_role ORDER BY is_total"
    assert ask(file, sql) == [
        ("student", "interaction", 40, 125),
        ("All", "interaction", None, 125),
    ]


def publish_lide(folder: Path, *rows: dict[str, Any], people: int = 0, below: int = 8) -> Path:
    """lide.duckdb and compliance.duckdb of these VLE rows and a directory of so many people."""
    with Warehouse(folder / "warehouse.duckdb") as warehouse:
        warehouse.replace("stg_vle_use", [HEAD | {"record_id": f"r{n}"} | row for n, row in enumerate(rows)])
        directory = [{"person_key": f"ps_{n}", "role": "staff"} for n in range(people)]
        warehouse.replace("stg_directory", directory)
        count_days(warehouse, "stg_vle_use")
        warehouse.build()
        for audience in ("lide", "compliance"):
            publishing.publish(warehouse, audience, folder / f"{audience}.duckdb", suppress_below=below)
    return folder / "lide.duckdb"


def make_exports(kind: str, days: list[date], courses: int, quantity: int) -> list[dict[str, Any]]:
    """The same table of courses, exported on several days; each time every course has one more."""
    return [
        {
            "record_kind": kind, "occurred_day": day, "course_key": f"c{course}", "school": "Arts",
            "feature": "AI Design Assistant", "tool_name": "AIDA", "quantity": quantity + place,
        }
        for place, day in enumerate(days)
        for course in range(courses)
    ]  # fmt: skip


def test_a_state_is_not_added_up_over_its_exports(tmp_path: Path) -> None:
    days = [date(2026, 10, 6), date(2026, 10, 20), date(2026, 11, 24)]
    file = publish_lide(tmp_path, *make_exports("aggregate", days, courses=10, quantity=3))
    for table in ("school", "role", "tool"):
        sql = f"SELECT person_count, event_count FROM vle_use_by_{table} LIMIT 1"
        assert ask(file, sql) == [(None, 50)], table  # 10 courses with 5 each, at the newest export
    months = ask(file, "SELECT month, event_count FROM vle_use_by_month ORDER BY 1")
    assert months == [(date(2026, 10, 1), 40), (date(2026, 11, 1), 50)]
    saved = Path(__file__).parents[2] / "sql" / "adhoc" / "vle_use_by_kind.sql"
    answer = ask(tmp_path / "compliance.duckdb", saved.read_text(encoding="utf-8"))
    assert answer == [("aggregate", "AI Design Assistant", 50, 10)]


def test_a_counter_that_is_set_back_every_day_is_added_up(tmp_path: Path) -> None:
    rows = [
        {"record_kind": "quota_counter", "occurred_day": date(2026, 10, day), "person_key": f"ps_{n}",
         "school": "Arts", "feature": "AI Playground", "tool_name": "AIP", "quantity": 5}
        for day in range(1, 11)
        for n in range(10)
    ]  # fmt: skip
    file = publish_lide(tmp_path, *rows)
    for table in ("month", "school", "role", "tool"):
        sql = f"SELECT person_count, event_count FROM vle_use_by_{table} LIMIT 1"
        assert ask(file, sql) == [(10, 500)], table
    saved = Path(__file__).parents[2] / "sql" / "adhoc" / "vle_use_by_kind.sql"
    answer = ask(tmp_path / "compliance.duckdb", saved.read_text(encoding="utf-8"))
    assert answer == [("quota_counter", "AI Playground", 500, 100)]


def test_what_few_people_brought_in_stands_as_other(tmp_path: Path) -> None:
    use = {"record_kind": "interaction", "school": "Arts", "quantity": 5}
    usual = [use | {"person_key": f"ps_{n}", "feature": "Chat", "tool_name": "Tutor"} for n in range(10)]
    rare = [
        use | {"person_key": f"ps_{n}", "feature": f"Jane said {n}", "tool_name": f"Essay {n}"}
        for n in range(8)
    ]
    file = publish_lide(tmp_path, *usual, *rare, use | {"person_key": "ps_9", "feature": "Jane said 0"})
    shown = [("Chat", 10, 50), ("other", 10, 45)]  # a feature that two people have is merged too
    for table in ("month", "school"):
        sql = f"SELECT feature, person_count, event_count FROM vle_use_by_{table} WHERE feature <> 'All'"
        assert ask(file, sql) == shown, table
    tools = ask(file, "SELECT tool_name, event_count FROM vle_use_by_tool ORDER BY ALL")
    assert tools == [("Tutor", 50), ("not stated", None), ("other", 40)]
    assert b"Jane" not in file.read_bytes()
    assert b"Essay" not in file.read_bytes()


def test_a_course_that_only_an_older_export_holds_still_counts(tmp_path: Path) -> None:
    old = make_exports("aggregate", [date(2026, 10, 6)], courses=12, quantity=5)
    new = make_exports("aggregate", [date(2026, 11, 24)], courses=8, quantity=10)
    file = publish_lide(tmp_path, *old, *new)
    assert ask(file, "SELECT event_count FROM vle_use_by_tool") == [(100,)]


@pytest.mark.parametrize(
    ("courses", "shown"),
    [([500], None), ([50] * 7, None), ([50] * 7 + [0] * 20, None), ([50] * 8, 400), ([50] * 8 + [900], None)],
)
def test_few_courses_are_withheld_like_few_people(
    tmp_path: Path, courses: list[int], shown: int | None
) -> None:
    rows = [
        {"record_kind": "aggregate", "course_key": f"c{n}", "school": "Law", "feature": "x", "quantity": q}
        for n, q in enumerate(courses)
    ]
    file = publish_lide(tmp_path, *rows)
    found = ask(file, "SELECT person_count, event_count, is_suppressed FROM vle_use_by_school")
    assert set(found) == {(None, shown, shown is None)}  # the total too
    names = {row[0] for row in ask(file, "SELECT column_name FROM duckdb_columns() WHERE NOT internal")}
    assert not names & {"contributor_count", "top_one", "top_two"}


def test_events_that_one_person_made_are_withheld(tmp_path: Path) -> None:
    use = {"record_kind": "interaction", "school": "Law", "feature": "x"}
    rows = [use | {"person_key": f"ps_{n}", "quantity": 1000 if n == 0 else 10} for n in range(20)]
    found = ask(publish_lide(tmp_path, *rows), "SELECT person_count, event_count FROM vle_use_by_school")
    assert found == [(20, None), (None, None)]


def test_facts_about_few_people_are_not_shown(tmp_path: Path) -> None:
    use = {"record_kind": "interaction", "feature": "x", "quantity": 9}
    few = publish_lide(tmp_path, use | {"person_key": "ps_0"}, people=3)
    facts = dict(ask(few, "SELECT key, value FROM about"))
    assert facts["people in the directory register"] == "fewer than 8"
    assert facts["share of VLE people found in the directory, per cent"] == "not shown: too few people"
    (tmp_path / "more").mkdir()
    rows = [use | {"person_key": f"ps_{n}"} for n in range(12)]
    facts = dict(ask(publish_lide(tmp_path / "more", *rows, people=9), "SELECT key, value FROM about"))
    assert facts["people in the directory register"] == "10"
    assert facts["share of VLE people found in the directory, per cent"] == "75"
    (tmp_path / "strict").mkdir()
    strict = publish_lide(tmp_path / "strict", *rows, people=9, below=20)
    assert "fewer than 20" in dict(ask(strict, "SELECT key, value FROM about")).values()


def test_a_reader_goes_on_undisturbed_while_a_new_file_is_published(published: Path) -> None:
    file = published / "iss.duckdb"
    before = file.stat().st_ino
    reader = open_published(file)
    try:
        with Warehouse(published / "warehouse.duckdb") as warehouse:
            publishing.publish(warehouse, "iss", file)
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
