"""`genai-audit verify`: is everything that was landed still there, unaltered, complete and in order?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from genai_audit.calendars import Window, format_instant
from genai_audit.errors import IntegrityError
from genai_audit.landing import HEAD, MANIFEST, NO_PREVIOUS, Package, package_folder, read_manifest
from genai_audit.sealing import check_file
from genai_audit.workspace import Workspace

Found = tuple[Path, Package]  # the folder that a manifest lies in, and what it says


@dataclass(frozen=True)
class Verdict:
    """What `verify` says of one package: valid, INVALID, missing or gap."""

    subject: str
    state: str
    detail: str = ""


def verify_landing(workspace: Workspace) -> list[Verdict]:
    """Walk the whole chain. Every package gets a verdict, also after one that can't be read; a hole in the
    numbering is `missing`, a hole in a source's windows is `gap`. What is not in the chain but lies in
    landing is INVALID too."""
    found, verdicts = _read_all(workspace)
    verdicts += _walk(workspace, found)
    chain = [package for _, package in found]
    verdicts.extend(_head_faults(workspace, chain))
    verdicts.extend(_strangers(workspace))
    verdicts.extend(_gaps(chain))
    return verdicts


def read_chain(workspace: Workspace) -> list[Package]:
    """The packages whose manifest can be read, in order: what is left to look at in a damaged landing."""
    return [package for _, package in _read_all(workspace)[0]]


def _read_all(workspace: Workspace) -> tuple[list[Found], list[Verdict]]:
    """Folder and package in order of the chain, and a verdict for every manifest that can't be read."""
    found: list[Found] = []
    broken = []
    for path in sorted(workspace.landing.glob(f"*/*/{MANIFEST}")):
        try:
            found.append((path.parent, read_manifest(path)))
        except IntegrityError:
            broken.append(Verdict(path.parent.name, "INVALID", "its manifest can't be read"))
    return sorted(found, key=lambda one: one[1].seq), broken


def _walk(workspace: Workspace, found: list[Found]) -> Iterator[Verdict]:
    expected, previous = 1, {NO_PREVIOUS}
    for seq, group in groupby(found, key=lambda one: one[1].seq):
        if seq > expected:
            yield _missing(expected, seq - 1)
            previous = set()
        same = list(group)
        for folder, package in same:
            detail = _fault(workspace, folder, package, previous)
            if len(same) > 1:
                detail = detail or f"{len(same)} manifests have number {seq}"
            yield Verdict(folder.name, "INVALID" if detail else "valid", detail)
        expected, previous = seq + 1, {package.sha256 for _, package in same}


def _missing(first: int, last: int) -> Verdict:
    subject = f"package {first}" if first == last else f"packages {first} to {last}"
    return Verdict(subject, "missing", "no readable manifest has this number")


def _fault(workspace: Workspace, folder: Path, package: Package, previous: set[str]) -> str:
    if previous and package.prev_sha256 not in previous:
        return "does not follow the package before it: one of the two manifests was altered"
    if folder != package_folder(workspace, package):
        return "the manifest was moved to another folder"
    for name, facts in package.files.items():
        try:
            check_file(folder / name, facts["sha256"])
        except IntegrityError as error:
            return f"{name}: {error.what}"
        except OSError:
            return f"{name}: can't be read"
    extra = {path.name for path in folder.iterdir()} - set(package.files) - {MANIFEST}
    return f"unexpected file in the package: {sorted(extra)[0]}" if extra else ""


def _head_faults(workspace: Workspace, chain: list[Package]) -> list[Verdict]:
    path = workspace.landing / HEAD
    if not path.exists():
        return [Verdict(HEAD, "missing", "the chain's head is not recorded")] if chain else []
    try:
        head = json.loads(path.read_bytes())
        seq, sha256 = head["seq"], head["sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        return [Verdict(HEAD, "INVALID", "the record of the chain's head can't be read")]
    at_head = [package for package in chain if package.seq == seq]
    if not at_head:
        return [Verdict(f"package {seq}", "missing", "the chain was cut off at its end")]
    if sha256 not in {package.sha256 for package in at_head}:
        return [Verdict(at_head[0].package_id, "INVALID", "not the manifest that was recorded as head")]
    return []


def _strangers(workspace: Workspace) -> list[Verdict]:
    found = {path for path in workspace.landing.glob("*/*") if path.suffix != ".part"}
    detail = "lies in landing without a manifest"
    return [Verdict(path.name, "INVALID", detail) for path in sorted(found) if not (path / MANIFEST).exists()]


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
