"""Caliper events from files: only tools that the register names are landed, and nothing personal of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders import SAMPLES
from genai_audit.errors import BadDataError
from genai_audit.registry import SourceContext
from genai_audit.settings import Settings
from genai_audit.sources.vle_caliper import SOURCE, read, recognise

CONTEXT = "http://purl.imsglobal.org/ctx/caliper/v1p2"
HEADER = "match_kind,pattern,feature,tool,status,note\n"
FIXTURES = SAMPLES / "vle/IMSGlobal_caliper-common-fixtures"
LEARN = SAMPLES / "vle/blackboard_anthologydevdocs_caliper"
SECRETS = ("Ada", "Lovelace", "ada@x.example", "SIGNATURE", "192.0.2.77", "consumer-key")


def make_event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "@context": CONTEXT, "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}", "type": "ToolUseEvent",
        "actor": {"id": f"https://vle.example/users/{number}", "type": "Person", "name": "Ada Lovelace"},
        "action": "Used", "object": {"id": "https://app.learnwise.ai/chat", "type": "SoftwareApplication"},
        "eventTime": "2026-10-06T10:15:00.000Z", "edApp": "https://vle.example",
        "group": {"id": "https://vle.example/c/7", "type": "CourseSection", "courseNumber": "HIS101",
                  "academicSession": "2026/27"},
        "membership": {"type": "Membership", "roles": ["Learner"]},
    } | changes  # fmt: skip


def make_launch(url: str, **changes: Any) -> dict[str, Any]:
    """A launch as Blackboard writes it: the event type is an address, and all of the launch is in it."""
    return {
        "@context": ["http://caliper.blackboard.com/ctx/caliper/v1/Context", CONTEXT], "id": "launch-1",
        "type": "http://caliper.blackboard.com/caliper/v1/LTIEvent", "action": "LoggedIn",
        "actor": {"id": "https://m.example/users/77", "type": "Person",
                  "extensions": {"bb:user.id": "_7_1", "bb:user.externalId": "w1234567\n"}},
        "object": {"type": "http://caliper.blackboard.com/caliper/v1/LTILaunchInfo", "name": "",
                   "id": "https://m.example/ltiLaunches/1", "launchUrl": url,
                   "launchParameters": {"lis_person_name_full": "Ada Lovelace", "context_id": "_41_1",
                                        "lis_person_contact_email_primary": "ada@x.example",
                                        "oauth_signature": "SIGNATURE", "oauth_consumer_key": "consumer-key",
                                        "roles": "urn:lti:role:ims/lis/Instructor"}},
        "eventTime": "2026-10-06T17:38:11.660Z",
        "edApp": {"id": "https://m.example/applications/learn", "type": "SoftwareApplication",
                  "extensions": {"bb:request.headers.ipAddress": "192.0.2.77"}},
    } | changes  # fmt: skip


def wrap(*members: dict[str, Any]) -> dict[str, Any]:
    return {
        "sensor": "https://vle.example/sensor", "sendTime": "2026-10-06T12:00:00.000Z",
        "dataVersion": CONTEXT, "data": list(members),
    }  # fmt: skip


def write_lines(folder: Path, *documents: Any) -> Path:
    path = folder / "events.jsonl"
    lines = [one if isinstance(one, str) else json.dumps(one) for one in documents]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def write_document(folder: Path, document: Any) -> Path:
    path = folder / "events.json"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def read_file(path: Path, kind: str | None = None, register: str = "") -> tuple[list[dict[str, Any]], dict]:
    found = recognise(path, path.read_bytes()[:65536])
    assert found == (kind or found)
    assert found is not None, "not recognised"
    state = path.parent / "state" / "vle_caliper"
    context = SourceContext(Settings(), state)
    if register:
        context.registers.mkdir(parents=True, exist_ok=True)
        (context.registers / "vle_features.csv").write_text(HEADER + register, encoding="utf-8")
    facts: dict[str, Any] = {}
    records = []
    for page in read(path, found, context):
        records += [json.loads(record) for record in page.records]
        facts |= page.facts
    return records, facts


def test_a_use_of_a_listed_tool_is_one_record(tmp_path: Path) -> None:
    records, facts = read_file(write_lines(tmp_path, wrap(make_event())), "caliper_lines")
    sha256 = records[0].pop("raw_sha256")
    assert len(sha256) == 64
    assert records == [{
        "record_id": "00000000-0000-4000-8000-000000000001", "occurred_at": "2026-10-06T10:15:00Z",
        "record_kind": "interaction", "actor": "https://vle.example/users/1", "actor_role": "student",
        "course": "HIS101", "term": "2026/27", "feature": "LearnWise: opened", "tool": "LearnWise",
        "map": "caliper",
    }]  # fmt: skip
    assert (facts["events"], facts["genai"], facts.get("outcome")) == (1, 1, None)


def test_a_launch_keeps_person_course_and_role_and_nothing_else(tmp_path: Path) -> None:
    launch = make_launch("https://app.learnwise.ai/lti?token=SIGNATURE")
    [record], _ = read_file(write_document(tmp_path, launch), "caliper_json")
    assert not [secret for secret in SECRETS if secret in json.dumps(record)]
    assert (record["actor"], record["course"], record["actor_role"]) == ("w1234567", "_41_1", "staff")


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({"object": "https://app.learnwise.ai/x"}, True),  # thinned
        ({"object": "https://learnwise.ai.evil.example/x"}, False),
        ({"object": "https://notlearnwise.ai/x"}, False),
        ({"object": {"id": "https://x.example", "name": "Learnwise tutor"}}, True),
        ({"object": "https://x.example", "edApp": {"id": "https://y.example", "name": "LearnWise"}}, True),
        ({"object": "https://x.example", "edApp": "https://learnwise.ai"}, True),
        ({"object": "ai.chat.chat.controls.send", "type": "NavigationEvent", "action": "NavigatedTo"}, True),
        ({"type": "ToolLaunchEvent", "action": "Launched", "target": "https://learnwise.ai",
          "object": "https://x.example"}, True),
        ({"type": "ViewEvent", "action": "Viewed"}, False),  # a page that links to the tool is no use of it
    ],
)  # fmt: skip
def test_what_makes_an_event_genai_use(tmp_path: Path, changes: dict[str, Any], is_found: bool) -> None:
    records, facts = read_file(write_lines(tmp_path, wrap(make_event(**changes))))
    assert len(records) == is_found
    assert facts["not_genai"] == 1 - is_found
    if not is_found:
        assert facts["outcome"] == "unproven"


def test_a_thinned_event_finds_its_entities_in_the_same_envelope(tmp_path: Path) -> None:
    tool = {"@context": CONTEXT, "id": "urn:tool:1", "type": "SoftwareApplication", "name": "LearnWise"}
    course = {"@context": CONTEXT, "id": "urn:c:1", "type": "CourseSection", "courseNumber": "LAW200"}
    event = make_event(
        object="urn:tool:1", edApp="urn:app", group="urn:c:1", membership="urn:m", actor="urn:u:1"
    )
    records, facts = read_file(write_lines(tmp_path, wrap(tool, event, course), wrap(event | {"id": "e2"})))
    assert (len(records), facts["entities"], facts["events"], facts["not_genai"]) == (1, 2, 2, 1)
    assert (records[0]["course"], records[0]["actor"]) == ("LAW200", "urn:u:1")
    assert "actor_role" not in records[0]


def test_an_unlisted_launch_is_counted_and_what_looks_like_ai_is_kept(tmp_path: Path) -> None:
    other = make_launch("https://tool.example/lti")
    hidden = make_event(2, type="ViewEvent", action="Viewed", object="https://vle.example/ai.studio.open?u=9")
    records, facts = read_file(write_lines(tmp_path, wrap(other), wrap(hidden)))
    assert [record["feature"] for record in records] == ["unclassified: ai.studio.open"]
    assert (facts["unlisted_launches"], facts["unclassified"], facts["not_genai"]) == (1, 1, 1)


def test_the_register_of_the_workspace_decides(tmp_path: Path) -> None:
    path = write_lines(tmp_path, wrap(make_event(), make_launch("https://tool.example/lti")))
    records, _ = read_file(path, register="domain,tool.example,Tool: opened,Tool,pilot,\n")
    assert [(record["feature"], record["tool"]) for record in records] == [("Tool: opened", "Tool")]


def test_software_and_unknown_roles(tmp_path: Path) -> None:
    robot = make_event(actor={"id": "https://x.example/bot", "type": "SoftwareApplication"})
    guest = make_event(2, membership={"roles": ["http://x.example/roles#Observer"]})
    records, _ = read_file(write_lines(tmp_path, wrap(robot, guest)))
    assert ("actor" in records[0], records[1]["actor_role"]) == (False, "other")


def test_a_list_of_envelopes_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_document(tmp_path, [wrap(make_event(1)), wrap(make_event(2))])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_file(path, "caliper_json")[0]) == 2


def test_a_first_envelope_longer_than_the_head_is_still_lines(tmp_path: Path) -> None:
    path = write_lines(tmp_path, wrap(*(make_event(n) for n in range(200))), wrap(make_event(900)))
    assert path.stat().st_size > 65536
    assert len(read_file(path, "caliper_lines")[0]) == 201


def test_a_cut_off_document_is_refused_and_bad_lines_are_told(tmp_path: Path) -> None:
    path = write_document(tmp_path, wrap(make_event()))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadDataError, match="cut off"):
        read_file(path)
    good = wrap(make_event())
    records, facts = read_file(write_lines(tmp_path, good, '{"half'))
    assert (len(records), facts["unreadable_lines"]) == (1, 1)
    with pytest.raises(BadDataError, match="2 of 3 rows"):
        read_file(write_lines(tmp_path, good, '{"half', '{"half'))


def test_an_event_without_a_time_has_no_id_and_none_of_its_content(tmp_path: Path) -> None:
    [record], _ = read_file(write_lines(tmp_path, wrap(make_event(eventTime="soon"))))
    assert SOURCE.identify(record).record_id is None
    assert set(record) == {"problem", "raw_sha256"}


def test_other_json_is_not_ours(tmp_path: Path) -> None:
    for document in ({"Operation": "x", "about": "caliper"}, [1, "caliper"], {"data": [], "x": "caliper"}):
        path = write_document(tmp_path, document)
        assert recognise(path, path.read_bytes()) is None
    path = write_lines(tmp_path, {"actor": {}, "verb": {"id": "x"}, "object": {}})
    assert recognise(path, path.read_bytes()) is None


@pytest.mark.skipif(not FIXTURES.exists(), reason="the shared samples are not beside this checkout")
def test_the_standards_own_fixtures(tmp_path: Path) -> None:
    total: Counter[str] = Counter()
    files = sorted(FIXTURES.glob("*.json"))
    for path in files:
        records, facts = read_file(path)
        assert (records, facts["outcome"]) == ([], "unproven")
        total.update({key: value for key, value in facts.items() if isinstance(value, int)})
    assert len(files) == 80
    # 29 event files; the envelopes hold 10 events and 8 entities more, and 43 files are an entity each.
    assert (total["events"], total["entities"], total["unlisted_launches"]) == (39, 51, 2)
    tool = next(path for path in files if path.name == "caliperEnvelopeToolUseEvent.json")
    copy = tmp_path / tool.name
    copy.write_bytes(tool.read_bytes())
    [record], _ = read_file(copy, register="domain,example.edu,Tool used,Example,unknown,\n")
    assert (record["course"], record["term"], record["actor_role"]) == ("CPS 435-01", "Fall 2016", "student")


@pytest.mark.skipif(not LEARN.exists(), reason="the shared samples are not beside this checkout")
def test_blackboards_own_payloads(tmp_path: Path) -> None:
    total: Counter[str] = Counter()
    files = sorted(LEARN.glob("*.json"))
    for path in files:
        facts = read_file(path)[1]
        total.update({key: value for key, value in facts.items() if isinstance(value, int)})
    assert (len(files), total["events"], total["entities"], total["unlisted_launches"]) == (14, 17, 0, 1)
    launch = LEARN / "lti-events_0.json"
    copy = tmp_path / launch.name
    copy.write_bytes(launch.read_bytes())
    [record], _ = read_file(copy, register="domain,herokuapp.com,Tool: opened,Example,unknown,\n")
    parameters = json.loads(launch.read_bytes())["object"]["launchParameters"]
    kept = json.dumps({key: value for key, value in record.items() if key != "raw_sha256"})
    private = ("oauth_signature", "lis_person_name_full", "lis_person_contact_email_primary", "oauth_nonce")
    assert [name for name in private if parameters[name] in kept] == []
    assert (record["actor"], record["course"], record["actor_role"]) == ("administrator", "_41_1", "staff")
