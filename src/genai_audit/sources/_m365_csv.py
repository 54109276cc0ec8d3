"""Microsoft 365 audit CSVs: which kind a header shows, and rows put back into one envelope.

Facts in facts/m365.md §7.1-7.3. A row becomes `{"RecordId", "CreationDate", "RecordType", "Operation",
"UserId", "AuditData": {…}}`, with AuditData's JSON text as it stands in the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from genai_audit.calendars import format_instant
from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage
from genai_audit.sources._tables import Damage, Layout, read_rows, refuse, sniff_layout

PAGE_RECORDS = 2_000
EXCEL_CELL = 32_767  # characters a cell of Excel can hold
PORTAL = ("purview_csv", "older_portal_csv")

# Key of the envelope: names that a header has for it, in small letters.
ROW_COLUMNS = {
    "RecordId": ("recordid", "identity"),
    "CreationDate": ("creationdate",),
    "RecordType": ("recordtype",),
    "Operation": ("operation", "operations"),
    "UserId": ("userid", "userids"),
}
GRAPH_COLUMNS = {
    key: (key.lower(),)
    for key in (
        "id", "createdDateTime", "auditLogRecordType", "operation", "organizationId", "userType", "userId",
        "service", "objectId", "userPrincipalName", "clientIp",
    )
}  # fmt: skip

# 9/20/2023 4:05:03 AM (portal until 2024, and PowerShell in US English), 12/13/2023 17:12 (documentation).
SLASHED = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AP])M)?", re.IGNORECASE
)

# A file of exactly so many rows was probably cut by the tool that wrote it.
SUSPICIOUS_ROWS = {
    "purview_csv": {50_000: "the number of rows at which the portal is said to stop"},
    "powershell_csv": {
        100: "what Search-UnifiedAuditLog returns when no -ResultSize is given",
        5_000: "the most that one call of Search-UnifiedAuditLog returns",
        50_000: "the most that one session of Search-UnifiedAuditLog returns",
    },
}
NO_RECORD = {"outcome": "unproven", "reason": "the file holds no record"}
EXPORT_AGAIN = (
    "Import the file as it was exported. If it was opened and saved in Excel or another program, export it "
    "again and import it unopened."
)


@dataclass(frozen=True)
class Columns:
    """Where in a row the envelope's values are."""

    outer: tuple[tuple[str, int], ...]
    payload_key: str
    payload: int
    time: int | None
    month_first: bool


def recognise_header(header: tuple[str, ...]) -> str | None:
    """The kind of audit CSV with this header, or None."""
    names = {name.lower() for name in header}
    if "item class" in names and names & {"internet message id", "compound path"}:
        return "ediscovery_items"
    if "auditdata" not in names:
        return None
    if "createddatetime" in names:
        return "graph_csv"
    if names & {"recordid", "operation"}:
        return "purview_csv"
    if names & {"recordtype", "identity", "resultindex", "runspaceid"}:
        return "powershell_csv"
    return "older_portal_csv" if names & {"operations", "userids"} else None


def read_table(path: Path, kind: str, head: bytes) -> Iterator[RawPage]:
    """All rows of one audit CSV as records, after a first pass that may refuse the file (BadDataError)."""
    layout = sniff_layout(head)
    if layout is None:
        raise BadDataError("This is not a CSV file.", where=path.name, next_step=EXPORT_AGAIN)
    if layout.encoding == "cp1252":
        layout = replace(layout, encoding="utf-8-sig")  # odd bytes are shown as such, never guessed
    if kind in PORTAL and layout.delimiter != ",":
        what = "The portal separates columns with commas; another program has rewritten this file."
        raise refuse(path, what, [layout.header_line], EXPORT_AGAIN)
    columns = find_columns(path, kind, layout)
    damage = check_rows(path, layout, columns)
    damage.judge(path, "AuditData", EXPORT_AGAIN)
    facts = _describe(kind, layout, damage)
    skipped = set(damage.unreadable)
    page: list[bytes] = []
    for line, cells in read_rows(path, layout):
        if any(cells):
            is_unreadable = line in skipped or not cells[columns.payload].strip()
            page.append(_join(cells) if is_unreadable else build_record(cells, columns))
        if len(page) == PAGE_RECORDS:
            yield RawPage(page, facts)
            page = []
    yield RawPage(page, facts)


