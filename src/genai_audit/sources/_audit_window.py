"""One window of the audit log, by as many queries as it takes: read, read again, split, account for the rest.

`stream_window` is the way in. What the service does wrong and what is done about it: facts/m365.md §1.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from genai_audit.calendars import Window, uk_day
from genai_audit.errors import GenaiAuditError
from genai_audit.registry import RawPage, RecordIdentity, SourceContext
from genai_audit.sources._audit_options import M365AuditOptions
from genai_audit.sources._audit_queries import AuditQueries, FinishedQuery
from genai_audit.sources._graph import Graph, GraphRefusedError, ProtocolError, connect
from genai_audit.sources._patience import DeadlineError, UnreachableError
from genai_audit.sources._query_state import QueryState
from genai_audit.sources._raw_pages import ServicePage
from genai_audit.sources._streams import stream_pages

Identify = Callable[[Mapping[str, Any]], RecordIdentity]

SMALLEST_WINDOW = timedelta(minutes=1)
READINGS = 3  # of one query at most: until a reading brings nothing new
TOLERATED_SHORTAGE = 0.05  # the announced count is "approximate"; more than this missing is a gap
NOTHING = "the service found no record: is auditing on, is the permission complete? It is no proof of no use"


@dataclass
class Reading:
    """One walk through all pages of a query. `fault` says why it stopped early."""

    rows: int = 0
    new: int = 0
    fault: ProtocolError | None = None


@dataclass
class Tally:
    """What is known about the window so far; becomes the facts of its manifest."""

    query_ids: list[str] = field(default_factory=list)
    approximate: int | None = None
    first_read: int = 0
    second_read: int | None = (
        None  # rows of all further readings of a query's second walk; None: none was needed
    )
    capped_windows: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)  # each makes the window partial
    remarks: list[str] = field(default_factory=list)


def stream_window(
    window: Window, context: SourceContext, identify: Identify, permission: str
) -> Iterator[RawPage]:
    """Pages as they arrive, then one page with the facts.

    Raises SourceUnavailableError (or PermissionMissingError, ConfigurationError) only if no record came;
    afterwards a failure ends the stream with the outcome `partial` and its reason.
    """
    return stream_pages(_collect(window, context, identify, permission))


async def _collect(
    window: Window, context: SourceContext, identify: Identify, permission: str
) -> AsyncGenerator[RawPage, None]:
    state = QueryState(context, window)
    async with connect(context.settings, permission, context.options) as graph:
        collection = Collection(graph, state, window, context, identify)
        failure: GenaiAuditError | None = None
        try:
            async for page in collection.collect(window):
                yield page
        except GenaiAuditError as error:
            failure = error
            if not isinstance(error, DeadlineError | UnreachableError):
                state.clear()
        if failure and not collection.seen:
            raise failure
        yield RawPage(facts=collection.conclude(failure))
        if failure is None:
            state.clear()


class Collection:
    """Collects one window. `seen` holds the ids of all records that came."""

    def __init__(
        self, graph: Graph, state: QueryState, window: Window, context: SourceContext, identify: Identify
    ) -> None:
        self._graph, self._window = graph, window
        assert isinstance(context.options, M365AuditOptions)
        self._limits = context.options
        self._queries = AuditQueries(graph, state, self._limits)
        self._top: int | None = self._limits.page_size
        self._is_expected = context.is_expected
        self._identify = identify
        self._tally = Tally()
        self.seen: set[str] = set()

    async def collect(self, span: Window, only_new: bool = False) -> AsyncIterator[RawPage]:
        """All records of a span; of its halves, when the service can't give it whole."""
        query = await self._queries.finish(span)
        self._tally.query_ids.append(query.query_id)
        can_split = span.end - span.start >= 2 * SMALLEST_WINDOW
        if not (query.is_limit_exceeded and can_split):
            reading = Reading()
            async for page in self._read(query, reading, only_new, stop_at_cap=can_split):
                yield page
            is_capped = query.is_limit_exceeded or reading.rows >= self._limits.record_cap
            if not is_capped:
                return
            if not can_split:
                self._tally.capped_windows.append(str(span))
                return
            only_new = True
        for half in span.halves():
            async for page in self.collect(half, only_new):
                yield page

    # Records

    async def _read(
        self, query: FinishedQuery, first: Reading, only_new: bool, *, stop_at_cap: bool
    ) -> AsyncIterator[RawPage]:
        """Read a query, and if it may have been incomplete again, until a reading brings nothing new."""
        readings: list[Reading] = []
        while len(readings) < READINGS:
            reading = Reading() if readings else first
            async for page in self._walk(query, reading, only_new or bool(readings), stop_at_cap):
                yield page
            readings.append(reading)
            if stop_at_cap and reading.rows >= self._limits.record_cap:
                return
            if not self._is_doubtful(query, readings):
                break
        self._judge(query, readings)

    def _is_doubtful(self, query: FinishedQuery, readings: list[Reading]) -> bool:
        last = readings[-1]
        if last.fault:
            return True
        if len(readings) > 1:
            return last.new > 0
        return self._limits.read_twice or query.approximate not in (None, last.rows)

    def _judge(self, query: FinishedQuery, readings: list[Reading]) -> None:
        tally, first, last = self._tally, readings[0], readings[-1]
        tally.first_read += first.rows
        if len(readings) > 1:
            tally.second_read = (tally.second_read or 0) + readings[1].rows
        if query.approximate is not None:
            tally.approximate = (tally.approximate or 0) + query.approximate
        if last.fault and not self.seen:
            raise last.fault
        if last.fault:
            tally.doubts.append(last.fault.what)
        elif len(readings) == READINGS and last.new:
            tally.doubts.append(f"every one of {READINGS} readings of a query brought other records")
        union = max(*(reading.rows for reading in readings), sum(reading.new for reading in readings))
        shortage = (query.approximate or 0) - union
        if shortage > TOLERATED_SHORTAGE * (query.approximate or 0):
            tally.doubts.append(f"the service announced {query.approximate} records and gave {union}")
        elif len(readings) > 1 and any(reading.new for reading in readings[1:]):
            tally.remarks.append("readings of the same query differed; their union was kept")

    async def _walk(
        self, query: FinishedQuery, reading: Reading, only_new: bool, stop_at_cap: bool
    ) -> AsyncIterator[RawPage]:
        build = partial(self._graph.build_records, query.query_id, self._top)
        try:
            async for page in self._graph.pages(build):
                yield self._take(page, reading, only_new)
                if stop_at_cap and reading.rows >= self._limits.record_cap:
                    return
        except ProtocolError as fault:
            reading.fault = fault
        except GraphRefusedError as refused:
            if refused.status != 400 or reading.rows or self._top is None:
                raise
            self._top = None  # whether v1.0 knows $top is not documented (facts/m365.md §1.4)
            async for raw_page in self._walk(query, reading, only_new, stop_at_cap):
                yield raw_page

    def _take(self, page: ServicePage, reading: Reading, only_new: bool) -> RawPage:
        """Keep what lies in the window; on a further reading, of that only what is new."""
        kept, exact = [], []
        for number, value in enumerate(page.values):
            raw = page.records[number]
            key = self._identify(value).record_id if isinstance(value, dict) else None
            key = key or hashlib.sha256(raw).hexdigest()
            reading.rows += 1
            if key not in self.seen:
                self.seen.add(key)
                reading.new += 1
            elif only_new:
                continue
            kept.append(raw)
            exact.append(page.exact[number])
        return RawPage(kept, values=exact)

    # The end

    def conclude(self, failure: GenaiAuditError | None) -> dict[str, Any]:
        """The facts of the window for its manifest."""
        tally, graph = self._tally, self._graph
        facts: dict[str, Any] = {
            "query_ids": tally.query_ids, "api_version": graph.api_version,
            "retry_count": graph.patience.retry_count, "throttled_count": graph.patience.throttled_count,
            "page_count": graph.page_count, "approximate": tally.approximate,
            "first_read": tally.first_read, "second_read": tally.second_read,
            "capped_windows": tally.capped_windows,
        }  # fmt: skip
        doubts = [*tally.doubts, *([failure.what] if failure else [])]
        capped = [f"more records than the service gives in {one}" for one in tally.capped_windows]
        is_unproven = not self.seen and self._is_expected and _holds_a_weekday(self._window)
        outcome = "partial" if doubts else "capped" if capped else "unproven" if is_unproven else "complete"
        reasons = [*doubts, *capped, *tally.remarks, *([NOTHING] if is_unproven else [])]
        return facts | {"outcome": outcome, "reason": "; ".join(reason.rstrip(".") for reason in reasons)}


def _holds_a_weekday(window: Window) -> bool:
    """Is it at least a day wide, and is one of the UK days in its middle a Monday to Friday?"""
    noon = window.start + timedelta(hours=12)
    days = int((window.end - window.start) / timedelta(days=1))
    return any(uk_day(noon + timedelta(days=day)).weekday() < 5 for day in range(days))
