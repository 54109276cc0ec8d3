"""What a pull of statements has read so far, on disk: a killed pull goes on, and memory stays flat.

One window has two files: canonical records as lines (no name is in them that landing would not hold), and
how far the store was read. Records wait here until the last page, because a later page may void an earlier
statement.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from genai_audit.sources._xapi_statements import StatementSorter
from genai_audit.workspace import canonical_json

KEPT_SECONDS = 24 * 3600  # for so long, at least, a store honours a `more` link (facts/vle.md §2.3)


class Spool:
    """`scope` is what was asked for and how: another address, window or rule begins anew."""

    def __init__(self, folder: Path, scope: dict[str, Any], sorter: StatementSorter) -> None:
        name = hashlib.sha256(canonical_json(scope)).hexdigest()[:32]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _prune(folder)
        self._rows, self._progress = folder / f"{name}.rows", folder / f"{name}.progress"
        self._sorter = sorter
        self.more: str | None = None  # the next link to ask for; None: from the start; "": all was read
        self.page_count = 0
        self.consistent_through = ""
        self._size = 0
        self._resume()

    def add(self, taken: list[tuple[str, bytes]], more: str) -> None:
        """Keep a page's records, then note that it was read: in this order, a kill loses nothing."""
        lines = b"".join(f"{statement_id}\t".encode() + row + b"\n" for statement_id, row in taken)
        with self._rows.open("ab") as file:
            file.truncate(self._size)
            file.write(lines)
        self._size += len(lines)
        self.more, self.page_count = more, self.page_count + 1
        part = self._progress.with_suffix(".part")
        part.write_bytes(orjson.dumps(self._describe()))
        part.replace(self._progress)

    def records(self) -> Iterator[bytes]:
        """Canonical records in the order they came, without those that were voided."""
        if not self._size:
            return
        with self._rows.open("rb") as file:
            for line in file:
                statement_id, _, row = line.rstrip(b"\n").partition(b"\t")
                if self._sorter.keeps(statement_id.decode()):
                    yield row

    def clear(self) -> None:
        """Forget it all: the window was read, or what the store says is not to be trusted."""
        self._progress.unlink(missing_ok=True)
        self._rows.unlink(missing_ok=True)
        self._sorter.counts.clear()
        self._sorter.voided.clear()
        self.more, self.page_count, self.consistent_through, self._size = None, 0, "", 0

    def _describe(self) -> dict[str, Any]:
        return {
            "more": self.more, "pages": self.page_count, "through": self.consistent_through,
            "size": self._size, "counts": dict(self._sorter.counts), "voided": sorted(self._sorter.voided),
        }  # fmt: skip

    def _resume(self) -> None:
        try:
            found = orjson.loads(self._progress.read_bytes())
            is_whole = self._rows.stat().st_size >= found["size"]
        except (OSError, ValueError, TypeError, KeyError):
            is_whole = False
        if not is_whole:
            return self.clear()
        self.more, self.page_count, self.consistent_through = found["more"], found["pages"], found["through"]
        self._size = found["size"]
        with self._rows.open("r+b") as file:
            file.truncate(self._size)
        self._sorter.counts.update(found["counts"])
        self._sorter.voided.update(found["voided"])
        return None


def _prune(folder: Path) -> None:
    """Remove files of windows that nobody came back for in time."""
    for path in [*folder.glob("*.rows"), *folder.glob("*.progress"), *folder.glob("*.part")]:
        try:
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
