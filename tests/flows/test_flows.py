"""The scheduled flows: what is deployed, when it fires, and one run without its source."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from builders import copilot_record, make_settings, make_workspace
from genai_audit import TELEMETRY_OFF, collection, querying
from genai_audit.errors import ConfigurationError, SoftwareError, SourceUnavailableError
from genai_audit.runs import Run
from genai_audit.workspace import Workspace

ROOT = Path(__file__).parents[2]
FLOWS = sorted((ROOT / "flows").glob("*.py"))
DEPLOYMENTS = yaml.safe_load((ROOT / "flows" / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
CANARY_PERSON = "canary.person@westbridge.example"
CANARY_WORDS = "please summarise the canary"
GAPS = "completed with gaps"

# Runs in this process and, as sitecustomize, in every child: a socket to the outside is written down.
SOCKET_TRAP = """
import ipaddress, os, socket
def _watch(call, place):
    def watched(*args, **named):
        address = args[place] if len(args) > place else named.get("host", named.get("address"))
        host = address[0] if isinstance(address, tuple) else address
        if isinstance(host, bytes):
            host = host.decode()
        try:
            inside = host in (None, "", "localhost") or ipaddress.ip_address(host.split("%")[0]).is_loopback
        except ValueError:
            inside = host.startswith("/")
        if not inside:
            with open(os.environ["SOCKET_TRAP_LOG"], "a") as log:
                print(host, file=log)
            raise OSError("a socket to the outside")
        return call(*args, **named)
    return watched
socket.getaddrinfo = _watch(socket.getaddrinfo, 0)
socket.socket.connect = _watch(socket.socket.connect, 1)
socket.socket.connect_ex = _watch(socket.socket.connect_ex, 1)
"""


def load_flow(entrypoint: str) -> Any:
    from prefect.flows import load_flow_from_entrypoint

    path, name = entrypoint.split(":")
    return load_flow_from_entrypoint(f"{ROOT / path}:{name}", use_placeholder_flow=False)


def load_stages() -> Any:
    """flows/stages.py, as flows/audit.py sees it."""
    return load_flow("flows/audit.py:audit").fn.__globals__["stages"]


@pytest.fixture(scope="module", autouse=True)
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prefect keeps its settings and database here, not in the home of whoever runs the tests."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        yield home


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_a_flow_file_is_short_and_decides_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    first = next(node for node in ast.parse(text).body if isinstance(node, ast.Import))
    assert first.names[0].name == "genai_audit", "telemetry is switched off before Prefect is imported"


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_every_deployment_names_a_flow_and_runs_alone(deployment: dict[str, Any]) -> None:
    from prefect import Flow

    flow = load_flow(deployment["entrypoint"])
    assert isinstance(flow, Flow)
    assert deployment["concurrency_limit"]["limit"] == 1
    assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    assert {schedule["timezone"] for schedule in deployment["schedules"]} == {"Europe/London"}


def test_the_nightly_run_fires_once_a_day_across_both_clock_changes() -> None:
    from prefect.server.schemas.schedules import CronSchedule

    (nightly,) = [one for one in DEPLOYMENTS if one["name"] == "nightly"]
    assert nightly["schedules"] == [{"cron": "15 2 * * *", "timezone": "Europe/London"}]
    start = datetime(2026, 10, 1, tzinfo=UTC)
    fired = asyncio.run(CronSchedule(**nightly["schedules"][0]).get_dates(400, start=start))
    local = [instant.astimezone(ZoneInfo("Europe/London")) for instant in fired]
    assert [at.date() for at in local] == [(start + timedelta(days=n)).date() for n in range(400)]
    assert {(at.hour, at.minute) for at in local} == {(2, 15)}
    assert {at.utcoffset() for at in local} == {timedelta(0), timedelta(hours=1)}


def test_the_parameters_are_few_typed_and_optional() -> None:
    found = {
        one["entrypoint"]: {
            name: (shape.get("type") or "/".join(kind["type"] for kind in shape["anyOf"]), shape["default"])
            for name, shape in load_flow(one["entrypoint"]).parameters.properties.items()
        }
        for one in DEPLOYMENTS
    }
    workspace = {"workspace": ("string/null", None)}
    assert found == {
        "flows/audit.py:audit": {
            "since": ("string/null", None),
            "until": ("string/null", None),
            "sources": ("array/null", None),
            "dry_run": ("boolean", False),
            **workspace,
        },
        "flows/reports.py:reports": workspace,
        "flows/retention.py:retention": workspace,
    }


def test_only_a_pull_is_tried_again() -> None:
    from prefect import Task

    tasks = {
        value.name: value.retries
        for one in DEPLOYMENTS
        for value in (*vars(load_stages()).values(), *load_flow(one["entrypoint"]).fn.__globals__.values())
        if isinstance(value, Task)
    }
    assert tasks.pop("pull") == 3
    assert set(tasks) == {
        "parse and load", "check", "detect", "publish", "report", "list what is past its period",
    }  # fmt: skip
    assert set(tasks.values()) == {0}


def test_an_unreachable_source_is_worth_another_attempt_and_a_wrong_setting_is_not() -> None:
    from prefect.states import exception_to_failed_state

    can_come_back = load_stages().can_come_back
    for error, expected in ((SourceUnavailableError("away"), True), (ConfigurationError("no id"), False)):
        state = asyncio.run(_as_state(exception_to_failed_state, error))
        assert can_come_back(None, None, state) is expected


async def _as_state(make: Any, error: Exception) -> Any:
    return await make(error)


def test_an_unknown_error_gives_its_type_away_and_nothing_it_quotes() -> None:
    def fail() -> None:
        raise ValueError(f"could not convert {CANARY_PERSON}")

    with pytest.raises(SoftwareError) as caught:
        load_stages().conceal(fail)()
    shown = "".join(traceback.format_exception(caught.value))
    assert "ValueError" in shown
    assert CANARY_PERSON not in shown


def test_gaps_of_a_failed_attempt_do_not_outlive_a_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace(tmp_path)
    run = Run(workspace, make_settings(workspace), "test")
    pull_source = load_stages().pull_source
    outcomes = iter(["failed", "complete"])

    def pull(run: Run, window: object, sources: list[str]) -> None:
        outcome = next(outcomes)
        run.landed.append(SimpleNamespace(outcome=outcome))  # type: ignore[arg-type]
        if outcome == "failed":
            run.gaps.append("m365_audit: failed: no answer")

    monkeypatch.setattr(collection, "pull", pull)
    with pytest.raises(Exception, match="No window could be read"):
        pull_source.fn(run, "m365_audit", None)
    pull_source.fn(run, "m365_audit", None)
    assert run.gaps == []


@pytest.mark.parametrize("name", ["audit.py", "reports.py", "retention.py"])
def test_telemetry_is_off_at_the_moment_prefect_is_imported(name: str, prefect_home: Path) -> None:
    path = ROOT / "flows" / name
    code = f"""
