"""The door to services other than Microsoft Graph: one host, blocking requests, our patience."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from genai_audit.errors import ConfigurationError, PermissionMissingError, SourceUnavailableError
from genai_audit.settings import SourceOptions
from genai_audit.sources._addresses import LOOPBACK, check_https, read_origin
from genai_audit.sources._patience import Patience, TransientError, read_retry_after
from genai_audit.sources._trust import make_trust

TRANSIENT = (408, 425, 429)


class DistrustedError(SourceUnavailableError):
    """An answer that must not be followed or believed."""


class RefusedError(SourceUnavailableError):
    """A 4xx that no repetition cures."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(
            f"{name} refused a request: {status}.",
            where=name,
            next_step="Run `genai-audit doctor`; if it finds nothing, report this error.",
        )
        self.status = status


class Web:
    """Requests to one service, within the patience of one pull. Use as a context manager.

    `name`: how people call the service. `sign`: headers that prove who we are, asked for before every
    request; `renew`: called once after a 401, before `sign` is asked again. `read_pause`: seconds to wait,
    from the headers of a 429. `look`: called with the headers of every answer, whatever its status.
    """

    def __init__(
        self,
        name: str,
        url: str,
        options: SourceOptions,
        *,
        sign: Callable[[], Mapping[str, str]] = dict,
        renew: Callable[[], None] | None = None,
        read_pause: Callable[[httpx.Headers], float | None] = read_retry_after,
        look: Callable[[httpx.Headers], None] | None = None,
        ca_bundle: Path | None = None,
    ) -> None:
        self.name, self.url = name, url.rstrip("/") + "/"
        check_https(name, url)
        self._sign, self._renew, self._read_pause, self._look = sign, renew, read_pause, look
        self.patience = Patience(options)
        self.request_count = 0
        self._client = httpx.Client(
            verify=make_trust(ca_bundle),
            timeout=options.request_timeout_seconds,
            trust_env=urlsplit(url).hostname not in LOOPBACK,
        )

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, link: str, params: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        """A whole answer with status 2xx. `link`: relative to the service's address, or absolute on its host.

        Raises DistrustedError, RefusedError, PermissionMissingError, ConfigurationError, DeadlineError or
        UnreachableError.
        """
        return self.request("GET", link, params=params, **more)

    def request(self, method: str, link: str, **more: Any) -> httpx.Response:
        target = self.resolve(link)
        return self.patience.persist_blocking(lambda: self._send(method, target, more))

    def get_json(self, link: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """The same, read as JSON; a body that is cut off is asked for again."""
        target = self.resolve(link)

        def attempt() -> Any:
            try:
                return orjson.loads(self._send("GET", target, {"params": params, **more}).content)
            except orjson.JSONDecodeError:
                raise TransientError("an answer was not whole JSON") from None

        return self.patience.persist_blocking(attempt)

    def resolve(self, link: str) -> str:
        """Absolute address of a link, or DistrustedError if it leads to another host or is no address."""
        try:
            target = urljoin(self.url, link)
            is_ours = "@" not in urlsplit(target).netloc and read_origin(self.url) == read_origin(target)
        except ValueError:
            raise self.distrust("a link is no address") from None
        if not is_ours:
            raise self.distrust("a link leads to another host")
        return target

    def distrust(self, what: str) -> DistrustedError:
        return DistrustedError(
            f"The answer of {self.name} can't be trusted: {what}.",
            where=self.name,
            next_step="Run again; if this repeats, something sits between this machine and the service.",
        )

    def _send(self, method: str, target: str, more: Mapping[str, Any]) -> httpx.Response:
        response = self._try(method, target, more)
        if response.status_code == 401 and self._renew:
            self._renew()
            self.patience.retry_count += 1
            response = self._try(method, target, more)
        if response.is_success:
            return response
        if response.is_redirect:
            raise self.distrust("it sends us elsewhere")
        if response.status_code in TRANSIENT or response.status_code >= 500:
            pause = self._read_pause(response.headers)
            words = f"the service answered {response.status_code}"
            raise TransientError(words, response.status_code, pause)
        if response.status_code == 401:
            raise ConfigurationError(
                f"{self.name} refused the sign-in.", where=self.name, next_step="Check the credentials."
            )
        if response.status_code == 403:
            raise PermissionMissingError(
                f"{self.name} refused: this account may not read what was asked for.",
                where=self.name,
                next_step="Ask its administrator for the right to read.",
            )
        raise RefusedError(self.name, response.status_code)

    def _try(self, method: str, target: str, more: Mapping[str, Any]) -> httpx.Response:
        headers = {**self._sign(), **more.get("headers", {})}
        self.request_count += 1
        try:
            response = self._client.request(method, target, **{**more, "headers": headers})
        except httpx.RequestError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise ConfigurationError(
                    f"The certificate of {self.name} is not trusted.",
                    where=self.name,
                    next_step="If it has a certificate of your own, put its authority into ca_bundle.",
                ) from None
            raise TransientError(f"the connection failed ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise self.distrust("a link is no address") from None
        if self._look:
            self._look(response.headers)
        return response
