"""One snapshot of Blackboard's replica: AI flags, Playground conversations, quota counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta, tzinfo
from typing import Any

from genai_audit.calendars import Window
from genai_audit.registry import RawPage
from genai_audit.sources import _dda_tables as tables
from genai_audit.sources._dda_tables import Columns, FlaggedTable
from genai_audit.sources._postgres import Postgres
from genai_audit.sources._sql_parts import AbsentTableError, Part, stream_parts
from genai_audit.sources._vle_database import make_record, write_time

Row = Mapping[str, Any]

ABSENT = "this account can't see it, or this release has no AI flag there"
EMPTY = "no AI flag, conversation or counter in any table: the features may be off, or the period too short"
PLAYGROUND, AIDA, AVA = "Blackboard AI Playground", "Blackboard AI Design Assistant", "Blackboard AVA"
MEANINGS = {"O": "accepted", "Y": "not yet accepted"}  # by a person; DDA schema documentation 3902.1.0


class DdaReader:
    """Reads one snapshot within one session. `zone`: that of times without a zone."""

    def __init__(self, service: Postgres, window: Window, history_days: int, zone: tzinfo) -> None:
        self._service, self._zone = service, zone
        self._taken_at = window.end - timedelta(seconds=1)
        self._since = {"since": (window.start - timedelta(days=history_days)).replace(tzinfo=None)}
        self._columns = Columns([])
        self._codes: dict[str, int] = {}
        self._counts = {"without_time": 0, "without_course": 0, "without_person": 0}

    def stream(self) -> Iterator[RawPage]:
        """Pages of canonical records; the last one carries the facts."""
        seen = self._service.rows(tables.ASK_COLUMNS, {"tables": list(tables.ALL_TABLES)})
        self._columns = Columns([tuple(row.values()) for batch in seen for row in batch])
        parts = [Part(one.name, self._reader_of(one)) for one in tables.FLAGGED]
        for name, ask, build in (
            (tables.CONVERSATIONS, tables.ask_conversations, self._map_conversation),
            (tables.QUOTA, tables.ask_quota, self._map_quota),
        ):
            parts.append(Part(".".join(name), self._reader(ask, build), is_optional=True))
        return stream_parts(parts, self._describe, absent=ABSENT, empty=lambda: EMPTY)

    def _describe(self) -> dict[str, Any]:
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(self._codes.items()))
        return {
            **self._counts, "ai_codes": codes, "retry_count": self._service.patience.retry_count
        }  # fmt: skip

    def _reader_of(self, one: FlaggedTable) -> Callable[[], Iterator[list[bytes]]]:
        return self._reader(
            lambda columns: tables.ask_flagged(one, columns), lambda row: self._map_flagged(one, row)
        )

    def _reader(
        self, ask: Callable[[Columns], str | None], build: Callable[[Row], bytes]
    ) -> Callable[[], Iterator[list[bytes]]]:
        def read() -> Iterator[list[bytes]]:
            query = ask(self._columns)
            if query is None:
                raise AbsentTableError("There is no such table.", where="DDA", next_step="Ask the vendor.")
            for batch in self._service.rows(query, self._since):
                yield [build(row) for row in batch]

        return read

    def _map_flagged(self, one: FlaggedTable, row: Row) -> bytes:
        """An artefact. The code is part of the id: a flag that changes later is a new record."""
        code = str(row["flag"]).strip()
        self._codes[code] = self._codes.get(code, 0) + 1
        at = write_time(row["at"], self._zone)
        self._counts["without_time"] += not at
        self._counts["without_course"] += row["course"] is None
        self._counts["without_person"] += row["person"] is None
        return make_record(
            f"dda-{one.table}:{row['pk1']}:{code}",
            at or write_time(self._taken_at),
            "artefact",
            one.feature,
            actor=row["person"],
            actor_role="staff" if row["person"] and one.table != "msg_main" else "",
            course=row["course"],
            tool=AVA if one.flag == tables.FEEDBACK_FLAG else AIDA,
            outcome=f"ai:{code} {MEANINGS.get(code, '')}".strip(),
        )

    def _map_conversation(self, row: Row) -> bytes:
        return make_record(
            f"dda-conversation:{row['pk1']}",
            write_time(row["at"], self._zone),
            "interaction",
            "AI Playground: conversation",
            actor=row["person"],
            tool=name_model(row["model_name"]),
            outcome=row["context_type"],
        )

    def _map_quota(self, row: Row) -> bytes:
        return make_record(
            f"dda-quota:{row['pk1']}:{self._taken_at:%Y-%m-%d}",
            write_time(self._taken_at),
            "quota_counter",
            "AI Playground: use so far on this day",
            actor=row["person"],
            tool=name_model(row["model_name"]),
            quantity=str(row["usage_count"]),
        )


def name_model(number: int | None) -> str:
    """The vendor publishes no names for the numbers; 0 is none."""
    return f"{PLAYGROUND}, model {number}" if number else PLAYGROUND