import os, runpy, sys
class Guard:
    def find_spec(self, name, *_):
        if name in ("prefect", "great_expectations"):
            assert {{key: os.environ.get(key) for key in {list(TELEMETRY_OFF)}}} == {TELEMETRY_OFF}, name
            print("seen", name)
sys.meta_path.insert(0, Guard())
sys.path.insert(0, {str(path.parent)!r})
runpy.run_path({str(path)!r})
"""
    environment = {name: value for name, value in os.environ.items() if name not in TELEMETRY_OFF}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "seen prefect" in done.stdout


@dataclass(frozen=True)
class Nights:
    """What three flows and a refused one left behind."""

    workspace: Workspace
    outcome: str
    plan: str
    refused: str
    reports: int
    past: int
    run_names: list[str]
    task_names: set[str]
    artifacts: dict[str, Any]
    log_lines: list[str]
    prefect_bytes: bytes
    outside: str
    trapped_children: str


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, prefect_home: Path) -> Nights:
    """One Prefect server, one audit with an imported file and a Microsoft 365 that does not answer."""
    folder = tmp_path_factory.mktemp("nights")
    workspace = make_workspace(folder)
    _configure(workspace, folder)
    trap_log = _set_trap(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCKET_TRAP_LOG", str(trap_log))
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("PREFECT_LOGGING_TO_API_BATCH_INTERVAL", "0.2")
        import socket

        for owner, name in (
            (socket, "getaddrinfo"),
            (socket.socket, "connect"),
            (socket.socket, "connect_ex"),
        ):
            patch.setattr(owner, name, getattr(owner, name))  # so that it is put back
        exec(SOCKET_TRAP, {})
        return _run_nights(workspace, prefect_home, trap_log, patch)


def _configure(workspace: Workspace, folder: Path) -> None:
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("not a secret", encoding="utf-8")
    settings = make_settings(
        workspace,
        f"""
        [tenant]
        tenant_id = "00000000-0000-0000-0000-000000000001"
        client_id = "00000000-0000-0000-0000-000000000002"
        credential = "client_secret"
        client_secret_path = "{secret}"
        graph_url = "https://127.0.0.1:9"
        authority_url = "https://127.0.0.1:9"
        [m365_audit]
        first_pull_days = 1
        deadline_minutes = 0.02
        retry_seconds = 0.1
        """,
    )
    now = datetime.now(UTC)
    records = [
        json.loads(copilot_record(now - timedelta(hours=hour), user=CANARY_PERSON))["auditData"]
        | {"PromptText": CANARY_WORDS}
        for hour in range(1, 40)
    ]
    export = folder / "records.jsonl"
    export.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    with workspace.lock("import"):
        collection.import_files(Run(workspace, settings, "import"), [export])


def _set_trap(folder: Path) -> Path:
    """Every child process of this one loads sitecustomize, and says that it did."""
    said = "\nopen(os.environ['SOCKET_TRAP_LOG'] + '.children', 'a').write(' '.join(sys.orig_argv) + chr(10))"
    (folder / "sitecustomize.py").write_text(f"import sys\n{SOCKET_TRAP}{said}", encoding="utf-8")
    log = folder / "outside.log"
    log.touch()
    return log


def _run_nights(workspace: Workspace, home: Path, trap_log: Path, patch: pytest.MonkeyPatch) -> Nights:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL
    from prefect.testing.utilities import prefect_test_harness

    audit, place = load_flow("flows/audit.py:audit"), str(workspace.root)
    patch.setattr(load_stages(), "pull_source", load_stages().pull_source.with_options(retries=0))
    with prefect_test_harness(server_startup_timeout=120):
        database = Path(PREFECT_SERVER_DATABASE_CONNECTION_URL.value().split("///")[1])
        outcome = audit(workspace=place)
        plan = audit(workspace=place, since="2026-11-01", until="2026-11-03", dry_run=True)
        with workspace.lock("rebuild"):
            refused = audit(workspace=place, return_state=True).message
        reports = load_flow("flows/reports.py:reports")(workspace=place)
        past = load_flow("flows/retention.py:retention")(workspace=place)
        with get_client(sync_client=True) as client:
            runs, tasks = client.read_flow_runs(), client.read_task_runs()
            artifacts = {artifact.key: artifact for artifact in client.read_artifacts()}
    kept = [*database.parent.glob(f"{database.name}*"), *(p for p in home.rglob("*") if p.is_file())]
    return Nights(
        workspace, outcome, plan, refused, reports, past,
        run_names=[run.name for run in runs],
        task_names={task.name.rsplit("-", 1)[0] for task in tasks},
        artifacts=artifacts,
        log_lines=_read_log_lines(database),
        prefect_bytes=b"".join(map(_read_if_there, kept)),
        outside=trap_log.read_text(encoding="utf-8"),
        trapped_children=Path(f"{trap_log}.children").read_text(encoding="utf-8"),
    )  # fmt: skip


def _read_if_there(path: Path) -> bytes:
    """A journal of SQLite may go while its server ends."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _read_log_lines(database: Path) -> list[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database)) as opened:
        return [row[0] for row in opened.execute("SELECT message FROM log ORDER BY timestamp")]


