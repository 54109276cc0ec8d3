"""Ids of audit queries on disk, so that a killed pull resumes its query and never spends a second submission.

One small file for each window that is being pulled. It is written before a query is created (its display name
holds a nonce, so a query whose creation was not confirmed is found again by that name) and removed when the
window was read to its end: a later pull of the same window must ask anew, because records arrive late.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from genai_audit.calendars import Window
from genai_audit.registry import SourceContext
from genai_audit.sources._audit_options import M365AuditOptions
from genai_audit.workspace import canonical_json, write_durably

KEPT_SECONDS = 24 * 3600  # an older answer would miss too much of what arrived since; how long it stays
# readable is not documented (facts/m365.md §11)


@dataclass(frozen=True)
class QueryEntry:
    """One query. `query_id` is empty until its creation was confirmed."""

    display_name: str
    query_id: str
    api_version: str
    asked_at: float  # seconds since 1970


class QueryState:
    """The queries of one window (its halves included) for one tenant and one set of filters."""

    def __init__(self, context: SourceContext, window: Window) -> None:
        assert isinstance(context.options, M365AuditOptions)
        folder, tenant = context.state_dir, context.settings.tenant
        operations = sorted(context.options.operations)
        self.filters = hashlib.sha256(canonical_json(operations)).hexdigest()[:12]
        self._scope = {
            "tenant": [tenant.graph_url, tenant.tenant_id], "filters": operations, "window": str(window),
        }  # fmt: skip
        name = hashlib.sha256(canonical_json(self._scope)).hexdigest()[:32]
        self._path = folder / f"{name}.json"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _prune(folder)
        self._entries = dict(self._load())

    def find(self, span: Window) -> QueryEntry | None:
        return self._entries.get(str(span))

    def announce(self, span: Window, api_version: str) -> QueryEntry:
        """Note that a query is about to be created."""
        name = f"genai-audit {span} {self.filters} {secrets.token_hex(4)}"
        return self._store(span, QueryEntry(name, "", api_version, time.time()))

    def confirm(self, span: Window, query_id: str, api_version: str) -> QueryEntry:
        entry = replace(self._entries[str(span)], query_id=query_id, api_version=api_version)
        return self._store(span, entry)

    def drop(self, span: Window) -> None:
        """Forget a query that failed or is gone."""
        self._entries.pop(str(span), None)
        self._save()

    def clear(self) -> None:
        """The window was read to its end, or its queries are not to be trusted."""
        self._entries.clear()
        self._path.unlink(missing_ok=True)

    def _store(self, span: Window, entry: QueryEntry) -> QueryEntry:
        self._entries[str(span)] = entry
        self._save()
        return entry

    def _save(self) -> None:
        entries = {span: asdict(entry) for span, entry in self._entries.items()}
        write_durably(self._path, canonical_json(self._scope | {"entries": entries}))

    def _load(self) -> Iterator[tuple[str, QueryEntry]]:
        """What is there, unless it is unreadable, too old, or belongs to another tenant or filter."""
        try:
            found = json.loads(self._path.read_bytes())
            if {key: found.pop(key) for key in self._scope} != self._scope:
                return
            entries = [(span, QueryEntry(**entry)) for span, entry in found["entries"].items()]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        yield from ((span, entry) for span, entry in entries if time.time() - entry.asked_at < KEPT_SECONDS)


def _prune(folder: Path) -> None:
    """Remove files of windows that nobody came back for. Another pull may do the same at the same time."""
    for path in folder.glob("*.json"):
        try:
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
