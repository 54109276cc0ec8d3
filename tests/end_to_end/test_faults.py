"""Whatever the service does wrong: what is pulled is what it holds, and what could not be pulled is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from end_to_end.audits import QUICK, Audit, is_refused, landed_ids, loaded_ids, make_store, read_coverage
from genai_audit.calendars import format_instant, start_of_uk_day, uk_day
from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.landing import packages

DAY = datetime(2026, 2, 3, tzinfo=UTC)  # a Tuesday in winter: UK days are UTC days
DAYS, PER_DAY = 3, 400
TRUTH = sorted(f"r-{number}" for number in range(DAYS * PER_DAY))
SINCE, UNTIL = "2026-02-03", "2026-02-05"
MakeAudit = Callable[..., Audit]

TROUBLES = {
    "everything at once": Faults(
        throttle_with_retry_after=(3, 0.3), throttle_without_header=2, unavailable_burst=4, server_error=2,
        reset_mid_body=2, truncated_json=2, every=3, lost_post=2, query_failed=1, unknown_status=2,
        empty_page_with_next_link=2, expire_token_after_pages=5, second_read_differs=1, stray_seconds=600,
    ),
    "lost connections and bad links": Faults(
        lost_post=2, lost_post_reset=True, throttle_with_retry_after=(2, 1.0), retry_after_as_date=True,
        looping_next_link=1, fault_page=2, count_off_by=3,
    ),
    "links that lead elsewhere": Faults(foreign_next_link=1, page_without_value=1, fault_page=2),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
def test_ids_equal_the_truth_whatever_goes_wrong(tmp_path: Path, make_audit: MakeAudit, trouble: str) -> None:
    faults = TROUBLES[trouble]
    store = make_store(DAY, DAYS, PER_DAY)
    with PretendTenant(store, faults=faults, page_size=60, workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
        audit.must("pull", "--since", SINCE, "--until", UNTIL)
        given = {hit.fault for hit in tenant.fault_log}
        assert given >= expected_hits(faults)
        assert {request.host for request in tenant.requests} == {"127.0.0.1"}
        names = [query.display_name for query in tenant.queries if not query.fails]
        assert len(names) == len(set(names)), "a lost creation was repeated instead of found again"
    audit.must("verify", "--quiet")
    audit.load()
    assert sorted(landed_ids(audit.workspace)) == loaded_ids(audit.workspace) == TRUTH
    for package in packages(audit.workspace):
        counts = package.counts
        parts = ("accepted", "duplicate", "quarantined", "trimmed")
        assert counts["received"] == sum(counts[part] for part in parts)
    assert [path for path in audit.root.rglob("*") if ".part" in path.name] == []


def expected_hits(faults: Faults) -> set[str]:
    """Names of the faults that are switched on and noted by the tenant."""
    settings = ("where", "skip", "every", "fault_page", "count_off_by", "stray_seconds", "lost_post_reset",
                "retry_after_as_date", "crowded_cap", "unknown_status_text")  # fmt: skip
    standard = Faults()
    switched = {name for name, value in vars(faults).items() if value != getattr(standard, name)}
    return switched - set(settings)


def fail_pull(
    tmp_path: Path,
    make_audit: MakeAudit,
    faults: Faults,
    since: str = SINCE,
    until: str = UNTIL,
    **tenant: Any,
) -> tuple[Audit, str]:
    """A pull that can't work: exit 69 with all three sentences. Gives the audit and what was said."""
    store = make_store(DAY, DAYS, 20)
    with PretendTenant(store, faults=faults, workdir=tmp_path / "tenant", **tenant) as pretend:
        hurried = QUICK.replace("deadline_minutes = 2.0", "deadline_minutes = 0.02")
        audit = make_audit(tmp_path, pretend.as_toml(), hurried)
        done = audit.run("pull", "--since", since, "--until", until)
    assert is_refused(done, 69), done
    return audit, done.stderr


