"""Reports of Microsoft Graph that come as a table (CSV, also as octet-stream) or as JSON, by address.

A table is taken whole or not at all; JSON comes in pages, and may break off after some (`partial`). An answer
that sends us to another host is not followed: the next address is asked instead (facts/trust.md T3).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from kiota_abstractions.request_information import RequestInformation

from genai_audit.errors import GenaiAuditError, SourceUnavailableError
from genai_audit.registry import RawPage, SourceContext
from genai_audit.sources._graph import Graph, GraphRefusedError, ProtocolError, connect
from genai_audit.sources._raw_pages import NotAPageError
from genai_audit.sources._streams import stream_pages

PAGE_ROWS = 2_000
Row = dict[str, Any]  # by column: lower case, letters and digits only
Reduce = Callable[[Row], Row]


def stream_report(
    addresses: Sequence[tuple[str, str]],
    context: SourceContext,
    permission: str,
    *,
    required: Sequence[str],
    reduce: Reduce,
    empty: str,
) -> Iterator[RawPage]:
    """Reduced rows of the first address (version, path) that isn't refused, then a page with the facts:
    api_version, page_count, retry_count, throttled_count, outcome, reason. `empty`: why no row at all proves
    nothing.

    Raises SourceUnavailableError (also when a column of `required` is missing), PermissionMissingError or
    ConfigurationError if no row came.
    """
    return stream_pages(_collect(addresses, context, permission, required, reduce, empty))


async def _collect(
    addresses: Sequence[tuple[str, str]],
    context: SourceContext,
    permission: str,
    required: Sequence[str],
    reduce: Reduce,
    empty: str,
) -> AsyncGenerator[RawPage, None]:
    received, failure = 0, None
    async with connect(context.settings, permission, context.options) as graph:
        build, body = await _open(graph, addresses)
        try:
            if body.lstrip()[:1] == b"{":
                async for page in graph.pages(build):
                    rows = [_simplify(value) for value in page.values]
                    _check_columns(rows[0] if rows else {}, required if rows else ())
                    received += len(rows)
                    yield RawPage([orjson.dumps(reduce(row)) for row in rows])
            else:
                for rows in _cut(body, required):
                    received += len(rows)
                    yield RawPage([orjson.dumps(reduce(row)) for row in rows])
        except GenaiAuditError as error:
            if not received:
                raise
            failure = error
        yield RawPage(facts={
            "api_version": graph.api_version, "page_count": graph.page_count or 1,
            "retry_count": graph.patience.retry_count, "throttled_count": graph.patience.throttled_count,
            "outcome": "partial" if failure else "complete" if received else "unproven",
            "reason": failure.what.rstrip(".") if failure else "" if received else empty,
        })  # fmt: skip


async def _open(
    graph: Graph, addresses: Sequence[tuple[str, str]]
) -> tuple[Callable[[], RequestInformation], bytes]:
    """The first address that answers, and its answer. Raises what the last one said."""
    for number, (version, path) in enumerate(addresses, start=1):
        graph.use_version(version)
        build = partial(_ask, graph, path)
        try:
            return build, await graph.fetch(build, _check_whole)
        except (GraphRefusedError, ProtocolError) as error:
            is_final = isinstance(error, GraphRefusedError) and error.status not in (400, 404)
            if is_final or number == len(addresses):
                raise
    raise AssertionError("there is at least one address")


def _ask(graph: Graph, path: str) -> RequestInformation:
    request = graph.build_get(path)
    request.headers.clear()  # a table is no JSON
    request.headers.try_add("Accept", "*/*")
    return request


def _check_whole(body: bytes) -> bytes:
    """Raises NotAPageError for a body that was cut off: it is asked for again."""
    if body.lstrip()[:1] in (b"{", b"<"):  # JSON is judged where it is read; a web page is no report
        if body.lstrip()[:1] == b"<":
            raise NotAPageError
        return body
    try:
        lines = _read_lines(body)
        width = len(next(lines, []))
        if any(len(cells) != width for cells in lines if cells):
            raise NotAPageError
    except (csv.Error, UnicodeDecodeError):
        raise NotAPageError from None
    return body


def _cut(body: bytes, required: Sequence[str]) -> Iterator[list[Row]]:
    lines = _read_lines(body)
    columns = [simplify_name(name) for name in next(lines, [])]
    _check_columns(dict.fromkeys(columns), required)
    rows: list[Row] = []
    for cells in lines:
        if cells:
            rows.append(dict(zip(columns, cells, strict=True)))
        if len(rows) == PAGE_ROWS:
            yield rows
            rows = []
    yield rows


def _read_lines(body: bytes) -> Iterator[list[str]]:
    return csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline=""), strict=True)


def _simplify(value: Any) -> Row:
    return {simplify_name(name): one for name, one in value.items()} if isinstance(value, dict) else {}


def simplify_name(name: str) -> str:
    """`Report Refresh Date` and `reportRefreshDate` are one column."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _check_columns(row: Mapping[str, Any], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in row]
    if missing:
        raise SourceUnavailableError(
            f"A report lacks what it is read for: {', '.join(missing)}.",
            where="Microsoft Graph",
            next_step="Report this error: Microsoft has changed the report.",
        )
