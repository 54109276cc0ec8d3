"""A pretend Microsoft 365 tenant on the loopback interface: token endpoint and audit-log queries over HTTPS.

The real msgraph-sdk and azure-identity talk to it, so that the demo and the fault tests run the code that a
real tenant runs (facts/m365.md §§1–2). What it answers is what the documentation and reports say a tenant
answers; it proves nothing about the live service. `GET /_pretend/state` tells requests, queries and faults so
far; `PUT /_pretend/now` with an ISO time moves the tenant's clock. Other interfaces of a tenant are files of
their own that give routes made by `graph_route`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from genai_audit.demo._answers import answer_json, answer_refusal, answer_unavailable, replace_answer
from genai_audit.demo._audit_log import AuditLog, Query, RefusedError
from genai_audit.demo._faults import FaultCounter, FaultHit, Faults
from genai_audit.demo._pages import Addresses, build_page
from genai_audit.demo._record_store import Entry, RecordStore
from genai_audit.demo._server import LoopbackServer, ResetResponse
from genai_audit.demo._sign_in import (
    CLIENT_ID,
    GRAPH_ROLES,
    HOST,
    TENANT_ID,
    SignIn,
    make_certificates,
    write_private,
)

__all__ = ["Exchange", "FaultHit", "Faults", "PretendTenant", "RecordStore"]

_QUERIES_ON_A_PAGE = 50
Answer = Callable[[Request, int], Awaitable[Response]]


@dataclass
class Exchange:
    """One request that reached the tenant. `kind`: token, describe, create, list, poll, records or other."""

    kind: str
    method: str
    path: str
    query: str
    host: str  # the Host header without the port: "localhost" if a foreign nextLink was followed
    has_token: bool
    status: int = 0  # of the answer; 0 if the connection was reset instead


class PretendTenant:
    """Context manager. Inside it the tenant answers at `url` with the records of `store`.

    `page_size`: rows a page at most, whatever $top says. `cap`: rows a query at most. `polls_until_ready`:
    polls that say "running" before one says "succeeded". `now` (settable): records that arrive later are not
    returned; None shows all. Files in `workdir` that hold secrets have mode 0600.
    """

    def __init__(
        self,
        store: RecordStore | Iterable[Entry],
        *,
        faults: Faults | None = None,
        page_size: int = 1000,
        cap: int = 1_000_000,
        polls_until_ready: int = 1,
        workdir: Path,
        roles: tuple[str, ...] = GRAPH_ROLES,
        token_seconds: int = 3599,
        has_beta: bool = True,
        now: datetime | None = None,
        port: int = 0,
        tenant_id: str = TENANT_ID,
        interfaces: Iterable[Callable[[PretendTenant], list[Route]]] = (),
    ) -> None:
        self.faults = faults or Faults()
        self.tenant_id, self.client_id = tenant_id, CLIENT_ID
        self.requests: list[Exchange] = []
        self._counter = FaultCounter(self.faults)
        held = store if isinstance(store, RecordStore) else RecordStore(store)
        self._log = AuditLog(held, self.faults, self._counter, page_size, cap, polls_until_ready, now)
        self._versions = ("v1.0", "beta") if has_beta else ("v1.0",)
        self._pages_until_expiry = self.faults.expire_token_after_pages
        authority, server, client = make_certificates()
        self._sign_in = SignIn(secrets.token_urlsafe(24), client, roles, token_seconds, tenant_id)
        workdir.mkdir(parents=True, exist_ok=True)
        self.ca_path = workdir / "ca.pem"
        self.ca_path.write_bytes(authority)
        self.secret_path = write_private(workdir / "client_secret.txt", self._sign_in.secret.encode())
        self.certificate_path = write_private(workdir / "client.pem", client)
        server_path = write_private(workdir / "server.pem", server)
        routes = [*self._routes(), *(route for one in interfaces for route in one(self)), self._last_route()]
        self._server = LoopbackServer(Starlette(routes=routes), server_path, port)
        self.url = self._sign_in.url = f"https://{HOST}:{self._server.port}"

    def __enter__(self) -> PretendTenant:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def queries(self) -> list[Query]:
        """Queries in the order they were created."""
        return list(self._log.queries.values())

    @property
    def fault_log(self) -> list[FaultHit]:
        return self._counter.log

    @property
    def now(self) -> datetime | None:
        return self._log.now

    @now.setter
    def now(self, moment: datetime | None) -> None:
        self._log.now = moment

    def expire_tokens(self) -> None:
        """Make every token issued so far invalid."""
        self._sign_in.expire_all()

    def as_toml(self, credential: Literal["client_secret", "certificate"] = "client_secret") -> str:
        """The [tenant] section of a genai-audit.toml that points here."""
        path = self.secret_path if credential == "client_secret" else self.certificate_path
        values = {
            "tenant_id": self.tenant_id, "client_id": self.client_id, "credential": credential,
            f"{credential}_path": str(path.resolve()), "graph_url": self.url, "authority_url": self.url,
            "ca_bundle": str(self.ca_path.resolve()),
        }  # fmt: skip
        return "[tenant]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())

    # Routes

    def _routes(self) -> list[Route]:
        describe, queries = self._sign_in.describe, "/{version}/security/auditLog/queries"
        return [
            Route(
                "/{tenant}/oauth2/v2.0/token", self._logged("token", self._sign_in.issue), methods=["POST"]
            ),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._logged("describe", describe)),
            Route(queries, self._graph("create", self._create), methods=["POST"]),
            Route(queries, self._graph("list", self._list)),
            Route(queries + "/{query_id}", self._graph("poll", self._poll)),
            Route(queries + "/{query_id}/records", self._graph("records", self._records)),
            Route("/_pretend/state", self._state),
            Route("/_pretend/now", self._move_clock, methods=["PUT"]),
        ]

    def _last_route(self) -> Route:
        return Route("/{rest:path}", self._logged("other", self._unknown), methods=["GET", "POST", "DELETE"])

    def graph_route(
        self, path: str, kind: str, answer: Answer, permission: str, methods: tuple[str, ...] = ("GET",)
    ) -> Route:
        """A route that needs a token with this permission, and that the faults may strike like any other.

        `path` begins with `/{version}` for an interface of Graph. `kind`: its name in `requests` and faults.
        """
        return Route(path, self._graph(kind, answer, permission), methods=list(methods))

    def _logged(self, kind: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            number = len(self.requests)
            exchange = Exchange(
                kind, request.method, request.url.path, request.url.query, request.url.hostname or "",
                "authorization" in request.headers,
            )  # fmt: skip
            self.requests.append(exchange)
            try:
                response = await answer(request, number)
            except RefusedError as error:
                response = answer_refusal(error)
            exchange.status = 0 if isinstance(response, ResetResponse) else response.status_code
            return response

        return endpoint

    def _graph(
        self, kind: str, answer: Answer, permission: str = "AuditLogsQuery"
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request, number: int) -> Response:
            self._check_access(request, kind, number, permission)
            fault = self._counter.draw(kind, number)
            other = replace_answer(fault, self.faults, self._counter.given(fault)) if fault else None
            response = other or await answer(request, number)
            if fault == "reset_mid_body":
                return ResetResponse(response, len(response.body) // 2, self._server.transports)
            if fault == "truncated_json":
                return answer_json(bytes(response.body[: len(response.body) // 2]))
            return response

        return self._logged(kind, checked)

    def _check_access(self, request: Request, kind: str, number: int, permission: str) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError(401, "InvalidAuthenticationToken", "Access token is empty.")
        if not self._sign_in.is_valid(token):
            message = "Lifetime validation failed, the token is expired."
            raise RefusedError(401, "InvalidAuthenticationToken", message)
        if self.faults.forbidden:
            self._counter.hit("forbidden", kind, number)
        if self.faults.forbidden or not any(r.startswith(permission) for r in self._sign_in.roles):
            raise RefusedError(403, "Forbidden", "The application lacks a permission that this call needs.")
        version = request.path_params.get("version", "v1.0")
        if version == "v1.0" and self.faults.segment_missing:
            self._counter.hit("segment_missing", kind, number)
        elif version in self._versions:
            return
        raise RefusedError(400, "BadRequest", "Resource not found for the segment 'auditLog'.")

    # Answers

    async def _unknown(self, request: Request, number: int) -> Response:
        raise RefusedError(404, "ResourceNotFound", "Resource not found.")

    async def _create(self, request: Request, number: int) -> Response:
        query = self._log.create(await request.body(), number)
        if not self._counter.take("lost_post", "create", number):
            return JSONResponse(self._context(request) | self._log.describe(query), status_code=201)
        answer = answer_unavailable()
        return ResetResponse(answer, 0, self._server.transports) if self.faults.lost_post_reset else answer

    async def _list(self, request: Request, number: int) -> Response:
        first = int(request.query_params.get("$skip", 0))
        newest_first = self.queries[::-1]
        body: dict[str, object] = {**self._context(request)}
        if len(newest_first) > first + _QUERIES_ON_A_PAGE:
            after = urlencode({"$skip": first + _QUERIES_ON_A_PAGE}, safe="$")
            body["@odata.nextLink"] = f"{self.url}{request.url.path}?{after}"
        shown = newest_first[first : first + _QUERIES_ON_A_PAGE]
        return JSONResponse(body | {"value": [self._log.describe(one) for one in shown]})

    async def _poll(self, request: Request, number: int) -> Response:
        query = self._log.find(request.path_params["query_id"])
        return JSONResponse(self._context(request) | self._log.poll(query, number))

    async def _records(self, request: Request, number: int) -> Response:
        await asyncio.sleep(self.faults.page_delay_seconds)
        query = self._log.find(request.path_params["query_id"])
        token = request.query_params.get("$skiptoken")
        top = min(int(request.query_params.get("$top", self._log.page_size)), self._log.page_size)
        here = f"{self.url}{request.url.path}"
        addresses = Addresses(self._context(request)["@odata.context"], here, here.replace(HOST, "localhost"))
        page = build_page(self._log, query, token, top, addresses, number)
        self._pages_until_expiry -= 1
        if self._pages_until_expiry == 0:
            self._counter.hit("expire_token_after_pages", "records", number)
            self.expire_tokens()
        return answer_json(page)

    def _context(self, request: Request) -> dict[str, str]:
        version, _, rest = request.url.path.lstrip("/").partition("/")
        return {"@odata.context": f"{self.url}/{version}/$metadata#{rest}"}

    # For a test that runs the tenant as another process

    async def _state(self, request: Request) -> Response:
        return JSONResponse({
            "requests": [asdict(one) for one in self.requests],
            "queries": [self._log.describe(one) for one in self.queries],
            "faults": [asdict(one) for one in self.fault_log],
        })  # fmt: skip

    async def _move_clock(self, request: Request) -> Response:
        self.now = datetime.fromisoformat((await request.body()).decode())
        return Response(status_code=204)
