"""What the pretend Blackboard of Westbridge holds: a term, colleges and schools, courses, who is in them."""

from __future__ import annotations

from datetime import date
from typing import Any

from genai_audit.demo.blackboard import BlackboardData
from genai_audit.demo.campus import UNITS, People
from genai_audit.demo.vle_export import list_courses, name_term

SHARE = 2  # each student is in every so-many-th course of the school


def make_blackboard(people: People, last_day: date) -> BlackboardData:
    """Courses have the numbers, and people the uuids, that the telemetry of `vle_export` has."""
    name = name_term(last_day)
    year = int(name[:4])
    duration = {"type": "DateRange", "start": f"{year}-08-01T00:00:00Z", "end": f"{year + 1}-07-31T00:00:00Z"}
    colleges = list(dict.fromkeys(unit[2] for unit in UNITS))
    data = BlackboardData(
        terms=[{"id": "_1_1", "externalId": name, "name": name, "availability": {"duration": duration}}],
        nodes=[{"id": f"_{n}_1", "title": college} for n, college in enumerate(colleges, start=10)],
    )
    for number, unit in enumerate(UNITS):
        parent = f"_{10 + colleges.index(unit[2])}_1"
        data.nodes.append({"id": f"_{100 + number}_1", "title": unit[1], "parentId": parent})
    members: dict[int, list[int]] = {}
    for person, unit_number in enumerate(people.unit_numbers.tolist()):
        members.setdefault(unit_number, []).append(person)
    for place, (course_number, title, unit_number) in enumerate(list_courses()):
        course = f"_{700 + place}_1"
        data.courses.append({
            "id": course, "courseId": course_number, "externalId": f"SRS-{course_number}", "name": title,
            "termId": "_1_1",
        })  # fmt: skip
        node = f"_{100 + unit_number}_1"
        entry = {"nodeId": node, "courseId": course, "isPrimary": True}
        data.node_courses.setdefault(node, []).append(entry)
        of_unit = members.get(unit_number, [])
        data.memberships[course] = [_enrol(people, n, course) for n in of_unit if (n + place) % SHARE == 0]
    return data


def _enrol(people: People, person: int, course: str) -> dict[str, Any]:
    """A membership as Learn gives it with the user expanded: with much that is not to be kept."""
    given, _, family = people.names[person].partition(" ")
    user = {
        "uuid": people.object_ids[person], "userName": people.upns[person],
        "name": {"given": given, "family": family}, "contact": {"email": people.upns[person]},
    }  # fmt: skip
    role = "Instructor" if people.roles[person] == "staff" else "Student"
    return {"courseId": course, "userId": f"_{person + 1}_1", "courseRoleId": role, "user": user}
