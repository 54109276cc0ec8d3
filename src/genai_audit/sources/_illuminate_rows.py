"""Illuminate's rows as canonical records, and what is counted on the way. Pure: nothing is asked here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from genai_audit.sources._vle_database import make_event_id, make_record, to_role, write_time
from genai_audit.sources._vle_features import (
    UNCLASSIFIED,
    Features,
    looks_like_ai,
    name_unlisted,
    shorten_id,
)

Row = dict[str, Any]

EVENT_MAP = "illuminate_ultra_events"  # of vle_csv: an extract that was imported holds the same events
LEARN, AIDA = "Blackboard Learn Ultra", "Blackboard AI Design Assistant"
CONVERSATION = "aiconversation"  # such an id means a new AI Conversation only where something is created
AI_CODES = ("Y", "P")  # what the vendor's own report counts as AI (facts/vle.md §1.2)


@dataclass
class Counts:
    """Facts for the manifest. Unmatched people and courses are expected: preview users never resolve."""

    unmatched_people: int = 0
    unmatched_courses: int = 0
    unclassified: int = 0
    unknown_ai_codes: int = 0


class EventMapper:
    """Clicks on GenAI controls, named by the register of VLE features."""

    def __init__(self, features: Features, counts: Counts) -> None:
        self._features, self._counts = features, counts
        self._named: dict[tuple[str, bool], tuple[str, str] | None] = {}  # there are few object ids

    def map(self, row: Row) -> bytes | None:
        """None if no pattern fits after all: the query's wildcards know no case."""
        key = (row["OBJECT_ID"], bool(row["IS_CREATING"]))
        if key not in self._named:
            self._named[key] = name_feature(*key, self._features)
        named = self._named[key]
        if named is None:
            return None
        feature, tool = named
        course, counts = row["CONTEXT_ID"], self._counts
        counts.unclassified += feature.startswith(UNCLASSIFIED)
        counts.unmatched_people += not row["IS_PERSON_KNOWN"]
        counts.unmatched_courses += bool(course) and not row["IS_COURSE_KNOWN"]
        return make_record(
            make_event_id(EVENT_MAP, row["EVENT_KEY"]),
            write_time(row["EVENT_TIME"]),
            "interaction",
            feature,
            actor=row["USER_UUID"],
            actor_role=to_role(row["COURSE_ROLE"]),
            course=course,
            school=row["SCHOOL"],
            term=row["TERM_NAME"],
            tool=tool,
        )


def map_item(row: Row, counts: Counts) -> bytes:
    """An artefact: flagged as made with AI, or itself an AI Conversation. The code is part of the id, so that
    a flag that is set later is a new record and not a change of a loaded one."""
    code = row["AI_STATUS"] or ""
    counts.unknown_ai_codes += code not in ("", "N", *AI_CODES)
    counts.unmatched_people += row["PERSON_ID"] is not None and not row["USER_UUID"]
    counts.unmatched_courses += not row["CONTEXT_ID"]
    is_conversation = bool(row["IS_CONVERSATION"])
    kind = (row["ITEM_TYPE"] or "item").replace("_", " ").lower()
    return make_record(
        f"illuminate-item:{row['ID']}:{code or 'none'}",
        write_time(row["CREATED_TIME"]),
        "artefact",
        "AI Conversation: question" if is_conversation else f"AI Design Assistant: {kind}",
        actor=row["USER_UUID"],
        actor_role="staff" if row["USER_UUID"] else "",
        course=row["CONTEXT_ID"],
        school=row["SCHOOL"],
        term=row["TERM_NAME"],
        tool=LEARN if is_conversation else AIDA,
        outcome=f"ai:{code or 'none'}",
    )


def map_total(row: Row, at: datetime, counts: Counts) -> bytes:
    """A course's items on the day of the pull: those with AI, of all. A state, once a course and day."""
    counts.unmatched_courses += not row["CONTEXT_ID"]
    return make_record(
        f"illuminate-course:{row['COURSE_ID']}:{at:%Y-%m-%d}",
        write_time(at),
        "aggregate",
        "AI Design Assistant",
        course=row["CONTEXT_ID"],
        school=row["SCHOOL"],
        term=row["TERM_NAME"],
        tool=AIDA,
        quantity=str(row["AI_ITEMS"]),
        base_quantity=str(row["ITEMS"]),
    )


def name_feature(object_id: str, is_creating: bool, features: Features) -> tuple[str, str] | None:
    """Feature and tool of an object id by the register. An id that looks like AI and is not listed is kept as
    unclassified: no list of these ids is published."""
    is_conversation = object_id.casefold().endswith(CONVERSATION)
    listed = features.find("object_id", object_id)
    if listed and (is_creating or not is_conversation):
        return listed.feature, listed.tool or LEARN
    if looks_like_ai(object_id):
        return name_unlisted(object_id), LEARN
    return (UNCLASSIFIED + shorten_id(object_id), LEARN) if listed or is_conversation else None
