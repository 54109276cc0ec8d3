"""Web maps: small TOML files that say which columns of a web log hold time, person, address and amounts.

Only mapped columns are ever read, so addresses of machines, referrers and device names stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from genai_audit.sources._vle_map import (
    NamedMap,
    Names,
    TimeRule,
    bind_names,
    check_reading,
    check_zone,
    pick_map,
    read_shipped_maps,
)

ROOM = "web_maps"
WebField = Literal["event", "occurred_at", "user", "url", "host", "action", "bytes", "count", "users"]
ADDRESS: tuple[WebField, WebField] = ("url", "host")  # one of them is needed; the first is used


class WebMap(NamedMap):
    """One map. `record_kind`: a line is an event, or a sum that the log made itself. `empty`: texts that mean
    nothing is known. `values`: patterns and what they become; other values stay as they are."""

    what: ClassVar[str] = "web map"
    title: str
    record_kind: Literal["event", "aggregate"]
    columns: dict[WebField, Names]
    required: tuple[WebField, ...] = ("occurred_at",)
    never_read: tuple[str, ...] = ()
    empty: tuple[str, ...] = ("-", "N/A", "None", "unknown")
    time: TimeRule
    values: dict[WebField, dict[str, str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def check_sense(self) -> WebMap:
        check_reading(self.columns.values(), self.never_read)
        if not set(ADDRESS) & set(self.columns):
            raise ValueError("it names no column for 'url' or 'host'")
        missing = [name for name in self.required if name not in self.columns and not self.is_by_file(name)]
        if missing:
            raise ValueError(f"it needs '{missing[0]}' but names no column for it")
        check_zone(self.time)
        return self

    def is_by_file(self, name: WebField) -> bool:
        """Can the file's name stand in for this field?"""
        return name == "occurred_at" and "file_date" in self.time.formats

    def bind(self, header: Sequence[str]) -> dict[WebField, int]:
        """Field -> position of its column: the first accepted name that the header has."""
        return bind_names(self.columns, header)

    def find_missing(self, bound: dict[WebField, int]) -> list[str]:
        """What has no column, with the names it may have."""
        missing = [name for name in self.required if name not in bound and not self.is_by_file(name)]
        words = [f"'{name}' (accepted: {', '.join(self.columns[name])})" for name in missing]
        if not set(ADDRESS) & set(bound):
            accepted = [name for field in ADDRESS for name in self.columns.get(field, ())]
            words.append(f"'url' or 'host' (accepted: {', '.join(accepted)})")
        return words


@cache
def shipped_maps() -> dict[str, WebMap]:
    return read_shipped_maps(WebMap, ROOM)


def find_map(name: str, registers: Path) -> WebMap:
    """The user's own map of that name, else the shipped one; UsageError names those that exist."""
    return pick_map(WebMap, name, registers / ROOM, shipped_maps())
