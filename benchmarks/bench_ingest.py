"""Parse and load, beside a plain DuckDB flatten and an orjson loop into Polars, in one run.

    python benchmarks/bench_ingest.py --records 1000000

Makes CopilotInteraction records (1.3-2.2 kB) in bench-data/, a package of landed records a day; reads the
same files in three ways, each in a process of its own, into tables of a DuckDB file; prints a Markdown table;
removes bench-data/. The two others do less: no pseudonyms, no policy rules, one layout (DuckDB), no drift, no
seal, no check of a hash, no deduplication.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path("bench-data")
MADE = FOLDER / "state" / "made.json"
START = date(2026, 10, 1)
TABLES = ("stg_m365_event", "stg_interaction", "stg_resource_access")
THREADS = 2
CONTENDERS = ("genai-audit", "DuckDB read_json", "orjson + Polars")


# ---- the data


def make_day(task: tuple[int, int]) -> dict[str, Any]:
    """Land one day's records as a package would; returns what its manifest says of the file."""
    from genai_audit.demo.university import copilot_records
    from genai_audit.sealing import SealedLines

    number, count = task
    folder = FOLDER / "landing" / "m365_audit" / f"{number:07d}-bench"
    folder.mkdir(parents=True)
    lines, size = SealedLines(folder / "records.ndjson.zst"), 0
    for line in copilot_records(count, number, START + timedelta(days=number), 1):
        lines.write(line)
        size += len(line)
    return {"number": number, "count": count, "size": size, **lines.close()}


