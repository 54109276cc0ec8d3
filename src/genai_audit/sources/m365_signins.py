"""Sign-ins to AI applications with a university account, from Microsoft Entra.

Contains: one record for each interactive sign-in to an application whose id the tool register lists (match
kind `app_id`) or `app_ids` of the section names: who, when, which application, whether it worked.

Does not contain: use with a private account or without an account (invisible to Entra); what was done after
signing in; sign-ins that happen by themselves in the background (v1.0 leaves them out, and they would inflate
counts). IP address, device and place are not asked for, and cut off should they come. One sign-in may stand
for a day of use, or for an automatic renewal; an interrupted one (a second factor was asked for) has an error
code and counts as failed (facts/m365.md §5).

Permission: AuditLog.Read.All, and Entra ID P1 for 30 days of history; both names are unverified
(facts/m365.md §5). Lag: minutes to hours, taken as a day. Without an application id in the register nothing
is asked, and the window is unproven. Trap: a run asks only for days that nobody asked for yet; after an
application was added to the register, fetch its past with `genai-audit pull --since`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson

from genai_audit.calendars import Window, format_instant
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.settings import SourceOptions
from genai_audit.sources._record_ids import make_identity
from genai_audit.sources._tool_aliases import read_app_ids

PERMISSION = "AuditLog.Read.All"
IDS_A_REQUEST = 15  # a filter of about 900 characters: addresses beyond some 2,000 are not safe
KEPT = ("id", "createdDateTime", "appId", "appDisplayName", "userId")


class M365SigninsOptions(SourceOptions):
    """Section [m365_signins]."""

    app_ids: tuple[str, ...] = ()  # application ids to ask for besides those of the tool register


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Sign-ins of the window. Facts: app_ids (how many were asked for) and those of `stream_lists`."""
    assert isinstance(context.options, M365SigninsOptions)
    app_ids = read_app_ids(context.registers, context.options.app_ids)
    if not app_ids:
        reason = "no app id of an AI tool is in the tool register"
        yield RawPage(facts={"app_ids": 0, "page_count": 0, "outcome": "unproven", "reason": reason})
        return
    from genai_audit.sources._graph_lists import GraphList, stream_lists

    lists = [
        GraphList("/auditLogs/signIns", build_query(window, group), pick=keep_fields)
        for group in (app_ids[at : at + IDS_A_REQUEST] for at in range(0, len(app_ids), IDS_A_REQUEST))
    ]
    yield RawPage(facts={"app_ids": len(app_ids)})
    yield from stream_lists(lists, context, PERMISSION, empty="no sign-in to an AI application was listed")


def build_query(window: Window, app_ids: list[str]) -> dict[str, str]:
    apps = " or ".join(f"appId eq '{one}'" for one in app_ids)
    start, end = format_instant(window.start), format_instant(window.end)
    return {
        "$filter": f"createdDateTime ge {start} and createdDateTime lt {end} and ({apps})",
        "$select": "id,createdDateTime,appId,appDisplayName,userId,status",
        "$top": "1000",
    }


def keep_fields(raw: bytes, value: Any) -> bytes | None:
    """Only what was asked for: a service that overlooks $select would send addresses and devices."""
    if not isinstance(value, dict):
        return raw
    status = value.get("status")
    code = status.get("errorCode") if isinstance(status, dict) else None
    return orjson.dumps({key: value.get(key) for key in KEPT} | {"errorCode": code})


def identify(record: dict[str, Any]) -> RecordIdentity:
    return make_identity(record.get("id"), record.get("createdDateTime"))


def probe(context: SourceContext) -> str:
    """Ask for one sign-in."""
    from genai_audit.sources._graph_probe import ask_once

    return ask_once(context, PERMISSION, "/auditLogs/signIns?$top=1&$select=id")


SOURCE = Source(
    title="Sign-ins to AI applications",
    family="signin",
    base_table="stg_external_use",
    identify=identify,
    needs=(PERMISSION,),
    lag=timedelta(days=1),
    unproven_when="no AI application has its id in the tool register, or a window lists no sign-in at all",
    pull=pull,
    options=M365SigninsOptions,
    keeps=timedelta(days=30),
    requests=1,
    probe=probe,
)
