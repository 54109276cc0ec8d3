"""The count baseline: its laws, its special situations, its Polars door."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from genai_audit.detections import _calnb as calnb
from genai_audit.detections._calnb_calendar import WEEKLY, Array, Calendar, make_calendar
from genai_audit.detections._calnb_frames import JUDGED, judge_counts, judge_rises
from genai_audit.detections._calnb_profile import Starts
from genai_audit.detections._calnb_sustained import judge_sustained
from genai_audit.detections._calnb_tail import bound, learn_dispersion, partial_variance, set_thresholds, tail
from genai_audit.errors import BadDataError

MONDAY = date(2025, 9, 1)
DAYS, FIRST = 210, 180
WEEKDAY = np.array([1.1, 1.1, 1.1, 1.0, 0.8, 0.2, 0.1])


def calendar(days: int = DAYS, phases: list[str] | None = None, holidays: tuple[int, ...] = ()) -> Calendar:
    ordinals = MONDAY.toordinal() + np.arange(days)
    return make_calendar(ordinals, phases or ["none"] * days, np.isin(np.arange(days), holidays))


def draw(level: float, series: int = 12, days: int = DAYS, seed: int = 1) -> Array:
    """Poisson counts with a working week, series × days."""
    rng = np.random.default_rng(seed)
    return rng.poisson(level * WEEKDAY[np.arange(days) % 7], (series, days)).astype(float)


def predict(counts: Array, days: Calendar | None = None, weights: Array | None = None) -> calnb.Prediction:
    return calnb.predict(counts, days or calendar(counts.shape[1]), FIRST, weights=weights)


def verdict(counts: Array, days: Calendar | None = None) -> calnb.Verdict:
    return calnb.judge(predict(counts, days), counts[:, FIRST:])


# --- the tail -------------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.floats(0.01, 300), st.floats(1.001, 8))
def test_the_tail_is_that_of_the_negative_binomial(count: int, mean: float, dispersion: float) -> None:
    size = mean / (dispersion - 1)
    expected = nbinom.sf(count - 1, size, size / (size + mean))
    found = tail(np.array([float(count)]), np.array([mean]), np.array([mean * dispersion]))[0]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_the_tail_becomes_that_of_poisson() -> None:
    found = tail(np.array([9.0]), np.array([3.0]), np.array([3.0]))[0]
    assert found == pytest.approx(poisson.sf(8, 3), rel=1e-4)


@given(st.floats(0.005, 500), st.floats(1.0001, 9), st.sampled_from([0.05, 1e-2, 1e-3, 1e-4]))
def test_the_bound_is_the_largest_count_without_an_alarm(mean: float, spread: float, alpha: float) -> None:
    means, variances = np.array([mean]), np.array([mean * spread])
    upper = bound(means, variances, alpha)
    assert tail(upper + 1, means, variances)[0] <= alpha
    assert upper[0] == 0 or tail(upper, means, variances)[0] > alpha


def test_a_part_of_a_day_varies_as_thinning_says() -> None:
    """Each event has arrived with chance c: variance c e + c² (V - e); a whole day keeps V."""
    mean, variance = np.array([10.0]), np.array([30.0])
    assert partial_variance(mean, variance, 1.0) == pytest.approx(30)
    assert partial_variance(mean, variance, 0.5) == pytest.approx(0.5 * 10 + 0.25 * 20)


def test_a_dispersion_is_drawn_towards_series_of_its_level() -> None:
    squares, weights = np.full(10, 150.0), np.full(10, 50.0)
    assert learn_dispersion(squares, weights, np.full(10, 5.0)) == pytest.approx(3)
    lonely = learn_dispersion(np.zeros(1), np.zeros(1), np.ones(1))
    assert lonely == pytest.approx(1.4)  # nothing known: the usual one
    assert learn_dispersion(np.zeros(10), np.full(10, 50.0), np.full(10, 5.0)) == pytest.approx(1)


def test_a_week_after_an_unusual_week_needs_less_and_after_an_ordinary_one_more() -> None:
    p = np.array([[0.4, 1e-9, 0.5, 1.0]])
    found = set_thresholds(p, 0.65, 2e-3)[0]
    assert found[0] == pytest.approx(2e-3 * 0.35)  # nothing before it
    assert found[1] == pytest.approx(2e-3 * 0.35 / 0.4**0.65)
    assert found[2] == pytest.approx(2e-3 * 0.35 * 1e3**0.65)  # no more than 1e-3 is carried on
    assert set_thresholds(p, 0.0, 1e-3) == pytest.approx(1e-3)


@pytest.mark.parametrize("carry", [0.2, 0.65, 0.8])
def test_what_is_carried_on_keeps_the_rate_of_false_alarms(carry: float) -> None:
    p = np.random.default_rng(6).random((1000, 1000))
    assert 0.5 < (p <= set_thresholds(p, carry, 1e-2)).mean() / 1e-2 < 1.05


# --- laws of the whole ----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(FIRST, DAYS - 1), st.integers(0, 11), st.integers(0, 5000))
def test_a_later_count_never_changes_an_earlier_row(day: int, series: int, value: int) -> None:
    counts = draw(4)
    before, changed = predict(counts), counts.copy()
    changed[series, day] = value
    after = predict(changed)
    # The guard: the day itself and the seven after it are expected as if nothing had happened.
    same = slice(0, day - FIRST + 8)
    for name in ("expected", "variance", "level"):
        assert np.array_equal(getattr(before, name)[:, same], getattr(after, name)[:, same]), name


def test_a_shorter_history_gives_the_same_rows() -> None:
    counts = draw(4)
    whole, cut = predict(counts), predict(counts[:, : DAYS - 11])
    assert cut.expected == pytest.approx(whole.expected[:, :-11], rel=1e-4)


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 30))
def test_expectations_scale_with_the_counts(factor: int) -> None:
    counts = draw(60)
    ratio = predict(counts * factor).expected / (predict(counts).expected * factor)
    assert 0.9 < ratio.min() < ratio.max() < 1.1  # the prior shrinks small counts more


@settings(max_examples=8, deadline=None)
@given(st.floats(0.05, 80), st.integers(0, 99))
def test_level_and_factors_multiply_to_what_is_expected(level: float, seed: int) -> None:
    phases = ["teaching"] * 100 + ["exam"] * 40 + ["vacation"] * 70
    prediction = predict(draw(level, seed=seed), calendar(phases=phases, holidays=(50, 51, 185)))
    series, day = (grid.ravel() for grid in np.indices(prediction.expected.shape))
    factors = calnb.explain(prediction, series, day)
    product = np.prod(list(factors.values()), axis=0)
    assert product == pytest.approx(prediction.expected[series, day], rel=1e-6)
    assert set(factors) == {"level", "weekday", "phase", "holiday"}


def test_the_factors_are_those_of_the_days() -> None:
    """Level: the geometric mean weekday. A Monday's factor over a Sunday's made the counts."""
    prediction = predict(draw(300))
    monday = (7 - FIRST % 7) % 7
    days = np.array([monday, monday + 6])
    weekday = calnb.explain(prediction, np.array([0, 0]), days)["weekday"]
    assert weekday[0] / weekday[1] == pytest.approx(11, rel=0.1)


def test_series_do_not_depend_on_their_neighbours_order() -> None:
    counts = draw(3, series=40)
    order = np.random.default_rng(3).permutation(40)
    assert predict(counts[order]).expected == pytest.approx(predict(counts).expected[order], rel=1e-4)


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 5))
def test_a_series_of_zeros_never_alarms(series: int) -> None:
    zeros = np.zeros((series, DAYS))
    found = verdict(zeros)
    assert (found.p == 1).all()
    assert not found.is_alarm.any()


def test_of_quiet_days_few_alarm_and_a_spike_does() -> None:
    counts = draw(5, series=200)
    counts[7, 200] += 40
    found = verdict(counts)
    assert found.is_alarm[7, 200 - FIRST]
    assert (counts[:, FIRST:] > found.upper)[found.is_alarm].all()
    assert found.is_alarm.mean() < 0.002


def test_the_same_spike_is_judged_by_the_term_phase() -> None:
    """90 on an assessment day is usual, on a vacation day it isn't."""
    phases = (["teaching"] * 45 + ["exam"] * 25 + ["vacation"] * 30) * 2 + ["exam"] * 110
    busy = np.array([{"teaching": 30, "exam": 90, "vacation": 10}[name] for name in phases[:DAYS]])
    counts = np.random.default_rng(5).poisson(busy, (30, DAYS)).astype(float)
    exam = verdict(counts, calendar(phases=phases[:DAYS]))
    quiet = [*phases[:200], *["vacation"] * 10]
    vacation = verdict(counts, calendar(phases=quiet))
    assert not exam.is_alarm[:, 205 - FIRST].any()
    assert vacation.is_alarm[:, 205 - FIRST].all()


