"""Blackboard's lists are read within the day's calls; a round that breaks off goes on where it stopped."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from builders import make_settings, make_workspace
from genai_audit import collection, loading
from genai_audit.calendars import Window
from genai_audit.configuration import load_settings, options_of
from genai_audit.demo import campus
from genai_audit.demo.blackboard import BlackboardData, BlackboardFaults, PretendBlackboard
from genai_audit.demo.blackboard_campus import make_blackboard
from genai_audit.demo.vle_export import list_courses
from genai_audit.errors import ConfigurationError, GenaiAuditError, SourceUnavailableError
from genai_audit.landing import packages
from genai_audit.registry import SourceContext
from genai_audit.runs import Run
from genai_audit.sources import _blackboard_reader, _call_budget
from genai_audit.sources.blackboard_rest import SOURCE

NOON = datetime(2026, 10, 6, 12, tzinfo=UTC)
TODAY = Window(NOON.replace(hour=0), NOON)
TOMORROW = Window(TODAY.start + timedelta(days=1), TODAY.end + timedelta(days=1))
SECRETS = ("Ada", "Lovelace", "ada@", "History of Secrets", "s-0815", "10.0.0.7")


def make_data(courses: int = 3, people: int = 2) -> BlackboardData:
    data = BlackboardData(
        terms=[
            make_term("_1_1", "Autumn", "2026-09-21T00:00:00.000Z", "2026-12-11T23:59:59.000Z"),
            make_term("_2_1", "Long ago", "2020-09-21T00:00:00.000Z", "2020-12-11T23:59:59.000Z"),
        ],
        nodes=[
            {"id": "_10_1", "externalId": "west", "title": "Westbridge"},
            {"id": "_11_1", "externalId": "his", "title": "School of History", "parentId": "_10_1"},
        ],
    )
    for number in range(courses):
        course = f"_{700 + number}_1"
        data.courses.append({
            "id": course, "uuid": "u", "externalId": f"SRS-{number}", "courseId": f"HIS{number}",
            "name": "History of Secrets", "termId": "_1_1",
        })  # fmt: skip
        data.node_courses.setdefault("_11_1", []).append(
            {"nodeId": "_11_1", "courseId": course, "isPrimary": True}
        )
        data.memberships[course] = [make_member(course, person) for person in range(people)]
    return data


def make_term(term_id: str, name: str, start: str, end: str) -> dict[str, Any]:
    duration = {"type": "DateRange", "start": start, "end": end}
    return {"id": term_id, "name": name, "description": "x", "availability": {"duration": duration}}


def make_member(course: str, person: int) -> dict[str, Any]:
    user = {"uuid": f"uuid-{person}", "userName": "s-0815", "name": {"given": "Ada", "family": "Lovelace"},
            "contact": {"email": "ada@x.example"}}  # fmt: skip
    return {"courseId": course, "userId": f"_{person}_1", "id": "_9_1", "user": user, "ip": "10.0.0.7",
            "courseRoleId": "Instructor" if person == 0 else "Student"}  # fmt: skip


def make_context(peer: PretendBlackboard, folder: Path, **more: Any) -> SourceContext:
    settings_file = folder / "genai-audit.toml"
    keys = {"retry_seconds": 0.01, "deadline_minutes": 0.5, "page_size": 2} | more
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    settings_file.write_text(peer.as_toml() + lines)
    settings = load_settings(settings_file)
    state = folder / "state" / "blackboard_rest"
    state.mkdir(parents=True, exist_ok=True)
    return SourceContext(settings, state, options_of(settings, "blackboard_rest"))


def pull(context: SourceContext, window: Window = TODAY) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    records, facts = [], dict[str, Any]()
    for page in SOURCE.pull(window, context):
        records += [orjson.loads(raw) for raw in page.records]
        facts |= page.facts
    return records, facts


def ids(records: list[dict[str, Any]]) -> list[str | None]:
    return [SOURCE.identify(record).record_id for record in records]


COURSES = [f"_{700 + number}_1" for number in range(3)]
MEMBERS = [f"{course}:_{person}_1" for course in COURSES for person in (0, 1)]
WHOLE = sorted([*(f"course:{course}" for course in COURSES), *MEMBERS])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The budget's clock; a test may move it."""
    now = [NOON]
    monkeypatch.setattr(_call_budget, "read_clock", lambda: now[0])
    return now


