"""The command line as users meet it: exit codes, dry runs, dates, interruptions, what is printed where."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import DAY
from end_to_end.audits import (
    QUICK,
    Audit,
    environment,
    is_refused,
    landed_ids,
    list_files,
    make_store,
    wait_until,
)
from end_to_end.conftest import SINCE, UNTIL, Finished
from genai_audit.demo.tenant import Faults, PretendTenant

MakeAudit = Callable[..., Audit]
GRAPH_ROLE = "AuditLogsQuery.Read.All"


# Exit codes


@pytest.mark.parametrize(
    "words",
    [
        ("pull", "--since", "tomorrowish"),
        ("pull", "--since", UNTIL, "--until", SINCE),
        ("pull", "--source", "no_such_source", "--since", SINCE),
        ("pull", "--source", "vle_csv", "--since", SINCE),
        ("import", "no-such-file.csv"),
        ("run", "--fail-on", "nonsense"),
        ("rebuild", "--from", "nowhere"),
        ("query", "no_such_question"),
        ("query", "findings", "--param", "until=2026-01-01"),
        ("query", "findings", "--param", "since"),
        ("trace", "no-such-record"),
    ],
)
def test_wrong_use_is_2_and_changes_nothing(finished: Finished, words: tuple[str, ...]) -> None:
    before = list_files(finished.audit.workspace.landing)
    done = finished.audit.run(*words)
    assert done.returncode == 2, done
    assert "Error: " in done.stderr
    assert "Next:  " in done.stderr or "Where: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list_files(finished.audit.workspace.landing) == before


@pytest.mark.parametrize("words", [("no-such-verb",), ("pull", "--no-such-option"), ("trace",)])
def test_what_the_parser_refuses_is_2_as_well(finished: Finished, words: tuple[str, ...]) -> None:
    done = finished.audit.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.csv", b"a,b\n1,2\n"),
        ("export.json", b'{"value": [{"id": "1", "auditData": {'),
        ("empty.csv", b""),
    ],
)
def test_a_file_that_is_no_export_is_65(copy: Audit, tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    before = list_files(copy.workspace.landing)
    done = copy.run("import", str(file))
    assert is_refused(done, 65), done
    assert name in done.stderr
    assert set(list_files(copy.workspace.landing)) - set(before) <= {"m365_files"}  # an empty room
    copy.must("verify", "--quiet")


def test_a_second_writer_is_75_and_told_who_is_first(tmp_path: Path, make_audit: MakeAudit) -> None:
    store = make_store(DAY, 1, 200)
    faults = Faults(page_delay_seconds=0.5)
    with PretendTenant(store, faults=faults, page_size=10, workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
        first = audit.start("pull", "--since", SINCE, "--until", SINCE)
        try:
            begun = wait_until(lambda: any(audit.workspace.landing.glob("*/*.part")), first)
            assert begun
            done = audit.run("import", __file__)
            assert is_refused(done, 75), done
            assert "`pull`" in done.stderr
            assert f"process {first.pid}" in done.stderr
            assert first.poll() is None, "the second was kept waiting"
        finally:
            first.kill()
            first.communicate()
    audit.must("verify")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[m365_audit]\nwindow_hour = 3\n", "did you mean 'window_hours'?"),
        ("[m365_audit]\nwindow_hours = 0\n", "m365_audit.window_hours"),
        ("[tenannt]\nx = 1\n", "did you mean 'tenant'?"),
        ("[m365_audit\n", "not valid TOML"),
    ],
)
def test_a_wrong_configuration_is_78(tmp_path: Path, make_audit: MakeAudit, section: str, said: str) -> None:
    audit = make_audit(tmp_path, section)
    done = audit.run("run")
    assert is_refused(done, 78), done
    assert said in done.stderr


def test_no_workspace_or_a_readable_key_is_78(tmp_path: Path, copy: Audit) -> None:
    done = Audit(tmp_path / "nothing").run("run")
    assert is_refused(done, 78), done
    assert "init" in done.stderr
    assert not (tmp_path / "nothing").exists()
    copy.workspace.key_file.chmod(0o640)
    done = copy.run("rebuild")
    assert is_refused(done, 78), done
    assert "chmod 600" in done.stderr


@pytest.mark.parametrize("pause", [pytest.param(0.0, marks=pytest.mark.slow), 0.7])
def test_ctrl_c_is_130_and_leaves_everything_whole(
    tmp_path: Path, make_audit: MakeAudit, pause: float
) -> None:
    store = make_store(DAY, 2, 200)
    faults = Faults(page_delay_seconds=0.2)
    with PretendTenant(store, faults=faults, page_size=20, workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK + "window_hours = 6\n")
        words = ("pull", "--since", SINCE, "--until", "2026-10-07")
        process = audit.start(*words)
        assert wait_until(lambda: any(audit.workspace.landing.glob("*/*.part")), process)
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)
        assert time.monotonic() - asked < 10
        assert process.returncode == 130, stderr
        assert "Interrupted" in stderr
        assert "Traceback" not in stdout + stderr
        assert "Task was destroyed" not in stderr
        assert audit.run("verify", "--quiet").returncode == 0
        audit.must(*words)
    in_window = {f"r-{number}" for number in range(400) if number < 200 * 47 / 24}
    assert landed_ids(audit.workspace) >= in_window
    audit.must("verify", "--quiet")


def test_our_own_bug_is_70_without_a_traceback_unless_asked(copy: Audit) -> None:
    (copy.workspace.published / "compliance.duckdb").write_bytes(b"no database" * 1000)
    done = copy.run("trace", "r-1")
    assert done.returncode == 70
    assert "Traceback" not in done.stderr
    assert "--debug" in done.stderr
    assert "Traceback" in copy.run("--debug", "trace", "r-1").stderr


def test_debug_shows_the_traceback_of_an_expected_error_too(finished: Finished) -> None:
    done = finished.audit.run("--debug", "trace", "no-such-record")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


# Dry runs, dates, help


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull", "--since", SINCE, "--until", UNTIL), f"permission: {GRAPH_ROLE}"),
        (("run", "--since", SINCE, "--until", UNTIL), "Then: parse, load, check"),
        (("run",), "window(s), 2026-"),
        (("import", "EXPORT"), "would be imported as"),
        (("rebuild",), "Would rebuild from parsed"),
        (("rebuild", "--from", "landing"), "Would rebuild from landing"),
        (("report",), "Would render"),
        (("init",), ""),
    ],
)
def test_a_dry_run_changes_no_file_and_makes_no_request(
    finished: Finished, words: tuple[str, ...], said: str
) -> None:
    root = finished.audit.root
    before, requests = list_files(root), len(finished.tenant.requests)
    export = str(root.parent / "ultra_events.csv")
    done = finished.audit.run(*(export if word == "EXPORT" else word for word in words), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert list_files(root) == before
    assert len(finished.tenant.requests) == requests


def test_dates_are_said_back_in_utc(finished: Finished) -> None:
    """In summer time a UK day begins at 23:00 UTC of the day before."""
    done = finished.audit.run("pull", "--since", SINCE, "--until", UNTIL, "--dry-run")
    assert "Window: 2026-10-05 23:00 to 2026-10-09 23:00 UTC" in done.stderr
    winter = finished.audit.run("pull", "--since", "2026-01-05", "--until", "2026-01-05", "--dry-run")
    assert "Window: 2026-01-05 00:00 to 2026-01-06 00:00 UTC" in winter.stderr
    for word in ("yesterday", "last-week", "last-month"):
        assert "Window: " in finished.audit.run("pull", "--since", word, "--dry-run").stderr


def test_help_comes_at_once_and_names_the_exit_codes(finished: Finished) -> None:
    def spend() -> float:
        """Processor seconds, because other tests may be using the machine."""
        before = os.times()
        done = finished.audit.run("--help")
        assert done.returncode == 0
        assert all(verb in done.stdout for verb in ("init", "doctor", "import", "trace", "verify"))
        assert "130 interrupted" in " ".join(done.stdout.split())
        after = os.times()
        used = after.children_user + after.children_system
        return used - before.children_user - before.children_system

    assert min(spend() for _ in range(3)) < 0.5


# What is printed where


def test_no_colour_and_no_bar_where_nobody_looks(finished: Finished) -> None:
    assert all("\x1b" not in text and "\r" not in text for text in finished.audit.said)


def run_on_a_terminal(command: list[str], **names: str) -> str:
    leader, follower = pty.openpty()
    env = {name: value for name, value in environment().items() if name != "NO_COLOR"}
    env |= {"TERM": "xterm-256color", "COLUMNS": "200"} | names
    with subprocess.Popen(command, stdout=follower, stderr=follower, stdin=follower, env=env) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # Linux's way of saying that the other end is closed
                break
            shown += piece
        assert process.wait() == 0
    os.close(leader)
    return shown.decode()


def test_no_color_is_honoured_on_a_terminal(finished: Finished) -> None:
    command = finished.audit.command("query", "SELECT 1 AS one, 'x' AS two")
    colours = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d|10\d)(?:;\d+)*m")
    assert colours.search(run_on_a_terminal(command, NO_COLOR="1")) is None


# init and doctor


def test_init_writes_a_workspace_that_works_and_replaces_nothing(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "new")
    said = audit.must("init")
    assert {line.removeprefix("Wrote ") for line in said.splitlines()} >= {
        "keys/pseudonym.key", "genai-audit.toml", "registers/labels.csv", "registers/directory.csv",
    }  # fmt: skip
    assert audit.workspace.key_file.stat().st_mode & 0o777 == 0o600
    assert len(audit.workspace.key_file.read_bytes()) == 32
    before = list_files(audit.root)
    assert audit.must("init") == ""
    assert list_files(audit.root) == before
    assert "default" in audit.must("doctor", "--settings")


@pytest.mark.parametrize(
    ("roles", "code", "said"),
    [
        ((GRAPH_ROLE,), 0, "ok   m365_audit: https://"),
        (("Directory.Read.All",), 78, f"fix  permission: {GRAPH_ROLE} is missing"),
        ((GRAPH_ROLE, "Mail.Read"), 78, "fix  permission: Mail.Read is more than needed"),
    ],
    ids=["exact", "missing", "extra"],
)
def test_doctor_reads_the_token(
    tmp_path: Path, make_audit: MakeAudit, roles: tuple[str, ...], code: int, said: str
) -> None:
    with PretendTenant(make_store(DAY, 1, 1), roles=roles, workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
        done = audit.run("doctor")
    assert done.returncode == code, done
    assert said in done.stdout
    states = {line[:4].strip() for line in done.stdout.splitlines()}
    assert states <= {"ok", "note", "fix"}
    assert ("fix" in states) == (code != 0)
    assert "Traceback" not in done.stderr
    assert tenant.secret_path.read_text() not in done.stdout + done.stderr


def test_doctor_finds_loose_modes_and_a_dead_service(tmp_path: Path, make_audit: MakeAudit) -> None:
    with PretendTenant(make_store(DAY, 1, 1), workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
    (audit.workspace.registers / "labels.csv").chmod(0o644)
    done = audit.run("doctor")
    assert done.returncode == 78
    assert "fix  modes: 1 file(s) can be read by others" in done.stdout
    assert "fix  credentials" in done.stdout or "fix  reachability" in done.stdout
    assert json.dumps(done.stderr)


@pytest.mark.parametrize(
    "stage",
    [
        "parsed/*/*",
        "warehouse.duckdb.wal",
        pytest.param("published/compliance.duckdb", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_while_computing_is_130_too(copy: Audit, stage: str) -> None:
    """`rebuild` makes all of it again; the next one finishes what this one began."""
    for room in (copy.workspace.parsed, copy.workspace.published):
        shutil.rmtree(room)
        room.mkdir(mode=0o700)
    process = copy.start("rebuild", "--from", "landing")
    assert wait_until(lambda: next(copy.root.glob(stage), None) is not None, process)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - asked < 20
    assert process.returncode == 130, stderr
    assert "Interrupted" in stderr
    assert "Traceback" not in stderr
    copy.must("verify", "--quiet")
    copy.load()