# --- special situations ---------------------------------------------------------------------------------


def test_missing_days_teach_nothing_and_a_missing_day_is_no_alarm() -> None:
    counts = draw(40)
    gap = counts.copy()
    gap[:, 150:160] = 9999  # whatever stands there is not read
    weights = np.ones_like(counts)
    weights[:, 150:160] = 0
    whole, holed = predict(counts), predict(gap, weights=weights)
    assert holed.expected == pytest.approx(whole.expected, rel=0.25)
    gap[:, 150:160] = np.nan
    assert np.array_equal(predict(gap).expected, holed.expected)
    zeros = counts.copy()
    zeros[:, 150:160] = 0
    assert (predict(zeros).expected.mean(axis=1) < 0.95 * holed.expected.mean(axis=1)).all()
    told = counts[:, FIRST:].copy()
    told[:, 3] = np.nan
    found = calnb.judge(whole, told)
    assert (found.p[:, 3] == 1).all()
    assert not found.is_alarm[:, 3].any()


def test_a_masked_incident_is_not_learnt() -> None:
    counts = draw(6)
    incident = counts.copy()
    incident[0, 150:165] += 60
    weights = np.ones_like(counts)
    weights[0, 150:165] = 0
    masked, learnt = predict(incident, weights=weights), predict(incident)
    assert masked.expected[0] == pytest.approx(predict(counts).expected[0], rel=0.35)
    assert learnt.expected[0].mean() > 1.5 * masked.expected[0].mean()


