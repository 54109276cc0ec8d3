"""The Microsoft 365 audit log over real sockets: whatever the service does wrong, no loss goes unsaid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import land, make_workspace
from genai_audit.calendars import Window
from genai_audit.demo._audit_log import RefusedError
from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.errors import ConfigurationError, PermissionMissingError, SourceUnavailableError
from genai_audit.registry import RawPage, SourceContext, sources
from genai_audit.settings import Settings
from genai_audit.sources._audit_options import M365AuditOptions
from genai_audit.sources.m365_audit import SOURCE, pull

START = datetime(2026, 10, 6, tzinfo=UTC)  # a Tuesday
DAY = Window(START, START + timedelta(days=1))
ALWAYS = 1_000_000


def make_record(number: int, moment: datetime) -> tuple[datetime, bytes]:
    """Every third is written as no JSON library of ours would write it."""
    value = {
        "id": f"id-{number}", "createdDateTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "operation": "CopilotInteraction", "auditData": {"AppHost": "Wörd", "ThreadId": f"19:{number}@<x>"},
    }  # fmt: skip
    style: dict[str, Any] = {"separators": (",", ":"), "ensure_ascii": False}
    return moment, json.dumps(value, **({} if number % 3 == 0 else style)).encode()


def make_records(count: int, window: Window = DAY) -> list[tuple[datetime, bytes]]:
    step = (window.end - window.start) / max(count, 1)
    return [make_record(number, window.start + step * number) for number in range(count)]


@dataclass
class Pulled:
    records: list[bytes]
    trimmed: int
    facts: dict[str, Any]


@dataclass
class Setting:
    """A pretend tenant and the context of a pull from it."""

    tenant: PretendTenant
    context: SourceContext

    def pull(self, window: Window = DAY, **limits: Any) -> Pulled:
        return collect(pull(window, self.with_limits(**limits)))

    def with_limits(self, **limits: Any) -> SourceContext:
        return replace(self.context, options=self.context.options.model_copy(update=limits))

    def count(self, kind: str) -> int:
        return [one.kind for one in self.tenant.requests].count(kind)

    @property
    def state_files(self) -> list[Path]:
        return list(self.context.state_dir.glob("*"))


def collect(pages: Iterator[RawPage]) -> Pulled:
    arrived = list(pages)
    assert not any(page.facts for page in arrived[:-1])
    records = [record for page in arrived for record in page.records]
    return Pulled(records, sum(page.trimmed for page in arrived), dict(arrived[-1].facts))


@contextmanager
def setting_of(
    folder: Path, records: list[tuple[datetime, bytes]], faults: Faults | None = None, **tenant: Any
) -> Iterator[Setting]:
    with PretendTenant(
        records, faults=faults, workdir=folder / "tenant", **({"page_size": 10} | tenant)
    ) as pretend:
        settings = Settings(
            tenant={
                "tenant_id": pretend.tenant_id, "client_id": pretend.client_id, "credential": "client_secret",
                "client_secret_path": pretend.secret_path, "graph_url": pretend.url,
                "authority_url": pretend.url, "ca_bundle": pretend.ca_path,
            }
        )  # fmt: skip
        options = M365AuditOptions(poll_seconds=0.001, retry_seconds=0.001, deadline_minutes=1)
        yield Setting(pretend, SourceContext(settings, folder / "state", options))


def truth(records: list[tuple[datetime, bytes]]) -> list[bytes]:
    return sorted(raw for _, raw in records)


# The straight way


def test_it_is_a_source() -> None:
    assert sources()["m365_audit"] is SOURCE
    assert SOURCE.needs == ("AuditLogsQuery.Read.All",)


def test_records_come_byte_for_byte_with_the_facts_of_the_window(tmp_path: Path) -> None:
    records = make_records(35)
    with setting_of(tmp_path, records) as setting:
        pulled = setting.pull()
        assert pulled.records == [raw for _, raw in records]
        query = setting.tenant.queries[0]
        assert pulled.facts == {
            "query_ids": [query.id], "api_version": "v1.0", "retry_count": 0, "throttled_count": 0,
            "page_count": 4, "approximate": 35, "first_read": 35, "second_read": None, "capped_windows": [],
            "outcome": "complete", "reason": "",
        }  # fmt: skip
        assert query.display_name.startswith("genai-audit 2026-10-06T00:00:00Z/2026-10-07T00:00:00Z ")
        assert query.operations == M365AuditOptions().operations
        assert setting.state_files == []


def test_pages_are_handed_over_before_the_next_is_asked_for(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(35)) as setting:
        pages = pull(DAY, setting.context)
        assert len(next(pages).records) == 10
        assert setting.count("records") == 1
        pages.close()


def test_a_later_pull_of_the_same_window_asks_anew_because_records_come_late(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(5)) as setting:
        assert len(setting.pull().records) == len(setting.pull().records) == 5
        assert len({one.display_name for one in setting.tenant.queries}) == 2


def test_windows_can_be_pulled_in_parallel_threads(tmp_path: Path) -> None:
    records = make_records(90)
    with (
        setting_of(tmp_path, records, Faults(unavailable_burst=3, skip=2)) as setting,
        ThreadPoolExecutor(4) as pool,
    ):
        pulled = list(pool.map(setting.pull, DAY.split(timedelta(hours=6))))
        assert sorted(raw for one in pulled for raw in one.records) == truth(records)
        assert setting.state_files == []


# Faults of the network and the service


@pytest.mark.parametrize(
    ("faults", "retries", "throttled"),
    [
        (Faults(throttle_with_retry_after=(3, 0.01)), 3, 3),
        (Faults(throttle_with_retry_after=(2, 0.01), retry_after_as_date=True), 2, 2),
        (Faults(throttle_without_header=3), 3, 3),
        (Faults(unavailable_burst=5), 5, 0),
        (Faults(server_error=4), 4, 0),
        (Faults(reset_mid_body=3, where=("poll", "records")), 3, 0),
        (Faults(truncated_json=3, where=("poll", "records")), 3, 0),
        (Faults(unavailable_burst=4, truncated_json=4, reset_mid_body=4, every=2, where=("records",)), 12, 0),
    ],
    ids=lambda value: ",".join(vars(value)) if not isinstance(value, Faults | int) else None,
)
def test_passing_faults_are_outlasted_and_counted(
    tmp_path: Path, faults: Faults, retries: int, throttled: int
) -> None:
    records = make_records(150)
    with setting_of(tmp_path, records, faults) as setting:
        pulled = setting.pull()
        assert sorted(pulled.records) == truth(records)
        assert pulled.facts["outcome"] == "complete"
        assert (pulled.facts["retry_count"], pulled.facts["throttled_count"]) == (retries, throttled)
        assert len(setting.tenant.queries) == 1


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_query_whose_creation_was_not_confirmed_is_found_again(tmp_path: Path, is_reset: bool) -> None:
    with setting_of(tmp_path, make_records(5), Faults(lost_post=1, lost_post_reset=is_reset)) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == 5
        assert len(setting.tenant.queries) == setting.count("create") == 1
        assert setting.count("list") == 1


def test_a_throttled_creation_needs_no_look_at_the_list(tmp_path: Path) -> None:
    with setting_of(tmp_path, [], Faults(throttle_without_header=2, where=("create",))) as setting:
        setting.pull()
        assert (setting.count("create"), setting.count("list")) == (3, 0)


def test_an_expired_token_is_renewed_in_the_middle(tmp_path: Path) -> None:
    records = make_records(50)
    with setting_of(tmp_path, records, Faults(expire_token_after_pages=2)) as setting:
        pulled = setting.pull()
        assert sorted(pulled.records) == truth(records)
        assert setting.count("token") == 2
        assert pulled.facts["retry_count"] == 1


def test_a_tenant_without_the_audit_log_on_v1_is_read_on_beta(tmp_path: Path) -> None:
    faults = Faults(segment_missing=True, lost_post=1)
    with setting_of(tmp_path, make_records(5), faults) as setting:
        pulled = setting.pull()
        assert (len(pulled.records), pulled.facts["api_version"]) == (5, "beta")
        assert len(setting.tenant.queries) == 1


def test_an_outage_in_the_middle_leaves_a_partial_window_with_its_reason(tmp_path: Path) -> None:
    faults = Faults(unavailable_burst=ALWAYS, where=("records",), skip=2)
    with setting_of(tmp_path, make_records(50), faults) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == 20
        assert pulled.facts["outcome"] == "partial"
        assert "10 times in a row: the service answered 503" in pulled.facts["reason"]
        assert len(setting.state_files) == 1


def test_an_outage_from_the_start_is_an_error(tmp_path: Path) -> None:
    with (
        setting_of(tmp_path, make_records(5), Faults(unavailable_burst=ALWAYS)) as setting,
        pytest.raises(SourceUnavailableError, match="503"),
    ):
        setting.pull()


def test_a_wait_that_would_pass_the_deadline_is_not_begun(tmp_path: Path) -> None:
    faults = Faults(throttle_with_retry_after=(ALWAYS, 3600.0))
    with (
        setting_of(tmp_path, make_records(5), faults) as setting,
        pytest.raises(SourceUnavailableError, match="Out of time"),
    ):
        setting.pull()


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    with (
        setting_of(tmp_path, make_records(5), Faults(forbidden=True)) as setting,
        pytest.raises(PermissionMissingError, match=r"AuditLogsQuery\.Read\.All"),
    ):
        setting.pull()


def test_a_token_that_may_write_is_not_used(tmp_path: Path) -> None:
    with (
        setting_of(tmp_path, [], roles=("AuditLogsQuery.Read.All", "Sites.ReadWrite.All")) as setting,
        pytest.raises(ConfigurationError, match=r"Sites\.ReadWrite\.All"),
    ):
        setting.pull()


# Queries that end badly, or don't end


@pytest.mark.parametrize("word", ["queued", "SOMETHING NEW", "unknownFutureValue"])
def test_an_unknown_status_means_wait(tmp_path: Path, word: str) -> None:
    faults = Faults(unknown_status=3, unknown_status_text=word)
    with setting_of(tmp_path, make_records(5), faults) as setting:
        assert len(setting.pull().records) == 5


def test_a_failed_query_is_created_once_more(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(5), Faults(query_failed=1)) as setting:
        pulled = setting.pull()
        assert (len(pulled.records), len(setting.tenant.queries)) == (5, 2)
        assert pulled.facts["query_ids"] == [setting.tenant.queries[1].id]


def test_a_query_that_fails_twice_is_an_error_and_leaves_no_state(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(5), Faults(query_failed=2)) as setting:
        with pytest.raises(SourceUnavailableError, match="failed 2 times"):
            setting.pull()
        assert len(setting.tenant.queries) == 2
        assert setting.state_files == []


def test_a_stuck_query_is_given_up_at_the_deadline_and_resumed_by_the_next_run(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(5), polls_until_ready=2) as setting:
        with pytest.raises(SourceUnavailableError, match=r"Out of time after 0\.01 minutes"):
            setting.pull(deadline_minutes=0.01, poll_seconds=60)
        assert len(setting.state_files) == 1
        pulled = setting.pull()
        assert (len(pulled.records), len(setting.tenant.queries)) == (5, 1)
        assert setting.state_files == []


# Pages that must not be believed


@pytest.mark.parametrize("fault", ["looping_next_link", "foreign_next_link", "page_without_value"])
def test_a_bad_page_is_refused_and_the_query_read_again(tmp_path: Path, fault: str) -> None:
    records = make_records(35)
    with setting_of(tmp_path, records, Faults(**{fault: 1, "fault_page": 2})) as setting:
        pulled = setting.pull()
        assert pulled.records == [raw for _, raw in records]
        assert pulled.facts["outcome"] == "complete"
        assert pulled.facts["second_read"] == 35
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("fault", "words", "count"),
    [
        ("looping_next_link", "leads back to a page", 20),
        ("foreign_next_link", "leads to another host", 20),
        ("page_without_value", "no list of records", 10),
    ],
)
def test_a_bad_page_that_stays_bad_makes_the_window_partial(
    tmp_path: Path, fault: str, words: str, count: int
) -> None:
    with setting_of(tmp_path, make_records(35), Faults(**{fault: ALWAYS, "fault_page": 2})) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == len(set(pulled.records)) == count
        assert pulled.facts["outcome"] == "partial"
        assert words in pulled.facts["reason"]
        assert "announced 35 records" in pulled.facts["reason"]
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


def test_a_first_page_that_is_never_a_page_is_an_error(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(5), Faults(page_without_value=ALWAYS)) as setting:
        with pytest.raises(SourceUnavailableError, match="no list of records"):
            setting.pull()
        assert setting.state_files == []


@pytest.mark.parametrize("page", [1, 2, 4])
def test_an_empty_page_with_a_next_link_is_not_the_end(tmp_path: Path, page: int) -> None:
    records = make_records(35)
    with setting_of(tmp_path, records, Faults(empty_page_with_next_link=page)) as setting:
        assert setting.pull().records == [raw for _, raw in records]


def test_a_record_that_is_not_json_does_not_hide_the_others(tmp_path: Path) -> None:
    records = make_records(20)
    bad = b'{"id":"id-7b","operation":"CopilotInteraction","createdDateTime":"\xff\xfe"}'
    records.insert(7, (records[7][0], bad))
    with setting_of(tmp_path, records) as setting:
        pulled = setting.pull()
        assert sorted(pulled.records) == truth(records)
        assert pulled.facts["outcome"] == "complete"


def test_a_service_that_does_not_know_top_is_read_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = PretendTenant._records

    async def refuse_top(tenant: PretendTenant, request: Any, number: int) -> Any:
        if "$top" in request.query_params and "$skiptoken" not in request.query_params:
            raise RefusedError(400, "BadRequest", "The query option $top is not supported.")
        return await answer(tenant, request, number)

    monkeypatch.setattr(PretendTenant, "_records", refuse_top)
    records = make_records(35)
    with setting_of(tmp_path, records) as setting:
        assert setting.pull().records == [raw for _, raw in records]


# Counts that disagree


def test_readings_that_differ_are_united(tmp_path: Path) -> None:
    records = make_records(50)
    with setting_of(tmp_path, records, Faults(second_read_differs=2)) as setting:
        pulled = setting.pull()
        assert sorted(pulled.records) == truth(records)
        facts = pulled.facts
        assert (facts["approximate"], facts["first_read"], facts["second_read"]) == (50, 40, 40)
        assert facts["outcome"] == "complete"
        assert "readings of the same query differed" in facts["reason"]


def test_a_count_that_is_a_little_off_costs_a_second_reading_and_no_more(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(50), Faults(count_off_by=1)) as setting:
        pulled = setting.pull()
        assert (len(pulled.records), pulled.facts["first_read"], pulled.facts["second_read"]) == (50, 50, 50)
        assert (pulled.facts["outcome"], pulled.facts["reason"]) == ("complete", "")


def test_records_that_were_announced_and_never_given_are_a_gap(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(50), Faults(count_off_by=10)) as setting:
        pulled = setting.pull()
        assert pulled.facts["outcome"] == "partial"
        assert pulled.facts["reason"] == "the service announced 60 records and gave 50"


def test_every_query_can_be_read_twice_by_configuration(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(15)) as setting:
        pulled = setting.pull(read_twice=True)
        assert (len(pulled.records), pulled.facts["second_read"]) == (15, 15)
        assert setting.count("records") == 4


def test_duplicates_of_the_service_are_handed_on_to_be_counted(tmp_path: Path) -> None:
    records = make_records(10)
    with setting_of(tmp_path, records + records[:3]) as setting:
        assert len(setting.pull().records) == 13


def test_records_outside_the_window_are_trimmed_and_counted(tmp_path: Path) -> None:
    wide = Window(DAY.start - timedelta(minutes=50), DAY.end + timedelta(minutes=50))
    records = make_records(320, wide)
    inside = [raw for moment, raw in records if DAY.contains(moment)]
    with setting_of(tmp_path, records, Faults(stray_seconds=1800)) as setting:
        pulled = setting.pull()
    package = land(make_workspace(tmp_path), pulled.records, window=DAY)
    assert package.counts["accepted"] == len(inside)
    assert package.counts["trimmed"] == pulled.facts["first_read"] - len(inside) > 0


# Too many records


def test_a_window_with_too_many_records_is_split_until_it_fits(tmp_path: Path) -> None:
    records = make_records(100)
    with setting_of(tmp_path, records, cap=30) as setting:
        pulled = setting.pull()
        assert sorted(pulled.records) == truth(records)
        assert pulled.facts["outcome"] == "complete"
        assert pulled.facts["first_read"] == pulled.facts["approximate"] == 100
        spans = sorted((one.start, one.end) for one in setting.tenant.queries if not one.is_capped)
        assert [span[0] for span in spans] == [DAY.start, *[span[1] for span in spans[:-1]]]


def test_a_window_that_fills_the_cap_without_saying_so_is_split_too(tmp_path: Path) -> None:
    records = make_records(100)
    with setting_of(tmp_path, records) as setting:
        pulled = setting.pull(record_cap=60)
        assert sorted(pulled.records) == truth(records)
        assert (pulled.facts["outcome"], len(setting.tenant.queries)) == ("complete", 3)


def test_a_minute_with_too_many_records_is_capped_and_named(tmp_path: Path) -> None:
    minute = Window(START + timedelta(hours=9), START + timedelta(hours=9, minutes=1))
    records = make_records(6) + [make_record(100 + n, minute.start + timedelta(seconds=n)) for n in range(40)]
    with setting_of(tmp_path, records, cap=25) as setting:
        hour = Window(minute.start, minute.start + timedelta(minutes=4))
        pulled = setting.pull(hour)
        assert len(pulled.records) == 25
        assert pulled.facts["outcome"] == "capped"
        assert pulled.facts["capped_windows"] == [str(minute)]
        assert str(minute) in pulled.facts["reason"]


# Nothing at all


@pytest.mark.parametrize(
    ("first", "hours", "is_expected", "outcome"),
    [
        (START, 24, True, "unproven"),
        (START, 24, False, "complete"),
        (START, 23, True, "complete"),
        (START + timedelta(days=4), 24, True, "complete"),  # a Saturday
        (START + timedelta(days=4), 48, True, "complete"),
        (START + timedelta(days=4), 72, True, "unproven"),
    ],
)
def test_an_empty_weekday_proves_nothing(
    tmp_path: Path, first: datetime, hours: int, is_expected: bool, outcome: str
) -> None:
    with setting_of(tmp_path, []) as setting:
        context = replace(setting.context, is_expected=is_expected)
        facts = collect(pull(Window(first, first + timedelta(hours=hours)), context)).facts
        assert facts["outcome"] == outcome
        assert ("is auditing on" in facts["reason"]) == (outcome == "unproven")


# Killed and resumed


def test_a_pull_that_was_stopped_resumes_its_query(tmp_path: Path) -> None:
    records = make_records(35)
    with setting_of(tmp_path, records) as setting:
        pages = pull(DAY, setting.context)
        next(pages)
        pages.close()
        assert [path.stat().st_mode & 0o777 for path in setting.state_files] == [0o600]
        assert sorted(setting.pull().records) == truth(records)
        assert len(setting.tenant.queries) == 1


def test_a_split_that_was_stopped_resumes_all_its_queries(tmp_path: Path) -> None:
    records = make_records(100)
    with setting_of(tmp_path, records, cap=30) as setting:
        pages = pull(DAY, setting.context)
        for _ in range(6):
            next(pages)
        pages.close()
        asked = [one.id for one in setting.tenant.queries]
        pulled = setting.pull()
        assert sorted(pulled.records) == truth(records)
        assert [one.id for one in setting.tenant.queries][: len(asked)] == asked
        assert len({(one.start, one.end) for one in setting.tenant.queries}) == len(setting.tenant.queries)


def test_a_pull_killed_between_creating_and_knowing_the_id_finds_its_query(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(5)) as setting:
        pages = pull(DAY, setting.context)
        next(pages)
        pages.close()
        (path,) = setting.state_files
        state = json.loads(path.read_bytes())
        for entry in state["entries"].values():
            entry["query_id"] = ""  # as it was before the answer came
        path.write_text(json.dumps(state))
        assert len(setting.pull().records) == 5
        assert len(setting.tenant.queries) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"tenant": ["https://graph.microsoft.com", "another"]},
        lambda state: state | {"filters": ["CopilotInteraction"]},
        lambda state: {key: value for key, value in state.items() if key != "tenant"},
        lambda state: (
            state
            | {"entries": {k: v | {"asked_at": v["asked_at"] - 90_000} for k, v in state["entries"].items()}}
        ),
        lambda state: {"entries": []},
        lambda state: [],
    ],
    ids=["another tenant", "other filters", "no tenant", "too old", "no scope", "not an object"],
)
def test_state_that_is_not_ours_is_not_resumed(tmp_path: Path, change: Any) -> None:
    with setting_of(tmp_path, make_records(15)) as setting:
        pages = pull(DAY, setting.context)
        next(pages)
        pages.close()
        (path,) = setting.state_files
        path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
        assert len(setting.pull().records) == 15
        assert len(setting.tenant.queries) == 2


def test_other_filters_have_a_query_of_their_own(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(15)) as setting:
        pages = pull(DAY, setting.context)
        next(pages)
        pages.close()
        assert len(setting.pull(operations=("CopilotInteraction",)).records) == 15
        assert len(setting.tenant.queries) == 2
        assert len(setting.state_files) == 1  # of the pull that was stopped


def test_a_resumed_query_that_is_gone_is_created_anew(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_records(15)) as setting:
        pages = pull(DAY, setting.context)
        next(pages)
        pages.close()
        setting.tenant._log.queries.clear()
        assert len(setting.pull().records) == 15


# Identity


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        ({"id": "o", "createdDateTime": "T1", "auditData": {"Id": "b", "CreationTime": "T2"}}, ("b", "T2")),
        ({"id": "o", "createdDateTime": "T1", "auditData": {"AppHost": "Word"}}, ("o", "T1")),
        ({"id": "o", "auditData": {"dynamicProperties": {"Id": "b", "CreationTime": "T"}}}, ("b", "T")),
        ({"id": "o", "auditData": '{"Id":"b","creationTime":"T"}'}, ("b", "T")),
        ({"id": "o", "auditData": "{broken"}, ("o", None)),
        ({"id": "o", "auditData": None}, ("o", None)),
        ({"RecordId": "r", "CreationDate": "D", "AuditData": {"Id": " ", "RecordType": 261}}, ("r", "D")),
        ({"Id": "b", "CreationTime": "T"}, ("b", "T")),
        ({"id": 7}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_the_body_says_who_a_record_is_before_its_envelope(
    record: dict[str, Any], identity: tuple[str | None, str | None]
) -> None:
    found = SOURCE.identify(record)
    assert (found.record_id, found.occurred_at) == identity
