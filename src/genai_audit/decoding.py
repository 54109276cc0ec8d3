"""One strict decoder for every record, on bytes: what differs between parsers is refused, not guessed.

Python's json, orjson, Polars and DuckDB disagree on duplicate keys, lone surrogates, NaN and huge numbers
(facts/trust.md §8.2). A record that any of them could read differently is quarantined with a reason.
Content-bearing keys (prompt and response text) are cut out here, before anything is landed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

MAX_DEPTH = 32
INT64 = 2**63
QUOTE = rb"""["']"""
# White space as such, outside ASCII, or escaped; the key may stand in a JSON string: escaped twice or more.
SPACE = rb"(?:[\s\x80-\xff]|\\+(?:[tnrfbv]|u[0-9a-f]{4}))*"
IS_PROMPT = b'"isprompt"'
LETTER_IN_CODE = re.compile(rb"\\u00[4-7]")
ESCAPED_LETTER = re.compile(r"\\+u00([0-7][0-9a-fA-F])")


class Decoded(NamedTuple):
    """A record as it may be landed. `line` is one line of JSON; `cut` counts content keys removed."""

    line: bytes
    value: dict[str, Any]
    cut: int = 0


class RejectedRecordError(ValueError):
    """Why a record is quarantined: `reason` is a short code, without a word of the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Decoder:
    """Decodes records; made once a package with the limits and content keys of the settings."""

    def __init__(self, content_keys: Iterable[str], record_bytes: int = 1_000_000) -> None:
        names = sorted({name.casefold() for name in content_keys}, key=len, reverse=True)
        self._content = frozenset(names)
        self._hints = [one.encode() for one in names if not any(o in one for o in names if o != one)]
        any_name = b"(?:" + (b"|".join(re.escape(name.encode()) for name in names) or b"(?!)") + b")"
        # All three are asked of lower-case text.
        self._mention = re.compile(QUOTE + SPACE + any_name + SPACE + rb"\\*" + QUOTE + SPACE + b":")
        self._bare_name = re.compile(rb"(?:(?<![a-z])|(?<=\\[tnrfbv]))" + any_name)
        self._record_bytes = record_bytes
        # Every Copilot record says isPrompt, which is no content key.
        before = {hint: "(?:[^s]|[^i]s)" if hint in IS_PROMPT else "" for hint in self._hints}
        quick = [before[hint] + re.escape(hint.decode()) for hint in self._hints]
        self._quick = "|".join([*quick, r"\\u00[4-7]"]) if quick else None

    def find_suspects(self, records: Sequence[bytes]) -> list[bool]:
        """For each record: does anything in it look like a content key, so that `decode` must look closely?
        One search of RE2 over all of them takes a third of the time of Python's own searches."""
        if self._quick is None or not records:
            return [False] * len(records)
        import pyarrow as pa  # slow to load, and only a page of records needs it
        import pyarrow.compute as pc

        found = pc.match_substring_regex(pa.array(records, pa.binary()), self._quick, ignore_case=True)
        flags: list[bool] = found.to_pylist()
        return flags

    def decode(self, raw: bytes, exact: Any = None, *, is_suspect: bool = True) -> Decoded:
        """Return the record, or raise RejectedRecordError with one of: oversized, not_utf8, not_json,
        not_an_object, duplicate_key, too_deep, not_a_number, number_out_of_range, lone_surrogate.

        `exact`: what orjson read from `raw`, if it would write the same bytes again; None: not known.
        `is_suspect`: what `find_suspects` said of it.
        """
        if len(raw) > self._record_bytes:
            raise RejectedRecordError("oversized")
        line, value = (raw, exact) if exact is not None else _read(raw)
        if not isinstance(value, dict):
            raise RejectedRecordError("not_an_object")
        if exact is not None and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            _check(value)
        if not (is_suspect and self.mentions_content(raw)):
            return Decoded(line, value)
        kept, cut = self._without_content(value)
        return Decoded(orjson.dumps(kept) if cut else line, kept, cut)

    def mentions_content(self, raw: bytes) -> bool:
        """Could this good record hold a content key? With escaped quotes its bare name counts, and an escaped
        letter is a yes."""
        lowered = raw.lower()
        has_escapes = b"\\u00" in lowered
        if has_escapes and LETTER_IN_CODE.search(lowered):
            return True
        # Plain searches first: they are ten times faster. Every Copilot record says isPrompt, which is none.
        for hint in self._hints:
            if hint in lowered and (hint not in IS_PROMPT or lowered.count(hint) > lowered.count(IS_PROMPT)):
                return has_escapes or bool(self._mention.search(lowered))
        return False

    def may_hold_content(self, raw: bytes) -> bool:
        """The same of bytes that are no good record: there the bare name of a content key is enough."""
        lowered = raw.replace(b"\0", b"").lower()  # UTF-16 has a zero beside each letter
        return b"\\u00" in lowered or bool(self._bare_name.search(lowered))

    def _without_content(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, dict):
            kept, cut = {}, 0
            for key, inner in value.items():
                if key.strip().casefold() in self._content:
                    cut += 1
                    continue
                kept[key], more = self._without_content(inner)
                cut += more
            return kept, cut
        if isinstance(value, list):
            pairs = [self._without_content(inner) for inner in value]
            return [inner for inner, _ in pairs], sum(cut for _, cut in pairs)
        if isinstance(value, str) and ('"' in value or "'" in value or "\\" in value):
            return self._without_content_in_text(value)
        return value, 0

    def _without_content_in_text(self, text: str) -> tuple[str, int]:
        """A string may be JSON itself. One that can't be opened and mentions a content key is blanked."""
        if text.lstrip()[:1] in ("{", "[", '"'):
            try:
                inner, cut = self._without_content(json.loads(text, object_pairs_hook=_pair_up))
            except (ValueError, RecursionError):
                pass
            else:
                return (json.dumps(inner, separators=(",", ":")) if cut else text), cut
        plain = ESCAPED_LETTER.sub(lambda found: chr(int(found[1], 16)), text)
        is_mention = self._mention.search(plain.encode("utf-8", "surrogatepass").lower())
        return ("", 1) if is_mention else (text, 0)


def _read(raw: bytes) -> tuple[bytes, Any]:
    """The record on one line, and its value."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise RejectedRecordError(_why_not(raw)) from None
    # Written back without a change means: no duplicate key, no odd number, no hidden escape, no white space.
    if orjson.dumps(value) != raw:
        return _one_line(raw), _read_strictly(raw)
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check(value)
    return raw, value


def _one_line(raw: bytes) -> bytes:
    """JSON strings can't hold a raw line end, so one outside a string is white space."""
    return raw.strip().replace(b"\n", b" ").replace(b"\r", b" ")


def _why_not(raw: bytes) -> str:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    try:
        _read_strictly(raw)
    except RejectedRecordError as rejected:
        return rejected.reason
    return "not_json"


def _pair_up(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RejectedRecordError("duplicate_key")
    return found


def _read_strictly(raw: bytes) -> dict[str, Any]:
    def not_a_number(_: str) -> Any:
        raise RejectedRecordError("not_a_number")

    try:
        value = json.loads(raw, object_pairs_hook=_pair_up, parse_constant=not_a_number)
    except RejectedRecordError:
        raise
    except RecursionError:
        raise RejectedRecordError("too_deep") from None
    except ValueError as error:
        raise RejectedRecordError("number_out_of_range" if "digits" in str(error) else "not_json") from None
    if not isinstance(value, dict):
        raise RejectedRecordError("not_an_object")
    _check(value)
    return value


def _check(value: Any, depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise RejectedRecordError("too_deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check(key, depth)
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise RejectedRecordError("lone_surrogate")
    elif isinstance(value, int):
        if not -INT64 <= value < INT64:
            raise RejectedRecordError("number_out_of_range")
    elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise RejectedRecordError("number_out_of_range")
