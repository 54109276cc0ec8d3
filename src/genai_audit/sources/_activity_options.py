"""What the activity feed source can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from genai_audit.settings import SourceOptions
from genai_audit.sources._audit_families import OPERATIONS

ContentType = Literal[
    "Audit.General", "DLP.All", "Audit.SharePoint", "Audit.Exchange", "Audit.AzureActiveDirectory"
]


class M365ActivityApiOptions(SourceOptions):
    """Section [m365_activity_api]."""

    # Labels of files in SharePoint and of mails may need Audit.SharePoint and Audit.Exchange as well.
    content_types: tuple[ContentType, ...] = Field(("Audit.General", "DLP.All"), min_length=1)
    api_url: str = "https://manage.office.com"  # another host in a national cloud
    publisher_id: str = ""  # tenant id whose share of the request limit is used; empty: the tenant's own
    start_subscriptions: bool = False  # true: a pull may switch a content type on that is off
    operations: tuple[str, ...] = OPERATIONS  # landed besides everything of the AI, DLP and label types
    window_hours: int = Field(24, ge=1, le=24)  # the feed gives no more at once
    first_pull_days: int = Field(6, ge=1, le=6)  # it keeps seven days, to the second
