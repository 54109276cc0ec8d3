"""From a sealed package to typed, pseudonymous Parquet: a pure function of package, key and sql/parse.

Landed lines are handed to an in-memory DuckDB in batches. The SQL of the package's family makes `stg_…`
tables of each batch; every table is appended to one Parquet file. Written last is `seal.json`: the landed
file it was made of, the SQL that made it, and the SHA-256 of every table, because Parquet itself does not
notice a flipped bit (facts/trust.md §10.4). A parsed package is evidence: made once, again only when asked.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from genai_audit.errors import IntegrityError
from genai_audit.landing import RECORDS, Package, package_folder
from genai_audit.line_tables import read_line_tables
from genai_audit.privacy.pseudonyms import pseudonym
from genai_audit.registry import sources
from genai_audit.sealing import check_file, hash_file
from genai_audit.warehouse import scratch
from genai_audit.workspace import Workspace, canonical_json, settle, shipped, write_durably

if TYPE_CHECKING:
    import duckdb

    from genai_audit.settings import Settings

SEAL = "seal.json"
MOSTLY_UNIQUE = (
    "record_id",
    "occurred_at",
    "line_no",
    "thread_key",
    "conversation_key",
)  # no dictionary helps


@dataclass(frozen=True)
class ParsedPackage:
    """What `seal.json` says. `tables`: name -> {"sha256", "rows"}."""

    package_id: str
    landed_sha256: str
    parser_sha256: str
    tables: dict[str, dict[str, Any]]


def parsed_folder(workspace: Workspace, package: Package) -> Path:
    folder: Path = workspace.parsed / package.source / package.package_id
    return folder


def parse_all(
    workspace: Workspace, chain: Iterable[Package], settings: Settings, key: bytes, *, again: bool = False
) -> list[ParsedPackage]:
    """Parse the packages that are not parsed yet, several at once, one DuckDB each; `again`: all of them.

    Packages parsed by an older sql/parse stay as they are. Raises IntegrityError at the first landed file
    that was altered; packages that are finished by then are kept.
    """
    due = [package for package in chain if again or not is_parsed(workspace, package)]
    with ThreadPoolExecutor(settings.limits.parse_threads) as pool:
        return list(pool.map(lambda package: parse_package(workspace, package, settings, key), due))


def parse_package(workspace: Workspace, package: Package, settings: Settings, key: bytes) -> ParsedPackage:
    """Parse one package into `parsed/<source>/<package_id>/`, whole or not at all. Replaces an older one."""
    family = sources()[package.source].family
    target = parsed_folder(workspace, package)
    part, spill = target.with_name(target.name + ".part"), workspace.tmp / f"parse-{package.package_id}"
    for folder in (part, spill):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    limits = settings.limits
    landed = package_folder(workspace, package) / RECORDS
    check_file(landed, package.files[RECORDS]["sha256"])
    connection = scratch(limits.memory_mb // limits.parse_threads, 1, spill)
    try:
        tables = read_line_tables(landed, limits.batch_records)
        rows = _run_family(connection, family, package, key, tables, part)
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
    facts = {name: {"rows": rows[name], "sha256": hash_file(_table_file(part, name))} for name in rows}
    sealed = ParsedPackage(package.package_id, package.files[RECORDS]["sha256"], hash_parser(family), facts)
    write_durably(part / SEAL, canonical_json(asdict(sealed)))
    _put_in_place(part, target)
    return sealed


def is_parsed(workspace: Workspace, package: Package) -> bool:
    """Has this package been parsed? Says nothing about whether the files are intact: `check_seal` does."""
    return parsed_folder(workspace, package).is_dir()


def read_seal(workspace: Workspace, package: Package) -> ParsedPackage:
    """The seal as it was written; raises IntegrityError when it is missing or can't be read."""
    path = parsed_folder(workspace, package) / SEAL
    try:
        return ParsedPackage(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise _broken("A parsed package has no readable seal.", path) from error


def check_seal(workspace: Workspace, package: Package) -> dict[str, Path]:
    """Table name -> Parquet file, after every file's SHA-256 was found to be the sealed one.

    Raises IntegrityError when a file was altered or is missing, or when the seal belongs to another package
    or to another landed file.
    """
    seal = read_seal(workspace, package)
    folder = parsed_folder(workspace, package)
    if (seal.package_id, seal.landed_sha256) != (package.package_id, package.files[RECORDS]["sha256"]):
        raise _broken("A parsed package was made from other landed records.", folder / SEAL)
    found = {path.stem for path in folder.glob("*.parquet")}
    if found != set(seal.tables):
        raise _broken("The tables of a parsed package are not the sealed ones.", folder / SEAL)
    files = {name: _table_file(folder, name) for name in seal.tables}
    for name, file in files.items():
        check_file(file, seal.tables[name]["sha256"])
    return files


def hash_parser(family: str) -> str:
    """One SHA-256 over all SQL that a family's parse runs: recorded in the seal."""
    digest = hashlib.sha256()
    for path in (*_once_files(family), *_batch_files(family), *_totals_files(family)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _run_family(
    connection: duckdb.DuckDBPyConnection,
    family: str,
    package: Package,
    key: bytes,
    tables: Iterable[pa.Table],
    folder: Path,
) -> dict[str, int]:
    """Run the family's SQL over all tables of lines; returns rows by table made."""
    _prepare(connection, package, key)
    _run_files(connection, _once_files(family))
    writer = _TableWriter(connection, folder)
    try:
        for table in tables:
            connection.register("line", table)
            _run_files(connection, _batch_files(family))
            writer.append()
            connection.unregister("line")
        _run_files(connection, _totals_files(family))
        writer.append_totals()
    finally:
        writer.close()
    return writer.rows


def make_pads(key: bytes) -> dict[str, bytes]:
    """The two pads of HMAC-SHA-256 (RFC 2104), as sql/parse/macros.sql wants them."""
    block = key.ljust(64, b"\0")
    return {
        "inner_pad": bytes(byte ^ 0x36 for byte in block),
        "outer_pad": bytes(byte ^ 0x5C for byte in block),
    }


def _prepare(connection: duckdb.DuckDBPyConnection, package: Package, key: bytes) -> None:
    """Everything the SQL may know besides the lines: whose they are, and how names become pseudonyms."""
    values: dict[str, str | bytes] = {"source": package.source, "package_id": package.package_id}
    for name, value in {**values, **make_pads(key)}.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})

    def python_token(domain: str, identity: str) -> str:
        return pseudonym(key, domain, identity)

    connection.create_function("python_token", python_token, ["VARCHAR", "VARCHAR"], "VARCHAR")


