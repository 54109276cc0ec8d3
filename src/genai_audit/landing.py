"""Sealed packages of raw records: one a source and window (also an empty one) or imported file.

A package is a folder `landing/<source>/<package_id>/` with `records.ndjson.zst`, perhaps
`quarantine.ndjson.zst`, and `manifest.json`. Manifests form a hash chain in order of `seq`; nothing is edited
once it is closed. No payload is interpreted here: a source says which id and time a record has.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import zstandard

from genai_audit import __version__
from genai_audit.calendars import Window, format_instant, read_instant
from genai_audit.decoding import Decoder, RejectedRecordError
from genai_audit.errors import IntegrityError, SoftwareError
from genai_audit.privacy.pseudonyms import key_id
from genai_audit.registry import RawPage, Source
from genai_audit.sealing import SealedLines, check_file
from genai_audit.settings import Settings
from genai_audit.workspace import Workspace, canonical_json, settle, write_durably

RECORDS = "records.ndjson.zst"
QUARANTINE = "quarantine.ndjson.zst"
MANIFEST = "manifest.json"
HEAD = "head.json"
EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)  # the unified audit log is no older
NO_PREVIOUS = "0" * 64
OUTCOMES = ("complete", "partial", "capped", "unproven", "failed")
COUNTS = ("received", "accepted", "duplicate", "quarantined", "trimmed", "content_cut")


@dataclass(frozen=True)
class Package:
    """One manifest. `counts` obey received = accepted + duplicate + quarantined + trimmed, exactly."""

    seq: int
    package_id: str
    source: str
    kind: str  # pull | snapshot | import
    window: Window | None
    outcome: str  # one of OUTCOMES
    reason: str
    counts: dict[str, int]
    quarantine_reasons: dict[str, int]
    min_occurred_at: str | None
    max_occurred_at: str | None
    files: dict[str, dict[str, Any]]  # name -> sha256, bytes, records
    source_facts: dict[str, Any]
    run_id: str
    closed_at: str
    code_version: str
    configuration_sha256: str
    key_id: str
    prev_sha256: str
    sha256: str = ""  # of manifest.json itself; not written into it

    def as_manifest(self) -> bytes:
        values = asdict(self)
        del values["sha256"]
        window = self.window
        values["window"] = (
            {"start": format_instant(window.start), "end": format_instant(window.end)} if window else None
        )
        return canonical_json(values)


def packages(workspace: Workspace) -> list[Package]:
    """All closed packages in chain order. Reads manifests only; `verify` checks them."""
    found = [read_manifest(path) for path in workspace.landing.glob(f"*/*/{MANIFEST}")]
    return sorted(found, key=lambda package: package.seq)


def package_folder(workspace: Workspace, package: Package) -> Path:
    folder: Path = workspace.landing / package.source / package.package_id
    return folder


def read_records(workspace: Workspace, package: Package, batch_records: int) -> Iterator[list[bytes]]:
    """Batches of landed lines, in order. The file's SHA-256 is checked before the first line is given out."""
    path = package_folder(workspace, package) / RECORDS
    check_file(path, package.files[RECORDS]["sha256"])
    batch: list[bytes] = []
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        for line in io.BufferedReader(stream, 1 << 20):
            batch.append(line.rstrip(b"\n"))
            if len(batch) >= batch_records:
                yield batch
                batch = []
    if batch:
        yield batch


