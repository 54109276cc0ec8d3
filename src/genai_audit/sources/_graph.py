"""The only door to Microsoft Graph: which host we talk to, how long we try, what an error means.

The SDK's builders make the requests, its adapter sends them, and answers come back as bytes: its models would
rewrite the evidence (facts/m365.md §2.2). The SDK's own retry and redirects are switched off, because it
repeats a POST that may have succeeded and gives up where the service asks for three minutes or more
(facts/trust.md §10.3); its pager is not used, because it stops at an empty page. One Graph object serves one
pull, in one event loop. Who we are stands in `_graph_sign_in.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from functools import partial
from typing import Any, TypeVar

import httpx
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.middleware.options import RedirectHandlerOption, RetryHandlerOption
from kiota_http.observability_options import ObservabilityOptions
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.security.audit_log_query import AuditLogQuery
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_request_adapter import options as sdk_options
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from genai_audit.calendars import Window
from genai_audit.errors import PermissionMissingError, SourceUnavailableError
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._addresses import LOOPBACK
from genai_audit.sources._graph_sign_in import Tokens, check_address, scope_of, untrusted
from genai_audit.sources._patience import Patience, TransientError, read_retry_after
from genai_audit.sources._raw_pages import NoRecordsError, NotAPageError, ServicePage, read_page
from genai_audit.sources._trust import make_trust

T = TypeVar("T")
Build = Callable[[], RequestInformation]

VERSIONS = ("v1.0", "beta")

logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines hold URLs with skip tokens


class ProtocolError(SourceUnavailableError):
    """An answer that must not be followed or believed."""


class GraphRefusedError(SourceUnavailableError):
    """A 4xx that no repetition cures. `is_segment_missing`: this tenant wants the beta path."""

    def __init__(self, status: int, code: str, *, is_segment_missing: bool = False) -> None:
        super().__init__(
            f"Microsoft Graph refused a request: {status} {code}.".replace(" .", "."),
            where="Microsoft Graph",
            next_step="Run `genai-audit doctor`; if it finds nothing, report this error.",
        )
        self.status, self.is_segment_missing = status, is_segment_missing


# --- How we ask


class Graph:
    """Requests to one tenant, within the patience of one pull."""

    def __init__(
        self, adapter: GraphRequestAdapter, tokens: Tokens, url: str, permission: str, patience: Patience
    ) -> None:
        self._adapter, self._tokens, self._url, self._permission = adapter, tokens, httpx.URL(url), permission
        self._queries = GraphServiceClient(request_adapter=adapter).security.audit_log.queries
        self.patience = patience
        self.headers: Mapping[str, str] = {}  # sent with every request from now on, also for following pages
        self.page_count = 0
        self.use_version(VERSIONS[0])

    def use_version(self, version: str) -> None:
        """`v1.0`, or `beta` for tenants whose v1.0 doesn't know the audit log (facts/m365.md §1.7)."""
        self.api_version = version
        self._adapter.base_url = f"{str(self._url).rstrip('/')}/{version}"

    def build_creation(self, name: str, window: Window, operations: tuple[str, ...]) -> RequestInformation:
        """POST of a query. Operations only: other filters are doubtful (facts/m365.md §1.2)."""
        query = AuditLogQuery(
            display_name=name,
            filter_start_date_time=window.start.astimezone(UTC),
            filter_end_date_time=window.end.astimezone(UTC),
            operation_filters=list(operations),
        )
        return self._queries.to_post_request_information(query)

    def build_get(self, path: str) -> RequestInformation:
        """GET of a path of this version, for what the SDK has no builder for (facts/m365.md §2.6)."""
        return _follow(f"{self._adapter.base_url}{path}")

    def build_listing(self) -> RequestInformation:
        return self._queries.to_get_request_information()

    def build_status(self, query_id: str) -> RequestInformation:
        return self._queries.by_audit_log_query_id(query_id).to_get_request_information()

    def build_records(self, query_id: str, top: int | None) -> RequestInformation:
        records = self._queries.by_audit_log_query_id(query_id).records
        wish = records.RecordsRequestBuilderGetQueryParameters(top=top)
        return records.to_get_request_information(RequestConfiguration(query_parameters=wish))

    async def send(self, build: Build) -> bytes:
        """One request, without repetition except for a fresh token after a 401.

        Raises TransientError, PermissionMissingError, GraphRefusedError, ConfigurationError, DeadlineError.
        """
        try:
            return await self._send_once(build())
        except GraphRefusedError as refused:
            if refused.status != 401:
                raise
            self._tokens.renew()
            self.patience.retry_count += 1
            return await self._send_once(build())

    async def _send_once(self, request: RequestInformation) -> bytes:
        for name, value in self.headers.items():
            request.headers.try_add(name, value)
        try:
            async with asyncio.timeout(self.patience.seconds_left):
                body = await self._adapter.send_primitive_async(request, "bytes", {"XXX": ODataError})
        except APIError as error:
            raise self._translate(error) from None
        except httpx.RequestError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise untrusted("Microsoft Graph") from None
            raise TransientError(f"the connection failed ({type(error).__name__})") from None
        except TimeoutError:
            raise self.patience.give_up("a request was still unanswered") from None
        if not isinstance(body, bytes):
            raise TransientError("an answer was empty")
        return body

    def _translate(self, error: APIError) -> Exception:
        status = int(error.response_status_code or 0)
        detail = error.error if isinstance(error, ODataError) else None
        code = re.sub(r"[^A-Za-z0-9_.-]", "", (detail and detail.code) or "")[:60]
        if status in (408, 425, 429) or status >= 500:
            headers = httpx.Headers(dict(error.response_headers or {}))
            return TransientError(f"the service answered {status}", status, read_retry_after(headers))
        if status == 403:
            return PermissionMissingError(
                f"Microsoft Graph refused: this application may not use {self._permission}.",
                where="Entra, API permissions",
                next_step=f"Grant the application permission {self._permission} and give admin consent.",
            )
        is_segment_missing = status == 400 and "Resource not found for the segment" in (
            (detail and detail.message) or ""
        )
        return GraphRefusedError(status, code, is_segment_missing=is_segment_missing)

    async def fetch(self, build: Build, read: Callable[[bytes], T]) -> T:
        """`send` and `read` with repetition: a body that is cut off is asked for again."""

        async def attempt() -> T:
            try:
                return read(await self.send(build))
            except NotAPageError:
                raise TransientError("an answer was not whole JSON") from None

        return await self.patience.persist(attempt)

    async def adapt(self, call: Callable[[], Awaitable[T]]) -> T:
        """`call`, and once more on the beta path if v1.0 doesn't know the audit log."""
        try:
            return await call()
        except GraphRefusedError as refused:
            if not refused.is_segment_missing or self.api_version == VERSIONS[1]:
                raise
            self.use_version(VERSIONS[1])
            return await call()

    async def pages(self, build: Build) -> AsyncIterator[ServicePage]:
        """All pages, empty ones included. Raises ProtocolError for a nextLink that must not be followed."""
        followed: set[str] = set()
        while True:
            try:
                page = await self.fetch(build, read_page)
            except NoRecordsError:
                raise _distrust("a page has no list of records") from None
            self.page_count += 1
            yield page
            if not page.next_link:
                return
            link = self._check_link(page.next_link, followed)
            followed.add(link)
            build = partial(_follow, link)

    def _check_link(self, link: Any, followed: set[str]) -> str:
        """The same parser that sends the request says where it would go."""
        try:
            target = httpx.URL(link)
        except (TypeError, httpx.InvalidURL):
            raise _distrust("a nextLink is not an address") from None
        if (target.scheme, target.host, target.port) != ("https", self._url.host, self._url.port):
            raise _distrust("a nextLink leads to another host")
        if target.userinfo:
            raise _distrust("a nextLink holds credentials")
        if link in followed:
            raise _distrust("a nextLink leads back to a page that was read already")
        return str(link)


