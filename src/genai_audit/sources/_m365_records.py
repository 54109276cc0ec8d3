"""Where a record of the unified audit log keeps its id and its time, whichever way it was exported.

The body is `auditData.dynamicProperties`, `auditData`, `AuditData` or the object itself, perhaps as a JSON
string (facts/m365.md §§1.4, 7); it wins over the outer columns. Key casing differs between pipelines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from genai_audit.registry import RecordIdentity


def identify_record(value: Mapping[str, Any]) -> RecordIdentity:
    """Id and event time of one record. A CreationTime without a zone is UTC."""
    body = value.get("auditData")
    if type(body) is dict and "dynamicProperties" not in body:  # nearly all records, as Graph writes them
        record_id, created = body.get("Id"), body.get("CreationTime")
        if type(record_id) is str and type(created) is str and record_id.strip() and created.strip():
            return RecordIdentity(record_id.strip(), created.strip())
    body = _find_body(value)
    return RecordIdentity(
        _text(body, "Id") or _text(value, "id", "RecordId"),
        _text(body, "CreationTime") or _text(value, "createdDateTime", "CreationDate"),
    )


def _find_body(value: Mapping[str, Any]) -> Mapping[str, Any]:
    body = _object(_get(value, "auditData"))
    if body is None:
        return value
    inner = _object(body.get("dynamicProperties"))  # written by Graph alone, in this spelling
    return inner if inner else body


def _object(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value if isinstance(value, dict) else None


def _get(value: Mapping[str, Any], name: str) -> Any:
    if name in value:
        return value[name]
    wanted = name.casefold()
    return next((inner for key, inner in value.items() if key.casefold() == wanted), None)


def _text(value: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        text = _get(value, name)
        if isinstance(text, str) and (text := text.strip()):
            return text
    return None
