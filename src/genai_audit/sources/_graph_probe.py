"""Asks a list of Microsoft Graph for one entry, so that `doctor` can say whether it would be given."""

from __future__ import annotations

import asyncio
from functools import partial

from genai_audit.errors import SourceUnavailableError
from genai_audit.registry import SourceContext
from genai_audit.sources._graph import connect
from genai_audit.sources._patience import TransientError


def ask_once(context: SourceContext, permission: str, path: str, version: str = "v1.0") -> str:
    """One request, not repeated. Raises what is wrong, or returns a sentence for `doctor`."""

    async def ask() -> None:
        async with connect(context.settings, permission, context.options) as graph:
            graph.use_version(version)
            await graph.send(partial(graph.build_get, path))

    try:
        asyncio.run(ask())
    except TransientError as failure:
        raise SourceUnavailableError(
            f"Microsoft 365 can't be used just now: {failure.reason}.",
            where="Microsoft Graph",
            next_step="Check the network, the proxy and the service health page, then try again.",
        ) from None
    return f"{context.settings.tenant.graph_url} answers"
