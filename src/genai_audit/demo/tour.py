"""`genai-audit demo`: audit a pretend university through the same code that a real tenant runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from genai_audit import pipeline, quality
from genai_audit.calendars import Window, start_of_uk_day, uk_day
from genai_audit.collection import import_files, pull
from genai_audit.configuration import load_settings
from genai_audit.demo.app_traffic import tool_rows, write_proxy_log
from genai_audit.demo.learning_events import make_envelopes, write_envelopes
from genai_audit.demo.planting import Planted
from genai_audit.demo.services import FEED_DAYS
from genai_audit.demo.university import University
from genai_audit.doctor import set_up
from genai_audit.errors import SoftwareError, UsageError
from genai_audit.runs import Run
from genai_audit.warehouse import open_published
from genai_audit.workspace import Workspace, write_durably

QUERIES = (
    "genai-audit --workspace {folder} query coverage_gaps",
    "genai-audit --workspace {folder} query findings -p since={since}",
    "genai-audit --workspace {folder} query external_tools_by_month --markdown",
)
SECOND_DOOR = "m365_activity_api"  # the same log again: a comparison needs few days of it
SETTINGS = """
[sources]
enabled = [
  "m365_audit", "m365_directory", "m365_labels", "m365_copilot_usage", "m365_signins", "m365_app_consents",
  "m365_cloud_discovery", "m365_hunting", "blackboard_rest", "vle_xapi",
]
expected = ["m365_audit", "vle_csv"]

[m365_signins]
window_hours = 720

[m365_hunting]
window_hours = 720

[m365_audit]
window_hours = 96
poll_seconds = 0.05
retry_seconds = 0.1
deadline_minutes = 5.0

[reports]
organisation = "University of Westbridge (a pretend university)"
contact = "information-compliance@westbridge.example"
"""


class Teller(Protocol):
    def say(self, text: str) -> None: ...
    def advance(self, label: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Check:
    """A planted event, and whether the published audit shows it."""

    planted: Planted
    is_found: bool
    shown_by: str


def show(workspace: Workspace, people: int, days: int, seed: int, teller: Teller) -> Iterator[str]:
    """Run the demo in `workspace` and tell what was planted, what was found and where to look."""
    university = _make_university(people, days, seed)
    last_day = university.last_day
    _refuse_other_contents(workspace, university)
    list(set_up(workspace))
    with workspace.lock("demo"), _tenant(university, workspace) as toml:
        write_durably(workspace.settings_file, f"{_name(university)}\n{toml}{SETTINGS}".encode())
        university.write_registers(workspace.registers, tool_rows())
        run = Run(workspace, load_settings(workspace.settings_file), "demo", teller.say, teller.advance)
        first, end = start_of_uk_day(university.list_days()[0]), start_of_uk_day(last_day + timedelta(days=1))
        pull(run, Window(first, end))
        pull(run, Window(end - timedelta(days=FEED_DAYS), end), [SECOND_DOOR])
        import_files(run, _write_exports(university, workspace))
        result = pipeline.process(run)
    yield f"Audited {people:,} people over {days} days: {result.records:,} records, {result.outcome}."
    yield from _tell_sources(workspace)
    yield from _tell_planted(list(_compare(workspace, university.planted())))
    yield "Reports:"
    yield from (f"  {path}" for path in result.reports)
    yield "Try:"
    since = f"{last_day - timedelta(days=20)}"
    yield from (f"  {query.format(folder=workspace.root, since=since)}" for query in QUERIES)


def describe(workspace: Workspace, people: int, days: int, seed: int) -> Iterator[str]:
    """What `show` would do. Does nothing, but refuses what `show` refuses."""
    university = _make_university(people, days, seed)
    _refuse_other_contents(workspace, university)
    yield f"Would make up a university of {people:,} people and {days} days until {university.last_day},"
    yield f"serve its logs on this machine only, and audit them in {workspace.root}:"
    yield "pull, import, parse, load, check, detect, publish, report. Then look each planted event up."


def _make_university(people: int, days: int, seed: int) -> University:
    return University(seed, people, days, uk_day(datetime.now(UTC)) - timedelta(days=1))


def _name(university: University) -> str:
    """First line of the demo's configuration: which university lies in this workspace."""
    one = university
    return f"# A pretend university: seed {one.seed}, {one.people} people, {one.days} days to {one.last_day}."


