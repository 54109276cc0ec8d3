"""Hunting: built from the register, only hosts asked for, full answers asked again in halves."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app_pulls import DAY, PERSON, WINDOW, count, make_context, pull, serve, write_tools
from genai_audit.calendars import Window
from genai_audit.demo.graph_apps import AppData
from genai_audit.demo.tenant import Faults
from genai_audit.errors import ConfigurationError, PermissionMissingError, SourceUnavailableError
from genai_audit.settings import Settings
from genai_audit.sources._graph_hunting import read_rows
from genai_audit.sources._raw_pages import NotAPageError
from genai_audit.sources._token_roles import is_read_only
from genai_audit.sources._tool_aliases import read_app_ids, read_hosts
from genai_audit.sources.m365_hunting import HOSTS_A_QUERY, SOURCE

FAULTY = {"where": ("hunt",)}


def network(
    number: int, url: str = "chat.example.com", at: str = "2026-10-06T10:00:00.1234567Z"
) -> dict[str, Any]:
    return {
        "Timestamp": at, "DeviceId": f"device-{number}", "DeviceName": "laptop-7", "ReportId": 7,
        "RemoteIP": "192.0.2.8", "RemoteUrl": url, "ActionType": "ConnectionSuccess",
        "InitiatingProcessAccountObjectId": PERSON,
        "InitiatingProcessAccountUpn": "somebody@westbridge.example",
    }  # fmt: skip


def upload(number: int, action: str = "PastedToBrowser", **raw: Any) -> dict[str, Any]:
    return {
        "Timestamp": "2026-10-06T11:00:00Z", "ReportId": f"r{number}", "AccountObjectId": PERSON,
        "ActionType": action, "RawEventData": raw, "AccountDisplayName": "Somebody", "IPAddress": "192.0.2.9",
    }  # fmt: skip


def test_events_of_the_register_s_hosts_and_nothing_but_the_host(tmp_path: Path) -> None:
    data = AppData(
        network=[
            network(1),
            network(2, "https://www.chat.example.com/c/some-question?q=some-question"),
            network(3, "evil-chat.example.com"),
            network(4, at="2026-10-05T23:59:59.9999999Z"),
            network(5, "elsewhere.example"),
        ],
        cloud_app=[
            upload(1, TargetDomain="chat.example.com"),
            upload(2, "FileUploadedToCloud", TargetUrl="https://claude.example/new"),
            upload(3, "CopilotInteraction", TargetDomain="chat.example.com"),
        ],
    )
    write_tools(
        tmp_path,
        ("domain", "chat.example.com"),
        ("domain", "Claude.Example"),
        ("domain", "x.example/ai"),
        ("app_id", "y"),
    )
    with serve(tmp_path, data, ignores_select=True) as (tenant, apps):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert [one.method for one in tenant.requests if one.kind == "hunt"] == ["POST", "POST"]
        assert apps.hunts[0].startswith("DeviceNetworkEvents")
        assert all(
            "project RecordId, Timestamp, AccountObjectId, Host, ActionType" in one for one in apps.hunts
        )
    assert [(record["table"], record["Host"]) for record in records] == [
        ("network", "chat.example.com"),
        ("network", "www.chat.example.com"),
        ("cloud_app", "chat.example.com"),
        ("cloud_app", "claude.example"),
    ]
    assert set(records[0]) == {"table", "RecordId", "Timestamp", "AccountObjectId", "Host", "ActionType"}
    assert re.fullmatch("[0-9a-f]{64}", records[0]["RecordId"])
    assert records[0]["RecordId"] != records[1]["RecordId"]  # one report id, two devices
    assert (facts["hosts"], facts["paths_left_out"], facts["left_out"], facts["outcome"]) == (
        2,
        1,
        1,
        "complete",
    )


def test_a_full_answer_is_asked_again_in_halves_until_it_is_whole(tmp_path: Path) -> None:
    rows = [network(number, at=f"2026-10-06T{number:02}:30:00.0000000Z") for number in range(24)]
    write_tools(tmp_path, ("domain", "chat.example.com"))
    with serve(tmp_path, AppData(network=rows), row_cap=5) as (tenant, apps):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant, row_cap=5))
        spans = [re.findall(r"datetime\(([^)]+)\)", one) for one in apps.hunts if one.startswith("Device")]
    assert [record["Timestamp"] for record in records] == [row["Timestamp"] for row in rows]
    assert len(spans) == 15  # 24 h and every half of it, down to 3 h
    assert (facts["query_count"], facts["capped_windows"], facts["outcome"]) == (16, [], "complete")


def test_more_rows_in_a_minute_than_an_answer_holds_is_capped(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "chat.example.com"))
    window = Window(DAY + timedelta(hours=10), DAY + timedelta(hours=10, minutes=1))
    with serve(tmp_path, AppData(network=[network(number) for number in range(9)]), row_cap=4) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant, row_cap=4), window)
    assert (len(records), facts["outcome"]) == (4, "capped")
    assert facts["capped_windows"] == [str(window)]


def test_many_hosts_are_asked_for_in_groups_and_lower_hosts_with_their_upper_one(tmp_path: Path) -> None:
    hosts = [f"ai{number}.example" for number in range(HOSTS_A_QUERY + 1)]
    write_tools(tmp_path, *(("domain", one) for one in hosts), ("domain", "chat.ai1.example"))
    data = AppData(network=[network(number, one) for number, one in enumerate([*hosts, "chat.ai1.example"])])
    with serve(tmp_path, data) as (tenant, apps):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert max(map(len, apps.hunts)) < 5_000
    assert (facts["hosts"], facts["query_count"], len(records)) == (len(hosts), 4, len(hosts) + 1)


def test_the_shipped_register_can_be_asked_for() -> None:
    starters = Path(str(resources.files("genai_audit") / "starters"))
    hosts, _ = read_hosts(starters)
    assert {"chatgpt.com", "claude.ai"} <= set(hosts)
    assert all(len(one) == 36 for one in read_app_ids(starters))


def test_without_a_domain_nothing_is_asked(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "kagi.example/fastgpt"))
    with serve(tmp_path, AppData()) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert tenant.requests == []
    assert (records, facts["outcome"], facts["paths_left_out"]) == ([], "unproven", 1)


@pytest.mark.parametrize("host", ['x.example") or true or ("', "https:x", "-x.example", "x .example", "x"])
def test_what_is_no_host_never_gets_into_a_query(tmp_path: Path, host: str) -> None:
    write_tools(tmp_path, ("domain", host.replace('"', "'")))
    with pytest.raises(ConfigurationError, match="no host name"):
        pull(SOURCE, make_context(SOURCE, tmp_path))


def test_what_is_no_action_never_gets_into_a_query(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="upload_actions"):
        make_context(SOURCE, tmp_path, upload_actions=['x") | take 5 //'])


def test_no_event_is_unproven(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "chat.example.com"))
    with serve(tmp_path, AppData()) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (records, facts["outcome"], facts["query_count"]) == ([], "unproven", 2)
    assert "onboarded" in facts["reason"]


@pytest.mark.parametrize(
    "fault",
    [
        {"throttle_with_retry_after": (1, 0.01)},
        {"throttle_without_header": 2},
        {"unavailable_burst": 3},
        {"truncated_json": 1},
        {"reset_mid_body": 1},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_a_read_that_is_a_post_may_be_repeated(tmp_path: Path, fault: dict[str, Any]) -> None:
    write_tools(tmp_path, ("domain", "chat.example.com"))
    with serve(tmp_path, AppData(network=[network(1)]), faults=Faults(**FAULTY, **fault)) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert tenant.fault_log
    assert (len(records), facts["outcome"]) == (1, "complete")
    assert facts["retry_count"] >= 1


def test_a_query_that_fails_later_leaves_what_came_and_is_partial(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "chat.example.com"))
    faults = Faults(**FAULTY, skip=1, server_error=99)
    with serve(tmp_path, AppData(network=[network(1)]), faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (len(records), facts["outcome"]) == (1, "partial")


def test_a_first_query_that_fails_raises_and_a_permission_is_named(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "chat.example.com"))
    with (
        serve(tmp_path, AppData(), faults=Faults(**FAULTY, server_error=99)) as (tenant, _),
        pytest.raises(SourceUnavailableError, match="failed 10 times"),
    ):
        pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    with (
        serve(tmp_path, AppData(), roles=("AuditLog.Read.All",)) as (tenant, _),
        pytest.raises(PermissionMissingError, match=r"ThreatHunting\.Read\.All"),
    ):
        pull(SOURCE, make_context(SOURCE, tmp_path, tenant))


def test_a_pull_that_was_given_up_is_asked_anew_in_full(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "chat.example.com"))
    data = AppData(
        network=[network(number) for number in range(3)],
        cloud_app=[upload(1, TargetDomain="chat.example.com")],
    )
    with serve(tmp_path, data) as (tenant, _):
        context = make_context(SOURCE, tmp_path, tenant)
        pages = SOURCE.pull(WINDOW, context)
        assert [len(next(pages).records), len(next(pages).records)] == [0, 3]
        pages.close()
        assert len(pull(SOURCE, context)[0]) == 4
        assert count(tenant, "hunt") == 3


@pytest.mark.parametrize("body", [b'{"value":[]}', b'{"results":{}}', b'{"results":[1]}', b"[]"])
def test_an_answer_of_another_shape_is_not_taken_for_an_empty_one(body: bytes) -> None:
    with pytest.raises(SourceUnavailableError, match="without rows"):
        read_rows(body)
    with pytest.raises(NotAPageError):
        read_rows(body[:-1])


def test_it_is_off_by_default_and_its_permission_only_reads() -> None:
    assert "m365_hunting" not in Settings().sources.enabled
    assert all(is_read_only(role) for role in SOURCE.needs)