def test_all_lists_become_courses_and_memberships_without_a_name(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        context = make_context(peer, tmp_path)
        records, facts = pull(context)
    assert sorted(ids(records)) == WHOLE
    assert records[0] == {
        "kind": "course", "read_at": "2026-10-06T12:00:00Z", "id": "_700_1", "courseId": "HIS0",
        "externalId": "SRS-0", "termId": "_1_1", "term_name": "Autumn",
        "term_start": "2026-09-21T00:00:00.000Z", "term_end": "2026-12-11T23:59:59.000Z",
        "hierarchy": ["Westbridge", "School of History"], "school_level": 2,
    }  # fmt: skip
    member = next(one for one in records if one["kind"] == "membership")
    assert member == {
        "kind": "membership", "read_at": "2026-10-06T12:00:00Z", "courseId": "_700_1", "userId": "_0_1",
        "courseRoleId": "Instructor", "user.uuid": "uuid-0",
    }  # fmt: skip
    assert (facts["outcome"], facts["reason"], facts["course_count"]) == ("complete", "", 3)
    assert facts["calls_spent"] == len(peer.calls) == 1 + 1 + 1 + 2 + 2 + 3
    assert not [word for word in SECRETS if word in str(records)]
    assert not [word for word in SECRETS if word in (context.state_dir / "round.ndjson").read_text()]


def test_every_request_names_its_fields_also_where_a_next_link_forgets_them(tmp_path: Path) -> None:
    faults = BlackboardFaults(next_page="forgets fields")
    with PretendBlackboard(make_data(people=5), tmp_path, faults=faults) as peer:
        records, _ = pull(make_context(peer, tmp_path))
    assert len(records) == 3 + 15
    assert all("fields=" in call for call in peer.calls)
    assert not [word for word in SECRETS if word in str(records)]


def test_no_course_at_all_is_unproven(tmp_path: Path) -> None:
    with PretendBlackboard(BlackboardData(), tmp_path) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert (records, facts["outcome"], facts["reason"]) == ([], "unproven", "Blackboard lists no course")


@pytest.mark.parametrize(("which", "courses"), [("current", 3), ("all", 4), ("none", 0)])
def test_memberships_are_read_of_the_courses_that_are_asked_for(
    tmp_path: Path, which: str, courses: int
) -> None:
    data = make_data()
    data.courses.append({"id": "_9_1", "courseId": "OLD", "termId": "_2_1"})
    with PretendBlackboard(data, tmp_path) as peer:
        records, facts = pull(make_context(peer, tmp_path, memberships=which))
    assert len(peer.calls_of("memberships")) == courses
    assert sum(record["kind"] == "course" for record in records) == 4
    assert facts["outcome"] == "complete"


def test_a_course_in_two_places_belongs_to_its_primary_node(tmp_path: Path) -> None:
    data = make_data(courses=1)
    data.nodes.append({"id": "_12_1", "title": "School of Law", "parentId": "_10_1"})
    data.node_courses["_10_1"] = [{"nodeId": "_10_1", "courseId": "_700_1", "isPrimary": False}]
    with PretendBlackboard(data, tmp_path) as peer:
        records, _ = pull(make_context(peer, tmp_path))
    assert records[0]["hierarchy"] == ["Westbridge", "School of History"]


# The day's calls


def test_the_day_ends_in_the_middle_and_the_next_day_goes_on_there(
    tmp_path: Path, clock: list[datetime]
) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        context = make_context(peer, tmp_path, daily_calls=9, reserve=2)
        records, facts = pull(context)
        assert len(peer.calls) == 7  # 1 terms, 1 nodes, 1 + 2 of the nodes, 2 courses
        assert sorted(ids(records)) == WHOLE[-3:]
        assert facts["outcome"] == "partial"
        assert facts["reason"] == (
            "The day's 7 calls are used up; not read: memberships of 3 of 3 courses; "
            "the next run goes on there"
        )
        again, facts = pull(context)  # later on the same day: nothing is asked, nothing is lost
        assert (len(peer.calls), sorted(ids(again)), facts["outcome"]) == (7, WHOLE[-3:], "partial")
        clock[0] = NOON + timedelta(hours=24)
        whole, facts = pull(context, TOMORROW)
    assert (sorted(ids(whole)), facts["outcome"], len(peer.calls)) == (WHOLE, "complete", 10)
    read_at = {record["kind"]: record["read_at"] for record in whole}
    assert read_at == {"course": "2026-10-06T12:00:00Z", "membership": "2026-10-07T12:00:00Z"}


def test_retries_are_calls_too_and_the_limit_is_never_passed(tmp_path: Path) -> None:
    faults = BlackboardFaults(unavailable=4, skip=4)
    with PretendBlackboard(make_data(), tmp_path, faults=faults) as peer:
        _, facts = pull(make_context(peer, tmp_path, daily_calls=10, reserve=0))
    assert (len(peer.calls), facts["calls_spent"], facts["retry_count"]) == (10, 10, 4)
    assert facts["outcome"] == "partial"


def test_no_call_is_left_from_the_start(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        context = make_context(peer, tmp_path, daily_calls=2, reserve=0)
        for _ in range(2):
            with pytest.raises(SourceUnavailableError, match="The day's 2 calls are used up"):
                pull(context)
    assert len(peer.calls) == 2


def test_what_other_applications_used_is_believed(tmp_path: Path) -> None:
    with (
        PretendBlackboard(make_data(), tmp_path, used_by_others=9_990) as peer,
        pytest.raises(SourceUnavailableError, match="nearly used up"),
    ):
        pull(make_context(peer, tmp_path, reserve=5))
    assert len(peer.calls) == 5


def test_a_limit_of_bursts_is_no_daily_limit(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path, limit=12) as peer:
        _, facts = pull(make_context(peer, tmp_path))
    assert (facts["outcome"], len(peer.calls)) == ("complete", 10)


def test_a_killed_pull_loses_no_call_that_it_made_and_no_page(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        context = make_context(peer, tmp_path)
        pages = SOURCE.pull(TODAY, context)
        while len(peer.calls) < 8:
            next(pages)
        spent = json.loads((context.state_dir / "budget.json").read_bytes())["spent"]
        assert spent >= len(peer.calls)  # also if we die here
        with (context.state_dir / "round.ndjson").open("ab") as file:
            file.write(b'{"which":"memberships","of":"_701_1","ne')  # a line that was cut off
        records, facts = pull(context)
        pages.close()
    assert (sorted(ids(records)), facts["outcome"], len(peer.calls)) == (WHOLE, "complete", 10)


def test_a_round_that_was_finished_today_is_handed_over_again_and_tomorrow_a_new_one_begins(
    tmp_path: Path,
) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        context = make_context(peer, tmp_path)
        first, _ = pull(context)
        again, facts = pull(context)  # as after a kill before the package was closed
        assert (again, len(peer.calls), facts["calls_spent"]) == (first, 10, 0)
        new, _ = pull(context, TOMORROW)
    assert len(peer.calls) == 20
    assert {record["read_at"] for record in new} == {"2026-10-07T12:00:00Z"}


def test_the_cost_is_shown_before_it_is_spent(tmp_path: Path, clock: list[datetime]) -> None:
    workspace = make_workspace(tmp_path)
    with PretendBlackboard(make_data(), tmp_path) as peer:
        text = peer.as_toml() + "page_size = 2\ndaily_calls = 1_012\n"
        settings = make_settings(workspace, text)
        plan = collection.describe_plan(workspace, settings, None, ["blackboard_rest"])
        assert "calls: not known before the first run" in plan[2]
        assert "12 allowed in 24 hours, 0 spent" in plan[2]
        assert peer.calls == []
        pull(Run(workspace, settings, "run").context("blackboard_rest"))
        plan = collection.describe_plan(workspace, settings, None, ["blackboard_rest"])
    assert plan[2].strip() == (
        "calls: about 10 for everything, as last time; 12 allowed in 24 hours, 10 spent since "
        "2026-10-06T12:00:00Z; what is left over is read by the next run"
    )


def test_a_reserve_that_leaves_nothing_is_a_mistake(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with pytest.raises(ConfigurationError, match="reserve leaves no call"):
        make_settings(workspace, "[blackboard_rest]\ndaily_calls = 500\n")


def test_a_day_of_calls_lasts_24_hours_from_the_first(tmp_path: Path, clock: list[datetime]) -> None:
    budget = _call_budget.CallBudget(tmp_path, 2)
    budget.spend()
    budget.spend()
    clock[0] = NOON + timedelta(hours=23, minutes=59)
    with pytest.raises(_call_budget.BudgetSpentError):
        _call_budget.CallBudget(tmp_path, 2).spend()
    clock[0] = NOON + timedelta(hours=24)
    assert _call_budget.CallBudget(tmp_path, 2).left == 2


# Faults


@pytest.mark.parametrize("pause", ["Retry-After", "X-Rate-Limit-Reset", ""])
def test_a_429_of_either_generation_is_waited_out(tmp_path: Path, pause: str, clock: list[datetime]) -> None:
    clock[0] = datetime.now(UTC)
    faults = BlackboardFaults(throttled=2, pause=pause, pause_seconds=0, skip=2)
    with PretendBlackboard(make_data(), tmp_path, faults=faults) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert (sorted(ids(records)), facts["throttled_count"]) == (WHOLE, 2)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"X-Rate-Limit-Reset": str(int(NOON.timestamp()) + 90)}, 90.0),
        ({"X-Rate-Limit-Reset": str(int(NOON.timestamp()) - 90)}, 0.0),
        ({"Retry-After": "7", "X-Rate-Limit-Reset": str(int(NOON.timestamp()) + 90)}, 7.0),
        ({"X-Rate-Limit-Reset": "soon"}, None),
        ({}, None),
    ],
)
def test_both_generations_of_rate_limit_headers_are_understood(
    headers: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_blackboard_reader, "read_clock", lambda: NOON)
    assert _blackboard_reader.read_pause(httpx.Headers(headers)) == seconds


