"""A pretend Blackboard Learn on the loopback interface: token, paging, rate limits, five lists.

Written from facts/vle.md §1.5; where the facts are silent it does what is hardest for a client. It proves
nothing about the live service.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from genai_audit.demo._server import LoopbackServer
from genai_audit.demo._sign_in import HOST, make_certificates, write_private

API = "/learn/api/public"
KEY = "7e57ab1e-pretend-key"
Entry = dict[str, Any]


@dataclass
class BlackboardData:
    """Whole entries, as Learn holds them: more fields than anybody should ask for."""

    terms: list[Entry] = field(default_factory=list)
    nodes: list[Entry] = field(default_factory=list)
    courses: list[Entry] = field(default_factory=list)
    node_courses: dict[str, list[Entry]] = field(default_factory=dict)  # by node
    memberships: dict[str, list[Entry]] = field(default_factory=dict)  # by course


@dataclass
class BlackboardFaults:
    """All off by default. Numbers are how many answers are hit, from the first that isn't about tokens."""

    skip: int = 0  # answers that are spared first
    throttled: int = 0  # 429
    pause: str = "Retry-After"  # which header the 429 has: Retry-After, X-Rate-Limit-Reset, or "" for none
    pause_seconds: int = 1
    unavailable: int = 0  # 503
    cut_json: int = 0  # a whole answer whose JSON stops half-way
    no_results: int = 0  # an answer without "results"
    expire_token_after: int = 0  # once, after so many answers
    forbidden: tuple[str, ...] = ()  # kinds of list that answer 403
    gone: tuple[str, ...] = ()  # courses that answer 404
    next_page: str = ""  # of every page but the last: "loop", "foreign", "other list", "forgets fields"


