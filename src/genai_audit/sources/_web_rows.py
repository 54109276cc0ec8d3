"""Lines of a web log turned into our canonical record, one by one. Pure: no file is read here."""

from __future__ import annotations

import hashlib
from datetime import date
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from genai_audit.sources._mapped_rows import UnreadableRowError
from genai_audit.sources._tool_addresses import ToolAddresses, split_address
from genai_audit.sources._vle_rows import NULLS, read_time, read_whole_number, repair
from genai_audit.sources._web_map import ADDRESS, WebField, WebMap

NUMBERS: tuple[WebField, ...] = ("bytes", "count", "users")
Line = tuple[list[str], str]  # cells, and what of the address is kept
IDENTITY = ("occurred_at", "user", "action", *NUMBERS)  # with the address, what tells two lines apart


class WebRowMapper:
    """Applies one map to the lines of one file. `file_day` is the date of a table that has none."""

    def __init__(
        self, name: str, rules: WebMap, bound: dict[WebField, int], file_day: date, tools: ToolAddresses
    ) -> None:
        self._name, self._rules, self._bound, self._file_day = name, rules, bound, file_day
        self._tools, self._zone = tools, ZoneInfo(rules.time.zone)
        self._address = [bound[field] for field in ADDRESS if field in bound]
        self._empty = NULLS | set(rules.empty)
        self._times_seen: dict[str, int] = {}

    def select(self, cells: list[str]) -> Line | None:
        """A line about a tool of the register, with host (and path of the register's entry); else None."""
        host, path = self._read_address(cells)
        match_value = self._tools.match(host, path) if host else None
        return (cells, match_value) if match_value is not None else None

    def build(self, line: Line) -> dict[str, str]:
        """The canonical record (all values text, empty ones left out).

        Raises UnreadableRowError: no_time, no_<required field>, not_a_number.
        """
        cells, match_value = line
        built = {
            "occurred_at": read_time(
                self._pick(cells, "occurred_at"), self._rules.time.formats, self._zone, self._file_day
            ),
            "record_kind": self._rules.record_kind,
            "match_value": match_value,
        }
        fields: tuple[WebField, ...] = ("user", "action", *NUMBERS)
        for field in fields:
            value = self._pick(cells, field)
            if value:
                built[field] = read_whole_number(value) if field in NUMBERS else self._translate(field, value)
            elif field in self._rules.required:
                raise UnreadableRowError(f"no_{field}")
        event = self._pick(cells, "event")
        # The address as it stands in the line, not the entry that it fits: the register may grow.
        parts = [event] if event else [*self._read_address(cells), *(built.get(one, "") for one in IDENTITY)]
        return {"record_id": self._number_repeat(self._hash(*parts), event), **built, "map": self._name}

    def set_aside(self, line: Line, problem: str) -> dict[str, str]:
        """A line for the quarantine: what it was about, and no id."""
        return {"problem": problem, "match_value": line[1], "map": self._name}

    def start_again(self) -> None:
        """The file is read once more from its first line."""
        self._times_seen.clear()

    def _read_address(self, cells: list[str]) -> tuple[str, str]:
        """Host and whole path: for looking up and for a hash, never kept as they are."""
        addresses = (split_address(cells[place]) for place in self._address)
        return next((one for one in addresses if one[0]), ("", ""))

    def _pick(self, cells: list[str], field: WebField) -> str:
        text = cells[self._bound[field]].strip() if field in self._bound else ""
        return "" if text in self._empty else text if text.isascii() else repair(text)

    def _translate(self, field: WebField, value: str) -> str:
        patterns = self._rules.values.get(field, {})
        return next((word for pattern, word in patterns.items() if fnmatchcase(value, pattern)), value)

    def _number_repeat(self, record_id: str, event: str) -> str:
        """Equal events without an id of their own are several; two equal sums are one."""
        if event or self._rules.record_kind != "event":
            return record_id
        times = self._times_seen[record_id] = self._times_seen.get(record_id, 0) + 1
        return self._hash(record_id, str(times)) if times > 1 else record_id

    def _hash(self, *parts: str) -> str:
        # Lengths keep ("ab", "c") and ("a", "bc") apart; the map's name keeps two systems apart.
        text = "".join(f"{len(part)}:{part}" for part in (self._name, *parts))
        return "web-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]
