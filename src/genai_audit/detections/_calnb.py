"""CalNB: is a count unusual for this series on this day? Calendar profile × recent level, then a tail.

Everything is vectorised over series and looks only back: a row of day t uses counts up to t, its expectation
counts up to t minus the guard. Pure: no clock, no I/O. Method and constants: facts/statistics.md §3; measured
figures: CALNB.md beside this file. The Polars door is `_calnb_frames.judge_counts`.

    prediction = predict(counts, calendar, first=365)
    verdict = judge(prediction, counts[:, prediction.first:])
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from genai_audit.detections._calnb_calendar import DAILY, TREND_SD, Array, Calendar, Flags, Index, Rhythm
from genai_audit.detections._calnb_level import Levels, find_levels
from genai_audit.detections._calnb_profile import Fitter, Starts, pool_effects
from genai_audit.detections._calnb_tail import bound, learn_dispersion, partial_variance, set_thresholds, tail

BLOCK = 512  # series that are fitted together: their matrices stay in the processor's cache
EARLIEST = 35  # steps of history before anything is predicted


@dataclass
class Prediction:
    """What was expected before a day's count was seen; matrices are series × days."""

    first: int  # position of the matrices' first day among the days of the counts
    calendar: Calendar  # of all days of the counts
    rhythm: Rhythm
    level: Array  # expected count where all calendar factors are 1
    expected: Array
    level_variance: Array
    beyond: Array  # variance of the count beyond dispersion × expected
    dispersion: Array  # variance factor, at least 1
    is_settled: Flags  # not in the first 28 days of a series, where `first_seen` speaks
    refits: Index  # position of the first day of each profile
    effects: list[Array]  # of each profile: calendar columns × series

    @property
    def variance(self) -> Array:
        return self.dispersion * self.expected + self.beyond

    def of(self, series: slice) -> Prediction:
        """The same for some series only."""
        fields = ("level", "expected", "level_variance", "beyond", "dispersion", "is_settled")
        parts = {name: getattr(self, name)[series] for name in fields}
        return replace(self, effects=[effects[:, series] for effects in self.effects], **parts)


class Verdict(NamedTuple):
    """Of every predicted day; series × days."""

    p: Array  # P(count at least as large); 1 where nothing was counted or the count is missing
    threshold: Array  # largest p that is an alarm: alpha, where the step before doesn't count
    upper: Array  # largest count that is no alarm
    is_alarm: Flags


def predict(
    counts: Array, calendar: Calendar, first: int, rhythm: Rhythm = DAILY, weights: Array | None = None
) -> Prediction:
    """Expectations of every series for the days from `first` on (later, if the history is too short).

    `counts`: series × days, NaN where a day is missing (that is not zero); `calendar`: of
    the same days; `weights`: series × days, 0 where a day was confirmed as an incident, 1 elsewhere.
    """
    seen = np.ascontiguousarray(counts.T, dtype=np.float32)
    usable = (~np.isnan(seen)).astype(np.float32)
    if weights is not None:
        usable *= weights.T
    seen[usable == 0] = 0
    days, series = seen.shape
    begin = max(first - rhythm.memory, EARLIEST, min(120, first - rhythm.quiet_start))
    refits = _plan_refits(begin, days, calendar, rhythm)
    starts = Starts(seen, usable, rhythm)
    plans = [_plan(seen, usable, starts, calendar, day, rhythm) for day in refits]
    shape = (max(days - begin, 0), series)
    found = Levels(*(np.zeros(shape, dtype=np.float32) for _ in Levels._fields))
    means = np.zeros((len(refits), series))
    effects = [np.zeros((plan.design.shape[1] - 2, series), dtype=np.float32) for plan in plans]

    def work(left: int) -> None:
        block = slice(left, left + BLOCK)
        own, own_usable = np.ascontiguousarray(seen[:, block]), np.ascontiguousarray(usable[:, block])
        fitter = Fitter(own)
        for number, plan in enumerate(plans):
            active = own_usable * (np.arange(days)[:, None] >= plan.start[block])
            profile = fitter.fit(active[: plan.known], plan.design, plan.penalty, plan.pooled)
            span = (plan.day, plan.end)
            columns = calendar.columns[:, : profile.effects.shape[0] - 2]
            levels = find_levels(own, active, columns, calendar.since_change, profile, span, rhythm)
            rows = slice(plan.day - begin, plan.end - begin)
            for target, values in zip(found, levels, strict=True):
                target[rows, block] = values
            means[number, block] = profile.mean
            effects[number][:, block] = profile.effects[2:]

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(work, range(0, series, BLOCK)))
    dispersion, settled = _disperse(seen, usable, found, plans, means, begin, rhythm)
    keep = slice(max(first - begin, 0), None)
    used = [number for number, plan in enumerate(plans) if plan.end > first]
    return Prediction(
        max(first, begin), calendar, rhythm, found.level[keep].T, found.expected[keep].T,
        found.level_variance[keep].T, found.beyond[keep].T,
        dispersion[keep].T, settled[keep].T,
        np.array([refits[number] for number in used], dtype=np.int64), [effects[number] for number in used],
    )  # fmt: skip


