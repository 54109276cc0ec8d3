"""Environments of their own for the real servers that tests speak to.

Their pins collide with the project's and with each other's, so each has a virtual environment, made once
under the user's cache folder and kept: the pins are part of its name. Parallel tests wait for one another.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genai-audit-peers"
MINUTES = 15  # for pip; a slow mirror needs some of them


def peer_python(name: str, pins: tuple[str, ...]) -> Path:
    """The Python of an environment that holds `pins`; makes it with pip if there is none.

    Skips the test, with the reason, when it can't be made: no network, no venv module, no such version.
    """
    pins_hash = hashlib.sha256("\n".join([sys.version, *pins]).encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{pins_hash}"
    python, done = folder / "bin" / "python", folder / "installed"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # one that was broken off half-way
            for command in (
                [sys.executable, "-m", "venv", str(folder)],
                [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
            ):
                if problem := _run(command):
                    shutil.rmtree(folder, ignore_errors=True)
                    pytest.skip(f"the environment of the peer {name} can't be made: {problem}")
            done.touch()
    return python


def _run(command: list[str]) -> str:
    """The last line of what went wrong; "" if nothing did."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=MINUTES * 60, env=clean)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    lines = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
    return "" if ended.returncode == 0 else (lines or ["no output"])[-1][:200]


class PeerServer:
    """A server script of a peer's environment, filled over its standard input; use as a context manager.

    `address`: what its first line of output says. `fill` sends statements and waits until they were run.
    """

    def __init__(self, python: Path, script: Path, *arguments: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [str(python), str(script), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean,
        )  # fmt: skip
        self.address: dict[str, Any] = self._answer()

    def __enter__(self) -> PeerServer:
        return self

    def __exit__(self, *_: object) -> None:
        """Closing its input ends it; a server that stays is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def fill(self, *statements: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(statements) + "\n")
        self._process.stdin.flush()
        assert self._answer() == len(statements)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the peer ended without an answer"
        return json.loads(line)
