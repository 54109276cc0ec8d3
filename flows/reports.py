"""Render the reports again from what is published, on a schedule of its own."""

from __future__ import annotations

import genai_audit  # isort: skip  # noqa: F401, switches telemetry off before Prefect is imported

from pathlib import Path

from prefect import flow, get_run_logger, task

from genai_audit import pipeline
from genai_audit.configuration import load_settings
from genai_audit.runs import Run
from genai_audit.workspace import find_workspace


@task(name="report", persist_result=False)
def render(run: Run) -> int:
    return len(pipeline.report(run))


@flow(name="reports", persist_result=False)
def reports(workspace: str | None = None) -> int:
    """Returns how many reports were written."""
    place = find_workspace(Path(workspace) if workspace else None)
    with place.lock("flow reports"):
        run = Run(place, load_settings(place.settings_file), "flow reports", say=get_run_logger().info)
        return render(run)