def find_columns(path: Path, kind: str, layout: Layout) -> Columns:
    """Positions of the columns we know; BadDataError when AuditData is missing or there twice."""
    names = [name.lower() for name in layout.header]
    if names.count("auditdata") != 1:
        what = f"The header has {names.count('auditdata')} columns named AuditData instead of one."
        raise refuse(path, what, [layout.header_line], EXPORT_AGAIN)
    wanted = GRAPH_COLUMNS if kind == "graph_csv" else ROW_COLUMNS
    outer = {
        key: names.index(accepted[0] if accepted[0] in names else accepted[-1])
        for key, accepted in wanted.items()
        if set(accepted) & set(names)
    }
    return Columns(
        outer=tuple(outer.items()),
        payload_key="auditData" if kind == "graph_csv" else "AuditData",
        payload=names.index("auditdata"),
        time=outer.get("CreationDate"),
        month_first=kind in PORTAL,
    )


def check_rows(path: Path, layout: Layout, columns: Columns) -> Damage:
    """Read the whole file once: count rows, and note every line that can't be trusted."""
    damage = Damage()
    width = len(layout.header)
    for line, cells in read_rows(path, layout):
        if not any(cells):
            damage.blank_lines += 1
            continue
        damage.rows += 1
        if len(cells) != width:
            damage.wrong_width.append(line)
        elif not is_json_object(cells[columns.payload]):
            cell = cells[columns.payload]
            if not cell.strip():
                damage.empty += 1  # seen in real exports; quarantined row by row
            elif len(cell.encode("utf-16-le", "surrogatepass")) == 2 * EXCEL_CELL:
                damage.cut_off.append(line)
            else:
                damage.unreadable.append(line)
    return damage


def is_json_object(text: str) -> bool:
    """True when a JSON parser reads it as an object; what parsers dispute is left to the strict decoder."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        pass
    if re.search("[\udc80-\udcff]", text):
        return False  # bytes that are no UTF-8
    try:
        return isinstance(json.loads(text, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False


def build_record(cells: list[str], columns: Columns) -> bytes:
    """The envelope of one row. The outer date is rewritten to ISO only where AuditData has no time."""
    outer = {key: cells[index] for key, index in columns.outer}
    payload = cells[columns.payload]
    if columns.time is not None and '"CreationTime"' not in payload:
        written = cells[columns.time]
        outer["CreationDate"] = read_outer_time(written, columns.month_first) or written
    members = _dump(outer)[1:-1] + (b"," if outer else b"")
    return b'{%b"%b":%b}' % (members, columns.payload_key.encode(), _encode(payload))


def read_outer_time(text: str, month_first: bool) -> str | None:
    """ISO text (UTC) of an outer date with slashes, or None when it is none or could be read in two ways.

    `month_first`: a portal export, which writes month/day/year. PowerShell writes the culture of whoever ran
    it, so 3/12/2025 stays as it is and 18/5/2021 does not.
    """
    found = SLASHED.fullmatch(text.strip())
    if not found:
        return None
    first, second, year, hour, minute = (int(found[group]) for group in range(1, 6))
    if not month_first and first <= 12 and second <= 12 and first != second:
        return None
    month, day = (second, first) if first > 12 else (first, second)
    if found[7]:
        hour = hour % 12 + 12 * (found[7].upper() == "P")
    try:
        return format_instant(datetime(year, month, day, hour, minute, int(found[6] or 0), tzinfo=UTC))
    except ValueError:
        return None


def _join(cells: list[str]) -> bytes:
    """A row that holds no JSON, for the quarantine: cells without CSV quotes, so that the search for
    content keys sees them as they are."""
    return _encode(",".join(cells))


def _dump(outer: dict[str, str]) -> bytes:
    try:
        return orjson.dumps(outer)
    except orjson.JSONEncodeError:
        return _encode(json.dumps(outer, ensure_ascii=False))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _describe(kind: str, layout: Layout, damage: Damage) -> dict[str, Any]:
    """Facts for the manifest: every page carries them, because a long file becomes several packages."""
    facts: dict[str, Any] = {
        "file_rows": damage.rows,
        "unreadable_rows": len(damage.unreadable) + damage.empty,
        "blank_lines": damage.blank_lines,
        "file_encoding": layout.encoding,
        "columns": ", ".join(layout.header),
    }
    if not damage.rows:
        return facts | NO_RECORD
    limit = SUSPICIOUS_ROWS.get(kind, {}).get(damage.rows)
    if limit:
        facts |= {"outcome": "unproven", "reason": f"the file holds exactly {damage.rows:,} rows, {limit}"}
    return facts
