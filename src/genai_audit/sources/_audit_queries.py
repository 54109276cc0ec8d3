"""The life of one audit query: announced on disk, created, polled until it ends, created again if it failed.

A creation that got no clear answer is never just repeated: the query is looked for by its display name first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from genai_audit.calendars import Window
from genai_audit.errors import SourceUnavailableError
from genai_audit.sources._audit_options import M365AuditOptions
from genai_audit.sources._graph import Graph, GraphRefusedError
from genai_audit.sources._patience import TransientError
from genai_audit.sources._query_state import QueryEntry, QueryState
from genai_audit.sources._raw_pages import NotAPageError, read_object

CREATIONS = 2  # a failed or cancelled query is created once more


class QueryFailedError(SourceUnavailableError):
    """The service could not carry out the query, twice."""


@dataclass(frozen=True)
class FinishedQuery:
    """`approximate`: how many records the service says it found, if it says so."""

    query_id: str
    approximate: int | None
    is_limit_exceeded: bool  # authoritative: the result is cut off (facts/m365.md §1.6)


class AuditQueries:
    """Creates, resumes and awaits queries."""

    def __init__(self, graph: Graph, state: QueryState, limits: M365AuditOptions) -> None:
        self._graph, self._state, self._limits = graph, state, limits

    async def finish(self, span: Window) -> FinishedQuery:
        """A query that has succeeded: resumed, found again, or created."""
        for _ in range(CREATIONS):
            entry = self._state.find(span)
            if entry is None or not entry.query_id:
                entry = await self._create(span, entry)
            self._graph.use_version(entry.api_version)
            answer = await self._poll(entry.query_id)
            if answer is not None:
                count = answer.get("approximateReturnedRecordCount")
                return FinishedQuery(
                    query_id=entry.query_id,
                    approximate=count if isinstance(count, int) else None,
                    is_limit_exceeded=answer.get("isRecordCountLimitExceeded") is True,
                )
            self._state.drop(span)
        raise QueryFailedError(
            f"The audit query failed {CREATIONS} times.",
            where=str(span),
            next_step="Run again later; if it repeats, look at the service health page of Purview.",
        )

    async def _create(self, span: Window, announced: QueryEntry | None) -> QueryEntry:
        is_doubtful = announced is not None
        entry = announced or self._state.announce(span, self._graph.api_version)

        async def attempt() -> str:
            nonlocal is_doubtful
            if is_doubtful and (found := await self._look_for(entry.display_name)):
                return found
            try:
                return await self._graph.adapt(partial(self._post, entry.display_name, span))
            except TransientError as failure:
                is_doubtful = is_doubtful or failure.status != 429
                raise

        query_id = await self._graph.patience.persist(attempt)
        return self._state.confirm(span, query_id, self._graph.api_version)

    async def _post(self, name: str, span: Window) -> str:
        build = partial(self._graph.build_creation, name, span, self._limits.operations)
        try:
            query_id = read_object(await self._graph.send(build)).get("id")
        except NotAPageError:
            query_id = None
        if not isinstance(query_id, str) or not query_id:
            raise TransientError("the answer to a new query can't be read")
        return query_id

    async def _look_for(self, name: str) -> str | None:
        try:
            return await self._graph.adapt(partial(self._search_listing, name))
        except GraphRefusedError:
            return None  # a tenant that doesn't list its queries costs us a submission, not the window

    async def _search_listing(self, name: str) -> str | None:
        async for page in self._graph.pages(self._graph.build_listing):
            for query in page.values:
                if isinstance(query, dict) and query.get("displayName") == name and query.get("id"):
                    return str(query["id"])
        return None

    async def _poll(self, query_id: str) -> dict[str, Any] | None:
        """The query once it succeeded; None if it failed, was cancelled or is gone.

        Every other status, unknown words included, means: wait (facts/m365.md §1.3).
        """
        while True:
            try:
                answer = await self._graph.fetch(partial(self._graph.build_status, query_id), read_object)
            except GraphRefusedError as refused:
                if refused.status != 404:
                    raise
                return None
            status = str(answer.get("status")).casefold()
            if status == "succeeded":
                return answer
            if status in ("failed", "cancelled"):
                return None
            word = status if status.isalpha() else "not finished"
            await self._graph.patience.wait(
                self._limits.poll_seconds, f"the audit query is still {word[:30]}"
            )
