"""Small builders that several suites use: a workspace, packages of records, audit records by shape."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from genai_audit import parsing
from genai_audit.calendars import Window
from genai_audit.configuration import load_settings
from genai_audit.landing import Landing, Package
from genai_audit.registry import RawPage, Source, sources
from genai_audit.settings import Settings
from genai_audit.warehouse import Warehouse
from genai_audit.workspace import Workspace

DAY = datetime(2026, 10, 6, tzinfo=UTC)  # a Tuesday in term
Tables = dict[str, list[dict[str, Any]]]
SAMPLES = Path(__file__).parents[1] / "../shared/samples"


def make_workspace(folder: Path) -> Workspace:
    workspace = Workspace(folder / "workspace")
    workspace.create()
    workspace.create_key()
    return workspace


def make_settings(workspace: Workspace, text: str = "") -> Settings:
    workspace.settings_file.write_text(text, encoding="utf-8")
    return load_settings(workspace.settings_file)


def day_window(offset: int = 0) -> Window:
    return Window(DAY + timedelta(days=offset), DAY + timedelta(days=offset + 1))


def land(
    workspace: Workspace,
    records: Iterable[bytes],
    *,
    source_id: str = "m365_audit",
    source: Source | None = None,
    window: Window | None = None,
    outcome: str = "complete",
    reason: str = "",
    facts: dict[str, Any] | None = None,
    settings: Settings | None = None,
) -> Package:
    """Close one package that holds these records."""
    landing = Landing(workspace, settings or load_settings(workspace.settings_file), "test-run")
    writer = landing.open_package(source_id, source or sources()[source_id], window)
    writer.add(RawPage(list(records), facts or {}))
    return writer.close(outcome, reason)


def parse_lines(
    folder: Path, source_id: str, lines: Iterable[bytes], *, window: Window | None = None
) -> tuple[bytes, Tables]:
    """Land one package of these lines and parse it; gives the pseudonym key, and rows by table."""
    workspace = make_workspace(folder)
    package = land(workspace, lines, source_id=source_id, window=window)
    parsing.parse_package(workspace, package, make_settings(workspace), workspace.read_key())
    files = parsing.check_seal(workspace, package)
    return workspace.read_key(), {name: pl.read_parquet(file).to_dicts() for name, file in files.items()}


def parse_rows(
    folder: Path, source_id: str, *rows: dict[str, Any], window: Window | None = None
) -> tuple[bytes, Tables]:
    return parse_lines(folder, source_id, [json.dumps(row).encode() for row in rows], window=window)


def snapshot_head(day: int, source: str) -> dict[str, Any]:
    """What every staged row has, `day` days after DAY at noon in London."""
    midnight = DAY + timedelta(days=day)
    return {
        "occurred_at": midnight + timedelta(hours=11), "occurred_day": midnight.date(), "source": source,
        "package_id": f"{source}-{day}", "line_no": 1,
    }  # fmt: skip


def copilot_record(
    at: datetime = DAY + timedelta(hours=10),
    *,
    record_id: str | None = None,
    user: str = "a.lovelace@westbridge.example",
    event: dict[str, Any] | None = None,
    record_type: int = 261,
    operation: str = "CopilotInteraction",
    body: dict[str, Any] | None = None,
) -> bytes:
    """A Graph envelope with a CopilotInteraction payload (facts: m365.md §§1.4, 3.2)."""
    record_id = record_id or str(uuid.uuid4())
    when = at.strftime("%Y-%m-%dT%H:%M:%S")
    data: dict[str, Any] = {
        "CreationTime": when,
        "Id": record_id,
        "Operation": operation,
        "OrganizationId": str(uuid.UUID(int=1)),
        "RecordType": record_type,
        "UserKey": "k",
        "UserType": 0,
        "Version": 1,
        "Workload": "Copilot",
        "UserId": user,
    } | (body or {})
    if event is not None or record_type in (261, 284, 328, 334):
        data["CopilotEventData"] = {"AppHost": "Word", "ThreadId": "19:x@thread.v2",
                                    "Messages": make_messages(2)} | (event or {})  # fmt: skip
    envelope = {
        "id": record_id, "createdDateTime": when + "Z", "auditLogRecordType": "copilotInteraction",
        "operation": operation, "userId": user, "userPrincipalName": user, "auditData": data,
    }  # fmt: skip
    return json.dumps(envelope, separators=(",", ":")).encode()


def make_messages(count: int) -> list[dict[str, Any]]:
    return [{"Id": str(1_790_000_000_000 + n), "isPrompt": n % 2 == 0} for n in range(count)]


def count_days(warehouse: Warehouse, *tables: str) -> None:
    """What a load would note of rows that a test put into staging tables itself."""
    run = warehouse.connection.execute
    for table in tables:
        run(f"INSERT INTO loaded_day SELECT source, occurred_day, count(*) FROM {table} GROUP BY ALL")
    run("INSERT INTO touched_day SELECT DISTINCT occurred_day FROM loaded_day")


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return path
