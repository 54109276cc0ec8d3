"""Is the way to recognise a tool one that a source can use? Else a later pull stops, or nothing ever fits."""

from __future__ import annotations

import re
import uuid

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
# The last label is no number (that is an IP address). A path may follow, without query and slash at its end.
DOMAIN = re.compile(rf"({LABEL}\.)+(?![0-9]+(/|$)){LABEL}(/[^\s?#]*[^\s?#/])?", re.IGNORECASE)


def find_fault(match_kind: str, value: str) -> str:
    """What is wrong with a `match_value`, and the right one where that is plain; "" if it is good."""
    if match_kind == "app_id" and not GUID.fullmatch(value):
        return "not an application id (a GUID)" + _hint(_nearest_guid(value))
    if match_kind == "domain" and not DOMAIN.fullmatch(value):
        return "not a domain such as chat.example.com or example.com/chat" + _hint(_nearest_domain(value))
    return ""


def _hint(nearest: str) -> str:
    return f": write {nearest}" if nearest else "."


def _nearest_guid(value: str) -> str:
    """Without braces, or with the hyphens that were left out."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return ""


def _nearest_domain(value: str) -> str:
    """Without scheme, `*.`, port, query and a slash at the end."""
    text = re.sub(r"^[a-z][a-z0-9+.-]*://", "", value.strip(), flags=re.IGNORECASE)
    host, slash, path = re.split(r"[?#]", text)[0].partition("/")
    host = re.sub(r":[0-9]*$", "", host.lower()).removeprefix("*.").strip(".")
    nearest = (host + slash + path).rstrip("/")
    return nearest if DOMAIN.fullmatch(nearest) else ""
