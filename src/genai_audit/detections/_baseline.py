"""Shared statistics: comparison with days of the same kind (facts/detections.md §1.4), sliding windows.

Pure: no clock, no I/O. Counts are not normal and few days are alike, so centre and spread are the median and
the MAD of the last weeks' days with the same weekday **and** the same type in the university's calendar; bank
holidays are left out. The same day of last year's academic week is not used yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Rule:
    """When a day is unusual: value >= floor, >= ratio x median, and >= k spreads above the median."""

    floor: float = 20
    ratio: float = 3.0
    k: float = 4.0
    weeks: int = 8
    min_weekdays: int = 4
    min_days: int = 10


def fill_days(
    counts: pl.DataFrame, feeds: pl.DataFrame, coverage: pl.DataFrame, calendar: pl.DataFrame
) -> pl.DataFrame:
    """One row a subject and day since the subject was first seen, in the shape that `judge_days` takes.

    `counts`: subject, day, value; `feeds`: subject, source; `coverage`, `calendar`: the marts. A day without
    a record is a zero only if the subject's sources were collected on that day; a source of which nothing is
    expected (an imported file) doesn't spoil the day by being absent. Adds `first_day` and `days_before`
    (proven days without the subject before it).
    """
    is_collected = pl.col("coverage_status") == "collected"
    is_proven = (is_collected | ~pl.col("is_expected")).all() & is_collected.any()
    proven = (
        feeds.unique()
        .join(coverage, on="source")
        .group_by("subject", pl.col("covered_day").alias("day"))
        .agg(is_proven.alias("is_comparable"))
    )
    first_seen = counts.group_by("subject").agg(pl.col("day").min().alias("first_day"))
    is_before = (pl.col("day") < pl.col("first_day")) & pl.col("is_comparable")
    kinds = calendar.select(pl.col("calendar_day").alias("day"), "day_type", "is_bank_holiday")
    return (
        proven.join(counts, on=["subject", "day"], how="full", coalesce=True)
        .join(first_seen, on="subject")
        .with_columns(pl.col("value").fill_null(0).cast(pl.Int64), pl.col("is_comparable").fill_null(False))
        .with_columns(is_before.sum().over("subject").alias("days_before"))
        .filter(pl.col("day") >= pl.col("first_day"))
        .join(kinds, on="day", how="left")
        .with_columns(pl.col("is_bank_holiday").fill_null(False))
    )


def judge_days(days: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """The days at or above the floor, each with its comparison and `is_judged`, `is_unusual`.

    `days`: one row a subject and day with `subject, day (Date), value, day_type, is_bank_holiday,
    is_comparable` (false: not wholly collected; such a day is judged but never compared with). A missing row
    is not a zero: fill zeros first where collection is proven. Days below the floor can't be unusual and are
    not returned.
    """
    compared = compare_days(days.filter(pl.col("value") >= rule.floor), days, rule)
    median, above = pl.col("median"), pl.col("value") - pl.col("median")
    is_unusual = (pl.col("value") >= rule.ratio * median) & (above >= rule.k * pl.col("spread"))
    return compared.with_columns(is_unusual.fill_null(False).alias("is_unusual"))


def compare_days(judged: pl.DataFrame, history: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """`judged` with `compared_with` (same weekday | same kind of day | NULL), `compared_days`, `median`,
    `spread` and `is_judged`. Both frames have the columns named in `judge_days`; rows keep no order.

    Fewer than `min_weekdays` comparable days: all days of the same type count, if there are `min_days`;
    otherwise the day is not judged.
    """
    usable = history.filter("is_comparable", ~pl.col("is_bank_holiday")).select(
        "subject", "day_type", pl.col("day").alias("past_day"), pl.col("value").alias("past_value")
    )
    span = rule.weeks * 7
    weekday = _summarise(judged, usable, range(7, span + 1, 7), rule.min_weekdays, "same weekday")
    left_over = weekday.filter(~pl.col("is_judged")).select(judged.columns)
    any_day = _summarise(left_over, usable, range(1, span + 1), rule.min_days, "same kind of day")
    return pl.concat([weekday.filter("is_judged"), any_day])


def _summarise(
    judged: pl.DataFrame, usable: pl.DataFrame, days_back: range, minimum: int, words: str
) -> pl.DataFrame:
    """Median and spread of the usable days that lie `days_back` before each judged day."""
    value = pl.col("past_value")
    back = pl.DataFrame({"days_back": list(days_back)}, schema={"days_back": pl.Int64})
    summary = (
        judged.select("subject", "day", "day_type")
        .join(back, how="cross")
        .with_columns((pl.col("day") - pl.duration(days="days_back")).alias("past_day"))
        .join(usable, on=["subject", "day_type", "past_day"])
        .group_by("subject", "day")
        .agg(
            value.len().cast(pl.Int64).alias("compared_days"),
            value.median().alias("median"),
            ((value - value.median()).abs().median() * MAD_TO_SIGMA).alias("mad"),
        )
    )
    is_judged = pl.col("compared_days") >= minimum
    spread = pl.max_horizontal("mad", pl.col("median").sqrt(), pl.lit(1.0))
    return (
        judged.join(summary, on=["subject", "day"], how="left")
        .with_columns(pl.col("compared_days").fill_null(0))
        .with_columns(
            is_judged.alias("is_judged"),
            pl.when(is_judged).then(pl.lit(words)).alias("compared_with"),
            pl.when(is_judged).then(pl.col("median")).alias("median"),
            pl.when(is_judged).then(spread).alias("spread"),
        )
        .drop("mad")
    )


def count_in_window(rows: pl.DataFrame, span: timedelta) -> pl.DataFrame:
    """`rows` with `in_window`: distinct resources that the person reached in the `span` up to each row.

    Reads `person, resource_key, occurred_at`. A resource is present from an access until `span` after it,
    both ends included. Adding up what begins and ends costs a sort; a window sliding over every row costs
    the square for an agent that reads a whole library.
    """
    pair = ("person", "resource_key")
    rows = rows.sort(*pair, "occurred_at")
    is_same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in pair)
    is_near = pl.col("occurred_at").diff() <= span
    rows = rows.with_columns((~(is_same & is_near)).fill_null(True).alias("is_start"))
    rows = rows.with_columns(pl.col("is_start").shift(-1, fill_value=True).alias("is_last"))
    starts = rows.select("person", "occurred_at", pl.col("is_start").cast(pl.Int64).alias("change"))
    ends = rows.filter("is_last").select(
        "person", pl.col("occurred_at") + span, pl.lit(-1, pl.Int64).alias("change")
    )
    present = (
        pl.concat([starts, ends])
        .sort("person", "occurred_at", "change", descending=[False, False, True])
        .with_columns(pl.col("change").cum_sum().alias("in_window"))  # a person's changes add up to 0
        .group_by("person", "occurred_at")
        .agg(pl.col("in_window").max())
    )
    return rows.join(present, on=["person", "occurred_at"], how="left").drop("is_start", "is_last")
