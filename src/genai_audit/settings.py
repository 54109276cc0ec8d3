"""One frozen Settings object: `genai-audit.toml` of the workspace, then `GENAI_AUDIT_…`, then flags.

Precedence: flag > environment > TOML > default. Unknown keys are refused with the nearest known name.
Secrets are never values here, only paths of files that hold them.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from genai_audit.errors import ConfigurationError

FILE_NAME = "genai-audit.toml"


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


class M365AuditSettings(Section):
    operations: tuple[str, ...] = (
        "CopilotInteraction",
        "AIAppInteraction",
        "ConnectedAIAppInteraction",
        "TeamCopilotInteraction",
        "DLPRuleMatch",
        "DlpRuleMatch",
        "PastedToBrowser",
        "FileUploadedToCloud",
        "SensitivityLabelApplied",
        "SensitivityLabelUpdated",
        "SensitivityLabelRemoved",
        "FileSensitivityLabelApplied",
        "FileSensitivityLabelChanged",
        "FileSensitivityLabelRemoved",
        "MipLabel",
        "UpdateTenantSettings",
        "CreatePlugin",
        "UpdatePlugin",
        "DeletePlugin",
        "EnablePlugin",
        "DisablePlugin",
        "CreatePromptBook",
        "UpdatePromptBook",
        "DeletePromptBook",
        "EnablePromptBook",
        "DisablePromptBook",
    )
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
    """Everything that can be configured. `origin` says where each value that is not a default came from."""

    model_config = SettingsConfigDict(
        env_prefix="GENAI_AUDIT_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    tenant: TenantSettings = TenantSettings()
    sources: SourcesSettings = SourcesSettings()
    m365_audit: M365AuditSettings = M365AuditSettings()
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


def load_settings(file: Path) -> Settings:
    """Read a TOML file (absent: defaults) and the environment; every mistake is listed at once."""
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The configuration is not valid TOML: {error}.",
                where=file.name,
                next_step="Correct the line; strings need quotes, lists need brackets.",
            ) from error
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(
            "The configuration has mistakes: " + " ".join(_sentence(one) for one in error.errors()),
            where=file.name,
            next_step="Correct them, then run `genai-audit doctor`.",
        ) from None


def _sentence(mistake: Any) -> str:
    key = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] != "extra_forbidden":
        return f"{key}: {mistake['msg']}."
    near = difflib.get_close_matches(str(mistake["loc"][-1]), _names(Settings, mistake["loc"][:-1]), n=1)
    return f"{key}: unknown key" + (f", did you mean '{near[0]}'?" if near else ".")


def _names(model: type[pydantic.BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
