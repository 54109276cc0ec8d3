"""A pretend Learning Record Store: the statements resource as the xAPI standard says (facts/vle.md §2.3).

`since` and `until` mean the stored time, the newest statements come first, a page's `more` is an opaque
address on this host, voided statements are left out. `routes` can be served by any loopback server. What a
real product does otherwise is told by `LrsFaults`.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from genai_audit.calendars import format_instant
from genai_audit.sources._xapi_statements import VOIDED

PATH = "/xAPI/statements"
VERSION, CONSISTENT = "X-Experience-API-Version", "X-Experience-API-Consistent-Through"
KNOWN = {"since", "until", "limit", "ascending", "page"}


@dataclass
class LrsFaults:
    """All off by default; counts are used up. Set `*_page` to the page (from 1) that is hit."""

    throttle: tuple[int, float | None] = (0, None)  # (how often, seconds of Retry-After or no header): 429
    unavailable: int = 0  # 503
    truncated_json: int = 0  # a whole HTTP answer whose JSON stops half-way
    unauthorised: int = 0  # 401 in spite of the right password
    broken_from_page: int = 0  # from this page on every request is a 503
    looping_page: int = 0  # its `more` is its own address
    foreign_page: int = 0  # its `more` names another host
    expired_links: int = 0  # so many requests for a `more` link are answered 404
    empty_last_page: bool = False  # one more page, without statements, ends the list
    without_list: bool = False  # a JSON object that has no statements


class PretendLrs:
    """Holds statements with the instant at which each was stored; `routes` answers for them.

    `page_size`: the most statements a page has, whatever `limit` says. `consistent_through`: what the header
    says; None sends no header. `stored_in_statement`: write the stored time into what is given out.
    """

    def __init__(
        self,
        statements: Iterable[tuple[datetime, dict[str, Any]]],
        *,
        user: str = "audit",
        password: str = "secret",
        page_size: int = 100,
        consistent_through: Callable[[], datetime] | None = None,
        stored_in_statement: bool = True,
        faults: LrsFaults | None = None,
    ) -> None:
        held = sorted(statements, key=lambda one: one[0])
        voided = {
            one["object"]["id"]
            for _, one in held
            if one["verb"]["id"] == VOIDED and one["object"].get("objectType") == "StatementRef"
        }
        self._held = [(stored, one) for stored, one in held if one["id"] not in voided]
        self._stored = [stored for stored, _ in self._held]
        self._page_size, self._through = page_size, consistent_through
        self._writes_stored = stored_in_statement
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.faults = faults or LrsFaults()
        self.requests: list[dict[str, str]] = []  # the query of each, with its path
        self.routes = [Route(PATH, self.answer), Route("/xAPI/about", self.describe)]

    async def describe(self, request: Request) -> Response:
        return JSONResponse({"version": ["1.0.3"]})

    async def answer(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.requests.append(query)
        return self._refuse(request, query) or self._break(query) or self._give_page(query)

    def _refuse(self, request: Request, query: dict[str, str]) -> Response | None:
        if request.headers.get("Authorization") != self._authorization or self._use("unauthorised"):
            return Response(status_code=401)
        if VERSION not in request.headers:
            return Response("the version header is missing", 400)
        return Response("an unknown parameter", 400) if set(query) - KNOWN else None

    def _break(self, query: dict[str, str]) -> Response | None:
        times, seconds = self.faults.throttle
        if times:
            self.faults.throttle = (times - 1, seconds)
            return Response(
                status_code=429, headers={} if seconds is None else {"Retry-After": f"{seconds:g}"}
            )
        if self._use("unavailable"):
            return Response(status_code=503)
        if "page" in query and self._use("expired_links"):
            return Response(status_code=404)
        if self.faults.broken_from_page and int(query.get("page", 1)) >= self.faults.broken_from_page:
            return Response(status_code=503)
        return JSONResponse({"error": "no list"}) if self.faults.without_list else None

    def _give_page(self, query: dict[str, str]) -> Response:
        try:
            first, last = self._find(query)
        except ValueError:
            return Response("a time without a zone", 400)
        limit = min(int(query.get("limit", 0)) or self._page_size, self._page_size)
        page = int(query.get("page", 1))
        begin, end, count = (page - 1) * limit, page * limit, last - first
        is_ascending = query.get("ascending") == "true"
        places = range(first, last) if is_ascending else range(last - 1, first - 1, -1)
        body = {"statements": [self._write(place) for place in places[begin:end]], "more": ""}
        if end < count or (self.faults.empty_last_page and begin < count):
            body["more"] = self._link(query, page)
        headers = {VERSION: "1.0.3"}
        if self._through:
            headers[CONSISTENT] = format_instant(self._through())
        text = orjson.dumps(body)
        if self._use("truncated_json"):
            text = text[: len(text) // 2]
        return Response(text, headers=headers, media_type="application/json")

    def _find(self, query: dict[str, str]) -> tuple[int, int]:
        """First and last place of what was stored after `since` and until `until`."""
        since, until = (_read_time(query.get(name)) for name in ("since", "until"))
        first = bisect_right(self._stored, since) if since else 0
        return first, max(first, bisect_right(self._stored, until) if until else len(self._stored))

    def _write(self, place: int) -> dict[str, Any]:
        stored, statement = self._held[place]
        return statement | ({"stored": stored.isoformat()} if self._writes_stored else {})

    def _link(self, query: dict[str, str], page: int) -> str:
        host = "https://elsewhere.example" if page == self.faults.foreign_page else ""
        next_page = page if page == self.faults.looping_page else page + 1
        shown = "&".join(f"{name}={value}" for name, value in query.items() if name != "page")
        return f"{host}{PATH}?{shown}&page={next_page}".replace("+", "%2B")

    def _use(self, name: str) -> bool:
        """Use one of a counted fault up; False when none is left."""
        left = int(getattr(self.faults, name))
        setattr(self.faults, name, max(0, left - 1))
        return left > 0


def make_statement(number: int, moment: datetime, object_id: str, **changes: Any) -> dict[str, Any]:
    """A statement as a VLE would send it, with invented people; `changes` replace its parts."""
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "actor": {"objectType": "Agent", "name": f"Person {number % 7}",
                  "account": {"homePage": "https://vle.westbridge.example", "name": f"u{number % 7}"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/interacted", "display": {"en-GB": "interacted"}},
        "object": {"id": object_id, "objectType": "Activity"},
        "context": {"contextActivities": {"parent": [{
            "id": f"https://vle.westbridge.example/courses/{number % 3}",
            "definition": {"type": "http://adlnet.gov/expapi/activities/course"},
        }]}},
        "timestamp": (moment - timedelta(minutes=5)).isoformat(),
    } | changes  # fmt: skip


def _read_time(text: str | None) -> datetime | None:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    if moment and moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
