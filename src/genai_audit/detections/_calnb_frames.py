"""The Polars door of the count baseline: counts of series and days in, one explained row a judged day out.

A missing row is a missing day, not a zero: fill zeros first where collection is proven. Days outside the
calendar count as days of no phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from genai_audit.detections._calnb import Prediction, explain, judge, predict
from genai_audit.detections._calnb_calendar import NO_PHASE, RHYTHMS, Array, Calendar, make_calendar
from genai_audit.detections._calnb_sustained import SPAN, judge_sustained
from genai_audit.errors import BadDataError

LEAST = 3  # events: fewer are a first use or noise, whatever their probability
JUDGED = {
    "series": pl.String, "day": pl.Date, "observed": pl.Int64, "expected": pl.Float64, "upper": pl.Int64,
    "p": pl.Float64, "threshold": pl.Float64, "is_alarm": pl.Boolean, "is_settled": pl.Boolean,
    "dispersion": pl.Float64, "level": pl.Float64, "weekday_factor": pl.Float64, "phase_factor": pl.Float64,
    "holiday_factor": pl.Float64, "completeness": pl.Float64,
}  # fmt: skip


@dataclass
class Panel:
    """Counts of all series and days as one matrix, NaN where a day is missing."""

    names: pl.Series
    days: list[date]
    counts: Array  # series × days


def judge_counts(
    frame: pl.DataFrame,
    calendar: pl.DataFrame,
    since: date,
    *,
    frequency: str = "D",
    alpha: float | None = None,
    least: int = LEAST,
    completeness: pl.DataFrame | None = None,
    masked: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row a series and day from `since` on that has a count and enough history; columns: `JUDGED`.

    `frame`: series, day, count; `calendar`: calendar_day, day_type, is_bank_holiday, better a year too long
    than too short; `completeness`: day, completeness (share that has arrived; 1 where absent); `masked`:
    series, day of confirmed incidents: judged, but never learnt from. An alarm needs p <= threshold. Expected
    is of the whole day, level × weekday_factor × phase_factor × holiday_factor; upper of what has arrived.
    """
    if frame.is_empty():
        return pl.DataFrame(schema=JUDGED)
    panel = make_panel(frame, RHYTHMS[frequency].step_days)
    prediction = predict_panel(panel, calendar, since - timedelta(weeks=frequency == "W"), frequency, masked)
    counts = panel.counts[:, prediction.first :]
    days = panel.days[prediction.first :]
    arrived = _spread_completeness(days, completeness)
    verdict = judge(prediction, counts, arrived, alpha, least)
    series, day = np.nonzero(~np.isnan(counts))
    factors = explain(prediction, series, day)
    columns = {
        "series": panel.names.gather(series),
        "day": pl.Series(days, dtype=pl.Date).gather(day),
        "observed": counts[series, day],
        "expected": prediction.expected[series, day],
        "upper": verdict.upper[series, day],
        "p": verdict.p[series, day],
        "threshold": verdict.threshold[series, day],
        "is_alarm": verdict.is_alarm[series, day],
        "is_settled": prediction.is_settled[series, day],
        "dispersion": prediction.dispersion[series, day],
        "level": factors["level"],
        **{f"{name}_factor": factors[name] for name in ("weekday", "phase", "holiday")},
        "completeness": arrived[day],
    }
    rows = pl.DataFrame(columns).cast(JUDGED)  # type: ignore[arg-type]
    return rows.filter(pl.col("day") >= since)