def test_a_series_starts_with_its_first_event_or_a_little_before() -> None:
    counts = np.zeros((100, 3), dtype=np.float32)
    counts[60:, 0] = 9
    counts[[60, 80], 1] = 1
    starts = Starts(counts, np.ones_like(counts), calnb.DAILY)
    assert starts.at(100).tolist() == [60, 60 - 10 + 1, 100]  # 2 events in 21 days: one in about ten
    assert starts.at(60).tolist() == [60, 60, 60]  # nothing is known of later days
    assert starts.at(70).tolist() == [60, 60 - 9, 70]


def test_a_launch_is_no_spike_and_is_caught_up_with() -> None:
    counts = draw(50)
    counts[0, :170] = 0
    prediction = predict(counts)
    found = calnb.judge(prediction, counts[:, FIRST:])
    assert not found.is_alarm[0, : 170 + 28 - FIRST].any()
    assert prediction.expected[0, -7:].mean() == pytest.approx(counts[0, -7:].mean(), rel=0.35)


def test_too_short_a_history_is_not_judged() -> None:
    counts = draw(4, days=60)
    prediction = calnb.predict(counts, calendar(60), 0)
    assert prediction.first == 35
    assert prediction.expected.shape == (12, 25)
    assert calnb.predict(counts[:, :20], calendar(20), 10).expected.shape == (12, 0)


def test_a_partial_day_is_met_by_a_part_of_the_expectation() -> None:
    counts = draw(40, series=50)
    prediction = predict(counts)
    half = np.floor(counts[:, FIRST:] / 2)
    half[3, 5] = 60
    found = calnb.judge(prediction, half, completeness=0.5)
    assert found.is_alarm[3, 5]
    assert found.is_alarm.sum() <= 2
    assert (found.upper < calnb.judge(prediction, half).upper).all()


def test_holidays_have_an_effect_of_their_own_and_so_has_the_day_after() -> None:
    holidays = tuple(range(23, DAYS, 14))
    counts = draw(100)
    counts[:, holidays] = 0
    after = np.array(holidays)[:-1] + 1
    counts[:, after] *= 1.5
    found = verdict(counts, calendar(holidays=holidays))
    judged = after[after >= FIRST] - FIRST
    assert len(judged)
    assert not found.is_alarm[:, judged].any()


