"""What the VLE team hands over: an extract of Ultra telemetry clicks, and the AI Design Assistant table.

Real exports of either are not public; columns follow facts/vle.md §1.2 and §1.3, values are invented. As in
life, event ids repeat now and then, preview users resolve to nobody, and one object id is in no catalogue.
Interactions and artefacts are different kinds of fact and are never in one file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np

from genai_audit.calendars import start_of_uk_day
from genai_audit.demo.campus import UNITS, People, make_guids, use_factor
from genai_audit.demo.traffic import WEEKDAY_HOURS, WEEKEND_HOURS, draw_seconds, write_times

INTERACTION_COLUMNS = ("event_id", "event_time", "person_uuid", "course_number", "object_id", "course_role",
                       "school", "term_name")  # fmt: skip
COURSE_COLUMNS = ("term_name", "course_number", "course_name", "items", "ai_items", "available_ai_items",
                  "unavailable_ai_items", "pct_ai_items", "school")  # fmt: skip
SEND, CREATE, UNLISTED = (
    "ai.chat.chat.controls.send",
    "course.outline.create.AiConversation",
    "ai.studio.tile.open",
)
SUBJECTS = ("Foundations", "Methods", "Practice", "Contexts", "Project", "Enquiry", "Ethics", "Systems")
CLICKS = 220  # on a teaching weekday of a university of 3,000
REPEATED = 0.004  # eventIds repeat (facts/vle.md §1.2)
PREVIEW_USERS = 0.005

Row = dict[str, str]


def list_courses() -> list[tuple[str, str, int]]:
    """Number, name and unit of every course of the teaching units."""
    return [
        (
            f"{unit[0].upper()}{4 + n // 4}{n:03d}",
            f"{subject}, {unit[1]}",
            number,
        )
        for number, unit in enumerate(UNITS)
        if unit[3] > 0
        for n, subject in enumerate(SUBJECTS)
    ]


def name_term(day: date) -> str:
    start = day.year if day.month >= 8 else day.year - 1
    return f"{start}/{(start + 1) % 100:02d}"


def make_interactions(people: People, days: Iterable[date], last_day: date, seed: int) -> Iterator[Row]:
    """Clicks in AI features, in order of time."""
    courses = list_courses()
    of_unit: dict[int, list[int]] = {}
    for place, (_, _, unit) in enumerate(courses):
        of_unit.setdefault(unit, []).append(place)
    students, staff = people.numbers("student"), people.numbers("staff")
    for day in days:
        rng = np.random.default_rng([seed, 6, day.toordinal()])
        rate = CLICKS * len(people.roles) / 3000 * use_factor(day, last_day)
        hours = WEEKDAY_HOURS if day.weekday() < 5 else WEEKEND_HOURS
        seconds = draw_seconds(rng, int(rng.poisson(rate)), hours)
        chance, picks = rng.random((3, len(seconds))), rng.integers(2**31, size=(2, len(seconds)))
        ids = make_guids(rng, 2 * len(seconds))
        for n, time in enumerate(write_times(start_of_uk_day(day), seconds)):
            instructor = chance[0, n] < 0.06
            pool = staff if instructor else students
            person = pool[int(picks[0, n]) % len(pool)]
            places = of_unit.get(int(people.unit_numbers[person])) or list(range(len(courses)))
            number, _, unit = courses[places[int(picks[1, n]) % len(places)]]
            known = chance[1, n] >= PREVIEW_USERS
            row = {
                "event_id": ids[2 * n].decode(), "event_time": time.decode(),
                "person_uuid": people.object_ids[person] if known else ids[2 * n + 1].decode(),
                "course_number": number, "course_role": "I" if instructor else "S",
                "object_id": CREATE if instructor else UNLISTED if chance[1, n] > 0.98 else SEND,
                "school": UNITS[unit][1], "term_name": name_term(day),
            }  # fmt: skip
            yield row
            if chance[2, n] < REPEATED:
                yield row


def make_course_table(last_day: date, seed: int) -> Iterator[Row]:
    """One row a course: items, and how many of them were made with the AI Design Assistant."""
    rng = np.random.default_rng([seed, 7])
    for number, name, unit in list_courses():
        items = int(rng.integers(20, 160))
        made = int(rng.binomial(items, float(rng.beta(1.2, 9.0)))) if rng.random() < 0.7 else 0
        available = int(rng.binomial(made, 0.8))
        counts = {"items": items, "ai_items": made, "available_ai_items": available,
                  "unavailable_ai_items": made - available}  # fmt: skip
        yield {"term_name": name_term(last_day), "course_number": number, "course_name": name,
               **{key: str(value) for key, value in counts.items()},
               "pct_ai_items": f"{100 * made / items:.1f}", "school": UNITS[unit][1]}  # fmt: skip


def write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Row]) -> int:
    """Write a file and return the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    return count
