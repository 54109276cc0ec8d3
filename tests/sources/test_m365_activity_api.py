"""The activity feed over real sockets: subscriptions, windows of arrival, blobs, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import copilot_record, make_settings, make_workspace
from genai_audit.calendars import Window
from genai_audit.collection import describe_plan
from genai_audit.collection import pull as collection_pull
from genai_audit.demo.activity_feed import ActivityFeed, FeedFaults
from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.errors import ConfigurationError, PermissionMissingError, SourceUnavailableError
from genai_audit.landing import Landing, read_records
from genai_audit.loading import parse_and_load
from genai_audit.registry import RawPage, SourceContext, sources, what_is_missing
from genai_audit.runs import Run
from genai_audit.settings import Settings
from genai_audit.sources._activity_options import M365ActivityApiOptions
from genai_audit.sources._activity_window import BY_ARRIVAL
from genai_audit.sources._audit_families import OPERATIONS, make_test
from genai_audit.sources._web import DistrustedError
from genai_audit.sources.m365_activity_api import SOURCE, probe, pull

START = datetime(2026, 10, 6, tzinfo=UTC)  # a Tuesday
DAY = Window(START, START + timedelta(days=1))
ROLES = ("ActivityFeed.Read", "ActivityFeed.ReadDlp")
KINDS = ("subscriptions", "content", "blob")
ALWAYS = 1_000_000
Entries = list[tuple[datetime, bytes]]


def make_entries(count: int, *, first: datetime = START, **changes: Any) -> Entries:
    """One record every seven minutes, as Graph would give them."""
    moments = [first + timedelta(minutes=7) * number for number in range(count)]
    return [
        (moment, copilot_record(moment, record_id=f"{changes.get('record_type', 261)}-{no}", **changes))
        for no, moment in enumerate(moments)
    ]


def body_of(raw: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(raw)["auditData"]
    return body


@dataclass
class Pulled:
    records: list[dict[str, Any]]
    facts: dict[str, Any]

    @property
    def ids(self) -> list[str]:
        return sorted({one["Id"] for one in self.records})


@dataclass
class Setting:
    """A pretend tenant with a feed, and the context of a pull from it."""

    tenant: PretendTenant
    feed: ActivityFeed
    context: SourceContext

    def pull(self, window: Window = DAY, *, is_expected: bool = True, **limits: Any) -> Pulled:
        context = replace(self.with_limits(**limits), is_expected=is_expected)
        return collect(pull(window, context))

    def with_limits(self, **limits: Any) -> SourceContext:
        return replace(self.context, options=self.context.options.model_copy(update=limits))

    def count(self, kind: str) -> int:
        return [one.kind for one in self.tenant.requests].count(kind)


def collect(pages: Iterator[RawPage]) -> Pulled:
    arrived = list(pages)
    assert not any(page.facts for page in arrived[:-1])
    return Pulled([json.loads(raw) for page in arrived for raw in page.records], dict(arrived[-1].facts))


@contextmanager
def setting_of(
    folder: Path,
    entries: Entries,
    faults: Faults | None = None,
    *,
    feed_faults: FeedFaults | None = None,
    roles: tuple[str, ...] = ROLES,
    now: datetime | None = None,
    **feed: Any,
) -> Iterator[Setting]:
    pretend = ActivityFeed(entries, faults=feed_faults, **({"blob_size": 5, "page_size": 4} | feed))
    with PretendTenant(
        [], faults=faults, workdir=folder / "tenant", roles=roles, now=now, interfaces=[pretend.routes]
    ) as tenant:
        settings = Settings(
            tenant={
                "tenant_id": tenant.tenant_id, "client_id": tenant.client_id, "credential": "client_secret",
                "client_secret_path": tenant.secret_path, "authority_url": tenant.url,
                "ca_bundle": tenant.ca_path,
            }
        )  # fmt: skip
        options = M365ActivityApiOptions(api_url=tenant.url, retry_seconds=0.001, deadline_minutes=1)
        yield Setting(tenant, pretend, SourceContext(settings, folder / "state" / "x" / "y", options))


# The straight way


def test_it_is_a_source_of_no_graph_permission() -> None:
    assert sources()["m365_activity_api"] is SOURCE
    assert (SOURCE.needs, SOURCE.is_window_by_arrival) == ((), True)
    assert "[tenant]" in what_is_missing("m365_activity_api", Settings(), M365ActivityApiOptions())


def test_a_window_is_read_page_by_page_and_blob_by_blob(tmp_path: Path) -> None:
    entries = make_entries(60) + make_entries(3, record_type=63, operation="PastedToBrowser")
    with setting_of(tmp_path, entries) as setting:
        pulled = setting.pull()
        assert pulled.ids == sorted(body_of(raw)["Id"] for _, raw in entries)
        wanted = {one["Id"]: one for one in (body_of(raw) for _, raw in entries)}
        assert all(one == wanted[one["Id"]] for one in pulled.records)
        assert pulled.facts == {
            "subscriptions": {"Audit.General": "enabled", "DLP.All": "enabled"},
            "page_count": 5, "blob_count": 15, "repeated_count": 0, "expired_count": 0, "left_out": 0,
            "request_count": 21, "retry_count": 0, "throttled_count": 0,
            "outcome": "complete", "reason": BY_ARRIVAL,
        }  # fmt: skip
        asked = [one for one in setting.tenant.requests if one.kind in KINDS]
        assert all(f"PublisherIdentifier={setting.tenant.tenant_id}" in one.query for one in asked)
        assert setting.count("token") == 1


def test_blobs_are_handed_over_before_the_next_is_asked_for(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(60)) as setting:
        pages = pull(DAY, setting.context)
        assert len(next(pages).records) == 5
        assert setting.count("blob") == 1
        pages.close()


def test_records_are_cut_out_without_a_change(tmp_path: Path) -> None:
    strange = (
        b'{ "Id":"\\u0031", "Operation":"CopilotInteraction", "CreationTime":"2026-10-06T01:00", "N":1.50}'
    )
    with setting_of(tmp_path, make_entries(1)) as setting:
        setting.feed._hours["Audit.General", START] = [[strange, b'{"Id": "2"}', b'{"Id": "\xff"}']]
        pages = list(pull(DAY, setting.context))
        assert pages[0].records == [strange, b'{"Id": "\xff"}']  # what can't be read is set aside in landing
        assert pages[-1].facts["left_out"] == 1


def test_only_ai_dlp_and_labels_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    entries = make_entries(4) + make_entries(6, record_type=25, operation="MessageSent")
    with setting_of(tmp_path, entries) as setting:
        pulled = setting.pull()
        assert (len(pulled.records), pulled.facts["left_out"]) == (4, 6)
        assert pulled.facts["outcome"] == "complete"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"RecordType": 261}, True),
        ({"RecordType": "284"}, True),
        ({"RecordType": 384, "Operation": "NobodyKnows"}, True),
        ({"RecordType": 63, "Operation": "PastedToBrowser"}, True),
        ({"RecordType": 63, "Operation": "FileModified"}, False),
        ({"RecordType": 6, "Operation": "filesensitivitylabelapplied"}, True),
        ({"RecordType": 6, "Operation": "FileModified"}, False),
        ({"RecordType": 9999, "AgentID": "a", "ForAllUsers": True}, True),
        ({"RecordType": 9999, "Property": "p", "ForAllUsers": False}, True),
        ({"RecordType": 9999, "Property": "p"}, False),
        ({"RecordType": None, "Operation": None}, False),
        ({"RecordType": "9" * 5000}, False),
        ({"RecordType": [261]}, False),
    ],
)
def test_families_are_known_by_type_operation_or_keys(body: dict[str, Any], expected: bool) -> None:
    assert make_test(OPERATIONS)(body) is expected


def test_more_operations_can_be_asked_for(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(2, record_type=25, operation="MessageSent")) as setting:
        assert len(setting.pull(operations=("messagesent",)).records) == 2


def test_from_the_configuration_to_the_marts(tmp_path: Path) -> None:
    entries = make_entries(30) + make_entries(3, record_type=63, operation="PastedToBrowser")
    with setting_of(tmp_path, entries) as setting:
        workspace = make_workspace(tmp_path)
        section = f'[m365_activity_api]\napi_url = "{setting.tenant.url}"\n'
        settings = make_settings(workspace, setting.tenant.as_toml() + section)
        plan = describe_plan(workspace, settings, DAY, ["m365_activity_api"])
        assert plan[1:] == ["  at least 3 requests, 3 each"]
        run = Run(workspace, settings, "pull")
        collection_pull(run, DAY, ["m365_activity_api"])
        assert (run.landed[0].outcome, run.landed[0].counts["accepted"]) == ("complete", 33)
        parse_and_load(run)
        with run.warehouse() as warehouse:
            ask = warehouse.connection.execute
            assert ask("SELECT source, count(*) FROM fct_interaction GROUP BY 1").fetchall() == [
                ("m365_activity_api", 30)
            ]
            assert ask("SELECT count(*) FROM fct_dlp_event").fetchall() == [(3,)]


# Windows of arrival


def test_late_records_stand_in_the_window_they_arrived_in_and_are_not_trimmed(tmp_path: Path) -> None:
    """What happened on Monday evening and was published on Tuesday is landed with Tuesday's window."""
    entries = make_entries(10, first=START - timedelta(hours=2))
    with setting_of(tmp_path, entries, delay=timedelta(hours=8)) as setting:
        workspace = make_workspace(tmp_path)
        landing = Landing(workspace, make_settings(workspace), "test-run")
        writer = landing.open_package("m365_activity_api", SOURCE, DAY)
        for page in pull(DAY, setting.context):
            writer.add(page)
        package = writer.close()
        assert (package.counts["accepted"], package.counts["trimmed"]) == (10, 0)
        assert package.max_occurred_at is not None
        assert package.max_occurred_at < "2026-10-06T00"
        assert len(next(read_records(workspace, package, 100))) == 10


