"""An expected source said nothing, or nothing that proves anything. A quiet source is not a clean source.

Reads coverage only. A day that was collected and holds no record is unusual when days of the same weekday and
calendar type normally hold records (facts/detections.md §10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from genai_audit.detections import _finding as finding
from genai_audit.detections._baseline import Rule, compare_days
from genai_audit.registry import Detection, NotEvaluatedError

NAME = "source_silence"
# settle_days: records of the newest days still arrive (Copilot: 2 to 3 days late), a zero there says nothing.
PARAMS = {"floor": 20, "weeks": 8, "settle_days": 3}
GAPS = {"not collected": "not collected", "unproven": "no record, and no proof that there was none"}


def detect(frames: Mapping[str, pl.DataFrame], params: Mapping[str, Any]) -> pl.DataFrame:
    """One finding a source and unbroken run of silent days; measure = days of the run."""
    chosen = finding.merge_params(NAME, PARAMS, params)
    coverage = finding.require_rows(frames, "fct_coverage", "nothing was collected yet").filter("is_expected")
    if coverage.is_empty():
        raise NotEvaluatedError("no source is expected to say something every day")
    gaps = coverage.filter(pl.col("coverage_status").is_in(list(GAPS))).select(
        "source", "covered_day", pl.col("coverage_status").alias("kind"), "reason",
        pl.lit(None, pl.Float64).alias("median"),
    )  # fmt: skip
    zeros = _find_zeros(coverage, frames["dim_calendar_day"], chosen)
    return finding.build_findings(NAME, _write(_join_runs(pl.concat([gaps, zeros]))))


def _find_zeros(coverage: pl.DataFrame, calendar: pl.DataFrame, chosen: Mapping[str, Any]) -> pl.DataFrame:
    """Days read, wholly or partly, without a record, whose comparable days have a median above the floor."""
    kinds = calendar.select(pl.col("calendar_day").alias("covered_day"), "day_type", "is_bank_holiday")
    days = coverage.join(kinds, on="covered_day", how="left").select(
        pl.col("source").alias("subject"),
        pl.col("covered_day").alias("day"),
        pl.col("record_count").alias("value"),
        pl.col("day_type").fill_null("unknown"),
        pl.col("is_bank_holiday").fill_null(False),
        (pl.col("coverage_status") == "collected").alias("is_comparable"),
        pl.col("coverage_status").is_in(["collected", "partly"]).alias("was_read"),
    )
    settled = pl.col("day").max() - timedelta(days=chosen["settle_days"])
    is_empty = (pl.col("value") == 0) & ~pl.col("is_bank_holiday")
    silent = days.filter("was_read", is_empty, pl.col("day") <= settled)
    compared = compare_days(silent, days, Rule(weeks=chosen["weeks"]))
    return compared.filter(pl.col("median") > chosen["floor"]).select(
        pl.col("subject").alias("source"), pl.col("day").alias("covered_day"), pl.lit("empty").alias("kind"),
        pl.lit("the days were read").alias("reason"), "median",
    )  # fmt: skip


def _join_runs(days: pl.DataFrame) -> pl.DataFrame:
    """Neighbouring days of one source and kind become one row."""
    is_new = pl.col("covered_day").diff().over("source", "kind").fill_null(timedelta(0)) != timedelta(days=1)
    return (
        days.sort("source", "kind", "covered_day")
        .with_columns(is_new.cum_sum().over("source", "kind").alias("run"))
        .group_by("source", "kind", "run")
        .agg(
            pl.col("covered_day").min().alias("first_day"),
            pl.col("covered_day").max().alias("last_day"),
            pl.len().cast(pl.Int64).alias("days"),
            pl.col("median").min(),
            pl.col("reason").sort_by("covered_day").drop_nulls().first(),
        )
    )


def _write(runs: pl.DataFrame) -> Iterator[finding.Lead]:
    for row in runs.iter_rows(named=True):
        usual = f" (usual: {finding.write_count(row['median'], 'record')})" if row["median"] else ""
        words = GAPS.get(row["kind"], "read, without a single record")
        until = "" if row["days"] == 1 else f" to {finding.write_day(row['last_day'])}"
        summary = (
            f"{row['source']} said nothing on {finding.write_count(row['days'], 'day')}, "
            f"{finding.write_day(row['first_day'])}{until}: {words}{usual}. No figure of these days may "
            f"be read as no use. Stated reason: {finding.tidy(row['reason'], 160) or 'none'}."
        )
        counts = {"days": row["days"], "usual_records": round(row["median"] or 0)}
        yield finding.Lead("source", row["source"], row["first_day"], "medium", summary, row["days"], None,
                           counts=counts, part=row["kind"])  # fmt: skip


DETECTION = Detection(
    title="An expected source said nothing",
    question="Is there a day on which a source that should speak was not collected, unproven or empty?",
    reads=("fct_coverage", "dim_calendar_day"),
    severity="medium",
    clauses=("1", "12"),
    params=PARAMS,
    innocent_explanations=(
        "A closure day, a strike or an outage of the product.",
        "A pull that is scheduled and has not run yet.",
        "Auditing or a licence that was switched on later than the period asked for.",
    ),
    blind_spots=(
        "A source that is not expected (an imported file) is not watched.",
        "A day that is short of records, but not empty, is not found here.",
        "The newest days are not judged for being empty, because records still arrive.",
    ),
    runbook=(
        "Read the stated reason in coverage, and run `genai-audit doctor` for permissions and reachability.",
        "Pull the days again with `genai-audit pull --since DAY --until DAY`; history ends after 180 days.",
        "If the days stay silent, note in the report's limits that they are a gap, and close with a reason.",
    ),
    detect=detect,
)  # fmt: skip
