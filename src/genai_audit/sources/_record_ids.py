"""The identity of a record whose fields may hold anything."""

from __future__ import annotations

from typing import Any

from genai_audit.registry import RecordIdentity


def make_identity(record_id: Any, occurred_at: Any = None, *, prefix: Any = "") -> RecordIdentity:
    """Words and whole numbers are ids, other values none; a time that is no text is unknown."""
    is_id = isinstance(record_id, str | int) and not isinstance(record_id, bool) and record_id != ""
    name = f"{prefix}:{record_id}" if prefix else f"{record_id}"
    return RecordIdentity(name if is_id else None, occurred_at if isinstance(occurred_at, str) else None)
