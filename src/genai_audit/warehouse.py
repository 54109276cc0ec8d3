"""The only room that opens DuckDB: load, build, and the locked-down reader.

The warehouse is disposable. Everything in it is computed from parsed packages, registers and run records, and
`rebuild` computes it again. One writer; readers only ever see published copies.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import polars as pl

from genai_audit.models import digest, order_models, read_models
from genai_audit.workspace import shipped

Config = dict[str, str | bool | int | float | list[str]]
COMMON: Config = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "preserve_insertion_order": "false",
}
# Columns that may differ in a record that comes again: where it came from, and its time, which for a snapshot
# or a file without times is that of collection.
NOT_BODY = ("source", "package_id", "line_no", "occurred_at", "occurred_day")
LOCKED: Config = {
    "enable_external_access": "false", "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false", "allow_community_extensions": "false",
    "allow_extension_repositories": "forbidden", "allow_persistent_secrets": "false",
    "python_enable_replacements": "false", "threads": "1",
}  # fmt: skip


def scratch(memory_mb: int, threads: int, tmp: Path | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory database that spills into the workspace's own temporary folder and loads no extension."""
    return duckdb.connect(config=_config(memory_mb, threads, tmp))


def open_published(file: Path, memory_mb: int = 1024, seconds: int = 30) -> duckdb.DuckDBPyConnection:
    """Read-only, no files, no network, no extensions, configuration locked (facts/trust.md §8.4)."""
    limits: Config = {"memory_limit": f"{memory_mb}MB", "max_execution_time": str(seconds * 1000)}
    limits["lock_configuration"] = "true"
    return duckdb.connect(str(file), read_only=True, config=LOCKED | limits)


def _config(memory_mb: int, threads: int, tmp: Path | None) -> Config:
    config = COMMON | {"memory_limit": f"{memory_mb}MB", "threads": str(threads)}
    return config | {"temp_directory": str(tmp)} if tmp else config