def test_duplicates_by_design_are_counted_and_landed_once(tmp_path: Path) -> None:
    entries = [(START, copilot_record(START, record_id=f"id-{number}")) for number in range(40)]
    with setting_of(tmp_path, entries, repeat_every=2) as setting:
        workspace = make_workspace(tmp_path)
        writer = Landing(workspace, make_settings(workspace), "r").open_package("x", SOURCE, DAY)
        for page in pull(DAY, setting.context):
            writer.add(page)
        package = writer.close()
        assert (package.counts["accepted"], package.counts["duplicate"]) == (40, 3)


def test_a_window_that_is_too_old_is_refused_with_the_reason(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(5), now=START + timedelta(days=9)) as setting:
        with pytest.raises(SourceUnavailableError) as caught:
            setting.pull()
        assert "seven days" in caught.value.next_step


# Subscriptions


def test_a_type_without_a_subscription_is_unproven_and_is_not_started(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(5), enabled=()) as setting:
        pulled = setting.pull()
        assert (pulled.records, pulled.facts["outcome"]) == ([], "unproven")
        assert pulled.facts["reason"].startswith("no subscription for Audit.General: never started")
        assert "no subscription for DLP.All" in pulled.facts["reason"]
        assert (setting.count("subscriptions"), setting.count("start"), setting.count("other")) == (1, 0, 0)


