"""What the sources that read a VLE's database share: the canonical record of a row (facts/vle.md §3), its
id, its time and its role words."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, tzinfo

import orjson

from genai_audit.calendars import format_instant, read_instant

ROLES = {"I": "staff", "T": "staff", "G": "staff", "B": "staff", "S": "student", "U": "guest"}


def make_record(
    record_id: str, occurred_at: str, record_kind: str, feature: str, **fields: str | None
) -> bytes:
    """One JSON object; empty values are left out. `fields`: actor, actor_role, course, school, term, tool,
    outcome, quantity, base_quantity (numbers as text, so that none is taken for empty)."""
    return orjson.dumps(
        {"record_id": record_id, "occurred_at": occurred_at, "record_kind": record_kind, "feature": feature}
        | {name: value for name, value in fields.items() if value}
    )


def make_event_id(system: str, event: str) -> str:
    """The id that `vle_csv` gives an event of a map of this name: pulled and imported, it counts once."""
    text = f"{len(system)}:{system}{len(event)}:{event}"
    return "vle-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def write_time(value: datetime | str | None, zone: tzinfo = UTC) -> str:
    """A database's time as records have it; one that has no zone is meant in `zone`. "" for none."""
    if isinstance(value, datetime) and value.tzinfo is None and zone is UTC:
        return value.isoformat(timespec="seconds") + "Z"  # many thousands a second come this way
    instant = to_instant(value, zone)
    return format_instant(instant) if instant else ""


def to_instant(value: datetime | str | None, zone: tzinfo = UTC) -> datetime | None:
    """A database's time; one that has no zone is meant in `zone`. None for none, and for no time."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return read_instant(value)
        except ValueError:
            return None
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def to_role(code: str | None) -> str:
    """student, staff, guest or other, from Blackboard's course role; "" when there is none."""
    return ROLES.get(code, "other") if code else ""
