"""A VLE table as rows of text: delimited text in any usual encoding, or Parquet (only wanted columns)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError
from genai_audit.sources._tables import Layout, read_rows, sniff_layout
from genai_audit.sources._vle_map import UnpackRule, simplify

HEAD_BYTES = 1 << 16
PARQUET_MARK = b"PAR1"
BATCH_ROWS = 2_000


@dataclass(frozen=True)
class Table:
    """`columns` are the file's own; `header` adds the members of an unpacked JSON column. `layout` is None
    for Parquet."""

    path: Path
    columns: tuple[str, ...]
    header: tuple[str, ...]
    layout: Layout | None
    packed: int | None = None
    members: tuple[str, ...] = ()

    def rows(self, wanted: set[int]) -> Iterator[tuple[int, list[str]]]:
        """(line or row number, cells). Text gives all cells of the file, Parquet only the wanted ones."""
        if self.layout:
            return read_rows(self.path, self.layout)
        own = {place for place in wanted if place < len(self.columns)}
        return self._read_parquet(own | ({self.packed} if self.packed is not None else set()))

    def unpack(self, cells: list[str]) -> list[str]:
        """The cells, and behind them the members of the JSON column (empty where it can't be read)."""
        if self.packed is None:
            return cells
        try:
            found = orjson.loads(cells[self.packed])
        except (orjson.JSONDecodeError, ValueError):
            found = None
        values = found if isinstance(found, dict) else {}
        return [*cells, *(_write_text(values.get(member)) for member in self.members)]

    def _read_parquet(self, wanted: set[int]) -> Iterator[tuple[int, list[str]]]:
        from pyarrow import parquet  # not needed for CSV, and slow to import

        names = [self.columns[place] for place in sorted(wanted)]
        number = 0
        with parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                for values in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
                    number += 1
                    cells = [""] * len(self.columns)
                    for place, value in zip(sorted(wanted), values, strict=True):
                        cells[place] = _write_text(value)
                    yield number, cells


def read_columns(path: Path, head: bytes) -> tuple[tuple[str, ...], Layout | None]:
    """Column names, and the layout when it is text; no names when the file is no table."""
    if head.startswith(PARQUET_MARK):
        from pyarrow import ArrowException, parquet

        try:
            return tuple(parquet.read_schema(path).names), None
        except (ArrowException, OSError):
            return (), None
    layout = sniff_layout(head)
    return (layout.header, layout) if layout else ((), None)


def name_members(columns: tuple[str, ...], rule: UnpackRule | None) -> tuple[str, ...]:
    """Names such as `DATA:eventId`, when the file has that JSON column."""
    if rule is None or simplify(rule.column) not in {simplify(name) for name in columns}:
        return ()
    return tuple(f"{rule.column}:{member}" for member in rule.members)


def open_table(path: Path, rule: UnpackRule | None) -> Table:
    """Raises BadDataError when the file is no table."""
    with path.open("rb") as file:
        columns, layout = read_columns(path, file.read(HEAD_BYTES))
    if not columns:
        raise BadDataError(
            "This is neither a CSV nor a Parquet file.",
            where=path.name,
            next_step="Export the table as UTF-8 CSV with one header row.",
        )
    members = name_members(columns, rule)
    if rule is None or not members:
        return Table(path, columns, columns, layout)
    packed = [simplify(name) for name in columns].index(simplify(rule.column))
    return Table(path, columns, (*columns, *members), layout, packed, rule.members)


def describe_columns(table: Table, wanted: set[int]) -> dict[str, Any]:
    """Facts for the manifest: the headers that a map bound, and how many others there are. A header that
    nobody mapped may name a person."""
    own = set(range(len(table.columns)))
    read = wanted & own | ({table.packed} if table.packed is not None else set())
    names = [table.header[place] for place in sorted(wanted)]
    return {"columns": ", ".join(names), "other_columns": len(own - read)}


def _write_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime) else str(value)