def make_data(records: int, days: int) -> list[dict[str, Any]]:
    shutil.rmtree(FOLDER, ignore_errors=True)
    tasks = [(day, records * (day + 1) // days - records * day // days) for day in range(days)]
    with multiprocessing.Pool(THREADS) as pool:
        made = pool.map(make_day, tasks, chunksize=1)
    MADE.parent.mkdir()
    MADE.write_text(json.dumps(made))
    return made


# ---- ours


def run_ours() -> dict[str, Any]:
    from genai_audit.parsing import check_seal, parse_all
    from genai_audit.runs import Run
    from genai_audit.settings import Settings
    from genai_audit.workspace import Workspace

    workspace, settings = Workspace(FOLDER.resolve()), Settings()
    workspace.warehouse.unlink(missing_ok=True)
    shutil.rmtree(workspace.parsed, ignore_errors=True)
    workspace.create()
    workspace.create_key()
    packages = list(read_packages())
    started = time.perf_counter()
    parse_all(workspace, packages, settings, workspace.read_key())
    parsed, parse_peak = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with Run(workspace, settings, "bench").warehouse() as warehouse:
        warehouse.load("stg_m365_event", {one.package_id: check_seal(workspace, one) for one in packages})
        warehouse.connection.execute("CHECKPOINT")
        rows = [count_rows(warehouse.connection, table) for table in TABLES]
    ended = time.perf_counter()
    times = {"parse": parsed - started, "load": ended - parsed, "wall": ended - started}
    return {"rows": rows, "parse_peak": parse_peak, **times}


def read_packages() -> Iterator[Any]:
    from genai_audit.landing import Package

    for made in json.loads(MADE.read_text()):
        yield Package(
            seq=made["number"] + 1, package_id=f"{made['number']:07d}-bench", source="m365_audit",
            kind="pull", window=None, outcome="complete", reason="", counts={}, quarantine_reasons={},
            min_occurred_at=None, max_occurred_at=None, source_facts={},
            files={"records.ndjson.zst": {"sha256": made["sha256"]}},
            run_id="", closed_at="", code_version="", configuration_sha256="", key_id="", prev_sha256="",
        )  # fmt: skip


def count_rows(connection: Any, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# ---- (a) plain DuckDB

COLUMNS = """{'auditData': 'STRUCT(
  Id VARCHAR, RecordType INTEGER, CreationTime TIMESTAMPTZ, Operation VARCHAR, UserId VARCHAR,
  UserType INTEGER, Workload VARCHAR, ClientRegion VARCHAR, AppIdentity VARCHAR,
  AgentId VARCHAR, AgentPlatform VARCHAR,
  CopilotEventData STRUCT(AppHost VARCHAR, ThreadId VARCHAR, ConversationId VARCHAR, LicenseType VARCHAR,
    DLPEvaluationDeferred INTEGER,
    Messages STRUCT(Id VARCHAR, isPrompt BOOLEAN, JailbreakDetected BOOLEAN)[],
    AccessedResources STRUCT(Id VARCHAR, listItemUniqueId VARCHAR, SiteUrl VARCHAR, "Type" VARCHAR,
      SensitivityLabelId VARCHAR, "Action" VARCHAR, Status VARCHAR, XPIADetected BOOLEAN,
      PolicyDetails JSON)[],
    AISystemPlugin STRUCT(Id VARCHAR)[], ModelTransparencyDetails STRUCT(ModelName VARCHAR)[]))'}"""
FLATTEN = """
CREATE TEMP TABLE staged AS
SELECT filename, auditData AS a, auditData.CopilotEventData AS e, auditData.CreationTime AS occurred_at,
  (auditData.CreationTime AT TIME ZONE 'Europe/London')::DATE AS day
FROM read_json($files, columns = {columns}, format = 'newline_delimited', filename = true);
CREATE TABLE stg_m365_event AS
SELECT a.Id AS record_id, occurred_at, day, a.RecordType, a.Operation, a.Workload, a.UserId, a.UserType,
  filename
FROM staged;
CREATE TABLE stg_interaction AS
SELECT a.Id AS record_id, occurred_at, day, a.RecordType, a.Operation, a.UserId, a.UserType,
  contains(a.UserId, '#EXT#') AS is_guest, e.AppHost, a.AppIdentity, a.AgentId, a.AgentPlatform, e.ThreadId,
  e.ConversationId, a.ClientRegion, e.LicenseType, e.ModelTransparencyDetails[1].ModelName AS model,
  len(e.Messages) AS messages, len(list_distinct([m.Id for m in e.Messages if m.isPrompt])) AS prompts,
  messages - prompts AS responses, len(e.AccessedResources) AS resources,
  list_bool_or([m.JailbreakDetected for m in e.Messages]) AS jailbreak,
  list_bool_or([r.XPIADetected for r in e.AccessedResources]) AS xpia,
  list_contains([p.Id for p in e.AISystemPlugin], 'BingWebSearch') AS web, e.DLPEvaluationDeferred, filename
FROM staged;
CREATE TABLE stg_resource_access AS
SELECT record_id, resource_no, occurred_at, day, RecordType, UserId, AppHost,
  coalesce(r.listItemUniqueId, r.Id, split_part(r.SiteUrl, '?', 1)) AS resource, r."Type",
  regexp_extract(r.SiteUrl, '^https?://([^/?#]+(?:/(?:sites|teams|personal)/[^/?#]+)?)', 1) AS site,
  lower(r.SensitivityLabelId) AS label, lower(r."Action") AS action, lower(r.Status) AS status,
  r.PolicyDetails, r.XPIADetected, filename
FROM (
  SELECT a.Id AS record_id, occurred_at, day, a.RecordType AS RecordType, a.UserId AS UserId,
    e.AppHost AS AppHost, filename, generate_subscripts(e.AccessedResources, 1) AS resource_no,
    unnest(e.AccessedResources) AS r
  FROM staged
);
CHECKPOINT;
"""


def run_duckdb() -> dict[str, Any]:
    import duckdb

    started = time.perf_counter()
    (FOLDER / "state" / "plain.duckdb").unlink(missing_ok=True)
    with duckdb.connect(
        str(FOLDER / "state" / "plain.duckdb"), config={"threads": str(THREADS)}
    ) as connection:
        connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        connection.execute(FLATTEN.replace("{columns}", COLUMNS).replace("$files", repr(landed_files())))
        rows = [count_rows(connection, table) for table in TABLES]
    return {"rows": rows, "wall": time.perf_counter() - started}


def landed_files() -> list[str]:
    return sorted(str(path) for path in FOLDER.glob("landing/*/*/records.ndjson.zst"))


# ---- (b) orjson and Polars


def run_polars() -> dict[str, Any]:
    import io

    import duckdb
    import orjson
    import polars as pl
    import zstandard

    started = time.perf_counter()
    (FOLDER / "state" / "polars.duckdb").unlink(missing_ok=True)
    with duckdb.connect(
        str(FOLDER / "state" / "polars.duckdb"), config={"threads": str(THREADS)}
    ) as connection:
        for number, name in enumerate(landed_files()):
            tables: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
            with open(name, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
                for line_no, line in enumerate(io.BufferedReader(stream, 1 << 20), 1):
                    flatten(orjson.loads(line)["auditData"], line_no, tables)
            for table, found in tables.items():
                frame = pl.DataFrame(found, infer_schema_length=None).with_columns(
                    pl.col("at").str.to_datetime(time_zone="UTC")
                )
                day = pl.col("at").dt.convert_time_zone("Europe/London").dt.date().alias("day")
                connection.register("frame", frame.with_columns(day).to_arrow())
                create = f"CREATE TABLE {table} AS" if not number else f"INSERT INTO {table}"
                connection.execute(f"{create} SELECT * FROM frame")
                connection.unregister("frame")
        connection.execute("CHECKPOINT")
        rows = [count_rows(connection, table) for table in TABLES]
    return {"rows": rows, "wall": time.perf_counter() - started}


def flatten(body: dict[str, Any], line_no: int, tables: dict[str, list[dict[str, Any]]]) -> None:
    body = body.get("dynamicProperties") or body
    event = body.get("CopilotEventData") or {}
    messages, resources = event.get("Messages") or [], event.get("AccessedResources") or []
    base = {"record_id": body["Id"], "at": body["CreationTime"], "person": body["UserId"], "line_no": line_no}
    base["type"] = body["RecordType"]
    words = {"operation": body["Operation"], "user_type": body["UserType"]}
    tables["stg_m365_event"].append({**base, **words, "workload": body["Workload"]})
    prompts = len({message["Id"] for message in messages if message.get("isPrompt")})
    models = [model.get("ModelName") for model in event.get("ModelTransparencyDetails") or []]
    tables["stg_interaction"].append({
        **base, **words, "is_guest": "#EXT#" in body["UserId"], "host": event.get("AppHost"),
        "app": body.get("AppIdentity"), "agent": body.get("AgentId"), "platform": body.get("AgentPlatform"),
        "thread": event.get("ThreadId"), "talk": event.get("ConversationId"),
        "region": body.get("ClientRegion"), "model": models[0] if models else None, "messages": len(messages),
        "prompts": prompts,
        "responses": len(messages) - prompts, "resources": len(resources),
        "jailbreak": any(message.get("JailbreakDetected") for message in messages),
        "xpia": any(one.get("XPIADetected") for one in resources),
        "web": any(plugin["Id"] == "BingWebSearch" for plugin in event.get("AISystemPlugin") or []),
        "deferred": event.get("DLPEvaluationDeferred"),
    })  # fmt: skip
    for number, one in enumerate(resources, 1):
        url = one.get("SiteUrl") or ""
        tables["stg_resource_access"].append({
            **base, "resource_no": number, "host": event.get("AppHost"), "kind": one.get("Type"),
            "resource": one.get("listItemUniqueId") or one.get("Id") or url.split("?")[0],
            "site": "/".join(url.split("/")[2:5]), "label": (one.get("SensitivityLabelId") or "").lower(),
            "action": (one.get("Action") or "").lower(), "status": (one.get("Status") or "").lower(),
            "policy": json.dumps(one.get("PolicyDetails")), "xpia": one.get("XPIADetected"),
        })  # fmt: skip


# ---- measuring

RUNNERS: dict[str, Callable[[], dict[str, Any]]] = dict(
    zip(CONTENDERS, (run_ours, run_duckdb, run_polars), strict=True)
)


def measure(contender: str) -> dict[str, Any]:
    """Run one contender in its own process. Wall is its work without imports; CPU and memory are all."""
    command = [sys.executable, __file__, "--one", contender]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{contender} failed with exit code {child.returncode}; run it alone: {' '.join(command)}")
    measured: dict[str, Any] = json.loads(output)
    return measured | {"cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def print_table(made: list[dict[str, Any]], results: dict[str, dict[str, Any]]) -> None:
    records, size = sum(day["count"] for day in made), sum(day["size"] for day in made)
    print(f"{records:,} records in {len(made)} packages, {size / records:,.0f} bytes each, ", end="")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| | records/s | wall s | CPU s | peak MB | events / interactions / accesses |")
    print("|---|---:|---:|---:|---:|---|")
    for name, found in results.items():
        rows = " / ".join(f"{count:,}" for count in found["rows"])
        speed, peak = f"{records / found['wall']:,.0f}", f"{found['peak_mb']:,.0f}"
        print(f"| {name} | {speed} | {found['wall']:.1f} | {found['cpu']:.1f} | {peak} | {rows} |")
    ours, plain, loop = (results.get(name) for name in CONTENDERS)
    if not ours:
        return
    print(f"\n- parse {ours['parse']:.1f} s (peak {ours['parse_peak']:,.0f} MB), load {ours['load']:.1f} s")
    if plain:
        print(f"- {ours['wall'] / plain['wall']:.2f} x the time of {CONTENDERS[1]} (goal: at most 1.5)")
    if loop:
        print(f"- {loop['wall'] / ours['wall']:.2f} x as fast as {CONTENDERS[2]} (goal: at least 2)")
    print(f"- peak memory {ours['peak_mb']:,.0f} MB (goal: under 1,200)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--day-records", type=int, default=33_333, help="records a day and package")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="measure only this one")
    parser.add_argument("--keep", action="store_true", help="use bench-data/ if it is there, and leave it")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(RUNNERS[given.one]()))
        return
    is_there = given.keep and MADE.exists()
    days = max(1, round(given.records / given.day_records))
    made = json.loads(MADE.read_text()) if is_there else make_data(given.records, days)
    try:
        print_table(made, {name: measure(name) for name in given.only or CONTENDERS})
    finally:
        if not given.keep:
            shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