class Landing:
    """The write side. Holds the chain's head; pulls may fill packages side by side, closing is one by one."""

    def __init__(self, workspace: Workspace, settings: Settings, run_id: str) -> None:
        self.workspace = workspace
        self.settings = settings
        self.run_id = run_id
        self.closed: list[Package] = packages(workspace)
        self.key_id = key_id(workspace.read_key())
        self._lock = threading.Lock()

    @property
    def head(self) -> str:
        return self.closed[-1].sha256 if self.closed else NO_PREVIOUS

    def open_package(self, source_id: str, source: Source, window: Window | None) -> PackageWriter:
        return PackageWriter(self, source_id, source, window)

    def append(self, draft: Package, folder: Path) -> Package:
        """Give the package its place in the chain and its final name. Called by PackageWriter.close."""
        with self._lock:
            seq = self.closed[-1].seq + 1 if self.closed else 1
            window = draft.window
            span = f"{window.start:%Y%m%dT%H%M%SZ}-{window.end:%Y%m%dT%H%M%SZ}" if window else "import"
            values = {field.name: getattr(draft, field.name) for field in fields(draft)}
            values |= {"seq": seq, "package_id": f"{seq:07d}-{span}", "prev_sha256": self.head}
            content = Package(**values).as_manifest()
            write_durably(folder / MANIFEST, content)
            target = self.workspace.landing / draft.source / values["package_id"]
            settle(folder, target)
            package = Package(**(values | {"sha256": hashlib.sha256(content).hexdigest()}))
            self.closed.append(package)
            head = canonical_json({"seq": seq, "sha256": package.sha256})
            write_durably(self.workspace.landing / HEAD, head)
            return package


class PackageWriter:
    """Takes raw pages, decodes strictly, cuts content, counts everything, and closes into the chain."""

    def __init__(self, landing: Landing, source_id: str, source: Source, window: Window | None) -> None:
        settings = landing.settings
        self._landing, self._source_id, self._source, self._window = landing, source_id, source, window
        self._decoder = Decoder(settings.privacy.content_keys, settings.limits.record_bytes)
        self._folder = landing.workspace.landing / source_id / f"{uuid.uuid4().hex}.part"
        self._folder.mkdir(mode=0o700, parents=True)
        self._records = SealedLines(self._folder / RECORDS)
        self._quarantine = SealedLines(self._folder / QUARANTINE)
        self._seen: dict[str, int] = {}
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._reasons: Counter[str] = Counter()
        self._facts: dict[str, Any] = {}
        self._opened_at = datetime.now(UTC)
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def accepted(self) -> int:
        return self._counts["accepted"]

    @property
    def content_cut(self) -> int:
        return self._counts["content_cut"]

    def add(self, page: RawPage) -> None:
        """Take a page. Never raises for a bad record: it is quarantined with a reason and counted."""
        self._counts["received"] += page.trimmed
        self._counts["trimmed"] += page.trimmed
        for key, value in page.facts.items():
            known = self._facts.get(key)
            is_list = isinstance(known, list) and isinstance(value, list)
            self._facts[key] = known + value if is_list else value
        suspects = self._decoder.find_suspects(page.records)
        for raw, exact, suspect in zip(page.records, page.values or repeat(None), suspects, strict=False):
            self._counts["received"] += 1
            self._counts[self._take(raw, exact, suspect)] += 1

    def close(self, outcome: str = "complete", reason: str = "") -> Package:
        """Seal the package. An outcome that the source gave in its facts is kept when it is worse."""
        outcome = self._facts.pop("outcome", outcome) if outcome == "complete" else outcome
        reason = reason or self._facts.pop("reason", "")
        if outcome not in OUTCOMES:
            raise SoftwareError(f"{outcome!r} is no outcome of a package.", where=self._source_id)
        counts = dict(self._counts)
        if counts["received"] != sum(counts[name] for name in COUNTS[1:5]):
            raise SoftwareError("A package's counts don't add up.", where=self._source_id)
        files = {RECORDS: self._records.close()}
        if self._reasons:
            files[QUARANTINE] = self._quarantine.close()
        else:
            self._quarantine.discard()
        draft = Package(
            seq=0, package_id="", source=self._source_id, kind=self._kind(),
            window=self._window, outcome=outcome, reason=reason, counts=counts,
            quarantine_reasons=dict(sorted(self._reasons.items())),
            min_occurred_at=format_instant(self._first) if self._first else None,
            max_occurred_at=format_instant(self._last) if self._last else None,
            files=files, source_facts=self._facts, run_id=self._landing.run_id,
            closed_at=format_instant(datetime.now(UTC)), code_version=__version__,
            configuration_sha256=self._landing.settings.digest(), key_id=self._landing.key_id, prev_sha256="",
        )  # fmt: skip
        return self._landing.append(draft, self._folder)

    def _kind(self) -> str:
        if self._window is None:
            return "import"
        return "snapshot" if self._source.is_snapshot else "pull"

    def discard(self) -> None:
        """Throw an unfinished package away (nothing of it was sealed)."""
        self._records.discard()
        self._quarantine.discard()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, raw: bytes, exact: Any, is_suspect: bool) -> str:
        try:
            decoded = self._decoder.decode(raw, exact, is_suspect=is_suspect)
        except RejectedRecordError as rejected:
            return self._set_aside(raw, rejected.reason)
        self._counts["content_cut"] += decoded.cut
        identity = self._source.identify(decoded.value)
        if not isinstance(identity.record_id, str):
            return self._set_aside(decoded.line, "no_record_id")
        occurred = _read_time(identity.occurred_at)
        if occurred and not EARLIEST <= occurred <= self._opened_at + timedelta(days=1):
            return self._set_aside(decoded.line, "time_out_of_range")
        window = None if self._source.is_window_by_arrival else self._window
        if window and occurred and not window.contains(occurred):
            return "trimmed"
        content = hash(decoded.line)
        known = self._seen.get(identity.record_id)
        if known is not None:
            return "duplicate" if known == content else self._set_aside(decoded.line, "id_conflict")
        self._seen[identity.record_id] = content
        self._records.write(decoded.line)
        if occurred:
            self._first = min(self._first or occurred, occurred)
            self._last = max(self._last or occurred, occurred)
        return "accepted"

    def _set_aside(self, raw: bytes, reason: str) -> str:
        """Quarantine. What might hold prompt text is kept as a hash only: content is never stored."""
        kept: dict[str, Any] = {"reason": reason, "bytes": len(raw)}
        if self._decoder.may_hold_content(raw) or reason == "oversized":
            kept["sha256"] = hashlib.sha256(raw).hexdigest()
        else:
            kept["raw_base64"] = base64.b64encode(raw).decode("ascii")
        self._quarantine.write(canonical_json(kept))
        self._reasons[reason] += 1
        return "quarantined"


