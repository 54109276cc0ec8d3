"""The two hunting queries (KQL), written around the domains of the tool register and a span of time.

Domains come checked (`read_hosts`), and so do the words of the settings: nothing else from outside gets into
a query. Only a host is projected, never a whole address, and a hash in the place of a device.
"""

from __future__ import annotations

from collections.abc import Sequence

from genai_audit.calendars import Window, format_instant

# The host of an address with or without a scheme, path and port.
_HOST = 'extract(@"^(?:[a-zA-Z]+://)?([^/:?#]+)", 1, tolower({}))'
_PROJECT = "| project RecordId, Timestamp, AccountObjectId, Host, ActionType"


def write_network_query(hosts: Sequence[str], span: Window) -> str:
    """Connections of devices. A report id is unique on its device only, so both are hashed together."""
    return "\n".join([
        "DeviceNetworkEvents",
        f"| where {_write_span(span)}",
        f"| where RemoteUrl has_any ({_write_list(hosts)})",
        f"| extend Host = {_HOST.format('RemoteUrl')}",
        "| extend AccountObjectId = InitiatingProcessAccountObjectId",
        '| extend Where = strcat(DeviceId, "|", tostring(ReportId), "|", tostring(Timestamp))',
        "| extend RecordId = hash_sha256(Where)",
        _PROJECT,
    ])  # fmt: skip


def write_upload_query(hosts: Sequence[str], actions: Sequence[str], span: Window) -> str:
    """Pasting and uploading on managed devices."""
    target = 'coalesce(tostring(RawEventData.TargetDomain), tostring(RawEventData.TargetUrl), "")'
    return "\n".join([
        "CloudAppEvents",
        f"| where {_write_span(span)}",
        f"| where ActionType in ({_write_list(actions)})",
        f"| extend Host = {_HOST.format(target)}",
        f"| where Host has_any ({_write_list(hosts)})",
        "| extend RecordId = tostring(ReportId)",
        _PROJECT,
    ])  # fmt: skip


def _write_span(span: Window) -> str:
    """Half-open."""
    start, end = format_instant(span.start), format_instant(span.end)
    return f"Timestamp >= datetime({start}) and Timestamp < datetime({end})"


def _write_list(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
