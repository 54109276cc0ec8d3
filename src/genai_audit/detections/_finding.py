"""How a detection words and numbers its findings. A finding is a lead for a named human, not a verdict."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from genai_audit.errors import ConfigurationError
from genai_audit.registry import NotEvaluatedError

FINDING_SCHEMA: dict[str, Any] = {
    "finding_id": pl.String, "detection": pl.String, "subject_kind": pl.String, "subject_key": pl.String,
    "found_day": pl.Date, "severity": pl.String, "measure": pl.Float64, "expected": pl.Float64,
    "summary": pl.String, "evidence": pl.String,
}  # fmt: skip
EVIDENCE_LIMIT = 5
UNIDENTIFIED = "unidentified"  # subject of records that name no person


@dataclass(frozen=True)
class Lead:
    """One finding before it gets its number.

    `part` keeps two findings of one subject and day apart; `window` replaces the day in the number when the
    finding is about the subject as such. `record_ids` point into `table`.
    """

    subject_kind: str
    subject_key: str
    found_day: date
    severity: str
    summary: str
    measure: float
    expected: float | None = None
    table: str = ""
    record_ids: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    part: str = ""
    window: str | None = None


def number_finding(detection: str, subject: str, part: str, window: str) -> str:
    """`fi_` and 26 hex digits: the same detection, subject and window give the same id in every run."""
    text = json.dumps([detection, subject, part, window], ensure_ascii=False)
    return "fi_" + hashlib.sha256(text.encode()).hexdigest()[:26]


def build_findings(detection: str, leads: Iterable[Lead]) -> pl.DataFrame:
    """One row a lead with the columns of FINDING_SCHEMA, in order of day and id, never of a figure."""
    rows = [_build_row(detection, lead) for lead in leads]
    return pl.DataFrame(rows, schema=FINDING_SCHEMA, orient="row").sort("found_day", "finding_id")


def _build_row(detection: str, lead: Lead) -> tuple[Any, ...]:
    window = lead.found_day.isoformat() if lead.window is None else lead.window
    records = [{"table": lead.table, "record_id": record} for record in lead.record_ids[:EVIDENCE_LIMIT]]
    evidence = json.dumps({"records": records, "counts": dict(lead.counts)}, sort_keys=True)
    number = number_finding(detection, lead.subject_key, lead.part, window)
    return (number, detection, lead.subject_kind, lead.subject_key, lead.found_day, lead.severity,
            float(lead.measure), lead.expected, lead.summary, evidence)  # fmt: skip


def merge_params(
    detection: str, defaults: Mapping[str, Any], params: Mapping[str, Any], **choices: Iterable[str]
) -> dict[str, Any]:
    """The defaults with the workspace's own values over them. A misspelt name or word is refused."""
    unknown = sorted(set(params) - set(defaults))
    if unknown:
        raise ConfigurationError(
            f"The detection has no parameter called {', '.join(unknown)}.",
            where=f"detections.{detection}",
            next_step=f"Use one of: {', '.join(sorted(defaults))}.",
        )
    chosen = {**defaults, **params}
    for name, words in choices.items():
        if chosen[name] not in words:
            raise ConfigurationError(
                f"'{chosen[name]}' is no value of {name}.",
                where=f"detections.{detection}",
                next_step=f"Use one of: {', '.join(words)}.",
            )
    return chosen


def require_rows(frames: Mapping[str, pl.DataFrame], table: str, reason: str) -> pl.DataFrame:
    """The frame of a table; NotEvaluatedError(reason) when it has no row."""
    frame = frames[table]
    if frame.is_empty():
        raise NotEvaluatedError(reason)
    return frame


def pick_record_ids() -> pl.Expr:
    """Aggregation: the first five record ids of a group by time, whatever the order of the rows."""
    ordered = pl.col("record_id").sort_by("occurred_at", "record_id")
    return ordered.unique(maintain_order=True).head(EVIDENCE_LIMIT).alias("record_ids")


def fold_population(
    rows: pl.DataFrame, active: pl.DataFrame, chosen: Mapping[str, Any], severity: str, table: str,
    words: str, part: str,
) -> tuple[list[Lead], pl.DataFrame]:  # fmt: skip
    """One finding in place of many on days on which more than a share of all active persons fire.

    `rows` (person, person_key, occurred_day, record_ids) are the findings to be, `active` the persons of a
    day. Returns the joined findings, and the rows of the other days (facts/detections.md §1.2 rule 12).
    """
    crowded = find_population_days(rows, active, chosen["population_share"], chosen["population_persons"])
    leads = []
    for day, present in sorted(crowded.items()):
        joined = rows.filter(pl.col("occurred_day") == day)
        persons = joined["person"].n_unique()
        summary = (
            f"{write_count(persons, 'account')} of {present:,} active on {write_day(day)} {words}: one "
            "finding for all, because so many on one day point to a launch, a class or a changed setting."
        )
        counts = {"persons": persons, "active_persons": present, "findings_joined": joined.height}
        firsts = joined.select("person", pl.col("record_ids").list.first()).sort(pl.all())["record_ids"]
        records = firsts.unique(maintain_order=True).to_list()
        expected = present * chosen["population_share"]
        leads.append(Lead("population", "all accounts", day, severity, summary, persons, expected, table,
                          records, counts, part))  # fmt: skip
    return leads, rows.filter(~pl.col("occurred_day").is_in(list(crowded)))


def find_population_days(
    firing: pl.DataFrame, active: pl.DataFrame, max_share: float, min_persons: int
) -> dict[date, int]:
    """Crowded days with the number of active persons. Both frames hold `occurred_day` and `person_key`."""
    persons = pl.col("person_key").drop_nulls().n_unique()
    fired = firing.group_by("occurred_day").agg(persons.alias("fired"))
    present = active.group_by("occurred_day").agg(persons.alias("active"))
    both = fired.join(present, on="occurred_day", how="left")
    both = both.with_columns(pl.max_horizontal("fired", "active").alias("active"))
    is_crowded = (pl.col("fired") >= min_persons) & (pl.col("fired") > max_share * pl.col("active"))
    return dict(both.filter(is_crowded).select("occurred_day", "active").iter_rows())


def write_day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def write_count(count: float, noun: str) -> str:
    """`1 record`, `1,204 records`."""
    return f"{count:,.0f} {noun}" + ("" if count == 1 else "s")


def tidy(text: str | None, limit: int = 80) -> str:
    """Text from a log on one line, cut to `limit`: no control or direction sign, nothing like an address."""
    kept = "".join(sign for sign in text or "" if unicodedata.category(sign)[0] != "C").replace("@", " at ")
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"
