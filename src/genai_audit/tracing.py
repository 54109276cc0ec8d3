"""From a published row back to its package, line and hash; and whether what it was made of is still there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import duckdb

from genai_audit import parsing
from genai_audit.errors import IntegrityError, UsageError
from genai_audit.landing import RECORDS, Package, packages, read_records
from genai_audit.warehouse import open_published
from genai_audit.workspace import Workspace


@dataclass(frozen=True)
class Trace:
    """Where a published row comes from. `line` is the landed record itself: it names people."""

    table: str
    record_id: str
    package: Package
    line_no: int
    line: bytes

    @property
    def line_sha256(self) -> str:
        return hashlib.sha256(self.line).hexdigest()

    @property
    def file_sha256(self) -> str:
        return str(self.package.files[RECORDS]["sha256"])


def trace(workspace: Workspace, identifier: str) -> list[Trace]:
    """All traces of a record id, or of the evidence of a finding id."""
    file = workspace.published / "compliance.duckdb"
    if not file.exists():
        raise UsageError("Nothing is published yet.", next_step="Run `genai-audit run` first.")
    connection = open_published(file)
    try:
        found = connection.execute(
            "SELECT evidence FROM finding WHERE finding_id = $id", {"id": identifier}
        ).fetchall()
        records = _evidence_records(found[0][0]) if found else [identifier]
        if not records:
            raise UsageError(
                "This finding rests on what is missing or on counts, not on single records.",
                where=identifier,
                next_step="See its summary and evidence: genai-audit query findings",
            )
        rows = [
            (table, *row)
            for (table,) in connection.execute(
                "SELECT DISTINCT table_name FROM duckdb_columns() WHERE column_name = 'line_no' ORDER BY 1"
            ).fetchall()
            for row in connection.execute(
                f"SELECT DISTINCT record_id, package_id, line_no FROM {table} "
                "WHERE list_contains($records, record_id) ORDER BY ALL",
                {"records": records},
            ).fetchall()
        ]
    finally:
        connection.close()
    if not rows:
        raise UsageError(
            "No published row has this id.",
            where="trace",
            next_step="Give the record_id of a row, or a finding_id, as it stands in the published file.",
        )
    by_id = {package.package_id: package for package in packages(workspace)}
    return [
        Trace(table, record_id, by_id[package_id], line_no, _line(workspace, by_id[package_id], line_no))
        for table, record_id, package_id, line_no in rows
    ]


def check_parsed(workspace: Workspace, chain: Iterable[Package]) -> Iterator[tuple[str, str, str]]:
    """Package id, `INVALID` or `missing`, and why, of parsed packages that are not as they were made.

    A package that was never published may simply not be parsed yet: of that nothing is said.
    """
    published = _published_packages(workspace)
    for package in filter(parsing.has_family, chain):
        if parsing.is_parsed(workspace, package):
            try:
                parsing.check_seal(workspace, package)
            except IntegrityError as error:
                yield package.package_id, "INVALID", str(error)
        elif package.package_id in published:
            yield package.package_id, "missing", "it was published, but is no longer in parsed/"


def _published_packages(workspace: Workspace) -> set[str]:
    file = workspace.published / "compliance.duckdb"
    with suppress(duckdb.Error):  # a published file that is damaged can be made again
        if file.exists():
            with open_published(file) as connection:
                return {row[0] for row in connection.execute("SELECT package_id FROM package").fetchall()}
    return set()


def _evidence_records(evidence: str) -> list[str]:
    """Ids of the records that the evidence names: {"counts": …, "records": [{"table", "record_id"}, …]}."""
    return [row["record_id"] for row in json.loads(evidence)["records"]]


def _line(workspace: Workspace, package: Package, line_no: int) -> bytes:
    """The landed line. The file's hash is checked before it is read."""
    passed = 0
    for batch in read_records(workspace, package, 10_000):
        if line_no <= passed + len(batch):
            return batch[line_no - passed - 1]
        passed += len(batch)
    raise UsageError("The package has no such line.", where=package.package_id)
