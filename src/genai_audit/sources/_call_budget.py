"""Calls that a service allows in a day: counted before each one, and remembered between runs.

The day is that of facts/vle.md §1.5: 24 hours from the first call. What is on disk never says fewer calls
than were made: it is written in advance, a few at a time, so a killed pull loses a few and never gains one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_audit.calendars import format_instant, read_instant
from genai_audit.errors import SourceUnavailableError
from genai_audit.workspace import canonical_json, write_durably

if TYPE_CHECKING:
    import httpx

FILE = "budget.json"
DAY = timedelta(hours=24)
IN_ADVANCE = 20  # calls written down at once


class BudgetSpentError(SourceUnavailableError):
    """No call is left today; another run goes on where this one stopped."""


class CallBudget:
    """`allowed` calls in 24 hours; the service's own count is believed when it is lower.

    `reserve`: calls of the service's own count that are left to others. `last_round`: how many calls each
    list took when everything was read last, to plan with.
    """

    def __init__(self, folder: Path, allowed: int, reserve: int = 0) -> None:
        self.allowed, self._reserve = allowed, reserve
        self._path = folder / FILE
        state = _read(self._path)
        self.since: datetime | None = read_instant(state["since"]) if state.get("since") else None
        self.spent: int = state.get("spent", 0)
        self.last_round: dict[str, int] = state.get("last_round", {})
        self._written = self.spent
        self._is_refused = False
        self._begin_new_day()

    @property
    def left(self) -> int:
        return 0 if self._is_refused else max(0, self.allowed - self.spent)

    @property
    def planned(self) -> int:
        """Calls that everything took last time; 0 before the first time."""
        return sum(self.last_round.values())

    def spend(self) -> None:
        """Count one call that is about to be made. Raises BudgetSpentError instead when none is left."""
        self._begin_new_day()
        if not self.left:
            raise BudgetSpentError(
                f"The day's {self.allowed:,} calls are used up" if not self._is_refused else
                "The service says that the day's calls are nearly used up, by this and other applications",
                where=FILE,
                next_step="Run again tomorrow: it goes on where this run stopped.",
            )  # fmt: skip
        self.since = self.since or read_clock()
        self.spent += 1
        if self.spent > self._written:
            self._write(min(self.allowed, self.spent + IN_ADVANCE - 1))

    def note(self, headers: httpx.Headers) -> None:
        """Believe X-Rate-Limit-Remaining where X-Rate-Limit-Limit speaks of a budget as large as ours: since
        2024 a limit may also be one of bursts, which a pause cures."""
        limit, remaining = (
            _read_number(headers.get(f"X-Rate-Limit-{name}")) for name in ("Limit", "Remaining")
        )
        if limit is not None and remaining is not None and limit >= self.allowed:
            self._is_refused = remaining <= self._reserve

    def settle(self, last_round: Mapping[str, int] | None = None) -> None:
        """Write down what was really spent, and what a whole round took."""
        if last_round is not None:
            self.last_round = dict(last_round)
        self._write(self.spent)

    def _begin_new_day(self) -> None:
        if self.since and read_clock() >= self.since + DAY:
            self.since, self.spent, self._written, self._is_refused = None, 0, 0, False

    def _write(self, spent: int) -> None:
        since = format_instant(self.since) if self.since else ""
        state = {"since": since, "spent": spent, "last_round": self.last_round}
        write_durably(self._path, canonical_json(state))
        self._written = spent


def read_clock() -> datetime:
    return datetime.now(UTC)


def _read(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _read_number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
