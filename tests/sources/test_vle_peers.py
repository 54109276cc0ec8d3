"""Illuminate's SQL in a Snowflake emulator and DDA's in a real PostgreSQL, each in an environment of its own.

The pulls run in those environments too, as commands of the project: its own has neither driver.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import make_workspace
from genai_audit.landing import Package, packages, read_records
from genai_audit.workspace import Workspace
from peers import PeerServer, peer_python
from vle_peers import (
    DDA_PINS,
    DDA_ROWS,
    DDA_TABLES,
    ILLUMINATE_PEOPLE,
    ILLUMINATE_PINS,
    ILLUMINATE_TABLES,
    SEND,
    click,
    item,
    many_clicks,
)  # fmt: skip

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
SCRIPTS = TESTS / "peer_scripts"
SECRETS = ("Secret", "Lovelace", "192.0.2.77", "ada@")


class Peer:
    """A peer's server, and the project's commands run beside its driver."""

    def __init__(self, python: Path, server: PeerServer, source_id: str, section: str) -> None:
        self.python, self.server, self.source_id, self.section = python, server, source_id, section

    def prepare(self, folder: Path) -> Workspace:
        workspace = make_workspace(folder)
        password = folder / "password"
        password.write_text("pretend", encoding="utf-8")
        password.chmod(0o600)
        text = self.section.format(password=password) + f'[sources]\nenabled = ["{self.source_id}"]\n'
        workspace.settings_file.write_text(text, encoding="utf-8")
        return workspace

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [str(self.python), str(SCRIPTS / "run_project.py"), str(TESTS.parent / "src")]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.Popen(
            [*command, sysconfig.get_paths()["purelib"], *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return process.returncode, out + err

    def pull(self, workspace: Workspace, *arguments: str) -> tuple[int, str]:
        return self.run(
            "cli", "--workspace", str(workspace.root), "pull", "--source", self.source_id, *arguments
        )

    def measure(self, workspace: Workspace, since: str, until: str) -> dict[str, Any]:
        code, said = self.run("measure", self.source_id, str(workspace.root), since, until)
        assert code == 0, said
        found: dict[str, Any] = json.loads(said.splitlines()[0])
        return found


@pytest.fixture(scope="module")
def illuminate() -> Iterator[Peer]:
    python = peer_python("illuminate", ILLUMINATE_PINS)
    with PeerServer(python, SCRIPTS / "illuminate_server.py") as server:
        at = server.address
        section = (
            f'[vle_illuminate]\naccount = "{at["account"]}"\nhost = "{at["host"]}"\nport = {at["port"]}\n'
            'protocol = "http"\ndatabase = "BLACKBOARD_DATA_TEST"\npassword_path = "{password}"\n'
        )
        server.fill(*ILLUMINATE_TABLES, *ILLUMINATE_PEOPLE)
        server.fill(
            click("e1", "u1", "_7_1", SEND, "2026-10-06 10:00:00", "2026-10-06 10:20:00"),
            click("e1", "u1", "_7_1", SEND, "2026-10-06 10:00:01", "2026-10-06 10:20:00"),
            click("e2", "u2", "_7_1", "course.AiConversation", "2026-10-05 23:59:00", "2026-10-06 00:10:00",
                  "https://vle.example/ultra/create"),
            click("e3", "u9", "_99_1", "ai.new.thing", "2026-10-06 10:00:00", "2026-10-06 10:20:00"),
            click("e4", "u1", "_7_1", "base.menu.open", "2026-10-06 10:00:00", "2026-10-06 10:20:00"),
            click("e5", "u1", "_7_1", SEND, "2026-10-06 10:00:00", "2026-10-07 00:00:00"),  # the next window
            item(1, 70, "1", "TEST_QUESTION", "'Y'", "2026-10-06 11:00:00"),
            item(2, 70, "null", "TEST", "'N'", "2026-10-06 11:00:00"),
            item(3, 80, "null", "TEST_QUESTION", "'N'", "2026-10-06 11:00:00", '{"bbmd_questiontype":21}'),
            item(4, 80, "3", "ASSIGNMENT", "'P'", "2026-10-06 12:00:00"),
        )  # fmt: skip
        yield Peer(python, server, "vle_illuminate", section)


@pytest.fixture(scope="module")
def dda() -> Iterator[Peer]:
    python = peer_python("dda", DDA_PINS)
    with (
        tempfile.TemporaryDirectory(prefix="pg") as folder,  # a socket's path must be short
        PeerServer(python, SCRIPTS / "dda_server.py", folder) as server,
    ):
        at = server.address
        section = (
            f'[vle_dda]\nhost = "{at["host"]}"\ndatabase = "{at["database"]}"\nuser = "{at["user"]}"\n'
            "retry_seconds = 0.01\nhistory_days = 3000\n"
        )
        server.fill(*DDA_TABLES, *DDA_ROWS)
        yield Peer(python, server, "vle_dda", section)


def list_landed(workspace: Workspace) -> tuple[list[Package], dict[str, dict[str, Any]]]:
    found = packages(workspace)
    lines = [line for package in found for batch in read_records(workspace, package, 1000) for line in batch]
    text = b"".join(lines).decode()
    assert not [word for word in SECRETS if word in text]
    return found, {record["record_id"]: record for record in map(json.loads, lines)}


def kill_in_mid_pull(process: subprocess.Popen[str], workspace: Workspace) -> None:
    """Once it has begun to write records, and before it has closed the package."""
    deadline = time.monotonic() + 60
    while process.poll() is None:
        with suppress(FileNotFoundError):  # the pull itself clears folders away
            if list(workspace.root.glob("**/records.ndjson.zst*")):
                break
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it had ended already"


def test_illuminate_is_pulled_by_arrival_and_by_left_joins(illuminate: Peer, tmp_path: Path) -> None:
    workspace = illuminate.prepare(tmp_path)
    code, said = illuminate.pull(workspace, "--since", "2026-10-06", "--until", "2026-10-06")
    assert code == 0, said
    _, records = list_landed(workspace)
    features = sorted(
        (row["feature"], row.get("actor", ""), row.get("actor_role", "")) for row in records.values()
    )
    assert features == [
        ("AI Conversation: message sent", "u1", "student"),
        ("AI Conversation: question", "", ""),
        ("AI Conversation: set up by an instructor", "u2", "staff"),
        ("AI Design Assistant: assignment", "u2", "staff"),
        ("AI Design Assistant: test question", "u1", "staff"),
        ("unclassified: ai.new.thing", "u9", ""),
    ]
    assert records["illuminate-item:4:P"]["school"] == "School of Law"
    assert records["illuminate-item:1:Y"]["term"] == "2026/27"


def test_illuminates_facts_count_what_did_not_match(illuminate: Peer, tmp_path: Path) -> None:
    workspace = illuminate.prepare(tmp_path)
    found = illuminate.measure(workspace, "2026-10-06T00:00:00+00:00", "2026-10-07T00:00:00+00:00")
    facts = found["facts"]
    assert (found["records"], facts["telemetry_rows"], facts["outcome"]) == (6, 5, "complete")
    assert (facts["unmatched_people"], facts["unmatched_courses"], facts["unclassified"]) == (1, 1, 1)
    empty = illuminate.measure(workspace, "2026-09-06T00:00:00+00:00", "2026-09-07T00:00:00+00:00")
    assert (empty["records"], empty["facts"]["outcome"]) == (0, "unproven")


def test_illuminate_tells_the_state_of_each_course_for_the_newest_window(
    illuminate: Peer, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    found = illuminate.measure(
        illuminate.prepare(tmp_path), (now - timedelta(minutes=5)).isoformat(), now.isoformat()
    )
    assert found["records"] == 2  # two courses; nothing else arrived
    assert found["facts"]["outcome"] == "complete"


def test_an_illuminate_pull_that_was_killed_is_pulled_again_whole(illuminate: Peer, tmp_path: Path) -> None:
    illuminate.server.fill(many_clicks(30_000, "2026-11-01 10:00:00"))
    workspace = illuminate.prepare(tmp_path)
    arguments = ("--source", "vle_illuminate", "--since", "2026-11-01", "--until", "2026-11-01")
    process = illuminate.start("cli", "--workspace", str(workspace.root), "pull", *arguments)
    kill_in_mid_pull(process, workspace)
    assert packages(workspace) == []
    code, said = illuminate.pull(workspace, "--since", "2026-11-01", "--until", "2026-11-01")
    assert code == 0, said
    found, records = list_landed(workspace)
    assert (len(found), len(records)) == (1, 30_000)
    illuminate.pull(workspace, "--since", "2026-11-01", "--until", "2026-11-01")
    assert set(list_landed(workspace)[1]) == set(records)


def test_illuminates_memory_does_not_grow_with_the_pull(illuminate: Peer, tmp_path: Path) -> None:
    """The emulator sends a whole answer at once, so some 100 bytes a row are allowed for."""
    illuminate.server.fill(
        many_clicks(5_000, "2026-11-03 10:00:00"), many_clicks(50_000, "2026-11-05 10:00:00")
    )
    workspace = illuminate.prepare(tmp_path)
    small = illuminate.measure(workspace, "2026-11-03T00:00:00+00:00", "2026-11-04T00:00:00+00:00")
    large = illuminate.measure(workspace, "2026-11-05T00:00:00+00:00", "2026-11-06T00:00:00+00:00")
    assert (small["records"], large["records"]) == (5_000, 50_000)
    assert large["peak_mb"] - small["peak_mb"] < 40, (small, large)


def test_illuminate_without_a_table_reads_the_other_one(illuminate: Peer, tmp_path: Path) -> None:
    workspace = illuminate.prepare(tmp_path)
    illuminate.server.fill("alter table CDM_TLM.ULTRA_EVENTS rename to CDM_TLM.HIDDEN_EVENTS",
                           "alter table CDM_LMS.PERSON rename to CDM_LMS.HIDDEN_PERSON")  # fmt: skip
    try:
        found = illuminate.measure(workspace, "2026-10-06T00:00:00+00:00", "2026-10-07T00:00:00+00:00")
    finally:
        illuminate.server.fill("alter table CDM_TLM.HIDDEN_EVENTS rename to CDM_TLM.ULTRA_EVENTS",
                               "alter table CDM_LMS.HIDDEN_PERSON rename to CDM_LMS.PERSON")  # fmt: skip
    assert found["records"] == 3
    assert found["facts"]["outcome"] == "partial"
    assert found["facts"]["absent_tables"] == ["CDM_TLM.ULTRA_EVENTS"]
    assert found["facts"]["absent_dimensions"] == ["CDM_LMS.PERSON"]


def test_an_illuminate_that_is_not_there_is_unavailable(illuminate: Peer, tmp_path: Path) -> None:
    workspace = illuminate.prepare(tmp_path)
    text = workspace.settings_file.read_text(encoding="utf-8")
    port = illuminate.server.address["port"]
    text = text.replace(f"port = {port}", "port = 9\nrequest_timeout_seconds = 2")
    workspace.settings_file.write_text(text, encoding="utf-8")
    code, said = illuminate.pull(workspace, "--since", "2026-10-06", "--until", "2026-10-06")
    assert code == 69, said
    assert packages(workspace)[0].outcome == "failed"
    assert "can't be reached" in packages(workspace)[0].reason


def test_dda_is_pulled_as_a_snapshot_once_a_day(dda: Peer, tmp_path: Path) -> None:
    workspace = dda.prepare(tmp_path)
    code, said = dda.pull(workspace)
    assert code == 0, said
    found, records = list_landed(workspace)
    assert [package.outcome for package in found] == ["complete"]
    ids = {name.rsplit(":", 1)[0] if "quota" in name else name for name in records}
    assert ids == {
        "dda-course_contents:1:O", "dda-course_contents:2:Y", "dda-course_contents:5:O",
        "dda-course_contents:6:O", "dda-msg_main:1:O", "dda-cms_resource_link:1:O", "dda-attempt:1:O",
        "dda-attempt_staged_grading:1:Y", "dda-conversation:1", "dda-quota:1", "dda-quota:2",
    }  # fmt: skip
    assert records["dda-course_contents:1:O"]["actor"] == "u1"
    assert records["dda-course_contents:6:O"]["actor"] == "_2_1"  # a person without a uuid
    assert (records["dda-msg_main:1:O"]["course"], records["dda-attempt:1:O"]["course"]) == ("_8_1", "_9_1")
    code, said = dda.pull(workspace)
    assert "there already" in said
    assert len(packages(workspace)) == 1


def test_dda_asks_for_the_days_of_its_history_only(dda: Peer, tmp_path: Path) -> None:
    workspace = dda.prepare(tmp_path)
    text = workspace.settings_file.read_text(encoding="utf-8").replace("3000", "30")
    workspace.settings_file.write_text(text, encoding="utf-8")
    found = dda.measure(workspace, "2026-10-07T00:00:00+00:00", "2026-10-07T06:00:00+00:00")
    assert found["records"] == 10  # not the one that was last changed in 2019
    later = dda.measure(workspace, "2027-10-07T00:00:00+00:00", "2027-10-07T06:00:00+00:00")
    assert later["records"] == 3  # a link without a time, and two counters


def test_dda_without_a_right_on_a_table_reads_the_others(dda: Peer, tmp_path: Path) -> None:
    dda.server.fill(
        "create role reader login", "grant usage on schema as_core, crs_content to reader",
        "grant select on as_core.users to reader",
        "grant select (pk1, ai_state, dtmodified) on crs_content.course_contents to reader",
    )  # fmt: skip
    workspace = dda.prepare(tmp_path)
    text = workspace.settings_file.read_text(encoding="utf-8")
    workspace.settings_file.write_text(text.replace('user = "postgres"', 'user = "reader"'), encoding="utf-8")
    found = dda.measure(workspace, "2026-10-07T00:00:00+00:00", "2026-10-07T06:00:00+00:00")
    assert found["records"] == 4
    assert found["facts"]["outcome"] == "partial"
    assert "gradebook.attempt" in found["facts"]["absent_tables"]
    assert "crs_content.course_contents" not in found["facts"]["absent_tables"]


def test_a_dda_account_that_does_not_exist_is_configuration(dda: Peer, tmp_path: Path) -> None:
    workspace = dda.prepare(tmp_path)
    text = workspace.settings_file.read_text(encoding="utf-8")
    workspace.settings_file.write_text(text.replace('user = "postgres"', 'user = "nobody"'), encoding="utf-8")
    code, said = dda.pull(workspace)
    assert code == 78, said
    assert "vle_dda" in said


def test_ddas_memory_does_not_grow_with_the_pull_and_a_killed_one_starts_again(
    dda: Peer, tmp_path: Path
) -> None:
    workspace = dda.prepare(tmp_path)
    rows = (
        "insert into as_core.rubric select n, 7, 'Secret', '2026-10-06 10:00', '2026-10-06 10:00', 'O', 1"
        " from generate_series({first}, {last}) as n"
    )
    dda.server.fill(rows.format(first=1, last=10_000))
    small = dda.measure(workspace, "2026-10-07T00:00:00+00:00", "2026-10-07T06:00:00+00:00")
    dda.server.fill(rows.format(first=10_001, last=100_000))
    large = dda.measure(workspace, "2026-10-07T00:00:00+00:00", "2026-10-07T06:00:00+00:00")
    assert large["records"] - small["records"] == 90_000
    assert large["peak_mb"] - small["peak_mb"] < 10, (small, large)
    process = dda.start("cli", "--workspace", str(workspace.root), "pull", "--source", "vle_dda")
    kill_in_mid_pull(process, workspace)
    assert packages(workspace) == []
    code, said = dda.pull(workspace)
    assert code == 0, said
    assert len(list_landed(workspace)[1]) == large["records"]
