"""Lists that Microsoft Graph gives page by page: users, labels, sign-ins, grants and the like.

Entries are taken as bytes, as audit records are. A list that breaks off in the middle is `partial`; one that
never began raises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from genai_audit.errors import GenaiAuditError
from genai_audit.registry import RawPage, SourceContext
from genai_audit.sources._graph import Graph, GraphRefusedError, connect
from genai_audit.sources._streams import stream_pages

Pick = Callable[[bytes, Any], bytes | None]


@dataclass(frozen=True)
class GraphList:
    """One list. `path` begins with a slash and has no version; `pick(raw, value)` returns the bytes to land,
    or None for an entry that is none of our business (it is counted as `left_out`)."""

    path: str
    query: Mapping[str, str] | None = None
    version: str = "v1.0"
    pick: Pick | None = None
    headers: Mapping[str, str] | None = None
    is_optional: bool = False  # a tenant without this feature answers 400 or 404: noted, not an error


def stream_lists(
    lists: Sequence[GraphList], context: SourceContext, permission: str, *, empty: str
) -> Iterator[RawPage]:
    """All entries of all lists, then one page with the facts: page_count, left_out, retry_count,
    throttled_count, outcome, reason. `empty`: why no entry at all proves nothing.

    Raises SourceUnavailableError, PermissionMissingError or ConfigurationError if no entry came.
    """
    return stream_pages(_collect(lists, context, permission, empty))


async def _collect(
    lists: Sequence[GraphList], context: SourceContext, permission: str, empty: str
) -> AsyncGenerator[RawPage, None]:
    received, left_out, remarks, failure = 0, 0, list[str](), None
    async with connect(context.settings, permission, context.options) as graph:
        try:
            for one in lists:
                graph.use_version(one.version)
                graph.headers = one.headers or {}
                try:
                    async for page in graph.pages(partial(graph.build_get, _address(one))):
                        kept = [
                            picked
                            for raw, value in zip(page.records, page.values, strict=True)
                            if (picked := one.pick(raw, value) if one.pick and value is not None else raw)
                        ]
                        received += len(page.records)
                        left_out += len(page.records) - len(kept)
                        yield RawPage(kept)
                except GraphRefusedError as refused:
                    if not one.is_optional or refused.status not in (400, 404):
                        raise
                    remarks.append(f"this tenant has no {one.path.strip('/')}")
        except GenaiAuditError as error:
            if not received:
                raise
            failure = error
        yield RawPage(facts=_conclude(graph, received, left_out, remarks, failure, empty))


def _conclude(
    graph: Graph,
    received: int,
    left_out: int,
    remarks: list[str],
    failure: GenaiAuditError | None,
    empty: str,
) -> dict[str, Any]:
    outcome = "partial" if failure else "complete" if received else "unproven"
    reasons = [*([failure.what.rstrip(".")] if failure else []), *remarks, *([] if received else [empty])]
    return {
        "page_count": graph.page_count, "left_out": left_out, "retry_count": graph.patience.retry_count,
        "throttled_count": graph.patience.throttled_count, "outcome": outcome, "reason": "; ".join(reasons),
    }  # fmt: skip


def _address(one: GraphList) -> str:
    return one.path + (f"?{urlencode(one.query, safe='$,()', quote_via=quote)}" if one.query else "")
