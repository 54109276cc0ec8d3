"""Visits of managed devices to AI domains, and text or files given to them, from Microsoft Defender hunting.

Contains: network events of devices with Defender for Endpoint to a domain of the tool register
(DeviceNetworkEvents), and pasting into a browser or uploading to a cloud site of such a domain
(CloudAppEvents: PastedToBrowser, FileUploadedToCloud): when, which account, which host, which kind of event.

Does not contain: private and unmanaged devices; what was typed, pasted or uploaded; addresses beyond the host
name (a search may stand in them), device names, IP addresses and names of people: the queries do not project
them, and what comes besides is cut off. A network event is no use: pages load by themselves, and a blocked
connection is an event too. Entries of the register with a path can't be told from a host and are left out.

Off unless `sources.enabled` names it. Permission: ThreatHunting.Read.All (name unverified, facts/m365.md §5);
the request is a POST that only reads. Thirty days are kept (unverified). The columns that hold the account of
a process and the target of an upload are unverified too, as is the hash that stands for an event's id. One
answer holds at most 100,000 rows; a fuller span is asked in halves. Trap: a run asks only for days that
nobody asked for yet; after a domain was added to the register, pull its past with `pull --since`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import orjson
from pydantic import Field

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.settings import SourceOptions
from genai_audit.sources._hunting_queries import write_network_query, write_upload_query
from genai_audit.sources._record_ids import make_identity
from genai_audit.sources._tool_aliases import read_hosts

PERMISSION = "ThreatHunting.Read.All"
HOSTS_A_QUERY = 150  # some 4,000 characters of query text
KEPT = ("RecordId", "Timestamp", "AccountObjectId", "Host", "ActionType")
PlainWord = Annotated[str, Field(pattern="^[A-Za-z]{1,60}$")]  # it goes into a query


class M365HuntingOptions(SourceOptions):
    """Section [m365_hunting]."""

    row_cap: int = Field(100_000, ge=2)  # rows that the service gives in one answer at most
    upload_actions: tuple[PlainWord, ...] = ("PastedToBrowser", "FileUploadedToCloud")  # ActionType words


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Events of the window. Facts: hosts, paths_left_out, and those of `stream_hunts`."""
    options = context.options
    assert isinstance(options, M365HuntingOptions)
    hosts, with_path = read_hosts(context.registers)
    facts: dict[str, Any] = {"hosts": len(hosts), "paths_left_out": with_path}
    if not hosts:
        reason = "no domain of an AI tool is in the tool register"
        yield RawPage(facts=facts | {"query_count": 0, "outcome": "unproven", "reason": reason})
        return
    from genai_audit.sources._graph_hunting import Hunt, stream_hunts

    hunts = []
    for at in range(0, len(hosts), HOSTS_A_QUERY):
        group = hosts[at : at + HOSTS_A_QUERY]
        hunts += [
            Hunt(partial(write_network_query, group), partial(keep_row, "network", group)),
            Hunt(
                partial(write_upload_query, group, options.upload_actions),
                partial(keep_row, "cloud_app", group),
            ),
        ]
    yield RawPage(facts=facts)
    empty = "no event was found: are devices onboarded, and is the permission granted?"
    yield from stream_hunts(hunts, window, options.row_cap, context, PERMISSION, empty=empty)


def keep_row(table: str, hosts: Sequence[str], row: dict[str, Any]) -> bytes | None:
    """Only what the query projects, and only hosts of the register: a query finds words, not domains."""
    host = str(row.get("Host") or "").lower()
    if not any(host == one or host.endswith(f".{one}") for one in hosts):
        return None
    return orjson.dumps({"table": table} | {key: row.get(key) for key in KEPT})


def identify(record: dict[str, Any]) -> RecordIdentity:
    return make_identity(record.get("RecordId"), record.get("Timestamp"), prefix=record.get("table"))


SOURCE = Source(
    title="Device visits to AI domains (hunting)",
    family="hunting",
    base_table="stg_external_use",
    identify=identify,
    needs=(PERMISSION,),
    lag=timedelta(days=1),
    unproven_when="the tool register has no domain, or no device is onboarded to Defender",
    pull=pull,
    options=M365HuntingOptions,
    keeps=timedelta(days=30),
    requests=2,
)
