"""The main path. Read this first: one line a stage, each stage followed by its check.

pull / import → landing → parse → load → build → check → detect → publish → report
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from genai_audit import __version__, publishing, registry
from genai_audit.calendars import Window, read_instant
from genai_audit.collection import pull
from genai_audit.errors import GenaiAuditError, QualityGateError
from genai_audit.landing import packages
from genai_audit.loading import parse_and_load
from genai_audit.runs import Run


@dataclass(frozen=True)
class Result:
    """What a run came to. `gaps` are sentences for people, without a person in them."""

    run_id: str
    outcome: str
    gaps: tuple[str, ...]
    packages: int
    records: int
    findings: int
    quality: Mapping[str, int]
    reports: tuple[Path, ...]


def run_everything(run: Run, window: Window | None = None, sources: Sequence[str] | None = None) -> Result:
    """Everything that is due: pull, then all that follows from it."""
    pull(run, window, sources)
    return process(run)


def process(run: Run, *, again: bool = False) -> Result:
    """From landed packages to reports. A killed run is finished by the next one."""
    parse_and_load(run, again=again)
    quality = check(run)
    detect(run, quality)
    outcome = "completed with gaps" if run.gaps else "complete"
    publish(run, outcome, quality)
    reports = report(run)
    return Result(
        run_id=run.run_id,
        outcome=outcome,
        gaps=tuple(run.gaps),
        packages=len(run.landed),
        records=run.record_count,
        findings=run.finding_count,
        quality=Counter(row["status"] for row in quality),
        reports=tuple(reports),
    )


def rebuild(run: Run, *, from_landing: bool = False) -> Result:
    """Throw away everything derived and compute it again, from parsed packages or from the raw records."""
    for derived in (run.workspace.warehouse, run.workspace.warehouse.with_suffix(".duckdb.wal")):
        derived.unlink(missing_ok=True)
    return process(run, again=from_landing)


def check(run: Run) -> list[dict[str, Any]]:
    """Run the suites. A critical failure stops the run before anything is published."""
    from genai_audit import quality

    results = quality.check_tables(run.workspace.warehouse, run.run_id, datetime.now(UTC))
    rows = [result.as_row() for result in results]
    broken = quality.critical_failures(results)
    if broken:
        run.write_down("stopped by quality", rows)
        names = ", ".join(f"{one.table_name}: {one.check_name}" for one in broken[:5])
        raise QualityGateError(
            f"{len(broken)} critical quality check(s) failed: {names}.",
            where="warehouse",
            next_step="Nothing was published. See `runs/` for the results, mend the cause, run again.",
        )
    return rows


def detect(run: Run, quality: list[dict[str, Any]]) -> None:
    """Ask every detection. One that can't answer is a NOT_EVALUATED row of `quality`, never silence."""
    findings: list[dict[str, Any]] = []
    with run.warehouse() as warehouse:
        for name, detection in registry.detections().items():
            frames = {table: warehouse.frame(table) for table in detection.reads}
            params = dict(detection.params) | run.settings.detections.get(name, {})
            try:
                rows = detection.detect(frames, params).to_dicts()
                status, note = "passed", f"{len(rows)} finding(s)"
            except registry.NotEvaluatedError as missing:
                rows, status, note = [], "NOT_EVALUATED", missing.reason
            extra = {"title": detection.title, "clauses": ", ".join(detection.clauses)}
            findings.extend(row | extra for row in rows)
            quality.append(_detection_row(run, name, status, note))
        warehouse.replace("stg_finding", findings)
        warehouse.build_one("fct_finding")
    run.finding_count = len(findings)


def _detection_row(run: Run, name: str, status: str, note: str) -> dict[str, Any]:
    return {
        "run_id": run.run_id, "checked_at": datetime.now(UTC), "table_name": "detection", "check_name": name,
        "column_name": None, "severity": "warning", "status": status, "observed": None, "failed_count": None,
        "note": note,
    }  # fmt: skip


def publish(run: Run, outcome: str, quality: list[dict[str, Any]]) -> None:
    """Write the run down, then the three files that people read, each aside and renamed over."""
    run.write_down(outcome, quality)
    privacy = run.settings.privacy
    with run.warehouse() as warehouse:
        run.load_history(warehouse)
        warehouse.build_one("fct_run", "fct_quality")
        for audience in publishing.AUDIENCES:
            target = run.workspace.published / f"{audience}.duckdb"
            publishing.publish(
                warehouse, audience, target, suppress_below=privacy.suppress_below, round_to=privacy.round_to
            )


def report(run: Run) -> list[Path]:
    """Render all reports from the published files."""
    from genai_audit.reporting import pages

    context = pages.ReportContext(
        period=_period(run),
        made_at=datetime.now(UTC),
        run_id=run.run_id,
        code_version=__version__,
        head_sha256=run.head,
        detections=registry.detections(),
        sources=registry.sources(),
    )
    return pages.render_reports(run.workspace.published, run.workspace.reports, run.settings, context)


def _period(run: Run) -> Window | None:
    landed = packages(run.workspace)
    starts = [p.window.start if p.window else read_instant(p.min_occurred_at or "") for p in landed
              if p.window or p.min_occurred_at]  # fmt: skip
    ends = [p.window.end if p.window else read_instant(p.max_occurred_at or "") + timedelta(seconds=1)
            for p in landed if p.window or p.max_occurred_at]  # fmt: skip
    return Window(min(starts), max(ends)) if starts else None


def record_failure(run: Run, error: BaseException) -> None:
    """Write a run down that ended early, so that operations see it: how it ended and its counts, no more."""
    if isinstance(error, QualityGateError):
        return  # written down already, with the results
    # DuckDB makes an error of its own of Ctrl-C.
    is_expected = isinstance(error, GenaiAuditError)
    is_stopped = isinstance(error, KeyboardInterrupt) or "interrupted" in str(error).lower()
    with suppress(GenaiAuditError, OSError):  # a full disk must not hide what happened first
        run.write_down("interrupted" if is_stopped and not is_expected else "failed", [])
