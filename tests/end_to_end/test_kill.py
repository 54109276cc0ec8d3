"""kill -9 of the real process at ten stages: after the next run nothing is lost, doubled or half-done."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from end_to_end.audits import (
    QUICK,
    Audit,
    ask_file,
    ask_state,
    landed_ids,
    loaded_ids,
    make_store,
    read_coverage,
    serve,
    wait_until,
)
from genai_audit.calendars import uk_day
from genai_audit.demo.tenant import Faults
from genai_audit.landing import packages
from genai_audit.workspace import Workspace

DAYS, PER_DAY = 4, 500
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
TRUTH = sorted(f"r-{number}" for number in range(DAYS * PER_DAY))
SETTINGS = QUICK + "window_hours = 12\nfirst_pull_days = 6\npage_size = 50\n"
WINDOWS = 2 * DAYS  # at least
QUERY_STATE = f"state/m365_audit/{'?' * 32}.json"
MakeAudit = Callable[..., Audit]
Reached = Callable[[Workspace], Callable[[], bool]]


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Every page takes a moment, so that a kill can come between two."""
    slow = Faults(page_delay_seconds=0.1)
    with serve(make_store(START, DAYS, PER_DAY), tmp_path_factory.mktemp("tenant"), slow) as facts:
        yield facts


def at_least(count: int, pattern: str) -> Reached:
    def prepare(workspace: Workspace) -> Callable[[], bool]:
        return lambda: sum(".part" not in str(path) for path in workspace.root.glob(pattern)) >= count

    return prepare


def exists(pattern: str) -> Reached:
    def prepare(workspace: Workspace) -> Callable[[], bool]:
        return lambda: next(workspace.root.glob(pattern), None) is not None

    return prepare


def during_check(workspace: Workspace) -> Callable[[], bool]:
    """The warehouse was written, and for a second nobody has written to it: the suites are being run."""
    journal = workspace.warehouse.with_name("warehouse.duckdb.wal")
    last_seen: list[float] = []

    def is_reached() -> bool:
        if journal.exists():
            last_seen[:] = [time.monotonic()]
        return bool(last_seen) and time.monotonic() - last_seen[0] > 1.0

    return is_reached


STAGES: dict[str, Reached] = {
    "first query announced": exists(QUERY_STATE),
    "first package begun": exists("landing/m365_audit/*.part"),
    "first package sealed": at_least(1, "landing/m365_audit/*/manifest.json"),
    "half of the packages sealed": at_least(WINDOWS // 2, "landing/m365_audit/*/manifest.json"),
    "parsing begun": exists("parsed/*/*"),
    "some packages parsed": at_least(3, "parsed/*/*/seal.json"),
    "warehouse growing": exists("warehouse.duckdb.wal"),
    "checks running": during_check,
    "one of three files published": exists("published/compliance.duckdb"),
    "first report written": exists("reports/*.html"),
}
ALWAYS = ("half of the packages sealed", "warehouse growing")  # the other eight: make test-slow


def kill_at(audit: Audit, stage: str, *words: str) -> None:
    is_reached = STAGES[stage](audit.workspace)
    process = audit.start(*words)
    reached = wait_until(is_reached, process)
    process.kill()
    said = process.communicate()
    assert reached, f"'{stage}' was never seen: {said}"
    assert process.returncode == -signal.SIGKILL, f"the run was over before it could be killed: {said}"


def check_whole(audit: Audit) -> None:
    """The law of this suite."""
    workspace = audit.workspace
    assert loaded_ids(workspace) == TRUTH
    published = workspace.published / "compliance.duckdb"
    assert [row[0] for row in ask_file(published, "SELECT record_id FROM interaction ORDER BY 1")] == TRUTH
    assert [path for path in workspace.root.rglob("*") if ".part" in path.name] == []
    audit.must("verify", "--quiet")
    coverage = read_coverage(published, "coverage")
    days = [str((START + timedelta(days=day)).date()) for day in range(1, DAYS - 1)]
    assert {coverage[day][0] for day in days} == {"collected"}
    assert all(reason for _, reason, _ in coverage.values())
    assert sum(count for _, _, count in coverage.values()) == len(TRUTH)


@pytest.mark.parametrize(
    "stage", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in STAGES]
)
def test_after_a_kill_the_next_run_has_everything_once(
    tmp_path: Path, tenant: dict[str, Any], make_audit: MakeAudit, stage: str
) -> None:
    audit = make_audit(tmp_path, tenant["toml"], SETTINGS)
    kill_at(audit, stage, "run")
    audit.must("run")
    check_whole(audit)


def test_a_killed_pull_names_its_gaps_and_resumes_its_queries(
    tmp_path: Path, tenant: dict[str, Any], make_audit: MakeAudit
) -> None:
    audit = make_audit(tmp_path, tenant["toml"], SETTINGS)
    window = ("--since", str(START.date()), "--until", str((START + timedelta(days=DAYS - 1)).date()))
    kill_at(audit, "half of the packages sealed", "pull", *window)
    asked = [json.loads(path.read_bytes()) for path in audit.root.glob(QUERY_STATE)]
    open_queries = {entry["query_id"] for one in asked for entry in one["entries"].values()} - {""}
    audit.must("verify", "--quiet")

    audit.load()
    landed = landed_ids(audit.workspace)
    assert loaded_ids(audit.workspace) == sorted(landed)
    assert 0 < len(landed) < len(TRUTH)
    check_gaps(audit, landed)

    known = {query["id"] for query in ask_state(tenant)["queries"]}
    audit.must("pull", *window)
    assert landed_ids(audit.workspace) == set(TRUTH)
    pulled = [one for one in packages(audit.workspace) if one.window]
    used = {query for one in pulled for query in one.source_facts["query_ids"]}
    assert open_queries <= used & known
    audit.must("verify", "--quiet")


def check_gaps(audit: Audit, landed: set[str]) -> None:
    """Days that miss a record are not 'collected', and it is said why."""
    moments = {f"r-{number}": START + timedelta(days=number / PER_DAY) for number in range(len(TRUTH))}
    incomplete = {str(uk_day(moments[record])) for record in set(TRUTH) - landed}
    assert incomplete
    for day, (status, reason, _) in read_coverage(audit.workspace.warehouse).items():
        assert reason
        assert status != "collected" or day not in incomplete, day


@pytest.mark.slow
def test_ten_kills_one_after_another(tmp_path: Path, tenant: dict[str, Any], make_audit: MakeAudit) -> None:
    """Each run is killed at the next stage, without a whole run between."""
    audit = make_audit(tmp_path, tenant["toml"], SETTINGS)
    for stage in STAGES:
        kill_at(audit, stage, "run")
    audit.must("run")
    check_whole(audit)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kills_at_any_time(tmp_path: Path, tenant: dict[str, Any], make_audit: MakeAudit, seed: int) -> None:
    """Not at a stage that somebody thought of, but after any time."""
    audit = make_audit(tmp_path, tenant["toml"], SETTINGS)
    for turn in range(6):
        process = audit.start("run")
        try:
            process.communicate(timeout=0.8 + 1.37 * turn + 0.31 * seed)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    audit.must("run")
    check_whole(audit)
