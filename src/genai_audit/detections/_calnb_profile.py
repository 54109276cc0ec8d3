"""The calendar profile of many series at once: a ridge Poisson regression towards effects pooled over all.

Pure numpy over days × series matrices (one column a series), facts/statistics.md §3.2 and §3.3. Only the days
that are handed over are seen; the caller leaves out the guard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genai_audit.detections._calnb_calendar import Array, Index, Rhythm

FREE = 1e-5  # penalty of the intercept: none, but the matrix stays regular
OUTLYING = 2.58  # Anscombe residuals above this lose weight
FIRST_STEPS, WARM_STEPS, ROBUST_STEPS = 10, 2, 2


@dataclass
class Profile:
    """Coefficients of every series; rows: intercept, trend per year, then the calendar's columns."""

    effects: Array  # coefficients × series
    covariance: (
        Array  # series × columns × columns, without intercept and trend, to be multiplied by dispersion
    )
    dispersion: Array  # series: variance factor of the fit, at least 1
    mean: Array  # series: mean count since the start


class Starts:
    """Where each series begins, as far as it can be known on a given day.

    A busy series starts with its first event, a rare one up to 28 days earlier: zeros before a launch would
    be read as a phase effect.
    """

    def __init__(self, counts: Array, weights: Array, rhythm: Rhythm) -> None:
        """`counts`, `weights`: days × series; a weight of 0 is a day of which nothing is known."""
        days = len(counts)
        is_event = (counts > 0) & (weights > 0)
        self._rhythm = rhythm
        self._first = np.where(is_event.any(axis=0), is_event.argmax(axis=0), days)
        self._rows = self._first + np.arange(rhythm.start_span)[:, None]
        inside = np.minimum(self._rows, days - 1)
        self._known = np.take_along_axis(weights, inside, axis=0) * (self._rows < days)
        self._counts = np.take_along_axis(counts, inside, axis=0) * self._known

    def at(self, end: int) -> Index:
        """Index of the first day that counts; `end` for a series that has no event before `end`."""
        is_past = self._rows < end
        rate = (self._counts * is_past).sum(axis=0) / np.maximum((self._known * is_past).sum(axis=0), 1)
        lead = np.clip(np.round(1 / np.maximum(rate, 1e-9)) - 1, 0, self._rhythm.quiet_start)
        start = np.maximum(self._first - lead.astype(np.int64), 0)
        return np.where(self._first < end, start, end)


def pool_effects(counts: Array, active: Array, design: Array, penalty: Array) -> Array:
    """Effects of the calendar on all series together; intercept and trend come back as 0.

    Each series is taken relative to its own mean, so that a large one says no more than a middling one.
    `design`: days × coefficients (intercept and trend first), `active`: days × series weights.
    """
    total = active.sum(axis=0)
    mean = (active * counts).sum(axis=0) / np.maximum(total, 1)
    say = np.where(total > 60, np.minimum(mean, 5), 0).astype(counts.dtype)
    relative = np.minimum(counts / np.maximum(mean, 0.1).astype(counts.dtype), 10)
    relative *= active
    known = active @ say
    target = 50 * (relative @ say) / np.maximum(known, 1e-9)
    is_known = known > 0
    pooled = np.zeros(design.shape[1])
    if not is_known.any():
        return pooled
    x, y = design[is_known].astype(float), target[is_known].astype(float)
    ridge = np.diag(np.concatenate([[FREE], 0.2 * penalty]))
    pooled[0] = np.log(max(y.mean(), 1e-3))
    for _ in range(12):
        fitted = np.exp(np.clip(x @ pooled, -15, 15))
        matrix = (x.T * fitted) @ x + ridge + FREE * np.eye(len(pooled))
        step = np.clip(np.linalg.solve(matrix, x.T @ (y - fitted) - ridge @ pooled), -2, 2)
        pooled += step
        if np.abs(step).max() < 1e-6:
            break
    pooled[:2] = 0
    return pooled


