"""Which hosts and paths of the web are AI tools, by the domains of the tool register.

The rule is that of sql/marts/fct_external_use.sql: an entry fits its host and every host below it; an entry
with a path fits that path and what lies below it; the longest entry that fits counts. A test holds both
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from genai_audit.errors import ConfigurationError
from genai_audit.registers import check_file, refuse

HOST = re.compile(r"[\w-]+(\.[\w-]+)+", re.ASCII)
SCHEME = re.compile(r"[a-z][a-z0-9+-]*")
KNOWN_HOSTS = 100_000  # remembered answers


class ToolAddresses:
    """`entries`: match values of kind domain, such as `chat.example.com` or `example.com/assistant`."""

    def __init__(self, entries: Iterable[str], register_sha256: str = "") -> None:
        self.register_sha256 = register_sha256
        self._paths: dict[str, list[str]] = {}
        for entry in {one.strip().lower().strip("/") for one in entries}:
            host, _, path = entry.partition("/")
            self._paths.setdefault(host, []).append(path)
        self._known: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._paths.values()))

    def match(self, host: str, path: str) -> str | None:
        """What to keep of an address: its host, with the path of the entry that fits if that has one."""
        entries = self._known.get(host)
        if entries is None:
            entries = self._find_entries(host)
            if len(self._known) < KNOWN_HOSTS:
                self._known[host] = entries
        for entry in entries:
            wanted = entry.partition("/")[2]
            if not wanted or path == wanted or (path.startswith(wanted) and path[len(wanted)] in "/?#"):
                return f"{host}/{wanted}" if wanted else host
        return None

    def _find_entries(self, host: str) -> list[str]:
        """Entries of this host and of those above it, the longest first."""
        parts = host.split(".")
        above = [".".join(parts[start:]) for start in range(len(parts))]
        found = [f"{one}/{path}" if path else one for one in above for path in self._paths.get(one, ())]
        return sorted(found, key=len, reverse=True)


def read_addresses(registers: Path) -> ToolAddresses:
    """The domains of `tools.csv`. ConfigurationError when it has mistakes or holds none."""
    path = registers / "tools.csv"
    table, mistakes = check_file("tools", path) if path.exists() else (None, [])
    if mistakes:
        raise refuse(mistakes, ConfigurationError)
    rows = table.rows if table else []
    addresses = ToolAddresses(
        (row["match_value"] for row in rows if row["match_kind"] == "domain"), table.sha256 if table else ""
    )
    if not len(addresses):
        raise ConfigurationError(
            "The tool register holds no domain, so no line of a web log could be told to be GenAI.",
            where="registers/tools.csv",
            next_step="Add lines with match_kind domain; `genai-audit init` writes the list that we ship.",
        )
    return addresses


def split_address(text: str) -> tuple[str, str]:
    """Host and path of a URL, of `host:port`, or of a name as DNS writes it; small letters, nothing else of
    it. An empty host: it is none that could be in a register (an IP address, nonsense)."""
    rest = text.strip().lower()
    scheme, mark, behind = rest.partition("://")
    if mark and SCHEME.fullmatch(scheme):
        rest = behind
    rest = rest.partition("?")[0].partition("#")[0]
    place, _, path = rest.partition("/")
    host = _read_host(place)
    return (host, path) if host else ("", "")


@lru_cache(KNOWN_HOSTS)
def _read_host(text: str) -> str:
    """The host of `user:password@host:port`, without the dot that ends a name in DNS; "" if it is no name."""
    host = text.rpartition("@")[2].partition(":")[0].rstrip(".")
    return host if HOST.fullmatch(host) and not host.replace(".", "").isdigit() else ""
