"""Pulls of the VLE sources beside their bare clients, in one run.

    python benchmarks/bench_pulls.py --records 200000

For each service: starts its test peer in an environment of its own (made with pip at the first time), fills
it, and reads the same records by our pull and by the service's client in a plain loop, `--rounds` times in
turn. Prints a Markdown table of the best rounds. The plain loop asks our query and only reads; our pull also
asks which tables there are and how much arrived, and writes canonical records. Neither lands anything. Time
is from the first connection to the last record, without imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "tests" / "peer_scripts"
sys.path.insert(0, str(ROOT / "tests"))

import vle_peers  # noqa: E402
from genai_audit.demo.lrs import make_statement  # noqa: E402
from genai_audit.sources import _illuminate_sql as illuminate_sql  # noqa: E402
from peers import PeerServer, peer_python  # noqa: E402

START, END = "2026-11-03T00:00:00+00:00", "2026-11-04T00:00:00+00:00"
GOAL = 1.3  # times the bare client
PROJECT = (str(SCRIPTS / "run_project.py"), str(ROOT / "src"), sysconfig.get_paths()["purelib"])
RALPH_PINS = ("ralph-malph[cli,lrs]==5.1.0", "requests>=2.31")
CHAT = "https://vle.westbridge.example/tools/tutor/chat"
PAGE = 1_000  # statements


@dataclass(frozen=True)
class Contest:
    """Two ways to read the same `records`; each returns what `run` reads from its process."""

    records: int
    ours: Callable[[], dict[str, Any]]
    bare: Callable[[], dict[str, Any]]


def run(*command: str) -> dict[str, Any]:
    """The last line of a process, as JSON: records, seconds, cpu, peak_mb."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(command, capture_output=True, text=True, env=clean)
    if ended.returncode:
        sys.exit(f"{command[1]} failed: {ended.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def write_password(folder: Path) -> Path:
    path = folder / "password"
    path.write_text("secret", encoding="utf-8")
    path.chmod(0o600)
    return path


@contextmanager
def contest_snowflake(records: int) -> Iterator[Contest]:
    """Illuminate's clicks: one day, all of them GenAI, in the Snowflake emulator."""
    python = peer_python("illuminate", vle_peers.ILLUMINATE_PINS)
    tables = (illuminate_sql.EVENTS, illuminate_sql.ITEMS, *illuminate_sql.DIMENSION_TABLES)
    sql, values = illuminate_sql.ask_events(("ai.*", "*AiConversation"), tables)
    values |= {"start": START[:19].replace("T", " "), "end": END[:19].replace("T", " ")}
    with (
        PeerServer(python, SCRIPTS / "illuminate_server.py") as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        server.fill(
            *vle_peers.ILLUMINATE_TABLES,
            *vle_peers.ILLUMINATE_PEOPLE,
            vle_peers.many_clicks(records, "2026-11-03 10:00:00"),
        )
        password = write_password(Path(folder))
        at = server.address
        (Path(folder) / "genai-audit.toml").write_text(
            f'[vle_illuminate]\naccount = "{at["account"]}"\nhost = "{at["host"]}"\nport = {at["port"]}\n'
            f'protocol = "http"\ndatabase = "BLACKBOARD_DATA_TEST"\npassword_path = "{password}"\n',
            encoding="utf-8",
        )
        task = {"address": at, "sql": sql, "values": values, "batch": 2_000}
        yield Contest(
            records,
            lambda: run(str(python), *PROJECT, "measure", "vle_illuminate", folder, START, END),
            lambda: run(str(python), str(SCRIPTS / "bare_snowflake.py"), json.dumps(task)),
        )


@contextmanager
def contest_xapi(records: int) -> Iterator[Contest]:
    """A tenth as many statements, all of them GenAI, in the Ralph store, which reads its file anew for every
    page: most of the time is its own."""
    count = records // 10
    python = peer_python("ralph", RALPH_PINS)
    moment = datetime.fromisoformat(START) + timedelta(hours=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        with (folder / "data" / "fs_lrs.jsonl").open("w", encoding="utf-8") as file:
            for number in range(count):
                at = moment + timedelta(milliseconds=500 * number)
                file.write(json.dumps(make_statement(number, at, CHAT)) + "\n")
        with PeerServer(python, SCRIPTS / "ralph_server.py", name) as server:
            url = server.address["url"]
            (folder / "genai-audit.toml").write_text(
                f'[vle_xapi]\nurl = "{url}"\nuser = "audit"\npassword_path = "{write_password(folder)}"\n'
                f"page_size = {PAGE}\n"
                f'rules = [{{ feature = "Tutor", object_id_prefix = "{CHAT}" }}]\n',
                encoding="utf-8",
            )
            task = {"url": url, "params": {"since": START, "until": END, "limit": PAGE}}
            yield Contest(
                count,
                lambda: run(sys.executable, *PROJECT, "measure", "vle_xapi", name, START, END),
                lambda: run(sys.executable, str(SCRIPTS / "bare_xapi.py"), json.dumps(task)),
            )


CONTESTS = {"Snowflake (vle_illuminate)": contest_snowflake, "xAPI (vle_xapi)": contest_xapi}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CONTESTS, action="append", help="measure only this one")
    given = parser.parse_args()
    print(f"Best of {given.rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| | records | ours s | bare s | times | ours / bare CPU s | records/s | ours / bare peak MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in given.only or CONTESTS:
        with CONTESTS[name](given.records) as contest:
            rounds = [(contest.ours(), contest.bare()) for _ in range(given.rounds)]
        ours, bare = (min((pair[side] for pair in rounds), key=lambda one: one["seconds"]) for side in (0, 1))
        if not ours["records"] == bare["records"] == contest.records:
            sys.exit(f"{name}: {ours['records']} and {bare['records']} records instead of {contest.records}")
        times = ours["seconds"] / bare["seconds"]
        print(
            f"| {name} | {ours['records']:,} | {ours['seconds']:.2f} | {bare['seconds']:.2f}"
            f" | {times:.2f} (goal: below {GOAL}) | {ours['cpu']:.2f} / {bare['cpu']:.2f}"
            f" | {ours['records'] / ours['seconds']:,.0f} | {ours['peak_mb']} / {bare['peak_mb']} |"
        )


if __name__ == "__main__":
    main()
