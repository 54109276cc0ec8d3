"""sql/parse of sign-ins, consents, discovered apps and hunting: typed, pseudonymous rows."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from builders import DAY, land, make_settings, make_workspace
from genai_audit import parsing
from genai_audit.calendars import Window
from genai_audit.privacy.pseudonyms import pseudonym

PERSON, APP = "11111111-1111-4111-8111-111111111111", "7E57AB1E-0000-4000-8000-00000000A001"
NOBODY = "00000000-0000-0000-0000-000000000000"
SIGN_IN = {
    "id": "s1", "createdDateTime": "2026-10-05T23:30:00Z", "appId": APP, "appDisplayName": "ChatGPT",
    "userId": PERSON, "errorCode": 0,
}  # fmt: skip
GRANT = {
    "record": "grant", "id": "g1", "appId": APP, "clientId": "c1", "isPublisherVerified": True,
    "isForAllUsers": False, "principalId": PERSON, "scopes": ["Files.Read.All"], "risk_tier": 2,
}  # fmt: skip
CONSENT = {
    "record": "consent", "id": "a1", "activityDateTime": "2026-10-01T09:00:00Z", "appId": APP,
    "clientId": "c1",
    "isForAllUsers": True, "principalId": PERSON, "result": "success", "scopes": [], "risk_tier": None,
}  # fmt: skip
DISCOVERED = {
    "stream": "managed", "period_days": 7, "id": "20001", "displayName": "ChatGPT",
    "category": "generativeAi",
    "domains": ["*.oaistatic.example", "*.Chat.example", "chat.example/x"], "userCount": 12,
    "transactionCount": 340, "uploadNetworkTrafficInBytes": 5_000_000_000, "lastSeenDateTime": None,
}  # fmt: skip
VISIT = {
    "table": "network", "RecordId": "ab12", "Timestamp": "2026-10-06T10:00:00.1234567Z",
    "AccountObjectId": PERSON, "Host": "www.Chat.example", "ActionType": "ConnectionSuccess",
}  # fmt: skip
ONE_OF_EACH = {
    "m365_signins": SIGN_IN, "m365_app_consents": GRANT, "m365_cloud_discovery": DISCOVERED,
    "m365_hunting": VISIT,
}  # fmt: skip


def parse(
    folder: Path, source_id: str, *rows: dict[str, Any], end: int = 13
) -> tuple[bytes, list[dict[str, Any]], list[tuple[int, str]]]:
    """Key, rows, and problems as (line, problem). The window ends at `end` o'clock."""
    workspace = make_workspace(folder)
    window = Window(DAY - timedelta(days=7), DAY + timedelta(hours=end))
    lines = [json.dumps(row).encode() for row in rows]
    package = land(workspace, lines, source_id=source_id, window=window)
    assert package.counts["accepted"] == len(rows)
    parsing.parse_package(workspace, package, make_settings(workspace), workspace.read_key())
    tables = {name: pl.read_parquet(file) for name, file in parsing.check_seal(workspace, package).items()}
    problems = [(row["line_no"], row["problem"]) for row in tables["stg_parse_problem"].to_dicts()]
    return workspace.read_key(), tables["stg_external_use"].to_dicts(), problems


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


def test_a_sign_in(tmp_path: Path) -> None:
    failed, unknown = SIGN_IN | {"id": "s2", "errorCode": 50074}, SIGN_IN | {"id": "s3", "errorCode": None}
    key, rows, problems = parse(
        tmp_path, "m365_signins", SIGN_IN, failed, unknown, SIGN_IN | {"id": "s4", "userId": NOBODY}
    )
    assert without(rows[0], "occurred_at", "package_id") == {
        "record_id": "s1", "record_kind": "event", "is_use": True, "occurred_day": (DAY.date()),
        "person_key": pseudonym(key, "person", PERSON),
        "match_kind": "app_id", "match_value": APP.lower(), "channel": "sign_in", "operation": "signIn",
        "event_count": 1, "person_count": None, "byte_count": None, "risk_tier": None,
        "source": "m365_signins",
        "line_no": 1,
    }  # fmt: skip
    assert rows[0]["occurred_at"].isoformat() == "2026-10-05T23:30:00+00:00"  # the 6th in Britain
    assert [row["operation"] for row in rows] == ["signIn", "signIn failed", "signIn unknown", "signIn"]
    assert [row["is_use"] for row in rows] == [True, False, True, True]
    assert rows[3]["person_key"] is None
    assert problems == []


