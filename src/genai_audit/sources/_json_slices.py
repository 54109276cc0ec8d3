"""Cuts records out of a JSON document without rewriting them: what is landed is the text that was exported.

The document is read in blocks, so a dump of many gigabytes needs a few megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

BLOCK = 1 << 20
LONGEST_VALUE = 16_000_000
SPACE = re.compile(r"[ \t\r\n]*")

# Numbers stay text: nothing is computed here, and a number of 5,000 digits must not stop the reading.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_SCANNER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)


@dataclass(frozen=True)
class Member:
    """A value's exact text. `key` is its name in the outer object, or None for an element of a list."""

    key: str | None
    text: str


class NotJsonError(ValueError):
    """The document is cut off or isn't JSON, `at` characters from its start."""

    def __init__(self, at: int) -> None:
        super().__init__(f"not JSON at character {at}")
        self.at = at


def slice_document(file: TextIO, list_key: str | None) -> Iterator[Member]:
    """The elements of the list that the document is, or that its member `list_key` is, and its other members.

    `{"@odata.context": "…", "value": [{…}, {…}]}` gives the context (key `@odata.context`) and two elements
    (key None); `[{…}, {…}]` gives two elements. Without `list_key` every member comes whole.
    Raises NotJsonError.
    """
    reader = _Reader(file)
    if reader.take("["):
        yield from _elements(reader)
    else:
        reader.require("{")
        yield from _members(reader, list_key)
    if reader.peek():
        raise NotJsonError(reader.at)


def _members(reader: _Reader, list_key: str | None) -> Iterator[Member]:
    if reader.take("}"):
        return
    while True:
        key = json.loads(reader.value())
        reader.require(":")
        if list_key is not None and key == list_key and reader.take("["):
            yield from _elements(reader)
        else:
            yield Member(str(key), reader.value())
        if not reader.take(","):
            return reader.require("}")


def _elements(reader: _Reader) -> Iterator[Member]:
    if reader.take("]"):
        return
    while True:
        yield Member(None, reader.value())
        if not reader.take(","):
            return reader.require("]")


def _skip(text: str, position: int) -> int:
    found = SPACE.match(text, position)
    return found.end() if found else position


def _measure(text: str, start: int) -> int:
    """Where a value ends that is nested too deeply for the scanner, by its brackets; -1 when it goes on."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
        if depth == 0:
            return token.end()
    return -1


class _Reader:
    """A window on the text that slides along, one JSON value at a time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._position = 0
        self._dropped = 0

    @property
    def at(self) -> int:
        return self._dropped + self._position

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._position = _skip(self._text, self._position)
            if self._position < len(self._text) or not self._fill():
                return self._text[self._position : self._position + 1]

    def take(self, character: str) -> bool:
        is_there = self.peek() == character
        self._position += is_there
        return is_there

    def require(self, character: str) -> None:
        if not self.take(character):
            raise NotJsonError(self.at)

    def value(self) -> str:
        """The exact text of the next value. Read on when the window ends inside it."""
        self.peek()
        while True:
            try:
                end = _SCANNER.raw_decode(self._text, self._position)[1]
            except RecursionError:
                end = _measure(self._text, self._position)
            except ValueError:
                end = -1
            # A number that touches the end of the window may go on behind it.
            if end >= 0 and (end < len(self._text) or not self._fill()):
                found = self._text[self._position : end]
                self._position = end
                return found
            if end < 0 and (len(self._text) - self._position > LONGEST_VALUE or not self._fill()):
                raise NotJsonError(self.at)

    def _fill(self) -> bool:
        """Drop what was read and append a block; False at the end of the file."""
        block = self._file.read(BLOCK)
        self._dropped += self._position
        self._text = self._text[self._position :] + block
        self._position = 0
        return bool(block)