def test_a_pause_beyond_the_deadline_ends_the_pull_as_partial(tmp_path: Path) -> None:
    faults = BlackboardFaults(throttled=1, pause_seconds=3600, skip=8)
    with PretendBlackboard(make_data(), tmp_path, faults=faults) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert len(records) == 3 + 2
    assert facts["outcome"] == "partial"
    assert "not read: memberships of 2 of 3 courses" in facts["reason"]


@pytest.mark.parametrize(
    "faults", [BlackboardFaults(unavailable=3, skip=4), BlackboardFaults(cut_json=2, skip=4)]
)
def test_an_answer_that_is_missing_or_cut_off_is_asked_for_again(
    tmp_path: Path, faults: BlackboardFaults
) -> None:
    with PretendBlackboard(make_data(), tmp_path, faults=faults) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert (sorted(ids(records)), facts["outcome"]) == (WHOLE, "complete")
    assert facts["retry_count"] > 0


def test_a_token_that_expired_is_renewed_once(tmp_path: Path) -> None:
    faults = BlackboardFaults(expire_token_after=4)
    with PretendBlackboard(make_data(), tmp_path, faults=faults) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert (sorted(ids(records)), facts["outcome"], peer.token_count) == (WHOLE, "complete", 2)
    assert facts["calls_spent"] == len(peer.calls) == 11


