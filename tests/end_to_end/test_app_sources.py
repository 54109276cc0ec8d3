"""The four sources about AI applications from the pretend tenant's interfaces to the table that is asked."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app_pulls import serve
from builders import make_settings, make_workspace
from genai_audit import collection
from genai_audit.calendars import Window
from genai_audit.demo.app_traffic import APP_IDS, make_app_data, tool_rows
from genai_audit.demo.university import University
from genai_audit.landing import packages
from genai_audit.loading import parse_and_load
from genai_audit.runs import Run
from genai_audit.workspace import Workspace

SOURCES = ("m365_signins", "m365_app_consents", "m365_cloud_discovery", "m365_hunting")
LAST_DAY = date(2026, 10, 8)
EVENING = datetime(2026, 10, 8, 23, 30, tzinfo=UTC)
UNIVERSITY = University(seed=7, people=600, days=3, last_day=LAST_DAY)


def write_registers(folder: Path) -> None:
    UNIVERSITY.write_registers(folder)
    with (folder / "tools.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file), *tool_rows()]
    rows = list({(row["match_kind"], row["match_value"]): row for row in rows}.values())
    with (folder / "tools.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Run]:
    """Everything pulled twice on one evening, then loaded."""
    folder = tmp_path_factory.mktemp("apps")
    workspace = make_workspace(folder)
    write_registers(workspace.root / "registers")
    with serve(folder, make_app_data(UNIVERSITY), page_size=50) as (tenant, _):
        settings = make_settings(workspace, tenant.as_toml())
        for _ in range(2):
            run = Run(workspace, settings, "test", started_at=EVENING)
            collection.pull(run, Window(datetime(2026, 10, 6, tzinfo=UTC), EVENING), SOURCES)
    parse_and_load(run)
    return workspace, run


def ask(run: Run, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(run.workspace.warehouse), read_only=True) as connection:
        return connection.sql(sql).pl().to_dicts()


def test_every_landed_record_is_one_row_and_pulling_twice_counts_once(audited: tuple[Workspace, Run]) -> None:
    workspace, run = audited
    for source in SOURCES:
        mine = [package for package in packages(workspace) if package.source == source]
        assert {package.outcome for package in mine} == {"complete"}
        assert all(package.counts["quarantined"] == package.counts["trimmed"] == 0 for package in mine)
        rows = ask(
            run,
            "SELECT count(*) AS n, count(DISTINCT record_id) AS d FROM stg_external_use "
            f"WHERE source = '{source}'",
        )
        accepted = sum(package.counts["accepted"] for package in mine)
        assert 0 < rows[0]["n"] == rows[0]["d"] == accepted / (1 if len(mine) == 1 else 2), source
    assert ask(run, "SELECT count(*) AS n FROM stg_parse_problem")[0]["n"] == 0


def test_tools_are_named_by_the_register_on_every_channel(audited: tuple[Workspace, Run]) -> None:
    rows = ask(
        audited[1],
        "SELECT DISTINCT channel, record_kind FROM fct_external_use WHERE tool_id = 'chatgpt'",
    )
    assert {(row["channel"], row["record_kind"]) for row in rows} == {
        ("sign_in", "event"), ("consent", "grant"), ("consent", "event"), ("cloud_discovery", "aggregate"),
        ("hunting", "event"),
    }  # fmt: skip
    assert {
        row["tool_id"]
        for row in ask(audited[1], "SELECT DISTINCT tool_id FROM fct_external_use WHERE channel = 'consent'")
    } == set(APP_IDS)


def test_people_are_joined_to_the_directory(audited: tuple[Workspace, Run]) -> None:
    rows = ask(
        audited[1],
        "SELECT count(*) AS n, count(unit_id) AS known FROM fct_external_use "
        "WHERE channel IN ('sign_in', 'hunting') AND person_key IS NOT NULL",
    )
    assert rows[0]["known"] == rows[0]["n"] > 0


def test_a_standing_grant_makes_nobody_active(audited: tuple[Workspace, Run]) -> None:
    rows = ask(
        audited[1],
        "SELECT count(*) AS n FROM fct_person_day d WHERE NOT EXISTS (SELECT 1 FROM stg_external_use s "
        "JOIN dim_identity i ON i.alias_key = s.person_key "
        "WHERE i.person_key = d.person_key AND s.occurred_day = d.occurred_day AND s.record_kind = 'event')",
    )
    assert rows[0]["n"] == 0


def test_the_same_university_gives_the_same_rows() -> None:
    assert make_app_data(UNIVERSITY) == make_app_data(UNIVERSITY)
