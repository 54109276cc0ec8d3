"""From a sealed package to typed, pseudonymous Parquet: a pure function of package, key and sql/parse.

Landed lines are handed to an in-memory DuckDB in batches. The SQL of the package's family makes `stg_…`
tables of each batch; every table is appended to one Parquet file. Written last is `seal.json`: the landed
file it was made of, the SQL that made it, and the SHA-256 of every table, because Parquet itself does not
notice a flipped bit (facts/trust.md §10.4). A parsed package is evidence: made once, again only when asked.
"""

from __future__ import annotations

import hashlib
import json
import queue
import re
import shutil
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from genai_audit.calendars import format_instant
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
# Columns that a Parquet dictionary only makes larger and slower.
MOSTLY_UNIQUE = ("record_id", "occurred_at", "line_no", "thread_key", "conversation_key")


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
    """Parse the packages that are not parsed yet, several at once; `again`: all of them.

    Packages parsed by an older sql/parse stay as they are. Raises IntegrityError at the first landed file
    that was altered; packages that are finished by then are kept.
    """
    due: queue.SimpleQueue[Package] = queue.SimpleQueue()
    for package in chain:
        if has_family(package) and (again or not is_parsed(workspace, package)):
            due.put(package)
    threads = min(settings.limits.parse_threads, due.qsize())
    if not threads:
        return []

    def work(_: int) -> list[ParsedPackage]:
        return _parse_due(workspace, due, settings, key)

    with ThreadPoolExecutor(threads) as pool:
        return [sealed for done in pool.map(work, range(threads)) for sealed in done]


def parse_package(workspace: Workspace, package: Package, settings: Settings, key: bytes) -> ParsedPackage:
    """Parse one package into `parsed/<source>/<package_id>/`, whole or not at all. Replaces an older one."""
    due: queue.SimpleQueue[Package] = queue.SimpleQueue()
    due.put(package)
    return _parse_due(workspace, due, settings, key)[0]


def _parse_due(
    workspace: Workspace, due: queue.SimpleQueue[Package], settings: Settings, key: bytes
) -> list[ParsedPackage]:
    """What one thread does: take packages as long as there are any, with one DuckDB for each family."""
    done: list[ParsedPackage] = []
    with ExitStack() as stack:
        parsers: dict[str, Parser] = {}
        while True:
            try:
                package = due.get_nowait()
            except queue.Empty:
                return done
            family = sources()[package.source].family
            if family not in parsers:
                parsers[family] = stack.enter_context(Parser(workspace, settings, family, key))
            done.append(parsers[family].parse(package))


def has_family(package: Package) -> bool:
    """Is this package to be parsed? Those of a source without a family are read by others (registers)."""
    return bool(sources()[package.source].family)


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
    return hashlib.sha256("\0".join(_read_sql(family)).encode()).hexdigest()


class Parser:
    """An in-memory DuckDB with a family's SQL at hand, for one package after the other. A context manager."""

    def __init__(self, workspace: Workspace, settings: Settings, family: str, key: bytes) -> None:
        self._workspace, self._limits = workspace, settings.limits
        self._once, self._each_table, self._at_end = _read_sql(family)
        self._parser_sha256 = hash_parser(family)
        self._spill = workspace.tmp / f"parse-{uuid.uuid4().hex}"
        self._spill.mkdir(mode=0o700, parents=True)
        memory_mb = self._limits.memory_mb // self._limits.parse_threads
        self._connection = scratch(memory_mb, 1, self._spill)
        for name, pad in make_pads(key).items():
            self._connection.execute(f"SET VARIABLE {name} = $pad", {"pad": pad})

        def python_token(domain: str, identity: str) -> str:
            return pseudonym(key, domain, identity)

        self._connection.create_function("python_token", python_token, ["VARCHAR", "VARCHAR"], "VARCHAR")
        self._connection.execute(self._once)

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def parse(self, package: Package) -> ParsedPackage:
        """Write the package's tables beside their final place, seal them, and put them there."""
        target = parsed_folder(self._workspace, package)
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        landed, sha256 = package_folder(self._workspace, package) / RECORDS, package.files[RECORDS]["sha256"]
        check_file(landed, sha256)
        origin = {
            "source": package.source,
            "package_id": package.package_id,
            # When the records were how they are here: of a snapshot, or of a file that holds no time itself.
            "collected_at": format_instant(package.window.end) if package.window else package.closed_at,
        }
        for name, value in origin.items():
            self._connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        rows = self._write_tables(landed, part)
        facts = {name: {"rows": rows[name], "sha256": hash_file(_table_file(part, name))} for name in rows}
        sealed = ParsedPackage(package.package_id, sha256, self._parser_sha256, facts)
        write_durably(part / SEAL, canonical_json(asdict(sealed)))
        _put_in_place(part, target)
        return sealed

    def _write_tables(self, landed: Path, folder: Path) -> dict[str, int]:
        """Run the SQL over all lines; returns rows by table made."""
        writer = _TableWriter(self._connection, folder)
        try:
            for lines in read_line_tables(landed, self._limits.batch_records):
                self._connection.register("line", lines)
                self._connection.execute(self._each_table)
                writer.append(_made_tables(self._each_table))
                self._connection.unregister("line")
            self._connection.execute(self._at_end)
            writer.append(_made_tables(self._at_end))
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


class _TableWriter:
    """Appends tables of the connection to one Parquet file each, in the table's own order."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.rows: dict[str, int] = {}

    def append(self, names: Iterable[str]) -> None:
        for name in names:
            reader = self._connection.sql(f"SELECT * FROM {name}").to_arrow_reader(1_000_000)
            if name not in self._writers:
                self._open(name, reader.schema)
            for record_batch in reader:
                self._writers[name].write_batch(record_batch)
                self.rows[name] += record_batch.num_rows

    def _open(self, name: str, schema: pa.Schema) -> None:
        repeating = [column for column in schema.names if column not in MOSTLY_UNIQUE]
        self._writers[name] = pq.ParquetWriter(
            _table_file(self._folder, name),
            schema,
            compression="zstd",
            use_dictionary=repeating,
            write_statistics=False,
        )
        self.rows[name] = 0

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


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


def _read_sql(family: str) -> tuple[str, str, str]:
    """What is run once a connection, for each table of lines, and at the end of a package."""
    room = shipped("sql") / "parse"
    once = [room / "macros.sql", *room.glob(f"{family}_setup.sql")]
    each = [*room.glob(f"{family}.sql"), *sorted(room.glob(f"{family}_[0-9]*.sql"))]
    end = [*room.glob(f"{family}_totals.sql")]
    joined = ("\n".join(path.read_text(encoding="utf-8") for path in paths) for paths in (once, each, end))
    return next(joined), next(joined), next(joined)


def _made_tables(sql: str) -> list[str]:
    return re.findall(r"^CREATE OR REPLACE TEMP TABLE (stg_\w+)", sql, re.MULTILINE)


def _broken(what: str, path: Path) -> IntegrityError:
    return IntegrityError(
        what,
        where="/".join(path.parts[-4:]),
        next_step="Run `genai-audit rebuild --from landing`: it parses the landed records again.",
    )
