"""Reads of labelled content by rank, in bulk, and by a whole population."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.frames import MONDAY, at, evidence, make_frame
from genai_audit.detections.sensitive_label_access import detect
from genai_audit.registry import NotEvaluatedError

NAMES = {0: "Public", 10: "General", 20: "Confidential", 30: "Highly confidential"}


def access(number: int, rank: int | None = 20, person: str | None = "ps_1", **more: Any) -> dict[str, Any]:
    return {
        "record_id": f"r{number:03}",
        "resource_no": 1,
        "occurred_at": at(MONDAY, 600 + number),
        "occurred_day": MONDAY,
        "person_key": person,
        "resource_key": f"rs_{number}",
        "label_id": f"label-{rank}",
        "label_name": NAMES.get(rank or 0),
        "label_rank": rank,
        "is_label_known": rank is not None,
        "action": "read",
        "access_status": "success",
        "policy_outcome": "none",
    } | more


def run(rows: list[dict[str, Any]], active: int = 500, **params: Any) -> pl.DataFrame:
    turns = [{"record_id": f"t{n}", "occurred_day": MONDAY, "person_key": f"ps_{n}"} for n in range(active)]
    tables = {
        "fct_resource_access": make_frame("fct_resource_access", rows),
        "fct_interaction": make_frame("fct_interaction", turns),
    }
    return detect(tables, params)


def test_one_finding_a_person_label_and_day() -> None:
    rows = [
        access(1),
        access(2),
        access(3, 30),
        access(4, person="ps_2"),
        access(5, occurred_day=MONDAY + timedelta(days=1)),
    ]
    found = run(rows)
    assert found.height == 4
    assert found.filter(pl.col("severity") == "high")["summary"].to_list() == [
        "1 resource labelled Highly confidential (rank 30) read through Copilot or an agent for one account "
        "on 9 November 2026."
    ]
    most = found.filter(pl.col("measure") == 2).row(0, named=True)
    assert (most["severity"], most["subject_key"], most["subject_kind"]) == ("medium", "ps_1", "person")
    assert evidence(most)["records"] == [
        {"table": "fct_resource_access", "record_id": "r001"},
        {"table": "fct_resource_access", "record_id": "r002"},
    ]


@pytest.mark.parametrize(("rank", "fires"), [(0, False), (10, False), (19, False), (20, True), (40, True)])
def test_boundary_at_the_rank_and_quiet_on_public(rank: int, fires: bool) -> None:
    assert run([access(1, rank)]).height == int(fires)


@pytest.mark.parametrize(
    ("more", "fires"),
    [
        ({"access_status": "failure"}, False),
        ({"access_status": "blocked"}, False),
        ({"policy_outcome": "blocked"}, False),
        ({"policy_outcome": "audited"}, True),
        ({"action": "create"}, False),
        ({"action": "modify"}, True),
        ({"action": None, "access_status": None, "policy_outcome": None}, True),
    ],
)
def test_only_accesses_that_went_through(more: dict[str, Any], fires: bool) -> None:
    assert run([access(1, **more)]).height == int(fires)


def test_resources_are_counted_not_rows() -> None:
    found = run([access(n, resource_key="rs_same") for n in range(40)])
    assert found["measure"].to_list() == [1.0]
    assert found["severity"].to_list() == ["medium"]


@pytest.mark.parametrize(
    ("count", "minutes", "bulk"), [(16, 59, True), (16, 60, True), (16, 61, False), (15, 10, False)]
)
def test_bulk_is_more_than_fifteen_in_a_sliding_hour(count: int, minutes: int, bulk: bool) -> None:
    start = 9 * 60 + 30  # across the full hour
    times = [start + minutes * n / (count - 1) for n in range(count)]
    row = run([access(n, occurred_at=at(MONDAY, time)) for n, time in enumerate(times)]).row(0, named=True)
    assert row["severity"] == ("high" if bulk else "medium")
    assert ("Bulk: up to 16 distinct resources" in row["summary"]) is bulk
    assert len(evidence(row)["records"]) == 5


def test_bulk_in_one_record_and_over_two_labels() -> None:
    one = [access(n, occurred_at=at(MONDAY), record_id="r", resource_no=n) for n in range(16)]
    assert run(one)["severity"].to_list() == ["high"]
    two = [access(n, 20 + n % 2, occurred_at=at(MONDAY), record_id="r", resource_no=n) for n in range(16)]
    assert run(two)["severity"].to_list() == ["high", "high"]


def test_a_roll_out_becomes_one_finding_that_hides_no_bulk_and_no_high_rank() -> None:
    many = [access(n, person=f"ps_{n}") for n in range(30)]
    bulk = [access(100 + n, person="ps_400", occurred_at=at(MONDAY)) for n in range(16)]
    found = run([*many, *bulk, access(90, 30, "ps_1")])
    assert sorted(found["subject_kind"]) == ["person", "person", "population"]
    whole = found.filter(pl.col("subject_kind") == "population").row(0, named=True)
    assert (whole["measure"], whole["expected"], whole["severity"]) == (30.0, 25.0, "medium")
    assert "30 accounts of 500 active on 9 November 2026" in whole["summary"]
    assert len(evidence(whole)["records"]) == 5
    assert run(many, active=700).height == 30  # 4.3 % of those active


def test_records_without_a_person_are_not_lost() -> None:
    assert run([access(1, person=None)])["subject_key"].to_list() == ["unidentified"]


def test_not_evaluated_without_resources_labels_or_register() -> None:
    with pytest.raises(NotEvaluatedError, match="no accessed resource"):
        run([])
    with pytest.raises(NotEvaluatedError, match="no label id on any of 1 resource"):
        run([access(1, None, label_id=None)])
    with pytest.raises(NotEvaluatedError, match="label register"):
        run([access(1, None)])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 30), st.sampled_from([None, 0, 20, 30]), st.integers(0, 25), st.integers(0, 300)
        ),
        min_size=1,
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_same_answer_in_any_order(
    cells: list[tuple[int, int | None, int, int]], shuffle: random.Random
) -> None:
    rows = [
        access(n, rank, f"ps_{person}", resource_key=f"rs_{resource}", occurred_at=at(MONDAY, minute))
        for n, (resource, rank, person, minute) in enumerate([(0, 20, 0, 0), *cells])
    ]
    mixed = rows[:]
    shuffle.shuffle(mixed)
    found = run(rows, active=50)
    assert found.equals(run(mixed, active=50))
    assert found["finding_id"].n_unique() == found.height
