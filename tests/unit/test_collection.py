"""What a plain run owes: the last days again, and every hole that was left, however it came about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import land, make_settings, make_workspace
from genai_audit.calendars import Window
from genai_audit.collection import _note_asked, _subtract, _windows_to_pull, due_windows, recognise
from genai_audit.runs import Run

NOW = datetime(2026, 7, 20, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)


def day(number: int, days: int = 1) -> Window:
    start = JULY + timedelta(days=number - 1)
    return Window(start, start + timedelta(days=days))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    workspace = make_workspace(tmp_path)
    return Run(workspace, make_settings(workspace), "run", started_at=NOW)


def days_due(run: Run) -> list[int]:
    return [window.start.day for window in due_windows(run, "m365_audit")]


def landed(run: Run, window: Window, outcome: str = "complete") -> None:
    _note_asked(run, "m365_audit", [window])
    land(run.workspace, [], window=window, outcome=outcome, reason="x")


def test_the_first_run_asks_for_the_first_days(run: Run) -> None:
    due = due_windows(run, "m365_audit")
    assert (due[0].start, due[-1].end) == (NOW - timedelta(days=30), NOW)


def test_a_later_run_asks_for_the_last_seven_days_again(run: Run) -> None:
    landed(run, day(1, 19))
    assert days_due(run) == list(range(13, 20))


@pytest.mark.parametrize("outcome", ["failed", "partial"])
def test_a_window_that_was_not_read_to_its_end_is_owed_until_it_is(run: Run, outcome: str) -> None:
    landed(run, day(1, 2))
    landed(run, day(3), outcome)
    landed(run, day(4, 16))
    assert days_due(run) == [3, *range(13, 20)]
    landed(run, day(3))
    assert days_due(run) == list(range(13, 20))


@pytest.mark.parametrize("outcome", ["capped", "unproven"])
def test_what_asking_again_cannot_mend_is_not_owed(run: Run, outcome: str) -> None:
    landed(run, day(1, 2))
    landed(run, day(3), outcome)
    landed(run, day(4, 16))
    assert days_due(run) == list(range(13, 20))


def test_a_hole_between_two_runs_is_owed(run: Run) -> None:
    landed(run, day(1, 3))
    landed(run, day(7, 12))
    assert days_due(run)[:3] == [4, 5, 6]


def test_a_run_that_was_killed_before_its_first_window_is_not_forgotten(run: Run) -> None:
    _note_asked(run, "m365_audit", [day(2)])
    assert days_due(run)[0] == 2


def test_nothing_is_asked_for_that_the_service_no_longer_keeps(run: Run) -> None:
    old = NOW - timedelta(days=400)
    landed(run, Window(old, old + timedelta(days=1)))
    assert due_windows(run, "m365_audit")[0].start == NOW - timedelta(days=180)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=6))
def test_what_is_left_and_what_was_read_cover_the_span(parts: list[tuple[int, int]]) -> None:
    span = day(5, 25)
    read = sorted(day(start + 1, length) for start, length in parts)
    left = list(_subtract(span, read))
    for hour in range(0, 25 * 24, 12):
        at = span.start + timedelta(hours=hour)
        is_read = any(window.contains(at) for window in read)
        assert any(window.contains(at) for window in left) != is_read


@pytest.mark.parametrize(
    ("kind", "source_id"),
    [
        ("purview_csv", "m365_files"),
        ("jsonl", "m365_files"),
        ("generic", "vle_csv"),
        ("own", "vle_csv"),
    ],
)
def test_a_kind_that_is_named_finds_its_source_also_for_an_unknown_file(
    tmp_path: Path, kind: str, source_id: str
) -> None:
    file = tmp_path / "export.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    assert recognise(file, kind) == (source_id, kind)


def test_what_the_service_no_longer_keeps_is_not_asked_and_named(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    run = Run(workspace, make_settings(workspace), "test", started_at=NOW)
    month = Window(NOW - timedelta(days=200), NOW)
    windows = _windows_to_pull(run, "m365_audit", month)
    assert windows[0].start == NOW - timedelta(days=180)
    assert (
        _windows_to_pull(run, "m365_audit", Window(NOW - timedelta(days=300), NOW - timedelta(days=200)))
        == []
    )