@pytest.mark.parametrize(
    ("next_page", "said"),
    [("loop", "lead in a circle"), ("foreign", "another host"), ("other list", "belongs to another list")],
)
def test_a_next_link_that_leads_astray_is_not_followed(tmp_path: Path, next_page: str, said: str) -> None:
    faults = BlackboardFaults(next_page=next_page)
    with PretendBlackboard(make_data(courses=5), tmp_path, faults=faults) as peer:
        with pytest.raises(SourceUnavailableError, match=said):
            pull(make_context(peer, tmp_path))
        before = len(peer.calls)
        peer.faults = BlackboardFaults()
        _, facts = pull(make_context(peer, tmp_path))  # the page before it was not kept
    assert before <= 5
    assert (facts["outcome"], facts["course_count"]) == ("complete", 5)


def test_an_answer_without_results_is_distrusted(tmp_path: Path) -> None:
    faults = BlackboardFaults(no_results=1, skip=8)
    with PretendBlackboard(make_data(), tmp_path, faults=faults) as peer:
        _, facts = pull(make_context(peer, tmp_path))
    assert (facts["outcome"], "it holds no results" in facts["reason"]) == ("partial", True)


def test_a_hierarchy_that_may_not_be_read_costs_the_school_alone(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path, faults=BlackboardFaults(forbidden=("nodes",))) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert sorted(ids(records)) == WHOLE
    assert "hierarchy" not in records[0]
    assert (facts["outcome"], facts["reason"]) == ("partial", "this application may not read the hierarchy")


