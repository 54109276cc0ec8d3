"""Delimited text read row by row with its line numbers: encoding, delimiter, and signs of a damaged file.

Rows are handed over as they come, so memory stays flat. A file that another program has saved again is
refused whole, with line numbers; a single bad cell is left to the landing's quarantine.
"""

from __future__ import annotations

import codecs
import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TextIO

from genai_audit.errors import BadDataError

DELIMITERS = (",", ";", "\t")
LINE_CHARACTERS = 16_000_000  # a longer line or cell is no row: a quote is open, or it is no table
SHOWN_LINES = 10
TOLERATED_SHARE = 0.01  # of rows with an unreadable cell


@dataclass(frozen=True)
class Layout:
    """How a table is written. `header_line` counts from 1; names are as written, without outer spaces."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    header_line: int = 1


@dataclass
class Damage:
    """What the checking pass found: how many rows, and the lines that can't be trusted."""

    rows: int = 0
    blank_lines: int = 0
    empty: int = 0
    wrong_width: array[int] = field(default_factory=lambda: array("q"))
    cut_off: array[int] = field(default_factory=lambda: array("q"))
    unreadable: array[int] = field(default_factory=lambda: array("q"))

    def judge(self, path: Path, cell: str, next_step: str) -> None:
        """Refuse the file (BadDataError) when any row has a wrong number of columns, any cell was cut off,
        or more than one row in a hundred (and at least two) has an unreadable `cell`."""
        if self.wrong_width:
            what, lines = "Rows have more or fewer columns than the header", self.wrong_width
        elif self.cut_off:
            what, lines = f"{cell} was cut off at the length Excel allows", self.cut_off
        elif len(self.unreadable) > max(1.0, TOLERATED_SHARE * self.rows):
            what, lines = f"{cell} can't be read", self.unreadable
        else:
            return
        raise refuse(path, f"{what}: {len(lines):,} of {self.rows:,} rows.", lines, next_step)


def refuse(path: Path, what: str, lines: Sequence[int], next_step: str) -> BadDataError:
    """The error for a damaged file, with its first line numbers."""
    numbers = ", ".join(str(line) for line in lines[:SHOWN_LINES])
    more = f" and {len(lines) - SHOWN_LINES:,} more" if len(lines) > SHOWN_LINES else ""
    where = f"{path.name}, line{'s' if len(lines) > 1 else ''} {numbers}{more}"
    return BadDataError(what, where=where, next_step=next_step)


def sniff_layout(head: bytes) -> Layout | None:
    """The layout that the first bytes of a file show, or None when they are no table of two or more columns.

    A `#TYPE …` line (PowerShell) and a `sep=…` line (Excel) before the header are stepped over.
    """
    encoding = sniff_encoding(head)
    lines = codecs.getincrementaldecoder(encoding)("replace").decode(head).splitlines()
    skipped = 0
    while skipped < len(lines) and re.match(r"#TYPE |sep=.$|\s*$", lines[skipped], re.IGNORECASE):
        skipped += 1
    if skipped == len(lines) or "\x00" in lines[skipped]:
        return None
    headers = {one: next(csv.reader([lines[skipped]], delimiter=one)) for one in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda one: len(headers[one]))
    header = tuple(name.strip("\ufeff \t") for name in headers[delimiter])
    return Layout(encoding, delimiter, header, skipped + 1) if len(header) > 1 else None


def sniff_encoding(head: bytes) -> str:
    """utf-8-sig, utf-16 (by its mark or its NUL bytes), or cp1252 for bytes that are no UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1:2] == b"\x00":
        return "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


class Lines:
    """Lines of a text file, counted; a line without an end is refused instead of filling the memory."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.number = 0
        self._path = path
        self._file = file

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._file.readline(LINE_CHARACTERS)
        except UnicodeError:
            what = "The file has bytes that belong to no text encoding we know."
            raise refuse(self._path, what, [self.number + 1], "Export it again, as UTF-8.") from None
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == LINE_CHARACTERS:
            what = "A line is too long: this is no table, or its line ends are lost."
            raise refuse(self._path, what, [self.number], "Import the original file.")
        return line


def read_rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """(line number where the row starts, cells) for every row after the header; a blank line is `[]`.

    Bytes that are no UTF-8 come as lone surrogates (`surrogateescape`), so that the original bytes can be
    written back. Raises BadDataError where a quote is never closed or stands in the wrong place.
    """
    csv.field_size_limit(LINE_CHARACTERS)
    with open_text(path, layout.encoding) as file:
        lines = Lines(path, file)
        for line in lines:
            start = lines.number
            if start > layout.header_line:
                cells = _split(line, layout.delimiter)
                yield start, cells if cells is not None else _parse(path, line, lines, layout.delimiter)


def open_text(path: Path, encoding: str) -> TextIO:
    """For reading, line ends untouched; bytes that are no UTF-8 become lone surrogates."""
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    return path.open(encoding=encoding, errors=errors, newline="\n")


def _split(line: str, delimiter: str) -> list[str] | None:
    """Cells of a line with at most one quoted cell; None when the csv module has to look at it.

    Audit exports quote one cell of many. This is about twice as fast as the csv module, and equal to it: a
    test compares both.
    """
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(delimiter) if line else []
    before, _, rest = line.partition(delimiter + '"')
    body, _, after = rest.rpartition('"')
    cell = body.replace('""', '"')
    # As many quotes left as were removed: each one had its partner, so the cell ends where we think.
    is_whole = cell.count('"') == len(body) - len(cell) and '"' not in before
    if not is_whole or not rest or (after and not after.startswith(delimiter)):
        return None
    return [*before.split(delimiter), cell, *after.split(delimiter)[1:]]


def _parse(path: Path, line: str, lines: Lines, delimiter: str) -> list[str]:
    start = lines.number
    try:
        return next(csv.reader(chain([line], lines), delimiter=delimiter, strict=True))
    except csv.Error:
        raise refuse(
            path,
            "A quote is missing or stands in the wrong place.",
            [start],
            "Import the original export; don't open and save it in Excel or an editor.",
        ) from None
