"""Landed lines as Arrow tables, without a Python object for each line.

A compressed file is unpacked into one buffer that is used again for every table, and DuckDB reads the lines
where they lie: a quarter of the time of handing over a list, and memory that does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import zstandard

from genai_audit.errors import BadDataError

BUFFER_BYTES = 64_000_000  # a table's worth of lines; far more than the longest line that may be landed
SCAN_BYTES = 1 << 20  # looked through for line ends at a time
LINE_END = 10


def read_line_tables(path: Path, most_lines: int, buffer_bytes: int = BUFFER_BYTES) -> Iterator[pa.Table]:
    """Tables line(line_no INTEGER from 1, line VARCHAR) in order; at least one, perhaps an empty one.

    A table is good until the next is asked for. Lines keep their line end, which is white space to JSON;
    landing has proven that they are UTF-8. Raises BadDataError for a line that is longer than the buffer, or
    has no end.
    """
    buffer = bytearray(buffer_bytes)
    first, filled, is_done = 1, 0, False
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        while not is_done:
            filled, is_done = _fill(stream, buffer, filled)
            ends = _find_ends(buffer, filled)
            if filled and not len(ends):
                raise BadDataError("A landed line has no end, or is too long.", where=path.parent.name)
            for start in range(0, max(len(ends), 1 if first == 1 else 0), most_lines):
                begin = int(ends[start - 1]) if start else 0
                chosen = ends[start : start + most_lines]
                yield _as_table(buffer, begin, chosen, first)
                first += len(chosen)
            used = int(ends[-1]) if len(ends) else 0
            buffer[: filled - used] = buffer[used:filled]
            filled -= used
    if filled:
        raise BadDataError("A landed line has no end.", where=path.parent.name)


def _fill(stream: zstandard.ZstdDecompressionReader, buffer: bytearray, filled: int) -> tuple[int, bool]:
    """Unpack behind what is there; returns how much of the buffer is full and whether the file has ended."""
    with memoryview(buffer) as view:
        while filled < len(buffer):
            count = stream.readinto(view[filled:])
            if not count:
                return filled, True
            filled += count
    return filled, False


def _find_ends(buffer: bytearray, filled: int) -> npt.NDArray[np.int64]:
    """Where the next line starts, after each line that is whole."""
    found = []
    for start in range(0, filled, SCAN_BYTES):
        part = np.frombuffer(buffer, np.uint8, min(SCAN_BYTES, filled - start), start)
        found.append(np.flatnonzero(part == LINE_END) + (start + 1))
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _as_table(buffer: bytearray, begin: int, ends: npt.NDArray[np.int64], first: int) -> pa.Table:
    """Built from buffers: `pa.array` copies, and imports pandas at its first call, which takes a second."""
    offsets = np.empty(len(ends) + 1, np.int32)
    offsets[0], offsets[1:] = begin, ends
    numbers = np.arange(first, first + len(ends), dtype=np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(buffer))
    line_nos = pa.Int32Array.from_buffers(pa.int32(), len(ends), [None, pa.py_buffer(numbers)])
    return pa.Table.from_arrays([line_nos, lines], names=["line_no", "line"])
