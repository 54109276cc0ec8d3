"""Moodle's AI registers and the VLE tables of other vendors: attempts and actions apart, people unnamed."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from builders import land, make_settings, make_workspace
from genai_audit import parsing
from genai_audit.errors import BadDataError
from genai_audit.landing import packages, read_records
from genai_audit.registry import SourceContext
from genai_audit.settings import Settings
from genai_audit.sources.vle_csv import SOURCE as CSV
from genai_audit.sources.vle_csv import read as read_table
from genai_audit.sources.vle_moodle import SOURCE, VleMoodleOptions
from genai_audit.workspace import Workspace
from peers import peer_python
from vle_peers import DDA_PINS

ACTIONS = "id,actionname,actionid,success,userid,contextid,provider,errorcode,timecreated,timecompleted\n"
FAILOVER = (
    "812,summarise_text,77,0,3021,5513,aiprovider_azureai,429,1791800000,1791800003\n"
    "813,summarise_text,78,1,3021,5513,aiprovider_openai,,1791800000,1791800009\n"
    "814,summarise_text,79,1,3021,5513,aiprovider_openai,,1791800020,1791800022\n"
    "815,generate_text,12,1,3021,5513,aiprovider_openai,,1791800000,1791800022\n"
    "816,summarise_text,80,1,3022,5513,aiprovider_openai,,1791800000,1791800004\n"
)
PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "tests" / "peer_scripts"


def read(folder: Path, text: str, kind: str | None = None, name: str = "x.csv") -> list[dict[str, Any]]:
    """Records of a table; recognised by its header, or named by `kind`."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    assert CSV.recognise is not None
    found = kind or CSV.recognise(path, path.read_bytes()[:65536])
    assert found is not None, "not recognised"
    context = SourceContext(Settings(), folder / "state" / "vle_csv")
    return [json.loads(raw) for page in read_table(path, found, context) for raw in page.records]