def read_manifest(path: Path) -> Package:
    """One manifest, its own SHA-256 added. Raises IntegrityError when it is not one."""
    where = "/".join(path.parts[-4:])
    try:
        content = path.read_bytes()
        values: Mapping[str, Any] = json.loads(content)
        window = values["window"]
        span = Window(read_instant(window["start"]), read_instant(window["end"])) if window else None
        package = Package(**(dict(values) | {"window": span, "sha256": hashlib.sha256(content).hexdigest()}))
        names = (package.source, package.package_id, *(facts["sha256"] for facts in package.files.values()))
        if type(package.seq) is not int or package.seq < 1 or not all(isinstance(one, str) for one in names):
            raise ValueError("a value is of another type")
        return package
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(
            "A manifest can't be read.", where=where, next_step="Restore it from the backup."
        ) from error


def _read_time(text: Any) -> datetime | None:
    try:
        return read_instant(text) if text and isinstance(text, str) else None
    except (ValueError, OverflowError):  # the year 1 or 9999 with an offset
        return None


def past_retention(workspace: Workspace, raw_days: int, now: datetime) -> list[Package]:
    """Packages that hold raw records for longer than `raw_days` since they were landed.

    The newest version of a register is in force, however old it is; those before it are not.
    """
    chain = packages(workspace)
    newest = {p.source_facts["register"]: p.package_id for p in chain if "register" in p.source_facts}
    kept = set(newest.values())
    days = timedelta(days=raw_days)
    return [p for p in chain if p.package_id not in kept and now - read_instant(p.closed_at) > days]
