"""`init` and `doctor`: is this workspace set up, safe and able to reach its sources?"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from genai_audit import registry
from genai_audit.configuration import load_settings, options_of, settings_class
from genai_audit.errors import GenaiAuditError
from genai_audit.registers import REGISTERS, read_registers, shipped_text
from genai_audit.runs import Run
from genai_audit.settings import Settings
from genai_audit.workspace import Workspace, write_durably

FREE_BYTES = 5 * 10**9
CLOCK_WARN_SECONDS = 120
PACKAGES = ("duckdb", "polars", "prefect", "great-expectations", "msgraph-sdk", "azure-identity")


@dataclass(frozen=True)
class Finding:
    """One line of `doctor`: ok, note or fix; a fix says what to do."""

    state: str
    subject: str
    text: str


def set_up(workspace: Workspace, *, dry_run: bool = False) -> Iterator[str]:
    """Write what is missing; give the names written. An existing file is never touched."""
    if not dry_run:
        workspace.create()
    if not workspace.key_file.exists():
        if not dry_run:
            workspace.create_key()
        yield "keys/pseudonym.key"
    shipped = Path(str(resources.files("genai_audit"))) / "starters"
    texts = {workspace.settings_file: (shipped / "genai-audit.toml").read_text(encoding="utf-8")}
    texts |= {workspace.registers / f"{name}.csv": shipped_text(name) for name in REGISTERS}
    for path, text in texts.items():
        if not path.exists():
            if not dry_run:
                write_durably(path, text.encode())
            yield str(path.relative_to(workspace.root))


def examine(workspace: Workspace, *, offline: bool = False) -> Iterator[Finding]:
    """All checks; one that needs an earlier one to hold is left out when that fails."""
    yield _check("workspace", f"{workspace.root}", workspace.require)
    if not workspace.key_file.exists():
        return
    yield _check("key", "32 bytes, mode 0600", workspace.read_key)
    yield from _check_modes(workspace)
    yield from _check_machine(workspace)
    yield _check("registers", "all can be read", lambda: read_registers(workspace.registers))
    try:
        settings = load_settings(workspace.settings_file)
    except GenaiAuditError as error:
        yield Finding("fix", "configuration", f"{error.what} {error.next_step}")
        return
    yield Finding("ok", "configuration", f"{workspace.settings_file.name}, digest {settings.digest()[:12]}")
    yield from _check_sources(workspace, settings, offline)


def describe_settings(workspace: Workspace) -> Iterator[str]:
    """Every setting as `section.key = value  (origin)`, without what may be a password in an address."""
    workspace.require()
    settings, defaults = load_settings(workspace.settings_file), settings_class().model_construct()
    for section, values in settings.model_dump(mode="json").items():
        if not isinstance(values, dict):
            continue
        standard = getattr(defaults, section)
        standard = standard if isinstance(standard, dict) else standard.model_dump(mode="json")
        for key, value in values.items():
            in_environment = f"GENAI_AUDIT_{section}__{key}".upper() in os.environ
            changed = "environment" if in_environment else workspace.settings_file.name
            origin = "default" if value == standard.get(key) and not in_environment else changed
            yield f"{section}.{key} = {_mask(value)!r}  ({origin})"


def _mask(value: Any) -> Any:
    """An address without the name, password and query that somebody may have put into it."""
    if isinstance(value, dict):
        return {key: _mask(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_mask(one) for one in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    return re.sub(r"\?.*", "?***", re.sub(r"://.*@", "://***@", value, flags=re.DOTALL), flags=re.DOTALL)


def _check(subject: str, text: str, ask: object) -> Finding:
    try:
        ask()  # type: ignore[operator]
    except GenaiAuditError as error:
        return Finding("fix", subject, f"{error.what} {error.next_step}")
    return Finding("ok", subject, text)


def _check_modes(workspace: Workspace) -> Iterator[Finding]:
    loose = [
        path.relative_to(workspace.root)
        for path in workspace.root.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
    if loose:
        text = f"{len(loose)} file(s) can be read by others: run `chmod -R go= {workspace.root}`"
        yield Finding("fix", "modes", text)
    else:
        yield Finding("ok", "modes", "nobody else can read the workspace")


def _check_machine(workspace: Workspace) -> Iterator[Finding]:
    free = shutil.disk_usage(workspace.root).free
    state = "ok" if free >= FREE_BYTES else "fix"
    advice = "" if state == "ok" else ": make room, at least 5 GB"
    yield Finding(state, "disk", f"{free / 10**9:.1f} GB free{advice}")
    ZoneInfo("Europe/London")
    yield Finding("ok", "time zones", "Europe/London is known")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield Finding("ok", "versions", f"Python {platform.python_version()}, {versions}")


def _check_sources(workspace: Workspace, settings: Settings, offline: bool) -> Iterator[Finding]:
    known = registry.sources()
    for source_id in sorted({*settings.sources.enabled, *settings.sources.expected}):
        if source_id not in known:
            text = f"there is no such source: correct [sources], known are {', '.join(known)}"
            yield Finding("fix", source_id, text)
    enabled = [name for name in settings.sources.enabled if name in known and known[name].pull]
    unfit = list(_check_addresses(settings))
    yield from unfit
    ready = []
    for source_id in enabled:
        if any(finding.subject == source_id for finding in unfit):
            continue
        options = options_of(settings, source_id)
        if missing := registry.what_is_missing(source_id, settings, options):
            yield Finding("fix", source_id, f"{missing}, or take {source_id} out of [sources] enabled")
        else:
            ready.append(source_id)
    if offline:
        yield Finding("note", "credentials", "not checked: --offline")
        return
    needed = {need for name in ready for need in known[name].needs}
    if needed:
        yield from _check_graph(settings, needed)
    for source_id in ready:
        probe = known[source_id].probe
        if probe:
            yield _probe(workspace, settings, source_id)
    if needed:
        yield _check_clock(settings)


def _check_addresses(settings: Settings) -> Iterator[Finding]:
    """Of every source, switched on or not: a password in the file is to be taken out in any case."""
    from genai_audit.sources._addresses import check_https

    for source_id in (name for name, source in registry.sources().items() if source.pull):
        for key, value in options_of(settings, source_id):
            if (key == "url" or key.endswith("_url")) and value:
                finding = _check(source_id, "", partial(check_https, f"{source_id}.{key}", str(value)))
                if finding.state == "fix":
                    yield finding


def _probe(workspace: Workspace, settings: Settings, source_id: str) -> Finding:
    context = Run(workspace, settings, "doctor").context(source_id)
    ask = registry.sources()[source_id].probe
    assert ask is not None
    try:
        return Finding("ok", source_id, ask(context))
    except GenaiAuditError as error:
        return Finding("fix", source_id, f"{error.what} {error.next_step}")


def _check_graph(settings: Settings, needed: set[str]) -> Iterator[Finding]:
    """The token says which permissions it carries: missing ones and more than needed are both to mend."""
    from genai_audit.sources._graph_sign_in import read_token_roles

    try:
        roles = set(read_token_roles(settings))
    except GenaiAuditError as error:
        yield Finding("fix", "credentials", f"{error.what} {error.next_step}")
        return
    yield Finding(
        "ok", "credentials", f"a token was issued, it carries {', '.join(sorted(roles)) or 'nothing'}"
    )
    for role in sorted(needed - roles):
        yield Finding("fix", "permission", f"{role} is missing: an administrator must consent to it")
    for role in sorted(roles - needed):
        yield Finding("fix", "permission", f"{role} is more than needed: take it away from the application")


def _check_clock(settings: Settings) -> Finding:
    """Compare with the Date header of the sign-in service: a token is refused when clocks differ."""
    import httpx

    from genai_audit.sources._trust import make_trust

    tenant = settings.tenant
    address = f"{tenant.authority_url}/{tenant.tenant_id}/v2.0/.well-known/openid-configuration"
    try:
        stated = httpx.get(address, verify=make_trust(tenant.ca_bundle), timeout=10).headers["Date"]
    except GenaiAuditError as error:
        return Finding("fix", "clock", f"{error.what} {error.next_step}")
    except (httpx.HTTPError, KeyError):
        return Finding("note", "clock", "the sign-in service did not say its time")
    skew = abs((parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds())
    if skew > CLOCK_WARN_SECONDS:
        return Finding("fix", "clock", f"{skew:.0f} s away from the sign-in service's: set it by NTP")
    return Finding("ok", "clock", f"{skew:.0f} s away from the sign-in service's")
