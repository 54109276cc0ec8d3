"""Files whose SHA-256 is known when they are closed, and checked before they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

import zstandard

from genai_audit.errors import IntegrityError

LINES_AT_A_TIME = 500


def check_file(path: Path, sha256: str) -> None:
    """Raise IntegrityError unless the file is there and is byte for byte what was sealed."""
    where = "/".join(path.parts[-4:])
    advice = "Restore this file from the backup, or pull the window again; then run `genai-audit verify`."
    if not path.exists():
        raise IntegrityError("A sealed file is missing.", where=where, next_step=advice)
    if hash_file(path) != sha256:
        raise IntegrityError("A sealed file was altered since it was written.", where=where, next_step=advice)


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class SealedLines:
    """A zstd file of lines that knows its own SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("wb")
        self._packed = zstandard.ZstdCompressor(level=3).stream_writer(self._file, closefd=False)
        self._waiting: list[bytes] = []  # lines are compressed many at a time
        self.lines = 0

    def write(self, line: bytes) -> None:
        self._waiting.append(line)
        self.lines += 1
        if len(self._waiting) >= LINES_AT_A_TIME:
            self._pack()

    def _pack(self) -> None:
        if self._waiting:
            self._packed.write(b"\n".join(self._waiting) + b"\n")
            self._waiting.clear()

    def close(self) -> dict[str, Any]:
        self._pack()
        self._packed.close()  # type: ignore[no-untyped-call]
        self._file.close()
        return {"sha256": hash_file(self._path), "bytes": self._path.stat().st_size, "records": self.lines}

    def discard(self) -> None:
        self._packed.close()  # type: ignore[no-untyped-call]
        self._file.close()
        self._path.unlink(missing_ok=True)
