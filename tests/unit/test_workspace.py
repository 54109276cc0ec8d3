"""The workspace: one writer, private files, writes that are whole or absent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders import make_workspace
from genai_audit.errors import BusyError, ConfigurationError
from genai_audit.workspace import Workspace, find_workspace, shipped, write_durably

HOLD = """
import sys, time
from pathlib import Path
from genai_audit.workspace import Workspace
with Workspace(Path(sys.argv[1])).lock("run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_within_a_second_and_told_who_holds_it(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace.root)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        with pytest.raises(BusyError) as refused, workspace.lock("pull"):
            pass
        assert time.monotonic() - started < 1
        assert str(holder.pid) in refused.value.what
        holder.kill()
    with workspace.lock("pull"):
        pass  # the kernel let go when the holder was killed


def test_the_key_is_private_random_and_never_replaced(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    key = workspace.read_key()
    workspace.create_key()
    assert workspace.read_key() == key
    assert workspace.key_file.stat().st_mode & 0o777 == 0o600
    assert make_workspace(tmp_path / "other").read_key() != key


@pytest.mark.parametrize(("mode", "content"), [(0o644, b"k" * 32), (0o600, b"short"), (0o600, b"")])
def test_a_readable_or_short_key_is_refused(tmp_path: Path, mode: int, content: bytes) -> None:
    workspace = make_workspace(tmp_path)
    workspace.key_file.write_bytes(content)
    workspace.key_file.chmod(mode)
    with pytest.raises(ConfigurationError):
        workspace.read_key()


def test_a_folder_that_is_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Workspace(tmp_path).require()
    assert "init" in refused.value.next_step


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_durably(target, b"old")

    def fail(_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_durably(target, b"new")
    assert target.read_bytes() == b"old"


def test_the_flag_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENAI_AUDIT_WORKSPACE", str(tmp_path / "env"))
    assert find_workspace(tmp_path / "flag").root == tmp_path / "flag"
    assert find_workspace(None).root == tmp_path / "env"


@pytest.mark.parametrize("room", ["sql", "expectations", "reports"])
def test_the_rooms_that_ship_are_found(room: str) -> None:
    assert any(shipped(room).iterdir())
