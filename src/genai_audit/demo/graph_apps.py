"""Pretend interfaces of Microsoft about AI applications: sign-ins, consents, cloud discovery, hunting.

    apps = PretendApps(make_app_data(university))
    PretendTenant(store, interfaces=[apps], roles=(*GRAPH_ROLES, *ROLES))

$filter, $select, $top and pages are honoured as far as the sources use them, and so are the time span, hosts
and actions of a hunting query. What it answers is what facts/m365.md §5 says; it proves nothing about the
service.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genai_audit.demo._answers import answer_json
from genai_audit.demo._audit_log import RefusedError
from genai_audit.demo._sign_in import HOST

if TYPE_CHECKING:
    from genai_audit.demo.tenant import PretendTenant

Row = dict[str, Any]
ROLES = (
    "AuditLog.Read.All", "Directory.Read.All", "CloudApp-Discovery.Read.All", "ThreatHunting.Read.All",
)  # fmt: skip
DISCOVERY = "/{version}/security/dataDiscovery/cloudAppDiscovery/uploadedStreams"
NEW_CATEGORIES = ("aiModelProvider", "mcpServer", "clientAiApp")
_COMPARISON = re.compile(r"(\w+) (ge|lt|eq) (?:'([^']*)'|([\w:.-]+))")
_SPAN = re.compile(r"Timestamp >= datetime\(([^)]+)\) and Timestamp < datetime\(([^)]+)\)")


@dataclass
class AppData:
    """What the tenant holds, in the shapes of Microsoft. `network` and `cloud_app`: rows of hunting tables;
    `discovered`: entries by stream."""

    sign_ins: list[Row] = field(default_factory=list)
    principals: list[Row] = field(default_factory=list)
    grants: list[Row] = field(default_factory=list)
    audits: list[Row] = field(default_factory=list)
    discovered: dict[str, list[Row]] = field(default_factory=dict)
    network: list[Row] = field(default_factory=list)
    cloud_app: list[Row] = field(default_factory=list)


class PretendApps:
    """Interfaces of a PretendTenant. `page_size`: entries a page at most; `row_cap`: rows of a hunting
    answer at most. `next_link`: `loop` or `foreign` makes every nextLink bad. `ignores_select`: entries come
    whole."""

    def __init__(
        self,
        data: AppData,
        *,
        page_size: int = 500,
        row_cap: int = 100_000,
        next_link: Literal["good", "loop", "foreign"] = "good",
        ignores_select: bool = False,
    ) -> None:
        self.data = data
        self.hunts: list[str] = []  # texts of the queries that came
        self._page_size, self._row_cap = page_size, row_cap
        self._next_link, self._ignores_select = next_link, ignores_select

    def __call__(self, tenant: PretendTenant) -> list[Route]:
        data, route = self.data, tenant.graph_route
        audit, directory, discovery, hunting = ROLES

        def serve(path: str, kind: str, rows: Sequence[Row], permission: str) -> Route:
            async def answer(request: Request, number: int) -> Response:
                return self._page(request, tenant.url, rows)

            return route(path, kind, answer, permission)

        async def discover(request: Request, number: int) -> Response:
            return self._page(request, tenant.url, self._list_discovered(request))

        async def hunt(request: Request, number: int) -> Response:
            return self._hunt((await request.json())["Query"])

        streams = [{"id": one, "displayName": f"Stream {one}"} for one in data.discovered]
        return [
            serve("/{version}/auditLogs/signIns", "signins", data.sign_ins, audit),
            serve("/{version}/auditLogs/directoryAudits", "audits", data.audits, audit),
            serve("/{version}/servicePrincipals", "principals", data.principals, directory),
            serve("/{version}/oauth2PermissionGrants", "grants", data.grants, directory),
            serve(DISCOVERY, "streams", streams, discovery),
            route(DISCOVERY + "/{stream}/{call}", "discovered", discover, discovery),
            route("/{version}/security/runHuntingQuery", "hunt", hunt, hunting, ("POST",)),
        ]

    def _list_discovered(self, request: Request) -> list[Row]:
        """Only the beta has it, and without the header the newer categories have no name."""
        stream, call = request.path_params["stream"], request.path_params["call"]
        is_known = re.fullmatch(r"aggregatedAppsDetails\(period=duration'P(7|30|90)D'\)", call)
        if request.path_params["version"] != "beta" or not is_known or stream not in self.data.discovered:
            raise RefusedError(404, "ResourceNotFound", "Resource not found.")
        rows = self.data.discovered[stream]
        if "include-unknown-enum-members" in request.headers.get("prefer", ""):
            return rows
        unknown = {"category": "unknownFutureValue"}
        return [row | unknown if row["category"] in NEW_CATEGORIES else row for row in rows]

    def _page(self, request: Request, url: str, rows: Sequence[Row]) -> Response:
        asked = request.query_params
        rows = [row for row in rows if _fits(row, asked.get("$filter", ""))]
        first = int(asked.get("$skiptoken", 0))
        last = first + min(int(asked.get("$top", self._page_size)), self._page_size)
        shown = rows[first:last]
        names = asked.get("$select", "").split(",")
        if names != [""] and not self._ignores_select:
            shown = [{name: row[name] for name in names if name in row} for row in shown]
        answer: Row = {"value": shown}
        if last < len(rows):
            place = first if self._next_link == "loop" else last
            query = urlencode({**asked, "$skiptoken": place}, safe="$")
            host = url.replace(HOST, "localhost") if self._next_link == "foreign" else url
            answer["@odata.nextLink"] = f"{host}{request.url.path}?{query}"
        return answer_json(json.dumps(answer).encode())

    def _hunt(self, query: str) -> Response:
        self.hunts.append(query)
        span = _SPAN.search(query)
        table = query.partition("\n")[0]
        if not span or table not in ("DeviceNetworkEvents", "CloudAppEvents"):
            raise RefusedError(400, "BadRequest", "The query can't be read.")
        start, end = (text[:19] for text in span.groups())
        hosts = _read_words(query, "has_any")
        find = _network_row if table == "DeviceNetworkEvents" else _cloud_app_row
        actions = _read_words(query, "ActionType in")
        held = self.data.network if table == "DeviceNetworkEvents" else self.data.cloud_app
        results = []
        for row in held:
            if start <= row["Timestamp"][:19] < end and (not actions or row["ActionType"] in actions):
                found = find(row)
                if any(host in found["Host"] for host in hosts):
                    results.append(row | found if self._ignores_select else found)
        schema = [{"name": name, "type": "String"} for name in (results[0] if results else ())]
        return answer_json(json.dumps({"schema": schema, "results": results[: self._row_cap]}).encode())


def _network_row(row: Row) -> Row:
    identity = f"{row['DeviceId']}|{row['ReportId']}|{row['Timestamp']}"
    return _project(
        row,
        RecordId=hashlib.sha256(identity.encode()).hexdigest(),
        AccountObjectId=row["InitiatingProcessAccountObjectId"],
        Host=_read_host(row["RemoteUrl"]),
    )


def _cloud_app_row(row: Row) -> Row:
    target = row["RawEventData"].get("TargetDomain") or row["RawEventData"].get("TargetUrl") or ""
    return _project(
        row, RecordId=row["ReportId"], AccountObjectId=row["AccountObjectId"], Host=_read_host(target)
    )


def _project(row: Row, **computed: str) -> Row:
    return {"Timestamp": row["Timestamp"], "ActionType": row["ActionType"], **computed}


def _read_host(address: str) -> str:
    return re.sub(r"^[a-z]+://", "", address.lower()).split("/")[0].split(":")[0].split("?")[0]


def _read_words(query: str, before: str) -> list[str]:
    found = re.search(re.escape(before) + r" \(([^)]*)\)", query)
    return re.findall(r'"([^"]*)"', found[1]) if found else []


def _fits(row: Row, filter_text: str) -> bool:
    """All bounds hold, and of the values that a field may equal one does."""
    equal: dict[str, list[str]] = {}
    for name, operator, quoted, plain in _COMPARISON.findall(filter_text):
        if operator == "eq":
            equal.setdefault(name, []).append(quoted or plain)
        elif (row[name] >= plain) is not (operator == "ge"):
            return False
    return all(row.get(name) in values for name, values in equal.items())
