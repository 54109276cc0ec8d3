"""Cuts a page of Graph into its records without rewriting a byte: what is landed is what Microsoft sent.

A page is read by orjson. A record whose bytes are what orjson would write is cut out at that length; any
other is measured by its brackets, so a record that no parser takes (bad UTF-8, a lone surrogate, too deep)
doesn't take its page with it: it is cut out all the same, and quarantined where packages are landed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

# Up to and including the next string or bracket. Matched step by step, never searched for: on a body that was
# cut off inside a string a search would begin anew at every quotation mark.
_TOKEN = re.compile(rb'[^"{}\[\]]*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]])', re.DOTALL)
# Up to the next bracket that is not inside a string, without ever going back.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([{}\[\]])', re.DOTALL)
_LIST = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*\[")
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^",\]}\s]+', re.DOTALL)


class NotAPageError(ValueError):
    """The body is not one whole JSON object: it was probably cut off on its way."""


class NoRecordsError(ValueError):
    """The body is a JSON object, but it has no list of records in `value`."""


@dataclass(frozen=True)
class ServicePage:
    """`records`: the very bytes; `values`: decoded, None where orjson refuses; `exact`: the same where orjson
    would write these bytes, else None; `next_link`: as it came."""

    records: list[bytes]
    values: list[Any]
    exact: list[Any]
    next_link: Any = None


def read_page(body: bytes) -> ServicePage:
    """Raises NotAPageError or NoRecordsError."""
    page = _load(body)
    start = _find_list(body)
    if start is None:
        raise NotAPageError if page is None else NoRecordsError
    expected = page.get("value") if isinstance(page, dict) else None
    records, values, exact, end = _cut(body, start, expected if isinstance(expected, list) else [])
    if page is None:
        page = _load(body[:start] + body[end:])
    if not isinstance(page, dict):
        raise NotAPageError
    return ServicePage(records, values, exact, page.get("@odata.nextLink"))


def read_array(body: bytes) -> ServicePage:
    """A body that is a JSON array of records and nothing else. Raises NotAPageError."""
    whole, start = _load(body), _skip(body, 0)
    if body[start : start + 1] != b"[":
        raise NotAPageError
    records, values, exact, end = _cut(body, start + 1, whole if isinstance(whole, list) else [])
    if _skip(body, end + 1) != len(body):
        raise NotAPageError
    return ServicePage(records, values, exact)


def read_object(body: bytes) -> dict[str, Any]:
    """A single JSON object, such as a query. Raises NotAPageError."""
    value = _load(body)
    if not isinstance(value, dict):
        raise NotAPageError
    return value


def _load(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested deeper than it writes, although it could read it
        return b""


def _find_list(body: bytes) -> int | None:
    """Where the elements of the outermost `value` begin: just behind its bracket."""
    depth = cursor = 0
    while token := _TOKEN.match(body, cursor):
        cursor, text = token.end(), token.group(1)
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and text == b'"value"' and (found := _LIST.match(body, cursor)):
            return found.end()
    return None


def _cut(body: bytes, cursor: int, expected: list[Any]) -> tuple[list[bytes], list[Any], list[Any], int]:
    """Bytes, values and exact values of all elements from `cursor` on, and where the list's end is."""
    records: list[bytes] = []
    values: list[Any] = []
    exact: list[Any] = []
    cursor = _skip(body, cursor)
    while body[cursor : cursor + 1] != b"]":
        value = expected[len(records)] if len(records) < len(expected) else None
        text = _dump(value) if value is not None else b""
        if text and body.startswith(text, cursor):
            end = cursor + len(text)
            exact.append(value)
        else:
            end = _end_of_value(body, cursor)
            text = body[cursor:end]
            value = _load(text)
            exact.append(None)
        records.append(text)
        values.append(value)
        cursor = _skip(body, end)
        if body[cursor : cursor + 1] == b",":
            cursor = _skip(body, cursor + 1)
        elif body[cursor : cursor + 1] != b"]":
            raise NotAPageError
    return records, values, exact, cursor


def _end_of_value(body: bytes, start: int) -> int:
    if body[start : start + 1] not in (b"{", b"["):
        return _match(_SCALAR, body, start).end()
    depth, cursor = 0, start
    while True:
        found = _match(_BRACKET, body, cursor)
        cursor = found.end()
        depth += 1 if found.group(1) in (b"{", b"[") else -1
        if depth == 0:
            return cursor


def _match(pattern: re.Pattern[bytes], body: bytes, cursor: int) -> re.Match[bytes]:
    found = pattern.match(body, cursor)
    if found is None:
        raise NotAPageError
    return found


def _skip(body: bytes, cursor: int) -> int:
    found = _SPACE.match(body, cursor)
    return found.end() if found else cursor