def test_a_week_knows_the_season_after_three_years() -> None:
    weeks, first = 230, 200
    ordinals = MONDAY.toordinal() + 7 * np.arange(weeks)
    year = make_calendar(ordinals, ["none"] * weeks, np.zeros(weeks, bool), WEEKLY)
    mean = 40 * np.exp(0.8 * np.cos(2 * np.pi * np.arange(weeks) / 52.18))
    counts = np.random.default_rng(2).poisson(mean, (20, weeks)).astype(float)
    prediction = calnb.predict(counts, year, first, WEEKLY)
    assert prediction.expected.mean(axis=0) == pytest.approx(mean[first:], rel=0.12)
    assert [len(one) for one in prediction.effects][-1] == 4


# --- sustained rises ------------------------------------------------------------------------------------


def test_a_week_of_a_little_more_is_seen_by_the_sustained_stream_only() -> None:
    counts = draw(5, series=60)
    counts[4, 196:201] = (10, 11, 10, 10, 8)  # Monday to Friday
    prediction = predict(counts)
    daily = calnb.judge(prediction, counts[:, FIRST:]).p
    weekly = judge_sustained(prediction, counts[:, FIRST:])
    assert weekly[4, 200 - FIRST] <= 1e-3
    assert daily[4, 196 - FIRST : 201 - FIRST].min() > 1e-3
    assert (weekly <= 1e-3).mean() < 0.004


def test_one_spike_is_no_sustained_rise() -> None:
    counts = draw(5, series=60)
    counts[4, 195] = 500
    weekly = judge_sustained(predict(counts), counts[:, FIRST:])
    assert weekly[4, 195 - FIRST :].min() > 1e-3


def test_the_first_six_days_end_no_week() -> None:
    counts = draw(5)
    p = judge_sustained(predict(counts), counts[:, FIRST:])
    assert (p[:, :6] == 1).all()
    short = calnb.predict(counts, calendar(), DAYS - 3)
    assert (judge_sustained(short, counts[:, DAYS - 3 :]) == 1).all()


# --- the Polars door ------------------------------------------------------------------------------------


def to_frame(counts: Array) -> pl.DataFrame:
    series, day = (grid.ravel() for grid in np.indices(counts.shape))
    return pl.DataFrame(
        {
            "series": [f"tool {number:02d}" for number in series],
            "day": [MONDAY + timedelta(days=int(number)) for number in day],
            "count": counts[series, day].astype(int),
        }
    )


def to_calendar(days: int = DAYS) -> pl.DataFrame:
    span = [MONDAY + timedelta(days=number) for number in range(-30, days + 200)]
    types = ["teaching" if number < 150 else "vacation" for number in range(len(span) - 1)]
    return pl.DataFrame(
        {
            "calendar_day": span,
            "day_type": [*types, "unknown"],
            "is_bank_holiday": [number % 60 == 0 for number in range(len(span))],
        }
    )


SINCE = MONDAY + timedelta(days=FIRST)


def test_every_judged_row_explains_itself() -> None:
    counts = draw(8)
    counts[2, 200] = 90
    rows = judge_counts(to_frame(counts).sample(fraction=1, shuffle=True, seed=1), to_calendar(), SINCE)
    assert dict(rows.schema) == JUDGED
    assert rows.height == 12 * (DAYS - FIRST)
    product = pl.col("level") * pl.col("weekday_factor") * pl.col("phase_factor") * pl.col("holiday_factor")
    assert rows.select(((product / pl.col("expected") - 1).abs() < 1e-6).all()).item()
    alarm = rows.filter("is_alarm").row(0, named=True)
    assert (alarm["series"], alarm["day"]) == ("tool 02", MONDAY + timedelta(days=200))
    assert alarm["observed"] == 90 > alarm["upper"] > alarm["expected"]
    assert alarm["completeness"] == 1


def test_an_alarm_needs_three_events() -> None:
    counts = np.zeros((3, DAYS))
    counts[:, 100] = 1
    counts[0, 195], counts[1, 195] = 2, 6
    rows = judge_counts(to_frame(counts), to_calendar(), SINCE).filter(
        pl.col("day") == MONDAY + timedelta(days=195)
    )
    assert rows["is_alarm"].to_list() == [False, True, False]
    assert (rows["upper"] >= 2).all()
    assert rows["p"][0] < 0.01


