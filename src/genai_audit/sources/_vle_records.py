"""What sources of learning events share: the canonical record of one event, its id, and its role words.

Canonical fields: facts/vle.md §3. No name, address or text of the event is taken over, only its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from genai_audit.calendars import format_instant, read_instant
from genai_audit.registry import RawPage, RecordIdentity
from genai_audit.sources._vle_rows import YEARS

PAGE_RECORDS = 2_000
STUDENT = ("learner", "student")
STAFF = (
    "instructor", "teachingassistant", "administrator", "contentdeveloper", "manager", "mentor", "staff",
    "faculty", "officer",
)  # fmt: skip


def identify(record: dict[str, Any]) -> RecordIdentity:
    """Of a canonical record. Rows and events that could not be read have no id, and are quarantined."""
    return RecordIdentity(record.get("record_id"), record.get("occurred_at"))


def digest(event: Mapping[str, Any]) -> str:
    """SHA-256 of an event without its white space: a landed row can be held against the original."""
    return hashlib.sha256(orjson.dumps(event)).hexdigest()


def make_record(event: Mapping[str, Any], event_id: str, time: Any, **fields: str) -> bytes:
    """The record of one interaction; empty fields are left out, one without a time gets no id."""
    sha256 = digest(event)
    occurred_at = _read_time(time)
    if not occurred_at:
        return orjson.dumps({"problem": "no_time", "raw_sha256": sha256})
    return orjson.dumps(
        {"record_id": event_id or f"vle-{sha256[:32]}", "occurred_at": occurred_at}
        | {"record_kind": "interaction"}
        | {name: value for name, value in fields.items() if value}
        | {"raw_sha256": sha256}
    )


def name_role(roles: Iterable[Any]) -> str:
    """student, staff or other, from role names such as `Learner` or `urn:lti:role:ims/lis/Instructor`."""
    words = [role for one in roles if isinstance(one, str) for role in one.split(",")]
    ends = {word.replace("#", "/").split("/")[-1].strip().casefold() for word in words}
    if not ends - {""}:
        return ""
    return "staff" if ends & set(STAFF) else "student" if ends & set(STUDENT) else "other"


def fill_pages(records: Iterable[bytes], facts: Mapping[str, Any]) -> Iterator[RawPage]:
    """Pages of 2,000, each with the facts: a long file becomes several packages."""
    page: list[bytes] = []
    for record in records:
        page.append(record)
        if len(page) == PAGE_RECORDS:
            yield RawPage(page, facts)
            page = []
    yield RawPage(page, facts)


def text_of(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def object_of(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one: shapes differ, and none may break the reading."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """A list; one thing alone counts as a list of it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _read_time(time: Any) -> str:
    try:
        instant = read_instant(text_of(time))
    except (ValueError, OverflowError):
        return ""
    return format_instant(instant) if instant.year in YEARS else ""
