"""The usage report over real sockets: a table or JSON, concealed names, and what must not be landed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from directory_tenant import Setting, setting_of, window_from
from genai_audit.demo.tenant import Faults
from genai_audit.errors import PermissionMissingError, SourceUnavailableError
from genai_audit.registry import RecordIdentity, sources
from genai_audit.sources.m365_copilot_usage import ARE_CONCEALED, SOURCE, identify, reduce_row

REPORT = ("usage",)
HEADER = "Report Refresh Date,User Principal Name,Display Name,Last Activity Date,Report Period"


@contextmanager
def report_of(folder: Path, faults: Faults | None = None, **values: Any) -> Iterator[Setting]:
    with setting_of(folder, SOURCE, faults, **values) as setting:
        user = setting.directory.users[0]["userPrincipalName"]
        setting.directory.last_active = {user: setting.directory.report_day}
        yield setting


def answer_with(setting: Setting, *bodies: bytes, beta: bytes | None = None) -> None:
    """Let the v1.0 report be these bodies, one after the other; beta: another, or refused."""
    left = list(bodies)

    async def answer(request: Request, number: int) -> Response:
        if request.path_params["version"] == "beta":
            return Response(beta or b"", 200 if beta else 404)
        return Response(left.pop(0) if len(left) > 1 else left[0], media_type="application/octet-stream")

    setting.directory.answer_report = answer


def versions(setting: Setting) -> list[str]:
    return [one.path.split("/")[1] for one in setting.tenant.requests if one.kind == "usage"]


def test_it_is_a_daily_snapshot_that_needs_one_permission() -> None:
    assert sources()["m365_copilot_usage"] is SOURCE
    assert SOURCE.needs == ("Reports.Read.All",)
    assert SOURCE.is_snapshot


def test_a_table_becomes_one_record_a_user(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        pulled = setting.pull()
        rows = [json.loads(record) for record in pulled.records]
        day = setting.directory.report_day.isoformat()
        assert len(rows) == len(setting.directory.users)
        first = rows[0]
        assert first["user_principal_name"] == setting.directory.users[0]["userPrincipalName"]
        assert (first["report_refresh_date"], first["report_period"], first["last_activity_date"]) == (
            day, "7", day,
        )  # fmt: skip
        assert first["last_activity_by_app"]["copilotchat"] == day
        assert len(first["last_activity_by_app"]) == 2
        assert (rows[1]["last_activity_date"], rows[1]["last_activity_by_app"]) == (None, {})
        assert pulled.facts == {
            "api_version": "v1.0", "page_count": 1, "retry_count": 0, "throttled_count": 0,
            "concealed_count": 0, "outcome": "complete", "reason": "",
        }  # fmt: skip


def test_neither_display_names_nor_prompt_counts_are_landed(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        for user in setting.directory.users:
            user["displayName"] = "Ada Lovelace"
        landed = b"".join(setting.pull().records)
        assert b"Lovelace" not in landed
        assert b"prompt" not in landed.lower()


def test_json_of_beta_gives_the_same_records(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        table = setting.pull().records
        setting.directory.report = "json"
        pulled = setting.pull()
        assert [json.loads(one) | {"report_period": "7"} for one in pulled.records] == [
            json.loads(one) for one in table
        ]
        assert pulled.facts["api_version"] == "beta"
        assert pulled.facts["page_count"] == 4


def test_json_from_v1_is_read_as_well(tmp_path: Path) -> None:
    row = {"reportRefreshDate": "2026-11-21", "userPrincipalName": "a@x.example", "lastActivityDate": ""}
    with report_of(tmp_path) as setting:
        answer_with(setting, json.dumps({"value": [row]}).encode())
        pulled = setting.pull()
        assert json.loads(pulled.records[0])["user_principal_name"] == "a@x.example"
        assert pulled.facts["api_version"] == "v1.0"


def test_concealed_names_are_counted_and_marked(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        setting.directory.conceals = True
        pulled = setting.pull()
        assert all(json.loads(record)["is_concealed"] for record in pulled.records)
        assert pulled.facts["outcome"] == "complete"
        assert pulled.facts["reason"] == ARE_CONCEALED
        assert pulled.facts["concealed_count"] == len(pulled.records)


def test_an_answer_that_sends_us_elsewhere_is_not_followed(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        listed = setting.directory.answer_report

        async def answer(request: Request, number: int) -> Response:
            if request.path_params["version"] == "v1.0":
                return RedirectResponse(f"https://localhost:{request.url.port}/elsewhere", 302)
            setting.directory.report = "json"
            return await listed(request, number)

        setting.directory.answer_report = answer
        pulled = setting.pull()
        assert len(pulled.records) == len(setting.directory.users)
        assert pulled.facts["api_version"] == "beta"
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("faults", "retries", "throttled"),
    [
        (Faults(throttle_with_retry_after=(2, 0.01), where=REPORT), 2, 2),
        (Faults(throttle_without_header=2, where=REPORT), 2, 2),
        (Faults(unavailable_burst=3, where=REPORT), 3, 0),
        (Faults(server_error=2, where=REPORT), 2, 0),
        (Faults(reset_mid_body=2, where=REPORT), 2, 0),
    ],
    ids=["retry-after", "429", "503", "500", "reset"],
)
def test_passing_faults_are_outlasted_and_counted(
    tmp_path: Path, faults: Faults, retries: int, throttled: int
) -> None:
    with report_of(tmp_path, faults) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == len(setting.directory.users)
        assert (pulled.facts["retry_count"], pulled.facts["throttled_count"]) == (retries, throttled)


@pytest.mark.parametrize(
    "damaged",
    [
        f"{HEADER}\r\n2026-11-21,a@x.exam".encode(),
        f'{HEADER}\r\n2026-11-21,"a@x.exa'.encode(),
        f"{HEADER}\r\n2026-11-21,\xe9@x.example,x,,7".encode("latin-1"),
        b"<html>a proxy had a problem</html>",
    ],
    ids=["row cut off", "cell cut off", "not UTF-8", "a web page"],
)
def test_a_damaged_table_is_asked_for_again(tmp_path: Path, damaged: bytes) -> None:
    with report_of(tmp_path) as setting:
        answer_with(setting, damaged, f"{HEADER}\r\n2026-11-21,a@x.example,A,2026-11-21,7\r\n".encode())
        pulled = setting.pull()
        assert len(pulled.records) == 1
        assert pulled.facts["retry_count"] == 1


def test_a_report_without_users_is_unproven(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        setting.directory.users = []
        pulled = setting.pull()
        assert pulled.records == []
        assert pulled.facts["outcome"] == "unproven"
        assert "names nobody" in pulled.facts["reason"]


def test_a_report_without_its_columns_is_refused(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        answer_with(setting, b"Report Refresh Date,Person\r\n2026-11-21,x\r\n")
        with pytest.raises(SourceUnavailableError, match="userprincipalname"):
            setting.pull()


def test_json_that_breaks_off_is_partial(tmp_path: Path) -> None:
    faults = Faults(unavailable_burst=1_000, where=REPORT, skip=4)  # v1.0, beta twice, its second page
    with report_of(tmp_path, faults) as setting:
        setting.directory.report = "json"
        pulled = setting.pull()
        assert len(pulled.records) == 2 * setting.directory.page_size
        assert pulled.facts["outcome"] == "partial"
        assert "failed 10 times" in pulled.facts["reason"]


@pytest.mark.parametrize("fault", ["looping_next_link", "foreign_next_link"])
def test_a_next_link_that_must_not_be_followed_ends_the_report(tmp_path: Path, fault: str) -> None:
    with report_of(tmp_path, Faults(fault_page=2, **{fault: 1_000})) as setting:
        setting.directory.report = "json"
        pulled = setting.pull()
        assert 0 < len(pulled.records) < len(setting.directory.users)
        assert pulled.facts["outcome"] == "partial"
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


def test_a_tenant_without_the_report_says_so(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        setting.directory.report = "none"
        with pytest.raises(SourceUnavailableError, match="404"):
            setting.pull()
        assert versions(setting) == ["v1.0", "beta", "v1.0"]


def test_the_older_address_is_asked_last(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        setting.directory.report = "old"
        assert setting.pull().facts["outcome"] == "complete"
        assert versions(setting) == ["v1.0", "beta", "v1.0"]
        assert setting.tenant.requests[-1].path.startswith("/v1.0/reports/")


def test_a_missing_permission_is_named_and_nothing_else_is_tried(tmp_path: Path) -> None:
    with (
        report_of(tmp_path, roles=("User.Read.All",)) as setting,
        pytest.raises(PermissionMissingError, match=r"Reports\.Read\.All"),
    ):
        setting.pull()
    assert versions(setting) == ["v1.0"]


def test_one_refused_token_is_renewed(tmp_path: Path) -> None:
    with report_of(tmp_path) as setting:
        setting.directory.report = "json"
        pages = SOURCE.pull(window_from(), setting.context)  # type: ignore[misc]
        first = next(pages)
        setting.tenant.expire_tokens()
        rest = [record for page in pages for record in page.records]
        assert len(first.records) + len(rest) == len(setting.directory.users)


@pytest.mark.parametrize(
    ("name", "is_concealed"),
    [
        ("04ED172AFFD17C931C567960999335F9", True),
        ("04ed172affd17c931c567960999335f9", False),
        ("04ED172AFFD17C931C567960999335F", False),
        ("a@x.example", False),
    ],
)
def test_only_the_known_shape_is_a_concealed_name(name: str, is_concealed: bool) -> None:
    assert reduce_row({"userprincipalname": name})["is_concealed"] is is_concealed


def test_an_application_that_is_new_is_kept_by_its_name() -> None:
    row = {"userprincipalname": "a", "planneragentlastactivitydate": "2026-11-01", "x": "y"}
    assert reduce_row(row)["last_activity_by_app"] == {"planneragent": "2026-11-01"}


def test_a_user_is_known_by_the_name_in_the_report() -> None:
    assert identify({"user_principal_name": "a"}) == RecordIdentity("a", None)
    assert identify({"user_principal_name": ""}) == RecordIdentity(None, None)
