"""Sustained rises: the last seven days together, as a stream of its own with a budget of its own.

Merged with the daily stream it would echo for a week after every event: facts/statistics.md §3.7. Pure.
"""

from __future__ import annotations

import numpy as np

from genai_audit.detections._calnb import Prediction
from genai_audit.detections._calnb_calendar import Array
from genai_audit.detections._calnb_level import DAY_TO_DAY_SD, NEW_PHASE_SD
from genai_audit.detections._calnb_tail import tail

SPAN = 7  # days
CAP = 2.33  # standard deviations that one day may add at most: a single spike is no sustained rise
LIKENESS = 1.2  # days of one week are alike: their variances add up to more than their sum


def judge_sustained(prediction: Prediction, counts: Array, span: int = SPAN) -> Array:
    """p of the sum of the last `span` days; series × predicted days, 1 where it can't be said.

    `counts`: series × predicted days, NaN where a day is missing. The level stays the one of the window's
    first day, which hasn't learnt the rise. Predict from `span - 1` days before the first day to be judged.
    Only a day that itself lies above its expectation can end a rise.
    """
    p = np.ones(counts.shape)
    days = counts.shape[1] - span + 1
    if days < 1:
        return p
    is_known = ~np.isnan(counts)
    expected, level = prediction.expected, prediction.level
    highest = np.maximum(1, np.ceil(expected + CAP * np.sqrt(prediction.variance)))
    capped = np.where(is_known, np.minimum(counts, highest), 0)
    factor = np.where(is_known, expected / level, 0)

    def gather(values: Array) -> Array:
        total: Array = np.sum([values[:, lag : lag + days] for lag in range(span)], axis=0)
        return total

    total, exposure = gather(capped), np.maximum(gather(factor), 1e-9)
    frozen, doubt = level[:, :days], prediction.level_variance[:, :days]
    since_change = prediction.calendar.since_change[prediction.first + span - 1 :][:days]
    mean = frozen * exposure
    share = DAY_TO_DAY_SD**2 + 0.5 * NEW_PHASE_SD**2 * np.exp(-since_change / 14)
    spread = LIKENESS * frozen * gather(prediction.dispersion * factor)
    variance = np.maximum(spread + exposure**2 * doubt + mean**2 * share, mean * (1 + 1e-9))
    is_above = np.where(is_known, counts, -1)[:, span - 1 :] > expected[:, span - 1 :]
    p[:, span - 1 :] = np.where(is_above, tail(total, mean, variance), 1)
    return p