def judge_rises(
    frame: pl.DataFrame, calendar: pl.DataFrame, since: date, *, masked: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Sustained rises, daily counts only: series, day, p of the seven days that end on it, is_settled.

    Its alarms have a budget of their own and are never added to those of `judge_counts`.
    """
    if frame.is_empty():
        names = ("series", "day", "p", "is_settled")
        return pl.DataFrame(schema={name: JUDGED[name] for name in names})
    panel = make_panel(frame, 1)
    prediction = predict_panel(panel, calendar, since - timedelta(days=SPAN - 1), "D", masked)
    counts = panel.counts[:, prediction.first :]
    p = judge_sustained(prediction, counts)
    days = pl.Series(panel.days[prediction.first :], dtype=pl.Date)
    series, day = np.nonzero(~np.isnan(counts))
    rises = pl.DataFrame(
        {
            "series": panel.names.gather(series),
            "day": days.gather(day),
            "p": p[series, day],
            "is_settled": prediction.is_settled[series, day],
        }
    )
    return rises.filter(pl.col("day") >= since)


def make_panel(frame: pl.DataFrame, step_days: int) -> Panel:
    """The matrix of `frame` (series, day, count): every series on every step of time."""
    names = frame["series"].unique().sort()
    first, last = frame["day"].min(), frame["day"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    steps = (last - first).days // step_days + 1
    gap = (frame["day"] - first).dt.total_days()
    if (gap % step_days != 0).any():
        raise BadDataError("The days of the counts are not whole weeks apart.", where="column day")
    row = frame["series"].cast(pl.Enum(names.cast(pl.String))).to_physical().to_numpy()
    column = (gap // step_days).to_numpy()
    is_told = np.zeros((len(names), steps), dtype=bool)
    is_told[row, column] = True
    if is_told.sum() < frame.height:
        raise BadDataError("A series has two counts for one day.", where="columns series and day")
    counts = np.full((len(names), steps), np.nan, dtype=np.float32)
    counts[row, column] = frame["count"].cast(pl.Float32).fill_null(np.nan).to_numpy()
    if np.fmin.reduce(counts, axis=None) < 0:
        raise BadDataError("A count is negative.", where="column count")
    return Panel(names, [first + timedelta(days=step_days * step) for step in range(steps)], counts)


def predict_panel(
    panel: Panel, calendar: pl.DataFrame, since: date, frequency: str, masked: pl.DataFrame | None = None
) -> Prediction:
    """Expectations of a panel from the day `since` on; `calendar` and `masked` as in `judge_counts`."""
    rhythm = RHYTHMS[frequency]
    weights = np.ones(panel.counts.shape, dtype=bool)
    if masked is not None and masked.height:
        where = pl.DataFrame({"series": panel.names, "row": np.arange(len(panel.names))})
        days = pl.DataFrame({"day": panel.days, "column": np.arange(len(panel.days))})
        hit = masked.join(where, on="series").join(days, on="day")
        weights[hit["row"].to_numpy(), hit["column"].to_numpy()] = False
    first = sum(day < since for day in panel.days)
    return predict(panel.counts, read_calendar(calendar, panel.days, frequency), first, rhythm, weights)


def read_calendar(calendar: pl.DataFrame, days: list[date], frequency: str) -> Calendar:
    """The design for `days`. All of the calendar says which phase is the most common, not only those days."""
    rhythm = RHYTHMS[frequency]
    step = timedelta(days=rhythm.step_days)
    known = calendar["calendar_day"].drop_nulls().to_list()
    before = max(0, (days[0] - min(known, default=days[0])) // step)
    after = max(0, (max(known, default=days[-1]) - days[-1]) // step)
    span = [days[0] + step * number for number in range(-before, len(days) + after)]
    facts = pl.DataFrame({"calendar_day": span}, schema={"calendar_day": pl.Date}).join(
        calendar.unique("calendar_day", keep="first"), on="calendar_day", how="left", maintain_order="left"
    )
    phases = facts["day_type"].fill_null(NO_PHASE).replace("unknown", NO_PHASE).to_list()
    holidays = facts["is_bank_holiday"].fill_null(False).to_numpy().astype(bool)
    ordinals = np.array([day.toordinal() for day in span])
    return make_calendar(ordinals, phases, holidays, rhythm).pick(np.arange(before, before + len(days)))


def _spread_completeness(days: list[date], completeness: pl.DataFrame | None) -> Array:
    """Share of each day's events that has arrived; 1 where nothing is said."""
    if completeness is None:
        return np.ones(len(days))
    known = dict(completeness.select("day", "completeness").iter_rows())
    arrived: Array = np.clip([known.get(day, 1.0) for day in days], 0.01, 1.0)
    return arrived
