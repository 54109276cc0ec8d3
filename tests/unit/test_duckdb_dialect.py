"""The dialect: results outlast their connection, LIMIT is plain, tables and columns are reflected."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import sqlalchemy
from sqlalchemy import Engine, MetaData, Table, select, text, types

from genai_audit import duckdb_dialect


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "a file?with=signs.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE numbers AS SELECT range::INTEGER AS n, 'x' AS word, DATE '2026-11-01' AS day,"
            " TIMESTAMPTZ '2026-11-01 00:00:00Z' AS instant, true AS is_x, 1.5::DECIMAL(9, 2) AS price,"
            " [1, 2] AS list FROM range(10); CREATE VIEW evens AS FROM numbers WHERE n % 2 = 0;"
            " CREATE SCHEMA other; CREATE TABLE other.inner_table (a INTEGER)"
        )
    return file


@pytest.fixture
def engine(file: Path) -> Engine:
    return sqlalchemy.create_engine(duckdb_dialect.url(file), connect_args=duckdb_dialect.READ_ONLY)


def test_a_result_is_read_after_its_connection_was_closed(engine: Engine) -> None:
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("SELECT n FROM numbers WHERE n < ? ORDER BY n", [4])
        cursor.close()
    engine.dispose()
    assert [column[0] for column in cursor.description or ()] == ["n"]
    assert cursor.fetchone() == (0,)
    assert cursor.fetchmany(2) == [(1,), (2,)]
    assert cursor.fetchall() == [(3,)]
    assert cursor.fetchone() is None


def test_limit_and_offset_are_written_only_when_given(engine: Engine) -> None:
    numbers = Table("numbers", MetaData(), autoload_with=engine)
    query = select(numbers.c.n).order_by(numbers.c.n)
    with engine.connect() as connection:
        assert connection.execute(query.limit(2)).scalars().all() == [0, 1]
        assert connection.execute(query.offset(8)).scalars().all() == [8, 9]
        assert connection.execute(query.limit(1).offset(3)).scalars().all() == [3]
    assert "LIMIT" not in str(query.offset(8).compile(engine))


def test_tables_views_and_schemas_are_reflected(engine: Engine) -> None:
    inspector = sqlalchemy.inspect(engine)
    assert inspector.get_table_names() == ["numbers"]
    assert inspector.get_view_names() == ["evens"]
    assert inspector.get_table_names(schema="other") == ["inner_table"]
    assert {"main", "other"} <= set(inspector.get_schema_names())
    assert inspector.has_table("numbers")
    assert inspector.has_table("evens")
    assert not inspector.has_table("absent")
    assert not inspector.has_table("numbers", schema="other")


def test_columns_are_reflected_in_order_with_their_types(engine: Engine) -> None:
    inspector = sqlalchemy.inspect(engine)
    columns = {column["name"]: type(column["type"]) for column in inspector.get_columns("numbers")}
    assert columns == {
        "n": types.Integer, "word": types.String, "day": types.Date, "instant": types.DateTime,
        "is_x": types.Boolean, "price": types.Numeric, "list": types.NullType,
    }  # fmt: skip
    assert list(columns)[:2] == ["n", "word"]
    assert inspector.get_pk_constraint("numbers")["constrained_columns"] == []
    assert inspector.get_indexes("numbers") == inspector.get_foreign_keys("numbers") == []


def test_a_read_only_engine_can_not_write(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError):
        connection.execute(text("DELETE FROM numbers"))


def test_nothing_holds_the_file_after_dispose(engine: Engine, file: Path) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    with duckdb.connect(str(file)) as writer:
        writer.execute("INSERT INTO other.inner_table VALUES (1)")