class Fitter:
    """One block of series, fitted again and again while its history grows; it remembers the last answer."""

    def __init__(self, counts: Array) -> None:
        """`counts`: days × series, 0 where nothing is known (`active` is 0 there)."""
        self._counts = counts
        self._root = np.cbrt(counts) ** 2  # y^(2/3), for the Anscombe residuals
        self._last: Array | None = None

    def fit(self, active: Array, design: Array, penalty: Array, pooled: Array) -> Profile:
        """The profile from the first len(active) days. `penalty`: trend and columns."""
        counts = self._counts[: len(active)]
        total = active.sum(axis=0, dtype=np.float64)
        seen = (active * counts).sum(axis=0, dtype=np.float64)
        mean = seen / np.maximum(total, 1)
        effects, steps = self._start(pooled, mean), FIRST_STEPS if self._last is None else WARM_STEPS
        fitted = expect(design, effects)
        # A launch changes the scale between two fits; without this a warm start can run away.
        shift = np.log((seen + 0.01) / ((active * fitted).sum(axis=0, dtype=np.float64) + 0.01))
        effects[0] += np.clip(shift, -12, 12)
        problem = _Problem(design, np.concatenate([[0.0], penalty]), pooled)
        problem.climb(
            effects, active, counts, steps, fitted * np.exp(np.clip(shift, -12, 12), dtype=np.float32)
        )
        fitted = expect(design, effects)
        squares = (counts - fitted) ** 2 / np.maximum(fitted, 1e-4)
        spread = (active * np.minimum(squares, 400)).sum(axis=0) / np.maximum(total - design.shape[1], 10)
        dispersion = np.maximum(1.0, spread.astype(np.float64))
        weights = self._trust(active, fitted, squares, dispersion)
        matrix = problem.climb(effects, weights, counts, ROBUST_STEPS, fitted)
        self._last = effects
        return Profile(effects, np.linalg.inv(matrix)[:, 2:, 2:], dispersion, mean)

    def _start(self, pooled: Array, mean: Array) -> Array:
        if self._last is not None and len(self._last) == len(pooled):
            return self._last.copy()
        effects = np.repeat(pooled[:, None], len(mean), axis=1)
        effects[0] = np.log(np.maximum(mean, 1e-3))
        if self._last is not None:  # the season joins after three years
            effects[: len(self._last)] = self._last
        return effects

    def _trust(self, active: Array, fitted: Array, squares: Array, dispersion: Array) -> Array:
        """`active`, divided by the square of the Anscombe residual where that lies too high.

        An Anscombe residual is never above the Pearson residual, so that few have to be worked out.
        """
        weights = active.copy()
        is_far = squares > (OUTLYING**2 * dispersion).astype(squares.dtype)
        day, series = np.nonzero(is_far & (self._counts[: len(fitted)] > fitted))
        sixth = fitted[day, series] ** (1 / 6)
        residual = 1.5 * (self._root[day, series] / sixth - sixth**3) / np.sqrt(dispersion[series])
        weights[day, series] *= np.where(residual > OUTLYING, 1 / np.maximum(residual, 1) ** 2, 1)
        return weights


class _Problem:
    """A penalised Poisson likelihood of many series that share one design."""

    def __init__(self, design: Array, penalty: Array, pooled: Array) -> None:
        self._design, self._penalty, self._pooled = design, penalty, pooled
        width = design.shape[1]
        rows, columns = np.triu_indices(width)
        self._products = design[:, rows] * design[:, columns]  # days × pairs
        place = np.empty((width, width), dtype=np.int64)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        self._place = place.ravel()

    def climb(
        self, effects: Array, weights: Array, counts: Array, steps: int, fitted: Array | None = None
    ) -> Array:
        """Newton steps in place; a series whose step has become small stays where it is.

        `fitted`: expectations that belong to `effects`, if at hand. Gives the curvature of the last step.
        """
        is_moving = np.ones(effects.shape[1], dtype=bool)
        seen = weights * counts
        for _ in range(steps):
            fitted = weights * (expect(self._design, effects) if fitted is None else fitted)
            matrix = self._curvature(fitted)
            slope = (self._design.T @ (seen - fitted)).astype(np.float64)
            slope -= self._penalty[:, None] * (effects - self._pooled[:, None])
            step = np.linalg.solve(matrix, slope.T[:, :, None])[:, :, 0].T
            effects += np.clip(step, -2, 2) * is_moving
            is_moving &= np.abs(step).max(axis=0) > 2e-3
            fitted = None
            if not is_moving.any():
                break
        return matrix

    def _curvature(self, expected: Array) -> Array:
        """X'diag(expected)X + penalty: series × coefficients × coefficients."""
        width = len(self._penalty)
        pairs = expected.T @ self._products
        matrix = pairs[:, self._place].reshape(-1, width, width).astype(np.float64)
        matrix[:, np.arange(width), np.arange(width)] += self._penalty + FREE
        return matrix


def expect(design: Array, effects: Array) -> Array:
    """exp(X b), days × series, kept within exp(±15)."""
    linear = design @ effects.astype(design.dtype)
    np.clip(linear, -15, 15, out=linear)
    return np.exp(linear, out=linear)
