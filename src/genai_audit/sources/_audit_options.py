"""What the audit-log query source can be told."""

from __future__ import annotations

from pydantic import Field

from genai_audit.settings import SourceOptions
from genai_audit.sources._audit_families import OPERATIONS


class M365AuditOptions(SourceOptions):
    """Section [m365_audit]."""

    operations: tuple[str, ...] = OPERATIONS
    window_hours: int = Field(24, ge=1, le=24 * 30)
    overlap_days: int = Field(7, ge=0, le=180)  # Copilot records arrive two to three days late
    first_pull_days: int = Field(30, ge=1, le=180)  # Audit (Standard) keeps 180 days
    record_cap: int = Field(1_000_000, ge=1)
    page_size: int = Field(1000, ge=1, le=10_000)
    read_twice: bool = False
    poll_seconds: float = Field(30.0, gt=0)
    deadline_minutes: float = Field(120.0, gt=0)  # one window, everything included
    parallel_windows: int = Field(4, ge=1, le=10)
    retry_seconds: float = Field(5.0, gt=0)  # first pause of our own retries, doubled each time
    request_timeout_seconds: float = Field(100.0, gt=0)
