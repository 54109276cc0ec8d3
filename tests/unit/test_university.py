"""The pretend university: same seed, same bytes; every planted event is there; every shape is there."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from genai_audit.calendars import LONDON, start_of_uk_day, uk_day
from genai_audit.decoding import Decoder
from genai_audit.demo.campus import RESTRICTED
from genai_audit.demo.planting import CANARY_PROMPT, CAPPED_MINUTE_RECORDS, INJECTED_ID
from genai_audit.demo.university import University, copilot_records
from genai_audit.registers import read_registers
from genai_audit.settings import Settings

LAST_DAY = date(2026, 11, 22)
SMALL = {"people": 300, "days": 25, "last_day": LAST_DAY}
Entry = tuple[datetime, datetime, bytes]


@pytest.fixture(scope="module")
def university() -> University:
    return University(**SMALL)


@pytest.fixture(scope="module")
def entries(university: University) -> list[Entry]:
    return list(university.m365_records())


@pytest.fixture(scope="module")
def bodies(entries: list[Entry]) -> list[dict[str, Any]]:
    return [body_of(orjson.loads(record)) for _, _, record in entries]


def body_of(record: dict[str, Any]) -> dict[str, Any]:
    audit: dict[str, Any] = record["auditData"]
    return audit.get("dynamicProperties") or audit


def interactions(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [body for body in bodies if body["Operation"] == "CopilotInteraction"]


def planted_day(university: University, name: str) -> date:
    return next(one.day for one in university.planted() if one.name == name)


def digest(records: Any) -> str:
    return hashlib.sha256(b"\n".join(records)).hexdigest()


def test_same_arguments_give_the_same_bytes(entries: list[Entry]) -> None:
    again = University(**SMALL).m365_records()
    assert list(again) == entries


@pytest.mark.parametrize("change", [{"seed": 8}, {"people": 301}, {"last_day": date(2026, 11, 20)}])
def test_other_arguments_give_other_bytes(university: University, change: dict[str, Any]) -> None:
    def first(one: University) -> list[Entry]:
        return list(islice(one.m365_records(), 50))

    assert first(University(**SMALL | change)) != first(university)


def test_a_university_of_3000_has_about_5000_records_on_a_weekday() -> None:
    week = University(people=3000, days=7, last_day=LAST_DAY)
    count = sum(1 for _ in week.m365_records())
    assert 24_000 < count < 31_000


def test_records_come_in_order_of_creation_and_arrive_later(entries: list[Entry]) -> None:
    created = [one for one, _, _ in entries]
    assert created == sorted(created)
    arrivals = [arrived for _, arrived, _ in entries]
    assert arrivals != sorted(arrivals)
    delays = [arrived - one for one, arrived, _ in entries]
    assert min(delays) > timedelta(0)
    assert timedelta(days=1) < max(delays) <= timedelta(days=3, minutes=10)


def test_some_records_are_there_twice_with_the_same_bytes(entries: list[Entry]) -> None:
    times = Counter(orjson.loads(record)["id"] for _, _, record in entries)
    assert 0 < sum(count > 1 for count in times.values()) < len(entries) / 100
    assert len({record for _, _, record in entries}) == len(times)


def test_records_are_written_as_orjson_writes_them_and_pass_the_decoder(entries: list[Entry]) -> None:
    decoder = Decoder(Settings().privacy.content_keys)
    for created, _, record in entries:
        value = orjson.loads(record)
        assert orjson.dumps(value) == record
        assert (
            value["createdDateTime"][:19] == f"{created:%Y-%m-%dT%H:%M:%S}" == body_of(value)["CreationTime"]
        )
        assert value["id"] == body_of(value)["Id"]
        decoder.decode(record)


def test_weekdays_terms_and_hours_show(university: University, entries: list[Entry]) -> None:
    by_day = Counter(uk_day(created) for created, _, _ in entries)
    kinds = {day: row["day_type"] for row in university.calendar_days() for day in span(row)}
    weekdays = [day for day in university.list_days() if day.weekday() < 5 and by_day[day]]
    assert {kinds[day] for day in weekdays} == {"teaching"}
    weekend = [by_day[day] for day in by_day if day.weekday() >= 5]
    assert max(weekend) < 0.5 * min(by_day[day] for day in weekdays)
    by_hour = Counter(created.astimezone(LONDON).hour for created, _, _ in entries)
    assert by_hour[10] > 10 * by_hour[3]


def test_vacation_is_quieter_and_the_clock_change_loses_nothing() -> None:
    autumn = University(people=400, days=60, last_day=LAST_DAY)
    assert date(2026, 10, 25) in autumn.list_days()
    kinds = {day: row["day_type"] for row in autumn.calendar_days() for day in span(row)}
    counts = Counter(uk_day(created) for created, _, _ in autumn.m365_records())
    of_kind = defaultdict(list)
    for day, count in counts.items():
        if day.weekday() < 5:
            of_kind[kinds[day]].append(count)
    assert max(of_kind["vacation"]) < 0.6 * min(count for count in of_kind["teaching"] if count > 100)
    assert set(of_kind) == {"teaching", "assessment", "vacation", "closure"}


def test_the_short_day_of_the_spring_change_keeps_the_order() -> None:
    spring = University(people=3000, days=2, last_day=date(2027, 3, 29))
    created = [one for one, _, _ in spring.m365_records()]
    assert created == sorted(created)


def span(row: dict[str, Any]) -> list[date]:
    first, last = date.fromisoformat(row["start_day"]), date.fromisoformat(row["end_day"])
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def test_every_record_type_and_both_layouts_occur(entries: list[Entry], bodies: list[dict[str, Any]]) -> None:
    types = Counter(int(body["RecordType"]) for body in bodies)
    assert set(types) == {6, 11, 13, 43, 63, 82, 83, 84, 94, 261, 284, 325, 328}
    assert types[261] > 0.8 * len(bodies)
    wrapped = sum(b'"dynamicProperties"' in record for _, _, record in entries)
    assert 0 < wrapped < len(entries) / 5
    assert any(isinstance(body["RecordType"], str) for body in bodies)
    assert sum(f'"{CANARY_PROMPT}"'.encode() in record for _, _, record in entries) == 1


def test_policy_details_take_all_shapes(bodies: list[dict[str, Any]]) -> None:
    resources = [
        one for body in interactions(bodies) for one in body["CopilotEventData"].get("AccessedResources", [])
    ]
    kinds = Counter(
        "absent" if "PolicyDetails" not in one else "empty" if one["PolicyDetails"] == "" else
        type(one["PolicyDetails"]).__name__ for one in resources
    )  # fmt: skip
    assert set(kinds) == {"absent", "empty", "NoneType", "str", "list"}
    labels = {one.get("Id"): set() for one in resources}
    for one in resources:
        labels[one.get("Id")].add(one.get("SensitivityLabelId"))
    assert all(len(found) == 1 for key, found in labels.items() if key)


def test_users_appear_as_object_id_and_as_upn_in_two_spellings(
    university: University, bodies: list[dict[str, Any]]
) -> None:
    rows = university.people_rows()
    users = Counter(body["UserId"] for body in interactions(bodies))
    mixed = [row for row in rows if row["upn"] != row["upn"].lower()]
    assert any(users[row["object_id"]] and users[row["upn"]] and users[row["upn"].lower()] for row in mixed)
    known = {row["object_id"] for row in rows} | {row["upn"].lower() for row in rows}
    unknown = sum(count for user, count in users.items() if user.lower() not in known)
    assert 0 < unknown < 0.01 * users.total()
    assert {body["UserType"] for body in bodies} >= {0, 4, 6, 10}


def test_studio_turns_are_logged_twice(bodies: list[dict[str, Any]]) -> None:
    turns = defaultdict(list)
    for body in interactions(bodies):
        if "ConversationId" in body["CopilotEventData"]:
            turns[body["CopilotEventData"]["ConversationId"]].append(body)
    pairs = [sorted({one["Id"]: one for one in turn}.values(), key=lambda one: one["CreationTime"])
             for turn in turns.values()]  # fmt: skip
    assert len(pairs) > 50
    for runtime, client in pairs:
        assert runtime["CopilotEventData"]["AppHost"] == "m365copilot"
        assert client["CopilotEventData"]["AppHost"] == "Office"
        assert "Messages" not in runtime["CopilotEventData"]
        assert client["CopilotEventData"]["Messages"]
        assert client["AgentId"].endswith(f".{runtime['AgentId']}")
        assert runtime["CopilotEventData"]["ThreadId"] != client["CopilotEventData"]["ThreadId"]
        assert runtime["UserId"] == client["UserId"]
        gap = datetime.fromisoformat(client["CreationTime"]) - datetime.fromisoformat(runtime["CreationTime"])
        assert gap == timedelta(seconds=5)


def test_dlp_incidents_have_two_records_and_labelled_mail_has_a_shadow(bodies: list[dict[str, Any]]) -> None:
    unique = {body["Id"]: body for body in bodies}.values()
    incidents = Counter(body["IncidentId"] for body in unique if body["Operation"] == "DLPRuleMatch")
    assert incidents
    assert set(incidents.values()) == {2}
    mail = Counter(body["RecordType"] for body in unique if body["Operation"] == "MipLabel")
    assert mail[43] == mail[13] > 0
    uploads = [body for body in unique if body["RecordType"] == 63]
    assert {body["Operation"] for body in uploads} == {"PastedToBrowser", "FileUploadedToCloud"}
    assert all(body["TargetUrl"] == f"https://{body['TargetDomain']}/" for body in uploads)


def test_planted_events_lie_in_the_last_20_days(university: University) -> None:
    names = [one.name for one in university.planted()]
    assert sorted(names) == ["capped_minute", "external_tool_spike", "injection", "jailbreak", "mass_access",
                             "prompt_text", "silent_day", "unknown_field"]  # fmt: skip
    assert all(LAST_DAY - timedelta(days=20) < one.day <= LAST_DAY for one in university.planted())
    upns = {row["upn"] for row in university.people_rows()}
    assert not any(upn in one.what for one in university.planted() for upn in upns)


def test_the_external_tool_spike_stands_out(university: University, bodies: list[dict[str, Any]]) -> None:
    uses = Counter(
        body["CreationTime"][:10] for body in bodies if body.get("AppIdentity") == "AIApp.SaaS.DeepSeek"
    )
    day = planted_day(university, "external_tool_spike")
    spike = uses.pop(day.isoformat())
    assert spike >= 40
    assert spike > 4 * max(uses.values())
    assert day.weekday() < 5


def test_injection_is_flagged_on_the_second_resource_only(
    university: University, bodies: list[dict[str, Any]]
) -> None:
    flagged = {
        body["Id"]: body
        for body in interactions(bodies)
        for one in body["CopilotEventData"].get("AccessedResources", [])
        if one.get("XPIADetected")
    }
    [body] = flagged.values()
    first, second = body["CopilotEventData"]["AccessedResources"]
    assert (first["XPIADetected"], second["XPIADetected"], second["Id"]) == (False, True, INJECTED_ID)
    assert body["CreationTime"].startswith(planted_day(university, "injection").isoformat())


def test_jailbreak_is_flagged_on_the_third_message_only(bodies: list[dict[str, Any]]) -> None:
    flags = {
        body["Id"]: [one.get("JailbreakDetected") for one in body["CopilotEventData"].get("Messages", [])]
        for body in interactions(bodies)
    }
    assert [found for found in flags.values() if True in found] == [[False, False, True, False]]


def test_one_person_reads_25_restricted_files_in_40_minutes(bodies: list[dict[str, Any]]) -> None:
    reads = [(body, one) for body in interactions(bodies)
             for one in body["CopilotEventData"].get("AccessedResources", [])
             if one.get("SensitivityLabelId") == RESTRICTED]  # fmt: skip
    assert len({one["Id"] for _, one in reads}) == 25
    assert len({body["UserKey"] for body, _ in reads}) == 1
    times = sorted(datetime.fromisoformat(body["CreationTime"]) for body, _ in reads)
    assert times[-1] - times[0] <= timedelta(minutes=40)


def test_the_silent_day_is_an_ordinary_weekday_without_records(
    university: University, entries: list[Entry]
) -> None:
    day = planted_day(university, "silent_day")
    seen = {uk_day(created) for created, _, _ in entries}
    assert day.weekday() < 5
    assert set(university.list_days()) - seen == {day}


def test_the_unknown_field_appears_on_its_day_and_stays(
    university: University, bodies: list[dict[str, Any]]
) -> None:
    day = planted_day(university, "unknown_field")
    carriers = {body["CreationTime"][:10] for body in bodies if "InteractionSurface" in body}
    inner = {
        body["CreationTime"][:10]
        for body in interactions(bodies)
        if "GroundingMode" in body["CopilotEventData"]
    }
    assert carriers == inner
    assert min(carriers) == day.isoformat()
    assert len(carriers) > 5


def test_the_capped_minute_is_full(university: University, entries: list[Entry]) -> None:
    start = university.capped_minute
    assert start.tzinfo == UTC
    inside = sum(start <= created < start + timedelta(minutes=1) for created, _, _ in entries)
    assert inside >= CAPPED_MINUTE_RECORDS
    per_minute = Counter(created.replace(second=0) for created, _, _ in entries)
    assert per_minute.most_common(2)[1][1] < inside / 2


@pytest.mark.parametrize("days", [1, 2, 5])
@pytest.mark.parametrize("people", [1, 5])
def test_a_tiny_university_works(days: int, people: int) -> None:
    tiny = University(people=people, days=days, last_day=date(2026, 11, 20))
    assert len(list(tiny.m365_records())) > CAPPED_MINUTE_RECORDS
    assert "silent_day" not in {one.name for one in tiny.planted()}
    assert len(tiny.people_rows()) == people


def test_winter_and_summer_runs_have_all_planted_events() -> None:
    for last_day in (date(2027, 1, 3), date(2026, 7, 31), date(2027, 4, 5)):
        assert len(University(people=50, days=60, last_day=last_day).planted()) == 8


def test_registers_are_accepted_by_the_register_reader(university: University, tmp_path: Path) -> None:
    university.write_registers(tmp_path)
    registers = read_registers(tmp_path)
    assert len(registers["directory"]) == 300
    assert {row["role"] for row in registers["directory"]} == {"staff", "student", "guest"}
    units = {row["unit_id"] for row in registers["units"]}
    assert {row["unit_id"] for row in registers["directory"]} <= units
    assert [row["label_rank"] for row in registers["labels"]] == ["0", "10", "20", "30", "40"]
    tools = {row["tool_name"] for row in registers["tools"]}
    assert {"ChatGPT", "Gemini", "Synthesia", "Claude", "DeepSeek", "Microsoft Copilot"} <= tools
    days = [day for row in registers["calendar"] for day in span(row)]
    assert len(days) == len(set(days)) == (days[-1] - days[0]).days + 1
    assert days[0] < university.list_days()[0]
    assert days[-1] > LAST_DAY


def test_external_tools_in_the_log_are_in_the_register(
    university: University, bodies: list[dict[str, Any]]
) -> None:
    known = {row["match_value"] for row in university.tools()}
    for body in bodies:
        if int(body["RecordType"]) in (284, 328):
            assert body["AppIdentity"] in known
        if body["RecordType"] == 63:
            assert body["TargetDomain"] in known


def test_vle_files_have_a_header_and_repeat_some_events(university: University, tmp_path: Path) -> None:
    count = university.write_vle_csv(tmp_path / "clicks.csv")
    with (tmp_path / "clicks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count > 300
    assert list(rows[0]) == ["event_id", "event_time", "person_uuid", "course_number", "object_id",
                             "course_role", "school", "term_name"]  # fmt: skip
    times = [datetime.fromisoformat(row["event_time"]).replace(tzinfo=UTC) for row in rows]
    assert times == sorted(times)
    assert start_of_uk_day(university.list_days()[0]) <= times[0]
    assert {row["course_role"] for row in rows} == {"S", "I"}
    assert Counter(row["object_id"] for row in rows).most_common(1)[0][0] == "ai.chat.chat.controls.send"


def test_the_course_table_adds_up(university: University, tmp_path: Path) -> None:
    count = university.write_vle_course_csv(tmp_path / "courses.csv")
    with (tmp_path / "courses.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count == 80
    for row in rows:
        available, unavailable = int(row["available_ai_items"]), int(row["unavailable_ai_items"])
        assert int(row["ai_items"]) == available + unavailable <= int(row["items"])


def test_benchmark_records_have_the_right_number_size_and_order() -> None:
    records = list(copilot_records(3_001, seed=3, start=date(2026, 10, 1), days=4))
    assert len(records) == 3_001 == len(set(records))
    assert digest(records) == digest(copilot_records(3_001, seed=3, start=date(2026, 10, 1), days=4))
    sizes = sorted(map(len, records))
    assert sizes[0] >= 1_290
    assert sizes[len(sizes) // 100 * 98] <= 2_200
    bodies = [body_of(orjson.loads(record)) for record in records]
    assert {int(body["RecordType"]) for body in bodies} == {261}
    times = [body["CreationTime"] for body in bodies]
    assert times == sorted(times)
    assert {time[:10] for time in times} <= {
        "2026-09-30",
        "2026-10-01",
        "2026-10-02",
        "2026-10-03",
        "2026-10-04",
    }
