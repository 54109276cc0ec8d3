"""What the pretend university's VLE sends to its Learning Record Store and to its Caliper collector.

A tutor chat and videos as xAPI statements; launches of LearnWise and of other tools as Caliper envelopes the
way Blackboard pushes them, names and signatures included, so that it shows when one of them is kept. Values
invented.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from genai_audit.calendars import start_of_uk_day
from genai_audit.demo.campus import People, make_guids, use_factor
from genai_audit.demo.traffic import WEEKDAY_HOURS, WEEKEND_HOURS, draw_seconds, write_times
from genai_audit.demo.vle_export import list_courses

HOME = "https://vle.westbridge.example"
CHAT, VIDEO, UNLISTED = f"{HOME}/tutor/chat", f"{HOME}/videos/", f"{HOME}/objects/ai.studio.tile.open"
XAPI_RULE = {"feature": "Tutor: message sent", "tool": "Westbridge Tutor", "object_id_prefix": CHAT}
LEARNWISE, OTHER_TOOL = "https://app.learnwise.ai/lti", "https://tools.westbridge.example/lti"
STATEMENTS, LAUNCHES = 400, 60  # on a teaching weekday of a university of 3,000
CHATS, UNLISTED_SHARE, LATE = 0.3, 0.005, 0.01


def make_statements(
    people: People, days: Iterable[date], last_day: date, seed: int
) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """When each was stored, and the statement. One in a hundred is stored a day late."""
    courses = list_courses()
    for rng, moments, ids, chance in _draw_days(people, days, last_day, (seed, 8), STATEMENTS):
        students = people.numbers("student")
        picks = rng.integers(2**31, size=(2, len(moments)))
        for n, moment in enumerate(moments):
            is_chat = chance[n] < CHATS
            target = CHAT if is_chat else f"{VIDEO}{picks[1, n] % 40}"
            person = students[int(picks[0, n]) % len(students)]
            number = courses[int(picks[1, n]) % len(courses)][0]
            late = timedelta(days=1) if chance[n] > 1 - LATE else timedelta(seconds=3)
            yield moment + late, {
                "id": ids[n],
                "actor": {"objectType": "Agent", "name": people.names[person],
                          "account": {"homePage": HOME, "name": people.object_ids[person]}},
                "verb": {"id": "http://adlnet.gov/expapi/verbs/" + ("asked" if is_chat else "experienced")},
                "object": {"id": UNLISTED if CHATS < chance[n] < CHATS + UNLISTED_SHARE else target},
                "context": {"contextActivities": {"parent": [{
                    "id": number, "definition": {"type": "http://adlnet.gov/expapi/activities/course"},
                }]}},
                "timestamp": moment.isoformat(),
            }  # fmt: skip


def make_envelopes(
    people: People, days: Iterable[date], last_day: date, seed: int
) -> Iterator[dict[str, Any]]:
    """One envelope a day of launches, most of them of tools that are no GenAI."""
    courses = list_courses()
    for rng, moments, ids, chance in _draw_days(people, days, last_day, (seed, 9), LAUNCHES):
        picks = rng.integers(2**31, size=(2, len(moments)))
        members = [
            _make_launch(
                people,
                int(picks[0, n]) % len(people.roles),
                courses[int(picks[1, n]) % len(courses)][0],
                LEARNWISE if chance[n] < CHATS else OTHER_TOOL,
                ids[n],
                moment,
            )
            for n, moment in enumerate(moments)
        ]
        if members:
            yield {
                "sensor": f"{HOME}/sensor", "sendTime": members[-1]["eventTime"],
                "dataVersion": "http://purl.imsglobal.org/ctx/caliper/v1p1", "data": members,
            }  # fmt: skip


def write_envelopes(path: Path, envelopes: Iterable[dict[str, Any]]) -> int:
    """Write one envelope a line and return the number of events."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for envelope in envelopes:
            file.write(json.dumps(envelope, separators=(",", ":")) + "\n")
            count += len(envelope["data"])
    return count


def _draw_days(
    people: People, days: Iterable[date], last_day: date, seeds: tuple[int, int], per_day: int
) -> Iterator[tuple[np.random.Generator, list[datetime], list[str], list[float]]]:
    """For each day a generator, and moments, ids and chances of its events."""
    for day in days:
        rng = np.random.default_rng([*seeds, day.toordinal()])
        rate = per_day * len(people.roles) / 3000 * use_factor(day, last_day)
        hours = WEEKDAY_HOURS if day.weekday() < 5 else WEEKEND_HOURS
        times = write_times(start_of_uk_day(day), draw_seconds(rng, int(rng.poisson(rate)), hours))
        moments = [datetime.fromisoformat(time.decode()).replace(tzinfo=UTC) for time in times]
        ids = [one.decode() for one in make_guids(rng, len(moments))]
        yield rng, moments, ids, rng.random(len(moments)).tolist()


def _make_launch(
    people: People, person: int, course: str, url: str, event: str, moment: datetime
) -> dict[str, Any]:
    is_student = people.roles[person] == "student"
    own_ids = {"bb:user.id": f"_{person}_1", "bb:user.externalId": people.object_ids[person]}
    return {
        "@context": "http://caliper.blackboard.com/ctx/caliper/v1/Context",
        "type": "http://caliper.blackboard.com/caliper/v1/LTIEvent", "id": f"urn:uuid:{event}",
        "actor": {"id": f"{HOME}/users/{person}", "type": "Person", "extensions": own_ids},
        "action": "LoggedIn",
        "object": {"type": "http://caliper.blackboard.com/caliper/v1/LTILaunchInfo", "launchUrl": url,
                   "id": f"{HOME}/ltiLaunches/{event}",
                   "launchParameters": {"lis_person_name_full": people.names[person],
                                        "lis_person_contact_email_primary": people.upns[person],
                                        "oauth_signature": "invented", "context_id": course}},
        "eventTime": moment.isoformat().replace("+00:00", "Z"),
        "edApp": {"id": f"{HOME}/learn", "extensions": {"bb:request.headers.ipAddress": "192.0.2.9"}},
        "group": {"type": "CourseOffering", "courseNumber": course},
        "membership": {"type": "Membership", "roles": ["Learner" if is_student else "Instructor"]},
    }  # fmt: skip
