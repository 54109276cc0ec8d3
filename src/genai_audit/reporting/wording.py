"""How a value is said on a page: GOV.UK dates, thousands, "no data", and hostile text made visible.

Log fields are written by whoever used the tool, so they are attacker-controlled: escaping is the
template engine's, showing control and direction characters is done here (facts/trust.md §8.3).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
NO_DATA = "no data"
TEXT_LIMIT = 1_000  # characters of one value; a log field can be a megabyte long
TOKEN_LIMIT = 11  # `ps_` and eight characters: enough to find the row, too short to be quoted as a name


def say(value: Any) -> Any:
    """Every `{{ … }}` of a template passes here. None is "no data", never an empty cell."""
    if isinstance(value, Markup):
        return value
    if value is None or value == "":
        return NO_DATA
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return say_instant(value)
    if isinstance(value, date):
        return say_day(value)
    if isinstance(value, int | float | Decimal):
        return say_number(value)
    return show_text(str(value))


def say_day(day: date) -> str:
    """`22 November 2026`, independent of the machine's locale."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def say_month(day: date | None) -> str:
    return NO_DATA if day is None else f"{MONTHS[day.month - 1]} {day.year}"


def say_instant(instant: datetime) -> str:
    """An aware instant in UTC; one without a zone is UTC already."""
    moment = instant.astimezone(UTC) if instant.tzinfo else instant
    return f"{say_day(moment.date())}, {moment:%H:%M} UTC"


def say_days(first: date | None, last: date | None) -> str:
    """One day, or `10 to 12 November 2026`, with as much repeated as is needed."""
    if first is None or last is None:
        return NO_DATA
    if first == last:
        return say_day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {say_day(last)}"
    if first.year == last.year:
        return f"{first.day} {MONTHS[first.month - 1]} to {say_day(last)}"
    return f"{say_day(first)} to {say_day(last)}"


def say_number(value: int | float | Decimal) -> str:
    """`12,345`; at most one decimal."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return text.removesuffix(".0")


def say_count(value: int, one: str, many: str | None = None) -> str:
    """`1 day`, `3 days`."""
    return f"{say_number(value)} {one if value == 1 else many or one + 's'}"


def say_people(count: int | None, below: int) -> str:
    """A number of people; a small one is never printed, since a page travels further than a table."""
    if count is None:
        return NO_DATA
    return f"fewer than {below}" if 0 < count < below else say_number(count)


def shorten(token: str | None) -> str:
    """The beginning of a pseudonym, hash or record id."""
    text = str(say(token))
    return text if len(text) <= TOKEN_LIMIT + 1 else text[:TOKEN_LIMIT] + "…"


def show_text(text: str) -> str:
    """One line of at most 1,000 characters; control and direction characters become `‹U+202E›`."""
    flat = "".join(_show_character(one) for one in unicodedata.normalize("NFC", text[: TEXT_LIMIT * 2]))
    return flat if len(flat) <= TEXT_LIMIT else flat[: TEXT_LIMIT - 1] + "…"


def _show_character(one: str) -> str:
    if one in "\n\t\r":
        return " "
    return f"‹U+{ord(one):04X}›" if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else one


def list_evidence(text: str | None) -> list[tuple[str, str]]:
    """(table, record id) of the rows that a finding rests on; unreadable evidence is an empty list."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [(say(row.get("table")), row["record_id"]) for row in _walk(found) if row.get("record_id")]


def _walk(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
    inner = list(value.values()) if isinstance(value, dict) else value
    for one in inner if isinstance(inner, list) else ():
        yield from _walk(one)
