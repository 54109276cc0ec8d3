"""A pretend Office 365 Management Activity API in the pretend tenant: the same records, another door.

Mounted with `PretendTenant(store, interfaces=[feed.routes])`. What it answers is what the documentation
says (facts/m365.md §6): content lists with a NextPageUri header, blobs of bare AuditData, duplicates by
design. The tenant's own faults (throttling, resets, cut-off JSON) work here too; the kinds of request are
`subscriptions`, `start`, `content` and `blob`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from genai_audit.demo._audit_log import RefusedError
from genai_audit.demo._record_store import Entry, RecordStore
from genai_audit.demo._sign_in import HOST

if TYPE_CHECKING:
    from genai_audit.demo.tenant import PretendTenant

CONTENT_TYPES = (
    "Audit.General", "DLP.All", "Audit.SharePoint", "Audit.Exchange", "Audit.AzureActiveDirectory",
)  # fmt: skip
PERMISSION = "ActivityFeed.Read"
HOUR = timedelta(hours=1)
_DLP_TYPES = (11, 13, 33, 63, 107, 108, 263)
_ID_TIME = "%Y%m%d%H"


@dataclass
class FeedFaults:
    """All off by default."""

    expired_blobs: int = 0  # so many blobs, of the first that are asked for, are gone: 404
    looping_page: bool = False  # the first page of a list names itself as the next one
    foreign_page: bool = False  # … or the same port under another host name
    foreign_content: bool = False  # content lies on another host
    list_of_nothing: bool = False  # a list is a JSON object


class ActivityFeed:
    """Records of each hour become blobs `delay` after the hour's end, `blob_size` records in each.

    `repeat_every`: of so many blobs one begins with the last record of the blob before it. `page_size`: blobs
    on a page of a list. `enabled`: content types with a subscription (settable).
    """

    def __init__(
        self,
        store: RecordStore | Iterable[Entry],
        *,
        delay: timedelta = HOUR,
        blob_size: int = 100,
        page_size: int = 20,
        repeat_every: int = 5,
        enabled: Iterable[str] = ("Audit.General", "DLP.All"),
        faults: FeedFaults | None = None,
    ) -> None:
        self._store = store if isinstance(store, RecordStore) else RecordStore(store)
        self._delay, self._blob_size, self._page_size = delay, blob_size, page_size
        self._repeat_every = repeat_every
        self.enabled, self.faults = set(enabled), faults or FeedFaults()
        self._expired_left = self.faults.expired_blobs
        self._hours: dict[tuple[str, datetime], list[list[bytes]]] = {}

    def routes(self, tenant: PretendTenant) -> list[Route]:
        """What `PretendTenant(interfaces=…)` takes."""
        self._tenant = tenant
        root = "/api/v1.0/{tenant}/activity/feed"
        return [
            tenant.graph_route(f"{root}/subscriptions/list", "subscriptions", self._list, PERMISSION),
            tenant.graph_route(f"{root}/subscriptions/start", "start", self._start, PERMISSION, ("POST",)),
            tenant.graph_route(f"{root}/subscriptions/content", "content", self._announce, PERMISSION),
            tenant.graph_route(f"{root}/audit/{{content_id}}", "blob", self._give, PERMISSION),
        ]

    async def _list(self, request: Request, number: int) -> Response:
        self._check(request)
        return JSONResponse([self._describe(one) for one in sorted(self.enabled)])

    async def _start(self, request: Request, number: int) -> Response:
        self._check(request)
        self.enabled.add(self._content_type(request))
        return JSONResponse(self._describe(self._content_type(request)))

    async def _announce(self, request: Request, number: int) -> Response:
        self._check(request)
        content_type = self._content_type(request)
        if content_type not in self.enabled:
            raise RefusedError(400, "NoSubscription", "There is no subscription for this content type.")
        if self.faults.list_of_nothing:
            return JSONResponse({"value": []})
        start, end = self._read_window(request)
        listed = list(self._contents(content_type, start, end))
        first = int(request.query_params.get("nextPage", 0))
        response = JSONResponse(listed[first : first + self._page_size])
        following = self._next_page(request, first, len(listed))
        if following:
            response.headers["NextPageUri"] = following
        return response

    async def _give(self, request: Request, number: int) -> Response:
        self._check(request)
        if self._expired_left > 0:
            self._expired_left -= 1
            raise RefusedError(404, "Expired", "The content is no longer available.")
        try:
            content_type, hour, index = str(request.path_params["content_id"]).split("$")
            moment = datetime.strptime(hour, _ID_TIME).replace(tzinfo=UTC)
            blob = self._blobs(content_type, moment)[int(index)]
        except (ValueError, IndexError):
            raise RefusedError(404, "NotFound", "There is no such content.") from None
        return Response(b"[" + b",".join(blob) + b"]", media_type="application/json; charset=utf-8")

    def _check(self, request: Request) -> None:
        if request.path_params["tenant"] != self._tenant.tenant_id:
            raise RefusedError(401, "WrongTenant", "The token belongs to another tenant.")

    def _content_type(self, request: Request) -> str:
        content_type = request.query_params.get("contentType", "")
        if content_type not in CONTENT_TYPES:
            raise RefusedError(400, "InvalidContentType", "The content type is not valid.")
        return content_type

    def _read_window(self, request: Request) -> tuple[datetime, datetime]:
        """At most 24 hours; if the tenant has a clock, no more than seven days ago."""
        try:
            texts = (request.query_params["startTime"], request.query_params["endTime"])
            start, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts)
        except (KeyError, ValueError):
            raise RefusedError(400, "InvalidWindow", "Give startTime and endTime.") from None
        now = self._tenant.now
        is_too_old = now is not None and start < now - timedelta(days=7)
        if not start < end <= start + timedelta(hours=24) or is_too_old:
            raise RefusedError(400, "InvalidWindow", "At most 24 hours, at most seven days ago.")
        return start, min(end, now) if now else end

    def _contents(self, content_type: str, start: datetime, end: datetime) -> Iterator[dict[str, str]]:
        """An hour's blobs are made `delay` after its end."""
        hour = (start - self._delay - HOUR).replace(minute=0, second=0, microsecond=0)
        base = f"{self._tenant.url}/api/v1.0/{self._tenant.tenant_id}/activity/feed/audit/"
        base = base.replace(HOST, "localhost") if self.faults.foreign_content else base
        while (created := hour + HOUR + self._delay) < end:
            for index in range(len(self._blobs(content_type, hour)) if created >= start else 0):
                content_id = f"{content_type}${hour:{_ID_TIME}}${index}"
                yield {
                    "contentUri": base + content_id, "contentId": content_id, "contentType": content_type,
                    "contentCreated": f"{created:%Y-%m-%dT%H:%M:%S.000Z}",
                    "contentExpiration": f"{created + timedelta(days=7):%Y-%m-%dT%H:%M:%S.000Z}",
                }  # fmt: skip
            hour += HOUR

    def _blobs(self, content_type: str, hour: datetime) -> list[list[bytes]]:
        key = (content_type, hour)
        if key not in self._hours:
            records = [
                raw for kind, raw in map(_open, self._store.find(hour, hour + HOUR)) if kind == content_type
            ]
            size = self._blob_size
            blobs = [records[first : first + size] for first in range(0, len(records), size)]
            for number in range(self._repeat_every, len(blobs), self._repeat_every):
                blobs[number].insert(0, blobs[number - 1][-1])
            self._hours[key] = blobs
        return self._hours[key]

    def _next_page(self, request: Request, first: int, count: int) -> str:
        here = f"{self._tenant.url}{request.url.path}"
        after = urlencode(dict(request.query_params) | {"nextPage": first + self._page_size})
        if self.faults.looping_page:
            return f"{here}?{request.url.query}"
        if count <= first + self._page_size:
            return ""
        return f"{here.replace(HOST, 'localhost') if self.faults.foreign_page else here}?{after}"

    def _describe(self, content_type: str) -> dict[str, Any]:
        return {"contentType": content_type, "status": "enabled", "webhook": None}


def _open(raw: bytes) -> tuple[str, bytes]:
    """Content type and AuditData of a record of the store, whichever way Graph wraps it. What can't be read
    is given as it is."""
    try:
        value = json.loads(raw)
        body = value.get("auditData", value)
        body = json.loads(body) if isinstance(body, str) else body
        body = {key: one for key, one in body.get("dynamicProperties", body).items() if key != "@odata.type"}
        number = int(body.get("RecordType", 0))
    except (ValueError, TypeError, AttributeError):
        return "Audit.General", raw
    kind = "DLP.All" if number in _DLP_TYPES else "Audit.General"
    return kind, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
