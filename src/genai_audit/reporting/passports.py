"""The passport of a report: the TOML in the first comment of its template, and the answers to its queries.

A query sees one file, `published/<audience>.duckdb`, so it can't read what that audience may not see.
A template that needs a fixed list (policy clauses, blind spots) names a TOML file beside it in `lists`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from genai_audit.errors import SoftwareError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FRONT = re.compile(r"\A\{#-?(.*?)-?#\}", re.DOTALL)
KEYS = {"title", "audience", "readers", "schedule", "period", "disclosure", "lists", "queries"}


@dataclass(frozen=True)
class Passport:
    """What a report is, for whom, how often, over which period and under which disclosure rule."""

    report: str
    title: str
    audience: str
    readers: str
    schedule: str
    period: str
    disclosure: str
    queries: Mapping[str, str]
    lists: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Rows of one query, as mappings. `is_missing`: the published file has no such table.

    False when there is nothing to show; `first` is then an empty mapping.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    is_missing: bool = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, column: str, value: Any) -> Answer:
        """The rows with this value; missing stays missing."""
        return Answer([row for row in self.rows if row[column] == value], self.is_missing)

    @property
    def first(self) -> dict[str, Any]:
        return self.rows[0] if self.rows else {}


def read_passport(template: Path) -> Passport:
    """Read and check the front matter; every mistake in a template is ours."""
    found = FRONT.match(template.read_text(encoding="utf-8"))
    if not found:
        raise SoftwareError(
            "A report has no front matter.", where=template.name, next_step="Begin it with {#- … -#}."
        )
    try:
        values = tomllib.loads(found[1])
    except tomllib.TOMLDecodeError as error:
        raise SoftwareError(f"The front matter is not TOML: {error}.", where=template.name) from error
    wrong = (KEYS - {"lists"} - values.keys()) | (values.keys() - KEYS)
    if wrong:
        names = ", ".join(sorted(wrong))
        raise SoftwareError(f"Front matter keys are missing or unknown: {names}.", where=template.name)
    values["lists"] = tuple(values.get("lists", ()))
    return Passport(report=template.name.removesuffix(".html.j2"), **values)


def read_lists(passport: Passport, folder: Path) -> dict[str, Any]:
    """The fixed lists by name."""
    return {
        one: tomllib.loads((folder / f"{one}.toml").read_text(encoding="utf-8")) for one in passport.lists
    }


def ask(connection: DuckDBPyConnection, passport: Passport, values: Mapping[str, Any]) -> dict[str, Answer]:
    """Run every query. `$first_day` and the like are bound from `values` where a query names them."""
    return {name: _ask_one(connection, passport, name, values) for name in passport.queries}


def _ask_one(
    connection: DuckDBPyConnection, passport: Passport, name: str, values: Mapping[str, Any]
) -> Answer:
    sql = passport.queries[name]
    bound = {one: values[one] for one in set(re.findall(r"\$(\w+)", sql))}
    try:
        answer = connection.execute(sql, bound)
        columns = [column[0] for column in answer.description or ()]
        return Answer([dict(zip(columns, row, strict=True)) for row in answer.fetchall()])
    except duckdb.CatalogException as error:
        if "Table with name" in str(error):
            return Answer(is_missing=True)
        raise SoftwareError(f"Query '{name}' fails: {error}", where=passport.report) from error
    except duckdb.Error as error:
        raise SoftwareError(f"Query '{name}' fails: {error}", where=passport.report) from error
