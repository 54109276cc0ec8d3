"""Applications that may read Microsoft 365 data for people, and who let them, from Microsoft Entra.

Contains, once a day: one record for each delegated permission that stands (`oauth2PermissionGrants`: which
application, for one person or for everybody, which scopes), with the highest risk among its scopes (tier 1 to
4, `scope_tiers.csv`); and one for each "Consent to application" in the directory audit of the last days.

Does not contain: permissions that applications hold without a person (app role assignments); whether a
permission was ever used; applications of Microsoft's own, recognised by the tenant that owns them, left out
and counted. Names of applications are not unique and not taken: match on the application id. An application
that the directory no longer lists is kept, with the id of its service principal. Consent by an administrator
covers everybody and names nobody. Which of these are AI tools, only the tool register says.

Permissions: Directory.Read.All and AuditLog.Read.All, both names unverified (facts/m365.md §5), as is the
text of a consent audit in which scopes are found. Lag: a day. A standing grant is a fact, not a use.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import Field

from genai_audit.calendars import Window, format_instant
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.settings import SourceOptions
from genai_audit.sources._record_ids import make_identity

PERMISSIONS = ("Directory.Read.All", "AuditLog.Read.All")
PRINCIPALS = "id,appId,appOwnerOrganizationId,servicePrincipalType,verifiedPublisher"
GRANTS = "id,clientId,consentType,principalId,scope"


class M365AppConsentsOptions(SourceOptions):
    """Section [m365_app_consents]."""

    overlap_days: int = Field(7, ge=0, le=29)  # so far back the directory audit is asked each day


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Grants and consents. Facts: service_principals, first_party_grants, first_party_consents, unknown_apps,
    and those of `stream_lists`."""
    from genai_audit.sources._consent_records import Consents
    from genai_audit.sources._graph_lists import GraphList, stream_lists

    consents = Consents()
    since = format_instant(window.start - timedelta(days=context.options.overlap_days))
    until = format_instant(window.end)
    audits = {
        "$filter": "activityDisplayName eq 'Consent to application' and "
        f"activityDateTime ge {since} and activityDateTime lt {until}",
        "$top": "500",
    }
    lists = [
        GraphList("/servicePrincipals", {"$select": PRINCIPALS, "$top": "999"}, pick=consents.keep_principal),
        GraphList("/oauth2PermissionGrants", {"$select": GRANTS, "$top": "999"}, pick=consents.keep_grant),
        GraphList("/auditLogs/directoryAudits", audits, pick=consents.keep_audit),
    ]
    wanted = " or ".join(PERMISSIONS)
    yield from stream_lists(lists, context, wanted, empty="the directory listed no application at all")
    yield RawPage(facts=dict(consents.counts))


def identify(record: dict[str, Any]) -> RecordIdentity:
    """Without a time: a consent of last week belongs into today's package, and a grant has no time of its
    own."""
    return make_identity(record.get("id"), prefix=record.get("record"))


def probe(context: SourceContext) -> str:
    """Ask for one entry of each list."""
    from genai_audit.sources._graph_probe import ask_once

    ask_once(context, PERMISSIONS[0], "/oauth2PermissionGrants?$top=1&$select=id")
    return ask_once(context, PERMISSIONS[1], "/auditLogs/directoryAudits?$top=1&$select=id")


SOURCE = Source(
    title="Consents to applications",
    family="consent",
    base_table="stg_external_use",
    identify=identify,
    needs=PERMISSIONS,
    lag=timedelta(days=1),
    unproven_when="the directory lists no application at all, which no tenant is without",
    pull=pull,
    options=M365AppConsentsOptions,
    is_snapshot=True,
    keeps=timedelta(days=30),
    requests=3,
    probe=probe,
)
