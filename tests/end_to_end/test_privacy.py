"""Canaries: prompt text is nowhere, names are only in landing and registers, and closed to others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from builders import DAY, copilot_record
from end_to_end.audits import QUICK, Audit, ask_file, read_lines
from end_to_end.conftest import CANARY_PROMPT, CANARY_UNKNOWN, CANARY_UPN, Finished
from genai_audit.demo.tenant import Faults, PretendTenant, RecordStore
from genai_audit.landing import packages
from genai_audit.workspace import Workspace

# Parts that must not be found either: the local part, and the family name (it is in a document's name too).
NAMES = (CANARY_UPN.lower(), "quentin.canarybird", "canarybird")
TEXTS = ("canaryprompt", "canaryunknown", "summarise-my-grievance", "in-a-key-nobody-documents")
ONLY_HERE = ("landing", "registers")


def list_other_files(workspace: Workspace) -> list[Path]:
    """Every file but those that may name people."""
    return [
        path
        for path in workspace.root.rglob("*")
        if path.is_file() and path.relative_to(workspace.root).parts[0] not in ONLY_HERE
    ]


def read_values(file: Path) -> Iterator[str]:
    """Every row as text: storage is compressed, a search through bytes alone would prove little."""
    if file.suffix == ".parquet":
        yield from (str(row) for row in pq.read_table(file).to_pylist())
    elif file.suffix == ".duckdb":
        with duckdb.connect(str(file), read_only=True) as connection:
            for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                yield from (str(row) for row in connection.execute(f"FROM {table}").fetchall())
            yield str(connection.execute("SELECT comment FROM duckdb_columns()").fetchall())


def find_words(text: str) -> list[str]:
    folded = text.lower()
    return [word for word in (*NAMES, *TEXTS) if word in folded]


def test_the_canaries_were_really_there(finished: Finished) -> None:
    """Else this suite would prove nothing."""
    raw = b"".join(finished.tenant._log.store.find(DAY, DAY.replace(day=9))).decode().lower()
    assert [word for word in (*NAMES, *TEXTS) if word not in raw] == []
    workspace = finished.audit.workspace
    landed = b"\n".join(read_lines(workspace)).decode().lower()
    assert CANARY_UPN.lower() in landed
    assert CANARY_UNKNOWN in landed
    assert CANARY_UPN in (workspace.registers / "directory.csv").read_text()


def test_known_content_is_cut_before_landing_and_counted(finished: Finished) -> None:
    workspace = finished.audit.workspace
    assert all(CANARY_PROMPT.encode() not in line for line in read_lines(workspace))
    assert sum(package.counts["content_cut"] for package in packages(workspace)) >= 2
    published = workspace.published / "compliance.duckdb"
    assert ask_file(published, "SELECT sum(content_cut_count) >= 2 FROM package") == [(True,)]


def test_an_unknown_field_is_kept_by_name_only(finished: Finished) -> None:
    published = finished.audit.workspace.published / "compliance.duckdb"
    names = {name for (name,) in ask_file(published, "SELECT field_name FROM field_drift")}
    assert {"Musings", "CopilotEventData.DraftOfUser"} <= names


def test_no_byte_and_no_value_outside_landing_and_registers_names_a_canary(finished: Finished) -> None:
    found = {}
    for path in list_other_files(finished.audit.workspace):
        words = find_words(path.read_bytes().decode("latin-1"))
        words += [word for value in read_values(path) for word in find_words(value)]
        if words or find_words(path.name):
            found[str(path)] = words
    assert found == {}
    root = finished.audit.root
    rooms = {path.relative_to(root).parts[0] for path in list_other_files(finished.audit.workspace)}
    assert {"published", "reports", "parsed", "runs", "warehouse.duckdb"} <= rooms


def test_nothing_that_was_printed_names_a_canary(finished: Finished) -> None:
    assert find_words("\n".join(finished.audit.said)) == []


def test_an_answer_that_breaks_off_is_not_quoted(tmp_path: Path, make_audit: Callable[..., Audit]) -> None:
    """Half a record in an error message or traceback would be a leak, even with --debug."""
    store = RecordStore()
    for number in range(20):
        body = {"PromptText": CANARY_PROMPT, "Musings": CANARY_UNKNOWN}
        store.add(DAY, copilot_record(DAY, record_id=f"q-{number}", user=CANARY_UPN, body=body))
    faults = Faults(truncated_json=1000, where=("records",))
    with PretendTenant(store, faults=faults, workdir=tmp_path / "tenant") as tenant:
        audit = make_audit(tmp_path, tenant.as_toml(), QUICK)
        done = audit.run("--debug", "pull", "--since", "2026-10-06", "--until", "2026-10-06")
    assert done.returncode == 69
    assert "Traceback" in done.stderr
    assert find_words(done.stdout + done.stderr) == []
    for path in list_other_files(audit.workspace):
        assert find_words(path.read_bytes().decode("latin-1")) == [], path
    for path in audit.root.rglob("manifest.json"):
        assert find_words(path.read_text()) == []


def test_nobody_else_can_read_anything(finished: Finished) -> None:
    root = finished.audit.root
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
