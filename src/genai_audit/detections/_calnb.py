"""CalNB: is a count unusual for this series on this day? Calendar profile × recent level, then a tail.

Everything is vectorised over series and looks only back: a row of day t uses counts up to t, its expectation
counts up to t minus the guard. Pure: no clock, no I/O. Method and constants: facts/statistics.md §3; measured
figures: CALNB.md beside this file. The Polars door is `_calnb_frames.judge_counts`.

    prediction = predict(counts, calendar, first=365)
    verdict = judge(prediction, counts[365:].T ...)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from genai_audit.detections._calnb_calendar import DAILY, TREND_SD, Array, Calendar, Index, Mask, Rhythm
from genai_audit.detections._calnb_level import Levels, find_levels
from genai_audit.detections._calnb_profile import Fitter, Starts, pool_effects
from genai_audit.detections._calnb_tail import learn_dispersion

BLOCK = 512  # series that are fitted together: their matrices stay in the processor's cache
EARLIEST = 35  # steps of history before anything is predicted


@dataclass
class Prediction:
    """What was expected before the counts of the day were seen; matrices are days × series from day `first`."""

    first: int
    calendar: Calendar
    rhythm: Rhythm
    level: Array
    expected: Array
    level_variance: Array
    beyond: Array  # variance beyond dispersion × expected
    dispersion: Array
    is_settled: Array
    refits: Index  # day of each profile
    effects: list[Array]  # of each refit: columns × series

    @property
    def variance(self) -> Array:
        return self.dispersion * self.expected + self.beyond


def predict(
    counts: Array, calendar: Calendar, first: int, rhythm: Rhythm = DAILY, weights: Array | None = None
) -> Prediction:
    """Expectations of every series for the days from `first` on (later, if the history is too short).

    `counts`: series × days; `calendar`: of the same days; `weights`: series × days, 0 where a day is missing
    or was confirmed as an incident, 1 elsewhere. Missing and zero are different things.
    """
    seen = np.ascontiguousarray(counts.T, dtype=np.float32)
    usable = np.ones_like(seen) if weights is None else np.ascontiguousarray(weights.T, dtype=np.float32)
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
    return Prediction(
        max(first, begin), calendar, rhythm, found.level[keep], found.expected[keep], found.level_variance[keep],
        found.beyond[keep], dispersion[keep], settled[keep], np.array(refits, dtype=np.int64), effects,
    )  # fmt: skip


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


def _plan(
    seen: Array, usable: Array, starts: Starts, calendar: Calendar, day: int, rhythm: Rhythm
) -> _Plan:
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
) -> tuple[Array, Mask]:
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
