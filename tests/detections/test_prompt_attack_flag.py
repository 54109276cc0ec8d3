"""Safety flags on messages (by person and day) and on resources."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.frames import MONDAY, at, evidence, make_frame
from genai_audit.detections.prompt_attack_flag import detect
from genai_audit.errors import ConfigurationError
from genai_audit.registry import NotEvaluatedError


def turn(
    number: int, flagged: bool | None = False, person: str | None = "ps_1", **more: Any
) -> dict[str, Any]:
    return {
        "record_id": f"t{number:03}",
        "occurred_at": at(MONDAY, 600 + number),
        "occurred_day": MONDAY,
        "person_key": person,
        "is_end_user": True,
        "is_twin": False,
        "has_jailbreak": flagged,
        "has_jailbreak_field": flagged is not None,
        "has_xpia": False,
        "has_xpia_field": True,
        "has_web_search": False,
    } | more


def resource(number: int, flagged: bool | None = True, **more: Any) -> dict[str, Any]:
    return {
        "record_id": f"t{number:03}",
        "resource_no": 2,
        "occurred_at": at(MONDAY, 600 + number),
        "occurred_day": MONDAY,
        "person_key": f"ps_{number}",
        "resource_key": "rs_1",
        "resource_type": "docx",
        "site_type": "teams",
        "has_xpia": flagged,
    } | more


def run(
    turns: list[dict[str, Any]], resources: list[dict[str, Any]] | None = None, **params: Any
) -> pl.DataFrame:
    tables = {
        "fct_interaction": make_frame("fct_interaction", turns),
        "fct_resource_access": make_frame("fct_resource_access", resources or []),
    }
    return detect(tables, params)


def test_one_finding_a_person_and_day() -> None:
    found = run(
        [
            turn(1, True),
            turn(2, True),
            turn(3),
            turn(4, True, "ps_2"),
            turn(5, True, occurred_day=MONDAY + timedelta(days=1)),
        ]
    )
    assert found.height == 3
    row = found.filter(pl.col("measure") == 2).row(0, named=True)
    assert (row["subject_kind"], row["subject_key"], row["severity"]) == ("person", "ps_1", "high")
    assert "2 turns flagged by Microsoft" in row["summary"]
    assert [one["record_id"] for one in evidence(row)["records"]] == ["t001", "t002"]


def test_quiet_when_fields_are_present_and_all_false() -> None:
    assert run([turn(1), turn(2, None)], [resource(1, False), resource(2, None)]).is_empty()


def test_the_twin_does_not_count_twice_and_is_not_lost() -> None:
    assert run([turn(1, True), turn(2, True, is_twin=True)])["measure"].to_list() == [1.0]
    assert run([turn(1), turn(2, True, is_twin=True)])["measure"].to_list() == [1.0]


def test_test_panes_are_included_and_named() -> None:
    found = run([turn(1, True, is_end_user=False)])
    assert "test pane or an automatic run: 1" in found["summary"][0]


@pytest.mark.parametrize(("word", "severities"), [("downgrade", ["low"]), ("keep", ["high"]), ("drop", [])])
def test_web_grounded_flags(word: str, severities: list[str]) -> None:
    assert run([turn(1, True, has_web_search=True)], web_grounded=word)["severity"].to_list() == severities


def test_one_flag_without_web_text_keeps_the_day_high() -> None:
    assert run([turn(1, True, has_web_search=True), turn(2, True)])["severity"].to_list() == ["high"]
    with pytest.raises(ConfigurationError):
        run([turn(1, True)], web_grounded="perhaps")


def test_a_resource_is_the_subject_whoever_met_it() -> None:
    later = MONDAY + timedelta(days=3)
    rows = [resource(1), resource(2), resource(2, resource_no=3), resource(3, occurred_day=later)]
    found = run([turn(1)], [*rows, resource(4, resource_key="rs_2")])
    assert found.height == 2
    row = found.filter(pl.col("subject_key") == "rs_1").row(0, named=True)
    assert (row["subject_kind"], row["measure"], row["found_day"], row["severity"]) == (
        "resource",
        3.0,
        MONDAY,
        "high",
    )
    assert "3 persons met it, first on 9 November 2026, last on 12 November 2026" in row["summary"]
    assert evidence(row)["counts"] == {"persons": 3, "records": 3}


def test_a_late_record_updates_the_resource_finding() -> None:
    before = run([turn(1)], [resource(5)])
    after = run([turn(1)], [resource(5), resource(4, occurred_day=MONDAY - timedelta(days=2))])
    assert before["finding_id"].to_list() == after["finding_id"].to_list()
    assert after["found_day"].to_list() == [MONDAY - timedelta(days=2)]


def test_a_whole_class_becomes_one_finding() -> None:
    found = run(
        [turn(n, True, f"ps_{n}") for n in range(20)] + [turn(100 + n, False, f"ps_{n}") for n in range(300)]
    )
    assert found["subject_kind"].to_list() == ["population"]
    assert "20 accounts of 300 active" in found["summary"][0]
    assert run([turn(n, True, f"ps_{n}") for n in range(19)]).height == 19


def test_not_evaluated_when_a_field_is_in_no_record() -> None:
    with pytest.raises(NotEvaluatedError, match="no interaction"):
        run([])
    with pytest.raises(
        NotEvaluatedError, match="all of 1 interaction record: JailbreakDetected, XPIADetected"
    ):
        run([turn(1, None, has_xpia_field=False)])
    with pytest.raises(NotEvaluatedError, match="record: XPIADetected"):
        run([turn(1, has_xpia_field=False)])
    with pytest.raises(NotEvaluatedError, match="JailbreakDetected"):
        run([turn(1, None)])


def test_what_one_field_shows_is_kept_when_the_other_is_absent() -> None:
    found = run([turn(1, True, has_xpia_field=False)])
    assert found["summary"][0].endswith("Not evaluated, because absent from every record: XPIADetected.")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 30), st.booleans(), st.booleans()), min_size=1, max_size=50
    ),
    st.randoms(use_true_random=False),
)
def test_same_answer_in_any_order(cells: list[tuple[bool, int, bool, bool]], shuffle: random.Random) -> None:
    turns = [turn(n, flag, f"ps_{who}", has_web_search=web) for n, (flag, who, web, _) in enumerate(cells)]
    resources = [resource(n, xpia, resource_key=f"rs_{n % 4}") for n, (_, _, _, xpia) in enumerate(cells)]
    found = run(turns, resources)
    shuffle.shuffle(turns)
    shuffle.shuffle(resources)
    assert found.equals(run(turns, resources))
    assert found["finding_id"].n_unique() == found.height
