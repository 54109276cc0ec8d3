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
    is_bulk = pl.col("in_window") > chosen["bulk_resources"]
    is_high = pl.col("label_rank") >= chosen["high_rank"]
    cells = (
        count_in_window(read, timedelta(minutes=chosen["bulk_minutes"]))
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
        .with_columns(
            pl.when(is_bulk).then(pl.lit("bulk")).when(is_high).then(pl.lit("high rank")).alias("kind")
        )
    )
    return finding.build_findings(NAME, _write(cells, frames["fct_interaction"], chosen))


def _pick_reads(rows: pl.DataFrame, chosen: Mapping[str, Any]) -> pl.DataFrame:
    """Accesses at or above the rank that went through; a missing status or action leaves nothing out."""
    status = pl.col("access_status").fill_null("")
    outcome = pl.col("policy_outcome").fill_null("")
    went_through = ~status.is_in(["failure", "blocked"]) & (outcome != "blocked")
    is_read = ~pl.col("action").fill_null("").is_in(list(chosen["left_out_actions"]))
    person = pl.col("person_key").fill_null(finding.UNIDENTIFIED).alias("person")
    return rows.filter(went_through, is_read, pl.col("label_rank") >= chosen["min_rank"]).with_columns(person)


def _write(cells: pl.DataFrame, active: pl.DataFrame, chosen: Mapping[str, Any]) -> Iterator[finding.Lead]:
    """The kinds apart, so that a roll-out of ordinary reads hides no bulk or high-ranking one."""
    for kind, severity in ((None, "medium"), ("high rank", "high"), ("bulk", "high")):
        rows = cells.filter(pl.col("kind").eq_missing(pl.lit(kind, pl.String)))
        words = f"read content of rank {chosen['min_rank']} or above" + (f" ({kind})" if kind else "")
        folded, rest = finding.fold_population(rows, active, chosen, severity, TABLE, words, kind or "")
        yield from folded
        for row in rest.iter_rows(named=True):
            yield _write_person(row, severity, chosen)


def _write_person(row: Mapping[str, Any], severity: str, chosen: Mapping[str, Any]) -> finding.Lead:
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
    summary += bulk if row["kind"] == "bulk" else ""
    return finding.Lead("person", row["person"], row["occurred_day"], severity, summary, row["resources"],
                        None, TABLE, row["record_ids"], counts, part=row["label_id"])  # fmt: skip


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
