"""A pretend tenant that shows people, labels and the usage report, and the context of a pull from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from genai_audit.calendars import Window
from genai_audit.demo.graph_directory import PERMISSIONS, PretendDirectory
from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.demo.university import University
from genai_audit.registry import Source, SourceContext
from genai_audit.settings import Settings

START = datetime(2026, 11, 24, tzinfo=UTC)


def window_from(start: datetime = START) -> Window:
    """From midnight to the moment of the snapshot."""
    return Window(start, start + timedelta(hours=9))


@dataclass
class Pulled:
    records: list[bytes]
    facts: dict[str, Any]


@dataclass
class Setting:
    source: Source
    directory: PretendDirectory
    tenant: PretendTenant
    context: SourceContext

    def pull(self, start: datetime = START) -> Pulled:
        assert self.source.pull is not None
        arrived = list(self.source.pull(window_from(start), self.context))
        assert not any(page.facts for page in arrived[:-1])
        return Pulled([record for page in arrived for record in page.records], dict(arrived[-1].facts))

    def count(self, kind: str) -> int:
        return [one.kind for one in self.tenant.requests].count(kind)

    def asked(self, kind: str) -> list[list[str]]:
        """Names of the $select of each request."""
        queries = [parse_qs(one.query) for one in self.tenant.requests if one.kind == kind]
        return [query.get("$select", [""])[0].split(",") for query in queries]


@contextmanager
def setting_of(
    folder: Path,
    source: Source,
    faults: Faults | None = None,
    *,
    roles: tuple[str, ...] = PERMISSIONS,
    options: dict[str, Any] | None = None,
) -> Iterator[Setting]:
    directory = PretendDirectory(University(people=40, days=3, last_day=date(2026, 11, 23)), page_size=10)
    with PretendTenant(
        [], faults=faults, roles=roles, workdir=folder / "tenant", interfaces=[directory]
    ) as tenant:
        settings = Settings(
            tenant={
                "tenant_id": tenant.tenant_id, "client_id": tenant.client_id, "credential": "client_secret",
                "client_secret_path": tenant.secret_path, "graph_url": tenant.url,
                "authority_url": tenant.url, "ca_bundle": tenant.ca_path,
            }
        )  # fmt: skip
        limits = {"retry_seconds": 0.001, "deadline_minutes": 1} | (options or {})
        context = SourceContext(settings, folder / "state", source.options(**limits))
        yield Setting(source, directory, tenant, context)
