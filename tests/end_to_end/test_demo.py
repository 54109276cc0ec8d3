"""`genai-audit demo`: what it promises on the terminal is true."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from end_to_end.audits import Audit, ask_file, is_refused, list_files
from end_to_end.conftest import Finished


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audit, list[str]]:
    audit = Audit(tmp_path_factory.mktemp("demo") / "workspace")
    return audit, audit.must("demo", "--people", "300", "--days", "40").splitlines()


def block_after(lines: list[str], title: str) -> list[str]:
    """The indented lines below a title."""
    start = next(number for number, line in enumerate(lines) if line.startswith(title)) + 1
    found = []
    for line in lines[start:]:
        if not line.startswith("  "):
            break
        found.append(line.strip())
    return found


def test_all_planted_events_are_found(demo: tuple[Audit, list[str]]) -> None:
    _, lines = demo
    assert "Planted and found: 8 of 8." in lines
    assert all(line.startswith("found ") for line in block_after(lines, "Planted and found"))


def test_the_three_reports_are_where_it_says(demo: tuple[Audit, list[str]]) -> None:
    _, lines = demo
    reports = [Path(line) for line in block_after(lines, "Reports:")]
    assert {path.name for path in reports} == {
        "compliance_audit.html", "vle_usage.html", "iss_operations.html",
    }  # fmt: skip
    for path in reports:
        page = path.read_text(encoding="utf-8")
        assert 'lang="en-GB"' in page
        assert "University of Westbridge" in page
        assert 'src="http' not in page


def test_the_queries_it_proposes_give_rows(demo: tuple[Audit, list[str]]) -> None:
    audit, lines = demo
    proposals = block_after(lines, "Try:")
    assert len(proposals) == 3
    for proposal in proposals:
        program, flag, folder, *words = shlex.split(proposal)
        assert (program, flag, Path(folder)) == ("genai-audit", "--workspace", audit.root)
        said = audit.must(*words)
        assert len(said.splitlines()) > 3, proposal


def test_the_audit_of_the_demo_is_whole(demo: tuple[Audit, list[str]]) -> None:
    audit, lines = demo
    assert "8 of 8" in "\n".join(lines)
    audit.must("verify", "--quiet")
    assert [path for path in audit.root.rglob("*") if ".part" in path.name] == []
    published = audit.workspace.published / "lide.duckdb"
    rows = ask_file(published, "SELECT count(*) FROM vle_use_by_month")
    assert rows[0][0] > 0


def test_it_does_not_touch_a_real_workspace(finished: Finished) -> None:
    before = list_files(finished.audit.root)
    done = finished.audit.run("demo", "--people", "300", "--days", "40")
    assert is_refused(done, 2), done
    assert "real one" in done.stderr
    after = list_files(finished.audit.root)
    assert {name: facts for name, facts in after.items() if name != ".lock"} == before or after == before
