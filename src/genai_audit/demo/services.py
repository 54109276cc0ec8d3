"""Everything that the pretend university's services hold, behind one loopback server.

Microsoft's interfaces, Blackboard and a Learning Record Store stand on the same port under their own paths.
Illuminate and the database replica are not here: they need a Snowflake and a PostgreSQL (see the tests).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.routing import Route

from genai_audit.demo import graph_apps, graph_directory
from genai_audit.demo._faults import Faults
from genai_audit.demo._sign_in import GRAPH_ROLES, write_private
from genai_audit.demo.activity_feed import ActivityFeed
from genai_audit.demo.app_traffic import make_app_data
from genai_audit.demo.blackboard import PretendBlackboard
from genai_audit.demo.blackboard_campus import make_blackboard
from genai_audit.demo.campus import TENANT_ID
from genai_audit.demo.graph_apps import PretendApps
from genai_audit.demo.graph_directory import PretendDirectory
from genai_audit.demo.learning_events import XAPI_RULE, make_statements
from genai_audit.demo.lrs import PretendLrs
from genai_audit.demo.tenant import PretendTenant, RecordStore
from genai_audit.demo.university import University

ROLES = (*GRAPH_ROLES, *graph_directory.PERMISSIONS, *graph_apps.ROLES, "ActivityFeed.Read")
FEED_DAYS = 1  # a second door to the same log: enough to compare the two
REPORTED_DAYS = 9  # Microsoft's usage report of a week, made two days late
LRS_USER, LRS_PASSWORD = "audit", "secret"


@contextmanager
def serve(university: University, workdir: Path) -> Iterator[str]:
    """Serve until the block ends; gives the sections of genai-audit.toml that point here."""
    store, recent = RecordStore(), RecordStore()
    directory = PretendDirectory(university)
    newest = university.last_day - timedelta(days=FEED_DAYS - 1)
    reported = university.last_day - timedelta(days=REPORTED_DAYS)
    for created, arrived, record in university.m365_records():
        store.add(created, record, arrived=arrived)
        if created.date() >= reported:
            directory.note_activity(created, record)
        if created.date() >= newest:
            recent.add(created, record, arrived=arrived)
    days, people, seed = university.list_days(), university.persons, university.seed
    lrs = PretendLrs(make_statements(people, days, university.last_day, seed), page_size=1000)
    blackboard = PretendBlackboard(make_blackboard(people, university.last_day), workdir)
    # What a real tenant does on an ordinary day, and one minute with more than a query may return.
    faults = Faults(
        throttle_with_retry_after=(2, 1.0),
        unavailable_burst=2,
        crowded_minute=university.capped_minute.isoformat(),
    )
    interfaces: list[Callable[[PretendTenant], list[Route]]] = [
        directory,
        PretendApps(make_app_data(university)),
        ActivityFeed(recent).routes,
        lambda _: [*blackboard.routes, *lrs.routes],
    ]
    with PretendTenant(
        store, faults=faults, workdir=workdir, tenant_id=TENANT_ID, now=datetime.now(UTC), roles=ROLES,
        interfaces=interfaces,
    ) as tenant:  # fmt: skip
        blackboard.url = tenant.url
        password = write_private(workdir / "lrs.password", LRS_PASSWORD.encode())
        sections: dict[str, dict[str, object]] = {
            "m365_activity_api": {"api_url": tenant.url},
            "m365_directory": {"copilot_sku_ids": [graph_directory.COPILOT_SKU]},
            "vle_xapi": {
                "url": f"{tenant.url}/xAPI", "user": LRS_USER, "password_path": str(password.resolve()),
                "ca_bundle": str(tenant.ca_path.resolve()), "window_hours": 720,
            },
        }  # fmt: skip
        yield "\n".join([
            tenant.as_toml(),
            *(_section(f"[{name}]", values) for name, values in sections.items()),
            _section("[[vle_xapi.rules]]", XAPI_RULE),
            blackboard.as_toml(),
        ])  # fmt: skip


def _section(head: str, values: Mapping[str, object]) -> str:
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