@contextmanager
def _tenant(university: University, workspace: Workspace) -> Iterator[str]:
    """The pretend tenant as a process of its own; gives the [tenant] section that points at it."""
    command = [sys.executable, "-m", "genai_audit.demo.serve", "--workdir", str(workspace.state / "pretend")]
    for name in ("people", "days", "seed", "last_day"):
        command += [f"--{name.replace('_', '-')}", str(getattr(university, name))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        # The university is made by another process for some seconds: time to load what is needed later.
        threading.Thread(target=_load_libraries, daemon=True).start()
        try:
            line = server.stdout.readline()
            if not line:
                raise SoftwareError("The pretend tenant did not start.", where="demo/serve.py")
            yield str(json.loads(line)["toml"])
        finally:
            server.stdin.close()
            server.terminate()


def _load_libraries() -> None:
    import altair  # noqa: F401

    from genai_audit.sources import _audit_window  # noqa: F401

    quality.load_library()


def _write_exports(university: University, workspace: Workspace) -> list[Path]:
    """What LIDE and the network team would hand over as files."""
    events = workspace.tmp / "ultra_events.csv"
    courses = workspace.tmp / f"aida_courses_{university.last_day}.csv"
    launches = workspace.tmp / "launches.jsonl"
    proxy = workspace.tmp / "web_proxy.csv"
    university.write_vle_csv(events)
    university.write_vle_course_csv(courses)
    days, people = university.list_days(), university.persons
    write_envelopes(launches, make_envelopes(people, days, university.last_day, university.seed))
    write_proxy_log(proxy, university)
    return [events, courses, launches, proxy]


def _tell_sources(workspace: Workspace) -> Iterator[str]:
    """One line a source: what came, and through how many packages."""
    yield "Sources:"
    with open_published(workspace.published / "compliance.duckdb") as connection:
        for source, packages, records in connection.execute(
            "SELECT source, count(*), sum(accepted_count)::BIGINT FROM package GROUP BY source ORDER BY 1"
        ).fetchall():
            yield f"  {source:22} {records:>9,} records in {packages} package(s)"


def _compare(workspace: Workspace, planted: list[Planted]) -> Iterator[Check]:
    """Look each planted event up in the published file, by day and by what should show it."""
    connection = open_published(workspace.published / "compliance.duckdb")
    try:
        for one in planted:
            where, sql = PROOFS[one.name]
            found = connection.execute(sql, {"day": one.day} if "$day" in sql else None).fetchone()
            yield Check(one, bool(found and found[0]), where)
    finally:
        connection.close()


PROOFS = {
    "external_tool_spike": (
        "finding external_tool_spike",
        "SELECT count(*) FROM finding WHERE detection = 'external_tool_spike' AND found_day = $day",
    ),
    "injection": (
        "finding prompt_attack_flag",
        "SELECT count(*) FROM finding WHERE detection = 'prompt_attack_flag' AND subject_kind = 'resource' "
        "AND found_day = $day",
    ),
    "jailbreak": (
        "finding prompt_attack_flag",
        "SELECT count(*) FROM finding WHERE detection = 'prompt_attack_flag' AND subject_kind = 'person' "
        "AND found_day = $day",
    ),
    "mass_access": (
        "finding sensitive_label_access",
        "SELECT count(*) FROM finding WHERE detection = 'sensitive_label_access' AND severity = 'high' "
        "AND measure >= 20 AND found_day = $day",
    ),
    "silent_day": (
        "finding source_silence",
        "SELECT count(*) FROM finding WHERE detection = 'source_silence' AND found_day = $day",
    ),
    "capped_minute": (
        "coverage: partly",
        "SELECT count(*) FROM coverage WHERE source = 'm365_audit' AND coverage_status = 'partly' "
        "AND covered_day = $day",
    ),
    "unknown_field": ("field_drift", "SELECT count(*) FROM field_drift WHERE first_package_id IS NOT NULL"),
    "prompt_text": (
        "package: content_cut_count",
        "SELECT sum(content_cut_count) FROM package",
    ),
}


def _tell_planted(checks: list[Check]) -> Iterator[str]:
    yield f"Planted and found: {sum(check.is_found for check in checks)} of {len(checks)}."
    for check in checks:
        mark = "found" if check.is_found else "NOT FOUND"
        yield f"  {mark:9} {check.planted.day} {check.planted.what} ({check.shown_by})"


def _refuse_other_contents(workspace: Workspace, university: University) -> None:
    """A workspace of real records, or of another pretend university: two would be mixed in one audit."""
    if not workspace.settings_file.exists():
        return
    text = workspace.settings_file.read_text(encoding="utf-8")
    is_used = workspace.landing.is_dir() and any(workspace.landing.iterdir())
    if "pretend university" in text:
        if is_used and _name(university) not in text:
            raise UsageError(
                "This workspace holds another pretend university, or that of another day.",
                where=str(workspace.root),
                next_step="Remove this folder, or name another: genai-audit --workspace demo-workspace demo",
            )
    elif is_used or 'tenant_id = ""' not in text:
        raise UsageError(
            "This workspace is a real one; the demo would mix pretend people into it.",
            where=str(workspace.root),
            next_step="Name another folder: genai-audit --workspace demo-workspace demo",
        )