def test_a_grant_carries_its_day_and_a_consent_happened_once(tmp_path: Path) -> None:
    for_all = GRANT | {"id": "g2", "isForAllUsers": True, "principalId": None, "appId": None}
    failed = CONSENT | {"id": "a2", "result": "failure", "isForAllUsers": False}
    key, rows, problems = parse(tmp_path, "m365_app_consents", GRANT, for_all, CONSENT, failed)
    person = pseudonym(key, "person", PERSON)
    shown = ("record_id", "record_kind", "person_key", "match_value", "operation", "risk_tier")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        (f"2026-10-06:{pseudonym(key, 'object', 'g1')}", "grant", person, APP.lower(), "grant", 2),
        (f"2026-10-06:{pseudonym(key, 'object', 'g2')}", "grant", None, "c1", "grant (all users)", 2),
        ("a1", "event", person, APP.lower(), "Consent to application (all users)", None),
        ("a2", "event", person, APP.lower(), "Consent to application failed", None),
    ]
    assert {(row["channel"], row["is_use"]) for row in rows} == {("consent", False)}
    assert rows[0]["occurred_at"].isoformat() == "2026-10-06T13:00:00+00:00"
    assert rows[2]["occurred_at"].isoformat() == "2026-10-01T09:00:00+00:00"
    assert problems == []


def test_a_grant_s_id_does_not_give_its_person_away(tmp_path: Path) -> None:
    client = "7e57ab1e-0000-4000-8000-00000000b001"
    raw = b"".join(UUID(one).bytes_le for one in (client, PERSON))
    grant_id = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    key, rows, _ = parse(tmp_path, "m365_app_consents", GRANT | {"id": grant_id})
    assert rows[0]["record_id"] == f"2026-10-06:{pseudonym(key, 'object', grant_id)}"
    inside = [raw[16:], base64.urlsafe_b64encode(raw[18:]).rstrip(b"="), PERSON.encode()]
    assert not [one for one in inside if one in str(rows).encode()]


def test_the_same_grant_on_the_next_day_is_another_row(tmp_path: Path) -> None:
    ids = []
    for name, end in (("one", 13), ("two", 20), ("three", 25)):
        key, rows, _ = parse(tmp_path / name, "m365_app_consents", GRANT, end=end)  # each has its own key
        ids.append(rows[0]["record_id"].replace(pseudonym(key, "object", "g1"), "token"))
    assert ids == ["2026-10-06:token", "2026-10-06:token", "2026-10-07:token"]


def test_a_discovered_app_is_matched_by_its_shortest_domain_else_by_its_name(tmp_path: Path) -> None:
    named = DISCOVERED | {"id": "2", "domains": ["not a domain"], "displayName": " Chat App "}
    bare = DISCOVERED | {"id": "3", "domains": None}
    _, rows, problems = parse(tmp_path, "m365_cloud_discovery", DISCOVERED, named, bare)
    assert without(rows[0], "occurred_at", "package_id") == {
        "record_id": "2026-10-06:managed:20001", "record_kind": "aggregate", "is_use": True,
        "occurred_day": DAY.date(),
        "person_key": None, "match_kind": "domain", "match_value": "chat.example",
        "channel": "cloud_discovery",
        "operation": "sum of 7 days", "event_count": 340, "person_count": 12, "byte_count": 5_000_000_000,
        "risk_tier": None, "source": "m365_cloud_discovery", "line_no": 1,
    }  # fmt: skip
    assert [(row["match_kind"], row["match_value"]) for row in rows[1:]] == [
        ("name", "chat app"),
        ("name", "chatgpt"),
    ]
    assert problems == []


