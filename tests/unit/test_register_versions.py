"""Versions of the registers in landing: landed when they differ, all or none, and in force until the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builders import make_settings, make_workspace
from genai_audit.collection import pull, raise_if_nothing_came
from genai_audit.errors import BadDataError, ConfigurationError, SourceUnavailableError, UsageError
from genai_audit.landing import Landing, Package, packages, past_retention
from genai_audit.register_versions import (
    SOURCE,
    compare,
    describe,
    find_newest,
    land_changed,
    read_newest,
    read_version,
    sum_up,
)
from genai_audit.registers import REGISTERS, format_rows
from genai_audit.registry import sources
from genai_audit.runs import Run
from genai_audit.settings import PrivacySettings
from genai_audit.verification import verify_landing
from genai_audit.workspace import Workspace

TOOLS = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value\n"
CHATGPT = "chatgpt,ChatGPT,OpenAI,unknown,unknown,domain,chatgpt.com\n"
GEMINI = "gemini,Gemini,Google,unknown,unknown,domain,gemini.google.com\n"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def write(workspace: Workspace, name: str, content: str | bytes) -> None:
    raw = content.encode() if isinstance(content, str) else content
    (workspace.registers / f"{name}.csv").write_bytes(raw)


def land(workspace: Workspace, said: list[str] | None = None) -> list[Package]:
    run = Run(workspace, make_settings(workspace), "run")
    landing = Landing(workspace, run.settings, run.run_id)
    return land_changed(landing, run.context(SOURCE), (said if said is not None else []).append)


def in_force(workspace: Workspace, name: str = "tools") -> list[str]:
    return [row["tool_name"] for row in read_newest(workspace, packages(workspace))[name]]


def test_a_register_becomes_a_version_and_only_a_changed_one_becomes_another(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT)
    said: list[str] = []
    (package,) = land(workspace, said)
    assert (package.source, package.kind, package.outcome) == ("registers", "import", "complete")
    assert (package.source_facts["register"], package.counts["accepted"]) == ("tools", 1)
    assert len(package.source_facts["register_sha256"]) == 64
    assert said == [f"registers/tools.csv: landed as version {package.package_id}: "
                    "1 added, 0 changed, 0 removed"]  # fmt: skip
    assert land(workspace) == []
    write(workspace, "tools", b"\xef\xbb\xbf" + (TOOLS + "\n" + CHATGPT).replace("\n", "\r\n").encode())
    assert land(workspace) == [], "Excel saved the same rows again"
    write(workspace, "tools", TOOLS + CHATGPT.replace("unknown", "approved", 1) + GEMINI)
    land(workspace, said)
    assert said[-1].endswith("1 added, 1 changed, 0 removed")
    assert in_force(workspace) == ["ChatGPT", "Gemini"]
    assert {verdict.state for verdict in verify_landing(workspace)} == {"valid"}


def test_a_version_keeps_the_line_of_every_row(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + "\n" + CHATGPT + "\n\n" + GEMINI.replace("Gemini", '"Ge\nmini"'))
    (package,) = land(workspace)
    table = read_version(workspace, package)
    assert table.lines == [3, 6]
    assert table.rows[1]["tool_name"] == "Ge mini"


def test_a_file_that_is_gone_leaves_the_landed_version_in_force(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT)
    land(workspace)
    (workspace.registers / "tools.csv").unlink()
    assert land(workspace) == []
    assert in_force(workspace) == ["ChatGPT"]


def test_a_header_alone_is_no_register_until_there_was_one(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS)
    assert land(workspace) == []
    write(workspace, "tools", TOOLS + CHATGPT)
    land(workspace)
    write(workspace, "tools", TOOLS)
    assert len(land(workspace)) == 1, "emptied on purpose"
    assert in_force(workspace) == []


def test_one_mistake_in_one_file_lands_nothing(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT)
    write(workspace, "units", "unit_id,unit_name,parent_unit_name\nu1,,\n")
    with pytest.raises(ConfigurationError, match=r"units\.csv line 2, column unit_name"):
        land(workspace)
    assert packages(workspace) == []


def test_a_row_that_others_name_can_not_be_taken_away(workspace: Workspace) -> None:
    row = {"use_case_id": "UC1", "use_case_title": "T", "area": "teaching", "tool_ids": "gemini",
           "route": "scrutiny", "decision": "pending"}  # fmt: skip
    write(workspace, "tools", TOOLS + CHATGPT + GEMINI)
    write(workspace, "use_cases", format_rows("use_cases", [row]))
    assert len(land(workspace)) == 2
    (workspace.registers / "use_cases.csv").unlink()  # its landed version still names the tool
    write(workspace, "tools", TOOLS + CHATGPT)
    with pytest.raises(
        ConfigurationError, match=r"use_cases\.csv line 2, column tool_ids: not in tools\.csv"
    ):
        land(workspace)


def test_nothing_is_landed_with_a_blanked_cell(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT.replace("OpenAI", "'Essay': ours"))
    cut = make_settings(workspace).model_copy(update={"privacy": PrivacySettings(content_keys=("Essay",))})
    run = Run(workspace, cut, "run")
    with pytest.raises(BadDataError, match=r"1 cell\(s\) read like the text of a prompt"):
        land_changed(Landing(workspace, cut, run.run_id), run.context(SOURCE), run.say)
    assert packages(workspace) == []


def test_a_pull_lands_what_its_sources_read_before_it_asks(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT.replace("chatgpt.com", "https://chatgpt.com"))
    run = Run(workspace, make_settings(workspace), "run")
    with pytest.raises(ConfigurationError, match=r"tools\.csv line 2, column match_value"):
        pull(run, source_ids=["no_such_source"])
    write(workspace, "tools", TOOLS + CHATGPT)
    with pytest.raises(UsageError, match="no source"):
        pull(run, source_ids=["no_such_source"])
    assert in_force(workspace) == ["ChatGPT"]
    assert (len(run.landed), run.gaps) == (1, [])


def test_a_pull_tells_that_a_file_that_sources_read_is_gone(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT)
    land(workspace)
    (workspace.registers / "tools.csv").unlink()
    run = Run(workspace, make_settings(workspace), "run")
    with pytest.raises(UsageError):
        pull(run, source_ids=["no_such_source"])
    assert run.gaps == ["registers/tools.csv is missing; sources that need it read nothing"]


def test_a_register_that_was_landed_does_not_hide_that_nothing_was_read(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT)
    run = Run(workspace, make_settings(workspace), "pull")
    run.landed += land(workspace)
    raise_if_nothing_came(run)
    run.landed.append(replace(run.landed[0], source="m365_audit", outcome="failed", reason="x"))
    with pytest.raises(SourceUnavailableError):
        raise_if_nothing_came(run)


def test_retention_never_lists_the_version_in_force(workspace: Workspace) -> None:
    write(workspace, "tools", TOOLS + CHATGPT)
    (first,) = land(workspace)
    write(workspace, "tools", TOOLS + GEMINI)
    land(workspace)
    past = past_retention(workspace, raw_days=90, now=datetime.now(UTC) + timedelta(days=400))
    assert [package.package_id for package in past] == [first.package_id]


def test_a_register_is_only_read_from_the_workspace(workspace: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "tools.csv"
    other.write_text(TOOLS + CHATGPT)
    read = sources()[SOURCE].read
    assert read is not None
    with pytest.raises(UsageError, match=r"registers/tools\.csv"):
        list(read(other, "tools", Run(workspace, make_settings(workspace), "run").context(SOURCE)))


def test_a_long_register_is_one_package(workspace: Workspace) -> None:
    rows = "".join(f"u{number},Unit {number},\n" for number in range(5_001))
    write(workspace, "units", "unit_id,unit_name,parent_unit_name\n" + rows)
    (package,) = land(workspace)
    assert package.counts["accepted"] == package.source_facts["row_count"] == 5_001
    assert find_newest(packages(workspace)) == {"units": package}


def test_a_difference_names_the_row_and_masks_people() -> None:
    old = [{"object_id": "", "upn": "ada@westbridge.example", "unit_id": "u1", "role": "staff"}]
    new = [old[0] | {"unit_id": "u2"}, old[0] | {"upn": "bob@westbridge.example"}]
    found = compare("directory", old, new)
    assert sum_up(found) == "1 added, 1 changed, 0 removed"
    assert [describe("directory", one) for one in found] == ["changed …: unit_id 'u1' → 'u2'", "added …"]
    tool = dict.fromkeys(REGISTERS["tools"].names, "") | {"match_kind": "domain", "match_value": "x.example"}
    (changed,) = compare("tools", [tool], [tool | {"owner": "ada@westbridge.example", "status": "pilot"}])
    assert describe("tools", changed) == "changed domain · x.example: status '' → 'pilot', owner"
