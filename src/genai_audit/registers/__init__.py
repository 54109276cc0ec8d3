"""The CSV registers that people edit: strict columns, and errors with file, line, column and nearest value.

A register is taken whole or refused whole. UTF-8 with or without BOM, CRLF, blank lines and quoted cells are
fine: that is what Excel writes. `_schema.py` says what each register holds, `_reading.py` reads and checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from genai_audit.errors import BadDataError, ConfigurationError
from genai_audit.registers._columns import Column, Register
from genai_audit.registers._reading import (
    Row,
    Table,
    check_bytes,
    check_file,
    check_links,
    find_by_header,
    format_rows,
    split_cell,
)
from genai_audit.registers._schema import REGISTERS

__all__ = (
    "REGISTERS",
    "Column",
    "Register",
    "Row",
    "Table",
    "check_bytes",
    "check_file",
    "check_files",
    "check_links",
    "find_by_header",
    "format_rows",
    "read_registers",
    "refuse",
    "shipped_text",
    "split_cell",
    "starter",
)
SHOWN = 10


def check_files(folder: Path) -> tuple[dict[str, Table], list[str]]:
    """All registers of a folder that are there, and every mistake in them and between them."""
    tables: dict[str, Table] = {}
    mistakes: list[str] = []
    for name in REGISTERS:
        path = folder / f"{name}.csv"
        if path.exists():
            tables[name], wrong = check_file(name, path)
            mistakes.extend(wrong)
    return tables, mistakes or check_links(tables)


def read_registers(folder: Path) -> dict[str, list[Row]]:
    """All registers of a folder; a file that isn't there is an empty register. Lists every mistake."""
    tables, mistakes = check_files(folder)
    if mistakes:
        raise refuse(mistakes, ConfigurationError)
    return {name: tables[name].rows if name in tables else [] for name in REGISTERS}


def refuse(
    mistakes: Sequence[str], kind: type[BadDataError | ConfigurationError]
) -> BadDataError | ConfigurationError:
    """The error that names the first mistakes; `genai-audit register check` prints all of them."""
    more = f" And {len(mistakes) - SHOWN} more." if len(mistakes) > SHOWN else ""
    return kind(
        f"The registers have {len(mistakes)} mistake(s): {' '.join(mistakes[:SHOWN])}{more}",
        where="registers/",
        next_step="Correct these lines and run again; nothing was changed. "
        "`genai-audit register check` lists them all.",
    )


def starter(name: str) -> str:
    """The header line of a register."""
    return ",".join(REGISTERS[name].names) + "\n"


def shipped_text(name: str) -> str:
    """What `init` writes: the starter that is shipped filled, or the header line."""
    filled = resources.files("genai_audit") / "starters" / f"{name}.csv"
    return filled.read_text(encoding="utf-8") if filled.is_file() else starter(name)
