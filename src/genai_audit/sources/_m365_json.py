"""Microsoft 365 audit records in JSON files: Graph dumps, lists of AuditData, and JSON Lines.

Records are cut out with their exact text (facts/m365.md §2.3, §7.3), never parsed and written again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage
from genai_audit.sources._json_slices import NotJsonError, slice_document
from genai_audit.sources._tables import Lines, open_text, sniff_encoding

PAGE_RECORDS = 2_000
NEXT_LINK = "@odata.nextLink"
NO_RECORD = {"outcome": "unproven", "reason": "the file holds no record"}
PAYLOAD_KEYS = ("CopilotEventData", "AuditData", "auditData")
# A record has an operation and one of these, or carries AuditData or CopilotEventData itself.
BESIDE_OPERATION = {"recordtype", "auditlogrecordtype", "workload", "creationtime", "createddatetime"}


def recognise_json(head: bytes) -> str | None:
    """`graph_json` (a document with a list of audit records), `jsonl` (one a line), or None."""
    text = _decode(head).lstrip()
    if text[:1] not in ("{", "["):
        return None
    first = _parse(unwrap_record(text.partition("\n")[0]))
    if _is_audit(first):
        return "jsonl"
    try:
        for member in slice_document(io.StringIO(text), "value"):
            if member.key is None:
                return "graph_json" if _is_audit(_parse(member.text)) else None
            if member.key == "@odata.context" and "auditLog" in member.text:
                return "graph_json"
    except NotJsonError:
        pass
    return _guess_by_beginning(text) if first is None else None


def read_dump(path: Path, head: bytes) -> Iterator[RawPage]:
    """Records of one JSON document. It is read to its end first, so that a cut-off file lands nothing."""
    facts: dict[str, Any] = {"file_rows": 0}
    for member_key, text in _slices(path, head):
        facts["file_rows"] += member_key is None
        if member_key == NEXT_LINK and text not in ("null", '""'):
            facts |= {"outcome": "partial", "reason": "the dump ends at a page that names a next page"}
    if not facts["file_rows"]:
        facts |= NO_RECORD
    page: list[bytes] = []
    for member_key, text in _slices(path, head):
        if member_key is None:
            page.append(text.encode("utf-8", "surrogateescape"))
        if len(page) == PAGE_RECORDS:
            yield RawPage(page, facts)
            page = []
    yield RawPage(page, facts)


def read_lines(path: Path, head: bytes) -> Iterator[RawPage]:
    """One record a line. A line that is no JSON is handed on, for the quarantine."""
    page: list[bytes] = []
    is_empty = True
    with open_text(path, _encoding(head)) as file:
        for line in Lines(path, file):
            text = line.strip()
            if text:
                page.append(unwrap_record(text).encode("utf-8", "surrogateescape"))
                is_empty = False
            if len(page) == PAGE_RECORDS:
                yield RawPage(page)
                page = []
    yield RawPage(page, NO_RECORD if is_empty else {})


def unwrap_record(line: str) -> str:
    """The record inside `{"_source": "…", "record": {…}}` (other keys begin with `_`), else the line."""
    if not line.startswith('{"_') or '"record"' not in line:
        return line
    try:
        members = {str(member.key): member.text for member in slice_document(io.StringIO(line), None)}
    except NotJsonError:
        return line
    is_wrapper = "record" in members and all(key == "record" or key.startswith("_") for key in members)
    return members["record"] if is_wrapper else line


def _slices(path: Path, head: bytes) -> Iterator[tuple[str | None, str]]:
    try:
        with open_text(path, _encoding(head)) as file:
            for member in slice_document(file, "value"):
                yield member.key, member.text
    except NotJsonError as error:
        raise BadDataError(
            "The file is cut off or is not valid JSON.",
            where=f"{path.name}, near character {error.at:,}",
            next_step="Download or dump the records again, and import the complete file.",
        ) from None


def _is_audit(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    names = {key.casefold() for key in value}
    has_payload = bool(names & {"auditdata", "copiloteventdata"})
    return has_payload or ("operation" in names and bool(names & BESIDE_OPERATION))


def _guess_by_beginning(text: str) -> str | None:
    """For a first record that is longer than the head: its visible part has to do."""
    if not any(f'"{key}":' in text for key in PAYLOAD_KEYS):
        return None
    return "graph_json" if re.match(r'\[|\{[^{\[]*"value"\s*:\s*\[', text) else "jsonl"


def _parse(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _encoding(head: bytes) -> str:
    encoding = sniff_encoding(head)
    return "utf-8-sig" if encoding == "cp1252" else encoding


def _decode(head: bytes) -> str:
    return head.decode(_encoding(head), "replace").lstrip("\ufeff")