class Warehouse:
    """The write side, for one process at a time. Use as a context manager."""

    def __init__(
        self, file: Path, *, memory_mb: int = 1024, threads: int = 2, tmp: Path | None = None
    ) -> None:
        self.connection = duckdb.connect(str(file), config=_config(memory_mb, threads, tmp))
        self.sql = shipped("sql")
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET checkpoint_threshold = '1GB'")  # once, at the end of a build
        staging = read_models(self.sql / "staging")
        self._drop_if_older(digest(staging.values()))
        for text in ((self.sql / "macros.sql").read_text(encoding="utf-8"), *staging.values()):
            self.connection.execute(text)
        self.connection.execute(
            "INSERT INTO built_with SELECT 'staging', $stamp "
            "WHERE 'staging' NOT IN (SELECT name FROM built_with)",
            {"stamp": digest(staging.values())},
        )

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def _drop_if_older(self, stamp: str) -> None:
        """A warehouse with staging tables of another version is emptied: all in it is computed again."""
        run = self.connection.execute
        tables = [row[0] for row in run("SELECT table_name FROM duckdb_tables()").fetchall()]
        if not tables:
            return
        known = run("SELECT sha256 FROM built_with WHERE name = 'staging'").fetchall()
        if known == [(stamp,)]:
            return
        views = run("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for kind, names in (("VIEW", [row[0] for row in views]), ("TABLE", tables)):
            for name in names:
                run(f"DROP {kind} IF EXISTS {name} CASCADE")

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
        """All or nothing; gives the connection's `execute`."""
        self.connection.execute("BEGIN")
        try:
            yield self.connection.execute
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                self.connection.execute("ROLLBACK")
            raise

    def loaded(self) -> set[str]:
        return {row[0] for row in self.connection.execute("SELECT package_id FROM loaded_package").fetchall()}

    def load(self, base: str, parsed: Mapping[str, Mapping[str, Path]]) -> int:
        """Add parsed packages (package id -> table -> Parquet file) that share a base table: the one that has
        one row a record. Returns new records.

        Records that are already in, from whichever source, are left out; among new ones with one id the first
        package wins. Touched days are remembered until `build`. All or nothing.
        """
        files: dict[str, list[str]] = {}
        for tables in parsed.values():
            for table, file in tables.items():
                files.setdefault(table, []).append(str(file))
        with self._transaction() as run:
            count = self._load_new(base, files) if files else 0
            run(
                "INSERT INTO loaded_package SELECT unnest($ids), $base",
                {"ids": list(parsed), "base": base},
            )
        return count

    def _load_new(self, base: str, files: Mapping[str, list[str]]) -> int:
        """Everything of the parsed packages, but not the lines whose record is in already or came before."""
        run = self.connection.execute
        lines = {"files": files[base]}
        run(
            """CREATE OR REPLACE TEMP TABLE fresh AS
            SELECT record_id, unnest(min(struct_pack(package_id, line_no))) FROM read_parquet($files)
            GROUP BY record_id""",
            lines,
        )
        run(
            f"""DELETE FROM fresh WHERE record_id IN (
            SELECT known.record_id FROM {base} known SEMI JOIN fresh USING (record_id))"""
        )
        run(
            """CREATE OR REPLACE TEMP TABLE left_out AS SELECT package_id, line_no
            FROM read_parquet($files) ANTI JOIN fresh USING (package_id, line_no)""",
            lines,
        )
        for table, paths in files.items():
            # Drift is counted a package; one that brings nothing new must not count again.
            kept = "ANTI JOIN left_out USING (package_id, line_no)"
            kept = "SEMI JOIN fresh USING (package_id)" if table == "stg_field_drift" else kept
            run(
                f"INSERT INTO {table} BY NAME SELECT * FROM read_parquet($files) {kept}",
                {"files": paths},
            )
        run(
            """INSERT INTO touched_day SELECT DISTINCT occurred_day
            FROM read_parquet($files) ANTI JOIN left_out USING (package_id, line_no)""",
            lines,
        )
        run(
            """INSERT INTO loaded_day SELECT source, occurred_day, count(*)
            FROM read_parquet($files) ANTI JOIN left_out USING (package_id, line_no) GROUP BY ALL""",
            lines,
        )
        self._note_repeats(base, lines)
        counted = run("SELECT count(*) FROM fresh").fetchone()
        return int(counted[0]) if counted else 0

    def _note_repeats(self, base: str, lines: Mapping[str, Any]) -> None:
        """Of the lines that were left out: which had come through another source, and which have another body
        than the record that stays."""
        run = self.connection.execute
        run(
            """CREATE OR REPLACE TEMP TABLE repeated AS
            SELECT * FROM read_parquet($files) SEMI JOIN left_out USING (package_id, line_no)""",
            lines,
        )
        columns = [row[0] for row in run(f"DESCRIBE {base}").fetchall()]
        body = ", ".join(name for name in columns if name not in NOT_BODY)
        run(
            f"""INSERT INTO stg_repeat SELECT DISTINCT again.record_id, again.source, again.occurred_day
            FROM repeated again JOIN {base} known USING (record_id) WHERE known.source <> again.source"""
        )
        run(
            f"""INSERT INTO stg_conflict BY NAME
            SELECT DISTINCT record_id, source, package_id, occurred_day FROM repeated SEMI JOIN (
                SELECT {body} FROM repeated
                EXCEPT SELECT {body} FROM {base} SEMI JOIN repeated USING (record_id)) USING (record_id)"""
        )
        run("DROP TABLE repeated")

    def replace(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace a small staging table whole (registers, packages, runs, quality, findings)."""
        with self._transaction() as run:
            run(f"DELETE FROM {table}")
            if rows:
                frame = pl.DataFrame(rows, infer_schema_length=None).to_arrow()
                self.connection.register("incoming", frame)
                run(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
                self.connection.unregister("incoming")

    def build(self) -> None:
        """Rebuild the marts for the touched days; all days when registers or models have changed."""
        run = self.connection.execute
        models = read_models(self.sql / "marts")
        stamps = {"models": digest(models.values()), "registers": self._registerdigest()}
        built = dict(run("SELECT name, sha256 FROM built_with WHERE name <> 'staging'").fetchall())
        with self._transaction():
            if built != stamps:
                for name in models:
                    run(f"DROP TABLE IF EXISTS {name}")
                run("DELETE FROM touched_day")
                run("INSERT INTO touched_day SELECT DISTINCT occurred_day FROM loaded_day")
            for name in order_models(models):
                run(models[name])
            run("DELETE FROM touched_day")
            run("DELETE FROM built_with WHERE name <> 'staging'")
            for name, stamp in stamps.items():
                run("INSERT INTO built_with VALUES ($name, $stamp)", {"name": name, "stamp": stamp})
            self.comment(models)
        run("CHECKPOINT")

    def build_one(self, *names: str) -> None:
        """Run single models again, after their staging table was replaced."""
        models = {name: (self.sql / "marts" / f"{name}.sql").read_text("utf-8") for name in names}
        for text in models.values():
            self.connection.execute(text)
        self.comment(models)

    def frame(self, table: str) -> pl.DataFrame:
        frame: pl.DataFrame = self.connection.sql(f"SELECT * FROM {table}").pl()
        return frame

    def content_hash(self, table: str) -> str:
        """The same rows in any order give the same hash."""
        row = self.connection.execute(
            f"SELECT count(*), bit_xor(hash(t)), sum(hash(t)::HUGEINT) FROM {table} t"
        ).fetchone()
        return "-".join(str(part) for part in row or ())

    def tables(self) -> list[str]:
        rows = self.connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        return [row[0] for row in rows]

    def comment(self, models: Mapping[str, str], catalog: str = "") -> None:
        """Comment tables with their grain and columns with their one meaning in sql/columns.csv."""
        with (self.sql / "columns.csv").open(encoding="utf-8", newline="") as file:
            meaning = {row["column"]: row["meaning"] for row in csv.DictReader(file)}
        run = self.connection.execute
        for name, text in models.items():
            place = f"{catalog}.{name}" if catalog else name
            grain = text.splitlines()[0].removeprefix("--").strip()
            run(f"COMMENT ON TABLE {place} IS {quote(grain)}")
            for column, *_ in run(f"DESCRIBE {place}").fetchall():
                run(f"COMMENT ON COLUMN {place}.{column} IS {quote(meaning[column])}")

    def _registerdigest(self) -> str:
        tables = ("stg_directory", "stg_unit", "stg_label", "stg_tool", "directory_pseudonym")
        return digest(self.content_hash(table) for table in tables)


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
