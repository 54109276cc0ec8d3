"""Runs hunting queries through Microsoft Graph: a read that happens to be a POST, so it may be repeated.

An answer holds at most `row_cap` rows and says nothing when it was cut there. A full answer is thrown away
and its span asked again in halves, down to SHORTEST; what is still full then is `capped`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from genai_audit.calendars import Window
from genai_audit.errors import GenaiAuditError, SourceUnavailableError
from genai_audit.registry import RawPage, SourceContext
from genai_audit.sources._graph import Graph, connect
from genai_audit.sources._raw_pages import NotAPageError
from genai_audit.sources._streams import stream_pages

PATH = "/security/runHuntingQuery"
SHORTEST = timedelta(seconds=60)
MOST_RECORDS = 10_000  # of one page handed on


@dataclass(frozen=True)
class Hunt:
    """`write(span)` gives the query text, `pick(row)` the bytes to land or None for a row left out."""

    write: Callable[[Window], str]
    pick: Callable[[dict[str, Any]], bytes | None]


@dataclass
class Tally:
    """What one pull saw."""

    query_count: int = 0
    received: int = 0
    left_out: int = 0
    capped: list[str] = field(default_factory=list)


def stream_hunts(
    hunts: Sequence[Hunt],
    window: Window,
    row_cap: int,
    context: SourceContext,
    permission: str,
    *,
    empty: str,
) -> Iterator[RawPage]:
    """All rows of all hunts, then one page with the facts: query_count, left_out, capped_windows,
    retry_count, throttled_count, outcome, reason. Raises if the first query already fails."""
    return stream_pages(_collect(hunts, window, row_cap, context, permission, empty))


async def _collect(
    hunts: Sequence[Hunt], window: Window, row_cap: int, context: SourceContext, permission: str, empty: str
) -> AsyncGenerator[RawPage, None]:
    tally, failure = Tally(), None
    async with connect(context.settings, permission, context.options) as graph:
        try:
            for hunt in hunts:
                spans = [window]
                while spans:
                    span = spans.pop()
                    rows = await graph.fetch(partial(_build, graph, hunt.write(span)), read_rows)
                    tally.query_count += 1
                    if len(rows) >= row_cap and span.end - span.start > SHORTEST:
                        spans += span.halves()[::-1]
                        continue
                    if len(rows) >= row_cap:
                        tally.capped.append(str(span))
                    for page in _pick(hunt, rows, tally):
                        yield page
        except GenaiAuditError as error:
            if not tally.query_count:
                raise
            failure = error
        yield RawPage(facts=_conclude(graph, tally, failure, empty))


def _build(graph: Graph, query: str) -> RequestInformation:
    request = graph.build_get(PATH)
    request.http_method = Method.POST
    request.set_stream_content(orjson.dumps({"Query": query}), "application/json")
    return request


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of an answer. NotAPageError for a body that was cut off; an answer of another shape raises
    SourceUnavailableError."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotAPageError from None
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceUnavailableError(
            "A hunting query was answered without rows.",
            where="Microsoft Graph",
            next_step="Run again; if this repeats, report this error.",
        )
    return rows


def _pick(hunt: Hunt, rows: list[dict[str, Any]], tally: Tally) -> Iterator[RawPage]:
    for start in range(0, len(rows), MOST_RECORDS):
        part = rows[start : start + MOST_RECORDS]
        kept = [picked for row in part if (picked := hunt.pick(row)) is not None]
        tally.received += len(part)
        tally.left_out += len(part) - len(kept)
        yield RawPage(kept)


def _conclude(graph: Graph, tally: Tally, failure: GenaiAuditError | None, empty: str) -> dict[str, Any]:
    outcome = "complete" if tally.received else "unproven"
    reasons = [] if tally.received or failure else [empty]
    if tally.capped:
        outcome = "capped"
        reasons.append("more rows in a minute than an answer may hold")
    if failure:
        outcome = "partial"
        reasons.insert(0, failure.what.rstrip("."))
    return {
        "query_count": tally.query_count, "left_out": tally.left_out, "capped_windows": tally.capped,
        "retry_count": graph.patience.retry_count, "throttled_count": graph.patience.throttled_count,
        "outcome": outcome, "reason": "; ".join(reasons),
    }  # fmt: skip
