"""Pages of an asynchronous source as a plain iterator, with an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from genai_audit.registry import RawPage


def stream_pages(pages: AsyncGenerator[RawPage, None]) -> Iterator[RawPage]:
    """Pages as they arrive. A private event loop lives as long as the iterator."""
    arrived: list[RawPage] = []

    async def advance() -> bool:
        """A task that had the page as its result would show every record in its repr."""
        async for page in pages:
            arrived.append(page)
            return True
        return False

    async def close() -> None:
        await pages.aclose()

    with asyncio.Runner() as runner:
        try:
            while runner.run(advance()):
                yield arrived.pop()
        finally:
            runner.run(close())
