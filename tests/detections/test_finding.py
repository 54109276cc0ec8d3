"""Numbers, words and evidence that all detections share; and what every detection must declare."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detections.frames import KINDS, MONDAY, evidence
from genai_audit.detections import _finding as finding
from genai_audit.errors import ConfigurationError
from genai_audit.registry import Detection, detections

BANNED = re.compile(r"misuse|attack by|guilty|suspicious|suspect|offend|culprit|abuse|violat|malicious", re.I)
IDS = ("external_tool_spike", "prompt_attack_flag", "sensitive_label_access", "source_silence")


def a_lead(**changes: object) -> finding.Lead:
    lead = {
        "subject_kind": "person",
        "subject_key": "ps_1",
        "found_day": MONDAY,
        "severity": "low",
        "summary": "s",
        "measure": 3,
        "table": "fct_interaction",
        "record_ids": [str(n) for n in range(9)],
    }
    return finding.Lead(**(lead | changes))  # type: ignore[arg-type]


def test_number_is_stable_across_runs_and_versions() -> None:
    number = finding.number_finding("d", "ps_1", "", "2026-11-09")
    assert number == "fi_d3ba9bd6d4d3a68d4c07c78bce"
    assert number == finding.number_finding("d", "ps_1", "", "2026-11-09")


@given(st.sets(st.tuples(*[st.text(max_size=4)] * 4), min_size=2, max_size=20))
def test_numbers_differ_when_anything_differs(keys: set[tuple[str, str, str, str]]) -> None:
    assert len({finding.number_finding(*key) for key in keys}) == len(keys)


def test_rows_have_exactly_the_columns_and_five_records_at_most() -> None:
    frame = finding.build_findings("d", [a_lead()])
    assert dict(frame.schema) == finding.FINDING_SCHEMA
    row = frame.row(0, named=True)
    assert [one["record_id"] for one in evidence(row)["records"]] == ["0", "1", "2", "3", "4"]
    assert finding.build_findings("d", []).schema == frame.schema


def test_window_replaces_the_day_in_the_number() -> None:
    later = date(2027, 1, 1)
    frame = finding.build_findings("d", [a_lead(window=""), a_lead(window="", found_day=later)])
    assert frame["finding_id"].n_unique() == 1


def test_order_is_by_day_and_number_never_by_the_figure() -> None:
    leads = [a_lead(subject_key=f"ps_{n}", measure=n) for n in range(6)]
    one = finding.build_findings("d", leads)
    assert one.equals(finding.build_findings("d", leads[::-1]))
    assert one["finding_id"].is_sorted()


def test_misspelt_parameter_and_value_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="floors"):
        finding.merge_params("d", {"floor": 1}, {"floors": 2})
    with pytest.raises(ConfigurationError, match="sometimes"):
        finding.merge_params("d", {"how": "keep"}, {"how": "sometimes"}, how=("keep", "drop"))
    assert finding.merge_params("d", {"floor": 1}, {"floor": 2}) == {"floor": 2}


def test_text_from_a_log_is_made_harmless() -> None:
    assert finding.tidy("a\nb\x1b[31m\u202ec") == "ab[31mc"
    assert finding.tidy("x" * 200) == "x" * 79 + "…"
    assert "@" not in finding.tidy("tool@example.invalid")
    assert finding.tidy(None) == ""


@pytest.mark.parametrize(("fired", "crowded"), [(19, False), (20, True), (21, True)])
def test_population_needs_twenty_persons(fired: int, crowded: bool) -> None:
    assert bool(population(fired, 100)) is crowded


@pytest.mark.parametrize(("active", "crowded"), [(400, False), (399, True)])
def test_population_needs_more_than_five_per_cent(active: int, crowded: bool) -> None:
    assert bool(population(20, active)) is crowded


def population(fired: int, active: int) -> dict[date, int]:
    def people(count: int) -> pl.DataFrame:
        return pl.DataFrame(
            {"occurred_day": [MONDAY] * count, "person_key": [f"ps_{n}" for n in range(count)]}
        )

    return finding.find_population_days(people(fired), people(active), 0.05, 20)


@pytest.mark.parametrize("name", IDS)
def test_every_detection_declares_everything(name: str) -> None:
    detection = detections()[name]
    for part in fields(Detection):
        assert getattr(detection, part.name), part.name
    assert len(detection.innocent_explanations) >= 3
    assert len(detection.blind_spots) >= 3
    assert len(detection.runbook) == 3
    assert detection.severity in ("critical", "high", "medium", "low")
    assert set(detection.reads) <= set(KINDS)
    words = " ".join(
        [detection.title, detection.question, *detection.innocent_explanations, *detection.runbook]
    )
    assert not BANNED.search(words)


@pytest.mark.parametrize("name", IDS)
def test_no_verdict_word_in_the_text_that_becomes_a_summary(name: str) -> None:
    source = Path(str(finding.__file__)).with_name(f"{name}.py").read_text(encoding="utf-8")
    assert not BANNED.search(source)
