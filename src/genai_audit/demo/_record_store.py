"""The audit records that the pretend tenant holds: raw bytes, found by time, operation and arrival."""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

# (created, bytes), or (created, arrived, bytes)
Entry = tuple[datetime, bytes] | tuple[datetime, datetime | None, bytes]
_OPERATION = re.compile(rb'"[oO]peration"\s*:\s*"([^"\\]*)"')
_CREATED = re.compile(rb'"(?:createdDateTime|CreationTime)"\s*:\s*"([^"\\]*)"')
_WRAPPED = b'{"pretend_record":'


class RecordStore:
    """Records in order of creation, from entries (created, bytes) or (created, arrived, bytes).

    Duplicates are kept; bytes are never parsed, so they may be malformed.

    `add(created, raw)`: the operation is the first `"operation"` in the bytes unless it is given (none found:
    the record matches every operation filter). `arrived` is when the tenant first shows the record (None: at
    once). Times without a zone are UTC. Add nothing while a tenant is answering from the store.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[tuple[int, int, int, bytes]] = []  # created µs, arrived µs, operation no, bytes
        self._created = array("q")
        self._sorted = True
        self._operations: list[str] = [""]
        self._numbers: dict[str, int] = {"": 0}
        for created, *arrived, raw in entries:
            self.add(created, raw, arrived=arrived[0] if arrived else None)

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self, created: datetime, raw: bytes, *, arrived: datetime | None = None, operation: str | None = None
    ) -> None:
        if operation is None:
            found = _OPERATION.search(raw)
            operation = found.group(1).decode("utf-8", "replace") if found else ""
        number = self._numbers.setdefault(operation.lower(), len(self._operations))
        if number == len(self._operations):
            self._operations.append(operation.lower())
        moment = _microseconds(created)
        self._entries.append((moment, moment if arrived is None else _microseconds(arrived), number, raw))
        self._sorted = False

    def find(
        self, start: datetime, end: datetime, operations: Iterable[str] = (), now: datetime | None = None
    ) -> list[bytes]:
        """Records with start <= created < end and, if operations are given, one of them in any case.

        With `now`, only what had arrived by then.
        """
        self._sort()
        first = bisect_left(self._created, _microseconds(start))
        last = bisect_left(self._created, _microseconds(end))
        wanted = {one.lower() for one in operations}
        numbers = {no for no, name in enumerate(self._operations) if not wanted or not name or name in wanted}
        limit = _microseconds(now) if now else 2**63
        return [raw for _, at, no, raw in self._entries[first:last] if no in numbers and at <= limit]

    def write(self, file: Path) -> None:
        """Write every record, its times and its exact bytes to a file that `read` understands."""
        self._sort()
        with file.open("w", encoding="ascii") as lines:
            for created, arrived, number, raw in self._entries:
                text = raw.decode("utf-8", "surrogateescape")  # bytes that are not UTF-8 survive this way
                line = {"pretend_record": text, "created": created, "arrived": arrived}
                line["operation"] = self._operations[number]
                lines.write(json.dumps(line, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, file: Path) -> RecordStore:
        """Read a file of `write`, or plain NDJSON (time: the first createdDateTime or CreationTime)."""
        store = cls()
        with file.open("rb") as lines:
            for line in lines:
                raw = line.rstrip(b"\r\n")
                if raw.startswith(_WRAPPED):
                    value = json.loads(raw)
                    store.add(
                        datetime.fromtimestamp(value["created"] / 1e6, UTC),
                        value["pretend_record"].encode("utf-8", "surrogateescape"),
                        arrived=datetime.fromtimestamp(value["arrived"] / 1e6, UTC),
                        operation=value["operation"],
                    )
                elif raw:
                    store.add(_created_in(raw, file), raw)
        return store

    def _sort(self) -> None:
        if not self._sorted:
            self._entries.sort(key=lambda entry: entry[0])  # stable: records of one instant stay in order
            self._created = array("q", (entry[0] for entry in self._entries))
            self._sorted = True


def _created_in(raw: bytes, file: Path) -> datetime:
    found = _CREATED.search(raw)
    if not found:
        raise ValueError(f"A record in {file.name} has no createdDateTime and no CreationTime.")
    return datetime.fromisoformat(found.group(1).decode())


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)
