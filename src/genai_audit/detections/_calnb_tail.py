"""How unlikely a count is: dispersion of a series, negative-binomial tail, largest count without an alarm.

Pure numpy and scipy, elementwise (facts/statistics.md §3.5, §3.6, §3.8). "Dispersion" is the variance factor:
variance = dispersion × mean, 1 for Poisson.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, gammainc, gammaincinv

from genai_audit.detections._calnb_calendar import Array

LEVEL_EDGES = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100)  # mean counts that divide the series into bins
USUAL_DISPERSION, PRIOR_WEIGHT = 1.4, 6.0
NEARLY_POISSON = 1e6


def learn_dispersion(squares: Array, weights: Array, mean: Array) -> Array:
    """Dispersion of every series from its own past predictions, drawn towards series of the same level.

    `squares`: Σ w r² and `weights`: Σ w of each series, r² being the squared error over its expected base;
    `mean`: mean count, which chooses the bin.
    """
    bins = np.digitize(mean, LEVEL_EDGES)
    count = np.bincount(bins, minlength=len(LEVEL_EDGES) + 1)
    total = np.bincount(bins, weights, minlength=len(count))
    pooled = np.bincount(bins, squares, minlength=len(count)) / np.maximum(total, 1e-9)
    is_known = (count >= 10) & (total > 200)
    usual = np.where(is_known, np.clip(pooled, 1, 30), USUAL_DISPERSION)[bins]
    return np.maximum(1.0, (squares + PRIOR_WEIGHT * usual) / (weights + PRIOR_WEIGHT))


def tail(counts: Array, expected: Array, variance: Array) -> Array:
    """P(Y >= count) of the negative binomial with this mean and variance (> mean); 1 for a count of 0."""
    chance = np.ones(counts.shape)
    is_some = counts > 0
    y, mean = counts[is_some].astype(float), expected[is_some].astype(float)
    excess = np.maximum(variance[is_some] - mean, 1e-9 * mean)
    size = mean**2 / excess
    is_wide = size <= NEARLY_POISSON
    found = np.empty(len(y))
    found[is_wide] = betainc(y[is_wide], size[is_wide], (mean / (mean + size))[is_wide])
    found[~is_wide] = gammainc(y[~is_wide], mean[~is_wide])
    chance[is_some] = found
    return chance


def partial_variance(expected: Array, variance: Array, completeness: Array | float) -> Array:
    """Variance of the part of a day's count that has arrived, each event being there with that chance."""
    return completeness * expected + (variance - expected) * completeness**2


def set_thresholds(p: Array, carry: float, alpha: float) -> Array:
    """Largest p that is an alarm, series × steps; what the step before has shown counts with weight `carry`.

    The p of two steps are combined as p × p_before^carry / (1 - carry), a bound of Good's weighted product of
    1955: after an ordinary step the threshold is stricter than alpha, after an unusual one it is looser, and
    over all steps it keeps alpha. A step before counts as 1e-3 at the least: nothing echoes for long.
    """
    before = np.ones_like(p)
    before[:, 1:] = np.maximum(p[:, :-1], 1e-3)
    thresholds: Array = np.minimum(alpha * (1 - carry) / before**carry, 0.5)
    return thresholds


def bound(expected: Array, variance: Array, alpha: Array | float) -> Array:
    """Largest count that is no alarm: the smallest q with P(Y > q) <= alpha."""
    alpha = np.broadcast_to(alpha, expected.shape)
    mean, spread = expected.astype(float), variance.astype(float)
    # A gamma with the same mean and variance gives a start within a few counts; then one step at a time.
    shape = mean**2 / spread
    guess: Array = np.floor(np.maximum(gammaincinv(shape, 1 - alpha) * spread / mean - 0.6, 0))
    too_low = tail(guess + 1, mean, spread) > alpha
    while too_low.any():
        guess[too_low] += 1
        too_low[too_low] = tail(guess[too_low] + 1, mean[too_low], spread[too_low]) > alpha[too_low]
    too_high = (guess > 0) & (tail(guess, mean, spread) <= alpha)
    while too_high.any():
        guess[too_high] -= 1
        at = too_high.copy()
        too_high[at] = (guess[at] > 0) & (tail(guess[at], mean[at], spread[at]) <= alpha[at])
    return guess