def test_a_subscription_is_started_only_on_request_and_said_to_begin_later(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(5), enabled=("DLP.All",)) as setting:
        first = setting.pull(start_subscriptions=True)
        assert (setting.count("start"), setting.feed.enabled) == (1, {"Audit.General", "DLP.All"})
        assert first.facts["outcome"] == "unproven"
        assert "within twelve hours" in first.facts["reason"]
        assert setting.pull(start_subscriptions=True).facts["outcome"] == "complete"
        assert setting.count("start") == 1


def test_what_the_other_types_bring_is_kept(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(5), enabled=("Audit.General",)) as setting:
        pulled = setting.pull()
        assert (len(pulled.records), pulled.facts["outcome"]) == (5, "unproven")
        assert "DLP.All" in pulled.facts["reason"]
        assert setting.pull(content_types=("Audit.General",)).facts["outcome"] == "complete"


@pytest.mark.parametrize(
    ("window", "is_expected", "outcome"),
    [
        (DAY, True, "unproven"),
        (DAY, False, "complete"),
        (Window(START + timedelta(days=4), START + timedelta(days=5)), True, "complete"),  # a Saturday
        (Window(START, START + timedelta(hours=3)), True, "complete"),
    ],
)
def test_a_weekday_without_any_content_proves_nothing(
    tmp_path: Path, window: Window, is_expected: bool, outcome: str
) -> None:
    with setting_of(tmp_path, []) as setting:
        facts = setting.pull(window, is_expected=is_expected).facts
        assert facts["outcome"] == outcome
        assert ("no proof of no use" in facts["reason"]) == (outcome == "unproven")


# What goes wrong


