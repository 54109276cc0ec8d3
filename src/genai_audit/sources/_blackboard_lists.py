"""The lists of Blackboard's REST interface that we read, and what is picked of them (facts/vle.md §1.5).

Every request names its fields, and whatever else is answered is thrown away before it is kept: no list gives
us a name, an address or a title of content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from genai_audit.calendars import read_instant

API = "learn/api/public"
Entry = Mapping[str, Any]
BEFORE_TERM, AFTER_TERM = timedelta(days=14), timedelta(days=30)  # people work outside the term, too


@dataclass(frozen=True)
class BlackboardList:
    """`path` may have `{of}` in it: then each course or node has such a list. `fields`: dotted names."""

    name: str
    path: str
    fields: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)

    def params(self, page_size: int) -> dict[str, str]:
        return {"limit": str(page_size), "fields": ",".join(self.fields), **self.query}

    def pick(self, entry: Entry) -> dict[str, Any]:
        """Only the fields that were asked for, under their dotted names; missing ones are left out."""
        found = ((name, _dig(entry, name)) for name in self.fields)
        return {name: value for name, value in found if isinstance(value, str | bool | int)}


TERM = "availability.duration"
TERMS = BlackboardList("terms", f"{API}/v1/terms", ("id", "name", f"{TERM}.start", f"{TERM}.end"))
NODES = BlackboardList(
    "nodes", f"{API}/v1/institutionalHierarchy/nodes", ("id", "parentId", "title"), {"recursive": "true"}
)
NODE_COURSES = BlackboardList(
    "node_courses",
    f"{API}/v1/institutionalHierarchy/nodes/{{of}}/courses",
    ("nodeId", "courseId", "isPrimary"),
)
COURSES = BlackboardList("courses", f"{API}/v3/courses", ("id", "courseId", "externalId", "termId"))
MEMBERSHIPS = BlackboardList(
    "memberships",
    f"{API}/v1/courses/{{of}}/users",
    ("courseId", "userId", "courseRoleId", "user.uuid"),
    {"expand": "user"},
)


class Campus:
    """What the small lists say together: terms, the tree of nodes, and where each course hangs in it."""

    def __init__(self) -> None:
        self._terms: dict[str, Entry] = {}
        self._nodes: dict[str, Entry] = {}
        self._node_of: dict[str, tuple[bool, str]] = {}

    @property
    def node_ids(self) -> list[str]:
        return list(self._nodes)

    def learn(self, name: str, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if name == TERMS.name:
                self._terms[entry.get("id", "")] = entry
            elif name == NODES.name:
                self._nodes[entry.get("id", "")] = entry
            elif name == NODE_COURSES.name:
                # A course may hang in several places; the primary one counts, or else the first.
                known, found = self._node_of.get(entry.get("courseId", "")), bool(entry.get("isPrimary"))
                if known is None or (found and not known[0]):
                    self._node_of[entry.get("courseId", "")] = (found, entry.get("nodeId", ""))

    def describe(self, course: Entry) -> dict[str, Any]:
        """A course with its term and its place in the hierarchy, from the top."""
        term = self._terms.get(course.get("termId", ""), {})
        more = {
            "term_name": term.get("name"), "term_start": term.get(f"{TERM}.start"),
            "term_end": term.get(f"{TERM}.end"), "hierarchy": list(self._climb(course.get("id", "")))[::-1],
        }  # fmt: skip
        return {**course, **{name: value for name, value in more.items() if value}}

    def is_current(self, course: Entry, now: datetime) -> bool:
        """Is the course's term running, or about to, or just over? A term without dates always runs."""
        term = self._terms.get(course.get("termId", ""), {})
        start, end = (_read_day(term.get(f"{TERM}.{side}")) for side in ("start", "end"))
        return not (start and now < start - BEFORE_TERM) and not (end and now > end + AFTER_TERM)

    def _climb(self, course_id: str) -> Iterator[str]:
        node, seen = self._node_of.get(course_id, (False, ""))[1], set[str]()
        while node in self._nodes and node not in seen:
            seen.add(node)
            yield str(self._nodes[node].get("title", ""))
            node = self._nodes[node].get("parentId", "")


def _dig(entry: Entry, name: str) -> Any:
    value: Any = entry
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _read_day(text: str | None) -> datetime | None:
    try:
        return read_instant(text) if text else None
    except ValueError:
        return None
