"""The README can't lie: its commands are run in order, its tables are compared with the code."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from builders import DAY, copilot_record, make_messages, write_csv
from genai_audit import TELEMETRY_OFF, __version__
from genai_audit.cli import EXIT_CODES
from genai_audit.configuration import load_settings
from genai_audit.registers import REGISTERS
from genai_audit.registry import sources

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEPLOYMENTS = yaml.safe_load((ROOT / "flows" / "prefect.yaml").read_text(encoding="utf-8"))
RECORD_ID = "11111111-2222-3333-4444-555555555555"
CHECKED_OTHERWISE = {"make", "export", "prefect", "duckdb"}


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    comment: str

    @property
    def exit_code(self) -> int:
        """A comment that says "exits 78 …" is meant."""
        said = re.match(r"exits (\d+)", self.comment)
        return int(said[1]) if said else 0

    def __str__(self) -> str:
        return " ".join(self.words)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def read_commands() -> Iterator[Command]:
    for line in "".join(blocks("sh")).splitlines():
        text, _, comment = line.partition("  # ")
        yield Command(tuple(shlex.split(text)), comment.strip())


COMMANDS = list(read_commands())
OURS = [command for command in COMMANDS if command.words[0] == "genai-audit"]


def write_exports(folder: Path) -> None:
    """The two files that the README imports: a Purview export, and a VLE table with the generic headings."""
    rows = []
    for n in range(30):
        at = DAY + timedelta(hours=9, minutes=n)
        messages: list[dict[str, Any]] = make_messages(2)
        messages[0]["JailbreakDetected"] = n == 0
        record_id = RECORD_ID if n == 0 else None
        record = json.loads(copilot_record(at, record_id=record_id, event={"Messages": messages}))[
            "auditData"
        ]
        rows.append([record["Id"], f"{at:%Y-%m-%dT%H:%M:%S}.0000000Z ", "261", "CopilotInteraction",
                     record["UserId"], json.dumps(record), "", ""])  # fmt: skip
    header = "RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,"
    with (folder / "AuditLog.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(f"{header}AssociatedAdminUnitsNames\r\n")
        csv.writer(file).writerows(rows)
    headings = [
        "event_id",
        "record_kind",
        "occurred_at",
        "actor",
        "actor_role",
        "course",
        "school",
        "feature",
    ]
    uses = [
        [str(n), "interaction", "2026-10-06T10:00:00", f"person-{n % 20}", "student", "C1", "Law", "quiz"]
        for n in range(60)
    ]
    write_csv(folder / "vle_activity.csv", [headings, *uses])


@dataclass(frozen=True)
class Tour:
    folder: Path
    done: dict[str, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """Every genai-audit line of the README, in order, in one empty folder."""
    folder = tmp_path_factory.mktemp("readme")
    write_exports(folder)
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    for command in OURS:
        words = [_fill_in(word, folder, done) for word in command.words[1:]]
        done[str(command)] = _call(words, folder)
    return Tour(folder, done)


def _call(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GENAI_AUDIT_")}
    return subprocess.run(
        [sys.executable, "-m", "genai_audit", *words],
        cwd=folder,
        env=environment | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _fill_in(word: str, folder: Path, done: dict[str, subprocess.CompletedProcess[str]]) -> str:
    if word == "RECORD_ID":
        return RECORD_ID
    if word == "HEAD_HASH":
        return done["genai-audit verify --quiet"].stdout.split()[-1]
    if word == "FINDING_ID":
        return str(ask(folder, "SELECT finding_id FROM finding WHERE detection = 'prompt_attack_flag'")[0][0])
    return word


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(folder / "workspace" / "published" / "compliance.duckdb", read_only=True) as opened:
        return opened.execute(sql).fetchall()


@pytest.mark.parametrize("command", OURS, ids=str)
def test_a_command_does_what_the_readme_says(tour: Tour, command: Command) -> None:
    done = tour.done[str(command)]
    assert done.returncode == command.exit_code, done.stderr
    assert "Traceback" not in done.stderr


def test_the_readme_uses_every_verb_but_those_that_need_a_tenant() -> None:
    shown = {command.words[1] for command in OURS}
    assert shown >= {"init", "doctor", "import", "run", "query", "report", "rebuild", "verify", "trace"}
    assert {command.words[0] for command in COMMANDS} == {"genai-audit", *CHECKED_OTHERWISE}


def test_the_answers_are_those_of_the_two_files(tour: Tour) -> None:
    assert ask(tour.folder, "SELECT sum(prompt_count) FROM interaction") == [(30,)]
    by_month = tour.done["genai-audit query --audience lide FROM vle_use_by_month"].stdout
    assert re.search(r"interaction .*quiz .*20 .*60 ", by_month), by_month
    assert RECORD_ID in tour.done["genai-audit trace RECORD_ID"].stdout
    assert RECORD_ID in tour.done["genai-audit trace FINDING_ID"].stdout
    for name in ("compliance_audit", "vle_usage", "iss_operations"):
        assert f"workspace/reports/{name}.html" in README
        assert (tour.folder / "workspace" / "reports" / f"{name}.html").is_file()


def test_every_folder_of_a_workspace_is_explained(tour: Tour) -> None:
    (sketch,) = blocks("text")
    named = set(re.findall(r"[a-z-]+(?:\.\w+)?(?=/|\s)", sketch))
    there = {path.name for path in (tour.folder / "workspace").iterdir() if not path.name.startswith(".")}
    assert there <= named


@pytest.mark.parametrize("statement", "".join(blocks("sql")).strip().splitlines())
def test_a_statement_for_the_duckdb_command_line_works(tour: Tour, statement: str) -> None:
    (opening,) = [command for command in COMMANDS if command.words[0] == "duckdb"]
    assert opening.words[1:] == ("-readonly", "workspace/published/compliance.duckdb")
    assert ask(tour.folder, statement)


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    asked = [command.words[1] for command in COMMANDS if command.words[0] == "make"]
    assert asked == ["demo", "test"]
    assert set(asked) <= targets


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.words[0] == "prefect"], ids=str)
def test_prefect_knows_the_command_and_its_options(command: Command, tmp_path: Path) -> None:
    words = [word for word in command.words[1:] if word != "--no-prompt"]
    options = [word for word in words if word.startswith("--")]
    verbs = words[: words.index(options[0])]
    if verbs[:2] == ["work-pool", "create"]:
        assert verbs.pop() == "local"
    shown = subprocess.run(
        [sys.executable, "-m", "prefect", *verbs, "--help"],
        env=os.environ | TELEMETRY_OFF | {"PREFECT_HOME": str(tmp_path), "COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(option in shown for option in options)
    if "--prefect-file" in words:
        assert (ROOT / words[words.index("--prefect-file") + 1]).is_file()
    if "--pool" in words:
        pools = {one["work_pool"]["name"] for one in DEPLOYMENTS["deployments"]}
        assert pools == {words[words.index("--pool") + 1]}


def test_the_exported_variables_are_those_that_are_read() -> None:
    exported = dict(word.split("=", 1) for c in COMMANDS if c.words[0] == "export" for word in c.words[1:])
    assert exported.pop("PREFECT_API_URL").startswith("http://127.0.0.1:4200")
    assert exported.pop("GENAI_AUDIT_HOME") == "$PWD"
    assert "$GENAI_AUDIT_HOME" in json.dumps(DEPLOYMENTS)
    assert exported.pop("GENAI_AUDIT_WORKSPACE") == "$PWD/workspace"
    assert exported.items() <= TELEMETRY_OFF.items()


def test_the_schedule_in_the_text_is_the_schedule_in_prefect() -> None:
    crons = {one["name"]: one["schedules"][0]["cron"] for one in DEPLOYMENTS["deployments"]}
    assert crons == {"nightly": "15 2 * * *", "monthly": "0 6 1 * *", "weekly": "30 5 * * 1"}
    text = " ".join(README.split())
    for said in ("`audit/nightly` runs at 02:15 Europe/London", "`reports/monthly` runs on the 1st at 06:00",
                 "`retention/weekly` on Mondays at 05:30"):  # fmt: skip
        assert said in text


def section(title: str) -> str:
    return README.split(f"{title}\n", 1)[1].split("\n#", 1)[0]


def test_tables_of_the_readme_agree_with_the_code() -> None:
    codes = set(re.findall(r"\| (\d+) \|", section("### 6. Exit codes")))
    assert codes == set(re.findall(r"\b(\d+) [a-z]", EXIT_CODES))
    registers = re.findall(r"^\| `(\w+)\.csv`", section("### 4. Fill in the registers"), re.MULTILINE)
    assert set(registers) == set(REGISTERS)
    statuses = re.findall(r"^\| ([a-z ]+) \|", section("### 5. What coverage means"), re.MULTILINE)
    model = (ROOT / "sql" / "marts" / "fct_coverage.sql").read_text(encoding="utf-8")
    assert all(f"'{status}'" in model for status in statuses[1:])
    assert statuses[1:] == ["collected", "partly", "unproven", "not collected"]
    listed = set(re.findall(r"^\| `(\w+)` \|", section("## The first hour of LIDE"), re.MULTILINE))
    maps = {path.stem for path in (ROOT / "src/genai_audit/sources/vle_maps").glob("*.toml")}
    assert listed == maps | {"record_kind", "artefact", "interaction", "quota_counter", "aggregate"}


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target[1:] in headings if target.startswith("#") else (ROOT / target).is_file(), target


def test_the_readme_says_what_it_must() -> None:
    assert "Pseudonymised data is still personal data." in README
    assert "No live tenant stood behind any test." in README
    assert len(README.split("\n\n")[1].splitlines()) == 5, "what it does, in five lines"


def test_the_changelog_names_this_version_and_the_licence_is_there() -> None:
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert "genai-audit contributors" in licence


def test_every_source_stands_in_the_readme_with_what_it_needs() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| .+? \| (.+) \|$", README.split("### 9. Every source")[1], re.MULTILINE)
    )
    for name, source in sources().items():
        assert name in rows, name
        assert all(f"`{need}`" in rows[name] for need in source.needs), name


def test_the_marked_sections_of_the_starter_configuration_are_right(tmp_path: Path) -> None:
    starter = (ROOT / "src" / "genai_audit" / "starters" / "genai-audit.toml").read_text(encoding="utf-8")
    marked = starter.split("add its name to `enabled` above.\n")[1].split("\n\n[privacy]")[0]
    file = tmp_path / "genai-audit.toml"
    file.write_text(re.sub(r"^# ?", "", marked, flags=re.MULTILINE), encoding="utf-8")
    settings = load_settings(file)
    assert settings.vle_xapi.rules[0].feature == "Tutor chat"  # type: ignore[attr-defined]
    assert settings.vle_dda.time_zone == "Europe/London"  # type: ignore[attr-defined]
