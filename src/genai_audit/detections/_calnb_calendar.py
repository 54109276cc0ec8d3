"""What the count baseline knows of a day before anything is counted: weekday, term phase, holiday, season.

Pure: arrays in, arrays out. Formulas and constants: facts/statistics.md §3.1, and one term more: the first
working day after a holiday. The calendar is known in advance and may reach beyond the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Index = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]
NO_PHASE = "none"
EFFECT_SD, SEASON_SD, TREND_SD = 0.6, 0.5, 0.7  # prior standard deviations on the log scale


@dataclass(frozen=True)
class Rhythm:
    """Lengths in steps (days or weeks) of everything that the baseline does (facts/statistics.md §3)."""

    step_days: int = 1
    guard: int = 7  # the newest steps teach nothing: an incident that has just begun isn't learnt
    window: int = 70  # steps that the level is taken from
    half_life: float = 28
    refit_every: int = 7
    memory: int = 240  # steps of one-step predictions that the dispersion is taken from
    quiet_start: int = 28  # a rare series gets up to so many zeros before its first event
    start_span: int = 21
    year: float = 365.25
    has_weekdays: bool = True
    carry: float = 0.0  # how much the step before counts: nothing for days, the sustained stream adds them up
    alpha: float = 1e-3  # p of an alarm

    @property
    def settle(self) -> int:
        """Steps after the start of a series before its predictions say something about its dispersion."""
        return self.quiet_start // 2


DAILY = Rhythm()
WEEKLY = Rhythm(
    step_days=7,
    guard=4,
    window=40,
    half_life=26,
    refit_every=4,
    memory=156,
    year=52.18,
    has_weekdays=False,
    carry=0.65,
    alpha=2e-3,
)
RHYTHMS = {"D": DAILY, "W": WEEKLY}


@dataclass(frozen=True)
class Calendar:
    """The design of all days. Columns leave out the intercept and the trend; `parts` names their slices."""

    ordinals: Index  # days: the proleptic day number
    columns: Array  # days × columns
    parts: dict[str, slice]  # weekday | phase | holiday | season; in order, without gaps
    penalty: Array  # columns: 1 / prior variance
    since_change: (
        Array  # days since the term phase changed, 0 on its first day; inf where there are no phases
    )

    def pick(self, rows: Index) -> Calendar:
        """The calendar of some days only, by their positions."""
        return Calendar(
            self.ordinals[rows], self.columns[rows], self.parts, self.penalty, self.since_change[rows]
        )

    def width(self, with_season: bool) -> int:
        """How many columns count: the season's come last and need three years of history."""
        return int(self.columns.shape[1] if with_season else self.parts["season"].start)


def make_calendar(
    ordinals: Index, phases: Sequence[str], is_holiday: Flags, rhythm: Rhythm = DAILY
) -> Calendar:
    """The design for consecutive days, given by their day numbers (`date.toordinal`), term phase and holiday.

    Phases are coded against the most common one of the whole calendar; with fewer than two phases besides
    'none' there is no phase term. Weekly steps know no weekday and no phase.
    """
    weekday = _code_weekdays(ordinals) if rhythm.has_weekdays else np.zeros((len(ordinals), 0))
    names = Counter(phases)
    has_phases = rhythm.has_weekdays and len(set(names) - {NO_PHASE}) >= 2
    usual = max(sorted(names), key=lambda name: names[name]) if names else NO_PHASE
    coded = [name for name in sorted(names) if name != usual] if has_phases else []
    phase_of_day = np.asarray(phases, dtype=object)
    phase = np.stack([phase_of_day == name for name in coded], 1) if coded else np.zeros((len(ordinals), 0))
    holiday = np.zeros((len(ordinals), 0))
    if is_holiday.any():
        holiday = np.stack([is_holiday, _find_returns(ordinals, is_holiday)], 1)
    turn = 2 * np.pi * ordinals / (rhythm.step_days * rhythm.year)
    season = np.stack([wave(j * turn) for j in (1, 2) for wave in (np.cos, np.sin)], 1)
    blocks = {"weekday": weekday, "phase": phase, "holiday": holiday, "season": season}
    ends = np.cumsum([block.shape[1] for block in blocks.values()])
    parts = {
        name: slice(int(end) - block.shape[1], int(end))
        for (name, block), end in zip(blocks.items(), ends, strict=True)
    }
    penalty = np.full(int(ends[-1]), EFFECT_SD**-2)
    penalty[parts["season"]] = SEASON_SD**-2
    columns = np.concatenate(list(blocks.values()), axis=1).astype(np.float32)
    since = _count_since_change(phase_of_day) if has_phases else np.full(len(ordinals), np.inf)
    return Calendar(ordinals, columns, parts, penalty, since)


def _code_weekdays(ordinals: Index) -> Array:
    """Six columns, Monday to Saturday against Sunday, so that the level is the geometric mean weekday."""
    weekday = (ordinals - 1) % 7  # day number 1 was a Monday
    coded: Array = (weekday[:, None] == np.arange(6)).astype(float) - (weekday[:, None] == 6)
    return coded


def _count_since_change(phase_of_day: npt.NDArray[np.object_]) -> Array:
    """0 on the first day of a phase; before the first change nobody knows how long the phase has lasted."""
    positions = np.arange(len(phase_of_day))
    is_change = np.concatenate([[False], phase_of_day[1:] != phase_of_day[:-1]])
    latest = np.maximum.accumulate(np.where(is_change, positions, -1))
    return np.where(latest < 0, np.inf, positions - latest).astype(float)


def _find_returns(ordinals: Index, is_holiday: Flags) -> Flags:
    """The first working day after a holiday: what was left lying is done then."""
    found = np.zeros(len(is_holiday), dtype=bool)
    is_waiting = False
    for position, (day, holiday) in enumerate(zip(ordinals, is_holiday, strict=True)):
        is_working = not holiday and (day - 1) % 7 < 5
        found[position] = is_waiting and is_working
        is_waiting = bool(holiday) or (is_waiting and not is_working)
    return found
