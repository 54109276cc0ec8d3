"""Copilot or an agent read content whose sensitivity label ranks confidential or above on that day.

Judged by the label's rank, never by "any label": Microsoft's own roll-up marks a Public label as sensitive
(facts/detections.md §3). Blocked and failed accesses are left out: there the protection worked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from genai_audit.detections import _finding as finding
from genai_audit.detections._baseline import count_in_window
from genai_audit.registry import Detection, NotEvaluatedError

NAME = "sensitive_label_access"
TABLE = "fct_resource_access"
PARAMS = {"min_rank": 20, "high_rank": 30, "left_out_actions": ("create",), "bulk_resources": 15,
          "bulk_minutes": 60, "population_share": 0.05, "population_persons": 20}  # fmt: skip
FINDING_KEY = ["person", "label_id", "occurred_day"]


def detect(frames: Mapping[str, pl.DataFrame], params: Mapping[str, Any]) -> pl.DataFrame:
    """One finding a person, label and day; measure = distinct resources read."""
    chosen = finding.merge_params(NAME, PARAMS, params)
    rows = finding.require_rows(frames, TABLE, "no accessed resource in any record")
    if rows["label_id"].null_count() == rows.height:
        raise NotEvaluatedError(f"no label id on any of {finding.write_count(rows.height, 'resource')}")
    if rows["label_rank"].null_count() == rows.height:
        raise NotEvaluatedError("none of the label ids in the data is in the label register")
    read = _pick_reads(rows, chosen)
    minutes, limit = chosen["bulk_minutes"], chosen["bulk_resources"]
    cells = (
        count_in_window(read, timedelta(minutes=minutes))
        .group_by(FINDING_KEY)
        .agg(
            pl.col("person_key").first(),
            pl.col("label_name").min(),
            pl.col("label_rank").max(),
            pl.col("resource_key").n_unique().alias("resources"),
            pl.col("record_id").n_unique().alias("records"),
            pl.col("in_window").max(),
            finding.pick_record_ids(),
        )
        .with_columns((pl.col("in_window") > limit).alias("is_bulk"))
    )
    return finding.build_findings(NAME, _write(cells, frames["fct_interaction"], chosen))


def _pick_reads(rows: pl.DataFrame, chosen: Mapping[str, Any]) -> pl.DataFrame:
    """Accesses at or above the rank that went through; a missing status or action leaves nothing out."""
    status = pl.col("access_status").fill_null("")
    went_through = ~status.is_in(["failure", "blocked"]) & (pl.col("policy_outcome").fill_null("") != "blocked")
    is_read = ~pl.col("action").fill_null("").is_in(list(chosen["left_out_actions"]))
    person = pl.col("person_key").fill_null(finding.UNIDENTIFIED).alias("person")
    return rows.filter(went_through, is_read, pl.col("label_rank") >= chosen["min_rank"]).with_columns(person)


def _write(cells: pl.DataFrame, active: pl.DataFrame, chosen: Mapping[str, Any]) -> Iterator[finding.Lead]:
    """Ordinary and bulk cells apart, so that a roll-out on one day hides nobody who reads in bulk."""
    share, persons = chosen["population_share"], chosen["population_persons"]
    for is_bulk in (False, True):
        kind = cells.filter(pl.col("is_bulk") == is_bulk)
        crowded = finding.find_population_days(kind, active, share, persons)
        for day, present in sorted(crowded.items()):
            yield _write_population(kind.filter(pl.col("occurred_day") == day), present, is_bulk, chosen)
        for row in kind.filter(~pl.col("occurred_day").is_in(list(crowded))).iter_rows(named=True):
            yield _write_person(row, chosen)


def _write_person(row: Mapping[str, Any], chosen: Mapping[str, Any]) -> finding.Lead:
    bulk = (
        f" Bulk: up to {row['in_window']:,} distinct resources of rank {chosen['min_rank']} or above "
        f"within {chosen['bulk_minutes']} minutes (limit {chosen['bulk_resources']})."
    )
    summary = (
        f"{finding.write_count(row['resources'], 'resource')} labelled "
        f"{finding.tidy(row['label_name'] or row['label_id'])} (rank {row['label_rank']}) read through "
        f"Copilot or an agent for one account on {finding.write_day(row['occurred_day'])}."
    )
    counts = {name: row[name] for name in ("resources", "records", "in_window", "label_rank")}
    severity = "high" if row["is_bulk"] or row["label_rank"] >= chosen["high_rank"] else "medium"
    summary += bulk if row["is_bulk"] else ""
    return finding.Lead("person", row["person"], row["occurred_day"], severity, summary, row["resources"],
                        None, TABLE, row["record_ids"], counts, part=row["label_id"])  # fmt: skip


def _write_population(
    cells: pl.DataFrame, active: int, is_bulk: bool, chosen: Mapping[str, Any]
) -> finding.Lead:
    day, persons = cells["occurred_day"][0], cells["person"].n_unique()
    how = "in bulk" if is_bulk else "not in bulk"
    summary = (
        f"{finding.write_count(persons, 'account')} of {active:,} active on {finding.write_day(day)} read "
        f"content of rank {chosen['min_rank']} or above ({how}): one finding for all, as for a launch or a "
        "default label."
    )
    counts = {"persons": persons, "active_persons": active, "findings_joined": cells.height}
    firsts = cells.sort("person", "label_id")["record_ids"].list.first()
    records = firsts.unique(maintain_order=True).to_list()
    is_high = is_bulk or (cells["label_rank"] >= chosen["high_rank"]).any()
    return finding.Lead("population", "all accounts", day, "high" if is_high else "medium", summary, persons,
                        active * chosen["population_share"], TABLE, records, counts, part=how)  # fmt: skip


DETECTION = Detection(
    title="Sensitive content read through Copilot",
    question="Did Copilot or an agent read content with a label of rank confidential or above?",
    reads=(TABLE, "fct_interaction"),
    severity="medium",
    clauses=("4", "3d"),
    params=PARAMS,
    innocent_explanations=(
        "The person's own document.",
        "A role that works with such content (HR, registry, finance, counselling).",
        "A default or inherited label.", "Grounding searches touch documents the person never opened.",
        "Bulk: a committee pack, a case folder, a migration, an agent working on a library.",
    ),
    blind_spots=(
        "An empty resource list is not proof that nothing was read (seen July to August 2025).",
        "Labels that the register does not know have no rank and are not judged.",
        "The agent behind an access is not told apart: the account is the subject.",
        "The log does not say whether the text reached the answer.",
    ),
    runbook=(
        "Read label, number of resources and times; check in the label register that the rank is right.",
        "Ask the unit whether the role explains the access, without naming the content.",
        "If not, ask the owner of the site to check who may open it, and close the lead with a reason.",
    ),
    detect=detect,
)  # fmt: skip
