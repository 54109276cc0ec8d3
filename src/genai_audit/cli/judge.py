"""The verb that runs the count baseline over files of one's own."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from genai_audit.cli.session import tell
from genai_audit.errors import UsageError

FREQUENCIES = ("D", "W")


def judge(
    counts: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="CSV: series_id, date, count.")],
    calendar: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="CSV: date, phase, is_holiday (0 or 1).")
    ],
    eval_from: Annotated[str, typer.Option(help="First day to judge; the days before teach.")],
    out: Annotated[Path, typer.Option(help="CSV to write: series_id, date, expected, upper, score, alarm.")],
    freq: Annotated[str, typer.Option(help="D for daily counts, W for weekly ones.")] = "D",
) -> None:
    """Judge counts of your own with the count baseline; needs no workspace.

    Example: genai-audit judge --counts c.csv --calendar days.csv --eval-from 2026-09-01 --out out.csv
    """
    # The baseline works on blocks in two threads; a matrix library that adds its own only gets in their way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from genai_audit.detections._calnb_files import judge_files

    try:
        first = date.fromisoformat(eval_from)
    except ValueError:
        raise UsageError(
            f"'{eval_from}' is not a date.", where="--eval-from", next_step="Write it as 2026-11-01."
        ) from None
    if freq not in FREQUENCIES:
        raise UsageError(f"There is no frequency '{freq}'.", where="--freq", next_step="Give D or W.")
    if not out.parent.is_dir():
        raise UsageError("There is no such folder.", where=f"--out {out}", next_step="Make the folder first.")
    rows, alarms = judge_files(counts, calendar, first, freq, out)
    tell(f"Judged {rows:,} rows, {alarms:,} alarms: {out}")
