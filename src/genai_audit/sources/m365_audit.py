"""Microsoft 365 unified audit log, through the Graph audit-log query API.

Contains: one record for each interaction with Copilot, Copilot agents and AI applications (who, when, in
which application, which files and labels were accessed, whether an attack was flagged), and records of DLP
rules that matched, of sensitivity labels that were set, removed or opened, and of settings that were changed.

Does not contain: what was asked or answered (the text lives elsewhere, and the permission that would give it
is refused); use of AI tools that Microsoft does not see (unmanaged devices and browsers); what happened while
auditing was off; kinds of records whose operation names are not published: changes of agents
(AgentAdminActivity, AgentSettingsAdminActivity) and of workspaces, scheduled prompts (363), exports of AI
interactions (362, 379, 380), automations in Outlook (373), triggers of Security Copilot (383), management of
agents (384). The query is asked by operation: add their names to `operations` once your tenant shows them.
m365_activity_api and a file export bring these records without. The FileCreated, FileModified and FileRenamed
of devices are not asked for: SharePoint has events so named for every file.

Records arrive late (Copilot's two to three days), and the service may return fewer than it holds. No record
is no proof of no use (facts/m365.md §8).

Audit (Standard) keeps 180 days. A tenant may submit some 200 queries in 24 hours, shared by all its tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.sources._audit_options import M365AuditOptions
from genai_audit.sources._m365_records import identify_record

PERMISSION = "AuditLogsQuery.Read.All"  # the only one that covers Copilot (facts/m365.md §1.5)


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Records of the window as they arrive, payload untouched; the last page carries the facts.

    Facts: query_ids, api_version, retry_count, throttled_count, page_count, approximate, first_read,
    second_read, capped_windows, outcome, reason. Raises SourceUnavailableError, PermissionMissingError or
    ConfigurationError if no record came. A pull that was killed resumes its query when it is called again.
    """
    from genai_audit.sources._audit_window import stream_window  # the SDK takes a third of a second to load

    return stream_window(window, context, identify_record, PERMISSION)


def probe(context: SourceContext) -> str:
    """Ask once for the list of queries."""
    from genai_audit.sources._graph_probe import check_reachability

    check_reachability(context.settings, PERMISSION)
    return f"{context.settings.tenant.graph_url} answers"


SOURCE = Source(
    title="Microsoft 365 audit log",
    family="m365",
    base_table="stg_m365_event",
    identify=identify_record,
    needs=(PERMISSION,),
    lag=timedelta(days=3),
    expected="daily",
    unproven_when="a window with a weekday holds no record: auditing may be off, or a permission missing",
    pull=pull,
    options=M365AuditOptions,
    requests=3,  # create, poll and read
    probe=probe,
)
