"""Expected sources that said nothing."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.frames import MONDAY, days, evidence, make_calendar, make_coverage, make_frame
from genai_audit.detections.source_silence import detect
from genai_audit.registry import NotEvaluatedError

SPAN = days(MONDAY - timedelta(days=63), 77)


def run(coverage: pl.DataFrame, calendar: pl.DataFrame | None = None, **params: Any) -> pl.DataFrame:
    if calendar is None:
        calendar = make_calendar(SPAN)
    return detect({"fct_coverage": coverage, "dim_calendar_day": calendar}, params)


@pytest.mark.parametrize("status", ["unproven", "not collected"])
def test_fires_on_a_day_that_proves_nothing(status: str) -> None:
    row = run(make_coverage(SPAN, status={MONDAY: status})).row(0, named=True)
    assert (row["subject_kind"], row["subject_key"], row["found_day"]) == ("source", "m365_audit", MONDAY)
    assert (row["measure"], row["severity"]) == (1.0, "medium")
    assert "m365_audit said nothing on 1 day, 9 November 2026: " in row["summary"]
    assert "Stated reason: test." in row["summary"]
    assert evidence(row) == {"records": [], "counts": {"days": 1, "usual_records": 0}}


def test_neighbouring_days_are_one_finding() -> None:
    gap = dict.fromkeys(days(MONDAY, 3), "not collected") | {MONDAY + timedelta(days=4): "not collected"}
    found = run(make_coverage(SPAN, status=gap))
    assert sorted(found["measure"]) == [1.0, 3.0]
    assert "3 days, 9 November 2026 to 11 November 2026" in found.filter(pl.col("measure") == 3)["summary"][0]


def test_a_run_that_grows_keeps_its_number() -> None:
    short = run(make_coverage(SPAN, status={MONDAY: "unproven"}))
    longer = run(make_coverage(SPAN, status={MONDAY: "unproven", MONDAY + timedelta(days=1): "unproven"}))
    assert short["finding_id"].to_list() == longer["finding_id"].to_list()


@pytest.mark.parametrize("status", ["collected", "partly"])
def test_an_empty_day_fires_when_its_weekday_is_usually_full(status: str) -> None:
    found = run(make_coverage(SPAN, counts={MONDAY: 0}, status={MONDAY: status}))
    assert found["found_day"].to_list() == [MONDAY]
    assert "(usual: 500 records)" in found["summary"][0]


@pytest.mark.parametrize(("usual", "fires"), [(20, False), (21, True)])
def test_boundary_at_the_floor(usual: int, fires: bool) -> None:
    assert run(make_coverage(SPAN, counts={MONDAY: 0}, record_count=usual)).height == int(fires)


def test_quiet_on_holidays_closures_and_the_newest_days() -> None:
    coverage = make_coverage(SPAN, counts={MONDAY: 0})
    assert run(coverage, make_calendar(SPAN, holidays=[MONDAY])).is_empty()
    assert run(coverage, make_calendar(SPAN, {MONDAY: "closure"})).is_empty()
    assert run(make_coverage(SPAN, counts={SPAN[-1]: 0, SPAN[-3]: 0})).is_empty()
    assert run(make_coverage(SPAN, counts={SPAN[-4]: 0})).height == 1


def test_quiet_when_complete_partly_read_or_not_expected() -> None:
    assert run(make_coverage(SPAN)).is_empty()
    assert run(make_coverage(SPAN, status={MONDAY: "partly"})).is_empty()
    files = make_coverage(SPAN, "m365_files", status=dict.fromkeys(SPAN, "not collected"), is_expected=False)
    assert run(pl.concat([make_coverage(SPAN), files])).is_empty()


def test_works_without_a_university_calendar() -> None:
    assert run(make_coverage(SPAN, counts={MONDAY: 0}), make_calendar([])).height == 1


def test_not_evaluated_without_coverage_or_expected_sources() -> None:
    with pytest.raises(NotEvaluatedError, match="nothing was collected"):
        run(make_frame("fct_coverage"))
    with pytest.raises(NotEvaluatedError, match="no source is expected"):
        run(make_coverage(SPAN, is_expected=False))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(SPAN), st.sampled_from(["unproven", "not collected", "partly"]), max_size=20
    ),
    st.sets(st.sampled_from(SPAN), max_size=20),
    st.randoms(use_true_random=False),
)
def test_same_answer_in_any_order_and_every_gap_is_told(
    status: dict[date, str], empty: set[date], shuffle: random.Random
) -> None:
    one = make_coverage(SPAN, status=status, counts=dict.fromkeys(empty, 0))
    coverage = pl.concat([one, make_coverage(SPAN, "vle_csv", status=status)])
    found = run(coverage)
    assert found.equals(run(coverage.sample(fraction=1, shuffle=True, seed=shuffle.randrange(1000))))
    assert found["finding_id"].n_unique() == found.height
    gaps = sum(word != "partly" for word in status.values())
    assert found.filter(pl.col("subject_key") == "vle_csv")["measure"].sum() == gaps