def _run_files(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    for path in files:
        connection.execute(path.read_text(encoding="utf-8"))


class _TableWriter:
    """Appends every `stg_…` table of the connection to one Parquet file each, in the table's own order."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.rows: dict[str, int] = {}

    def append(self) -> None:
        for name in self._names():
            reader = self._connection.sql(f"SELECT * FROM {name}").to_arrow_reader(1_000_000)
            if name not in self._writers:
                self._open(name, reader.schema)
            for record_batch in reader:
                self._writers[name].write_batch(record_batch)
                self.rows[name] += record_batch.num_rows

    def _open(self, name: str, schema: pa.Schema) -> None:
        repeating = [column for column in schema.names if column not in MOSTLY_UNIQUE]
        path = _table_file(self._folder, name)
        self._writers[name] = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=repeating, write_statistics=False
        )
        self.rows[name] = 0

    def append_totals(self) -> None:
        """Tables that only exist after the last batch."""
        written = set(self._writers)
        for name in written:
            self._connection.execute(f"DROP TABLE {name}")
        self.append()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _names(self) -> list[str]:
        query = "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'stg_') ORDER BY 1"
        return [row[0] for row in self._connection.execute(query).fetchall()]


def _put_in_place(part: Path, target: Path) -> None:
    """Swap a finished folder in. What an interrupted swap leaves ends in .part: swept, then parsed again."""
    if target.exists():
        old = target.with_name(target.name + ".old.part")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        settle(part, target)
        shutil.rmtree(old)
    else:
        settle(part, target)


def _table_file(folder: Path, table: str) -> Path:
    return folder / f"{table}.parquet"


def _once_files(family: str) -> list[Path]:
    room = shipped("sql") / "parse"
    return [room / "macros.sql", *sorted(room.glob(f"{family}_setup.sql"))]


def _batch_files(family: str) -> list[Path]:
    room = shipped("sql") / "parse"
    return [*sorted(room.glob(f"{family}.sql")), *sorted(room.glob(f"{family}_[0-9]*.sql"))]


def _totals_files(family: str) -> list[Path]:
    return sorted((shipped("sql") / "parse").glob(f"{family}_totals.sql"))


def _broken(what: str, path: Path) -> IntegrityError:
    return IntegrityError(
        what,
        where="/".join(path.parts[-4:]),
        next_step="Run `genai-audit rebuild --from landing`: it parses the landed records again.",
    )
