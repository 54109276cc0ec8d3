"""What the tests of the sources about AI applications share: a pretend tenant with them, and one pull."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from genai_audit.calendars import Window
from genai_audit.decoding import Decoder
from genai_audit.demo.graph_apps import ROLES, AppData, PretendApps
from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.registry import Source, SourceContext
from genai_audit.settings import Settings

DAY = datetime(2026, 10, 6, tzinfo=UTC)
WINDOW = Window(DAY, DAY + timedelta(days=1))
AI_APP = "7e57ab1e-0000-4000-8000-00000000a001"
OTHER_APP = "7e57ab1e-0000-4000-8000-00000000a002"
PERSON = "11111111-1111-4111-8111-111111111111"
HEADER = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value"
# Nothing of the people and machines in the pretend data may be landed.
FORBIDDEN = ("somebody@", "Somebody", "192.0.2.", "LAPTOP", "laptop-7", "some-question")


@contextmanager
def serve(
    folder: Path, data: AppData, *, faults: Faults | None = None, roles: tuple[str, ...] = ROLES, **apps: Any
) -> Iterator[tuple[PretendTenant, PretendApps]]:
    pretend = PretendApps(data, **apps)
    with PretendTenant([], workdir=folder, faults=faults, roles=roles, interfaces=[pretend]) as tenant:
        yield tenant, pretend


def make_context(
    source: Source, folder: Path, tenant: PretendTenant | None = None, **options: Any
) -> SourceContext:
    values: dict[str, Any] = {}
    if tenant:
        values = {
            "tenant_id": tenant.tenant_id, "client_id": tenant.client_id, "credential": "client_secret",
            "client_secret_path": tenant.secret_path, "graph_url": tenant.url, "authority_url": tenant.url,
            "ca_bundle": tenant.ca_path,
        }  # fmt: skip
    quick = {"retry_seconds": 0.001, "request_timeout_seconds": 10.0}
    state = folder / "state" / "one"
    return SourceContext(Settings(tenant=values), state, source.options(**(quick | options)))


def write_tools(folder: Path, *aliases: tuple[str, str]) -> None:
    rows = [
        f"t{number},Tool {number},V,unknown,,{kind},{value}" for number, (kind, value) in enumerate(aliases)
    ]
    (folder / "registers").mkdir(exist_ok=True)
    (folder / "registers" / "tools.csv").write_text(
        "\ufeff" + "\r\n".join([HEADER, *rows, ""]), encoding="utf-8"
    )


def pull(
    source: Source, context: SourceContext, window: Window = WINDOW
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Landed values and facts; every record must pass the strict decoder."""
    assert source.pull is not None
    decoder = Decoder(Settings().privacy.content_keys)
    records: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    for page in source.pull(window, context):
        records += [decoder.decode(raw).value for raw in page.records]
        facts |= page.facts
    landed = orjson.dumps(records).decode()
    assert not [word for word in FORBIDDEN if word in landed]
    return records, facts


def count(tenant: PretendTenant, kind: str) -> int:
    return [one.kind for one in tenant.requests].count(kind)