def judge(
    prediction: Prediction,
    counts: Array,
    completeness: Array | float = 1.0,
    alpha: float | None = None,
    least: int = 1,
) -> Verdict:
    """Compare counts with what was expected. `counts`: series × predicted days, NaN where a day is missing.

    `completeness`: share of the day's events that has arrived (0 to 1), broadcast to series × days; the count
    is met by that share of the expectation. An alarm needs p <= threshold and at least `least` events. Weeks
    are judged with the week before: predict from one week earlier than the first to be judged.
    """
    is_missing = np.isnan(counts)
    variance = partial_variance(prediction.expected, prediction.variance, completeness)
    expected = prediction.expected * completeness
    p = tail(np.where(is_missing, 0, counts), expected, variance)
    threshold = set_thresholds(p, prediction.rhythm.carry, alpha or prediction.rhythm.alpha)
    upper = np.maximum(bound(expected, variance, threshold), least - 1)
    is_alarm = (p <= threshold) & (counts >= least) & prediction.is_settled
    return Verdict(p, threshold, upper, is_alarm)


def explain(prediction: Prediction, series: Index, days: Index) -> dict[str, Array]:
    """Level and calendar factors of some cells; level × weekday × phase × holiday = expected.

    `series`, `days`: positions in the prediction's matrices. The level is that of the mean (geometric)
    weekday of the most common phase, at this time of the year.
    """
    factors = {name: np.ones(len(days)) for name in ("weekday", "phase", "holiday")}
    positions = days + prediction.first
    profile_of = np.searchsorted(prediction.refits, positions, side="right") - 1
    for number in np.unique(profile_of):
        at = profile_of == number
        for name, factor in factors.items():
            part = prediction.calendar.parts[name]
            columns = prediction.calendar.columns[positions[at], part]
            effects = prediction.effects[number][part, :][:, series[at]]
            factor[at] = np.exp((columns * effects.T).sum(axis=1, dtype=np.float64))
    expected = prediction.expected[series, days].astype(np.float64)
    return {"level": expected / np.prod(list(factors.values()), axis=0), **factors}


@dataclass
class _Plan:
    """One refit: what all series share."""

    day: int  # first day that is predicted with it
    end: int  # and the day after the last
    known: int  # days that may be learnt from
    start: Index
    design: Array
    penalty: Array
    pooled: Array


def _plan_refits(begin: int, days: int, calendar: Calendar, rhythm: Rhythm) -> list[int]:
    """Days of a refit: the first, then fixed days of the calendar, so that tomorrow's run refits alike."""
    steps = calendar.ordinals // rhythm.step_days
    return [day for day in range(begin, days) if day == begin or steps[day] % rhythm.refit_every == 0]


def _plan(seen: Array, usable: Array, starts: Starts, calendar: Calendar, day: int, rhythm: Rhythm) -> _Plan:
    steps = calendar.ordinals // rhythm.step_days
    later = np.nonzero((steps % rhythm.refit_every == 0) & (np.arange(len(steps)) > day))[0]
    end = min(int(later[0]) if len(later) else len(seen), len(seen))
    known = max(day - rhythm.guard, 0)
    start = starts.at(known)
    width = calendar.width(with_season=day >= 3 * rhythm.year)
    years = (np.arange(known) - day) / rhythm.year
    design = np.column_stack([np.ones(known), years, calendar.columns[:known, :width]]).astype(np.float32)
    penalty = np.concatenate([[TREND_SD**-2], calendar.penalty[:width]])
    active = usable[:known] * (np.arange(known)[:, None] >= start)
    return _Plan(day, end, known, start, design, penalty, pool_effects(seen[:known], active, design, penalty))


def _disperse(
    seen: Array, usable: Array, found: Levels, plans: list[_Plan], means: Array, begin: int, rhythm: Rhythm
) -> tuple[Array, Flags]:
    """Dispersion of each day and series, learnt from the predictions before the guard; and who is settled."""
    dispersion = np.ones_like(found.expected)
    settled = np.zeros(found.expected.shape, dtype=bool)
    squares, weights = np.zeros_like(found.expected), np.zeros_like(found.expected)
    for number, plan in enumerate(plans):
        past = slice(max(begin, plan.known - rhythm.memory) - begin, max(plan.known - begin, 0))
        days = np.arange(begin, begin + len(dispersion))[:, None]
        is_told = days[past] >= plan.start + rhythm.settle
        learnt = learn_dispersion(
            (squares[past] * is_told).sum(axis=0, dtype=np.float64),
            (weights[past] * is_told).sum(axis=0, dtype=np.float64),
            means[number],
        )
        rows = slice(plan.day - begin, plan.end - begin)
        dispersion[rows] = learnt
        settled[rows] = (days[rows] >= plan.start + rhythm.quiet_start) & (plan.start < plan.known)
        expected, counts = found.expected[rows], seen[plan.day : plan.end]
        base = np.maximum(expected + found.beyond[rows] / dispersion[rows], expected)
        weight = usable[plan.day : plan.end] * expected / (expected + 0.5)
        squares[rows] = weight * np.minimum((counts - expected) ** 2 / np.maximum(base, 1e-4), 400)
        weights[rows] = weight
    return dispersion, settled
