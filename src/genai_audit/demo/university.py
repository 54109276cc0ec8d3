"""The pretend university: the same seed, size and last day always give the same bytes.

    university = University(seed=7, people=3000, days=60, last_day=date(2026, 11, 22))
    for created, arrived, record in university.m365_records(): ...
    university.write_registers(folder); university.write_vle_csv(path)

It makes the log as the tenant holds it. Faults of the service (throttling, broken records, a cap) are the
pretend tenant's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genai_audit.calendars import start_of_uk_day
from genai_audit.demo import campus, vle_export
from genai_audit.demo.campus import People
from genai_audit.demo.documents import Library, make_library
from genai_audit.demo.planting import Planted, Planting
from genai_audit.demo.traffic import (
    BENCHMARK_CHANCES,
    INTERACTIONS,
    WEEKDAY_HOURS,
    WEEKEND_HOURS,
    Event,
    Traffic,
    draw_seconds,
    make_actors,
)

Row = dict[str, Any]
LATE_SHARE = 0.02  # Copilot records arrive up to three days late (facts/m365.md §8)
DUPLICATE_SHARE = 0.002  # the service repeats records by design (facts/m365.md §6)
LABELS_SINCE = "2024-08-01"


@dataclass(frozen=True)
class University:
    """Westbridge, as seen in its logs on the `days` UK days that end with `last_day`."""

    seed: int = 7
    people: int = 3000
    days: int = 60
    last_day: date = date(2026, 11, 22)

    def list_days(self) -> list[date]:
        return [self.last_day - timedelta(days=back) for back in reversed(range(self.days))]

    @cached_property
    def persons(self) -> People:
        return campus.make_people(self.people, self.seed)

    @cached_property
    def _library(self) -> Library:
        return make_library(self.seed)

    @cached_property
    def _traffic(self) -> Traffic:
        return Traffic(make_actors(self.persons, self.seed), self._library, self.seed, self.people / 3000)

    @cached_property
    def _planting(self) -> Planting:
        return Planting(self.persons, self._library, self.list_days(), self.seed)

    def planted(self) -> list[Planted]:
        """What a correct audit must show, in order of day. Print `what`, not `subject`."""
        return self._planting.list_planted()

    @property
    def capped_minute(self) -> datetime:
        """Start of the minute (UTC) with at least `planting.CAPPED_MINUTE_RECORDS` records."""
        return self._planting.capped_minute

    def m365_records(self) -> Iterator[tuple[datetime, datetime, bytes]]:
        """(created, arrived, record), in order of `created`; `arrived` has an order of its own.

        Records are Graph envelopes with `auditData`, compact JSON as orjson writes it. A duplicate follows
        its original with the same bytes and a later arrival.
        """
        for day in self.list_days():
            if self._planting.is_silent(day):
                continue
            rng = np.random.default_rng([self.seed, 8, day.toordinal()])
            yield from self._add_arrivals(rng, start_of_uk_day(day), self._make_day(rng, day))

    def _make_day(self, rng: np.random.Generator, day: date) -> list[Event]:
        start = start_of_uk_day(day)
        hours = WEEKDAY_HOURS if day.weekday() < 5 else WEEKEND_HOURS
        factor = campus.use_factor(day, self.last_day)
        count = int(rng.poisson(INTERACTIONS * self._traffic.scale * factor))
        seconds = draw_seconds(rng, count, hours)
        drifted = self._planting.is_drifted(day)
        events = self._traffic.make_interactions(rng, start, seconds, drifted=drifted)
        events += self._traffic.make_others(rng, start, hours, factor)
        events += self._planting.make_events(day, self._traffic, rng)
        length = int((start_of_uk_day(day + timedelta(days=1)) - start).total_seconds())
        events = [
            event for event in events if event[0] < length
        ]  # the day of the spring clock change is short
        return sorted(events, key=lambda event: event[0])

    def _add_arrivals(
        self, rng: np.random.Generator, start: datetime, events: list[Event]
    ) -> Iterator[tuple[datetime, datetime, bytes]]:
        count = len(events)
        late = rng.random(count) < LATE_SHARE
        delays = np.where(
            late, rng.integers(86_400, 3 * 86_400, size=count), rng.integers(1_800, 5_400, size=count)
        )
        repeated = rng.random(count) < DUPLICATE_SHARE
        for (second, record), delay, again in zip(events, delays.tolist(), repeated.tolist(), strict=True):
            created = start + timedelta(seconds=second)
            yield created, created + timedelta(seconds=delay), record
            if again:
                yield created, created + timedelta(seconds=delay + 600), record

    def people_rows(self) -> list[Row]:
        """Directory: object_id, upn, display_name, department (a unit_id), job_title, role."""
        people = self.persons
        columns = (
            people.object_ids,
            people.upns,
            people.names,
            people.unit_numbers.tolist(),
            people.titles,
            people.roles,
        )
        return [
            {"object_id": object_id, "upn": upn, "display_name": name, "department": campus.UNITS[unit][0],
             "job_title": title, "role": role}
            for object_id, upn, name, unit, title, role in zip(*columns, strict=True)
        ]  # fmt: skip

    def units(self) -> list[Row]:
        return [{"unit_id": one[0], "unit_name": one[1], "parent_unit_name": one[2]} for one in campus.UNITS]

    def labels(self) -> list[Row]:
        dates = {"valid_from": LABELS_SINCE, "valid_to": ""}
        return [
            {"label_id": label, "label_name": name, "label_rank": rank, **dates}
            for label, name, rank in campus.LABELS
        ]

    def tools(self) -> list[Row]:
        """One row for each way to recognise a tool."""
        return [
            {"tool_id": tool, "tool_name": name, "vendor": vendor, "status": status, "hosting": hosting,
             "match_kind": kind, "match_value": value}
            for tool, name, vendor, status, hosting, _, aliases in campus.TOOLS for kind, value in aliases
        ]  # fmt: skip

    def calendar_days(self) -> list[Row]:
        """Spans of days of one type, inclusive at both ends, without gaps."""
        return list(campus.calendar_rows(self.list_days()[0], self.last_day))

    def write_registers(self, folder: Path, more_tools: Sequence[Row] = ()) -> None:
        """Write directory.csv, units.csv, labels.csv, tools.csv and calendar.csv."""
        folder.mkdir(parents=True, exist_ok=True)
        directory = [
            {
                "object_id": row["object_id"],
                "upn": row["upn"],
                "unit_id": row["department"],
                "role": row["role"],
            }
            for row in self.people_rows()
        ]
        tables = {"directory": directory, "units": self.units(), "labels": self.labels(),
                  "tools": [*self.tools(), *more_tools], "calendar": self.calendar_days()}  # fmt: skip
        for name, rows in tables.items():
            vle_export.write_csv(folder / f"{name}.csv", tuple(rows[0]), rows)

    def vle_rows(self) -> Iterator[Row]:
        """Clicks in AI features of the VLE, with the columns `vle_export.INTERACTION_COLUMNS`."""
        return vle_export.make_interactions(self.persons, self.list_days(), self.last_day, self.seed)

    def write_vle_csv(self, path: Path) -> int:
        """Write the interactions and return the number of rows."""
        return vle_export.write_csv(path, vle_export.INTERACTION_COLUMNS, self.vle_rows())

    def write_vle_course_csv(self, path: Path) -> int:
        """Write the course table and return the number of rows."""
        rows = vle_export.make_course_table(self.last_day, self.seed)
        return vle_export.write_csv(path, vle_export.COURSE_COLUMNS, rows)


def copilot_records(count: int, seed: int, start: date, days: int) -> Iterator[bytes]:
    """Exactly `count` CopilotInteraction records for benchmarks, spread evenly over `days` from `start`."""
    people = campus.make_people(3000, seed)
    traffic = Traffic(make_actors(people, seed), make_library(seed), seed, 1.0)
    for number in range(days):
        rng = np.random.default_rng([seed, 9, number])
        left = count * (number + 1) // days - count * number // days
        first = start_of_uk_day(start + timedelta(days=number))
        seconds = draw_seconds(rng, left, WEEKDAY_HOURS)
        for at in range(0, left, 20_000):  # keeps memory flat when a day holds a million
            events = traffic.make_interactions(
                rng, first, seconds[at : at + 20_000], resources=BENCHMARK_CHANCES
            )
            yield from (record for _, record in events)
