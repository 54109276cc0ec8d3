"""Where everything lies, who may read it, and how a file is written so that a crash can't half-write it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from genai_audit.errors import BusyError, ConfigurationError

ROOMS = ("landing", "parsed", "published", "reports", "registers", "runs", "state", "keys", "tmp")
FILES = ("genai-audit.toml", "warehouse.duckdb", "warehouse.duckdb.wal", ".lock")
KEY_BYTES = 32


@dataclass(frozen=True)
class Workspace:
    """One folder of mode 0700; every file in it has mode 0600."""

    root: Path

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def parsed(self) -> Path:
        return self.root / "parsed"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def registers(self) -> Path:
        return self.root / "registers"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def key_file(self) -> Path:
        return self.root / "keys" / "pseudonym.key"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def settings_file(self) -> Path:
        return self.root / "genai-audit.toml"

    def create(self) -> None:
        """Make all rooms. Safe to call again; a folder that holds other things is refused."""
        os.umask(0o077)
        strangers = [path for path in self.root.glob("*") if path.name not in (*ROOMS, *FILES)]
        if strangers and not self.settings_file.exists():
            raise ConfigurationError(
                "This folder holds other things.",
                where=str(self.root),
                next_step="Name a new or empty folder for the workspace.",
            )
        for folder in (self.root, *(self.root / room for room in ROOMS)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def require(self) -> None:
        """Raise unless this is a workspace that `init` has made."""
        os.umask(0o077)
        if not self.key_file.exists() and self.settings_file.exists():
            raise ConfigurationError(
                "The pseudonym key is missing.",
                where="keys/pseudonym.key",
                next_step="Restore it from the backup: with a new key every person would become another one.",
            )
        if not self.key_file.exists():
            raise ConfigurationError(
                "This is not a workspace yet.",
                where=str(self.root),
                next_step=f"Run `genai-audit --workspace {self.root} init`, or name another folder.",
            )

    def create_key(self) -> None:
        """Write the pseudonym key once; an existing key is never replaced, a lost one neither."""
        if self.settings_file.exists():
            self.require()
        if not self.key_file.exists():
            write_durably(self.key_file, secrets.token_bytes(KEY_BYTES))

    def read_key(self) -> bytes:
        """The 32-byte pseudonym key. Refused when others may read it or its length is wrong."""
        self.require()
        if self.key_file.stat().st_mode & 0o077:
            raise ConfigurationError(
                "The pseudonym key can be read by other accounts.",
                where="keys/pseudonym.key",
                next_step=f"Run `chmod 600 {self.key_file}`; if others may have read it, ask the DPO.",
            )
        key = self.key_file.read_bytes()
        if len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"The pseudonym key has {len(key)} bytes instead of {KEY_BYTES}.",
                where="keys/pseudonym.key",
                next_step="Restore it from the backup; a new key would cut all links to earlier periods.",
            )
        return key

    def sweep(self) -> None:
        """Remove what a killed run left: temporary files and unfinished packages. Needs the lock."""
        shutil.rmtree(self.tmp, ignore_errors=True)
        self.tmp.mkdir(mode=0o700, exist_ok=True)
        for room in (self.landing, self.parsed, self.published, self.reports, self.runs, self.state):
            for left in (*room.glob("**/*.part"), *room.glob("**/*.part.wal")):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    @contextmanager
    def lock(self, verb: str) -> Iterator[None]:
        """Hold the workspace for one writer; the kernel lets go even after `kill -9`."""
        self.require()
        with open(self.root / ".lock", "a+b") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.seek(0)
                holder = json.loads(held.read() or b"{}")
                raise BusyError(
                    f"Another run holds this workspace: `{holder.get('verb', '?')}`, process "
                    f"{holder.get('pid', '?')}, since {holder.get('since', '?')}.",
                    where=str(self.root),
                    next_step="Wait for it to end, or stop that process; nothing was changed.",
                ) from None
            held.seek(0)
            held.truncate()
            since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            held.write(json.dumps({"verb": verb, "pid": os.getpid(), "since": since}).encode())
            held.flush()
            self.sweep()
            yield


def find_workspace(flag: Path | None) -> Workspace:
    """`--workspace`, else `$GENAI_AUDIT_WORKSPACE`, else `./workspace`."""
    named = flag or os.environ.get("GENAI_AUDIT_WORKSPACE") or "workspace"
    return Workspace(Path(named).expanduser().resolve())


def write_durably(target: Path, content: bytes) -> None:
    """Write a whole file or none: temporary file, fsync, rename, fsync of the folder. Mode 0600."""
    part = target.with_name(target.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    settle(part, target)


def settle(part: Path, target: Path) -> None:
    """Give a finished file or folder its final name so that it survives a power cut."""
    for path in (part, *part.glob("**/*")) if part.is_dir() else (part,):
        _fsync(path)
    os.replace(part, target)
    _fsync(target.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def canonical_json(value: Any) -> bytes:
    """Sorted, no spaces, ASCII: the one spelling that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def shipped(room: str) -> Path:
    """`sql`, `expectations` or `reports`: from the checkout, or from inside the installed wheel."""
    checkout = Path(__file__).resolve().parents[2] / room
    return checkout if checkout.is_dir() else Path(str(resources.files("genai_audit"))) / "_shipped" / room
