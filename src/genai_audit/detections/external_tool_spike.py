"""Use of one external AI tool on one day, far above comparable days. Sees only what a feed recorded.

The history of a tool begins on the day it is first seen: the days before are not zeros of use, they are days
on which nobody knew the tool. A new tool that reaches the floor before it has a history gives one `low` lead
that says so, instead of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from genai_audit.detections import _finding as finding
from genai_audit.detections._baseline import Rule, fill_days, judge_days
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
    chosen = finding.merge_params(NAME, PARAMS, params, counted=COUNTED)
    uses = finding.require_rows(frames, TABLE, "no external AI tool in any record: no feed or no use")
    calendar = finding.require_rows(frames, "dim_calendar_day", "the university calendar is empty")
    subject = pl.coalesce("tool_id", "tool_name", pl.lit("not stated")).str.replace_all("@", " at ")
    # A feed's own sums, standing permissions, and attempts that were refused are no use: never added to it.
    uses = uses.filter((pl.col("record_kind") == "event") & pl.col("is_use")).with_columns(
        subject.alias("subject")
    )
    rule = Rule(chosen["floor"], chosen["ratio"], chosen["k"], chosen["weeks"])
    noun, counting = COUNTED[chosen["counted"]]
    counts = uses.group_by("subject", pl.col("occurred_day").alias("day")).agg(counting.alias("value"))
    feeds = uses.select("subject", "source")
    judged = judge_days(fill_days(counts, feeds, frames["fct_coverage"], calendar), rule)
    unjudged = judged.filter(~pl.col("is_judged"))
    new = unjudged.filter(pl.col("days_before") >= rule.min_days)
    if judged.height and judged.height == unjudged.height and new.is_empty():
        days = finding.write_count(unjudged.height, "day")
        raise NotEvaluatedError(f"insufficient_history: {days} of much use, none with comparable days before")
    first_days = new.sort("day").unique("subject", keep="first", maintain_order=True)
    told = _describe(pl.concat([judged.filter("is_unusual"), first_days]), uses)
    return finding.build_findings(NAME, _write(told, noun, unjudged.height))


def _describe(days: pl.DataFrame, uses: pl.DataFrame) -> pl.DataFrame:
    """The days with what a reader wants to know: names, persons, feeds, records."""
    facts = uses.group_by("subject", pl.col("occurred_day").alias("day")).agg(
        pl.col("tool_name").min(),
        pl.col("tool_status").min(),
        pl.col("channel").unique().sort().str.join(", ").alias("channels"),
        pl.col("person_key").drop_nulls().n_unique().alias("persons"),
        pl.col("record_id").n_unique().alias("records"),
        finding.pick_record_ids(),
    )
    return days.join(facts, on=["subject", "day"], how="left")


def _write(days: pl.DataFrame, noun: str, unjudged: int) -> Iterator[finding.Lead]:
    for row in days.iter_rows(named=True):
        by = f" by {finding.write_count(row['persons'], 'person')}" if noun == "use" else ""
        judged = (
            f"unusual, the median of {row['compared_days']} comparable days ({row['compared_with']}, "
            f"{row['day_type']}) is {row['median'] or 0:,.0f}"
        )
        new = f"first seen on {finding.write_day(row['first_day'])}, too few comparable days, so not judged"
        summary = (
            f"{finding.tidy(row['tool_name'] or row['subject'])}: "
            f"{finding.write_count(row['value'], noun)}{by} on {finding.write_day(row['day'])}; "
            f"{judged if row['is_judged'] else new}. Seen through {row['channels']}; status in the register: "
            f"{row['tool_status'] or 'unknown'}."
        )
        counts = {name: row[name] for name in ("records", "persons", "compared_days")}
        counts["tool_days_not_judged"] = unjudged
        severity, part = ("medium", "") if row["is_judged"] else ("low", "new tool")
        yield finding.Lead("tool", row["subject"], row["day"], severity, summary, row["value"], row["median"],
                           TABLE, row["record_ids"], counts, part)  # fmt: skip


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
