"""Each kind of break is found by the right check, with the right severity, and by no other."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from genai_audit.quality import QualityResult, critical_failures

Check = Callable[..., list[QualityResult]]
Break = tuple[str, str, str, int]
CRITICAL, WARNING = "critical", "warning"
DOUBLE = "INSERT INTO {t} FROM {t}"
DOUBLE_ONE = "INSERT INTO {t} FROM {t} LIMIT 1"

# By table: what breaks it · the check that fails · its severity · failed rows. Changes of columns don't touch
# each other, so a table's are made at once; each other break has a warehouse of its own.
BREAKS: dict[str, list[Break]] = {
    "stg_m365_event": [
        (DOUBLE_ONE, "record_id_is_unique", CRITICAL, 2),
        ("SET package_id = NULL WHERE line_no = 1", "keys_are_present", CRITICAL, 60),
        ("SET occurred_day = DATE '2026-11-26' WHERE line_no = 1", "occurred_day_is_plausible", WARNING, 60),
        ("SET person_key = 'jane.doe@example.ac.uk' WHERE line_no = 1",
         "person_key_is_a_pseudonym", CRITICAL, 60),
        ("SET record_type_name = NULL WHERE line_no = 1", "record_type_is_named", WARNING, 60),
    ],
    "stg_interaction": [
        ("SET occurred_at = '2026-10-24 23:30:00Z' WHERE occurred_day = '2026-10-24'",
         "occurred_day_is_the_uk_day", CRITICAL, 10),
        ("SET prompt_count = 3 WHERE line_no = 1", "prompts_are_at_most_messages", CRITICAL, 60),
        ("SET response_count = -1 WHERE line_no = 1", "counts_are_not_negative", CRITICAL, 60),
        ("SET has_jailbreak_field = NULL", "attack_flags_rest_on_a_field", CRITICAL, 60),
        ("SET identity_basis = 'guess' WHERE line_no = 1", "identity_basis_is_a_known_word", WARNING, 60),
        ("SET record_type = 999 WHERE line_no = 1", "record_type_is_a_known_word", WARNING, 60),
        ("SET person_key = NULL WHERE line_no < 3", "person_is_present", WARNING, 120),
    ],
    "stg_resource_access": [
        (DOUBLE_ONE, "record_id_and_resource_no_are_unique", CRITICAL, 2),
        ("SET policy_outcome = 'maybe' WHERE line_no = 1", "policy_outcome_is_a_known_word", CRITICAL, 60),
        ("SET site_type = 'cloud' WHERE line_no = 1", "site_type_is_a_known_word", WARNING, 60),
        ("SET access_status = 'perhaps' WHERE line_no = 1", "access_status_is_a_known_word", WARNING, 60),
        ("SET has_policy_anomaly = true WHERE line_no = 1",
         "policy_details_have_a_known_shape", WARNING, 60),
        ("SET label_id = 'Confidential' WHERE line_no = 1", "label_id_is_a_guid", WARNING, 60),
    ],
    "stg_dlp_event": [
        ("SET channel = 'fax'", "channel_is_a_known_word", WARNING, 60),
    ],
    "stg_label_event": [
        ("SET change = 'moved'", "change_is_a_known_word", WARNING, 60),
        ("SET how_applied = 'magic'", "how_applied_is_a_known_word", WARNING, 60),
    ],
    "stg_admin_event": [
        ("SET occurred_at = NULL", "keys_are_present", CRITICAL, 60),
    ],
    "stg_vle_use": [
        ("SET record_kind = 'thing' WHERE line_no = 1", "record_kind_is_a_known_word", CRITICAL, 60),
        ("SET quantity = -1 WHERE line_no = 1", "quantities_are_not_negative", WARNING, 60),
    ],
    "stg_external_use": [
        ("SET record_kind = 'sum' WHERE line_no = 1", "record_kind_is_a_known_word", CRITICAL, 60),
        ("SET channel = 'fax'", "channel_is_a_known_word", CRITICAL, 60),
    ],
    "stg_repeat": [
        ("INSERT INTO {t} VALUES ('a', NULL, NULL)", "keys_are_present", CRITICAL, 1),
    ],
    "stg_field_drift": [
        ("INSERT INTO {t} VALUES ('p', 'm365_audit', 261, 'NewField', 0)", "keys_are_present", CRITICAL, 1),
        ("INSERT INTO {t} VALUES ('p', 'm365_audit', 261, repeat('x', 300), 1)",
         "field_name_is_short", WARNING, 1),
    ],
    "stg_parse_problem": [
        ("INSERT INTO {t} VALUES ('m365_audit', 'p', 1, 'cannot read ''Jane Doe''')",
         "problem_is_a_code", CRITICAL, 1),
    ],
    "stg_directory": [
        ("SET person_key = NULL", "lines_are_complete", CRITICAL, 10),
    ],
    "stg_label": [
        ("SET label_rank = NULL", "lines_are_complete", CRITICAL, 1),
    ],
    "stg_tool": [
        ("SET match_value = NULL", "lines_are_complete", CRITICAL, 1),
    ],
    "stg_calendar": [
        ("SET end_day = start_day - 1", "lines_are_complete", CRITICAL, 1),
    ],
    "stg_unit": [
        (DOUBLE, "unit_id_is_unique", CRITICAL, 2),
    ],
    "stg_bank_holiday": [
        (DOUBLE, "holiday_is_unique", CRITICAL, 2),
    ],
    "stg_expected_source": [
        (DOUBLE, "source_is_unique", CRITICAL, 2),
    ],
    "stg_package": [
        (DOUBLE_ONE, "package_id_is_unique", CRITICAL, 2),
    ],
    "stg_run": [
        (DOUBLE, "run_id_is_unique", CRITICAL, 2),
    ],
    "stg_finding": [
        (DOUBLE, "finding_id_is_unique", CRITICAL, 2),
    ],
    "stg_quality": [
        ("INSERT INTO {t} (status) VALUES ('so so')", "status_is_a_known_word", CRITICAL, 1),
    ],
    "dim_identity": [
        (DOUBLE_ONE, "alias_key_is_unique", CRITICAL, 2),
    ],
    "dim_person": [
        (DOUBLE_ONE, "person_key_is_unique", CRITICAL, 2),
        ("SET person_key = 'Jane Doe' WHERE rowid = 0", "person_key_is_a_pseudonym", CRITICAL, 1),
        ("SET is_resolved = (rowid < 7)", "people_are_resolved", WARNING, 3),
        ("SET role = 'boss' WHERE rowid = 0", "role_is_a_known_word", WARNING, 1),
    ],
    "dim_unit": [
        (DOUBLE, "unit_id_is_unique", CRITICAL, 2),
    ],
    "dim_tool": [
        (DOUBLE, "tool_id_is_unique", CRITICAL, 2),
        ("SET tool_status = 'fine'", "tool_status_is_a_known_word", WARNING, 1),
    ],
    "dim_label": [
        ("INSERT INTO {t} SELECT * REPLACE (DATE '2025-01-01' AS valid_from) FROM {t}",
         "periods_do_not_overlap", CRITICAL, 1),
        ("SET label_rank = NULL", "keys_are_present", CRITICAL, 1),
    ],
    "dim_calendar_day": [
        (DOUBLE_ONE, "calendar_day_is_unique", CRITICAL, 2),
        ("SET day_type = 'unknown'", "day_type_is_a_known_word", WARNING, 60),
    ],
    "fct_interaction": [
        ("DELETE FROM {t} WHERE line_no = 1", "no_interaction_is_lost", CRITICAL, 60),
        ("SET prompt_count = -1 WHERE line_no = 1", "counts_are_not_negative", CRITICAL, 60),
        ("SET has_xpia = true WHERE line_no = 2", "attack_flags_rest_on_a_field", CRITICAL, 60),
        ("SET is_end_user = false WHERE line_no = 1", "exclusions_have_a_reason", CRITICAL, 60),
    ],
    "fct_resource_access": [
        (DOUBLE_ONE, "record_id_and_resource_no_are_unique", CRITICAL, 2),
        ("SET is_label_known = false WHERE line_no = 1", "labels_are_known", WARNING, 60),
    ],
    "fct_external_use": [
        ("SET channel = 'fax'", "channel_is_a_known_word", CRITICAL, 60),
        ("SET tool_status = 'unknown'", "tools_are_registered", WARNING, 59),
        ("SET tool_status = 'elsewhere' WHERE occurred_day = '2026-11-01'",
         "use_status_is_a_known_word", CRITICAL, 1),
    ],
    "fct_vle_use": [
        (DOUBLE_ONE, "record_id_is_unique", CRITICAL, 2),
    ],
    "fct_label_event": [
        ("SET line_no = NULL", "keys_are_present", CRITICAL, 60),
    ],
    "fct_dlp_event": [
        (DOUBLE_ONE, "record_id_is_unique", CRITICAL, 2),
    ],
    "fct_admin_event": [
        (DOUBLE_ONE, "record_id_is_unique", CRITICAL, 2),
    ],
    "fct_person_day": [
        (DOUBLE_ONE, "person_key_and_occurred_day_are_unique", CRITICAL, 2),
    ],
    "fct_source_day": [
        (DOUBLE_ONE, "source_and_occurred_day_are_unique", CRITICAL, 2),
        ("INSERT INTO {t} VALUES ('new_source', NULL, 1)", "keys_are_present", CRITICAL, 1),
    ],
    "fct_package": [
        ("INSERT INTO {t} SELECT * REPLACE (100 AS seq) FROM {t} LIMIT 1",
         "package_id_is_unique", CRITICAL, 2),
        ("SET seq = 2 WHERE seq = 1", "seq_is_unique", CRITICAL, 2),
        ("SET manifest_sha256 = NULL WHERE package_id = 'package-0'", "keys_are_present", CRITICAL, 1),
        ("SET received_count = 13 WHERE package_id = 'package-0'",
         "every_received_record_is_accounted_for", CRITICAL, 1),
        ("SET outcome = 'fine' WHERE package_id = 'package-0'", "outcome_is_a_known_word", CRITICAL, 1),
        ("SET quarantined_count = 2, accepted_count = 8 WHERE seq BETWEEN 10 AND 19",
         "few_records_are_in_quarantine", WARNING, 1),
        ("SET outcome = 'capped' WHERE package_id = 'package-1'",
         "windows_were_read_to_their_end", WARNING, 1),
    ],
    "fct_coverage": [
        (DOUBLE_ONE, "source_and_covered_day_are_unique", CRITICAL, 2),
        ("SET coverage_status = 'fine' WHERE NOT is_expected",
         "coverage_status_is_a_known_word", CRITICAL, 58),
        ("SET coverage_status = 'not collected' WHERE covered_day = '2026-11-01'",
         "expected_days_are_collected", WARNING, 1),
        ("SET coverage_status = 'unproven' WHERE covered_day = '2026-11-02'",
         "expected_days_are_certain", WARNING, 1),
        ("SET record_count = 0 WHERE covered_day > '2026-11-19'", "sources_are_fresh", WARNING, 1),
    ],
    "fct_field_drift": [
        ("INSERT INTO {t} VALUES (261, 'NewField', 9, 'p')", "schema_has_not_drifted", WARNING, 1),
    ],
    "fct_parse_problem": [
        ("INSERT INTO {t} VALUES ('m365_audit', 'no_time', 3)", "every_record_could_be_parsed", WARNING, 1),
    ],
    "fct_finding": [
        (DOUBLE, "finding_id_is_unique", CRITICAL, 2),
        ("SET severity = 'huge'", "severity_is_a_known_word", CRITICAL, 1),
        ("SET subject_kind = 'ship'", "subject_kind_is_a_known_word", WARNING, 1),
        ("SET summary = 'Seen: jane.doe@example.ac.uk'", "findings_name_nobody", CRITICAL, 1),
        ("SET evidence = '[1,'", "evidence_can_be_read", CRITICAL, 1),
        ("SET found_day = NULL", "keys_are_present", CRITICAL, 1),
    ],
    "fct_quality": [
        ("INSERT INTO {t} (status, severity) VALUES ('so so', 'critical')",
         "status_is_a_known_word", CRITICAL, 1),
    ],
    "fct_run": [
        ("SET ended_at = started_at - INTERVAL 1 HOUR", "runs_end_after_they_start", WARNING, 1),
    ],
}  # fmt: skip
# Families that came later keep theirs in files of their own: [table] and a list of such lines.
for _file in sorted(Path(__file__).parent.glob("breaks_*.toml")):
    _found = tomllib.loads(_file.read_text(encoding="utf-8"))
    BREAKS |= {table: [tuple(line) for line in lines] for table, lines in _found["breaks"].items()}


def failures(results: list[QualityResult]) -> list[tuple[str, str, int | None]]:
    return [(one.check_name, one.severity, one.failed_count) for one in results if one.status != "passed"]


def test_a_clean_warehouse_passes_every_check(check: Check) -> None:
    results = check("")
    assert failures(results) == []
    assert len(results) > 100


def test_an_empty_warehouse_passes_every_check(check: Check, clean_tables: list[str]) -> None:
    results = check("; ".join(f"DELETE FROM {table}" for table in clean_tables))
    assert failures(results) == []


def cases() -> Iterator[tuple[str, list[Break]]]:
    for table, breaks in BREAKS.items():
        changes = [one for one in breaks if one[0].startswith("SET ")]
        if changes:
            yield table, changes
        yield from ((table, [one]) for one in breaks if one not in changes)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case[0]}-{case[1][0][1]}")
def test_each_break_is_found_by_its_check_and_by_no_other(
    check: Check, case: tuple[str, list[Break]]
) -> None:
    table, breaks = case
    statements = (f"UPDATE {table} {sql}" if sql.startswith("SET ") else sql for sql, *_ in breaks)
    results = check("; ".join(statements).replace("{t}", table), table)
    assert sorted(failures(results)) == sorted(tuple(one[1:]) for one in breaks)
    critical = [name for _, name, severity, _ in breaks if severity == CRITICAL]
    assert sorted(one.check_name for one in critical_failures(results)) == sorted(critical)


def test_every_check_has_a_break() -> None:
    """By name: a check that several tables share is broken in one of them at least."""
    tried = {name for breaks in BREAKS.values() for _, name, _, _ in breaks} | {"days_are_like_their_history"}
    files = (Path(__file__).parents[2] / "expectations").glob("*.json")
    checks = {one["meta"]["check"] for file in files for one in json.loads(file.read_text())["expectations"]}
    assert checks == tried


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DELETE FROM {t} WHERE occurred_day = '2026-11-11' AND source = 'm365_audit'", 1),
        ("UPDATE {t} SET record_count = 3 WHERE occurred_day = '2026-11-11' AND source = 'm365_audit'", 1),
        ("DELETE FROM {t} WHERE occurred_day > '2026-11-16' AND source = 'm365_audit'", 4),
    ],
    ids=["a silent day", "a third", "silent since a week"],
)
def test_a_day_unlike_its_history_is_a_warning(check: Check, sql: str, found: int) -> None:
    results = check(sql.replace("{t}", "fct_source_day"), "fct_source_day")
    assert failures(results) == [("days_are_like_their_history", WARNING, found)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE {t} SET record_count = 4 WHERE occurred_day = '2026-11-11' AND source = 'm365_audit'",
        "DELETE FROM {t} WHERE occurred_day >= '2026-11-21'",
        "DELETE FROM {t} WHERE occurred_day = '2026-11-11' AND source = 'vle_csv'",
        "DELETE FROM {t} WHERE occurred_day = '2026-11-11';"
        " UPDATE dim_calendar_day SET is_bank_holiday = true WHERE calendar_day = '2026-11-11'",
        "DELETE FROM {t} WHERE occurred_day = '2026-09-26'",
    ],
    ids=["more than a third", "still arriving", "comes when imported", "bank holiday", "no history yet"],
)
def test_an_ordinary_quiet_day_is_no_warning(check: Check, sql: str) -> None:
    assert failures(check(sql.replace("{t}", "fct_source_day"), "fct_source_day")) == []


def test_a_source_that_grows_stale_is_a_warning(check: Check, checked_at: datetime) -> None:
    results = check("", "fct_coverage", at=checked_at + timedelta(days=4))
    assert failures(results) == [("sources_are_fresh", WARNING, 1)]


def test_a_source_within_its_documented_lag_is_fresh(check: Check, checked_at: datetime) -> None:
    assert failures(check("", "fct_coverage", at=checked_at + timedelta(days=3))) == []
