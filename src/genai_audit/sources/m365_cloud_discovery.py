"""AI applications that Defender for Cloud Apps discovered in the university's web traffic.

Contains, once a day: for each stream of traffic logs and each application of a generative-AI category, how
many people and transactions were seen in the last 7, 30 or 90 days, and how much was uploaded. The same from
the portal's export of discovered apps (CSV), by `genai-audit import`; the file's name must hold its day.

Does not contain: who (not asked for); devices outside the university's networks and managed devices; anything
where no traffic log is fed in. Periods overlap: rows of two days, or of two streams, must never be added
together. Microsoft sorts applications into categories; one that it sorts elsewhere is left out, and counted.
An application with several domains is matched by its shortest, one without by its name.

Permission: CloudApp-Discovery.Read.All. The interface is beta and may change; without the header that asks
for new words it would call model providers, MCP servers and AI clients `unknownFutureValue`. Lag: a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.settings import SourceOptions
from genai_audit.sources import _discovered_apps as tables
from genai_audit.sources._record_ids import make_identity

PERMISSION = "CloudApp-Discovery.Read.All"
STREAMS = "/security/dataDiscovery/cloudAppDiscovery/uploadedStreams"
NEW_WORDS = {"Prefer": "include-unknown-enum-members"}


class M365CloudDiscoveryOptions(SourceOptions):
    """Section [m365_cloud_discovery]."""

    period_days: Literal[7, 30, 90] = 7  # the days that each sum covers
    # As the interface (first) and the portal (then) write them; case, spaces and hyphens don't matter.
    categories: tuple[str, ...] = (
        "generativeAi", "aiModelProvider", "mcpServer", "clientAiApp", "AI - MCP Server",
    )  # fmt: skip


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Sums by stream and application. Facts: streams, and those of `stream_lists`."""
    from genai_audit.sources._graph_lists import GraphList, stream_lists

    assert isinstance(context.options, M365CloudDiscoveryOptions)
    days = context.options.period_days
    categories = {tables.simplify(one) for one in context.options.categories}
    streams: list[str] = []

    def remember(raw: bytes, value: Any) -> bytes | None:
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            streams.append(value["id"])
        return None

    first = GraphList(STREAMS, {"$select": "id"}, "beta", pick=remember)
    found = list(stream_lists([first], context, PERMISSION, empty="no traffic log is fed into Defender"))
    yield RawPage(facts={**found[-1].facts, "streams": len(streams)})
    if streams:
        call = f"aggregatedAppsDetails(period=duration'P{days}D')"
        lists = []
        for one in streams:
            path = f"{STREAMS}/{quote(one, safe='')}/{call}"
            pick = partial(tables.keep_entry, one, days, categories)
            lists.append(GraphList(path, {"$select": tables.ENTRY}, "beta", pick, NEW_WORDS))
        yield from stream_lists(lists, context, PERMISSION, empty="no application was discovered at all")
    if found[-1].facts["outcome"] == "partial":
        yield RawPage(facts={"outcome": "partial", "reason": found[-1].facts["reason"]})


def probe(context: SourceContext) -> str:
    """Ask for the streams once."""
    from genai_audit.sources._graph_probe import ask_once

    return ask_once(context, PERMISSION, f"{STREAMS}?$select=id", "beta")


def recognise(path: Path, head: bytes) -> str | None:
    return tables.recognise(head)


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """Rows of AI categories. BadDataError when the file is damaged or lacks a column or a day in its name."""
    assert isinstance(context.options, M365CloudDiscoveryOptions)
    return tables.read_table(path, context.options.categories)


def identify(record: dict[str, Any]) -> RecordIdentity:
    """Without a time, as a snapshot has none; a row of a file has the day of its file's name."""
    return make_identity(record.get("id"), record.get("day"), prefix=record.get("stream"))


SOURCE = Source(
    title="Discovered AI applications",
    family="cloud_discovery",
    base_table="stg_external_use",
    identify=identify,
    needs=(PERMISSION,),
    lag=timedelta(days=1),
    unproven_when="no traffic log is fed into Defender, or it discovered no application at all",
    pull=pull,
    options=M365CloudDiscoveryOptions,
    is_snapshot=True,
    keeps=timedelta(days=90),
    requests=2,
    probe=probe,
    kinds=(tables.KIND,),
    recognise=recognise,
    read=read,
)
