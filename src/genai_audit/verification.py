"""`genai-audit verify`: is everything that was landed still there, unaltered, complete and in order?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from genai_audit.calendars import Window, format_instant
from genai_audit.errors import IntegrityError
from genai_audit.landing import HEAD, MANIFEST, NO_PREVIOUS, Package, package_folder, packages
from genai_audit.sealing import check_file
from genai_audit.workspace import Workspace


@dataclass(frozen=True)
class Verdict:
    """What `verify` says of one package: valid, INVALID, missing or gap."""

    subject: str
    state: str
    detail: str = ""


def verify_landing(workspace: Workspace) -> list[Verdict]:
    """Walk the whole chain. Every package gets a verdict; a hole in the numbering is `missing`, a hole in a
    source's windows is `gap`. What is not in the chain but lies in landing is INVALID too."""
    verdicts, previous = [], NO_PREVIOUS
    chain = packages(workspace)
    for expected, package in _numbered(chain):
        if package is None:
            verdicts.append(Verdict(f"package {expected}", "missing", "no manifest has this number"))
            previous = ""
            continue
        detail = _fault(workspace, package, previous)
        verdicts.append(Verdict(package.package_id, "INVALID" if detail else "valid", detail))
        previous = package.sha256
    verdicts.extend(_head_faults(workspace, chain))
    verdicts.extend(_strangers(workspace, chain))
    verdicts.extend(_gaps(chain))
    return verdicts


def _numbered(chain: list[Package]) -> Iterator[tuple[int, Package | None]]:
    by_seq = {package.seq: package for package in chain}
    for seq in range(1, max(by_seq, default=0) + 1):
        yield seq, by_seq.get(seq)


def _fault(workspace: Workspace, package: Package, previous: str) -> str:
    if previous and package.prev_sha256 != previous:
        return "does not follow the package before it: one of the two manifests was altered"
    folder = package_folder(workspace, package)
    if not folder.is_dir():
        return "the manifest was moved to another folder"
    for name, facts in package.files.items():
        try:
            check_file(folder / name, facts["sha256"])
        except IntegrityError as error:
            return f"{name}: {error.what}"
    extra = {path.name for path in folder.iterdir()} - set(package.files) - {MANIFEST}
    return f"unexpected file in the package: {sorted(extra)[0]}" if extra else ""


def _head_faults(workspace: Workspace, chain: list[Package]) -> list[Verdict]:
    path = workspace.landing / HEAD
    if not path.exists():
        return [Verdict(HEAD, "missing", "the chain's head is not recorded")] if chain else []
    head = json.loads(path.read_bytes())
    at_head = next((package for package in chain if package.seq == head["seq"]), None)
    if at_head is None:
        return [Verdict(f"package {head['seq']}", "missing", "the chain was cut off at its end")]
    if at_head.sha256 != head["sha256"]:
        return [Verdict(at_head.package_id, "INVALID", "not the manifest that was recorded as head")]
    return []


def _strangers(workspace: Workspace, chain: list[Package]) -> list[Verdict]:
    known = {package_folder(workspace, package) for package in chain}
    found = {path for path in workspace.landing.glob("*/*") if path.suffix != ".part"}
    detail = "lies in landing without a manifest"
    return [Verdict(path.name, "INVALID", detail) for path in sorted(found - known)]


def _gaps(chain: list[Package]) -> list[Verdict]:
    """Time between the first and last pulled window of a source that no package covers."""
    verdicts = []
    for source in sorted({package.source for package in chain if package.window}):
        spans = sorted(p.window for p in chain if p.source == source and p.window and p.outcome != "failed")
        for reached, following in _uncovered(spans):
            span = f"{format_instant(reached)}/{format_instant(following)}"
            verdicts.append(Verdict(source, "gap", f"no package covers {span}"))
    return verdicts


def _uncovered(spans: list[Window]) -> Iterator[tuple[datetime, datetime]]:
    reached: datetime | None = None
    for span in spans:
        if reached is not None and span.start > reached:
            yield reached, span.start
        reached = span.end if reached is None else max(reached, span.end)
