"""The CSV registers that people edit: strict columns, and errors with file, line and column.

A register is taken whole or refused whole. UTF-8 with or without BOM, CRLF and blank lines are fine: that is
what Excel writes.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from genai_audit.errors import ConfigurationError

Row = dict[str, str]


@dataclass(frozen=True)
class Register:
    """Columns in order; `required` may not be empty; `words` lists the allowed values of a column."""

    columns: tuple[str, ...]
    required: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    dates: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    key: tuple[str, ...] = ()  # these columns together occur once
    any_of: tuple[str, ...] = ()  # at least one of these is filled


REGISTERS: dict[str, Register] = {
    "directory": Register(
        columns=("object_id", "upn", "unit_id", "role"),
        required=("role",),
        words={"role": ("staff", "student", "guest", "service")},
        key=("object_id", "upn"),
        any_of=("object_id", "upn"),
    ),
    "units": Register(
        columns=("unit_id", "unit_name", "parent_unit_name"),
        required=("unit_id", "unit_name"),
        words={},
        key=("unit_id",),
    ),
    "labels": Register(
        columns=("label_id", "label_name", "label_rank", "valid_from", "valid_to"),
        required=("label_id", "label_name", "label_rank", "valid_from"),
        words={},
        dates=("valid_from", "valid_to"),
        numbers=("label_rank",),
        key=("label_id", "valid_from"),
    ),
    "tools": Register(
        columns=("tool_id", "tool_name", "vendor", "status", "hosting", "match_kind", "match_value"),
        required=("tool_id", "tool_name", "status", "match_kind", "match_value"),
        words={
            "status": ("approved", "pilot", "restricted", "prohibited", "unknown"),
            "match_kind": ("app_identity", "domain"),
        },
        key=("match_kind", "match_value"),
    ),
    "calendar": Register(
        columns=("start_day", "end_day", "day_type", "name"),
        required=("start_day", "end_day", "day_type"),
        words={"day_type": ("teaching", "assessment", "vacation", "closure")},
        dates=("start_day", "end_day"),
        key=("start_day", "end_day", "day_type"),
    ),
}


def read_registers(folder: Path) -> dict[str, list[Row]]:
    """All registers of a workspace; a file that isn't there is an empty register. Lists every mistake."""
    found: dict[str, list[Row]] = {}
    mistakes: list[str] = []
    for name in REGISTERS:
        path = folder / f"{name}.csv"
        found[name] = []
        if path.exists():
            found[name], wrong = _read(name, path)
            mistakes.extend(wrong)
    if mistakes:
        shown = " ".join(mistakes[:10])
        more = f" And {len(mistakes) - 10} more." if len(mistakes) > 10 else ""
        raise ConfigurationError(
            f"The registers have {len(mistakes)} mistake(s): {shown}{more}",
            where="registers/",
            next_step="Correct these lines and run again; nothing was changed.",
        )
    return found


def starter(name: str) -> str:
    """The header line that `init` writes when it ships no filled starter."""
    return ",".join(REGISTERS[name].columns) + "\n"


def _read(name: str, path: Path) -> tuple[list[Row], list[str]]:
    register = REGISTERS[name]
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], [f"{name}.csv is not UTF-8: save it as 'CSV UTF-8'."]
    lines = csv.reader(io.StringIO(text, newline=""))
    header = [cell.strip() for cell in next(lines, [])]
    wrong = list(_check_header(name, register, header))
    if wrong:
        return [], wrong
    rows, seen = [], dict[tuple[str, ...], int]()
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{name}.csv line {lines.line_num}"
        if len(cells) != len(header):
            wrong.append(f"{where}: {len(cells)} cells instead of {len(header)}.")
            continue
        row = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
        wrong.extend(_check_row(where, register, row))
        key = tuple(row[column].casefold() for column in register.key)
        if key in seen:
            wrong.append(f"{where}: repeats line {seen[key]} ({', '.join(register.key)}).")
        seen.setdefault(key, lines.line_num)
        rows.append(row)
    return rows, wrong


def _check_header(name: str, register: Register, header: list[str]) -> Iterator[str]:
    for column in sorted(set(header) - set(register.columns)):
        near = difflib.get_close_matches(column, register.columns, n=1)
        yield f"{name}.csv line 1: unknown column" + (f", did you mean '{near[0]}'?" if near else ".")
    for column in register.columns:
        if column not in header:
            yield f"{name}.csv line 1: column '{column}' is missing."


def _check_row(where: str, register: Register, row: Row) -> Iterator[str]:
    for column in register.required:
        if not row[column]:
            yield f"{where}, column {column}: may not be empty."
    for column, words in register.words.items():
        if row[column] and row[column] not in words:
            near = difflib.get_close_matches(row[column], words, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(words)}."
            yield f"{where}, column {column}: not an allowed value, {hint}"
    if register.any_of and not any(row[column] for column in register.any_of):
        yield f"{where}: one of {', '.join(register.any_of)} must be filled."
    for column in register.dates:
        if row[column] and not _is_date(row[column]):
            yield f"{where}, column {column}: write the date as 2026-11-01."
    for column in register.numbers:
        if row[column] and not re.fullmatch("[0-9]{1,9}", row[column]):
            yield f"{where}, column {column}: not a whole number."


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
