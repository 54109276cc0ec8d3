"""Discovered apps as records: entries of the interface, and rows of the portal's export, read tolerantly.

Only the columns named here are read: IP addresses and people, where an export lists them, stay there. The
exact headers of the export are not documented; these are words that the portal and the interface use
(unverified).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage
from genai_audit.sources._mapped_rows import UnreadableRowError, find_named_day, read_pages
from genai_audit.sources._tables import Damage, Layout, read_rows, sniff_layout
from genai_audit.workspace import canonical_json

KIND = "discovered_apps"
ENTRY = (
    "id,displayName,category,domains,userCount,transactionCount,uploadNetworkTrafficInBytes,lastSeenDateTime"
)
HEAD_BYTES = 65_536
DAY_ADVICE = "Put the day of the export into the file name, like discovered_apps_2026-11-24.csv."
ADVICE = "Export the discovered apps again and import the file unopened."
COLUMNS: dict[str, tuple[str, ...]] = {
    "name": ("app name", "app", "application", "name", "display name", "discovered app"),
    "category": ("category", "app category"),
    "users": ("users", "user count", "total users", "number of users"),
    "transactions": ("transactions", "transaction count", "total transactions"),
    "uploaded": ("upload", "uploads", "uploaded", "upload traffic", "uploaded traffic", "uploaded data",
                 "upload network traffic in bytes"),
    "domains": ("domains", "domain"),
}  # fmt: skip
REQUIRED = ("name", "category", "users")
UNITS = {"": 1, "b": 1, "byte": 1, "bytes": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_UNIT = re.compile(r"[\s(\[]+(bytes?|[kmgt]?b)[)\]]?$")
_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?\s*([a-z]*)")


def simplify(category: str) -> str:
    """`Generative AI` and `generativeAi` are the same category."""
    return re.sub(r"[^a-z]", "", category.lower())


def keep_entry(stream: str, days: int, categories: Collection[str], raw: bytes, value: Any) -> bytes | None:
    """An entry of the interface, if it is of one of the (simplified) categories."""
    if not isinstance(value, dict):
        return raw
    if simplify(str(value.get("category"))) not in categories:
        return None
    kept = {key: value.get(key) for key in ENTRY.split(",")}
    return orjson.dumps({"stream": stream, "period_days": days} | kept)


def recognise(head: bytes) -> str | None:
    """The kind, when the header has all that is required and one more column of ours."""
    layout = sniff_layout(head)
    bound = bind_columns(layout.header) if layout else {}
    return KIND if len(bound) > len(REQUIRED) and all(one in bound for one in REQUIRED) else None


def bind_columns(header: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Field -> (column, bytes of its unit). The earlier of our words wins."""
    plain = [" ".join(name.lower().replace("_", " ").split()) for name in header]
    units = [_UNIT.search(name) for name in plain]
    names = [_UNIT.sub("", name) for name in plain]
    bound: dict[str, tuple[int, int]] = {}
    for field, words in COLUMNS.items():
        found = next((names.index(word) for word in words if word in names), None)
        if found is not None:
            unit = units[found]
            bound[field] = found, UNITS[unit[1]] if unit else 1
    return bound


def read_table(path: Path, categories: Iterable[str]) -> Iterator[RawPage]:
    """Records in pages. The file is read once before, and refused whole (BadDataError) when it lacks a
    column or a day in its name, has rows of different widths, or more than one row in a hundred that can't
    be read."""
    with path.open("rb") as file:
        layout = sniff_layout(file.read(HEAD_BYTES))
    bound = bind_columns(layout.header) if layout else {}
    missing = [one for one in REQUIRED if one not in bound]
    if layout is None or missing:
        what = f"The table of discovered apps lacks a column: {', '.join(missing)}."
        raise BadDataError(what, where=path.name, next_step=ADVICE)
    wanted = {simplify(one) for one in categories}

    def is_wanted(category: str) -> bool:
        return simplify(category) in wanted

    def select(cells: list[str]) -> list[str] | None:
        return cells if is_wanted(cells[bound["category"][0]]) else None

    def build(cells: list[str]) -> dict[str, Any]:
        return build_record(cells, bound, day)

    day = find_named_day(path, DAY_ADVICE).isoformat()
    facts = _check(path, layout, bound, is_wanted) | {"occurred_at_from": "date in the file name"}
    return read_pages(read_rows(path, layout), select, build, set_aside, facts)


def set_aside(_: list[str], problem: str) -> dict[str, str]:
    """No id: landing quarantines and counts it."""
    return {"problem": problem}


def _check(
    path: Path, layout: Layout, bound: dict[str, tuple[int, int]], is_wanted: Callable[[str], bool]
) -> dict[str, Any]:
    damage, others = Damage(), 0
    for line, cells in read_rows(path, layout):
        if not any(cells):
            damage.blank_lines += 1
            continue
        damage.rows += 1
        if len(cells) != len(layout.header):
            damage.wrong_width.append(line)
        elif not is_wanted(cells[bound["category"][0]]):
            others += 1
        else:
            try:
                build_record(cells, bound, None)
            except UnreadableRowError:
                damage.unreadable.append(line)
    damage.judge(path, "A number or a name", ADVICE)
    facts: dict[str, Any] = {
        "file_rows": damage.rows, "other_categories": others, "unreadable_rows": len(damage.unreadable),
        "blank_lines": damage.blank_lines,
    }  # fmt: skip
    if damage.rows == others:
        seen = f"none of the file's {others:,} applications is of an AI category"
        facts |= {"outcome": "unproven", "reason": seen if others else "the file holds no application"}
    return facts


def build_record(cells: Sequence[str], bound: dict[str, tuple[int, int]], day: str | None) -> dict[str, Any]:
    """The fields of the interface, from a row; the id is made of them: a file taken twice counts once."""
    text = {field: cells[place].strip() for field, (place, _) in bound.items()}
    if not text["name"]:
        raise UnreadableRowError("unreadable")
    record: dict[str, Any] = {
        "stream": "file",
        "displayName": text["name"],
        "category": text["category"],
        "domains": [one for one in re.split(r"[;,\s]+", text.get("domains", "")) if one],
        "userCount": read_number(text["users"], 1),
        "transactionCount": read_number(text.get("transactions", ""), 1),
        "uploadNetworkTrafficInBytes": read_number(
            text.get("uploaded", ""), bound.get("uploaded", (0, 1))[1]
        ),
        "day": day,
    }
    return record | {"id": hashlib.sha256(canonical_json(record)).hexdigest()[:32]}


def read_number(text: str, unit: int) -> int | None:
    """`1,234`, `12.5 MB`; None for an empty cell or a dash. `unit`: bytes of the header's unit."""
    text = text.strip().lower()
    if text in ("", "-", "–", "n/a"):
        return None
    found = _NUMBER.fullmatch(text)
    if not found or found[3] not in UNITS:
        raise UnreadableRowError("unreadable")
    value = float(found[1].replace(",", "") + (found[2] or ""))
    return round(value * (UNITS[found[3]] if found[3] else unit))
