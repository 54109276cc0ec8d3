"""Microsoft 365 audit records from files that people exported.

Contains: whatever the exporter searched for, in these forms (facts/m365.md §7): the Purview portal's CSV,
`Search-UnifiedAuditLog | Export-Csv`, the older portal's CSV, Graph records as a JSON dump or CSV, and
AuditData as JSON Lines. Does not contain: prompt or response text (CopilotInteraction has none), nor a proof
that the search was complete: portal and PowerShell stop at a number of rows without saying so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from genai_audit.errors import BadDataError, UsageError
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.sources._m365_csv import read_table, recognise_header
from genai_audit.sources._m365_json import NO_RECORD, read_dump, read_lines, recognise_json
from genai_audit.sources._m365_records import identify_record
from genai_audit.sources._tables import sniff_layout

HEAD_BYTES = 1 << 16
TABLE_KINDS = ("purview_csv", "powershell_csv", "older_portal_csv", "graph_csv")
KINDS = (*TABLE_KINDS, "graph_json", "jsonl")


def recognise(path: Path, head: bytes) -> str | None:
    """One of KINDS by content, never by name; `ediscovery_items` for a file that looks alike; else None."""
    found = recognise_json(head)
    layout = None if found else sniff_layout(head)
    return recognise_header(layout.header) if layout else found


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """Records in pages of 2,000. A damaged file is refused (BadDataError) before its first record."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if kind == "ediscovery_items":
        raise BadDataError(
            "This is an eDiscovery item report: a list of messages, not audit records.",
            where=path.name,
            next_step="In Purview, run an Audit search and export that; we read no message content.",
        )
    if kind not in KINDS:
        raise UsageError(
            f"'{kind}' is no kind of Microsoft 365 file.",
            where="--kind",
            next_step=f"Use one of {', '.join(KINDS)}.",
        )
    if not head.strip():
        return iter([RawPage([], NO_RECORD)])
    if kind in TABLE_KINDS:
        return read_table(path, kind, head)
    return read_dump(path, head) if kind == "graph_json" else read_lines(path, head)


SOURCE = Source(
    title="Microsoft 365 audit log, exported files",
    family="m365",
    base_table="stg_m365_event",
    identify=identify_record,
    lag=timedelta(days=3),
    expected="on import",
    kinds=KINDS,
    recognise=recognise,
    read=read,
)
