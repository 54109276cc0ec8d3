"""A pull that reads several tables of one database, one after the other.

A table that this account can't see is a gap with a name, and the others are still read. A connection that
breaks ends the pull: what came before it stays, and the window is `partial`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai_audit.errors import GenaiAuditError, SourceUnavailableError
from genai_audit.registry import RawPage


class AbsentTableError(SourceUnavailableError):
    """There is no such table, or none that this account may read: databases don't tell the difference."""


@dataclass(frozen=True)
class Part:
    """One table: the name that people know it by, and its records in batches."""

    table: str
    read: Callable[[], Iterator[list[bytes]]]
    is_optional: bool = False  # a feature that many don't have: its absence is said, and is no gap


def stream_parts(
    parts: Sequence[Part], describe: Callable[[], Mapping[str, Any]], *, absent: str, empty: Callable[[], str]
) -> Iterator[RawPage]:
    """All batches of all parts, then one page with the facts: those of `describe`, absent_tables, outcome,
    reason. `absent`: what a missing table needs. `empty`: why no record at all proves nothing.

    Raises what the first part raises if no record came.
    """
    received, missing, gaps = 0, list[str](), 0
    failure: GenaiAuditError | None = None
    for part in parts:
        try:
            for records in part.read():
                received += len(records)
                yield RawPage(records)
        except AbsentTableError:
            missing.append(part.table)
            gaps += not part.is_optional
        except GenaiAuditError as error:
            if not received:
                raise
            failure = error
            break
    outcome = "partial" if failure or (gaps and received) else "complete" if received else "unproven"
    reasons = [
        *([f"broke off: {failure.what.rstrip('.')}"] if failure else []),
        *([f"no {', no '.join(missing)}: {absent}"] if missing else []),
        *([] if received else [empty()]),
    ]
    facts = {"absent_tables": missing, "outcome": outcome, "reason": "; ".join(reasons)}
    yield RawPage(facts={**describe(), **facts})