def test_an_exported_table_has_the_day_of_its_file(tmp_path: Path) -> None:
    row = without(DISCOVERED, "period_days") | {"stream": "file", "day": "2026-10-04"}
    _, rows, _ = parse(tmp_path, "m365_cloud_discovery", row)
    assert (rows[0]["record_id"], rows[0]["operation"]) == ("2026-10-04:file:20001", "sum of an export")
    assert rows[0]["occurred_day"].isoformat() == "2026-10-04"


def test_a_visit(tmp_path: Path) -> None:
    key, rows, problems = parse(
        tmp_path,
        "m365_hunting",
        VISIT,
        VISIT | {"RecordId": "2", "AccountObjectId": None},
        VISIT | {"table": "cloud_app", "ActionType": "PastedToBrowser"},
    )
    assert without(rows[0], "occurred_at", "package_id") == {
        "record_id": "network:ab12", "record_kind": "event", "is_use": False, "occurred_day": DAY.date(),
        "person_key": pseudonym(key, "person", PERSON), "match_kind": "domain", "match_value": "chat.example",
        "channel": "hunting", "operation": "ConnectionSuccess", "event_count": 1, "person_count": None,
        "byte_count": None, "risk_tier": None, "source": "m365_hunting", "line_no": 1,
    }  # fmt: skip
    assert rows[0]["occurred_at"].isoformat() == "2026-10-06T10:00:00.123456+00:00"
    assert rows[1]["person_key"] is None
    assert rows[2]["is_use"] is True  # pasted
    assert problems == []


@pytest.mark.parametrize(
    ("source_id", "change", "problem", "is_kept"),
    [
        ("m365_signins", {"createdDateTime": None}, "no_time", False),
        ("m365_signins", {"appId": ""}, "no_app_id", True),
        ("m365_app_consents", {"record": "consent"}, "no_time", False),
        ("m365_app_consents", {"record": "other"}, "unknown_kind", False),
        ("m365_app_consents", {"appId": None, "clientId": None}, "no_app_id", True),
        ("m365_cloud_discovery", {"transactionCount": "many"}, "not_a_number", True),
        ("m365_cloud_discovery", {"displayName": None, "domains": []}, "no_name", True),
        ("m365_hunting", {"Timestamp": "yesterday"}, "no_time", False),
        ("m365_hunting", {"Host": "a b"}, "no_host", True),
    ],
)
def test_what_can_t_be_typed_is_a_problem_of_its_line(
    tmp_path: Path, source_id: str, change: dict[str, Any], problem: str, is_kept: bool
) -> None:
    good = ONE_OF_EACH[source_id]
    bad = good | {"id": "bad", "RecordId": "bad"} | change
    _, rows, problems = parse(tmp_path, source_id, good, bad)
    assert (2, problem) in problems
    assert {line for line, _ in problems} == {2}
    assert len(rows) == (2 if is_kept else 1)


@pytest.mark.parametrize("source_id", ONE_OF_EACH)
def test_lines_of_any_shape_are_parsed_without_an_error_and_without_a_name(
    tmp_path: Path, source_id: str
) -> None:
    good = ONE_OF_EACH[source_id]
    odd: list[dict[str, Any]] = [
        {key: value if key in ("id", "RecordId") else other for key, value in good.items()}
        for other in (None, 7, [1], {"a": 1}, "ada.lovelace@westbridge.example")
    ]
    lines = [row | {"id": f"odd{number}", "RecordId": f"odd{number}"} for number, row in enumerate(odd)]
    workspace = make_workspace(tmp_path)
    package = land(workspace, [json.dumps(row).encode() for row in lines], source_id=source_id)
    parsing.parse_package(workspace, package, make_settings(workspace), workspace.read_key())
    for file in parsing.check_seal(workspace, package).values():
        assert "ada.lovelace" not in json.dumps(pl.read_parquet(file).to_dicts(), default=str)
