"""How many audit records a second come from the loopback tenant into a sealed package, on one core.

    python benchmarks/bench_m365_pull.py --records 100000

The tenant runs in a process of its own on another core (1,000 records a page, over TLS). Ours: the query, all
pages, identity, strict decoding, content keys, deduplication, compression, manifest. Beside it, in the same
process: a bare client that follows these pages with httpx, reads them with orjson and compresses the lines.
Each is run twice and the second run counts, so that imports don't. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import zstandard

from genai_audit.calendars import Window
from genai_audit.configuration import settings_class
from genai_audit.demo.university import copilot_records
from genai_audit.landing import Landing
from genai_audit.registry import SourceContext, sources
from genai_audit.settings import Settings
from genai_audit.sources._audit_options import M365AuditOptions
from genai_audit.workspace import Workspace

DAY = date(2026, 10, 1)
WINDOW = Window(datetime(2026, 9, 30, 23, tzinfo=UTC), datetime(2026, 10, 1, 23, tzinfo=UTC))
GOAL = 15_000


def pull_ours(settings: Settings, folder: Path) -> int:
    workspace = Workspace(folder / "workspace")
    source = sources()["m365_audit"]
    assert source.pull is not None
    options = M365AuditOptions(poll_seconds=0.01, retry_seconds=0.05)
    writer = Landing(workspace, settings, "bench").open_package("m365_audit", source, WINDOW)
    for page in source.pull(WINDOW, SourceContext(settings, folder / "state", options)):
        writer.add(page)
    return writer.close().counts["accepted"]


def pull_bare(settings: Settings, folder: Path) -> int:
    tenant = settings.tenant
    trust = ssl.create_default_context(cafile=tenant.ca_bundle)
    root, count = f"{tenant.graph_url}/v1.0/security/auditLog/queries", 0
    start, end = WINDOW.start.isoformat(), WINDOW.end.isoformat()
    body = {"displayName": "bare", "filterStartDateTime": start, "filterEndDateTime": end,
            "operationFilters": ["CopilotInteraction"]}  # fmt: skip
    form = {"grant_type": "client_credentials", "client_id": tenant.client_id,
            "client_secret": Path(str(tenant.client_secret_path)).read_text(),
            "scope": "https://graph.microsoft.com/.default"}  # fmt: skip
    with httpx.Client(verify=trust, timeout=60) as client:
        address = f"{tenant.authority_url}/{tenant.tenant_id}/oauth2/v2.0/token"
        token = client.post(address, data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        query = client.post(root, json=body).json()["id"]
        while client.get(f"{root}/{query}").json()["status"] != "succeeded":
            time.sleep(0.01)
        link: str | None = f"{root}/{query}/records?$top=1000"
        with (folder / "bare.zst").open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
            while link:
                page = orjson.loads(client.get(link).content)
                out.write(b"\n".join(orjson.dumps(record) for record in page["value"]) + b"\n")
                count += len(page["value"])
                link = page.get("@odata.nextLink")
    return count


def measure(pull: Callable[[Settings, Path], int], settings: Settings, folder: Path) -> dict[str, float]:
    pull(settings, folder)
    started, cpu = time.perf_counter(), time.process_time()
    count = pull(settings, folder)
    seconds = time.perf_counter() - started
    return {"records": count, "seconds": seconds, "cpu": time.process_time() - cpu}


def serve(records: int, folder: Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    with (folder / "records.ndjson").open("wb") as file:
        file.writelines(line + b"\n" for line in copilot_records(records, 1, DAY, 1))
    command = [sys.executable, "-m", "genai_audit.demo.serve_file"]
    command += ["--records", str(folder / "records.ndjson"), "--workdir", str(folder / "tenant")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    told: dict[str, Any] = json.loads(server.stdout.readline())
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(server.pid, cores[1:] or cores)
    os.sched_setaffinity(0, cores[:1])
    return server, told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, told = serve(given.records, folder)
        try:
            settings = settings_class()(**tomllib.loads(told["toml"]))
            workspace = Workspace(folder / "workspace")
            workspace.create()
            workspace.create_key()
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)  # as the command line does
            print(f"{given.records:,} records, one core, load {os.getloadavg()[0]:.1f}\n")
            print("| | records/s | wall s | CPU µs a record |\n|---|---:|---:|---:|")
            for label, pull in (("genai-audit", pull_ours), ("httpx + orjson + zstd", pull_bare)):
                found = measure(pull, settings, folder)
                print(f"| {label} | {found['records'] / found['seconds']:,.0f} | {found['seconds']:.1f} "
                      f"| {found['cpu'] / found['records'] * 1e6:.0f} |")  # fmt: skip
            print(f"\n(goal: {GOAL:,} records a second; window of {WINDOW.end - WINDOW.start!s})")
        finally:
            server.terminate()
            server.wait(timedelta(seconds=10).total_seconds())


if __name__ == "__main__":
    main()
