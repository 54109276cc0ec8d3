"""The count baseline over files: what `genai-audit judge` does. One CSV of counts in, one of verdicts out.

counts: series_id, date, count · calendar: date, phase, is_holiday · out: series_id, date, expected, upper,
score (-log10 p, of weeks together with the week before), alarm (0 or 1); one row a series and date.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genai_audit.detections._calnb import Prediction, judge
from genai_audit.detections._calnb_calendar import RHYTHMS
from genai_audit.detections._calnb_frames import Panel, make_panel, predict_panel
from genai_audit.errors import BadDataError

COUNTS = {"series_id": pl.Categorical, "date": pl.Date, "count": pl.Int64}
CALENDAR = {"date": pl.Date, "phase": pl.String, "is_holiday": pl.Int64}
ROWS_AT_ONCE = 1000  # series that are judged and written together


def judge_files(
    counts: Path, calendar: Path, eval_from: date, frequency: str, out: Path, alpha: float | None = None
) -> tuple[int, int]:
    """Judge every series from `eval_from` on and write `out`; gives the number of rows and of alarms."""
    frame = _read(counts, COUNTS).rename({"series_id": "series", "date": "day"})
    if frame.is_empty():
        raise BadDataError("There is no count in the file.", where=str(counts))
    days = _read(calendar, CALENDAR).select(
        pl.col("date").alias("calendar_day"),
        pl.col("phase").alias("day_type"),
        (pl.col("is_holiday") > 0).alias("is_bank_holiday"),
    )
    panel = make_panel(frame, RHYTHMS[frequency].step_days)
    del frame
    before = timedelta(weeks=frequency == "W")  # a week is judged with the week before it
    prediction = predict_panel(panel, days, eval_from - before, frequency)
    return _write(panel, prediction, eval_from, out, alpha or RHYTHMS[frequency].alpha)


def _read(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    try:
        return pl.read_csv(path, columns=list(columns), schema_overrides=columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadDataError(
            f"The file can't be read as CSV with the columns {', '.join(columns)}.",
            where=str(path),
            next_step="Dates are written 2026-11-01, counts are whole numbers, is_holiday is 0 or 1.",
        ) from error


def _write(panel: Panel, prediction: Prediction, eval_from: date, out: Path, alpha: float) -> tuple[int, int]:
    days = pl.Series("date", panel.days[prediction.first :], dtype=pl.Date)
    names = panel.names.cast(pl.String)
    rows = alarms = 0
    with out.open("wb") as file:
        for start in range(0, len(names), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            part = prediction.of(some)
            counts = panel.counts[some, prediction.first :]
            verdict = judge(part, counts, alpha=alpha)
            wanted = ~np.isnan(counts) & (days >= eval_from).to_numpy()
            series, day = np.nonzero(wanted)
            p, threshold = verdict.p[wanted], verdict.threshold[wanted]
            score = np.where(p < 0.5, -np.log10(np.maximum(p, 1e-300)) + np.log10(threshold / alpha), 0)
            table = pl.DataFrame(
                {
                    "series_id": names[some].gather(series),
                    "date": days.gather(day),
                    "expected": part.expected[series, day],
                    "upper": verdict.upper[series, day].astype(np.int64),
                    "score": score,
                    "alarm": verdict.is_alarm[series, day].astype(np.int8),
                }
            )
            table.write_csv(file, include_header=start == 0, float_precision=6)
            rows += table.height
            alarms += int(table["alarm"].sum())
    return rows, alarms
