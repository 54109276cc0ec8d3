"""The only room that opens DuckDB: load, build, publish, and the locked-down reader.

The warehouse is disposable. Everything in it is computed from parsed packages, registers and run records, and
`rebuild` computes it again. One writer; readers only ever see published copies.
"""

from __future__ import annotations

import csv
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import polars as pl

from genai_audit.models import digest, order_models, read_models
from genai_audit.privacy.disclosure import add_totals, disclose
from genai_audit.workspace import settle, shipped

Config = dict[str, str | bool | int | float | list[str]]
COMMON: Config = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "preserve_insertion_order": "false",
}
LOCKED: Config = {
    "enable_external_access": "false", "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false", "allow_community_extensions": "false",
    "allow_extension_repositories": "forbidden", "allow_persistent_secrets": "false",
    "python_enable_replacements": "false", "threads": "1",
}  # fmt: skip
# Everything else that LIDE reads goes through disclosure control, or it is not published.
LIDE_WITHOUT_PEOPLE = ("about", "calendar_day", "coverage")
# Counted by its queries, but no dimension: the first two are published once they are safe, the others never.
LIDE_COUNTS = ("person_count", "event_count", "contributor_count", "top_one", "top_two")
# Summed over these dimensions for a total row of each kind of record.
LIDE_TOTALS = {"vle_use_by_school": ("school", "feature"), "vle_use_by_role": ("actor_role",)}
AUDIENCES = ("compliance", "lide", "iss")


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
        for file in (self.sql / "macros.sql", *sorted((self.sql / "staging").glob("*.sql"))):
            self.connection.execute(file.read_text(encoding="utf-8"))

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

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
        run(
            f"""INSERT INTO stg_repeat SELECT DISTINCT again.record_id, again.source, again.occurred_day
            FROM read_parquet($files) again SEMI JOIN left_out USING (package_id, line_no)
            JOIN {base} known USING (record_id) WHERE known.source <> again.source""",
            lines,
        )
        counted = run("SELECT count(*) FROM fresh").fetchone()
        return int(counted[0]) if counted else 0

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
        built = dict(run("SELECT name, sha256 FROM built_with").fetchall())
        with self._transaction():
            if built != stamps:
                for name in models:
                    run(f"DROP TABLE IF EXISTS {name}")
                run("DELETE FROM touched_day")
                run("INSERT INTO touched_day SELECT DISTINCT occurred_day FROM loaded_day")
            for name in order_models(models):
                run(models[name])
            run("DELETE FROM touched_day")
            run("DELETE FROM built_with")
            for name, stamp in stamps.items():
                run("INSERT INTO built_with VALUES ($name, $stamp)", {"name": name, "stamp": stamp})
            self._comment(models)
        run("CHECKPOINT")

    def build_one(self, *names: str) -> None:
        """Run single models again, after their staging table was replaced."""
        models = {name: (self.sql / "marts" / f"{name}.sql").read_text("utf-8") for name in names}
        for text in models.values():
            self.connection.execute(text)
        self._comment(models)

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

    def publish(self, audience: str, target: Path, *, suppress_below: int = 8, round_to: int = 5) -> None:
        """Write `<audience>.duckdb` aside and rename it over. A reader of the old one goes on undisturbed.

        The file has storage version 1.0, so that DuckDB 1.x command lines open it (facts/tech.md §2.4).
        """
        part = target.with_name(target.name + ".part")
        part.unlink(missing_ok=True)
        run = self.connection.execute
        run(f"ATTACH {_quote(str(part))} AS target (STORAGE_VERSION 'v1.0.0')")
        try:
            for name, select in self._selections(audience).items():
                self._publish_table(audience, name, select, suppress_below, round_to)
            self._write_start_here()
            run("CHECKPOINT target")
        finally:
            run("DETACH target")
        os.chmod(part, 0o600)
        settle(part, target)

    def _selections(self, audience: str) -> dict[str, str]:
        listed = tomllib.loads((self.sql / "publish" / "audiences.toml").read_text("utf-8"))[audience]
        marts = {path.stem.split("_", 1)[1]: path for path in (self.sql / "marts").glob("*.sql")}
        selections = {}
        for name in listed:
            grain = marts[name].read_text(encoding="utf-8").splitlines()[0]
            selections[name] = f"{grain}\nSELECT * FROM {marts[name].stem}"
        for path in sorted((self.sql / "publish" / audience).glob("*.sql")):
            selections[path.stem] = path.read_text(encoding="utf-8").rstrip().rstrip(";")
        return selections

    def _publish_table(
        self, audience: str, name: str, select: str, suppress_below: int, round_to: int
    ) -> None:
        run = self.connection.execute
        run(f"SET VARIABLE suppress_below = {suppress_below:d}; SET VARIABLE round_to = {round_to:d}")
        columns = [column[0] for column in run(f"DESCRIBE {select}").fetchall()]
        if audience == "lide" and name not in LIDE_WITHOUT_PEOPLE:
            safe = disclose(
                self.connection.sql(select).pl(),
                dims=[column for column in columns if column not in LIDE_COUNTS],
                contributor_count="contributor_count",
                top_events=("top_one", "top_two"),
                suppress_below=suppress_below,
                round_to=round_to,
            )
            if name in LIDE_TOTALS:
                safe = add_totals(safe, LIDE_TOTALS[name])
            self.connection.register("safe", safe.frame.to_arrow())
            run(f"CREATE TABLE target.{name} AS SELECT * FROM safe")
            self.connection.unregister("safe")
        else:
            run(f"CREATE TABLE target.{name} AS {select}")
        self._comment({name: select}, catalog="target")

    def _write_start_here(self) -> None:
        run = self.connection.execute
        run("CREATE TABLE target.start_here (table_name VARCHAR, what_it_holds VARCHAR, row_count BIGINT)")
        for name, comment in run(
            "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'target' ORDER BY 1"
        ).fetchall():
            if name != "start_here":
                run(f"INSERT INTO target.start_here SELECT $name, $what, count(*) FROM target.{name}",
                    {"name": name, "what": comment})  # fmt: skip
        self._comment({"start_here": "-- One row per table of this file: read this first."}, catalog="target")

    def _comment(self, models: Mapping[str, str], catalog: str = "") -> None:
        """Comment tables with their grain and columns with their one meaning in sql/columns.csv."""
        with (self.sql / "columns.csv").open(encoding="utf-8", newline="") as file:
            meaning = {row["column"]: row["meaning"] for row in csv.DictReader(file)}
        run = self.connection.execute
        for name, text in models.items():
            place = f"{catalog}.{name}" if catalog else name
            grain = text.splitlines()[0].removeprefix("--").strip()
            run(f"COMMENT ON TABLE {place} IS {_quote(grain)}")
            for column, *_ in run(f"DESCRIBE {place}").fetchall():
                run(f"COMMENT ON COLUMN {place}.{column} IS {_quote(meaning[column])}")

    def _registerdigest(self) -> str:
        tables = ("stg_directory", "stg_unit", "stg_label", "stg_tool")
        return digest(self.content_hash(table) for table in tables)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
