"""How a register is described: its columns, its key, and the days on which its rows are in force."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("text", "date", "number", "yes_no", "list", "sha256")


@dataclass(frozen=True)
class Column:
    """One column of a CSV file.

    `kind`: one of KINDS; a list is several values in one cell, separated by `;`.
    `is_optional`: the header may leave the column out. `is_required`: a row may not leave the cell empty.
    `link`: "register.column" in which each value must occur.
    """

    name: str
    kind: str = "text"
    words: tuple[str, ...] = ()
    is_required: bool = False
    is_optional: bool = False
    is_person: bool = False  # may name somebody: masked where it is shown, stored as a pseudonym
    link: str = ""
    stored_as: str = ""

    @property
    def stored_name(self) -> str:
        return self.stored_as or self.name


@dataclass(frozen=True)
class Register:
    """Columns in order. `key` occurs once, or once on a day when the register has a `period`."""

    title: str
    table: str  # the staging table that it is loaded into
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    period: tuple[str, str] | None = None  # first and last day of a row, both included; empty: open
    any_of: tuple[str, ...] = ()  # at least one of these is filled

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def must(name: str, kind: str = "text", words: tuple[str, ...] = (), **more: str | bool) -> Column:
    return Column(name, kind, words, is_required=True, **more)  # type: ignore[arg-type]


def may(name: str, kind: str = "text", words: tuple[str, ...] = (), **more: str | bool) -> Column:
    """A column that a header may leave out: registers written before it was known stay valid."""
    return Column(name, kind, words, is_optional=True, **more)  # type: ignore[arg-type]
