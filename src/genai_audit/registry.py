"""The two kinds of leaf and how they are found: one file in a package is one leaf, its name is its id."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from genai_audit.errors import SoftwareError
from genai_audit.settings import Settings, SourceOptions

if TYPE_CHECKING:
    import polars as pl

    from genai_audit.calendars import Window

Leaf = TypeVar("Leaf")


@dataclass(frozen=True)
class RawPage:
    """What a source hands over: record bytes as they came, and facts for the manifest.

    `records`: each one JSON object as UTF-8 bytes, payload untouched.
    `facts`: merged into the manifest (lists are joined, other values replaced). Two keys mean something to
    the pipeline: `outcome` (complete, partial, capped, unproven) and `reason` (words for `coverage`).
    `values`: nothing, or for each record what orjson read from it, if orjson would write the very same bytes
    again (else None): then nobody has to read it a second time.
    `trimmed`: records the source saw outside the asked window and left out.
    """

    records: list[bytes] = field(default_factory=list, repr=False)  # no traceback may show a payload
    facts: Mapping[str, Any] = field(default_factory=dict)
    trimmed: int = 0
    values: Sequence[Any] = field(default=(), repr=False)


class RecordIdentity(NamedTuple):
    """Record id (None: none found, the record is quarantined) and event time as text (None: unknown)."""

    record_id: str | None
    occurred_at: str | None


@dataclass(frozen=True)
class SourceContext:
    """Everything a source may use besides its window: no source reads the environment or the clock itself."""

    settings: Settings
    state_dir: Path  # small files that let a killed pull resume; belongs to this source alone
    options: SourceOptions = field(default_factory=SourceOptions)  # the source's own section
    is_expected: bool = True  # a window of this source should not be empty

    @property
    def registers(self) -> Path:
        """The folder of the registers that people edit."""
        return self.state_dir.parent.parent / "registers"


@dataclass(frozen=True)
class Source:
    """One log we can collect. The module's docstring says what the log does and does not contain.

    A source of a family `""` is not parsed: its packages are read by others (registers).
    """

    title: str
    family: str  # sql/parse/<family>*.sql reads its records
    base_table: str  # the staging table of the family with one row a record: it decides which are new
    identify: Callable[[dict[str, Any]], RecordIdentity]
    needs: tuple[str, ...] = ()  # application permissions of Microsoft Graph, exact names
    lag: timedelta = timedelta(days=1)  # documented delay until records arrive
    expected: str = "daily"  # daily | on import: how often there should be something
    unproven_when: str = "a window that should hold records holds none"
    pull: Callable[[Window, SourceContext], Iterator[RawPage]] | None = None
    options: type[SourceOptions] = SourceOptions  # its section of genai-audit.toml
    is_snapshot: bool = False  # it shows how things are now: one package a day, nothing older can be asked
    is_window_by_arrival: bool = False  # windows of arrival: what happened before is not trimmed
    keeps: timedelta = timedelta(days=180)  # how far back the service can be asked
    requests: int = 1  # a window costs at least as many
    missing: Callable[[Settings, SourceOptions], str] | None = None  # what to fill in first; "" when complete
    probe: Callable[[SourceContext], str] | None = None  # asks the service once; what `doctor` then says
    budget: Callable[[SourceContext], str] | None = None  # what a pull will cost
    kinds: tuple[str, ...] = ()  # kinds of file that `--kind` may name
    takes_own_kinds: bool = False  # a workspace may define kinds of its own; `read` refuses an unknown one
    own_kinds: str = ""  # … as TOML files in this folder of registers/
    recognise: Callable[[Path, bytes], str | None] | None = None  # file, first 64 kB -> kind, or None
    read: Callable[[Path, str, SourceContext], Iterator[RawPage]] | None = None  # file, kind -> pages


@dataclass(frozen=True)
class Detection:
    """A question asked of the data. It opens a lead for a named human; it decides nothing.

    `detect(frames, params)` is pure: frames by table name in, one row a finding out, with the columns
    `finding_id, detection, subject_kind, subject_key, found_day, severity, measure, expected, summary` and
    `evidence`.
    """

    title: str
    question: str
    reads: tuple[str, ...]
    severity: str
    clauses: tuple[str, ...]
    params: Mapping[str, Any]
    innocent_explanations: tuple[str, ...]
    blind_spots: tuple[str, ...]
    runbook: tuple[str, str, str]
    detect: Callable[[Mapping[str, pl.DataFrame], Mapping[str, Any]], pl.DataFrame]


class NotEvaluatedError(Exception):
    """A detection can't answer: `reason` says which input is missing. Never the same as "nothing found"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@cache
def sources() -> dict[str, Source]:
    """All sources by id. A broken leaf is fatal and names its file."""
    return dict(_leaves("genai_audit.sources", "SOURCE", Source))


@cache
def detections() -> dict[str, Detection]:
    return dict(_leaves("genai_audit.detections", "DETECTION", Detection))


def what_is_missing(source_id: str, settings: Settings, options: SourceOptions) -> str:
    """What must be configured before this source can be pulled, in words; "" when nothing is."""
    source = sources()[source_id]
    if source.needs and not (settings.tenant.tenant_id and settings.tenant.client_id):
        return "fill tenant_id and client_id under [tenant]"
    return source.missing(settings, options) if source.missing else ""


def docstring(package: str, leaf: str) -> str:
    return (importlib.import_module(f"genai_audit.{package}.{leaf}").__doc__ or "").strip()


def _leaves(package: str, name: str, kind: type[Leaf]) -> Iterator[tuple[str, Leaf]]:
    room = importlib.import_module(package)
    for found in sorted(pkgutil.iter_modules(room.__path__), key=lambda module: module.name):
        if found.name.startswith("_") or found.ispkg:
            continue
        where = f"{package.replace('.', '/')}/{found.name}.py"
        try:
            leaf = getattr(importlib.import_module(f"{package}.{found.name}"), name)
        except Exception as error:
            raise SoftwareError(f"A leaf can't be loaded: {error!r}", where=where) from error
        if not isinstance(leaf, kind):
            raise SoftwareError(f"{name} is not a {kind.__name__}.", where=where)
        yield found.name, leaf
