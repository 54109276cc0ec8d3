"""The directory over real sockets: what is asked for, and what happens when the list goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from directory_tenant import Setting, setting_of, window_from
from genai_audit.demo.graph_directory import COPILOT_SKU
from genai_audit.demo.tenant import Faults
from genai_audit.errors import PermissionMissingError, SourceUnavailableError
from genai_audit.registry import RecordIdentity, sources
from genai_audit.sources.m365_directory import SOURCE, DirectoryOptions, find_licence, identify

LIST = ("users",)


@contextmanager
def directory_of(folder: Path, faults: Faults | None = None, **values: Any) -> Iterator[Setting]:
    with setting_of(folder, SOURCE, faults, **values) as setting:
        yield setting


def test_it_is_a_daily_snapshot_that_needs_one_permission() -> None:
    assert sources()["m365_directory"] is SOURCE
    assert SOURCE.needs == ("User.Read.All",)
    assert SOURCE.is_snapshot


def test_everybody_comes_page_by_page(tmp_path: Path) -> None:
    with directory_of(tmp_path) as setting:
        pulled = setting.pull()
        people = [json.loads(record) for record in pulled.records]
        assert [one["id"] for one in people] == [user["id"] for user in setting.directory.users]
        assert setting.count("users") == 4
        assert pulled.facts == {
            "page_count": 4, "left_out": 0, "retry_count": 0, "throttled_count": 0, "outcome": "complete",
            "reason": "",
        }  # fmt: skip


def test_names_mail_and_telephone_are_not_asked_for_and_not_landed(tmp_path: Path) -> None:
    with directory_of(tmp_path) as setting:
        setting.directory.users[0]["displayName"] = "Ada Lovelace"
        pulled = setting.pull()
        asked = setting.asked("users")[0]
        assert not {"displayName", "mail", "mobilePhone", "surname", "assignedLicenses"} & set(asked)
        assert b"Lovelace" not in b"".join(pulled.records)
        assert set(json.loads(pulled.records[0])) == {
            "id", "userPrincipalName", "department", "jobTitle", "employeeType", "userType", "accountEnabled",
            "hasCopilotLicence",
        }  # fmt: skip


def test_what_is_not_asked_for_is_not_landed_even_if_it_comes(tmp_path: Path) -> None:
    with directory_of(tmp_path) as setting:
        setting.directory.ignores_select = True
        assert b"mobilePhone" not in b"".join(setting.pull().records)


def test_of_licences_only_one_yes_or_no_is_kept(tmp_path: Path) -> None:
    options = {"copilot_sku_ids": (f" {COPILOT_SKU.upper()}",)}
    with directory_of(tmp_path, options=options) as setting:
        setting.directory.users[1]["assignedLicenses"] = [{"skuId": "another"}]
        pulled = setting.pull()
        known = [json.loads(record)["hasCopilotLicence"] for record in pulled.records]
        assert known[:4] == [True, False, False, True]
        assert b"skuId" not in b"".join(pulled.records)


@pytest.mark.parametrize(
    ("licences", "skus", "found"),
    [
        ([{"skuId": "A"}], frozenset("a"), True),
        ([{"skuId": "B"}, "odd", {}], frozenset("a"), False),
        ([], frozenset("a"), False),
        (None, frozenset("a"), None),
        ([{"skuId": "A"}], frozenset(), None),
    ],
)
def test_a_licence_is_unknown_when_nobody_said_which(
    licences: Any, skus: frozenset[str], found: bool | None
) -> None:
    assert find_licence(licences, skus) is found


@pytest.mark.parametrize(
    ("faults", "retries", "throttled"),
    [
        (Faults(throttle_with_retry_after=(2, 0.01), where=LIST), 2, 2),
        (Faults(throttle_without_header=2, where=LIST), 2, 2),
        (Faults(unavailable_burst=5, where=LIST), 5, 0),
        (Faults(server_error=2, where=LIST), 2, 0),
        (Faults(truncated_json=2, where=LIST), 2, 0),
        (Faults(reset_mid_body=2, where=LIST, skip=1), 2, 0),
    ],
    ids=["retry-after", "429", "503", "500", "cut off", "reset"],
)
def test_passing_faults_are_outlasted_and_counted(
    tmp_path: Path, faults: Faults, retries: int, throttled: int
) -> None:
    with directory_of(tmp_path, faults) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == len(setting.directory.users)
        assert (pulled.facts["retry_count"], pulled.facts["throttled_count"]) == (retries, throttled)
        assert pulled.facts["outcome"] == "complete"


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("fault", ["looping_next_link", "foreign_next_link", "page_without_value"])
def test_a_next_link_that_must_not_be_followed_ends_the_list(tmp_path: Path, fault: str, page: int) -> None:
    with directory_of(tmp_path, Faults(fault_page=page, **{fault: 1_000})) as setting:
        if fault == "page_without_value" and page == 1:
            with pytest.raises(SourceUnavailableError):
                setting.pull()
            return
        pulled = setting.pull()
        assert 0 < len(pulled.records) < len(setting.directory.users)
        assert pulled.facts["outcome"] == "partial"
        assert "can't be trusted" in pulled.facts["reason"]
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


def test_a_list_that_breaks_off_is_partial(tmp_path: Path) -> None:
    with directory_of(tmp_path, Faults(unavailable_burst=1_000, where=LIST, skip=2)) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == 2 * setting.directory.page_size
        assert pulled.facts["outcome"] == "partial"


def test_one_refused_token_is_renewed(tmp_path: Path) -> None:
    with directory_of(tmp_path) as setting:
        pages = SOURCE.pull(window_from(), setting.context)  # type: ignore[misc]
        first = next(pages)
        setting.tenant.expire_tokens()
        rest = [record for page in pages for record in page.records]
        assert len(first.records) + len(rest) == len(setting.directory.users)
        assert setting.count("token") == 2


def test_nobody_at_all_proves_nothing(tmp_path: Path) -> None:
    with directory_of(tmp_path) as setting:
        setting.directory.users = []
        facts = setting.pull().facts
        assert facts["outcome"] == "unproven"
        assert "an empty directory proves nothing" in facts["reason"]


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    with (
        directory_of(tmp_path, roles=("Reports.Read.All",)) as setting,
        pytest.raises(PermissionMissingError, match=r"User\.Read\.All"),
    ):
        setting.pull()


def test_a_user_is_known_by_the_object_id() -> None:
    assert identify({"id": "o1"}) == RecordIdentity("o1", None)
    assert identify({"id": 7}) == identify({}) == RecordIdentity(None, None)


def test_options_default_to_no_licence() -> None:
    assert DirectoryOptions().copilot_sku_ids == ()


def test_windows_do_not_matter_to_a_snapshot(tmp_path: Path) -> None:
    with directory_of(tmp_path) as setting:
        later = datetime(2026, 10, 6, tzinfo=UTC) + timedelta(days=30)
        assert setting.pull(later).records == setting.pull().records
