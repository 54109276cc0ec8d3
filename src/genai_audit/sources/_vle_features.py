"""Which object ids, tool names and hosts of the VLE stand for a GenAI feature: a register, not code.

No catalogue of AI object ids is published (facts/vle.md §1.2), so people keep one:
`registers/vle_features.csv` of the workspace, else the starter that we ship. What looks like AI and is not
listed is reported as "unclassified: …", never dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from genai_audit.errors import ConfigurationError
from genai_audit.registers import check_bytes, refuse

UNCLASSIFIED = "unclassified: "
SHOWN = 60  # characters of an unlisted id
_PLAIN = re.compile(r"[A-Za-z0-9._-]*")  # an id; what follows may be somebody's words
_AI_SEGMENT = re.compile(r"(?:^|[/#:])(ai\.[^/?#]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Feature:
    """One line of the register. `pattern`: `*` stands for anything; a domain means its subdomains too."""

    match_kind: str
    pattern: str
    feature: str
    tool: str


@dataclass(frozen=True)
class Features:
    """All lines, in the order of the file: the first that fits counts."""

    lines: tuple[Feature, ...]

    def find(self, match_kind: str, value: str) -> Feature | None:
        """Names and domains are compared without regard to case; of an address, `domain` takes the host."""
        if match_kind == "domain":
            value = find_host(value)
        if not value:
            return None
        fitting = (line for line in self.lines if line.match_kind == match_kind and _fits(line, value))
        return next(fitting, None)

    def patterns(self, match_kind: str) -> tuple[str, ...]:
        return tuple(line.pattern for line in self.lines if line.match_kind == match_kind)


def read_features(registers: Path) -> Features:
    """The register in this folder, else the shipped one. Raises ConfigurationError."""
    path = registers / "vle_features.csv"
    return _parse(path.read_bytes()) if path.is_file() else shipped_features()


@cache
def shipped_features() -> Features:
    return _parse((resources.files("genai_audit") / "starters" / "vle_features.csv").read_bytes())


def looks_like_ai(object_id: str) -> bool:
    """A segment that begins with `ai.`, or a path through `/ai/`."""
    return bool(_AI_SEGMENT.search(object_id)) or "/ai/" in object_id.casefold()


def name_unlisted(object_id: str) -> str:
    """What an unlisted id is reported as: short, without the parts that may name a course or a person."""
    segment = _AI_SEGMENT.search(object_id)
    if segment:
        return UNCLASSIFIED + shorten_id(segment[1])
    host = _keep_plain(find_host(object_id))
    return UNCLASSIFIED + f"{host}/ai/"[-SHOWN:]


def shorten_id(object_id: str) -> str:
    """An id up to the first character that ids don't have, such as a space: never a sentence."""
    return _keep_plain(object_id)[:SHOWN]


def find_host(address: str) -> str:
    """The host of an address, in small letters; "" when there is none."""
    try:
        return (urlsplit(address if "//" in address else f"//{address}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _keep_plain(text: str) -> str:
    plain = _PLAIN.match(text)
    return plain[0] if plain else ""


def _fits(line: Feature, value: str) -> bool:
    if line.match_kind == "domain":
        domain = line.pattern.casefold()
        return value == domain or value.endswith(f".{domain}")
    if line.match_kind == "name":
        return fnmatchcase(value.casefold(), line.pattern.casefold())
    return fnmatchcase(value, line.pattern)


def _parse(content: bytes) -> Features:
    table, mistakes = check_bytes("vle_features", content, "vle_features.csv")
    if mistakes:
        raise refuse(mistakes, ConfigurationError)
    names = ("match_kind", "pattern", "feature", "tool")
    return Features(tuple(Feature(*(row[name] for name in names)) for row in table.rows))
