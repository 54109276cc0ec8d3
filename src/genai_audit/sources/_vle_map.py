"""VLE maps: small TOML files that say which columns of a table become which of our fields.

Only mapped columns are ever read, so titles, names and prompt text stay where they are. A map that would read
one of its own `never_read` columns is refused. Fields: facts/vle.md §3.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, model_validator

from genai_audit.errors import ConfigurationError, UsageError
from genai_audit.settings import Section

KINDS = ("artefact", "interaction", "quota_counter", "aggregate")
FieldName = Literal[
    "event", "occurred_at", "record_kind", "actor", "actor_role", "course", "school", "term", "feature",
    "tool", "outcome", "context", "quantity", "base_quantity",
]  # fmt: skip
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class TimeRule(Section):
    """`formats`, tried in order: iso, unix (seconds), file_date (the day in the file's name), or a strptime
    pattern. `zone`: of times that name none; in the doubled hour of October the first of both is meant."""

    formats: Names
    zone: str = "UTC"


class UnpackRule(Section):
    """A column with a JSON object; `members` are read as columns named `<column>:<member>`."""

    column: str
    members: Names


class NamedMap(Section):
    """A map as a TOML file; its file name is its name. `what`: what messages call it."""

    what: ClassVar[str]


Map = TypeVar("Map", bound=NamedMap)
FieldT = TypeVar("FieldT", bound=str)


class VleMap(NamedMap):
    """One map. `record_id`: fields whose values make the id (the event's own id alone, where a row has one).
    `keep`: patterns of which a field must match one, or the row is left out and counted. `values`: patterns
    and what they become. `unlisted`: prefix for values that no pattern matches. `listed_as`: fields whose
    value is looked up in the register of VLE features, and by which match kind; what it lists is kept.
    `attempt_of`: rows that agree in these fields are attempts of one action. `by_name_only`: the headers are
    too common to know the table by them; it must be named with --kind."""

    what: ClassVar[str] = "VLE map"
    title: str
    record_kind: Literal["artefact", "interaction", "quota_counter", "aggregate", ""]
    record_id: tuple[FieldName, ...]
    required: tuple[FieldName, ...]
    never_read: tuple[str, ...] = ()
    columns: dict[FieldName, Names]
    constants: dict[FieldName, str] = Field(default_factory=dict)
    time: TimeRule
    unpack: UnpackRule | None = None
    keep: dict[FieldName, Names] = Field(default_factory=dict)
    values: dict[FieldName, dict[str, str]] = Field(default_factory=dict)
    unlisted: dict[FieldName, str] = Field(default_factory=dict)
    listed_as: dict[Literal["feature"], Literal["object_id", "name", "domain"]] = Field(default_factory=dict)
    attempt_of: tuple[FieldName, ...] = ()
    by_name_only: bool = False

    @model_validator(mode="after")
    def check_sense(self) -> VleMap:
        check_reading(self.columns.values(), self.never_read)
        needed = (*self.required, *self.record_id, *self.attempt_of)
        missing = [name for name in needed if not self._has(name)]
        if missing:
            raise ValueError(f"it needs '{missing[0]}' but names no column for it")
        if not self.record_kind and "record_kind" not in self.required:
            raise ValueError("record_kind is neither given nor a required column")
        check_zone(self.time)
        return self

    def _has(self, name: FieldName) -> bool:
        return name in self.columns or (name == "occurred_at" and "file_date" in self.time.formats)


def simplify(header: str) -> str:
    """Small letters and digits only: `Term Name`, `TERM_NAME` and `term_name` are one header."""
    return re.sub(r"[\W_]", "", header.casefold())


@cache
def shipped_maps() -> dict[str, VleMap]:
    return read_shipped_maps(VleMap, "vle_maps")


def read_shipped_maps(kind: type[Map], room: str) -> dict[str, Map]:
    """The maps of a folder beside this file, by name."""
    folder = resources.files("genai_audit") / "sources" / room
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".toml")}
    return {
        name.removesuffix(".toml"): read_map(kind, name, files[name].read_text(encoding="utf-8"))
        for name in sorted(files)
    }


def find_map(name: str, own_folder: Path) -> VleMap:
    """The user's own map of that name, else the shipped one; UsageError names those that exist."""
    return pick_map(VleMap, name, own_folder, shipped_maps())


def pick_map(kind: type[Map], name: str, own_folder: Path, shipped: Mapping[str, Map]) -> Map:
    """Read one map of this kind; ConfigurationError lists its mistakes."""
    own = own_folder / f"{name}.toml"
    if re.fullmatch(r"[\w-]+", name) and own.is_file():
        return read_map(kind, f"registers/{own_folder.name}/{own.name}", own.read_text(encoding="utf-8"))
    if name in shipped:
        return shipped[name]
    known = sorted({*shipped, *(file.stem for file in own_folder.glob("*.toml"))})
    near = get_close_matches(name, known, n=1)
    raise UsageError(
        f"There is no {kind.what} '{name}'" + (f"; did you mean '{near[0]}'?" if near else "."),
        where="--kind",
        next_step=f"Use one of {', '.join(known)}, or write registers/{own_folder.name}/{name}.toml.",
    )


def read_map(kind: type[Map], where: str, text: str) -> Map:
    """Read one map of this kind; ConfigurationError lists its mistakes."""
    try:
        return kind(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        mistakes = f"not valid TOML: {error}"
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}".removeprefix(": ")
            for one in error.errors()
        )
    raise ConfigurationError(
        f"A {kind.what} has mistakes: {mistakes}.",
        where=where,
        next_step="Compare it with a map that we ship.",
    )


def check_reading(columns: Iterable[Names], never_read: Sequence[str]) -> None:
    """ValueError for a map that reads what it says it never reads."""
    secret = {simplify(name) for name in never_read}
    read = [name for names in columns for name in names if simplify(name) in secret]
    if read:
        raise ValueError(f"it reads '{read[0]}', which it lists under never_read")


def check_zone(time: TimeRule) -> None:
    try:
        ZoneInfo(time.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"'{time.zone}' is no time zone") from None


def bind_columns(rules: VleMap, header: Sequence[str]) -> dict[FieldName, int]:
    return bind_names(rules.columns, header)


def bind_names(columns: Mapping[FieldT, Names], header: Sequence[str]) -> dict[FieldT, int]:
    """Field -> position of its column: the first accepted name that the header has."""
    positions = {simplify(name): place for place, name in reversed(list(enumerate(header)))}
    bound: dict[FieldT, int] = {}
    for field, accepted in columns.items():
        found = [positions[simplify(name)] for name in accepted if simplify(name) in positions]
        if found:
            bound[field] = found[0]
    return bound


def find_missing(rules: VleMap, bound: dict[FieldName, int]) -> list[FieldName]:
    """Required fields without a column."""
    by_file = {"occurred_at"} if "file_date" in rules.time.formats else set()
    return [field for field in rules.required if field not in bound and field not in by_file]


def describe_missing(rules: VleMap, missing: Sequence[FieldName], header: Sequence[str]) -> str:
    """What each missing field may be called, and which header of the file comes nearest."""
    known = {simplify(name): name for name in header}
    words = []
    for field in missing:
        accepted = rules.columns[field]
        near = next((hit for name in accepted for hit in get_close_matches(simplify(name), known, n=1)), None)
        nearest = f"; nearest header: '{known[near]}'" if near else ""
        words.append(f"no column for '{field}' (accepted: {', '.join(accepted)}{nearest})")
    return "; ".join(words)
