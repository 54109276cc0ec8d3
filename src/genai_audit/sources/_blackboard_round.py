"""One round through Blackboard's lists, page by page on disk: a broken pull goes on where it stopped.

A round may take several runs, because the calls of a day are limited. Each run hands over the whole round so
far, so that no page is lost with a package that was never closed; what was landed before is recognised by its
id and counts once. The file holds what landing holds, and is replaced by the next round.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from genai_audit.calendars import format_instant, read_instant
from genai_audit.workspace import write_durably

FILE = "round.ndjson"
OLDEST = timedelta(days=7)  # a round that was begun before is begun anew
END = "end"  # the list of the line that closes a round


@dataclass(frozen=True)
class SavedPage:
    """One page. `which`: the list; `of`: the course or node it belongs to; `next`: its next link, "" if it
    was the last; `entries`: what was picked of it; `read_at`: when it was read."""

    which: str
    of: str
    next: str
    read_at: str
    entries: list[dict[str, Any]] = field(repr=False)


class Round:
    """The round that is under way, or a new one. `scope`: what decides what is asked; it must be the same.

    `next_of`: (list, of) -> where to go on, "" when read to its end; lists that were not begun are missing.
    `calls`: list -> pages read so far.
    """

    def __init__(self, folder: Path, now: datetime, scope: str) -> None:
        self._path, self._now = folder / FILE, now
        self.next_of: dict[tuple[str, str], str] = {}
        self.calls: dict[str, int] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._can_go_on(scope):
            head = {"started_at": format_instant(now), "scope": scope}
            write_durably(self._path, orjson.dumps(head) + b"\n")
        for page in self.saved():
            self._note(page)

    def saved(self, *lists: str) -> Iterator[SavedPage]:
        """The pages that were read so far, in order: of these lists, or all."""
        with self._path.open("rb") as file:
            next(file)
            for line in file:
                page = SavedPage(**orjson.loads(line))
                if not lists or page.which in lists:
                    yield page

    def save(self, page: SavedPage) -> None:
        with self._path.open("ab") as file:
            file.write(orjson.dumps(asdict(page)) + b"\n")
        self._note(page)

    def close(self) -> None:
        """Everything was asked for: the next day begins a new round."""
        if not self.is_closed:
            self.save(SavedPage(END, "", "", format_instant(self._now), []))

    @property
    def is_closed(self) -> bool:
        return (END, "") in self.next_of

    def is_read(self, name: str, of: str = "") -> bool:
        return self.next_of.get((name, of)) == ""

    def _note(self, page: SavedPage) -> None:
        self.next_of[page.which, page.of] = page.next
        if page.which != END:
            self.calls[page.which] = self.calls.get(page.which, 0) + 1

    def _can_go_on(self, scope: str) -> bool:
        """Is there a round of the same scope, begun lately, and not closed on another day? A line that was
        cut off is taken away."""
        try:
            whole, last = _find_whole_lines(self._path)
            with self._path.open("rb") as file:
                head = orjson.loads(file.readline())
            started = read_instant(head["started_at"])
        except (OSError, ValueError, KeyError):
            return False
        if head["scope"] != scope or not started <= self._now < started + OLDEST:
            return False
        if last.get("which") == END and read_instant(last["read_at"]).date() != self._now.date():
            return False
        os.truncate(self._path, whole)
        return True


def _find_whole_lines(path: Path) -> tuple[int, dict[str, Any]]:
    """Bytes up to the end of the last whole line, and that line."""
    whole, last = 0, b"{}"
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                whole, last = whole + len(line), line
    return whole, orjson.loads(last)