@pytest.mark.parametrize(
    ("faults", "retries", "throttled"),
    [
        (Faults(throttle_with_retry_after=(2, 0), where=KINDS), 2, 2),
        (Faults(throttle_without_header=2, where=KINDS), 2, 2),
        (Faults(unavailable_burst=3, where=KINDS), 3, 0),
        (Faults(server_error=2, where=("blob",)), 2, 0),
        (Faults(truncated_json=1, where=("subscriptions",)), 1, 0),
        (Faults(truncated_json=2, where=("content",)), 2, 0),
        (Faults(truncated_json=2, where=("blob",)), 2, 0),
        (Faults(reset_mid_body=2, where=("blob",)), 2, 0),
    ],
)
def test_what_passes_is_waited_for(tmp_path: Path, faults: Faults, retries: int, throttled: int) -> None:
    with setting_of(tmp_path, make_entries(30), faults) as setting:
        pulled = setting.pull()
        assert (len(pulled.ids), pulled.facts["outcome"]) == (30, "complete")
        assert (pulled.facts["retry_count"], pulled.facts["throttled_count"]) == (retries, throttled)


def test_a_token_that_expires_on_the_way_is_renewed_once(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(30)) as setting:
        pages = pull(DAY, setting.context)
        first = next(pages)
        setting.tenant.expire_tokens()
        rest = collect(pages)
        assert len(first.records) + len(rest.records) == 30
        assert (rest.facts["outcome"], rest.facts["retry_count"], setting.count("token")) == (
            "complete",
            1,
            2,
        )


def test_expired_content_makes_the_window_partial_and_is_counted(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(30), feed_faults=FeedFaults(expired_blobs=2)) as setting:
        pulled = setting.pull()
        assert (pulled.facts["outcome"], pulled.facts["expired_count"]) == ("partial", 2)
        assert "2 of 7 pieces of content" in pulled.facts["reason"]
        assert pulled.records


def test_a_pull_that_breaks_off_is_partial(tmp_path: Path) -> None:
    faults = Faults(unavailable_burst=ALWAYS, where=("blob",), skip=3)
    with setting_of(tmp_path, make_entries(60), faults) as setting:
        pulled = setting.pull()
        assert (pulled.facts["blob_count"], pulled.facts["outcome"]) == (3, "partial")
        assert "failed 10 times in a row" in pulled.facts["reason"]


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    faults = Faults(unavailable_burst=ALWAYS, where=("content",))
    with setting_of(tmp_path, make_entries(5), faults) as setting, pytest.raises(SourceUnavailableError):
        setting.pull()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("looping_page", "leads back to a page"),
        ("foreign_page", "leads to another host"),
        ("foreign_content", "leads to another host"),
        ("list_of_nothing", "no list"),
    ],
)
def test_a_list_that_leads_astray_is_not_followed(tmp_path: Path, fault: str, words: str) -> None:
    with setting_of(tmp_path, make_entries(60), feed_faults=FeedFaults(**{fault: True})) as setting:
        try:
            facts = setting.pull().facts
        except DistrustedError as error:
            facts = {"outcome": "partial", "reason": error.what}
        assert facts["outcome"] == "partial"
        assert words in facts["reason"]
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


def test_a_killed_pull_can_simply_be_repeated(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(40)) as setting:
        pages = pull(DAY, setting.context)
        next(pages)
        pages.close()
        assert len(setting.pull().ids) == 40
        assert not setting.context.state_dir.exists()


# Permissions


def test_a_permission_that_could_read_prompts_or_write_is_refused(tmp_path: Path) -> None:
    for role in ("AiEnterpriseInteraction.Read.All", "Directory.ReadWrite.All"):
        with setting_of(tmp_path / role, make_entries(5), roles=(*ROLES, role)) as setting:
            with pytest.raises(ConfigurationError) as caught:
                setting.pull()
            assert role in caught.value.what
            assert setting.count("subscriptions") == 0


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_entries(5), roles=("AuditLogsQuery.Read.All",)) as setting:
        for ask in (lambda: setting.pull(), lambda: probe(setting.context)):
            with pytest.raises(PermissionMissingError) as caught:
                ask()
            assert "ActivityFeed.Read" in caught.value.next_step


def test_probe_says_which_subscriptions_run(tmp_path: Path) -> None:
    with setting_of(tmp_path, [], enabled=("DLP.All",)) as setting:
        said = probe(setting.context)
        assert said.endswith("subscriptions: Audit.General never started, DLP.All enabled")
        assert setting.count("start") == 0
