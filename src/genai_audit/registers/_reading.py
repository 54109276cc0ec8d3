"""From the bytes of a CSV file to clean rows, or to a list of mistakes with line, column and nearest value.

No value of a cell is ever quoted: it may name a person. What is quoted is the value that would be right.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson

from genai_audit.decoding import Decoder
from genai_audit.registers._columns import Column, Register
from genai_audit.registers._matching import find_fault
from genai_audit.registers._schema import REGISTERS
from genai_audit.settings import PrivacySettings

Row = dict[str, str]
MAX_BYTES = 50_000_000  # facts/controls.md §7
MAX_CELL = 4_000
FORMULA = ("=", "＝")
GUARDED = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # what a spreadsheet would compute
CONTENT = Decoder(PrivacySettings().content_keys)  # what landing would blank, or take apart
MEANT = {"true": "yes", "false": "no", "y": "yes", "n": "no", "1": "yes", "0": "no"}


@dataclass(frozen=True)
class Table:
    """A register that was accepted: rows without blank lines, and the line of the file each starts on."""

    name: str
    rows: list[Row]
    lines: list[int]
    sha256: str  # of the file


def check_file(name: str, path: Path) -> tuple[Table, list[str]]:
    """Read one register. Either the mistakes are empty, or the table is not to be used."""
    if path.stat().st_size > MAX_BYTES:
        return Table(name, [], [], ""), [f"{path.name} is larger than 50 MB: no register is."]
    return check_bytes(name, path.read_bytes(), path.name)


def check_bytes(name: str, raw: bytes, file: str) -> tuple[Table, list[str]]:
    """The same for bytes; `file` is what the mistakes call it."""
    table = Table(name, [], [], hashlib.sha256(raw).hexdigest())
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return table, [f"{file} is not UTF-8: save it as 'CSV UTF-8'."]
    register = REGISTERS[name]
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    wrong: list[str] = []
    try:
        header = [_clean(cell) for cell in next(lines, [])]
        wrong.extend(f"{file} line 1: {fault}" for fault in _check_header(register, header))
        if wrong:
            return table, wrong
        reached = lines.line_num
        for cells in lines:
            line, reached = reached + 1, lines.line_num
            if any(cell.strip() for cell in cells):
                wrong.extend(_take(table, register, header, cells, line, file))
    except csv.Error as error:
        wrong.append(f"{file} line {lines.line_num}: not CSV ({error}).")
    wrong.extend(_check_repeats(table, register, file))
    return table, wrong


def check_links(tables: Mapping[str, Table]) -> list[str]:
    """Every cell that names a row of another register: is that row there?

    A register that is not among the tables, or is empty, is not filled yet: then nothing can be said.
    """
    wrong = []
    for name in tables:
        for column in REGISTERS[name].columns:
            other, _, target = column.link.partition(".")
            if not other or other not in tables or not tables[other].rows:
                continue
            known = {row[target].casefold(): row[target] for row in tables[other].rows}
            for row, line in zip(tables[name].rows, tables[name].lines, strict=True):
                for value in split_cell(column, row.get(column.name, "")):
                    if value.casefold() not in known:
                        near = difflib.get_close_matches(value.casefold(), known, n=1)
                        hint = f", did you mean '{known[near[0]]}'?" if near else "."
                        place = f"{name}.csv line {line}, column {column.name}"
                        wrong.append(f"{place}: not in {other}.csv{hint}")
    return wrong


def split_cell(column: Column, cell: str) -> list[str]:
    """The values of a cell: several if the column holds lists, none if it is empty."""
    parts = cell.split(";") if column.kind == "list" else [cell]
    return [part.strip() for part in parts if part.strip()]


def find_by_header(path: Path) -> str | None:
    """The one register whose columns these are."""
    with path.open("rb") as opened:
        first = opened.read(20_000).decode("utf-8-sig", "replace").split("\n", 1)[0]
    try:
        header = [_clean(cell) for cell in next(csv.reader([first]), [])]
    except csv.Error:
        return None
    fits = [name for name, register in REGISTERS.items() if header and not [*_check_header(register, header)]]
    return fits[0] if len(fits) == 1 else None


def format_rows(name: str, rows: Sequence[Row]) -> bytes:
    """A register as the CSV that Excel opens: all columns, UTF-8 with BOM, CRLF.

    Cells that a spreadsheet would compute start with an apostrophe, which reading takes away again.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    names = REGISTERS[name].names
    writer.writerow(names)
    writer.writerows([_guard(row.get(column, "")) for column in names] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _guard(cell: str) -> str:
    return "'" + cell if cell.startswith(GUARDED) else cell


def _clean(cell: str) -> str:
    """White space as single spaces, and without the apostrophe that guards a cell from being computed."""
    text = " ".join(cell.split())
    return text[1:] if text[:1] == "'" and text[1:].startswith(GUARDED) else text


def _check_header(register: Register, header: Iterable[str]) -> Iterator[str]:
    names = list(header)
    if len(names) == 1 and ";" in names[0]:
        yield "separated by semicolons: save it as 'CSV UTF-8 (comma delimited)'."
        return
    for column in sorted(set(names) - set(register.names)):
        near = difflib.get_close_matches(column, register.names, n=1)
        yield "unknown column" + (f", did you mean '{near[0]}'?" if near else ".")
    for column in register.names:
        if names.count(column) > 1:
            yield f"column '{column}' occurs twice."
    for one in register.columns:
        if one.name not in names and not one.is_optional:
            yield f"column '{one.name}' is missing."


def _take(
    table: Table, register: Register, header: list[str], cells: list[str], line: int, file: str
) -> Iterator[str]:
    """Put a row into the table; gives its mistakes."""
    where = f"{file} line {line}"
    if len(cells) != len(header):
        yield f"{where}: {len(cells)} cells instead of {len(header)}."
        return
    row = {column: _clean(cell) for column, cell in zip(header, cells, strict=True)}
    table.rows.append(row)
    table.lines.append(line)
    for column in register.columns:
        for fault in _check_cell(column, row.get(column.name, "")):
            yield f"{where}, column {column.name}: {fault}"
    value = row.get("match_value", "")
    if value and (fault := find_fault(row.get("match_kind", ""), value)):
        yield f"{where}, column match_value: {fault}"
    if register.any_of and not any(row[column] for column in register.any_of):
        yield f"{where}: one of {', '.join(register.any_of)} must be filled."
    for first, last in [register.period] if register.period else []:
        if _day(row.get(first, ""), "0") > _day(row.get(last, ""), "9"):
            yield f"{where}, column {last}: before {first}."


def _check_cell(column: Column, cell: str) -> Iterator[str]:
    if not split_cell(column, cell):
        if column.is_required or cell:
            yield "may not be empty."
    elif cell.startswith(FORMULA):
        yield "a formula is not taken: paste its value."
    elif not cell.isprintable():
        yield "holds an invisible character: type the value anew."
    elif len(cell) > MAX_CELL:
        yield f"longer than {MAX_CELL:,} characters."
    elif _reads_like_content(cell):
        yield "reads like the text of a prompt: write it without quotation marks and colon."
    else:
        for value in split_cell(column, cell):
            yield from _check_value(column, value)


def _reads_like_content(cell: str) -> bool:
    """Would landing cut something out of this cell, as it does with the text of prompts?"""
    if not any(mark in cell for mark in "\"'\\"):
        return False
    return CONTENT.decode(orjson.dumps({"": cell})).cut > 0


def _check_value(column: Column, value: str) -> Iterator[str]:
    words = ("yes", "no", "unknown") if column.kind == "yes_no" else column.words
    if words and value not in words:
        near = difflib.get_close_matches(MEANT.get(value.casefold(), value.casefold()), words, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(words)}."
        yield f"not an allowed value, {hint}"
    elif column.kind == "date" and not is_date(value):
        yield f"write the date as {_nearest_date(value)}."
    elif column.kind == "number" and not re.fullmatch("[0-9]{1,9}", value):
        plain = re.fullmatch(r"([0-9]{1,3}(?:[, ]?[0-9]{3})*)(?:\.0+)?", value)
        hint = f": write {re.sub('[, ]', '', plain[1])}." if plain else "."
        yield "not a whole number" + hint
    elif column.kind == "sha256" and not re.fullmatch("[0-9a-f]{64}", value):
        yield "not a SHA-256: 64 of the digits 0-9 and a-f."


def _check_repeats(table: Table, register: Register, file: str) -> Iterator[str]:
    """Rows with one key: none without a period; with one, no two may be in force on the same day."""
    seen: dict[tuple[str, ...], list[tuple[str, str, int]]] = {}
    first, last = register.period or ("", "")
    for row, line in zip(table.rows, table.lines, strict=True):
        key = tuple(row.get(column, "").casefold() for column in register.key)
        start, end = _day(row.get(first, ""), "0"), _day(row.get(last, ""), "9")
        for other_start, other_end, other in seen.setdefault(key, []):
            if start <= other_end and other_start <= end:
                same_day = "" if (start, end) == ("0", "9") else ", on the same day"
                yield f"{file} line {line}: repeats line {other} ({', '.join(register.key)}{same_day})."
                break
        seen[key].append((start, end, line))


def _day(cell: str, otherwise: str) -> str:
    """A day as text that can be compared; an empty cell is before, or after, all days."""
    return cell if is_date(cell) else otherwise


def is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _nearest_date(text: str) -> str:
    """Excel in Britain turns 2026-11-01 into 01/11/2026."""
    parts = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text)
    meant = f"{parts[3]}-{parts[2]:0>2}-{parts[1]:0>2}" if parts else ""
    return meant if is_date(meant) else "2026-11-01"
