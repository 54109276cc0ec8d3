"""Windows of time, UK days, bank holidays and teaching weeks.

All instants are timezone-aware UTC; a "day" is a calendar day in Europe/London, converted from UTC only
(a local time can be missing or doubled on the two clock-change nights).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from genai_audit.errors import UsageError

LONDON = ZoneInfo("Europe/London")
RELATIVE_DATES = ("today", "yesterday", "last-week", "last-month")


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of UTC time, `start <= t < end`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs timezone-aware instants")
        if self.start >= self.end:
            raise UsageError(
                "The window is empty.",
                where=f"{self.start:%Y-%m-%dT%H:%M}Z to {self.end:%Y-%m-%dT%H:%M}Z",
                next_step="Give a --since that lies before --until.",
            )

    def __str__(self) -> str:
        return f"{format_instant(self.start)}/{format_instant(self.end)}"

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def split(self, step: timedelta) -> Iterator[Window]:
        """Consecutive windows of at most `step` that cover this one exactly."""
        start = self.start
        while start < self.end:
            end = min(start + step, self.end)
            yield Window(start, end)
            start = end

    def halves(self) -> tuple[Window, Window]:
        """Two windows that cover this one, cut at a whole second."""
        middle = (self.start + (self.end - self.start) / 2).replace(microsecond=0)
        return Window(self.start, middle), Window(middle, self.end)


def format_instant(instant: datetime) -> str:
    """`2026-11-01T00:00:00Z`: the one spelling used in manifests, file names and messages."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant(text: str) -> datetime:
    """Inverse of `format_instant`; any ISO 8601 text with a zone is taken, one without a zone is UTC."""
    instant = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def uk_day(instant: datetime) -> date:
    return instant.astimezone(LONDON).date()


def start_of_uk_day(day: date) -> datetime:
    """The instant at which a UK day begins. Midnight exists once on every UK day."""
    return datetime.combine(day, time.min, tzinfo=LONDON).astimezone(UTC)


def resolve_window(since: str | None, until: str | None, now: datetime, default_days: int = 7) -> Window:
    """Turn `--since`/`--until` into a UTC window.

    Accepted: `2026-11-01`, `today`, `yesterday`, `last-week`, `last-month`. A named period given as
    `since` alone also sets the end. Until is inclusive when it is a day. Days are UK days.
    """
    today = uk_day(now)
    if since is None:
        first, last = today - timedelta(days=default_days), today
    else:
        first, last = _period(since, today)
        if since not in ("yesterday", "last-week", "last-month"):
            last = today
    if until is not None:
        last = _period(until, today)[1]
    end = min(start_of_uk_day(last + timedelta(days=1)), now)
    return Window(start_of_uk_day(first), end)


def _period(text: str, today: date) -> tuple[date, date]:
    """First and last UK day that a word or an ISO date names."""
    if text == "today":
        return today, today
    if text == "yesterday":
        return today - timedelta(days=1), today - timedelta(days=1)
    if text == "last-week":
        monday = today - timedelta(days=today.weekday() + 7)
        return monday, monday + timedelta(days=6)
    if text == "last-month":
        last = today.replace(day=1) - timedelta(days=1)
        return last.replace(day=1), last
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text), date.fromisoformat(text)
        except ValueError:
            pass
    raise UsageError(
        f"'{text}' is not a date.",
        where="--since or --until",
        next_step=f"Write a day such as 2026-11-01, or one of {', '.join(RELATIVE_DATES)}.",
    )


def bank_holidays(first: date, last: date) -> dict[date, str]:
    """Bank holidays in England and Wales from the `holidays` package, offline."""
    import holidays

    known = holidays.country_holidays("GB", subdiv="ENG", years=range(first.year, last.year + 1))
    return {day: name for day, name in sorted(known.items()) if first <= day <= last}
