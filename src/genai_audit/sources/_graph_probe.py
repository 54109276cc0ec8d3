"""Asks Microsoft Graph one thing, once, so that `doctor` can say whether an answer would come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from genai_audit.registry import SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._graph import Graph, connect
from genai_audit.sources._graph_sign_in import no_answer
from genai_audit.sources._patience import TransientError


def ask_once(context: SourceContext, permission: str, path: str, version: str = "v1.0") -> str:
    """One request for a path. Raises what is wrong, or returns a sentence for `doctor`."""

    async def ask(graph: Graph) -> None:
        graph.use_version(version)
        await graph.send(partial(graph.build_get, path))

    _ask(context.settings, permission, context.options, ask)
    return f"{context.settings.tenant.graph_url} answers"


def check_reachability(settings: Settings, permission: str) -> None:
    """List audit queries once, on v1.0 or else beta. Raises what is wrong; repeats nothing."""

    async def ask(graph: Graph) -> None:
        await graph.adapt(lambda: graph.send(graph.build_listing))

    _ask(settings, permission, SourceOptions(), ask)


def _ask(
    settings: Settings, permission: str, options: SourceOptions, ask: Callable[[Graph], Awaitable[None]]
) -> None:
    async def connect_and_ask() -> None:
        async with connect(settings, permission, options) as graph:
            await ask(graph)

    try:
        asyncio.run(connect_and_ask())
    except TransientError as failure:
        raise no_answer(failure) from None
