"""What the pretend tenant can be told to do wrong: every fault is a count or a flag, so that a test is exact.

Which of these a real tenant shows: facts/m365.md §§1.3, 1.7, 2.4.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

REQUEST_KINDS = ("create", "list", "poll", "records")


@dataclass(frozen=True)
class Faults:
    """All off by default. Numbers are how often, unless the comment says otherwise.

    "In the first n reads of a query": a read begins each time page one of a query's records is asked for,
    so a client that starts over after refusing a bad page gets a good read the next time.
    """

    # Answers of single requests, given in this order until each count is used up.
    throttle_with_retry_after: tuple[int, float] = (0, 0.0)  # (how often, seconds): 429 with Retry-After
    retry_after_as_date: bool = False  # the Retry-After header is an HTTP date instead of seconds
    throttle_without_header: int = 0  # 429
    unavailable_burst: int = 0  # 503 without Retry-After
    server_error: int = 0  # 500, 502, 500, …: an HTML page instead of JSON
    reset_mid_body: int = 0  # half the body, then a TCP reset (never on create: that is lost_post)
    truncated_json: int = 0  # a complete HTTP answer whose JSON stops half-way
    where: tuple[str, ...] = REQUEST_KINDS  # the kinds of request that the six above may hit
    skip: int = 0  # the first so many of those requests are spared
    every: int = 1  # then only each so-many-th is hit

    # Queries.
    lost_post: int = 0  # the query is created, but the answer is a 503
    lost_post_reset: bool = False  # … or, instead of the 503, a TCP reset
    query_failed: int = 0  # so many queries, in order of creation, end as "failed"
    query_stuck: bool = False  # every query stays "running"
    unknown_status: int = 0  # so many polls, in all, answer `unknown_status_text`
    unknown_status_text: str = "queued"
    count_off_by: int = 0  # added to every approximateReturnedRecordCount

    # Pages.
    empty_page_with_next_link: int = 0  # this page (from 1) of every read is empty and has a nextLink
    looping_next_link: int = 0  # in the first n reads of a query: a page's nextLink is the page itself
    foreign_next_link: int = 0  # in the first n reads: nextLink names the same port under another host name
    page_without_value: int = 0  # in the first n reads: a page has no "value"
    fault_page: int = 1  # the page (from 1) of a read that the three above hit
    second_read_differs: int = 0  # the first n reads each leave out a different fifth of the rows
    crowded_minute: str = ""  # ISO instant: a query that covers it returns at most crowded_cap rows
    crowded_cap: int = 100
    stray_seconds: int = 0  # records up to so many seconds outside the window are returned too
    page_delay_seconds: float = 0.0  # every page takes so long; gives a test time to kill the client

    # The tenant as a whole.
    expire_token_after_pages: int = 0  # once, after so many pages, every token issued until then expires
    forbidden: bool = False  # 403 for every Graph request
    segment_missing: bool = False  # v1.0 doesn't know auditLog (400); beta does

    @property
    def stray_window(self) -> timedelta:
        return timedelta(seconds=self.stray_seconds)

    def cap_of(self, start: datetime, end: datetime, cap: int) -> int:
        """How many rows a query over this span may return."""
        crowded = datetime.fromisoformat(self.crowded_minute) if self.crowded_minute else None
        return min(cap, self.crowded_cap) if crowded and start <= crowded < end else cap

    @classmethod
    def from_json(cls, text: str) -> Faults:
        """Read a JSON object of field names; an unknown name is a TypeError."""
        values: dict[str, Any] = json.loads(text)
        for name, value in values.items():
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)


@dataclass(frozen=True)
class FaultHit:
    """One fault that was given to a client."""

    fault: str
    kind: str  # create | list | poll | records
    request_number: int  # position in `tenant.requests`, from 0


_SINGLE = (
    "throttle_with_retry_after", "throttle_without_header", "unavailable_burst", "server_error",
    "reset_mid_body", "truncated_json",
)  # fmt: skip
_COUNTED = (*_SINGLE, "lost_post", "query_failed", "unknown_status")
_NOT_ON_CREATE = ("reset_mid_body", "truncated_json")


class FaultCounter:
    """Counts faults down and keeps a log of those given."""

    def __init__(self, faults: Faults) -> None:
        self.log: list[FaultHit] = []
        self._faults = faults
        self._left = {name: getattr(faults, name) for name in _COUNTED}
        self._left["throttle_with_retry_after"] = faults.throttle_with_retry_after[0]
        self._matching = 0

    def draw(self, kind: str, request_number: int) -> str | None:
        """The name of the fault that this request gets, or None."""
        if kind not in self._faults.where:
            return None
        self._matching += 1
        beyond = self._matching - self._faults.skip - 1
        if beyond < 0 or beyond % self._faults.every:
            return None
        for name in _SINGLE:
            if self._left[name] > 0 and not (kind == "create" and name in _NOT_ON_CREATE):
                self._left[name] -= 1
                self.hit(name, kind, request_number)
                return name
        return None

    def take(self, name: str, kind: str, request_number: int) -> bool:
        """Use one of a counted fault up; False when none is left."""
        if self._left[name] <= 0:
            return False
        self._left[name] -= 1
        self.hit(name, kind, request_number)
        return True

    def hit(self, name: str, kind: str, request_number: int) -> None:
        self.log.append(FaultHit(name, kind, request_number))

    def given(self, name: str) -> int:
        """How often a fault has been given so far."""
        return sum(hit.fault == name for hit in self.log)
