"""Use of one external AI tool on one day, far above comparable days. Sees only what a feed recorded.

The history of a tool begins on the day it is first seen: the days before are not zeros of use, they are days
on which nobody knew the tool. A new tool that reaches the floor before it has a history gives one `low` lead
that says so, instead of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from genai_audit.detections._baseline import Rule, judge_days
from genai_audit.detections._finding import (
    Lead, build_findings, merge_params, pick_record_ids, require_rows, tidy, write_count, write_day,
)  # fmt: skip
from genai_audit.registry import Detection, NotEvaluatedError

NAME = "external_tool_spike"
TABLE = "fct_external_use"
PARAMS = {"floor": 20, "ratio": 3.0, "k": 4.0, "weeks": 8, "counted": "records"}  # or: persons
COUNTED = {
    "records": ("use", pl.col("record_id").n_unique()),
    "persons": ("person", pl.col("person_key").drop_nulls().n_unique()),
}


def detect(frames: Mapping[str, pl.DataFrame], params: Mapping[str, Any]) -> pl.DataFrame:
    """One finding a tool and unusual day; measure = uses of the day, expected = median of comparable days."""
    chosen = merge_params(NAME, PARAMS, params)
    uses = require_rows(frames, TABLE, "no source recorded an external AI tool: no feed and no use look alike")
    calendar = require_rows(frames, "dim_calendar_day", "the university calendar is empty")
    uses = uses.with_columns(pl.coalesce("tool_id", "tool_name", pl.lit("not stated")).alias("subject"))
    rule = Rule(chosen["floor"], chosen["ratio"], chosen["k"], chosen["weeks"])
    noun, counting = COUNTED[chosen["counted"]]
    counts = uses.group_by("subject", pl.col("occurred_day").alias("day")).agg(counting.alias("value"))
    judged = judge_days(_fill_days(uses, counts, frames["fct_coverage"], calendar), rule)
    unjudged = judged.filter(~pl.col("is_judged"))
    new = unjudged.filter(pl.col("days_before") >= rule.min_days)
    if judged.height and judged.height == unjudged.height and new.is_empty():
        raise NotEvaluatedError(f"insufficient_history: {write_count(unjudged.height, 'day')} of use, none with "
                                f"{rule.min_weekdays} comparable days before it")  # fmt: skip
    lead = _describe(judged.filter("is_unusual"), uses)
    first = _describe(new.sort("day").group_by("subject").agg(pl.all().first()), uses)
    leads = [*_write_spikes(lead, noun, unjudged.height), *_write_new_tools(first, noun)]
    return build_findings(NAME, leads)


def _fill_days(
    uses: pl.DataFrame, counts: pl.DataFrame, coverage: pl.DataFrame, calendar: pl.DataFrame
) -> pl.DataFrame:
    """One row a tool and day since the tool was first seen, in the shape that `judge_days` takes.

    A day without a record is a zero only if the sources that know the tool were collected on that day; a
    source of which nothing is expected (an imported file) doesn't spoil the day by being absent.
    """
    is_collected = pl.col("coverage_status") == "collected"
    proven = (
        uses.select("subject", "source").unique()
        .join(coverage, on="source")
        .group_by("subject", pl.col("covered_day").alias("day"))
        .agg(((is_collected | ~pl.col("is_expected")).all() & is_collected.any()).alias("is_comparable"))
    )  # fmt: skip
    days = proven.join(counts, on=["subject", "day"], how="full", coalesce=True)
    first_seen = counts.group_by("subject").agg(pl.col("day").min().alias("first_day"))
    days = days.join(first_seen, on="subject").with_columns(
        pl.col("value").fill_null(0).cast(pl.Int64), pl.col("is_comparable").fill_null(False)
    )
    before = ((pl.col("day") < pl.col("first_day")) & pl.col("is_comparable")).sum().over("subject")
    kinds = calendar.select(pl.col("calendar_day").alias("day"), "day_type", "is_bank_holiday")
    return (
        days.with_columns(before.alias("days_before"))
        .filter(pl.col("day") >= pl.col("first_day"))
        .join(kinds, on="day", how="left")
        .with_columns(pl.col("is_bank_holiday").fill_null(False))
    )


def _describe(days: pl.DataFrame, uses: pl.DataFrame) -> pl.DataFrame:
    """The days with what a reader wants to know: names, persons, feeds, records."""
    facts = uses.group_by("subject", pl.col("occurred_day").alias("day")).agg(
        pl.col("tool_name").min(),
        pl.col("tool_status").min(),
        pl.col("channel").unique().sort().str.join(", ").alias("channels"),
        pl.col("person_key").drop_nulls().n_unique().alias("persons"),
        pl.col("record_id").n_unique().alias("records"),
        pick_record_ids(),
    )
    return days.join(facts, on=["subject", "day"], how="left")


def _write_spikes(days: pl.DataFrame, noun: str, unjudged: int) -> Iterator[Lead]:
    for row in days.iter_rows(named=True):
        counts = {"records": row["records"], "persons": row["persons"], "comparable_days": row["compared_days"],
                  "tool_days_not_judged": unjudged}  # fmt: skip
        summary = (
            f"{_open(row, noun)}: unusual, the median of {row['compared_days']} comparable days "
            f"({row['compared_with']}, {row['day_type']}) is {row['median']:,.0f}. {_close(row)}"
        )
        yield Lead("tool", row["subject"], row["day"], "medium", summary, row["value"], row["median"], TABLE,
                   row["record_ids"], counts)  # fmt: skip


def _write_new_tools(days: pl.DataFrame, noun: str) -> Iterator[Lead]:
    for row in days.iter_rows(named=True):
        counts = {"records": row["records"], "persons": row["persons"], "comparable_days": row["compared_days"]}
        summary = (
            f"{_open(row, noun)}; first seen on {write_day(row['first_day'])}. Not judged: a new tool has "
            f"too few comparable days. {_close(row)}"
        )
        yield Lead("tool", row["subject"], row["day"], "low", summary, row["value"], None, TABLE,
                   row["record_ids"], counts, part="new tool")  # fmt: skip


def _open(row: Mapping[str, Any], noun: str) -> str:
    persons = f" by {write_count(row['persons'], 'person')}" if noun == "use" and row["persons"] else ""
    name = tidy(row["tool_name"] or row["subject"])
    return f"{name}: {write_count(row['value'], noun)}{persons} on {write_day(row['day'])}"


def _close(row: Mapping[str, Any]) -> str:
    return f"Seen through {row['channels']}; status in the register: {row['tool_status'] or 'unknown'}."


DETECTION = Detection(
    title="Unusual use of an external AI tool",
    question="Was an external AI tool used far more on a day than on comparable days?",
    reads=(TABLE, "fct_coverage", "dim_calendar_day"),
    severity="medium",
    clauses=("6",),
    params=PARAMS,
    innocent_explanations=(
        "A class exercise or a workshop.", "A deadline or the start of term.", "A story in the media.",
        "Background traffic of a browser or a device.",
    ),
    blind_spots=(
        "Use on personal devices and accounts outside the feeds is not recorded.",
        "A gap in the feed shortens the history; days that were not collected are left out.",
        "A new tool has no history: it is reported once as not judged.",
        "A rise that is slow, or spread over many small tools, stays below the floor.",
    ),
    runbook=(
        "Look at the day's records by unit and channel, and at coverage of the feed in the weeks before.",
        "Ask the units with most of the use whether a class, workshop or deadline explains it.",
        "If not, record who will look at the tool's entry in the register, and close the lead with a reason.",
    ),
    detect=detect,
)  # fmt: skip
