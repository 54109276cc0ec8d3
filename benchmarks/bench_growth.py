"""Does a day cost the same in a warehouse that has grown? And how long is a whole run on new records?

    python benchmarks/bench_growth.py --held 10000000 --day 100000 --run 1000000

First: parse, load and build a day of `--day` records into an empty warehouse, and into one that already holds
`--held` records (copies of that day with other ids, on earlier days). Then: a workspace with `--run` landed
records, and `genai-audit run` on it as a user would type it. Prints a Markdown table; removes bench-data/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench_ingest import FOLDER, make_data, read_packages

from genai_audit.landing import Package
from genai_audit.parsing import check_seal, parse_all
from genai_audit.runs import Run
from genai_audit.settings import Settings
from genai_audit.warehouse import Warehouse
from genai_audit.workspace import Workspace

COPIED = ("stg_m365_event", "stg_interaction", "stg_resource_access")


def add_day(workspace: Workspace, package: Package, *, held: int, day: int) -> float:
    """Seconds from a landed day to rebuilt marts."""
    settings = Settings()
    workspace.warehouse.unlink(missing_ok=True)
    shutil.rmtree(workspace.parsed, ignore_errors=True)
    workspace.create()
    parse_all(workspace, [package], settings, workspace.read_key())
    with open_warehouse(workspace) as warehouse:
        grow(warehouse, check_seal(workspace, package), held // day)
        warehouse.build()
    with open_warehouse(workspace) as warehouse:  # as the run of another day left it
        warehouse.build()
    os.sync()  # what was just written is not the day's business
    started = time.perf_counter()
    parse_all(workspace, [package], settings, workspace.read_key(), again=True)
    with open_warehouse(workspace) as warehouse:
        warehouse.load("stg_m365_event", {package.package_id: check_seal(workspace, package)})
        warehouse.build()
    return time.perf_counter() - started


def open_warehouse(workspace: Workspace) -> Warehouse:
    return Run(workspace, Settings(), "bench").warehouse()


def grow(warehouse: Warehouse, tables: dict[str, Path], copies: int) -> None:
    """Fill the staging tables with copies of the day under other ids, one earlier day each."""
    for number in range(1, copies + 1):
        for table in COPIED:
            warehouse.connection.execute(
                f"""INSERT INTO {table} BY NAME SELECT * REPLACE (
                record_id || '-{number}' AS record_id, 'copy-{number}' AS package_id,
                occurred_at - to_days({number}) AS occurred_at, occurred_day - {number} AS occurred_day)
                FROM read_parquet('{tables[table]}')"""
            )
    warehouse.connection.execute(
        "INSERT INTO loaded_day SELECT source, occurred_day, count(*) FROM stg_m365_event GROUP BY ALL"
    )


def time_a_run(records: int) -> float:
    """Seconds of `genai-audit run` on landed records that were never parsed."""
    from bench_ingest import START

    from genai_audit.demo.university import copilot_records

    folder = FOLDER / "run"
    folder.mkdir(parents=True)
    with (folder / "records.jsonl").open("wb") as file:
        file.writelines(line + b"\n" for line in copilot_records(records, 1, START, 30))
    command = [sys.executable, "-m", "genai_audit", "--workspace", str(folder / "workspace")]
    subprocess.run([*command, "import", str(folder / "records.jsonl")], check=True, capture_output=True)
    started = time.perf_counter()
    subprocess.run([*command, "run"], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, default=10_000_000)
    parser.add_argument("--day", type=int, default=100_000)
    parser.add_argument("--run", type=int, default=1_000_000)
    wish = parser.parse_args()
    print("| what | seconds |\n|---|---|")
    try:
        make_data(wish.day, 1)
        workspace = Workspace(FOLDER.resolve())
        workspace.create()
        workspace.create_key()
        package = next(read_packages())
        empty = add_day(workspace, package, held=0, day=wish.day)
        print(f"| a day of {wish.day:,} into an empty warehouse | {empty:.1f} |")
        grown = add_day(workspace, package, held=wish.held, day=wish.day)
        print(f"| the same day into one of {wish.held:,} ({grown / empty:.2f} x) | {grown:.1f} |")
        shutil.rmtree(FOLDER)
        print(f"| `genai-audit run` on {wish.run:,} new records | {time_a_run(wish.run):.0f} |")
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
