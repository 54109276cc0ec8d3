"""Rows of a VLE table turned into our canonical record, one by one. Pure: no file is read here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from genai_audit.calendars import format_instant
from genai_audit.sources._mapped_rows import UnreadableRowError
from genai_audit.sources._vle_features import UNCLASSIFIED, Feature, Features, shipped_features, shorten_id
from genai_audit.sources._vle_map import KINDS, FieldName, VleMap

NULLS = frozenset({"\\N", "NULL", "null"})  # as PostgreSQL, Snowflake and Moodle export them
FIELDS: tuple[FieldName, ...] = (
    "actor", "actor_role", "course", "school", "term", "feature", "tool", "outcome", "quantity",
    "base_quantity",
)  # fmt: skip
NUMBERS = ("quantity", "base_quantity")
EVENTS = ("artefact", "interaction")  # each row is one of its own; the other kinds are states
KNOWN_VALUES = 10_000  # remembered translations
YEARS = range(2000, 2100)


class RowMapper:
    """Applies one map to the rows of one file. `file_day` is the date of a table that has none; `features`
    is the register of VLE features."""

    def __init__(
        self,
        name: str,
        rules: VleMap,
        bound: dict[FieldName, int],
        file_day: date,
        features: Features | None = None,
    ) -> None:
        self._name, self._rules, self._bound, self._file_day = name, rules, bound, file_day
        self._features = features or shipped_features()
        self._zone = ZoneInfo(rules.time.zone)
        self._required = [field for field in rules.required if field in bound]
        self._known: dict[tuple[FieldName, str], str] = {}
        self._listed: dict[str, Feature | None] = {}
        self._times_seen: dict[str, int] = {}

    def pick(self, cells: list[str]) -> dict[FieldName, str]:
        """The mapped cells of a row; nothing else is looked at from here on."""
        picked = {field: cells[place].strip() for field, place in self._bound.items()}
        for field, text in picked.items():
            if text in NULLS:
                picked[field] = ""
            elif not text.isascii():
                picked[field] = repair(text)
        return picked

    def is_kept(self, row: dict[FieldName, str]) -> bool:
        """False for a row that is no GenAI activity by the map's `keep` patterns and the register."""
        return all(
            any(fnmatchcase(row.get(field, ""), pattern) for pattern in patterns)
            or (field in self._rules.listed_as and self._look_up(row) is not None)
            for field, patterns in self._rules.keep.items()
        )

    def build(self, row: dict[FieldName, str]) -> dict[str, str]:
        """The canonical record (facts/vle.md §3; all values text, empty ones left out).

        Raises UnreadableRowError: no_time, no_<required field>, not_a_number, unknown_record_kind.
        """
        for field in self._required:
            if not row[field]:
                raise UnreadableRowError(f"no_{field}")
        kind = self._rules.record_kind or row["record_kind"].casefold()
        if kind not in KINDS:
            raise UnreadableRowError("unknown_record_kind")
        built: dict[str, str] = {
            "occurred_at": self._read_time(row.get("occurred_at", "")),
            "record_kind": kind,
        }
        for field in FIELDS:
            value = row.get(field, "")
            value = self._translate(field, value) if value else self._rules.constants.get(field, "")
            if value:
                built[field] = read_whole_number(value) if field in NUMBERS else value
        listed = self._look_up(row) if self._rules.listed_as else None
        if listed:
            built |= {"feature": listed.feature} | ({"tool": listed.tool} if listed.tool else {})
        if self._rules.attempt_of:
            built["action"] = self._hash(*(row.get(field, "") for field in self._rules.attempt_of))
        return {"record_id": self._make_id(row, built), **built, "map": self._name}

    def number_repeat(self, row: dict[FieldName, str], record: dict[str, str]) -> dict[str, str]:
        """Keep equal events apart that have no id of their own: the second of one file gets another id.

        Call it once a row, in order: the same file then gives the same ids again. Two equal rows of a state
        (a course that is listed twice) stay one record.
        """
        if self._find_event(row) or record["record_kind"] not in EVENTS:
            return record
        times = self._times_seen[record["record_id"]] = self._times_seen.get(record["record_id"], 0) + 1
        return record | {"record_id": self._hash(record["record_id"], str(times))} if times > 1 else record

    def set_aside(self, row: dict[FieldName, str], problem: str) -> dict[str, str]:
        """A row for the quarantine: the mapped cells as they are, and no id."""
        return {"problem": problem} | dict(row.items()) | {"map": self._name}

    def _translate(self, field: FieldName, value: str) -> str:
        if field not in self._rules.values and field not in self._rules.unlisted:
            return value
        known = self._known.get((field, value))
        if known is None:
            patterns = self._rules.values.get(field, {})
            hit = next((word for pattern, word in patterns.items() if fnmatchcase(value, pattern)), None)
            known = hit if hit is not None else _name_rest(self._rules.unlisted.get(field, ""), value)
            if len(self._known) < KNOWN_VALUES:
                self._known[field, value] = known
        return known

    def _look_up(self, row: dict[FieldName, str]) -> Feature | None:
        """The register's line for this row's feature."""
        value = row.get("feature", "")
        if value not in self._listed:
            if len(self._listed) >= KNOWN_VALUES:
                return self._features.find(self._rules.listed_as["feature"], value)
            self._listed[value] = self._features.find(self._rules.listed_as["feature"], value)
        return self._listed[value]

    def _make_id(self, row: dict[FieldName, str], built: dict[str, str]) -> str:
        event = self._find_event(row)
        return self._hash(*([event] if event else [built.get(field, "") for field in self._rules.record_id]))

    def _find_event(self, row: dict[FieldName, str]) -> str:
        return row.get("event", "") if "event" in self._rules.record_id else ""

    def _hash(self, *parts: str) -> str:
        # Lengths keep ("ab", "c") and ("a", "bc") apart; the map's name keeps two systems apart.
        text = "".join(f"{len(part)}:{part}" for part in (self._name, *parts))
        return "vle-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]

    def _read_time(self, text: str) -> str:
        return read_time(text, self._rules.time.formats, self._zone, self._file_day)


