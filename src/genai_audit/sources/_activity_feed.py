"""The Office 365 Management Activity API: subscriptions, lists of content, and the content itself.

Facts/m365.md §6. Content is a blob of some hundred records; it is listed by when it was made, not by when its
records happened, for seven days and at most 24 hours at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from genai_audit.calendars import Window
from genai_audit.errors import PermissionMissingError
from genai_audit.registry import SourceContext
from genai_audit.sources._activity_options import M365ActivityApiOptions
from genai_audit.sources._addresses import check_https
from genai_audit.sources._graph_sign_in import ServiceTokens
from genai_audit.sources._patience import TransientError
from genai_audit.sources._raw_pages import NotAPageError, ServicePage, read_array
from genai_audit.sources._web import RefusedError, Web

NAME = "the Office 365 Management Activity API"
_NAME_FIRST = NAME[0].upper() + NAME[1:]
PERMISSION = "ActivityFeed.Read"
NEXT_PAGE = "NextPageUri"  # a header of the answer


class WindowRefusedError(RefusedError):
    """A list that the feed won't give."""

    def __init__(self) -> None:
        super().__init__(NAME, 400)
        self.what = f"{_NAME_FIRST} refused the window."
        self.next_step = "Ask for the last seven days only; the feed has nothing older."


@dataclass(frozen=True)
class Content:
    """One blob that the feed announces."""

    content_id: str
    link: str


@contextmanager
def open_feed(context: SourceContext) -> Iterator[Feed]:
    """The feed of the tenant, signed in when it is first asked."""
    options, tenant = context.options, context.settings.tenant
    assert isinstance(options, M365ActivityApiOptions)
    check_https(NAME, options.api_url)
    host = urlsplit(options.api_url).hostname
    tokens = ServiceTokens(context.settings, f"https://{host}/.default", options.request_timeout_seconds)
    root = f"{options.api_url.rstrip('/')}/api/v1.0/{tenant.tenant_id}/activity/feed/"
    web = Web(NAME, root, options, sign=tokens.sign, renew=tokens.renew, ca_bundle=tenant.ca_bundle)
    try:
        with web:
            yield Feed(web, tokens, options.publisher_id or tenant.tenant_id)
    finally:
        tokens.renew()


class Feed:
    """All methods raise what `Web.get` raises; a 403 names the permission that is missing."""

    def __init__(self, web: Web, tokens: ServiceTokens, publisher_id: str) -> None:
        self.web, self._tokens = web, tokens
        self._publisher = {"PublisherIdentifier": publisher_id}
        self.page_count = 0

    def require_permission(self) -> None:
        """Raises PermissionMissingError if the token says that it can't read the feed."""
        roles = self.web.patience.persist_blocking(self._tokens.read_roles)
        if roles and PERMISSION not in roles:
            raise _lacking()

    def list_subscriptions(self) -> dict[str, str]:
        """Status (`enabled` or `disabled`) by content type; one that was never started is not in it."""
        with _naming_the_permission():
            listed = self.web.get_json("subscriptions/list", self._publisher)
        if not isinstance(listed, list):
            raise self.web.distrust("the subscriptions are no list")
        rows = [one for one in listed if isinstance(one, dict)]
        return {str(one.get("contentType")): str(one.get("status")).lower() for one in rows}

    def start(self, content_type: str) -> None:
        """Switch a content type on. Its first content comes within twelve hours; nothing is filled in."""
        wish = {"contentType": content_type} | self._publisher
        with _naming_the_permission():
            self.web.request("POST", "subscriptions/start", params=wish)

    def list_contents(self, content_type: str, window: Window) -> Iterator[list[Content]]:
        """Page by page what was made within the window. Raises DistrustedError for a page that leads
        astray or in a circle."""
        link: str | None = "subscriptions/content"
        wish: dict[str, str] | None = {
            "contentType": content_type,
            "startTime": f"{window.start:%Y-%m-%dT%H:%M:%S}",
            "endTime": f"{window.end:%Y-%m-%dT%H:%M:%S}",
        } | self._publisher
        followed: set[str] = set()
        while link:
            listed, following = self._read_list(link, wish)
            self.page_count += 1
            yield [self._read_content(one) for one in listed]
            link, wish = following and self.web.resolve(following), None
            if link in followed:
                raise self.web.distrust("a list leads back to a page that was read already")
            followed.add(link or "")

    def read(self, content: Content) -> ServicePage:
        """The records of a blob as they stand there; one that is cut off is asked for again."""

        def attempt() -> ServicePage:
            try:
                return read_array(self.web.get(content.link, self._publisher).content)
            except NotAPageError:
                raise TransientError("content was not a whole JSON list") from None

        with _naming_the_permission():
            return self.web.patience.persist_blocking(attempt)

    def _read_list(self, link: str, wish: dict[str, str] | None) -> tuple[list[Any], str | None]:
        def attempt() -> tuple[Any, str | None]:
            answer = self.web.get(link, wish)
            try:
                return orjson.loads(answer.content), answer.headers.get(NEXT_PAGE)
            except orjson.JSONDecodeError:
                raise TransientError("an answer was not whole JSON") from None

        try:
            with _naming_the_permission():
                listed, following = self.web.patience.persist_blocking(attempt)
        except RefusedError as refused:
            if refused.status == 400:
                raise WindowRefusedError from None
            raise
        if not isinstance(listed, list):
            raise self.web.distrust("what it announces is no list")
        return listed, following

    def _read_content(self, value: Any) -> Content:
        link = value.get("contentUri") if isinstance(value, dict) else None
        if not isinstance(link, str) or not link:
            raise self.web.distrust("it announces content without an address")
        return Content(str(value.get("contentId") or link), self.web.resolve(link))


@contextmanager
def _naming_the_permission() -> Iterator[None]:
    try:
        yield
    except PermissionMissingError:
        raise _lacking() from None


def _lacking() -> PermissionMissingError:
    return PermissionMissingError(
        f"{_NAME_FIRST} refused: this application may not use {PERMISSION}.",
        where="Entra, API permissions, Office 365 Management APIs",
        next_step=f"Grant the application permission {PERMISSION} and give admin consent.",
    )
