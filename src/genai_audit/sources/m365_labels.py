"""The tenant's catalogue of sensitivity labels as it is today: one dated snapshot a day.

Contains: every label and sublabel with its name, its parent, its priority (a higher one is more sensitive),
and whether it encrypts. A label that the label register lacks takes a rank from its priority, from the day it
was first seen; the register wins wherever it has the label.

Does not contain: which content carries a label, who may use it, label policies, labels that were deleted
before the first snapshot. The rank that a priority gives is a guess: the register is where people decide.

v1.0 first, then beta: not every tenant has the path, nor takes `$expand` (facts/m365.md §5). A catalogue that
breaks off in the middle is not landed at all, because half of it would give wrong ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import orjson

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext

PERMISSION = "SensitivityLabels.Read.All"
PATH = "/security/dataSecurityAndGovernance/sensitivityLabels"
EXPAND = {"$expand": "sublabels"}
ATTEMPTS: tuple[tuple[str, dict[str, str] | None], ...] = (("v1.0", EXPAND), ("v1.0", None), ("beta", EXPAND))
KEPT = ("id", "name", "displayName", "priority", "hasProtection")
NO_LABEL = "the catalogue showed no label: labels may not be in use, or not readable"


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """All labels in one page, then the facts, with `api_version` and `has_sublabels_asked`.

    Raises SourceUnavailableError, PermissionMissingError or ConfigurationError if nothing came.
    """
    from genai_audit.sources._graph_lists import GraphList, stream_lists  # the SDK loads slowly

    for version, query in ATTEMPTS:
        labels = GraphList(PATH, query, version, is_optional=True)
        arrived = list(stream_lists([labels], context, PERMISSION, empty=NO_LABEL))
        facts = {**arrived[-1].facts, "api_version": version, "has_sublabels_asked": bool(query)}
        if facts["outcome"] != "unproven":
            break
    if facts["outcome"] == "complete":
        yield RawPage(flatten([raw for page in arrived for raw in page.records]))
    yield RawPage(facts=facts)


def flatten(records: Sequence[bytes]) -> list[bytes]:
    """Labels and sublabels side by side, each once; what can't be read is handed on as it came.

    A sublabel may also stand in the list by itself: the entry under its parent counts.
    """
    unread: list[bytes] = []
    found: dict[str, dict[str, Any]] = {}
    for raw in records:
        try:
            entry = orjson.loads(raw)
            _take(entry, None, found)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            unread.append(raw)  # landing sets it aside with a reason
    return [orjson.dumps(label) for label in found.values()] + unread


def _take(entry: dict[str, Any], parent_id: str | None, found: dict[str, dict[str, Any]]) -> None:
    label = {name: entry.get(name) for name in KEPT} | {"parentId": parent_id}
    key = str(entry["id"]).lower()
    if parent_id or key not in found:
        found[key] = label
    for sublabel in entry.get("sublabels") or ():
        _take(sublabel, entry["id"], found)


def identify(record: dict[str, Any]) -> RecordIdentity:
    """The label's id, without a time: a snapshot has that of its window."""
    found = record.get("id")
    return RecordIdentity(found if isinstance(found, str) and found else None, None)


SOURCE = Source(
    title="Sensitivity labels of the tenant",
    family="label_catalogue",
    base_table="stg_label_catalogue",
    identify=identify,
    needs=(PERMISSION,),
    lag=timedelta(days=1),
    unproven_when="the catalogue shows no label, or the tenant has no such list",
    pull=pull,
    is_snapshot=True,
)
