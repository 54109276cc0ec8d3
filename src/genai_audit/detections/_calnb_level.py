"""The recent level of a series, and how sure it is: facts/statistics.md §3.4 and §3.6.

The level is what the series counts on a day whose calendar factor is 1. It is taken from a window that ends
before the guard, older days weigh less. Pure numpy, days × series.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genai_audit.detections._calnb_calendar import Array, Rhythm
from genai_audit.detections._calnb_profile import Profile

PRIOR_DAYS = 0.05
THIRD_OF_AN_EVENT = 0.35  # spread over the window: a window of zeros doesn't prove that nothing can happen
DAY_TO_DAY_SD, NEW_PHASE_SD, NEW_PHASE_DAYS = 0.08, 0.30, 7


class Levels(NamedTuple):
    """Of consecutive days that share one profile; all days × series."""

    level: Array  # expected count of a day with calendar factor 1
    expected: Array  # level × calendar factor
    level_variance: Array  # variance of `level`
    beyond: Array  # variance of the count beyond dispersion × expected: what the parameters leave open


def find_levels(
    counts: Array,
    active: Array,
    columns: Array,
    since_change: Array,
    profile: Profile,
    span: tuple[int, int],
    rhythm: Rhythm,
) -> Levels:
    """Levels and expectations of the days `span[0]` to `span[1] - 1`.

    `counts`, `active`, `columns`: days × series or × calendar columns, row 0 being the first day of the
    series' matrix; `profile` was fitted before the guard of the span's first day.
    """
    first, end = span
    back = max(0, first - rhythm.guard - rhythm.window)
    window = slice(back, end - rhythm.guard - 1)
    effects = profile.effects[2:]
    factor = scale_days(columns[window], effects)
    exposure = active[window] * factor
    decay = _decay(first, end, back, rhythm).astype(counts.dtype)  # window days × judged days
    seen = decay.T @ (active[window] * counts[window])
    weight = decay.T @ exposure
    information = np.maximum(weight**2 / np.maximum((decay**2).T @ (exposure * factor), 1e-12), 0.05)
    level = (seen + PRIOR_DAYS * np.maximum(profile.mean, 0.02)) / (weight + PRIOR_DAYS)
    level += THIRD_OF_AN_EVENT / np.maximum(information, 1)
    variance = profile.dispersion * level / information
    today = scale_days(columns[first:end], effects)
    expected = level * today
    doubt = _profile_doubt(columns, window, decay, exposure, weight, profile, span)
    fresh = NEW_PHASE_SD**2 * np.exp(-since_change[first:end, None] / NEW_PHASE_DAYS)
    share = np.minimum(1, doubt + DAY_TO_DAY_SD**2 + fresh)
    beyond = today**2 * variance + expected**2 * share
    return Levels(level, expected, variance, beyond)


def scale_days(columns: Array, effects: Array) -> Array:
    """Calendar factor of each day, days × series: what multiplies the level."""
    return np.exp(np.clip(columns @ effects.astype(columns.dtype), -6, 6))


def _decay(first: int, end: int, back: int, rhythm: Rhythm) -> Array:
    """Weight of each window day for each judged day; 1 step old is the newest day before the guard."""
    newest = np.arange(first, end) - rhythm.guard - 1
    age = newest[None, :] - np.arange(back, end - rhythm.guard - 1)[:, None] + 1
    return np.where((age >= 1) & (age <= rhythm.window), 0.5 ** (age / rhythm.half_life), 0)


def _profile_doubt(
    columns: Array,
    window: slice,
    decay: Array,
    exposure: Array,
    weight: Array,
    profile: Profile,
    span: tuple[int, int],
) -> Array:
    """Relative variance from the profile: how far a day's calendar lies from that of the window."""
    days, series = weight.shape
    width = columns.shape[1]
    spread = (columns[window][:, None, :] * decay[:, :, None]).reshape(len(exposure), days * width)
    usual = (exposure.T @ spread).reshape(series, days, width) / np.maximum(weight.T, 1e-9)[:, :, None]
    distance = columns[span[0] : span[1]][None] - usual
    doubt = ((distance @ profile.covariance.astype(distance.dtype)) * distance).sum(axis=2)
    relative: Array = profile.dispersion[None, :] * np.maximum(doubt.T, 0)
    return relative