def parse(folder: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    workspace = make_workspace(folder)
    package = land(workspace, [json.dumps(one).encode() for one in records], source_id="vle_csv")
    parsing.parse_package(workspace, package, make_settings(workspace), workspace.read_key())
    return pl.read_parquet(parsing.check_seal(workspace, package)["stg_vle_use"]).to_dicts()


# Attempts and actions


def test_attempts_of_one_action_share_its_key(tmp_path: Path) -> None:
    """A failover: two providers were tried for one action. Each has an actionid of its own."""
    rows = parse(tmp_path, read(tmp_path, ACTIONS + FAILOVER))
    assert len({row["record_id"] for row in rows}) == 5
    keys = [row["action_key"] for row in rows]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4  # another second, another action, another person
    assert all(key.startswith("ob_") for key in keys)
    assert [row["outcome"] for row in rows] == ["failure", "success", "success", "success", "success"]


def test_an_acceptance_of_the_policy_is_no_use(tmp_path: Path) -> None:
    text = "id,userid,contextid,timeaccepted\n5,3021,1,1791700000\n6,3022,1,1791800000\n"
    first, second = read(tmp_path, text)
    assert first["map"] == "moodle_ai_policy_register"
    assert (first["feature"], first["record_kind"], first["outcome"]) == (
        "AI policy accepted", "interaction", "accepted",
    )  # fmt: skip
    assert (first["actor"], first["occurred_at"]) == ("3021", "2026-10-11T06:26:40Z")
    assert first["record_id"] != second["record_id"]
    assert read(tmp_path, text.replace("5,3021", "9,3021"))[0]["record_id"] == first["record_id"]


def test_other_rows_have_no_action(tmp_path: Path) -> None:
    generic = "record_kind,occurred_at,feature\ninteraction,2026-10-06,x\n"
    assert parse(tmp_path, read(tmp_path, generic))[0]["action_key"] is None


# What LIDE most likely has


def test_the_instructor_table_counts_by_person_apart_from_the_course_table(tmp_path: Path) -> None:
    text = (
        "creator_name,creator_email,ai_courses,ai_items,available_ai_items\n"
        "Ada Lovelace,a.lovelace@westbridge.example,3,40,31\n"
    )
    records = read(tmp_path, text, name="aida_instructors_2026-11-24.csv")
    assert records[0]["map"] == "illuminate_aida_instructors"
    assert "Ada" not in json.dumps(records)
    [row] = parse(tmp_path, records)
    assert (row["record_kind"], row["quantity"], row["actor_role"]) == ("aggregate", 40, "staff")
    assert row["feature"] != "AI Design Assistant"  # these are the course table's items once more
    assert row["person_key"].startswith("ps_")


@pytest.mark.parametrize(
    ("kind", "text", "feature"),
    [
        ("learnwise", "created_at,event_type\n2026-10-06T10:00:00,question_asked\n", "question_asked"),
        ("ally_events", "event_time,event_type\n2026-10-06T10:00:00,GenerateAltText\n",
         "AI alt text: GenerateAltText"),
    ],
)  # fmt: skip
def test_assumed_headers_are_taken_by_name_only(tmp_path: Path, kind: str, text: str, feature: str) -> None:
    [record] = read(tmp_path, text, kind)
    assert record["feature"] == feature
    assert CSV.recognise is not None
    assert (
        CSV.recognise(tmp_path / "x.csv", text.encode()) is None
    )  # a time and a type: that could be anything
    with pytest.raises(BadDataError, match="no column for 'feature'"):
        read(tmp_path, text.replace("event_type", "kind_of_thing"), kind)


def test_other_events_of_ally_are_left_out(tmp_path: Path) -> None:
    text = "event_time,event_type\n2026-10-06T10:00:00,DownloadFailed\n2026-10-06T10:00:00,AddAltText\n"
    assert read(tmp_path, text, "ally_events") == []


def test_the_register_decides_which_clicks_are_genai(tmp_path: Path) -> None:
    registers = tmp_path / "registers"
    registers.mkdir()
    (registers / "vle_features.csv").write_text(
        "match_kind,pattern,feature,tool,status,note\r\n"
        "object_id,ai.studio.*,AI Studio: opened,Studio,pilot,\r\n\r\n"
        "object_id,course.helper.ask,Helper: asked,,approved,not named like AI\r\n",
        encoding="utf-8-sig",
    )
    header = "event_id,event_time,person_uuid,course_number,object_id\n"
    ids = ("ai.studio.open", "course.helper.ask", "ai.chat.chat.controls.send", "menu.open")
    rows = [f"e{n},2026-10-06T10:00:00,u1,H1,{one}\n" for n, one in enumerate(ids)]
    records = read(tmp_path, header + "".join(rows))
    assert [(record["feature"], record["tool"]) for record in records] == [
        ("AI Studio: opened", "Studio"),
        ("Helper: asked", "Blackboard Learn Ultra"),
        ("unclassified: ai.chat.chat.controls.send", "Blackboard Learn Ultra"),
    ]


# By SQL, from a real PostgreSQL in an environment of its own


class Moodle:
    """A database with the two registers, and the project's command line beside a PostgreSQL driver."""

    def __init__(self, python: Path, folder: Path, server: subprocess.Popen[str]) -> None:
        self._python, self._server = python, server
        self.workspace = Workspace(folder / "workspace")
        assert server.stdout is not None
        self.address = json.loads(server.stdout.readline())
        self.run("init")
        self.configure()

    def configure(self, **values: str) -> None:
        keys = {"first_pull_days": 1, **self.address, **values}
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        text = '[sources]\nenabled = ["vle_moodle"]\nexpected = []\n[vle_moodle]\n' + "\n".join(lines)
        self.workspace.settings_file.write_text(text + "\n", encoding="utf-8")

    def execute(self, *statements: str) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(statements) + "\n")
        assert json.loads(self._server.stdout.readline()) == len(statements)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        places = [str(PROJECT / "src"), sysconfig.get_paths()["purelib"]]
        command = [str(self._python), str(SCRIPTS / "run_project.py"), *places, "cli"]
        command += ["--workspace", str(self.workspace.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def pull(self) -> tuple[list[dict[str, Any]], Any]:
        """Records and manifest of 12 October 2026, when it is 2026-10-12 in the registers."""
        done = self.run("pull", "--source", "vle_moodle", "--since", "2026-10-12", "--until", "2026-10-12")
        package = packages(self.workspace)[-1]
        assert package.source == "vle_moodle", done.stdout + done.stderr
        lines = [line for batch in read_records(self.workspace, package, 1000) for line in batch]
        return [json.loads(line) for line in lines], package


TABLES = (
    "CREATE TABLE mdl_ai_action_register (id bigint, actionname varchar(100), actionid bigint,"
    " success smallint, userid bigint, contextid bigint, provider varchar(100), errorcode bigint,"
    " errormessage text, timecreated bigint, timecompleted bigint, model varchar(50))",
    "CREATE TABLE mdl_ai_policy_register (id bigint, userid bigint, contextid bigint, timeaccepted bigint)",
)


def make_inserts() -> Iterator[str]:
    for line in FAILOVER.splitlines():
        number, name, action, success, user, context, provider, code, created, completed = line.split(",")
        yield (
            f"INSERT INTO mdl_ai_action_register VALUES ({number}, '{name}', {action}, {success}, {user},"
            f" {context}, '{provider}', {code or 'NULL'}, 'Secret error', {created}, {completed}, NULL)"
        )
    yield "INSERT INTO mdl_ai_policy_register VALUES (1, 3021, 1, 1791790000), (2, 3022, 1, 1600000000)"


@pytest.fixture
def moodle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moodle]:
    folder = tmp_path_factory.mktemp("m")  # short: the path of a Unix socket has about a hundred characters
    python = peer_python("dda", DDA_PINS)
    command = [str(python), str(SCRIPTS / "dda_server.py"), str(folder / "pg")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as server:  # ends when its input is closed
        yield Moodle(python, folder, server)


@pytest.mark.slow
def test_the_registers_by_sql_give_the_records_of_their_export(moodle: Moodle, tmp_path: Path) -> None:
    _, package = moodle.pull()
    assert package.outcome == "unproven"
    assert "no ai_action_register, no ai_policy_register" in package.reason
    moodle.execute(*TABLES)
    moodle.configure(table_prefix="other_")
    assert "0 of 2 registers are visible" in moodle.run("doctor").stdout
    moodle.configure()
    assert "2 of 2 registers are visible" in moodle.run("doctor").stdout
    records, package = moodle.pull()
    assert (records, package.outcome) == ([], "unproven")
    moodle.execute(*make_inserts())
    records, package = moodle.pull()
    assert (package.outcome, package.counts["received"]) == ("complete", 6)
    exported = read(tmp_path, ACTIONS + FAILOVER)
    policy = read(tmp_path, "userid,timeaccepted\n3021,1791790000\n")
    assert sorted(records, key=str) == sorted(exported + policy, key=str)
    assert "Secret" not in json.dumps(records)
    moodle.execute(
        "DROP TABLE mdl_ai_policy_register", "ALTER TABLE mdl_ai_action_register ADD courseid bigint"
    )
    moodle.execute("UPDATE mdl_ai_action_register SET courseid = 44")
    records, package = moodle.pull()
    assert (package.outcome, {record["course"] for record in records}) == ("partial", {"44"})
    assert "no ai_policy_register" in package.reason


def test_what_is_missing_is_said_before_anything_is_asked() -> None:
    assert SOURCE.missing is not None
    assert "host, database, user" in SOURCE.missing(Settings(), VleMoodleOptions())
    on_socket = VleMoodleOptions(host="/run/pg", database="moodle", user="audit")
    assert SOURCE.missing(Settings(), on_socket) == ""
    with pytest.raises(ValueError, match="table_prefix"):
        VleMoodleOptions(table_prefix='mdl"; DROP')
