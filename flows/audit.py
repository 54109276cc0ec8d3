"""The scheduled audit: pull, then everything that follows. The same functions as `genai-audit run`."""

import genai_audit  # isort: skip  # noqa: F401, switches telemetry off before Prefect is imported

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import stages  # flows/stages.py: Prefect puts the folder of an entrypoint on the path
from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_table_artifact

from genai_audit import collection, pipeline
from genai_audit.calendars import resolve_window
from genai_audit.configuration import load_settings
from genai_audit.errors import GenaiAuditError
from genai_audit.runs import Run
from genai_audit.workspace import find_workspace


def name_run() -> str:
    """`audit last-week`, or the UTC day of a run that does what is due."""
    return f"audit {runtime.flow_run.parameters.get('since') or f'{datetime.now(UTC):%Y-%m-%d}'}"


@flow(name="audit", flow_run_name=name_run, persist_result=False)
def audit(
    since: str | None = None,
    until: str | None = None,
    sources: list[str] | None = None,
    dry_run: bool = False,
    workspace: str | None = None,
) -> str:
    """Audit what is due, or a window. Returns the outcome in words; published data says what is missing."""
    place = find_workspace(Path(workspace) if workspace else None)
    run = Run(place, load_settings(place.settings_file), "flow audit", say=get_run_logger().info)
    window = resolve_window(since, until, datetime.now(UTC)) if since or until else None
    if dry_run:
        run.say("\n".join(collection.describe_plan(place, run.settings, window, sources)))
        return "dry run"
    with place.lock("flow audit"):
        try:
            for source_id in sources or filter(run.is_configured, run.settings.sources.enabled):
                if not stages.pull_source(run, source_id, window, return_state=True).is_completed():
                    run.gaps.append(f"{source_id}: the pull failed after all retries")
            stages.parse_and_load(run)
            quality = stages.check(run)
            stages.detect(run, quality)
            outcome = "completed with gaps" if run.gaps else "complete"
            stages.publish(run, outcome, quality)
            stages.report(run)
        except GenaiAuditError as error:
            pipeline.record_failure(run, error)
            raise
    summarise(run, outcome, quality)
    return outcome


def summarise(run: Run, outcome: str, quality: list[dict[str, object]]) -> None:
    """Numbers only: an artifact carries no person and no text from a log."""
    numbers = {"packages": len(run.landed), "records": run.record_count, "findings": run.finding_count}
    checks = Counter(f"checks {row['status']}" for row in quality)
    rows = numbers | {"gaps": len(run.gaps)} | checks
    table = [{"what": name, "count": count} for name, count in rows.items()]
    create_table_artifact(key="run-summary", table=table, description=f"Outcome: {outcome}.")