def _follow(link: str) -> RequestInformation:
    request = RequestInformation()
    request.http_method, request.url = Method.GET, link
    request.headers.try_add("Accept", "application/json")
    return request


def _distrust(what: str) -> ProtocolError:
    return ProtocolError(
        f"Microsoft Graph's answer can't be trusted: {what}.",
        where="Microsoft Graph",
        next_step="Run again; if this repeats, something sits between this machine and Microsoft.",
    )


# --- Wiring


async def _refuse_redirect(response: httpx.Response) -> None:
    if response.is_redirect:
        raise _distrust("it sends us elsewhere")


@asynccontextmanager
async def connect(
    settings: Settings, permission: str, options: SourceOptions | None = None
) -> AsyncIterator[Graph]:
    """A Graph of its own: nothing in it is shared with another thread or event loop."""
    tenant, limits = settings.tenant, options or SourceOptions()
    host = check_address(tenant.graph_url)
    client = httpx.AsyncClient(
        verify=make_trust(tenant.ca_bundle),
        timeout=limits.request_timeout_seconds,
        trust_env=host not in LOOPBACK,
        event_hooks={"response": [_refuse_redirect]},
    )
    # The SDK wraps these in a transport of its own that doesn't pass a close on.
    sockets = [client._transport, *client._mounts.values()]
    own = {
        RetryHandlerOption.get_key(): RetryHandlerOption(should_retry=False, max_retries=0),
        RedirectHandlerOption.get_key(): RedirectHandlerOption(max_redirect=0, should_redirect=False),
    }
    GraphClientFactory.create_with_default_middleware(options={**sdk_options, **own}, client=client)
    tokens = Tokens(tenant, limits.request_timeout_seconds)
    # The adapter takes any object with an async get_token (facts/m365.md §2.5).
    provider = AzureIdentityAuthenticationProvider(
        tokens,
        scopes=[scope_of(tenant)],
        allowed_hosts=[host],
    )
    adapter = GraphRequestAdapter(provider, client=client)
    adapter.observability_options = ObservabilityOptions(include_euii_attributes=False)
    try:
        yield Graph(adapter, tokens, tenant.graph_url, permission, Patience(limits))
    finally:
        tokens.renew()
        for transport in filter(None, sockets):
            await transport.aclose()
