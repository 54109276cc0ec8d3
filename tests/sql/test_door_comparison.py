"""The same log through two doors: a record counts once, and what only one of them brought is told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from builders import copilot_record, make_settings, make_workspace
from genai_audit import parsing
from genai_audit.calendars import Window
from genai_audit.landing import Landing, Package
from genai_audit.loading import parse_and_load
from genai_audit.registry import RawPage, sources
from genai_audit.runs import Run
from genai_audit.warehouse import Warehouse

DAY = datetime(2026, 11, 3, tzinfo=UTC)  # a Tuesday; UK days are UTC days in winter
QUERY, FEED = "m365_audit", "m365_activity_api"
SELECT = """
    SELECT occurred_day - DATE '2026-11-03', shared_count, only_first_count, only_second_count, is_settled
    FROM fct_door_comparison
    WHERE first_source = 'm365_activity_api' AND second_source = 'm365_audit' ORDER BY 1"""


class Doors:
    """A workspace into which both sources land, and its warehouse."""

    def __init__(self, folder: Path) -> None:
        self.workspace = make_workspace(folder)
        self.settings = make_settings(self.workspace)

    def land(
        self,
        source_id: str,
        numbers: Iterable[int],
        *,
        day: int = 0,
        outcome: str = "complete",
        days: int = 1,
    ) -> Package:
        """A package of a window of `days`; the records happened at noon of each of them."""
        start, noon = DAY + timedelta(days=day), DAY + timedelta(days=day, hours=12)
        records = [
            copilot_record(noon + timedelta(days=later), record_id=f"{day + later}-{no}")
            for later in range(days)
            for no in numbers
        ]
        if source_id == FEED:
            records = [json.dumps(json.loads(raw)["auditData"]).encode() for raw in records]
        landing = Landing(self.workspace, self.settings, "test-run")
        writer = landing.open_package(
            source_id, sources()[source_id], Window(start, start + timedelta(days=days))
        )
        writer.add(RawPage(records))
        return writer.close(outcome)

    def ask(self, sql: str = SELECT) -> list[tuple[Any, ...]]:
        run = Run(self.workspace, self.settings, "test")
        parse_and_load(run)
        with run.warehouse() as warehouse:
            assert isinstance(warehouse, Warehouse)
            return warehouse.connection.execute(sql).fetchall()


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


def test_a_record_that_came_through_both_doors_counts_once(doors: Doors) -> None:
    doors.land(QUERY, range(10))
    doors.land(FEED, range(4, 12))
    assert doors.ask("SELECT count(*), count(DISTINCT record_id) FROM fct_interaction") == [(12, 12)]
    assert doors.ask() == [(0, 6, 2, 4, False)]
    assert doors.ask("SELECT count(*) FROM stg_conflict") == [(0,)]


def test_it_does_not_matter_which_door_came_first_or_how_often(doors: Doors) -> None:
    doors.land(FEED, range(4, 12))
    doors.ask()
    doors.land(QUERY, range(10))
    doors.ask()
    doors.land(QUERY, range(10))
    doors.land(FEED, range(4, 12))
    assert doors.ask() == [(0, 6, 2, 4, False)]


def test_only_days_that_both_have_collected_are_compared(doors: Doors) -> None:
    doors.land(QUERY, [1], days=3)
    doors.land(FEED, [1])
    doors.land(FEED, [1], day=1, outcome="partial")
    assert [row[:2] for row in doors.ask()] == [(0, 1)]


def test_a_day_is_settled_when_both_were_asked_three_days_later(doors: Doors) -> None:
    doors.land(QUERY, [1], days=5)
    doors.land(FEED, [1], days=4)
    assert [(row[0], row[4]) for row in doors.ask()] == [(0, True), (1, False), (2, False), (3, False)]


def test_one_door_alone_is_compared_with_nothing(doors: Doors) -> None:
    doors.land(QUERY, [1])
    assert doors.ask("SELECT count(*) FROM fct_door_comparison") == [(0,)]


def test_a_labelled_mail_counts_once(doors: Doors) -> None:
    """The mail's own id pairs the two records; a mail of which only type 13 came still counts."""
    records = []
    for number, record_type, mail in ((1, 43, "<a@x>"), (2, 13, "<a@x>"), (3, 13, "<b@x>"), (4, 43, "<c@x>")):
        body = {"ObjectId": mail, "LabelId": "4c0e7a11-52d3-4b8f-a6e1-93b7d5f0c2a8"}
        records.append(
            copilot_record(
                DAY + timedelta(hours=9),
                record_id=str(number),
                record_type=record_type,
                operation="MipLabel",
                body=body,
            )
        )
    landing = Landing(doors.workspace, doors.settings, "test-run")
    writer = landing.open_package(QUERY, sources()[QUERY], Window(DAY, DAY + timedelta(days=1)))
    writer.add(RawPage(records))
    writer.close()
    rows = doors.ask("SELECT record_id, is_twin FROM fct_label_event ORDER BY 1")
    assert rows == [("1", False), ("2", True), ("3", False), ("4", False)]
    assert doors.ask("SELECT count(*) FROM fct_dlp_event") == [(0,)]


def test_bare_and_wrapped_records_give_the_same_rows(doors: Doors) -> None:
    by_query, by_feed = doors.land(QUERY, range(5)), doors.land(FEED, range(5))
    key, rows = doors.workspace.read_key(), []
    for package in (by_query, by_feed):
        parsing.parse_package(doors.workspace, package, doors.settings, key)
        file = parsing.check_seal(doors.workspace, package)["stg_interaction"]
        rows.append(pl.read_parquet(file).drop("source", "package_id").to_dicts())
    assert rows[0] == rows[1]
