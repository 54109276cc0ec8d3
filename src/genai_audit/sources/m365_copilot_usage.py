"""Microsoft's own usage report of Microsoft 365 Copilot: who was last active when, one snapshot a day.

Contains: for each user of the report the last day of activity, in all and in each application, and the day
for which the report was made. It stands beside the audit log, so that a gap in either shows.

Does not contain: how often or what for; display names and prompt counts (they are cut off before landing);
days before the last one. Microsoft says that it holds licensed users only, others found unlicensed ones in
it: it is no authority on licences, nor is it right where it differs from the audit log (facts/m365.md §5).
It is made 48 to 72 hours late.

Names may be concealed by a tenant setting: 32 capital hexadecimal digits stand in their place. Then users can
be counted, but nobody can be joined. Never ask for the setting to be changed: the permission for that is
refused here. A CSV from v1.0, or JSON pages, by address: the SDK has no builder for it (§2.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext

PERMISSION = "Reports.Read.All"
REPORT = "getMicrosoft365CopilotUsageUserDetail(period='D7')"
ADDRESSES = (  # asked one after the other until one is not refused
    ("v1.0", f"/copilot/reports/{REPORT}"),
    ("beta", f"/copilot/reports/{REPORT}?$format=application/json"),
    ("v1.0", f"/reports/{REPORT}"),
)
REQUIRED = ("reportrefreshdate", "userprincipalname")
CONCEALED = re.compile(r"[0-9A-F]{32}")
ARE_CONCEALED = "names are concealed: no person can be joined"
EMPTY = "the usage report names nobody: no licence, or a report that is not made yet"


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """One record a user; the last page carries the facts, with `api_version` and `concealed_count`.

    Raises SourceUnavailableError, PermissionMissingError or ConfigurationError if nothing came.
    """
    from genai_audit.sources._graph_bytes import stream_report  # the SDK loads slowly

    concealed = 0

    def reduce(row: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal concealed
        kept = reduce_row(row)
        concealed += kept["is_concealed"]
        return kept

    for page in stream_report(ADDRESSES, context, PERMISSION, required=REQUIRED, reduce=reduce, empty=EMPTY):
        if not page.facts:
            yield page
            continue
        reasons = [page.facts["reason"], ARE_CONCEALED if concealed else ""]
        reason = "; ".join(one for one in reasons if one)
        yield RawPage(facts={**page.facts, "concealed_count": concealed, "reason": reason})


def reduce_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Name, day, period and days of last activity; nothing else, above all no display name."""
    name = str(row.get("userprincipalname") or "").strip()
    activity = {key: value for key, value in row.items() if key.endswith("lastactivitydate")}
    overall = activity.pop("lastactivitydate", None)
    period = row.get("reportperiod") or _find_period(row.get("copilotactivityuserdetailsbyperiod"))
    return {
        "user_principal_name": name,
        "report_refresh_date": row.get("reportrefreshdate"),
        "report_period": period,
        "last_activity_date": overall or None,
        "last_activity_by_app": {
            key.removesuffix("lastactivitydate"): value for key, value in activity.items() if value
        },
        "is_concealed": bool(CONCEALED.fullmatch(name)),
    }


def _find_period(details: Any) -> Any:
    """The beta JSON keeps the period in a list of one."""
    first = details[0] if isinstance(details, list) and details else None
    return first.get("reportPeriod") if isinstance(first, dict) else None


def identify(record: dict[str, Any]) -> RecordIdentity:
    """The name, concealed or not, without a time: a snapshot has that of its window."""
    return RecordIdentity(record.get("user_principal_name") or None, None)


SOURCE = Source(
    title="Microsoft 365 Copilot usage report",
    family="copilot_usage",
    base_table="stg_copilot_usage",
    identify=identify,
    needs=(PERMISSION,),
    lag=timedelta(days=3),
    unproven_when="the report names nobody",
    pull=pull,
    is_snapshot=True,
)
