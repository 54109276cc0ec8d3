"""What a plain run owes: the last days again, and every hole that was left, however it came about."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import copilot_record, land, make_settings, make_workspace
from genai_audit import registry
from genai_audit.calendars import Window
from genai_audit.collection import _note_asked, _subtract, due_windows, find_source, pull, recognise
from genai_audit.errors import ConfigurationError, GenaiAuditError, IntegrityError
from genai_audit.landing import Landing, packages
from genai_audit.pulling import pull_windows
from genai_audit.registry import RawPage, SourceContext
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
    return [window.start.day for window in due_windows(run, "m365_audit", packages(run.workspace))]


def landed(run: Run, window: Window, outcome: str = "complete") -> None:
    _note_asked(run, "m365_audit", [window])
    land(run.workspace, [], window=window, outcome=outcome, reason="x")


def test_the_first_run_asks_for_the_first_days(run: Run) -> None:
    due = due_windows(run, "m365_audit", packages(run.workspace))
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
    assert due_windows(run, "m365_audit", packages(run.workspace))[0].start == NOW - timedelta(days=180)


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


@pytest.mark.parametrize(("days_ago", "outcome"), [(100, "complete"), (200, "unproven")])
def test_nothing_from_days_that_the_service_no_longer_keeps_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days_ago: int, outcome: str
) -> None:
    workspace = make_workspace(tmp_path)
    run = Run(workspace, make_settings(workspace), "test", started_at=NOW)
    silent = replace(find_source("m365_audit"), pull=lambda *_: iter([RawPage()]))
    monkeypatch.setattr(registry, "sources", lambda: {"m365_audit": silent})
    end = NOW - timedelta(days=days_ago)
    landing = Landing(workspace, run.settings, run.run_id)
    pull_windows(run, landing, "m365_audit", [Window(end - timedelta(days=1), end)], None)
    assert [package.outcome for package in run.landed] == [outcome]
    assert ("only 180 days are kept" in " ".join(run.gaps)) == (outcome == "unproven")


NO_PASSWORD = ConfigurationError(
    "The password has expired.", where="/home/audit/password", next_step="Put the new one into the file."
)


@pytest.fixture
def two(tmp_path: Path) -> Run:
    """A run of two sources, one window at a time."""
    workspace = make_workspace(tmp_path)
    settings = make_settings(
        workspace,
        '[tenant]\ntenant_id = "t"\nclient_id = "c"\n'
        '[sources]\nenabled = ["m365_audit", "m365_activity_api"]\n[m365_audit]\nparallel_windows = 1\n',
    )
    return Run(workspace, settings, "run", started_at=NOW)


def answer(monkeypatch: pytest.MonkeyPatch, **answers: GenaiAuditError | None) -> list[str]:
    """Let sources raise an error; None: give one record a window. Gives the sources as they are asked."""
    asked: list[str] = []

    def give(source_id: str, error: GenaiAuditError | None) -> registry.Source:
        def ask(window: Window, _: SourceContext) -> Iterator[RawPage]:
            asked.append(source_id)
            if error:
                raise error
            yield RawPage([copilot_record(window.start)])

        return replace(known[source_id], pull=ask)

    known = dict(registry.sources())
    changed = known | {name: give(name, error) for name, error in answers.items()}
    monkeypatch.setattr(registry, "sources", lambda: changed)
    return asked


def outcomes(run: Run) -> list[tuple[str, str]]:
    return [(one.source, one.outcome) for one in run.landed if one.source.startswith("m365")]


def test_a_source_that_people_must_mend_does_not_stop_the_others(
    two: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, m365_audit=NO_PASSWORD, m365_activity_api=None)
    pull(two, day(18, 2))
    assert outcomes(two) == [("m365_audit", "failed"), *2 * [("m365_activity_api", "complete")]]
    assert asked.count("m365_audit") == 1, "it would fail alike"
    assert any("failed: The password has expired." in gap for gap in two.gaps)
    assert any("1 more window(s) not asked" in gap for gap in two.gaps)
    assert not any("/home" in gap for gap in two.gaps)


def test_what_was_not_asked_for_want_of_a_password_is_owed(two: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, m365_audit=NO_PASSWORD)
    landed(two, day(4, 16))
    with pytest.raises(ConfigurationError):
        pull(two, day(2, 2))
    assert days_due(two) == [2, 3, *range(13, 20)]


def test_when_nothing_came_from_any_source_the_first_mistake_is_raised(
    two: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, m365_audit=NO_PASSWORD, m365_activity_api=ConfigurationError("Another."))
    with pytest.raises(ConfigurationError) as refused:
        pull(two, day(18))
    assert refused.value is NO_PASSWORD
    assert outcomes(two) == [("m365_audit", "failed"), ("m365_activity_api", "failed")]


def test_a_source_that_was_named_raises_and_lands_nothing(two: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, m365_audit=NO_PASSWORD)
    with pytest.raises(ConfigurationError):
        pull(two, day(18), ["m365_audit"])
    assert outcomes(two) == []


def test_altered_evidence_stops_the_run_whoever_meets_it(two: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, m365_audit=IntegrityError("Altered."), m365_activity_api=None)
    with pytest.raises(IntegrityError):
        pull(two, day(18))
    assert set(asked) == {"m365_audit"}
