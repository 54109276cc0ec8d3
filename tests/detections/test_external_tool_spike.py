"""Use of an external tool far above days of the same kind."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.frames import MONDAY, at, days, evidence, make_calendar, make_coverage, make_frame
from genai_audit.detections.external_tool_spike import DETECTION, detect
from genai_audit.registry import NotEvaluatedError

SPAN = days(MONDAY - timedelta(days=70), 75)


def uses(counts: Mapping[date, int], tool: str = "deepseek", **more: Any) -> list[dict[str, Any]]:
    return [
        {"record_id": f"{tool}-{day}-{n:03}", "record_kind": "event", "is_use": True,
         "occurred_at": at(day, 600 + n), "occurred_day": day,
         "person_key": f"ps_{n % 7}", "tool_id": tool, "tool_name": tool.title(), "tool_status": "restricted",
         "channel": "ai_app", "source": "m365_audit"} | more
        for day, count in counts.items() for n in range(count)
    ]  # fmt: skip


def frames(rows: list[dict[str, Any]], **parts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    usual = {"fct_coverage": make_coverage(SPAN), "dim_calendar_day": make_calendar(SPAN)}
    return {"fct_external_use": make_frame("fct_external_use", rows)} | usual | parts


def steady(value: int, until: date = MONDAY) -> dict[date, int]:
    return {day: value for day in SPAN if day < until}


def test_fires_far_above_the_same_weekday() -> None:
    found = detect(frames(uses(steady(5) | {MONDAY: 40})), {})
    row = found.row(0, named=True)
    assert found.height == 1
    assert (row["subject_kind"], row["subject_key"], row["found_day"]) == ("tool", "deepseek", MONDAY)
    assert (row["severity"], row["measure"], row["expected"]) == ("medium", 40.0, 5.0)
    assert "40 uses by 7 persons on 9 November 2026" in row["summary"]
    assert "median of 8 comparable days (same weekday, teaching) is 5" in row["summary"]
    assert "ai_app" in row["summary"]
    read = evidence(row)
    assert [one["record_id"] for one in read["records"]] == [f"deepseek-{MONDAY}-{n:03}" for n in range(5)]
    assert read["counts"]["records"] == 40


def test_what_was_refused_or_only_asked_for_is_no_use() -> None:
    rows = uses(steady(5)) + uses({MONDAY: 40}, is_use=False)
    assert detect(frames(rows), {}).height == 0


@pytest.mark.parametrize(("value", "fires"), [(19, False), (20, True)])
def test_boundary_at_the_floor(value: int, fires: bool) -> None:
    assert detect(frames(uses(steady(2) | {MONDAY: value})), {}).height == int(fires)


def test_quiet_on_an_ordinary_week_and_after_a_data_gap() -> None:
    assert detect(frames(uses(dict.fromkeys(SPAN, 30))), {}).is_empty()
    gap = days(MONDAY - timedelta(days=7), 7)
    rows = uses({day: 30 for day in SPAN if day not in gap})
    coverage = make_coverage(SPAN, status=dict.fromkeys(gap, "not collected"))
    assert detect(frames(rows, fct_coverage=coverage), {}).is_empty()


def test_days_without_rows_are_zeros_only_when_collected() -> None:
    """Used on every second Monday: with the others proven zero the median is half of it."""
    mondays = [MONDAY - timedelta(weeks=n) for n in range(9)]
    used, unused = mondays[::2], mondays[1::2]
    rows = uses(dict.fromkeys(used, 12) | {MONDAY: 60})
    proven = detect(frames(rows), {})
    assert proven["expected"].to_list() == [6.0]
    coverage = make_coverage(SPAN, status=dict.fromkeys(unused, "unproven"))
    assert detect(frames(rows, fct_coverage=coverage), {})["expected"].to_list() == [12.0]


def test_a_vacation_peak_fires_and_an_assessment_peak_does_not() -> None:
    values = {day: 25 if day < MONDAY - timedelta(days=28) else 2 for day in SPAN if day < MONDAY} | {
        MONDAY: 40
    }
    kinds = {day: "assessment" if day < MONDAY - timedelta(days=28) else "vacation" for day in SPAN}
    assert detect(frames(uses(values), dim_calendar_day=make_calendar(SPAN, kinds)), {}).height == 1
    kinds[MONDAY] = "assessment"
    assert detect(frames(uses(values), dim_calendar_day=make_calendar(SPAN, kinds)), {}).is_empty()


def test_a_new_tool_is_said_to_be_not_judged() -> None:
    new = {MONDAY: 1, MONDAY + timedelta(days=1): 300, MONDAY + timedelta(days=2): 200}
    found = detect(frames(uses(steady(5), "other") + uses(new)), {})
    row = found.row(0, named=True)
    assert found.height == 1
    assert (row["severity"], row["found_day"], row["expected"]) == ("low", MONDAY + timedelta(days=1), None)
    assert "first seen on 9 November 2026, too few comparable days, so not judged" in row["summary"]
    assert evidence(row)["counts"]["tool_days_not_judged"] == 2


def test_the_start_of_collection_is_not_a_new_tool() -> None:
    """A tool used since the first day of the data, judged once there is a history."""
    assert detect(frames(uses(dict.fromkeys(SPAN, 30))), {}).is_empty()


def test_a_file_that_covers_one_month_does_not_spoil_the_comparison() -> None:
    month = SPAN[:30]
    rows = uses(steady(5) | {MONDAY: 40}) + uses({SPAN[0]: 1}, source="m365_files", record_id="imported")
    status = {day: "collected" if day in month else "not collected" for day in SPAN}
    files = make_coverage(SPAN, "m365_files", status=status, is_expected=False)
    coverage = pl.concat([make_coverage(SPAN), files])
    assert detect(frames(rows, fct_coverage=coverage), {})["measure"].to_list() == [40.0]


def test_persons_can_be_counted_instead() -> None:
    rows = uses(steady(5) | {MONDAY: 40})
    assert detect(frames(rows), {"counted": "persons"}).is_empty()
    found = detect(frames(rows), {"counted": "persons", "floor": 7, "ratio": 1.4, "k": 0.5})
    assert found["measure"].to_list() == [7.0]
    assert "7 persons on 9 November" in found["summary"][0]


def test_a_name_from_the_log_brings_no_address_and_no_line_break() -> None:
    rows = uses(steady(5) | {MONDAY: 40}, "someone@example.invalid\n", tool_name=None)
    row = detect(frames(rows), {}).row(0, named=True)
    assert "@" not in row["subject_key"] + row["summary"]
    assert "\n" not in row["summary"]


def test_not_evaluated_without_rows_calendar_or_history() -> None:
    with pytest.raises(NotEvaluatedError, match="no external AI tool"):
        detect(frames([]), {})
    with pytest.raises(NotEvaluatedError, match="calendar is empty"):
        detect(frames(uses({MONDAY: 40}), dim_calendar_day=make_calendar([])), {})
    with pytest.raises(NotEvaluatedError, match="insufficient_history"):
        detect(frames(uses({SPAN[0]: 40})), {})
    with pytest.raises(NotEvaluatedError, match="insufficient_history"):
        detect(frames(uses(steady(5) | {MONDAY: 40}), fct_coverage=make_coverage([])), {})


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from(SPAN), st.integers(0, 60), min_size=1, max_size=40),
    st.dictionaries(st.sampled_from(SPAN), st.integers(0, 60), max_size=40),
    st.randoms(use_true_random=False),
)
def test_same_answer_in_any_order_and_again(
    one: dict[date, int], two: dict[date, int], shuffle: random.Random
) -> None:
    rows = uses(one) + uses(two, "gemini")
    mixed = rows[:]
    shuffle.shuffle(mixed)
    answers = []
    for each in (rows, mixed, rows):
        try:
            answers.append(detect(frames(each), DETECTION.params).rows())
        except NotEvaluatedError as missing:
            answers.append([(missing.reason,)])
    assert answers[0] == answers[1] == answers[2]
    assert len({row[0] for row in answers[0]}) == len(answers[0])
