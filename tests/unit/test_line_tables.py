"""line_tables.py: the lines of a file, whatever the buffer's size."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_audit.errors import BadDataError
from genai_audit.line_tables import read_line_tables

LINES = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20))


def pack(folder: Path, content: bytes) -> Path:
    path = folder / "records.ndjson.zst"
    path.write_bytes(zstandard.compress(content))
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(LINES, st.integers(1, 7), st.integers(100, 300))
def test_all_lines_in_order(tmp_path: Path, lines: list[str], most_lines: int, buffer_bytes: int) -> None:
    path = pack(tmp_path, "".join(line + "\n" for line in lines).encode())
    numbers, found, tables = [], [], 0
    for table in read_line_tables(path, most_lines, buffer_bytes):
        assert table.num_rows <= most_lines
        numbers += table["line_no"].to_pylist()
        found += table["line"].to_pylist()
        tables += 1
    assert found == [line + "\n" for line in lines]
    assert numbers == list(range(1, len(lines) + 1))
    assert tables >= 1


@pytest.mark.parametrize("content", [b"x" * 50 + b"\n", b"one\ntwo"])
def test_a_line_without_an_end_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadDataError, match="no end"):
        list(read_line_tables(pack(tmp_path, content), 10, 40))