def test_courses_that_may_not_be_read_are_a_missing_permission(tmp_path: Path) -> None:
    faults = BlackboardFaults(forbidden=("courses",))
    with (
        PretendBlackboard(make_data(), tmp_path, faults=faults) as peer,
        pytest.raises(GenaiAuditError, match="may not read"),
    ):
        pull(make_context(peer, tmp_path))


def test_a_course_that_was_deleted_meanwhile_is_counted(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path, faults=BlackboardFaults(gone=("_701_1",))) as peer:
        records, facts = pull(make_context(peer, tmp_path))
    assert (len(records), facts["courses_gone"], facts["outcome"]) == (3 + 4, 1, "complete")


def test_a_wrong_secret_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        peer.secret_path.write_text("another")
        with pytest.raises(ConfigurationError, match="refused the sign-in"):
            pull(make_context(peer, tmp_path))
        peer.secret_path.chmod(0o644)
        with pytest.raises(ConfigurationError, match="can be read by other accounts"):
            pull(make_context(peer, tmp_path))


def test_doctor_signs_in_and_names_the_version(tmp_path: Path) -> None:
    with PretendBlackboard(make_data(), tmp_path) as peer:
        said = SOURCE.probe(make_context(peer, tmp_path))
    assert said == "signed in to Blackboard Learn 4000.1.?; 8,999 calls are left today"


def test_what_is_to_be_filled_in_is_named() -> None:
    settings = load_settings(Path("/nowhere/genai-audit.toml"))
    words = SOURCE.missing(settings, options_of(settings, "blackboard_rest"))
    assert words == "fill url, application_key, secret_path under [blackboard_rest]"


def test_a_second_day_adds_courses_and_each_membership_once(tmp_path: Path, clock: list[datetime]) -> None:
    workspace = make_workspace(tmp_path)
    with PretendBlackboard(make_data(), tmp_path) as peer:
        settings = make_settings(workspace, peer.as_toml())
        for days in (0, 0, 1):
            clock[0] = NOON + timedelta(days=days)
            run = Run(workspace, settings, "run", started_at=clock[0])
            collection.pull(run, None, ["blackboard_rest"])
            loading.parse_and_load(run)
    landed = packages(workspace)
    assert [(one.kind, one.outcome, one.counts["accepted"]) for one in landed] == [
        ("snapshot", "complete", 9),
        ("snapshot", "complete", 9),
    ]  # fmt: skip  (the second run of a day finds the snapshot there)
    with run.warehouse() as warehouse:
        counts = [
            warehouse.frame(name).height for name in ("stg_vle_course", "stg_vle_membership", "dim_course")
        ]
        coverage = warehouse.connection.execute(
            "SELECT coverage_status FROM fct_coverage WHERE source = 'blackboard_rest'"
        ).fetchall()
    assert counts == [6, 6, 3]
    assert ("collected",) in coverage


def test_westbridge_is_read_whole_and_fits_its_telemetry(tmp_path: Path) -> None:
    people = campus.make_people(120, 7)
    data = make_blackboard(people, date(2026, 11, 22))
    with PretendBlackboard(data, tmp_path) as peer:
        records, facts = pull(make_context(peer, tmp_path, page_size=100))
    courses = {record["courseId"] for record in records if record["kind"] == "course"}
    assert courses == {number for number, _, _ in list_courses()}
    assert facts["outcome"] == "complete"
    members = {record["user.uuid"] for record in records if record["kind"] == "membership"}
    assert members <= set(people.object_ids)
    assert not [name for name in people.upns if name in str(records)]