def _name_rest(prefix: str, value: str) -> str:
    """A value that no pattern of the map lists; of an unlisted object id, only what looks like one."""
    return prefix + (shorten_id(value) if prefix == UNCLASSIFIED else value)


def read_time(text: str, formats: Sequence[str], zone: ZoneInfo, file_day: date) -> str:
    """The instant by the first of a map's formats that fits; UnreadableRowError when none does."""
    for pattern in formats:
        try:
            instant = _parse_time(text, pattern, file_day)
        except (ValueError, OverflowError, OSError):
            continue
        if instant.year in YEARS:
            return format_instant(instant if instant.tzinfo else instant.replace(tzinfo=zone))
    raise UnreadableRowError("no_time")


def _parse_time(text: str, pattern: str, file_day: date) -> datetime:
    if pattern == "file_date":
        return datetime.combine(file_day, time.min)
    if pattern == "unix":
        return datetime.fromtimestamp(float(text), UTC)
    if pattern == "iso":
        return datetime.fromisoformat(re.sub(r"\s(?=[+-]\d\d:?\d\d$)", "", text))
    return datetime.strptime(text, pattern)  # noqa: DTZ007 (the map's zone is put in by the caller)


def read_whole_number(text: str) -> str:
    """1200, 1200.0, and 1,200 or 1 200 in groups of three; 1,5 is no whole number, and not 15."""
    if not re.fullmatch(r"(\d{1,15}|\d{1,3}(,\d{3}){1,4}|\d{1,3}(\s\d{3}){1,4})(\.0*)?", text):
        raise UnreadableRowError("not_a_number")
    return str(int(re.sub(r"[,\s]", "", text.split(".")[0])))


def repair(text: str) -> str:
    """A cell with bytes that are no UTF-8 (the file's beginning was): they are Windows-1252."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return text
