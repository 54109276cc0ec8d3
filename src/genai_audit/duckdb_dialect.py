"""A small SQLAlchemy dialect for DuckDB: just what Great Expectations needs to run its checks as SQL.

The published dialects fail with DuckDB 2.0 (facts/tech.md §4.1): Great Expectations reads a result after it
has given the connection back, and a DuckDB result dies with its connection. The cursor here copies all rows
out when the statement runs, so nothing can be lost afterwards. Only `quality.py` uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import URL, text
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql import sqltypes
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NullType, TypeEngine

# Arguments of a connection that only reads, and fetches no extension from anywhere.
READ_ONLY: dict[str, Any] = {
    "read_only": True,
    "config": {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
}

# The word before "(" in information_schema.columns.data_type; anything else becomes NullType.
TYPES: dict[str, type[TypeEngine[Any]]] = {
    "BIGINT": sqltypes.BigInteger,
    "BLOB": sqltypes.LargeBinary,
    "BOOLEAN": sqltypes.Boolean,
    "DATE": sqltypes.Date,
    "DECIMAL": sqltypes.Numeric,
    "DOUBLE": sqltypes.Float,
    "FLOAT": sqltypes.Float,
    "HUGEINT": sqltypes.BigInteger,
    "INTEGER": sqltypes.Integer,
    "SMALLINT": sqltypes.SmallInteger,
    "TIME": sqltypes.Time,
    "TIMESTAMP": sqltypes.DateTime,
    "TIMESTAMP WITH TIME ZONE": sqltypes.DateTime,
    "TINYINT": sqltypes.SmallInteger,
    "UBIGINT": sqltypes.BigInteger,
    "UINTEGER": sqltypes.BigInteger,
    "VARCHAR": sqltypes.String,
}


# Great Expectations keeps an engine of its own open; while it does, nobody can open the file to write.
OPENED: list[duckdb.DuckDBPyConnection] = []


def close_all() -> None:
    """Close every connection that was made through this dialect."""
    while OPENED:
        OPENED.pop().close()


def url(file: Path) -> URL:
    """The address of a database file; a path may hold any character."""
    return URL.create("duckdb", database=str(file))


class DrainedCursor:
    """A DB-API cursor whose rows live in Python, so that they outlast the connection."""

    arraysize = 1
    rowcount = -1

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self._raw = raw
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.description: Sequence[Any] | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._raw.execute(sql, list(parameters))
        self.description = self._raw.description
        self._rows = iter(self._raw.fetchall() if self.description else ())

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        return list(islice(self._rows, size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def close(self) -> None:
        """Keep the rows: they are read after SQLAlchemy has closed the cursor."""


class Connection:
    """A DB-API connection; DuckDB commits each statement itself, and checks only read."""

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self._raw = raw

    def cursor(self) -> DrainedCursor:
        return DrainedCursor(self._raw)

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None:
        self._raw.close()


class DatabaseModule:
    """The `duckdb` module with the DB-API facts that SQLAlchemy asks for; everything else is forwarded."""

    paramstyle = "qmark"
    apilevel = "2.0"
    threadsafety = 1
    Error = duckdb.Error

    def __getattr__(self, name: str) -> Any:
        return getattr(duckdb, name)


class DuckDBCompiler(SQLCompiler):
    def limit_clause(self, select: Any, **kw: Any) -> str:
        """LIMIT and OFFSET only when given: SQLAlchemy's own text says `LIMIT -1`, which DuckDB refuses."""
        text = ""
        if select._limit_clause is not None:
            text += " LIMIT " + self.process(select._limit_clause, **kw)
        if select._offset_clause is not None:
            text += " OFFSET " + self.process(select._offset_clause, **kw)
        return text


class DuckDBDialect(DefaultDialect):
    """Connects and reflects tables and columns. Keys, constraints and indexes: the warehouse has none."""

    name = "duckdb"
    driver = "audit"
    default_schema_name = "main"
    supports_statement_cache = True
    supports_native_boolean = True
    supports_sane_rowcount = False
    max_identifier_length = 255
    statement_compiler = DuckDBCompiler

    @classmethod
    def import_dbapi(cls) -> Any:
        return DatabaseModule()

    def initialize(self, connection: Any) -> None:
        """Ask the server nothing: version, isolation level and default schema are known."""

    def create_connect_args(self, url: Any) -> Any:
        return (), {"database": url.database or ":memory:", **url.query}

    def connect(self, *arguments: Any, **options: Any) -> Any:
        raw: Any = super().connect(*arguments, **options)
        OPENED.append(raw)
        return Connection(raw)

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        return bool(self._names(connection, "table_name = :name", schema, name=table_name))

    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:
        found = connection.execute(
            text("SELECT DISTINCT schema_name FROM information_schema.schemata ORDER BY 1")
        )
        return [row[0] for row in found.fetchall()]

    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        return self._names(connection, "table_type = 'BASE TABLE'", schema)

    def get_view_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        return self._names(connection, "table_type = 'VIEW'", schema)

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        found = connection.execute(
            text(
                "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
                " WHERE table_schema = :schema AND table_name = :name ORDER BY ordinal_position"
            ),
            {"schema": schema or self.default_schema_name, "name": table_name},
        )
        return [
            {"name": name, "type": _column_type(data_type), "nullable": nullable == "YES", "default": None}
            for name, data_type, nullable in found.fetchall()
        ]

    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        return {"constrained_columns": [], "name": None}

    def _nothing(self, connection: Any, *names: Any, **kw: Any) -> Any:
        return []

    get_foreign_keys = get_indexes = get_unique_constraints = get_check_constraints = _nothing
    get_temp_table_names = get_temp_view_names = _nothing

    def _names(self, connection: Any, condition: str, schema: str | None, **values: str) -> list[str]:
        found = connection.execute(
            text(
                "SELECT table_name FROM information_schema.tables"
                f" WHERE table_schema = :schema AND {condition} ORDER BY table_name"
            ),
            {"schema": schema or self.default_schema_name, **values},
        )
        return [row[0] for row in found.fetchall()]


def _column_type(data_type: str) -> TypeEngine[Any]:
    return TYPES.get(data_type.split("(")[0], NullType)()


for _scheme in ("duckdb", "duckdb.audit"):
    registry.register(_scheme, __name__, "DuckDBDialect")
