"""Caliper events of the VLE, from files that a collector wrote: envelopes, one a line or one JSON document.

Contains: launches and uses of tools that the register of VLE features names (by object id, host or name):
one record each, with the person's VLE id, role, course, feature and tool. That is the one way to see a
third-party GenAI tool (LearnWise, Copilot, …) opened from Blackboard, which pushes events and never lets
them be asked for. Versions 1.1 and 1.2, thinned events and mixed envelopes are taken.

Does not contain: what happened inside the tool; Blackboard's own AI features (it has no AI event); names,
e-mail addresses, signatures and client addresses, which the files hold and which are never landed. Other
events are counted as `not_genai`; launches of tools that the register doesn't know are counted beside them,
and object ids that look like AI are kept as "unclassified: …". Lag: the collector's; grades come nightly.
Trap: nothing can be asked for again, so what the collector missed is lost. facts/vle.md §1.6, §2.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from genai_audit.errors import BadDataError
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.sources._caliper_events import EventSorter, is_caliper
from genai_audit.sources._json_lines import ADVICE, first_object, read_objects
from genai_audit.sources._tables import Damage
from genai_audit.sources._vle_features import read_features
from genai_audit.sources._vle_records import fill_pages, identify

KINDS = ("caliper_lines", "caliper_json")
DOCUMENT_BYTES = 64_000_000  # one document is held in memory; lines are not


def recognise(path: Path, head: bytes) -> str | None:
    """caliper_lines, caliper_json, or None."""
    if is_caliper(first_object(path, head)):
        return "caliper_lines"
    if head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] not in (b"{", b"[") or b"caliper" not in head:
        return None
    if path.stat().st_size > DOCUMENT_BYTES:
        return None
    try:
        first = next(iter(_load_document(path)), None)
    except BadDataError:
        first = None
    is_cut = first is None and b'"sensor"' in head and b'"dataVersion"' in head  # ours, and refused by `read`
    return "caliper_json" if is_cut or (first is not None and is_caliper(first)) else None


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records in pages of 2,000. Refused whole (BadDataError): a document that is cut off or larger
    than 64 MB, and lines of which more than one in a hundred, and at least two, is no JSON object."""
    features = read_features(context.registers)
    damage, first = Damage(), EventSorter(features)
    for document in _documents(path, kind, damage):
        for _ in first.take(document):
            pass
    damage.judge(path, "A line", ADVICE)
    facts = first.conclude() | {"unreadable_lines": len(damage.unreadable)}
    again = EventSorter(features)
    records = (record for document in _documents(path, kind) for record in again.take(document))
    yield from fill_pages(records, facts | _judge(facts))


def _documents(path: Path, kind: str, damage: Damage | None = None) -> Iterator[dict[str, Any]]:
    return read_objects(path, damage) if kind == "caliper_lines" else iter(_load_document(path))


def _load_document(path: Path) -> list[dict[str, Any]]:
    """The document, or the members of one that is a list."""
    if path.stat().st_size > DOCUMENT_BYTES:
        raise _refuse(path, "The document is larger than 64 MB.", "Write one envelope a line.")
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        raise _refuse(path, "The file is cut off or is not valid JSON.", "Get the complete file.") from None
    members = document if isinstance(document, list) else [document]
    return [one for one in members if isinstance(one, dict)]


def _refuse(path: Path, what: str, next_step: str) -> BadDataError:
    return BadDataError(what, where=path.name, next_step=next_step)


def _judge(facts: dict[str, Any]) -> dict[str, str]:
    if facts["genai"] + facts["unclassified"]:
        return {}
    seen = f"none of the file's {facts['events']:,} events is use of a GenAI tool that the register names"
    return {"outcome": "unproven", "reason": seen if facts["events"] else "the file holds no event"}


SOURCE = Source(
    title="VLE events (Caliper)",
    family="vle",
    base_table="stg_vle_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="on import",
    unproven_when="a file holds no event, or none of a GenAI tool that the register of VLE features names",
    kinds=KINDS,
    recognise=recognise,
    read=read,
)
