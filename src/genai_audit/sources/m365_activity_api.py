"""Microsoft 365 unified audit log, through the Office 365 Management Activity API.

Contains: the same records as m365_audit, as the service publishes them in blobs: interactions with Copilot
and AI applications, their administration, DLP matches and sensitivity labels. A record that came through both
doors counts once; `door_comparison` says how many only one of them brought. It is filtered by record type, so
kinds of administration whose operation names nobody published come too.

Does not contain: what was asked or answered; what the service published while no subscription was running
(nothing is filled in later) or more than seven days ago; Facilitator's records (334), which reportedly never
come this way; labels that belong to Audit.SharePoint or Audit.Exchange, unless these are listed under
content_types. The feed can't be filtered: everything else that a content type brings is read, counted
(`left_out`) and forgotten.

Permission: ActivityFeed.Read of "Office 365 Management APIs" (not Graph), application, with admin consent.
ActivityFeed.ReadDlp would add the sensitive values that a DLP rule found: it is not needed.

Traps: a window is of arrival. A record stands in the window in which its blob was made, a day or three after
it happened, so a day is complete only when the windows of the days after it have been read. The order is
arbitrary, and duplicates are sent by design. A content type must have been switched on; the tool does that
only if start_subscriptions is set, else such a window is unproven. An expired blob leaves its window partial
(facts/m365.md §6).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._activity_options import M365ActivityApiOptions
from genai_audit.sources._m365_records import identify_record

PROBE_MINUTES = 0.5


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Records of all content made within the window, payload untouched; the last page carries the facts.

    A pull that was killed reads the same blobs again. Raises SourceUnavailableError, PermissionMissingError
    or ConfigurationError if nothing came.
    """
    from genai_audit.sources._activity_window import stream_window  # the sign-in library loads slowly

    return stream_window(window, context)


def probe(context: SourceContext) -> str:
    """Sign in, look at the token's permissions, and list the subscriptions."""
    from dataclasses import replace

    from genai_audit.sources._activity_feed import open_feed

    options = context.options
    assert isinstance(options, M365ActivityApiOptions)
    hasty = options.model_copy(update={"deadline_minutes": PROBE_MINUTES})
    with open_feed(replace(context, options=hasty)) as feed:
        feed.require_permission()
        found = feed.list_subscriptions()
    states = ", ".join(f"{one} {found.get(one, 'never started')}" for one in options.content_types)
    return f"{options.api_url} answers; subscriptions: {states}"


def _missing(settings: Settings, options: SourceOptions) -> str:
    is_filled = settings.tenant.tenant_id and settings.tenant.client_id
    return "" if is_filled else "fill tenant_id and client_id under [tenant]"


SOURCE = Source(
    title="Microsoft 365 audit log (activity feed)",
    family="m365",
    base_table="stg_m365_event",
    identify=identify_record,
    lag=timedelta(days=3),
    expected="daily",
    unproven_when="a content type has no subscription, or a weekday's window announces no content at all",
    pull=pull,
    options=M365ActivityApiOptions,
    is_window_by_arrival=True,
    keeps=timedelta(days=7) - timedelta(hours=1),
    requests=3,  # subscriptions, a list for each of two content types; then one for each blob
    missing=_missing,
    probe=probe,
)
