"""Microsoft's safety flags: JailbreakDetected on any message, XPIADetected on any resource.

A flag shows neither intent nor success. A jailbreak flag is about an account's day, an XPIA flag about the
resource: whoever met it is more likely a target. Maker-test panes count here, unlike in use statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from genai_audit.detections import _finding as finding
from genai_audit.registry import Detection, NotEvaluatedError

NAME = "prompt_attack_flag"
TABLES = ("fct_interaction", "fct_resource_access")
FIELDS = {"JailbreakDetected": "has_jailbreak_field", "XPIADetected": "has_xpia_field"}
PARAMS = {"web_grounded": "downgrade", "population_share": 0.05, "population_persons": 20}


def detect(frames: Mapping[str, pl.DataFrame], params: Mapping[str, Any]) -> pl.DataFrame:
    """One finding a person and day (measure = flagged turns), one a resource (measure = persons).

    What one field shows is told when the other is in no record; nothing to tell is then NotEvaluatedError.
    """
    chosen = finding.merge_params(NAME, PARAMS, params, web_grounded=("downgrade", "keep", "drop"))
    turns = finding.require_rows(frames, "fct_interaction", "no interaction in the data")
    absent = [field for field, column in FIELDS.items() if not turns[column].any()]
    leads = [*_judge_messages(turns, chosen), *_judge_resources(frames["fct_resource_access"])]
    if absent and not leads:
        whole = finding.write_count(turns.height, "interaction record")
        raise NotEvaluatedError(f"field absent from all of {whole}: {', '.join(absent)}")
    note = f" Not evaluated, because absent from every record: {', '.join(absent)}." if absent else ""
    return finding.build_findings(NAME, [replace(lead, summary=lead.summary + note) for lead in leads])


def _judge_messages(turns: pl.DataFrame, chosen: Mapping[str, Any]) -> Iterator[finding.Lead]:
    flagged = turns.filter(pl.col("has_jailbreak").fill_null(False)).with_columns(
        pl.col("person_key").fill_null(finding.UNIDENTIFIED).alias("person"),
        pl.col("has_web_search").fill_null(False).alias("is_web"),
    )
    if chosen["web_grounded"] == "drop":
        flagged = flagged.filter(~pl.col("is_web"))
    records = pl.col("record_id")
    days = flagged.group_by("person", "occurred_day").agg(
        pl.col("person_key").first(),
        records.n_unique().alias("records"),
        records.filter(~pl.col("is_twin").fill_null(False)).n_unique().alias("turns"),
        records.filter("is_web").n_unique().alias("web_records"),
        records.filter(~pl.col("is_end_user").fill_null(True)).n_unique().alias("test_records"),
        finding.pick_record_ids(),
    )
    is_low = pl.lit(chosen["web_grounded"] == "downgrade") & (pl.col("web_records") == pl.col("records"))
    words = "have a message flagged for safety"
    for severity, rows in (("low", days.filter(is_low)), ("high", days.filter(~is_low))):
        folded, rest = finding.fold_population(rows, turns, chosen, severity, TABLES[0], words, severity)
        yield from folded
        yield from (_write_person(row, severity) for row in rest.iter_rows(named=True))


def _write_person(row: Mapping[str, Any], severity: str) -> finding.Lead:
    turns = row["turns"] or row["records"]  # 0: only the twin carried the flag
    summary = (
        f"{finding.write_count(turns, 'turn')} flagged by Microsoft as a possible attempt to get round "
        f"Copilot's safety rules, for one account on {finding.write_day(row['occurred_day'])}. With text "
        f"from a web search, a known cause of false flags: {row['web_records']:,}; from a test pane or an "
        f"automatic run: {row['test_records']:,}."
    )
    counts = {name: row[name] for name in ("records", "turns", "web_records", "test_records")}
    return finding.Lead("person", row["person"], row["occurred_day"], severity, summary, turns, None,
                        TABLES[0], row["record_ids"], counts)  # fmt: skip


def _judge_resources(accesses: pl.DataFrame) -> Iterator[finding.Lead]:
    met = accesses.filter(pl.col("has_xpia").fill_null(False)).group_by("resource_key").agg(
        pl.col("occurred_day").min().alias("first_day"),
        pl.col("occurred_day").max().alias("last_day"),
        pl.col("person_key").drop_nulls().n_unique().alias("persons"),
        pl.col("record_id").n_unique().alias("records"),
        pl.col("resource_type").min(),
        pl.col("site_type").min(),
        finding.pick_record_ids(),
    )  # fmt: skip
    for row in met.iter_rows(named=True):
        summary = (
            f"A resource (type {finding.tidy(row['resource_type']) or 'not stated'}, place "
            f"{row['site_type'] or 'not stated'}) was flagged by Microsoft as holding possible instructions "
            f"to Copilot; {finding.write_count(row['persons'], 'person')} met it, first on "
            f"{finding.write_day(row['first_day'])}, last on {finding.write_day(row['last_day'])}."
        )
        subject = row["resource_key"] or finding.UNIDENTIFIED
        counts = {"persons": row["persons"], "records": row["records"]}
        yield finding.Lead("resource", subject, row["first_day"], "high", summary, row["persons"], None,
                           TABLES[1], row["record_ids"], counts, window="")  # fmt: skip


DETECTION = Detection(
    title="Messages and resources flagged by Copilot's safety checks",
    question="Did Copilot flag a message as getting round its rules, or a resource as holding instructions?",
    reads=TABLES,
    severity="high",
    clauses=("4", "6"),
    params=PARAMS,
    innocent_explanations=(
        "Teaching or research on security or AI, and papers about prompt injection.",
        "Fiction, role play, or a maker testing an agent.",
        "An error of the classifier, often with text from a web page.",
    ),
    blind_spots=(
        "A record without the field was not evaluated; it is not a record without a flag.",
        "The flag shows neither intent nor success, and may stand on a response rather than a prompt.",
        "An empty resource list is not proof that nothing was read (seen July to August 2025).",
    ),
    runbook=(
        "Open the records: app, agent, time, web search or not, how many turns or persons.",
        "Ask the site's owner to look at the resource; for an account, ask whether a course, test or agent "
        "explains the turns. Read no prompt without the approval that the policy asks for.",
        "Pass it to IT security if there is no explanation, and close the lead with a reason.",
    ),
    detect=detect,
)  # fmt: skip