def test_a_source_that_does_not_answer_makes_a_run_with_gaps_and_is_named(nights: Nights) -> None:
    assert nights.outcome == GAPS
    sql = "SELECT DISTINCT source, coverage_status FROM coverage ORDER BY ALL"
    rows = ask(nights, sql)
    assert ["m365_audit", "not collected"] in rows
    assert ["m365_files", "collected"] in rows
    assert ask(nights, "SELECT count(*) FROM interaction") == [[39]]
    assert ask(nights, f"SELECT count(*) FROM run WHERE outcome = '{GAPS}' AND verb = 'flow audit'") == [[1]]


def test_what_the_detections_answered_reaches_the_published_file(nights: Nights) -> None:
    """Prefect passes lists between tasks: they must stay the same lists."""
    assert ask(nights, "SELECT count(*) > 0 FROM quality WHERE table_name = 'detection'") == [[True]]


def test_the_run_summary_holds_numbers_only(nights: Nights) -> None:
    summary = nights.artifacts["run-summary"]
    rows = json.loads(summary.data) if isinstance(summary.data, str) else summary.data
    numbers = {row["what"]: row["count"] for row in rows}
    assert all(isinstance(count, int) for count in numbers.values())
    assert numbers["records"] == 39
    assert numbers["gaps"] == 1
    assert numbers["checks passed"] > 20
    assert summary.description == f"Outcome: {GAPS}."


def test_a_second_run_at_the_same_time_is_refused_with_a_sentence(nights: Nights) -> None:
    assert "Another run holds this workspace: `rebuild`" in nights.refused


def test_the_smaller_flows_do_their_one_thing(nights: Nights) -> None:
    assert nights.plan == "dry run"
    assert any("m365_audit: 3 window(s)" in line for line in nights.log_lines)
    assert nights.reports == 3
    assert nights.past == 0
    assert {"pull", "parse and load", "check", "detect", "publish", "report"} <= nights.task_names
    assert f"audit {datetime.now(UTC):%Y}" in " ".join(nights.run_names)
    assert "audit 2026-11-01" in nights.run_names


def test_prefect_keeps_no_person_and_no_words(nights: Nights) -> None:
    assert nights.log_lines, "the flow's lines reach Prefect"
    assert b"run-summary" in nights.prefect_bytes
    for canary in (CANARY_PERSON, "canary.person", CANARY_WORDS):
        assert canary.encode() not in nights.prefect_bytes


def test_nothing_asked_for_an_address_outside_this_machine(nights: Nights) -> None:
    assert "great_expectations" in sys.modules
    assert "prefect.server" in nights.trapped_children, "Prefect's server was watched too"
    assert nights.outside == ""


def test_the_trap_catches(tmp_path: Path) -> None:
    log = _set_trap(tmp_path)
    code = "import socket; socket.create_connection(('audit.example', 443))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "SOCKET_TRAP_LOG": str(log)}
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert log.read_text(encoding="utf-8") == "audit.example\n"


def ask(nights: Nights, sql: str) -> list[list[Any]]:
    file = nights.workspace.published / "compliance.duckdb"
    return querying.ask(file, sql, {}, seconds=30, memory_mb=512).rows