def test_completeness_and_masks_are_read_by_day() -> None:
    counts = draw(8)
    counts[2, 150:160] += 80
    last = MONDAY + timedelta(days=DAYS - 1)
    part = pl.DataFrame({"day": [last], "completeness": [0.4]})
    masked = pl.DataFrame(
        {"series": ["tool 02"] * 10, "day": [MONDAY + timedelta(days=150 + number) for number in range(10)]}
    )
    plain = judge_counts(to_frame(counts), to_calendar(), SINCE)
    told = judge_counts(to_frame(counts), to_calendar(), SINCE, completeness=part, masked=masked)
    both = plain.join(told, on=["series", "day"], suffix="_told").sort("series", "day")
    assert both.filter(pl.col("completeness_told") != 1)["day"].unique().to_list() == [last]
    hit = both.filter(pl.col("series") == "tool 02")
    assert (hit["expected"] > 1.5 * hit["expected_told"]).all()
    other = both.filter(pl.col("series") != "tool 02", pl.col("day") == last)
    assert (other["upper"] > other["upper_told"]).all()


def test_a_missing_row_is_not_judged_and_nothing_in_gives_nothing_out() -> None:
    frame = to_frame(draw(8))
    gone = MONDAY + timedelta(days=200)
    rows = judge_counts(
        frame.filter((pl.col("day") != gone) | (pl.col("series") != "tool 03")), to_calendar(), SINCE
    )
    assert rows.height == 12 * (DAYS - FIRST) - 1
    assert judge_counts(frame.clear(), to_calendar(), SINCE).is_empty()
    assert judge_rises(frame.clear(), to_calendar(), SINCE).is_empty()


def test_a_day_that_is_not_there_yet_gives_no_row() -> None:
    rows = judge_counts(to_frame(draw(8)), to_calendar(), MONDAY + timedelta(days=DAYS + 30))
    assert rows.is_empty()
    assert dict(rows.schema) == JUDGED


def test_a_calendar_that_says_nothing_leaves_the_weekdays() -> None:
    rows = judge_counts(to_frame(draw(8)), to_calendar().clear(), SINCE)
    assert rows.height == 12 * (DAYS - FIRST)
    assert rows["phase_factor"].unique().to_list() == rows["holiday_factor"].unique().to_list() == [1.0]
    assert rows["weekday_factor"].n_unique() > 6


def test_the_first_day_of_a_run_is_judged_like_any_other() -> None:
    """What a run says of a day does not hang on the day from which the run judges."""
    frame = to_frame(draw(8))
    whole = judge_counts(frame, to_calendar(), SINCE)
    late = judge_counts(frame, to_calendar(), SINCE + timedelta(days=14))
    both = whole.join(late, on=["series", "day"], suffix="_late")
    assert both.height == 12 * (DAYS - FIRST - 14)
    assert (both["expected"] / both["expected_late"] - 1).abs().max() < 0.02


def test_rises_come_as_a_stream_of_their_own() -> None:
    counts = draw(5)
    counts[4, FIRST - 4 : FIRST + 3] += 6
    rises = judge_rises(to_frame(counts), to_calendar(), SINCE)
    assert rises["day"].min() == SINCE
    assert rises.height == 12 * (DAYS - FIRST)
    assert rises.filter(pl.col("p") <= 1e-3)["series"].unique().to_list() == ["tool 04"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.DataFrame({"series": ["tool 00"], "day": [MONDAY], "count": [1]}), "two counts"),
        (pl.DataFrame({"series": ["tool 99"], "day": [MONDAY], "count": [-1]}), "negative"),
    ],
)
def test_counts_that_make_no_sense_are_refused(change: pl.DataFrame, words: str) -> None:
    with pytest.raises(BadDataError, match=words):
        judge_counts(pl.concat([to_frame(draw(8)), change]), to_calendar(), SINCE)


def test_weeks_that_are_no_weeks_are_refused() -> None:
    with pytest.raises(BadDataError, match="whole weeks"):
        judge_counts(to_frame(draw(8)), to_calendar(), SINCE, frequency="W")
