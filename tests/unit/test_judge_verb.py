"""`genai-audit judge`: CSV files in, one CSV out, refusals in words."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from genai_audit.cli import app
from genai_audit.errors import BadDataError, UsageError

FIRST_DAY = date(2025, 9, 1)
DAYS, EVAL_FROM = 150, FIRST_DAY + timedelta(days=120)


def write(folder: Path, rows: pl.DataFrame | None = None) -> list[str]:
    """Two files for the verb; gives its options but for the last."""
    days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
    drawn = np.random.default_rng(4).poisson(6, (3, DAYS))
    drawn[1, 140] = 60
    counts = pl.DataFrame(
        {"series_id": np.repeat(["a", "b", "c"], DAYS), "date": days * 3, "count": drawn.ravel()}
    )
    (rows if rows is not None else counts).write_csv(folder / "counts.csv")
    pl.DataFrame({"date": days, "phase": ["none"] * DAYS, "is_holiday": [0] * DAYS}).write_csv(
        folder / "calendar.csv"
    )
    files = {name: str(folder / f"{name}.csv") for name in ("counts", "calendar", "out")}
    return [word for name, path in files.items() for word in (f"--{name}", path)]


def call(*words: str) -> Any:
    return CliRunner().invoke(app, ["judge", *words])


def test_a_file_of_counts_becomes_a_file_of_verdicts(tmp_path: Path) -> None:
    result = call(*write(tmp_path), "--eval-from", EVAL_FROM.isoformat(), "--freq", "D")
    assert result.exit_code == 0, result.exception
    assert "Judged 90 rows, 1 alarms" in result.stdout
    out = pl.read_csv(tmp_path / "out.csv", try_parse_dates=True)
    assert out.columns == ["series_id", "date", "expected", "upper", "score", "alarm"]
    assert (out["date"].min(), out["date"].max()) == (EVAL_FROM, FIRST_DAY + timedelta(days=DAYS - 1))
    alarm = out.filter(pl.col("alarm") == 1).row(0, named=True)
    assert (alarm["series_id"], alarm["date"]) == ("b", FIRST_DAY + timedelta(days=140))
    assert alarm["score"] > 3
    assert alarm["expected"] < alarm["upper"] < 60


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    options = [*write(tmp_path), "--eval-from", EVAL_FROM.isoformat()]
    assert call(*options).exit_code == 0
    first = (tmp_path / "out.csv").read_bytes()
    assert call(*options).exit_code == 0
    assert (tmp_path / "out.csv").read_bytes() == first


def test_weeks_are_judged_as_weeks(tmp_path: Path) -> None:
    weeks = [FIRST_DAY + timedelta(weeks=number) for number in range(80)]
    counts = pl.DataFrame({"series_id": ["a"] * 80, "date": weeks, "count": [5] * 79 + [90]})
    eval_from = (FIRST_DAY + timedelta(weeks=70)).isoformat()
    assert call(*write(tmp_path, counts), "--eval-from", eval_from, "--freq", "W").exit_code == 0
    out = pl.read_csv(tmp_path / "out.csv", try_parse_dates=True)
    assert out["date"].to_list() == weeks[70:]
    assert out["alarm"].to_list() == [0] * 9 + [1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--eval-from", "soon"], "not a date"),
        (["--eval-from", "2026-01-01", "--freq", "M"], "no frequency"),
        (["--eval-from", "2026-01-01", "--out", "nowhere/out.csv"], "no such folder"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: list[str], words: str) -> None:
    result = call(*write(tmp_path), *options)
    assert isinstance(result.exception, UsageError)
    assert words in result.exception.what


@pytest.mark.parametrize(
    "rows",
    [
        pl.DataFrame({"series_id": ["a"], "date": ["1 Nov"], "count": [1]}),
        pl.DataFrame({"series_id": ["a"], "day": ["2025-11-01"], "count": [1]}),
        pl.DataFrame(schema={"series_id": pl.String, "date": pl.Date, "count": pl.Int64}),
        pl.DataFrame({"series_id": ["a", "a"], "date": ["2025-11-01"] * 2, "count": [1, 2]}),
    ],
    ids=["date", "column", "empty", "twice"],
)
def test_a_file_that_is_not_the_contract_is_refused(tmp_path: Path, rows: pl.DataFrame) -> None:
    result = call(*write(tmp_path, rows), "--eval-from", EVAL_FROM.isoformat())
    assert isinstance(result.exception, BadDataError)
    assert not (tmp_path / "out.csv").exists()
