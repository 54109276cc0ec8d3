"""One window of Illuminate: clicks by the time they arrived, items by the time they changed, then, for the
newest window, the totals of each course."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from genai_audit.calendars import Window
from genai_audit.registry import RawPage
from genai_audit.sources import _illuminate_sql as sql
from genai_audit.sources._illuminate_rows import Counts, EventMapper, map_item, map_total
from genai_audit.sources._snowflake import Snowflake
from genai_audit.sources._sql_parts import AbsentTableError, Part, stream_parts
from genai_audit.sources._vle_database import to_instant
from genai_audit.sources._vle_features import Features

GUESSES = ("ai.*", "*AiConversation")  # looked for although nobody listed them
ABSENT = "this account can't see it; ask the vendor whether the licence has developer access to it"


class IlluminateReader:
    """Reads one window within one session."""

    def __init__(self, service: Snowflake, window: Window, features: Features, *, is_totalled: bool) -> None:
        self._service, self._window, self._features = service, window, features
        self._is_totalled = is_totalled
        self._counts = Counts()
        self._arrived = 0
        self._tables: set[str] = set()
        self._span = {"start": f"{window.start:%Y-%m-%d %H:%M:%S}", "end": f"{window.end:%Y-%m-%d %H:%M:%S}"}

    def stream(self) -> Iterator[RawPage]:
        """Pages of canonical records; the last one carries the facts."""
        self._tables = {row["NAME"].upper() for batch in self._service.rows(sql.TABLES) for row in batch}
        parts = [Part(sql.EVENTS, self._read_events), Part(sql.ITEMS, self._read_items)]
        if self._is_totalled and self._is_newest():
            parts.append(Part(sql.ITEMS, self._read_totals, is_optional=True))
        return stream_parts(parts, self._describe, absent=ABSENT, empty=self._explain_empty)

    def _describe(self) -> dict[str, Any]:
        lacking = [table for table in sql.DIMENSION_TABLES if table not in self._tables]
        return {**asdict(self._counts), "telemetry_rows": self._arrived, "absent_dimensions": lacking}

    def _explain_empty(self) -> str:
        if self._arrived:
            return f"none of the {self._arrived:,} telemetry rows that arrived is a GenAI event that we know"
        return "no telemetry row of any kind arrived in this window"

    def _is_newest(self) -> bool:
        """The state of a course is that of today: an older window can't be told it."""
        now = to_instant(next(self._service.rows(sql.CLOCK))[0]["NOW"])
        return now is not None and self._last.date() >= (now - timedelta(hours=1)).date()

    def _read_events(self) -> Iterator[list[bytes]]:
        self._require(sql.EVENTS)
        self._arrived = int(next(self._service.rows(sql.ARRIVED, self._span))[0]["ARRIVED"])
        patterns = (*self._features.patterns("object_id"), *GUESSES)
        query, values = sql.ask_events(patterns, self._tables)
        mapper = EventMapper(self._features, self._counts)
        for batch in self._service.rows(query, self._span | values):
            yield [one for row in batch if (one := mapper.map(row))]

    def _read_items(self) -> Iterator[list[bytes]]:
        self._require(sql.ITEMS)
        for batch in self._service.rows(sql.ask_items(self._tables), self._span):
            yield [map_item(row, self._counts) for row in batch]

    def _read_totals(self) -> Iterator[list[bytes]]:
        self._require(sql.ITEMS)
        for batch in self._service.rows(sql.ask_totals(self._tables)):
            yield [map_total(row, self._last, self._counts) for row in batch]

    def _require(self, table: str) -> None:
        if table not in self._tables:
            raise AbsentTableError(f"There is no {table}.", where="Illuminate", next_step="Ask the vendor.")

    @property
    def _last(self) -> datetime:
        return self._window.end - timedelta(seconds=1)
