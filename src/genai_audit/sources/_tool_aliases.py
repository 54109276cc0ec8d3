"""What the register of tools calls our AI tools: ids and domains to ask Microsoft for.

Only `tools.csv` is read, because the other registers are large and none of this concern. The register is
checked where it is landed; here a value is refused if it could mean something else inside a filter or query.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from genai_audit.errors import ConfigurationError

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z0-9]")
REGISTER = "tools.csv"


def read_app_ids(registers: Path, more: Iterable[str] = ()) -> list[str]:
    """Application ids of AI tools, sorted, once each. Raises ConfigurationError for one that is no GUID."""
    found = {value.strip().lower() for value in (*_read_values(registers, "app_id"), *more)}
    for value in sorted(found):
        if not GUID.fullmatch(value):
            raise ConfigurationError(
                "An application id is no GUID.",
                where=f"{REGISTER} (match_kind app_id) or app_ids of [m365_signins]",
                next_step="Copy the application id from Entra, Enterprise applications.",
            )
    return sorted(found)


def read_hosts(registers: Path) -> tuple[list[str], int]:
    """Domains of AI tools, and how many entries have a path and so can't be told from a host name alone.

    A domain below another one of the list is left out: the upper one finds it too.
    """
    values = {value.strip().lower() for value in _read_values(registers, "domain")}
    hosts = {value for value in values if "/" not in value}
    for host in sorted(hosts):
        if not HOST.fullmatch(host):
            raise ConfigurationError(
                "A domain of an AI tool is no host name.",
                where=f"{REGISTER} (match_kind domain)",
                next_step="Write it like chat.example.com, without https:// and without a port.",
            )
    return sorted(host for host in hosts if not _is_below(host, hosts)), len(values) - len(hosts)


def _is_below(host: str, hosts: set[str]) -> bool:
    parts = host.split(".")
    return any(".".join(parts[start:]) in hosts for start in range(1, len(parts)))


def _read_values(registers: Path, kind: str) -> Iterator[str]:
    path = registers / REGISTER
    if not path.exists():
        return
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{REGISTER} is not UTF-8.", where=REGISTER, next_step="Save it as 'CSV UTF-8'."
        ) from None
    for row in csv.DictReader(io.StringIO(text, newline="")):
        if (row.get("match_kind") or "").strip() == kind and (row.get("match_value") or "").strip():
            yield row["match_value"]