@pytest.mark.parametrize(
    ("faults", "tenant", "said", "reason"),
    [
        (Faults(query_stuck=True), {}, "Out of time", "Out of time"),
        (Faults(forbidden=True), {}, "AuditLogsQuery.Read.All", "may not use"),
        (Faults(), {"roles": ("Directory.Read.All",)}, "AuditLogsQuery.Read.All", "may not use"),
        (Faults(query_failed=100), {}, "failed", "query failed"),
    ],
    ids=["stuck", "forbidden", "role missing", "always failing"],
)
def test_a_source_that_gives_nothing_is_named_in_coverage(
    tmp_path: Path, make_audit: MakeAudit, faults: Faults, tenant: dict[str, Any], said: str, reason: str
) -> None:
    audit, spoken = fail_pull(tmp_path, make_audit, faults, **tenant)
    assert said in spoken
    landed = [package for package in packages(audit.workspace) if package.window]
    assert {package.outcome for package in landed} == {"failed"}
    audit.must("verify", "--quiet")
    audit.load()
    coverage = read_coverage(audit.workspace.warehouse)
    assert sorted(coverage) == ["2026-02-03", "2026-02-04", "2026-02-05"]
    for status, why, count in coverage.values():
        assert (status, count) == ("not collected", 0)
        assert reason in why


def test_what_failed_is_owed_however_far_back_it_lies(tmp_path: Path, make_audit: MakeAudit) -> None:
    """A plain `run` asks for the newest days again; the windows that failed before them are due as well."""
    today = uk_day(datetime.now(UTC))
    first, last = today - timedelta(days=40), today - timedelta(days=20)
    audit, _ = fail_pull(tmp_path, make_audit, Faults(forbidden=True), since=str(first), until=str(last))
    assert f"{format_instant(start_of_uk_day(first))} to" in audit.must("pull", "--dry-run")


def test_a_capped_minute_is_partly_collected(tmp_path: Path, make_audit: MakeAudit) -> None:
    crowded = DAY + timedelta(days=1, hours=12)
    faults = Faults(crowded_minute=crowded.isoformat(), crowded_cap=5)
    store = make_store(DAY, DAYS, PER_DAY)
    for number in range(20):
        extra = make_store(crowded + timedelta(seconds=number), 1, 1)
        for raw in extra.find(crowded, crowded + timedelta(minutes=1)):
            store.add(crowded + timedelta(seconds=number), raw.replace(b'"r-0"', b'"x-%d"' % number))
    with PretendTenant(store, faults=faults, workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
        said = audit.must("pull", "--since", SINCE, "--until", UNTIL)
    assert "capped" in said
    assert "Gap:" in said
    audit.load()
    coverage = read_coverage(audit.workspace.warehouse)
    assert [coverage[day][0] for day in sorted(coverage)] == ["collected", "partly", "collected"]
    assert f"{crowded:%Y-%m-%dT%H:%M}" in coverage["2026-02-04"][1]
    missing = set(TRUTH) - set(loaded_ids(audit.workspace))
    assert len(missing) <= 20, "more than the crowded minute was lost"


def test_late_records_are_found_by_the_next_run(tmp_path: Path, make_audit: MakeAudit) -> None:
    """Copilot records arrive days late: the window is asked again, what is known is not loaded twice."""
    store = make_store(DAY, DAYS, 50)
    late = make_store(DAY, DAYS, 10)
    for raw in late.find(DAY, DAY + timedelta(days=DAYS)):
        moment = DAY + timedelta(hours=1)
        store.add(moment, raw.replace(b'"r-', b'"late-'), arrived=DAY + timedelta(days=4))
    with PretendTenant(store, workdir=tmp_path / "tenant", now=DAY + timedelta(days=3)) as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
        audit.must("pull", "--since", SINCE, "--until", UNTIL)
        audit.load()
        assert len(loaded_ids(audit.workspace)) == 150
        tenant.now = DAY + timedelta(days=5)
        audit.must("pull", "--since", SINCE, "--until", UNTIL)
    audit.load()
    found = loaded_ids(audit.workspace)
    assert len(found) == len(set(found)) == 150 + sum("late-" in one for one in found)
    assert sum("late-" in one for one in found) > 0
