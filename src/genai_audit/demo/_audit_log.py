"""The pretend audit log: queries with a life of their own over a store of records (facts/m365.md §1)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from genai_audit.demo._faults import FaultCounter, Faults
from genai_audit.demo._record_store import RecordStore

_FILTERS = (
    "recordTypeFilters", "serviceFilters", "serviceFilter", "keywordFilter", "userPrincipalNameFilters",
    "ipAddressFilters", "objectIdFilters", "administrativeUnitIdFilters",
)  # fmt: skip


class RefusedError(Exception):
    """An answer other than 2xx, with the code and message of its OData error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Query:
    """One audit query. `status` is what the last poll said, `reads` how often page one was asked for."""

    id: str
    display_name: str
    start: datetime
    end: datetime
    operations: tuple[str, ...]
    fails: bool
    status: str = "notStarted"
    polls: int = 0
    reads: int = 0
    is_capped: bool = False
    rows: list[bytes] = field(default_factory=list)  # fixed when the query succeeds
    reading: dict[int, list[bytes]] = field(default_factory=dict)  # rows by read, where reads differ


@dataclass
class AuditLog:
    """Creates, polls and pages queries over a store. `now` hides records that arrive later (None: none)."""

    store: RecordStore
    faults: Faults
    counter: FaultCounter
    page_size: int
    cap: int
    polls_until_ready: int
    now: datetime | None = None
    queries: dict[str, Query] = field(default_factory=dict)

    def create(self, body: bytes, number: int) -> Query:
        wish = _read_object(body)
        ignored = [name for name in _FILTERS if wish.get(name)]
        if ignored:  # a filter that does nothing would look like one that works
            raise RefusedError(400, "BadRequest", f"The pretend tenant doesn't know the filter {ignored[0]}.")
        start, end = (_read_instant(wish, f"filter{edge}DateTime") for edge in ("Start", "End"))
        if start >= end:
            raise RefusedError(400, "BadRequest", "Invalid request data")
        fails = self.counter.take("query_failed", "create", number)
        operations = tuple(wish.get("operationFilters") or ())
        query = Query(str(uuid.uuid4()), str(wish.get("displayName") or ""), start, end, operations, fails)
        self.queries[query.id] = query
        return query

    def find(self, query_id: str) -> Query:
        if query_id not in self.queries:
            raise RefusedError(404, "ResourceNotFound", "The audit log query was not found.")
        return self.queries[query_id]

    def poll(self, query: Query, number: int) -> dict[str, Any]:
        """Move the query on by one poll and describe it."""
        if query.status in ("succeeded", "failed"):
            return self.describe(query)
        if self.counter.take("unknown_status", "poll", number):
            return self.describe(query) | {"status": self.faults.unknown_status_text}
        query.polls += 1
        query.status = "running"
        if self.faults.query_stuck:
            self.counter.hit("query_stuck", "poll", number)
        elif query.polls > self.polls_until_ready:
            self._finish(query)
        return self.describe(query)

    def _finish(self, query: Query) -> None:
        query.status = "failed" if query.fails else "succeeded"
        if query.fails:
            return
        slack = self.faults.stray_window
        rows = self.store.find(query.start - slack, query.end + slack, query.operations, self.now)
        cap = self.faults.cap_of(query.start, query.end, self.cap)
        query.is_capped = len(rows) > cap
        query.rows = rows[:cap]

    def describe(self, query: Query) -> dict[str, Any]:
        count = max(0, len(query.rows) + self.faults.count_off_by) if query.status == "succeeded" else 0
        return {
            "id": query.id, "displayName": query.display_name, "status": query.status,
            "filterStartDateTime": _text(query.start), "filterEndDateTime": _text(query.end),
            "operationFilters": list(query.operations), "recordTypeFilters": [], "keywordFilter": None,
            "userPrincipalNameFilters": [], "ipAddressFilters": [], "objectIdFilters": [],
            "administrativeUnitIdFilters": [], "serviceFilter": None,
            "approximateReturnedRecordCount": count, "isRecordCountLimitExceeded": query.is_capped,
            "recordCountLimit": self.cap,
        }  # fmt: skip

    def begin_read(self, query: Query) -> int:
        query.reads += query.status == "succeeded"
        return query.reads

    def rows(self, query: Query, read: int, number: int) -> list[bytes]:
        """All rows that one read of a query sees."""
        if query.status != "succeeded":
            raise RefusedError(400, "BadRequest", "The audit log query has not succeeded.")
        if read > self.faults.second_read_differs:
            return query.rows
        if read not in query.reading:
            self.counter.hit("second_read_differs", "records", number)
            query.reading[read] = [row for no, row in enumerate(query.rows) if no % 5 != read % 5]
        return query.reading[read]


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        wish = orjson.loads(body)
    except orjson.JSONDecodeError:
        wish = None
    if not isinstance(wish, dict):
        raise RefusedError(400, "BadRequest", "Unable to read JSON request payload.")
    return wish


def _read_instant(wish: dict[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(wish[name])
    except (KeyError, TypeError, ValueError):
        raise RefusedError(400, "BadRequest", f"{name} is missing or not a date and time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
