"""JSON Lines that people hand over: read twice, so that a damaged file is refused before its first record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from genai_audit.sources._tables import LINE_CHARACTERS, Damage, Lines, open_text, sniff_encoding

ADVICE = "Get the original file again; each line must hold one whole JSON object."


def read_objects(path: Path, damage: Damage | None = None) -> Iterator[dict[str, Any]]:
    """Every line that is a JSON object. Others are noted in `damage`, not handed on: they may hold names."""
    with path.open("rb") as file:
        encoding = sniff_encoding(file.read(1 << 16))
    with open_text(path, "utf-8-sig" if encoding == "cp1252" else encoding) as file:
        lines = Lines(path, file)
        for line in lines:
            text = line.strip()
            if not text:
                continue
            value = parse(text)
            if damage:
                damage.rows += 1
                if not isinstance(value, dict):
                    damage.unreadable.append(lines.number)
            if isinstance(value, dict):
                yield value


def first_object(path: Path, head: bytes) -> dict[str, Any]:
    """The object on the first line of a file with this head; empty when there is none."""
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    if line.startswith(b"{") and b"\n" not in head and path.stat().st_size > len(head):
        with path.open("rb") as file:
            line = file.readline(LINE_CHARACTERS).removeprefix(b"\xef\xbb\xbf")
    value = parse(line.decode("utf-8", "surrogateescape"))
    return value if isinstance(value, dict) else {}


def parse(text: str) -> Any:
    try:
        return orjson.loads(text.encode("utf-8", "surrogateescape"))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
