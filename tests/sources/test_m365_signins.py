"""Sign-ins: only AI applications of the register are asked for, and only what is needed of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from app_pulls import AI_APP, DAY, OTHER_APP, PERSON, WINDOW, count, make_context, pull, serve, write_tools
from genai_audit.demo.graph_apps import AppData
from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.errors import ConfigurationError, PermissionMissingError, SourceUnavailableError
from genai_audit.sources.m365_signins import IDS_A_REQUEST, SOURCE

FAULTY = {"where": ("signins",)}


def sign_in(
    number: int, *, at: str = "2026-10-06T10:00:00Z", app: str = AI_APP, code: int = 0
) -> dict[str, Any]:
    return {
        "id": f"s{number}", "createdDateTime": at, "appId": app, "appDisplayName": "ChatGPT",
        "userId": PERSON, "userPrincipalName": "somebody@westbridge.example",
        "userDisplayName": "Somebody", "ipAddress": "192.0.2.7",
        "deviceDetail": {"displayName": "LAPTOP-7"}, "status": {"errorCode": code, "failureReason": "Other."},
    }  # fmt: skip


def many(number: int) -> AppData:
    return AppData(sign_ins=[sign_in(one) for one in range(number)])


def test_only_the_window_and_the_register_s_applications_are_asked_for(tmp_path: Path) -> None:
    rows = [
        sign_in(1),
        sign_in(2, code=50074),
        sign_in(3, app="7e57ab1e-0000-4000-8000-00000000ffff"),
        sign_in(4, at="2026-10-05T23:59:59Z"),
        sign_in(5, at="2026-10-07T00:00:00Z"),
        sign_in(6, app=OTHER_APP),
    ]
    write_tools(tmp_path, ("domain", "chatgpt.com"), ("app_id", AI_APP.upper()))
    with serve(tmp_path, AppData(sign_ins=rows)) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant, app_ids=[OTHER_APP, AI_APP]))
        asked = [unquote(one.query) for one in tenant.requests if one.kind == "signins"]
    assert [record["id"] for record in records] == ["s1", "s2", "s6"]
    assert records[1] == {
        "id": "s2", "createdDateTime": "2026-10-06T10:00:00Z", "appId": AI_APP, "appDisplayName": "ChatGPT",
        "userId": PERSON, "errorCode": 50074,
    }  # fmt: skip
    assert (facts["app_ids"], facts["outcome"], facts["reason"]) == (2, "complete", "")
    assert len(asked) == 1
    assert "ipAddress" not in asked[0]
    assert "userPrincipalName" not in asked[0]


def test_a_service_that_overlooks_select_lands_no_address_and_no_device(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, many(3), ignores_select=True) as (tenant, _):
        records, _ = pull(
            SOURCE, make_context(SOURCE, tmp_path, tenant)
        )  # pull() looks for what is forbidden
    assert len(records) == 3


def test_many_applications_are_asked_for_in_groups(tmp_path: Path) -> None:
    ids = [f"7e57ab1e-0000-4000-8000-{number:012x}" for number in range(IDS_A_REQUEST * 2 + 1)]
    rows = [sign_in(number, app=one) for number, one in enumerate(ids)]
    write_tools(tmp_path, *(("app_id", one) for one in ids))
    with serve(tmp_path, AppData(sign_ins=rows)) as (tenant, _):
        records, _ = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        addresses = [len(one.path) + len(one.query) for one in tenant.requests if one.kind == "signins"]
    assert len(records) == len(ids)
    assert len(addresses) == 3
    assert max(addresses) < 1_900


def test_without_an_application_nothing_is_asked_and_nothing_is_proved(tmp_path: Path) -> None:
    write_tools(tmp_path, ("domain", "chatgpt.com"))
    with serve(tmp_path, many(3)) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert tenant.requests == []
    assert records == []
    assert (facts["outcome"], facts["reason"]) == (
        "unproven",
        "no app id of an AI tool is in the tool register",
    )
    (tmp_path / "registers" / "tools.csv").unlink()
    assert pull(SOURCE, make_context(SOURCE, tmp_path))[1]["outcome"] == "unproven"


def test_what_is_no_application_id_never_gets_into_a_filter(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", "x' or appId ne 'y"))
    with pytest.raises(ConfigurationError, match="no GUID"):
        pull(SOURCE, make_context(SOURCE, tmp_path))


def test_an_empty_answer_is_unproven(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, AppData()) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (records, facts["outcome"]) == ([], "unproven")
    assert "no sign-in" in facts["reason"]


@pytest.mark.parametrize(
    "fault",
    [
        {"throttle_with_retry_after": (1, 0.01)},
        {"throttle_without_header": 2},
        {"unavailable_burst": 3},
        {"server_error": 2},
        {"truncated_json": 1},
        {"reset_mid_body": 1},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_faults_that_pass_cost_no_record(tmp_path: Path, fault: dict[str, Any]) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, many(25), page_size=10, faults=Faults(**FAULTY, skip=1, **fault)) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert tenant.fault_log
    assert [record["id"] for record in records] == [f"s{number}" for number in range(25)]
    assert facts["outcome"] == "complete"
    assert facts["page_count"] == 3
    assert facts["retry_count"] >= 1


def test_a_list_that_breaks_off_is_partial(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    faults = Faults(**FAULTY, skip=2, server_error=99)
    with serve(tmp_path, many(25), page_size=10, faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (len(records), facts["outcome"]) == (20, "partial")
    assert "failed 10 times" in facts["reason"]


def test_a_service_that_never_answers_raises(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with (
        serve(tmp_path, many(3), faults=Faults(**FAULTY, server_error=99)) as (tenant, _),
        pytest.raises(SourceUnavailableError, match="failed 10 times"),
    ):
        pull(SOURCE, make_context(SOURCE, tmp_path, tenant))


@pytest.mark.parametrize(("kind", "words"), [("loop", "read already"), ("foreign", "another host")])
def test_a_bad_next_link_is_not_followed(tmp_path: Path, kind: Any, words: str) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, many(25), page_size=10, next_link=kind) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert {one.host for one in tenant.requests} == {"127.0.0.1"}
    assert facts["outcome"] == "partial"
    assert words in facts["reason"]
    assert {record["id"] for record in records} == {f"s{number}" for number in range(10)}


def test_a_token_that_expires_is_renewed_once(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, many(25), page_size=10) as (tenant, _):
        pages = SOURCE.pull(WINDOW, make_context(SOURCE, tmp_path, tenant))
        found = [len(next(pages).records), len(next(pages).records)]
        tenant.expire_tokens()
        found += [len(page.records) for page in pages]
        assert [one.status for one in tenant.requests if one.kind == "signins"].count(401) == 1
    assert sum(found) == 25


def test_a_pull_that_was_given_up_is_asked_anew_in_full(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, many(25), page_size=10) as (tenant, _):
        context = make_context(SOURCE, tmp_path, tenant)
        pages = SOURCE.pull(WINDOW, context)
        assert [len(next(pages).records), len(next(pages).records)] == [0, 10]
        pages.close()
        assert len(pull(SOURCE, context)[0]) == 25


def test_a_missing_permission_is_named_and_the_probe_finds_it_too(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with serve(tmp_path, many(1), roles=("AuditLogsQuery.Read.All",)) as (tenant, _):
        context = make_context(SOURCE, tmp_path, tenant)
        with pytest.raises(PermissionMissingError, match=r"AuditLog\.Read\.All"):
            pull(SOURCE, context)
        with pytest.raises(PermissionMissingError, match=r"AuditLog\.Read\.All"):
            SOURCE.probe(context)


def test_the_probe_asks_once(tmp_path: Path) -> None:
    with serve(tmp_path, many(3)) as (tenant, _):
        assert "answers" in SOURCE.probe(make_context(SOURCE, tmp_path, tenant))
        assert count(tenant, "signins") == 1
    faults = Faults(**FAULTY, unavailable_burst=9)
    with serve(tmp_path, many(3), faults=faults) as (tenant, _):
        with pytest.raises(SourceUnavailableError, match="503"):
            SOURCE.probe(make_context(SOURCE, tmp_path, tenant))
        assert count(tenant, "signins") == 1


def test_the_pretend_tenant_without_this_interface_knows_no_sign_ins(tmp_path: Path) -> None:
    write_tools(tmp_path, ("app_id", AI_APP))
    with (
        PretendTenant([], workdir=tmp_path, roles=("AuditLog.Read.All",)) as tenant,
        pytest.raises(SourceUnavailableError, match="404"),
    ):
        pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert SOURCE.identify({"id": "a", "createdDateTime": f"{DAY}"}).record_id == "a"
