"""The comparison with days of the same kind, and the sliding window."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.frames import MONDAY, days
from genai_audit.detections._baseline import Rule, compare_days, count_in_window, judge_days

FIRST = MONDAY - timedelta(days=70)


def history(values: dict[date, int], **kinds: dict[date, object]) -> pl.DataFrame:
    rows = [
        (
            "tool",
            day,
            value,
            kinds.get("types", {}).get(day, "teaching"),
            kinds.get("holidays", {}).get(day, False),
            kinds.get("comparable", {}).get(day, True),
        )
        for day, value in values.items()
    ]
    names = ["subject", "day", "value", "day_type", "is_bank_holiday", "is_comparable"]
    return pl.DataFrame(rows, schema=names, orient="row")


def judge(
    values: dict[date, int], rule: Rule | None = None, **kinds: dict[date, object]
) -> dict[str, object]:
    return (
        judge_days(history(values, **kinds), rule or Rule())
        .filter(pl.col("day") == MONDAY)
        .row(0, named=True)
    )


def test_a_day_is_compared_with_eight_weeks_of_its_weekday() -> None:
    values = {day: 2 if day.weekday() == 0 else 500 for day in days(FIRST, 70)} | {MONDAY: 30}
    row = judge(values)
    assert row["compared_days"] == 8
    assert row["compared_with"] == "same weekday"
    assert row["median"] == 2
    assert row["is_unusual"]


def test_the_same_value_is_judged_by_the_kind_of_day() -> None:
    """30 in a vacation with median 2 is unusual, the same 30 in assessment with median 25 isn't."""
    mondays = [MONDAY - timedelta(weeks=n) for n in range(1, 9)]
    quiet, busy = mondays[:4], mondays[4:]
    values = dict.fromkeys(quiet, 2) | dict.fromkeys(busy, 25) | {MONDAY: 30}
    types: dict[date, object] = dict.fromkeys(quiet, "vacation") | dict.fromkeys(busy, "assessment")
    assert judge(values, types=types | {MONDAY: "vacation"})["is_unusual"]
    assert not judge(values, types=types | {MONDAY: "assessment"})["is_unusual"]


@pytest.mark.parametrize(("value", "fires"), [(19, None), (20, True)])
def test_below_the_floor_nothing_is_returned(value: int, fires: bool | None) -> None:
    values = dict.fromkeys(days(FIRST, 70), 1) | {MONDAY: value}
    judged = judge_days(history(values), Rule())
    assert judged["is_unusual"].to_list() == ([] if fires is None else [fires])


@pytest.mark.parametrize(("value", "fires"), [(29, False), (30, True)])
def test_ratio_is_met_at_exactly_three_times_the_median(value: int, fires: bool) -> None:
    values = dict.fromkeys(days(FIRST, 70), 10) | {MONDAY: value}
    assert judge(values)["is_unusual"] is fires  # k: (30 - 10) / sqrt(10) = 6.3


@pytest.mark.parametrize(("value", "fires"), [(35, False), (36, True)])
def test_k_is_met_at_exactly_four_spreads(value: int, fires: bool) -> None:
    """Median 4, root 2, no MAD: floor and ratio reached, so 4 + 4 x spread decides (MAD 5.4 -> 8.0)."""
    values = dict.fromkeys(days(FIRST, 70), 4) | {MONDAY: value}
    assert judge(values, Rule(floor=1, k=16))["is_unusual"] is fires  # 4 + 16 x 2 = 36


def test_spread_grows_with_the_mad_of_wild_days() -> None:
    wild = [0, 0, 0, 0, 40, 40, 40, 40]
    values = {MONDAY - timedelta(weeks=n + 1): value for n, value in enumerate(wild)} | {MONDAY: 100}
    row = judge(values)
    assert row["median"] == 20
    assert row["spread"] == pytest.approx(1.4826 * 20)
    assert not row["is_unusual"]  # 80 / 29.7 = 2.7


def test_fewer_than_four_weekdays_fall_back_to_ten_days_of_the_type() -> None:
    ten = dict.fromkeys(days(MONDAY - timedelta(days=10), 10), 3)
    row = judge(ten | {MONDAY: 60})
    assert (row["compared_with"], row["compared_days"], row["is_unusual"]) == ("same kind of day", 10, True)
    nine = dict.fromkeys(days(MONDAY - timedelta(days=9), 9), 3)
    row = judge(nine | {MONDAY: 60})
    assert (row["compared_with"], row["is_judged"], row["is_unusual"]) == (None, False, False)
    assert row["median"] is None


def test_exactly_four_weekdays_are_enough_and_eight_weeks_the_limit() -> None:
    four = {MONDAY - timedelta(weeks=n): 2 for n in (1, 2, 3, 8)}
    assert judge(four | {MONDAY: 50})["compared_days"] == 4
    assert not judge({MONDAY - timedelta(weeks=n): 2 for n in (1, 2, 3, 9)} | {MONDAY: 50})["is_judged"]


def test_bank_holidays_and_gaps_are_never_compared_with() -> None:
    values = {MONDAY - timedelta(weeks=n): 2 for n in range(1, 6)} | {MONDAY: 50}
    holiday = judge(values, holidays={MONDAY - timedelta(weeks=1): True})
    assert holiday["compared_days"] == 4
    gaps: dict[date, object] = {MONDAY - timedelta(weeks=n): False for n in (1, 2)}
    assert not judge(values, comparable=gaps)["is_judged"]


def test_a_day_that_was_not_wholly_collected_is_still_judged() -> None:
    values = {MONDAY - timedelta(weeks=n): 2 for n in range(1, 6)} | {MONDAY: 50}
    assert judge(values, comparable={MONDAY: False})["is_unusual"]


def test_subjects_do_not_mix() -> None:
    one = history(dict.fromkeys(days(FIRST, 70), 100))
    two = history({MONDAY: 100}).with_columns(pl.lit("other").alias("subject"))
    judged = compare_days(two, pl.concat([one, two]), Rule())
    assert judged["is_judged"].to_list() == [False]


def test_nothing_in_nothing_out() -> None:
    assert judge_days(history({MONDAY: 1}).clear(), Rule()).is_empty()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 40)), min_size=1, max_size=40
    )
)
def test_window_counts_as_the_definition_says(rows: list[tuple[str, str, int]]) -> None:
    start = datetime(2026, 11, 9, tzinfo=UTC)
    frame = pl.DataFrame(
        [(person, resource, start + timedelta(minutes=minute)) for person, resource, minute in rows],
        schema={"person": pl.String, "resource_key": pl.String, "occurred_at": pl.Datetime("us", "UTC")},
        orient="row",
    )
    counted = count_in_window(frame, timedelta(minutes=10))
    assert counted.height == frame.height
    for person, resource, moment, in_window in counted.iter_rows():
        minute = (moment - start).seconds // 60
        expected = {r for p, r, m in rows if p == person and minute - 10 <= m <= minute}
        assert in_window == len(expected), (person, resource, minute)
