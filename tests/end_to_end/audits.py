"""What the end-to-end suites share: the command line and a tenant as processes, ways to look inside."""

from __future__ import annotations

import io
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import zstandard

from builders import copilot_record
from genai_audit.configuration import load_settings
from genai_audit.demo.tenant import Faults, RecordStore
from genai_audit.loading import parse_and_load
from genai_audit.runs import Run
from genai_audit.warehouse import Warehouse
from genai_audit.workspace import Workspace

PATIENCE = 600  # seconds that one command may take on a busy machine
QUICK = """
[m365_audit]
poll_seconds = 0.02
retry_seconds = 0.02
deadline_minutes = 2.0
"""
Spoken = subprocess.CompletedProcess[str]


@dataclass
class Audit:
    """A workspace and the command line that works on it. `said` keeps everything that was printed."""

    root: Path
    said: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    def run(self, *words: str, env: dict[str, str] | None = None) -> Spoken:
        """One command of the real program, to its end."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=PATIENCE, check=False,
            env=environment() | (env or {}), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.said += [done.stdout, done.stderr]
        return done

    def must(self, *words: str, env: dict[str, str] | None = None) -> str:
        """A command that has to work; gives what it printed."""
        done = self.run(*words, env=env)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "genai_audit", "--workspace", str(self.root), *words]

    def configure(self, *sections: str) -> None:
        self.workspace.settings_file.write_text("\n".join(sections), encoding="utf-8")

    def load(self) -> None:
        """Parse and load in this process: what coverage then says, without the seconds that checks take."""
        with self.workspace.lock("test"):
            parse_and_load(Run(self.workspace, load_settings(self.workspace.settings_file), "test"))


def environment() -> dict[str, str]:
    """The tests' own environment, without settings that somebody has exported."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GENAI_AUDIT_")}


def is_refused(done: Spoken, code: int) -> bool:
    """Is it this exit code, and does the error say what, where and what next, without a traceback?"""
    lines = done.stderr.splitlines()
    told = [any(line.startswith(word) for line in lines) for word in ("Error: ", "Where: ", "Next:  ")]
    return done.returncode == code and all(told) and "Traceback" not in done.stdout + done.stderr


# Records


def make_store(start: datetime, days: int, per_day: int, people: int = 40) -> RecordStore:
    """Copilot records evenly over whole days, ids `r-0` onwards."""
    store = RecordStore()
    for number in range(days * per_day):
        moment = (start + timedelta(days=number / per_day)).replace(microsecond=0)
        user = f"u{number % people:03}@westbridge.example"
        store.add(moment, copilot_record(moment, record_id=f"r-{number}", user=user))
    return store


@contextmanager
def serve(store: RecordStore, folder: Path, faults: Faults | None = None) -> Iterator[dict[str, Any]]:
    """The pretend tenant as another process; gives what it says of itself (url, toml, …)."""
    folder.mkdir(parents=True, exist_ok=True)
    store.write(folder / "records.ndjson")
    said = json.dumps(asdict(faults or Faults()))
    told = {"records": folder / "records.ndjson", "workdir": folder, "faults": said}
    command = [sys.executable, "-m", "genai_audit.demo.serve_file"]
    command += [word for name, value in told.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()


def ask_state(tenant: dict[str, Any]) -> dict[str, Any]:
    trust = ssl.create_default_context(cafile=tenant["ca_path"])
    state: dict[str, Any] = httpx.get(f"{tenant['url']}/_pretend/state", verify=trust).json()
    return state


# Processes that end early


def wait_until(is_reached: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> bool:
    """Look every 2 ms; False when the process ended first."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_reached():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return False


# What lies in a workspace


def read_lines(workspace: Workspace) -> Iterator[bytes]:
    """Every landed line and every quarantined one, but for the registers: those are no logs."""
    for path in sorted(workspace.landing.glob("*/*/*.zst")):
        if path.parts[-3] == "registers":
            continue
        with path.open("rb") as packed:
            content = zstandard.ZstdDecompressor().stream_reader(packed).readall()
        yield from io.BytesIO(content)


def landed_ids(workspace: Workspace) -> set[str]:
    return {json.loads(line)["id"] for line in read_lines(workspace)}


def ask_file(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def loaded_ids(workspace: Workspace) -> list[str]:
    """Record ids in the warehouse, as often as they stand there."""
    rows = ask_file(workspace.warehouse, "SELECT record_id FROM stg_m365_event ORDER BY 1")
    return [row[0] for row in rows]


def read_coverage(file: Path, table: str = "fct_coverage") -> dict[str, tuple[str, str, int]]:
    """Day -> (status, reason, records) of the audit log."""
    rows = ask_file(
        file, f"SELECT covered_day, coverage_status, reason, record_count FROM {table} "
        "WHERE source = 'm365_audit' ORDER BY 1",
    )  # fmt: skip
    return {str(day): (status, reason, count) for day, status, reason, count in rows}


def hash_tables(workspace: Workspace, but: Iterable[str] = ()) -> dict[str, str]:
    """Content hash of every table of the warehouse, but for some."""
    with Warehouse(workspace.warehouse) as warehouse:
        return {table: warehouse.content_hash(table) for table in warehouse.tables() if table not in but}


def list_files(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its size and time of change."""
    found = {str(path.relative_to(root)): path.stat() for path in sorted(root.rglob("*"))}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def flip_byte(path: Path, at: int = 0) -> None:
    """Change one byte in the middle (or `at` bytes further) of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + at] ^= 0x01
    path.write_bytes(content)