class PretendBlackboard:
    """Context manager. `routes` can be mounted elsewhere instead. `limit`: calls a day; `limit_shown`: what
    the X-Rate-Limit-Limit header says; `calls`: paths with query that were asked for, tokens left out."""

    def __init__(
        self,
        data: BlackboardData,
        workdir: Path,
        *,
        faults: BlackboardFaults | None = None,
        limit: int = 10_000,
        page_size: int = 100,
        used_by_others: int = 0,
    ) -> None:
        self.data, self.faults, self.limit = data, faults or BlackboardFaults(), limit
        self._page_size, self._used_by_others = page_size, used_by_others
        self.calls: list[str] = []
        self.token_count = 0
        self._secret, self._token = secrets.token_urlsafe(24), ""
        self._struck: dict[str, int] = {}
        workdir.mkdir(parents=True, exist_ok=True)
        self.secret_path = write_private(workdir / "blackboard.secret", self._secret.encode())
        authority, server, _ = make_certificates()
        self.ca_path = workdir / "blackboard-ca.pem"
        self.ca_path.write_bytes(authority)
        self.routes = self._make_routes()
        self._server = LoopbackServer(
            Starlette(routes=self.routes), write_private(workdir / "blackboard-server.pem", server)
        )
        self.url = f"https://{HOST}:{self._server.port}"

    def __enter__(self) -> PretendBlackboard:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def as_toml(self) -> str:
        """The [blackboard_rest] section that points here."""
        values = {"url": self.url, "application_key": KEY, "secret_path": str(self.secret_path.resolve()),
                  "ca_bundle": str(self.ca_path.resolve())}  # fmt: skip
        return "[blackboard_rest]\n" + "".join(
            f"{key} = {json.dumps(value)}\n" for key, value in values.items()
        )

    def calls_of(self, kind: str) -> list[str]:
        """The calls of one list: terms, nodes, node_courses, courses, memberships."""
        return [call for call in self.calls if _kind_of(call) == kind]

    def _make_routes(self) -> list[Route]:
        data = self.data
        return [
            Route(f"{API}/v1/oauth2/token", self._issue, methods=["POST"]),
            Route(
                f"{API}/v1/system/version", self._checked(lambda r: {"learn": {"major": 4000, "minor": 1}})
            ),
            self._list("/v1/terms", lambda request: data.terms),
            self._list("/v1/institutionalHierarchy/nodes", self._find_nodes),
            self._list(
                "/v1/institutionalHierarchy/nodes/{of}/courses", lambda r: self._of(data.node_courses, r)
            ),
            self._list("/v3/courses", lambda request: data.courses),
            self._list("/v1/courses/{of}/users", lambda r: self._of(data.memberships, r)),
        ]

    def _find_nodes(self, request: Request) -> list[Entry]:
        """The top level, unless all levels are asked for."""
        is_whole = request.query_params.get("recursive") == "true"
        return [node for node in self.data.nodes if is_whole or "parentId" not in node]

    @staticmethod
    def _of(entries: dict[str, list[Entry]], request: Request) -> list[Entry]:
        return entries.get(request.path_params["of"], [])

    def _list(self, path: str, find: Callable[[Request], list[Entry]]) -> Route:
        return Route(API + path, self._checked(lambda request: self._page(request, find(request))))

    async def _issue(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        form = dict(parse_qsl((await request.body()).decode()))
        expected = "Basic " + base64.b64encode(f"{KEY}:{self._secret}".encode()).decode()
        if not secrets.compare_digest(given, expected) or form.get("grant_type") != "client_credentials":
            return _refuse(401, "The application is not known.")
        self.token_count += 1
        self._token = self._token or secrets.token_urlsafe(16)  # asking again returns the same one
        return JSONResponse({"access_token": self._token, "token_type": "bearer", "expires_in": 3599})

    def _checked(self, answer: Callable[[Request], Entry]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self.calls.append(f"{request.url.path}?{request.url.query}")
            response = self._answer(request, answer)
            response.headers["X-Rate-Limit-Limit"] = str(self.limit)
            response.headers["X-Rate-Limit-Remaining"] = str(max(0, self._left))
            return response

        return endpoint

    @property
    def _left(self) -> int:
        return self.limit - self._used_by_others - len(self.calls)

    def _answer(self, request: Request, answer: Callable[[Request], Entry]) -> Response:
        faults = self.faults
        if faults.expire_token_after and len(self.calls) == faults.expire_token_after + 1:
            self._token = ""
        if not self._token or request.headers.get("authorization") != f"Bearer {self._token}":
            return _refuse(401, "Bearer token is invalid.")
        if self._left < 0:
            return self._throttle(24 * 3600)
        if self._strikes("throttled"):
            return self._throttle(faults.pause_seconds)
        if self._strikes("unavailable"):
            return _refuse(503, "Try again later.")
        if _kind_of(request.url.path) in faults.forbidden:
            return _refuse(403, "An entitlement is missing.")
        if request.path_params.get("of") in faults.gone:
            return _refuse(404, "There is no such course.")
        body = {} if self._strikes("no_results") else answer(request)
        whole = JSONResponse(body)
        return Response(whole.body[: len(whole.body) // 2]) if self._strikes("cut_json") else whole

    def _strikes(self, fault: str) -> bool:
        if len(self.calls) <= self.faults.skip or self._struck.get(fault, 0) >= getattr(self.faults, fault):
            return False
        self._struck[fault] = self._struck.get(fault, 0) + 1
        return True

    def _throttle(self, seconds: int) -> Response:
        response = _refuse(429, "The limit of calls is reached.")
        if self.faults.pause == "X-Rate-Limit-Reset":
            seconds += int(time.time())
        if self.faults.pause:
            response.headers[self.faults.pause] = str(seconds)
        return response

    def _page(self, request: Request, entries: list[Entry]) -> Entry:
        query = dict(request.query_params)
        size = min(int(query.get("limit", 100)), self._page_size)
        first = int(query.get("offset", 0))
        names = query["fields"].split(",") if query.get("fields") else []
        page = [_keep(entry, names) if names else entry for entry in entries[first : first + size]]
        if first + size >= len(entries):
            return {"results": page}
        return {"results": page, "paging": {"nextPage": self._next(request, query, first + size)}}

    def _next(self, request: Request, query: dict[str, str], offset: int) -> str:
        path, fault = request.url.path, self.faults.next_page
        if fault == "loop":
            offset = 0
        if fault == "forgets fields":
            query = {}
        if fault == "other list":
            path = f"{API}/v1/users"
        host = f"https://localhost:{self._server.port}" if fault == "foreign" else ""
        return f"{host}{path}?{urlencode(query | {'offset': str(offset)})}"


def _kind_of(path: str) -> str:
    parts = path.split("?")[0].removeprefix(f"{API}/").split("/")
    if parts[-1] == "users":
        return "memberships"
    return "node_courses" if "institutionalHierarchy" in parts and parts[-1] == "courses" else parts[-1]


def _keep(entry: Entry, names: list[str]) -> Entry:
    """The named fields of an entry, dotted names included."""
    firsts = dict.fromkeys(name.partition(".")[0] for name in names)
    kept: Entry = {}
    for first in firsts:
        rests = [rest for name in names for head, _, rest in [name.partition(".")] if head == first and rest]
        if first in entry:
            kept[first] = _keep(entry[first], rests) if rests else entry[first]
    return kept


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"status": status, "message": message}, status)
