"""The scheduled audit: pull, then everything that follows. The same functions as `genai-audit run`."""

from __future__ import annotations

import genai_audit  # isort: skip  # noqa: F401, switches telemetry off before Prefect is imported

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact

from genai_audit import collection, pipeline, registry
from genai_audit.calendars import resolve_window
from genai_audit.errors import SourceUnavailableError
from genai_audit.runs import Run
from genai_audit.settings import load_settings
from genai_audit.workspace import find_workspace


@task(name="pull", retries=3, retry_delay_seconds=[60, 300, 900], persist_result=False)
def pull_source(run: Run, source_id: str, since: str | None, until: str | None) -> None:
    """Only a pull is tried again: a service may be away, our own stages are not."""
    window = resolve_window(since, until, datetime.now(UTC)) if since or until else None
    before = len(run.landed)
    collection.pull(run, window, [source_id])
    fresh = run.landed[before:]
    if fresh and all(package.outcome == "failed" for package in fresh):
        raise SourceUnavailableError("No window could be read.", where=source_id)


# The stages as they are; a stage that fails is looked at, not tried again.
parse_and_load = task(pipeline.parse_and_load, name="parse and load", persist_result=False)
check = task(pipeline.check, name="check", persist_result=False)
detect = task(pipeline.detect, name="detect", persist_result=False)
publish = task(pipeline.publish, name="publish", persist_result=False)
report = task(pipeline.report, name="report", persist_result=False)


@flow(name="audit", flow_run_name="audit {since}", persist_result=False)
def audit(
    since: str | None = None,
    until: str | None = None,
    sources: list[str] | None = None,
    dry_run: bool = False,
    workspace: str | None = None,
) -> str:
    """Audit what is due, or a window. Returns the outcome in words; published data says what is missing."""
    place = find_workspace(Path(workspace) if workspace else None)
    settings, logger = load_settings(place.settings_file), get_run_logger()
    if dry_run:
        return "\n".join(collection.describe_plan(place, settings, None, sources))
    with place.lock("flow audit"):
        run = Run(place, settings, "flow audit", say=logger.info)
        for source_id in sources or [s for s in settings.sources.enabled if registry.sources()[s].pull]:
            state = pull_source(run, source_id, since, until, return_state=True)
            if not state.is_completed():
                run.gaps.append(f"{source_id}: the pull failed after all retries")
        parse_and_load(run)
        quality = check(run)
        detect(run, quality)
        outcome = "completed with gaps" if run.gaps else "complete"
        publish(run, outcome, quality)
        report(run)
        _summarise(run, quality)
    return outcome


def _summarise(run: Run, quality: list[dict[str, object]]) -> None:
    """Numbers only: an artifact carries no person and no text from a log."""
    checks = Counter(str(row["status"]) for row in quality)
    numbers = {"packages": len(run.landed), "records": run.record_count, "findings": run.finding_count}
    numbers |= {"gaps": len(run.gaps)} | {f"checks {name}": count for name, count in checks.items()}
    create_table_artifact(
        key="run-summary", table=[{"what": name, "count": count} for name, count in numbers.items()]
    )
