"""One run that writes: what it has done, where that is written down, and how it is read back."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from genai_audit import __version__
from genai_audit.calendars import Window
from genai_audit.configuration import options_of
from genai_audit.landing import Package, packages
from genai_audit.registry import SourceContext, sources, what_is_missing
from genai_audit.settings import Settings
from genai_audit.warehouse import Warehouse
from genai_audit.workspace import Workspace, write_durably

log = logging.getLogger(__name__)
Row = Mapping[str, Any]


def _no_progress(label: str, done: int, total: int) -> None:
    log.debug("%s %d/%d", label, done, total)


@dataclass
class Run:
    """One run that writes: what it has done so far. Becomes `runs/<run_id>.json` and a row of `run`."""

    workspace: Workspace
    settings: Settings
    verb: str
    say: Callable[[str], None] = log.info
    advance: Callable[[str, int, int], None] = _no_progress  # what, done, total
    window: Window | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    run_id: str = ""
    landed: list[Package] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    record_count: int = 0
    finding_count: int = 0

    def __post_init__(self) -> None:
        self.run_id = f"{self.started_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"

    def warehouse(self) -> Warehouse:
        limits = self.settings.limits
        return Warehouse(
            self.workspace.warehouse,
            memory_mb=limits.memory_mb * 2 // 3,  # what Python and Arrow need stands beside it
            threads=limits.parse_threads,
            tmp=self.workspace.tmp,
        )

    def context(self, source_id: str) -> SourceContext:
        state = self.workspace.state / source_id
        state.mkdir(mode=0o700, exist_ok=True)
        options = options_of(self.settings, source_id)
        return SourceContext(self.settings, state, options, source_id in self.settings.sources.expected)

    def is_configured(self, source_id: str) -> bool:
        return source_id in sources() and not self.what_is_missing(source_id)

    def what_is_missing(self, source_id: str) -> str:
        return what_is_missing(source_id, self.settings, options_of(self.settings, source_id))

    @property
    def head(self) -> str:
        """SHA-256 of the newest manifest: whoever keeps it elsewhere can prove that nothing was cut off."""
        chain = packages(self.workspace)
        return chain[-1].sha256 if chain else ""

    def write_down(self, outcome: str, quality: Sequence[Row]) -> None:
        """Write `runs/<run_id>.json`: the warehouse is disposable, the memory of runs is not."""
        row = {
            "run_id": self.run_id, "verb": self.verb, "started_at": self.started_at,
            "ended_at": datetime.now(UTC), "outcome": outcome,
            "window_start": self.window.start if self.window else None,
            "window_end": self.window.end if self.window else None, "package_count": len(self.landed),
            "record_count": self.record_count, "finding_count": self.finding_count,
            "code_version": __version__, "configuration_sha256": self.settings.digest(),
            "head_sha256": self.head,
        }  # fmt: skip
        content = json.dumps({"run": row, "quality": list(quality)}, default=str, indent=1).encode()
        write_durably(self.workspace.runs / f"{self.run_id}.json", content)

    def load_history(self, warehouse: Warehouse) -> None:
        """Put all runs written down so far into the warehouse."""
        written = [json.loads(path.read_bytes()) for path in sorted(self.workspace.runs.glob("*.json"))]
        warehouse.replace("stg_run", [one["run"] for one in written])
        warehouse.replace("stg_quality", [row for one in written for row in one["quality"]])
