"""List what is past its period of retention. It destroys nothing: that is for the DPO to decide."""

from __future__ import annotations

import genai_audit  # isort: skip  # noqa: F401, switches telemetry off before Prefect is imported

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact

from genai_audit.configuration import load_settings
from genai_audit.landing import past_retention
from genai_audit.workspace import find_workspace


@task(name="list what is past its period", persist_result=False)
def list_past(workspace: str | None) -> list[dict[str, object]]:
    place = find_workspace(Path(workspace) if workspace else None)
    settings = load_settings(place.settings_file)
    past = past_retention(place, settings.retention.raw_days, datetime.now(UTC))
    return [{"package": package.package_id, "source": package.source, "closed": package.closed_at}
            for package in past]  # fmt: skip


@flow(name="retention", persist_result=False)
def retention(workspace: str | None = None) -> int:
    """Returns how many packages hold raw records for longer than `retention.raw_days`."""
    past = list_past(workspace)
    get_run_logger().info("%d package(s) are past their period", len(past))
    if past:
        create_table_artifact(key="past-retention", table=past)
    return len(past)
