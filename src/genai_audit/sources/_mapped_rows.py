"""Tables whose rows become records: checked in a first pass, then handed over in pages.

What a row is, only its source knows. `select(cells)` gives what it needs of a row that is ours, or None;
`build(selected)` makes the record or raises UnreadableRowError; `set_aside(selected, problem)` makes the one
that landing will quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import orjson

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage
from genai_audit.sources._tables import SHOWN_LINES, Damage
from genai_audit.sources._vle_map import simplify

PAGE_RECORDS = 2_000
Rows = Iterable[tuple[int, list[str]]]  # line, cells
Row = TypeVar("Row")


class UnreadableRowError(ValueError):
    """`problem`: a short code for the quarantine."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass
class Check:
    """What the first pass over the file found."""

    damage: Damage = field(default_factory=Damage)
    not_genai: int = 0

    def describe(self, nothing: str, none_at_all: str) -> dict[str, Any]:
        """Facts for the manifest; every page carries them, because a long file becomes several packages.

        `nothing`: the reason when no row is ours, with a place for their number; `none_at_all`: when there is
        none.
        """
        damage = self.damage
        facts: dict[str, Any] = {
            "file_rows": damage.rows + self.not_genai,
            "rows_not_genai": self.not_genai,
            "unreadable_rows": len(damage.unreadable),
            "unreadable_lines": ", ".join(str(line) for line in damage.unreadable[:SHOWN_LINES]),
            "blank_lines": damage.blank_lines,
        }
        if not damage.rows:
            reason = nothing.format(f"{self.not_genai:,}") if self.not_genai else none_at_all
            facts |= {"outcome": "unproven", "reason": reason}
        return facts


def refuse_repeats(path: Path, header: Sequence[str], places: Iterable[int]) -> None:
    """BadDataError when a column that is read has a name twice in the header."""
    names = [simplify(name) for name in header]
    twice = [header[place] for place in places if names.count(names[place]) > 1]
    if twice:
        what = f"The header names a column twice: '{twice[0]}'."
        raise BadDataError(what, where=path.name, next_step="Export each column once, or rename one.")


def find_named_day(path: Path, next_step: str) -> date:
    """The day that the file's name holds, for a table without dates: never that of its copying or import.

    BadDataError, with this advice, when there is none, or no such day.
    """
    named = re.search(r"(?<!\d)(20\d\d-\d\d-\d\d)(?!\d)", path.name)
    try:
        return date.fromisoformat(named[1] if named else "")
    except ValueError:
        raise BadDataError(
            "This table holds no date, and the file's name gives no day.",
            where=path.name,
            next_step=next_step,
        ) from None


def check_rows(
    rows: Rows, width: int, select: Callable[[list[str]], Row | None], build: Callable[[Row], Any]
) -> Check:
    check = Check()
    damage = check.damage
    for line, cells in rows:
        if not any(cells):
            damage.blank_lines += 1
        elif len(cells) != width:
            damage.rows += 1
            damage.wrong_width.append(line)
        elif (selected := select(cells)) is None:
            check.not_genai += 1
        else:
            damage.rows += 1
            try:
                build(selected)
            except UnreadableRowError:
                damage.unreadable.append(line)
    return check


def read_pages(
    rows: Rows,
    select: Callable[[list[str]], Row | None],
    build: Callable[[Row], Mapping[str, Any]],
    set_aside: Callable[[Row, str], Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> Iterator[RawPage]:
    page: list[bytes] = []
    for _, cells in rows:
        if any(cells) and (selected := select(cells)) is not None:
            try:
                record = build(selected)
            except UnreadableRowError as error:
                record = set_aside(selected, error.problem)
            page.append(orjson.dumps(record))
        if len(page) == PAGE_RECORDS:
            yield RawPage(page, facts)
            page = []
    yield RawPage(page, facts)
