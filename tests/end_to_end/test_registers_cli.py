"""`genai-audit register` as people use it: a colleague's file, a mistake, a difference, a copy for Excel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from end_to_end.audits import Audit, ask_file, is_refused, list_files
from genai_audit.landing import packages

TOOLS = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value\n"
CHATGPT = "chatgpt,ChatGPT,OpenAI,unknown,unknown,domain,chatgpt.com\n"
ADA = "ada.lovelace@westbridge.example"


def test_a_register_goes_in_is_compared_and_comes_out(
    tmp_path: Path, make_audit: Callable[..., Audit]
) -> None:
    audit, registers = make_audit(tmp_path), tmp_path / "workspace" / "registers"
    file = tmp_path / "tools.csv"
    file.write_text("\ufeff" + (TOOLS + CHATGPT).replace("\n", "\r\n"), encoding="utf-8")
    assert "tools: not landed; file changed" in audit.must("register", "list")
    said = audit.must("register", "import", str(file))
    assert "version 0000001-import: 1 added, 0 changed, 0 removed" in said
    assert (registers / "tools.csv").read_bytes() == file.read_bytes(), "or the next run would undo it"
    listed = audit.must("register", "list")
    assert "tools: version 0000001-import, 1 rows" in listed
    assert "; file same;" in next(line for line in listed.splitlines() if line.startswith("tools:"))

    (registers / "tools.csv").write_text(TOOLS + CHATGPT.replace("unknown", "approved", 1), encoding="utf-8")
    assert audit.must("register", "diff", "tools").splitlines() == [
        "tools: 0 added, 1 changed, 0 removed",
        "  changed domain · chatgpt.com: status 'unknown' → 'approved'",
    ]
    done = audit.run("register", "import", str(file))
    assert is_refused(done, 2), "an import must not lose what somebody has edited"
    audit.must("register", "import", str(registers / "tools.csv"))

    out = tmp_path / "out.csv"
    audit.must("register", "export", "tools", "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.read_bytes().startswith(b"\xef\xbb\xbftool_id,tool_name")
    assert is_refused(audit.run("register", "export", "tools", "--out", str(out)), 2)
    audit.must("register", "export", "tools", "--out", str(out), "--force")
    assert "tools: 1 row(s), no mistake" in audit.must("register", "check", "--name", "tools", str(out))


def test_every_mistake_is_printed_and_nothing_is_landed(
    tmp_path: Path, make_audit: Callable[..., Audit]
) -> None:
    audit = make_audit(tmp_path)
    file = tmp_path / "tools.csv"
    file.write_text(TOOLS + CHATGPT.replace("unknown,unknown", "aproved,") * 12, encoding="utf-8")
    before = list_files(audit.workspace.landing)
    done = audit.run("register", "check", str(file))
    assert is_refused(done, 65)
    assert len(done.stdout.splitlines()) == 23, "twelve words, eleven repeats"
    assert "tools.csv line 13, column status: not an allowed value, did you mean 'approved'?" in done.stdout
    assert is_refused(audit.run("register", "import", str(file)), 65)
    assert list_files(audit.workspace.landing) == before
    done = audit.run("register", "diff", "tolls")
    assert (done.returncode, "Did you mean 'tools'?" in done.stderr) == (2, True)


def test_a_run_lands_what_was_edited_and_a_rebuild_needs_no_file(
    tmp_path: Path, make_audit: Callable[..., Audit]
) -> None:
    audit, registers = make_audit(tmp_path), tmp_path / "workspace" / "registers"
    (registers / "tools.csv").write_text(TOOLS + CHATGPT, encoding="utf-8")
    (registers / "directory.csv").write_text(f"object_id,upn,unit_id,role\n,{ADA},phys,staff\n")
    audit.load()
    for path in registers.glob("*.csv"):
        path.unlink()
    audit.must("rebuild")
    published = audit.workspace.published / "compliance.duckdb"
    assert ask_file(published, "SELECT tool_id FROM tool") == [("chatgpt",)]
    count = len(packages(audit.workspace))  # those two, and the starters that are shipped filled
    assert ask_file(published, "SELECT count(*), any_value(kind) FROM package") == [(count, "import")]
    assert ask_file(published, "SELECT count(*) FROM coverage WHERE source = 'registers'") == [(0,)]
    assert ask_file(published, "SELECT count(*) FROM use_case") == [(0,)]
    assert audit.must("verify", "--quiet").splitlines()[0] == f"{count} valid"
    assert ADA.encode() not in audit.workspace.warehouse.read_bytes()
