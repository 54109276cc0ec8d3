"""Windows, UK days across the clock changes, and the words that name a period."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_audit.calendars import (
    Window,
    bank_holidays,
    format_instant,
    read_instant,
    resolve_window,
    start_of_uk_day,
    uk_day,
)
from genai_audit.errors import UsageError

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)  # a Tuesday


@given(INSTANTS, st.integers(1, 10**7), st.integers(60, 10**6))
def test_the_parts_of_a_window_cover_it_exactly(start: datetime, length: int, step: int) -> None:
    window = Window(start, start + timedelta(seconds=length))
    parts = list(window.split(timedelta(seconds=max(step, length // 100))))
    assert parts[0].start == window.start
    assert parts[-1].end == window.end
    assert all(one.end == following.start for one, following in itertools.pairwise(parts))


@given(INSTANTS, st.integers(2, 10**7))
def test_two_halves_cover_the_window(start: datetime, length: int) -> None:
    window = Window(start, start + timedelta(seconds=length))
    early, late = window.halves()
    assert (early.start, early.end, late.end) == (window.start, late.start, window.end)


@given(INSTANTS)
def test_an_instant_survives_being_written(instant: datetime) -> None:
    assert read_instant(format_instant(instant)) == instant.replace(microsecond=0)


@given(INSTANTS)
def test_every_instant_lies_in_its_uk_day(instant: datetime) -> None:
    day = uk_day(instant)
    assert start_of_uk_day(day) <= instant < start_of_uk_day(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)]
)
def test_clock_change_days_are_shorter_and_longer(day: date, hours: int) -> None:
    length = start_of_uk_day(day + timedelta(days=1)) - start_of_uk_day(day)
    assert length == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("2026-11-01", None, "2026-11-01T00:00:00Z", "2026-11-24T09:30:00Z"),
        ("2026-11-01", "2026-11-02", "2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"),
        ("yesterday", None, "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
        ("today", None, "2026-11-24T00:00:00Z", "2026-11-24T09:30:00Z"),
        ("last-week", None, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("last-month", None, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-07-01", "2026-07-01", "2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z"),
        (None, "yesterday", "2026-11-17T00:00:00Z", "2026-11-24T00:00:00Z"),
    ],
)
def test_words_and_dates_name_windows(since: str | None, until: str | None, start: str, end: str) -> None:
    expected_start = "2026-09-30T23:00:00Z" if since == "last-month" else start
    window = resolve_window(since, until, NOW)
    assert (format_instant(window.start), format_instant(window.end)) == (expected_start, end)


@pytest.mark.parametrize("text", ["2026-13-01", "01/11/2026", "soon", "2026-11", ""])
def test_what_is_no_date_says_what_is(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        resolve_window(text, None, NOW)
    assert "2026-11-01" in refused.value.next_step


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(UsageError):
        resolve_window("2026-11-10", "2026-11-01", NOW)


def test_bank_holidays_are_known_without_a_network() -> None:
    days = bank_holidays(date(2026, 12, 1), date(2026, 12, 31))
    assert {date(2026, 12, 25), date(2026, 12, 28)} <= set(days)
