"""Directory, labels and usage report from the pretend tenant's interfaces to the tables that are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from builders import make_settings, make_workspace
from genai_audit import collection
from genai_audit.calendars import Window
from genai_audit.demo.graph_directory import COPILOT_SKU, PERMISSIONS, PretendDirectory
from genai_audit.demo.tenant import Faults, PretendTenant, RecordStore
from genai_audit.demo.university import University
from genai_audit.landing import Package, packages
from genai_audit.loading import parse_and_load
from genai_audit.runs import Run
from genai_audit.workspace import Workspace

SOURCES = ("m365_directory", "m365_labels", "m365_copilot_usage")
LAST_DAY = date(2026, 10, 8)
MORNING = datetime(2026, 10, 9, 8, tzinfo=UTC)
UNIVERSITY = University(seed=7, people=300, days=5, last_day=LAST_DAY)
PEOPLE = UNIVERSITY.people_rows()
QUICK = f"""
[m365_audit]
poll_seconds = 0.01
[m365_directory]
retry_seconds = 0.001
copilot_sku_ids = ["{COPILOT_SKU}"]
"""


@dataclass
class Audited:
    workspace: Workspace
    toml: str
    directory: PretendDirectory
    tenant: PretendTenant

    def pull(self, at: datetime, *sources: str) -> Run:
        run = Run(self.workspace, make_settings(self.workspace, self.toml), "test", started_at=at)
        window = Window(datetime(2026, 10, 4, tzinfo=UTC), datetime(2026, 10, 9, tzinfo=UTC))
        collection.pull(run, window, sources)
        return run

    def landed(self, source: str) -> list[Package]:
        return [package for package in packages(self.workspace) if package.source == source]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.workspace.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """Two mornings: on the first the directory breaks off once, on the second somebody has moved and left."""
    folder = tmp_path_factory.mktemp("directory")
    workspace, store = make_workspace(folder), RecordStore()
    directory = PretendDirectory(UNIVERSITY, page_size=50)
    for created, _, record in UNIVERSITY.m365_records():
        store.add(created, record)
        directory.note_activity(created, record)
    UNIVERSITY.write_registers(workspace.root / "registers")
    (workspace.root / "registers" / "directory.csv").write_text("object_id,upn,unit_id,role\n", "utf-8")
    faults = Faults(
        unavailable_burst=10, where=("users",), skip=3
    )  # one request fails ten times: it gives up
    roles = ("AuditLogsQuery.Read.All", *PERMISSIONS)
    with PretendTenant(
        store, faults=faults, roles=roles, workdir=folder / "tenant", interfaces=[directory]
    ) as tenant:
        made = Audited(workspace, tenant.as_toml() + QUICK, directory, tenant)
        made.pull(MORNING, "m365_audit", *SOURCES)
        made.pull(MORNING + timedelta(hours=1), *SOURCES)
        directory.users[0]["department"] = "Finance"
        directory.users.pop()
        parse_and_load(made.pull(MORNING + timedelta(days=1), *SOURCES))
        yield made


def test_a_snapshot_that_broke_off_is_taken_again_and_a_whole_one_is_not(audited: Audited) -> None:
    outcomes = {source: [package.outcome for package in audited.landed(source)] for source in SOURCES}
    assert outcomes == {
        "m365_directory": ["partial", "complete", "complete"],
        "m365_labels": ["complete", "complete"],
        "m365_copilot_usage": ["complete", "complete"],
    }


def test_everybody_is_in_once_a_day(audited: Audited) -> None:
    rows = audited.ask(
        "SELECT occurred_day, count(*), count(DISTINCT person_key) FROM stg_directory_snapshot "
        "GROUP BY occurred_day ORDER BY occurred_day"
    )
    assert rows == [
        (date(2026, 10, 9), len(PEOPLE), len(PEOPLE)), (date(2026, 10, 10), len(PEOPLE) - 1, len(PEOPLE) - 1),
    ]  # fmt: skip


def test_nobody_is_named_outside_landing(audited: Audited) -> None:
    tables = (
        "stg_directory_snapshot",
        "stg_copilot_usage",
        "dim_identity",
        "dim_person_period",
        "dim_person",
    )
    shown = str([audited.ask(f"SELECT * FROM {table}") for table in tables]).lower()
    assert "westbridge.example" not in shown
    assert not any(row["object_id"].lower() in shown for row in PEOPLE)
    assert not any(row["display_name"].lower() in shown for row in PEOPLE)


def test_people_of_the_log_are_found_in_the_directory_without_any_register(audited: Audited) -> None:
    roles = dict(audited.ask("SELECT role, count(*) FROM dim_person WHERE is_resolved GROUP BY role"))
    assert sum(roles.values()) == len(PEOPLE)
    assert roles == {
        role: sum(row["role"] == role for row in PEOPLE) for role in ("staff", "student", "guest")
    }
    (known, people), *_ = audited.ask(
        "SELECT count(*) FILTER (unit_id IS NOT NULL), count(*) FROM fct_interaction WHERE record_type = 261"
    )
    assert known > 0.95 * people > 0


def test_who_moved_has_two_periods_and_who_left_has_an_end(audited: Audited) -> None:
    ends = audited.ask(
        "SELECT valid_from, valid_to FROM dim_person_period "
        "WHERE valid_to IS NOT NULL OR valid_from > '2026-10-09' ORDER BY ALL"
    )
    first, second = date(2026, 10, 9), date(2026, 10, 10)
    assert ends == [(first, first), (first, first), (second, None)]
    assert audited.ask("SELECT count(*) FROM dim_person_period WHERE has_copilot_licence") != [(0,)]


def test_a_label_that_only_the_catalogue_has_ranks_with_its_parent(audited: Audited) -> None:
    rows = audited.ask(
        "SELECT label_name, label_rank, valid_from FROM dim_label ORDER BY label_rank, label_name"
    )
    assert ("Research data", 30, date(2026, 10, 9)) in rows
    assert len(rows) == len(UNIVERSITY.labels()) + 1


def test_the_usage_report_agrees_with_the_audit_log(audited: Audited) -> None:
    rows = audited.ask(
        "SELECT usage_day, reconciliation_status, report_user_count FROM fct_usage_reconciliation "
        "WHERE reconciliation_status <> 'no report'"
    )
    assert [(row[0], row[1]) for row in rows] == [(audited.directory.report_day, "within")]
    assert rows[0][2] > 10


def test_coverage_names_the_three_sources(audited: Audited) -> None:
    rows = audited.ask(
        "SELECT source, coverage_status FROM fct_coverage "
        "WHERE covered_day = '2026-10-09' AND source <> 'm365_audit'"
    )
    assert {source: status for source, status in rows if source in SOURCES} == dict.fromkeys(
        SOURCES, "collected"
    )


def test_a_rebuild_gives_the_same_tables(audited: Audited) -> None:
    tables = ("dim_identity", "dim_person_period", "dim_label", "dim_unit", "fct_usage_reconciliation")
    run = audited.pull(MORNING + timedelta(days=1, hours=1), *SOURCES)
    with run.warehouse() as warehouse:
        before = [warehouse.content_hash(table) for table in (*tables, "fct_interaction")]
    audited.workspace.warehouse.unlink()
    parse_and_load(run, again=True)
    with run.warehouse() as warehouse:
        after = [warehouse.content_hash(table) for table in (*tables, "fct_interaction")]
    assert before == after
