"""How long and how often a service is asked: one policy, with one deadline for everything a window needs.

What the service says ("come back in five minutes") is honoured at any length up to the deadline; silence and
nonsense are met with growing pauses with jitter, ATTEMPTS times for one request (facts/trust.md §10.3).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from genai_audit.errors import SourceUnavailableError
from genai_audit.settings import SourceOptions

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

ATTEMPTS = 10  # of one request that is met with silence or nonsense
LONGEST_PAUSE = 120.0  # seconds, of our own


class DeadlineError(SourceUnavailableError):
    """The time for this window is over; another run can go on where this one stopped."""


class UnreachableError(SourceUnavailableError):
    """One request failed ATTEMPTS times in a row."""


class TransientError(Exception):
    """Worth another try. `status` is 0 if no whole answer came; `retry_after` is in seconds."""

    def __init__(self, reason: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.status, self.retry_after = reason, status, retry_after

    @property
    def is_throttled(self) -> bool:
        return self.status == 429 or self.retry_after is not None


class Patience:
    """Counts retries and watches the deadline of one pull."""

    def __init__(self, limits: SourceOptions) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + limits.deadline_minutes * 60
        self.retry_count = self.throttled_count = 0

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat until it works. Raises UnreachableError after ATTEMPTS failures, or DeadlineError."""
        failures: list[TransientError] = []
        while True:
            try:
                return await attempt()
            except TransientError as failure:
                failures.append(failure)
                await asyncio.sleep(self._next_pause(failures))

    def persist_blocking(self, attempt: Callable[[], T]) -> T:
        """The same for a caller without an event loop."""
        failures: list[TransientError] = []
        while True:
            try:
                return attempt()
            except TransientError as failure:
                failures.append(failure)
                time.sleep(self._next_pause(failures))

    async def wait(self, seconds: float, reason: str) -> None:
        """Sleep, but not past the deadline: there, DeadlineError with the reason."""
        await asyncio.sleep(min(seconds, self.seconds_left))
        if not self.seconds_left:
            raise self.give_up(reason)

    def give_up(self, reason: str) -> DeadlineError:
        return DeadlineError(
            f"Out of time after {self._limits.deadline_minutes:g} minutes: {reason}.",
            where="deadline_minutes of the source's section",
            next_step="Run again: it goes on where it can. If this repeats, raise the limit.",
        )

    def _next_pause(self, failures: Sequence[TransientError]) -> float:
        """Seconds until the next attempt at this request. Counts; raises when there will be none."""
        failure, number = failures[-1], len(failures)
        broken = sum(not one.is_throttled for one in failures)
        if broken >= ATTEMPTS:
            raise UnreachableError(
                f"The service failed {broken} times in a row: {failure.reason}.",
                where="the service that was asked",
                next_step="Check the network and the service health page, then run again.",
            ) from None
        first = self._limits.retry_seconds
        pause = random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, first * 2.0 ** min(number - 1, 30))
        if failure.retry_after is not None:  # plus a little, so that parallel pulls don't come back as one
            pause = failure.retry_after + random.uniform(0.0, first)
        self.retry_count += 1
        self.throttled_count += failure.is_throttled
        if pause >= self.seconds_left:
            raise self.give_up(failure.reason)
        return pause


def read_retry_after(headers: httpx.Headers) -> float | None:
    """Seconds from `Retry-After` (a number, or a date by the server's own clock); None for nonsense."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
            seconds = max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
        except (TypeError, ValueError):
            return None
    return seconds if 0 <= seconds < float("inf") else None
