"""The scheduled audit: pull, then everything that follows. The same functions as `genai-audit run`."""

import genai_audit  # isort: skip  # noqa: F401, switches telemetry off before Prefect is imported

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from prefect import State, flow, get_run_logger, runtime, task
from prefect.artifacts import create_table_artifact

from genai_audit import collection, loading, pipeline
from genai_audit.calendars import Window, resolve_window
from genai_audit.errors import GenaiAuditError, SourceUnavailableError
from genai_audit.runs import Run
from genai_audit.settings import load_settings
from genai_audit.workspace import find_workspace


def can_come_back(_task: object, _task_run: object, state: State[None]) -> bool:
    """A service may be back in a minute; a wrong setting will not be."""
    return isinstance(state.result(raise_on_failure=False), SourceUnavailableError)


@task(name="pull", retries=3, retry_delay_seconds=[60, 300, 900], retry_condition_fn=can_come_back)
def pull_source(run: Run, source_id: str, window: Window | None) -> None:
    """Only a pull is tried again: a service may be away, our own stages are not."""
    landed, gaps = len(run.landed), len(run.gaps)
    collection.pull(run, window, [source_id])
    fresh = run.landed[landed:]
    if fresh and all(package.outcome == "failed" for package in fresh):
        del run.gaps[gaps:]  # the next attempt may fill them; the flow names the source if none does
        raise SourceUnavailableError("No window could be read.", where=source_id)


# The stages as they are; a stage that fails is looked at, not tried again.
parse_and_load = task(name="parse and load")(loading.parse_and_load)
check = task(name="check")(pipeline.check)
detect = task(name="detect")(pipeline.detect)
publish = task(name="publish")(pipeline.publish)
report = task(name="report")(pipeline.report)


def name_run() -> str:
    """`audit last-week`, or the UTC day of a run that does what is due."""
    return f"audit {runtime.flow_run.parameters.get('since') or f'{datetime.now(UTC):%Y-%m-%d}'}"


@flow(name="audit", flow_run_name=name_run, persist_result=False)
def audit(since: str | None = None, until: str | None = None, sources: list[str] | None = None,
          dry_run: bool = False, workspace: str | None = None) -> str:  # fmt: skip
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
                if not pull_source(run, source_id, window, return_state=True).is_completed():
                    run.gaps.append(f"{source_id}: the pull failed after all retries")
            parse_and_load(run)
            detect(run, quality := check(run))
            publish(run, outcome := "completed with gaps" if run.gaps else "complete", quality)
            report(run)
        except GenaiAuditError as error:
            pipeline.record_failure(run, error)
            raise
    checks = Counter(f"checks {row['status']}" for row in quality)
    numbers = {"packages": len(run.landed), "records": run.record_count, "findings": run.finding_count}
    table = [{"what": k, "count": n} for k, n in (numbers | {"gaps": len(run.gaps)} | checks).items()]
    # Numbers only: an artifact carries no person and no text from a log.
    create_table_artifact(key="run-summary", table=table, description=f"Outcome: {outcome}.")
    return outcome
