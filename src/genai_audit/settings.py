"""One frozen Settings object: `genai-audit.toml` of the workspace, then `GENAI_AUDIT_…`, then flags.

Precedence: flag > environment > TOML > default. Unknown keys are refused with the nearest known name.
Secrets are never values here, only paths of files that hold them. Sources add a section each:
`configuration.py` puts them together.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TenantSettings(Section):
    """The Entra application that reads the audit log."""

    tenant_id: str = ""
    client_id: str = ""
    credential: Literal["certificate", "client_secret", "managed_identity"] = "certificate"
    certificate_path: Path | None = None  # PEM with private key and certificate
    client_secret_path: Path | None = None  # a file of mode 0600 that holds the secret
    graph_url: str = "https://graph.microsoft.com"
    authority_url: str = "https://login.microsoftonline.com"
    ca_bundle: Path | None = None  # extra certificate authority, for a proxy or a test tenant


class SourcesSettings(Section):
    enabled: tuple[str, ...] = ("m365_audit",)  # pulled by `run`
    expected: tuple[str, ...] = ("m365_audit",)  # reported as silent when they say nothing


class SourceOptions(Section):
    """What every source that is pulled can be told, in the section that has its name. A source may add keys
    and other defaults of its own (`Source.options`)."""

    window_hours: int = Field(24, ge=1, le=24 * 30)  # one package
    overlap_days: int = Field(1, ge=0, le=180)  # asked for again by each run, for what arrived late
    first_pull_days: int = Field(30, ge=1, le=365)
    parallel_windows: int = Field(1, ge=1, le=10)
    deadline_minutes: float = Field(60.0, gt=0)  # one window, everything included
    retry_seconds: float = Field(5.0, gt=0)  # first pause of our own retries, doubled each time
    request_timeout_seconds: float = Field(100.0, gt=0)


class PrivacySettings(Section):
    content_keys: tuple[str, ...] = (
        "PromptText", "ResponseText", "Prompt", "Response", "Completion", "GeneratedContent",
        "MessageText", "MessageBody", "Transcript", "DetectedValues",
    )  # fmt: skip
    suppress_below: int = Field(8, ge=2)  # 1..7 people are never shown
    round_to: int = Field(5, ge=1)


class RetentionSettings(Section):
    raw_days: int = Field(90, ge=1)
    parsed_months: int = Field(13, ge=1)
    aggregate_years: int = Field(6, ge=1)


class LimitsSettings(Section):
    parse_threads: int = Field(2, ge=1, le=64)
    batch_records: int = Field(50_000, ge=100)
    package_records: int = Field(250_000, ge=100)  # a larger import becomes several packages
    record_bytes: int = Field(1_000_000, ge=1_000)
    memory_mb: int = Field(768, ge=256)
    query_seconds: int = Field(30, ge=1)
    query_memory_mb: int = Field(1_024, ge=256)


class ReportSettings(Section):
    organisation: str = "University"
    contact: str = "the information compliance team"


class Settings(BaseSettings):
    """Everything that can be configured, but for the sections of the sources."""

    model_config = SettingsConfigDict(
        env_prefix="GENAI_AUDIT_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    tenant: TenantSettings = TenantSettings()
    sources: SourcesSettings = SourcesSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    limits: LimitsSettings = LimitsSettings()
    reports: ReportSettings = ReportSettings()
    detections: dict[str, dict[str, Any]] = {}  # parameters by detection id
    workspace: str = ""  # only so that GENAI_AUDIT_WORKSPACE is a known name; the workspace itself decides

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    def digest(self) -> str:
        """SHA-256 of all values: recorded in every manifest and run."""
        return hashlib.sha256(self.model_dump_json(exclude={"workspace"}).encode()).hexdigest()
