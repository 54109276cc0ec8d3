"""Who we are to Microsoft: credentials, tokens whose permissions were checked, and what a refusal means.

The only importer of the sign-in library.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import CertificateCredential, ClientSecretCredential, ManagedIdentityCredential

from genai_audit.errors import ConfigurationError, SourceUnavailableError
from genai_audit.settings import Settings, SourceOptions, TenantSettings
from genai_audit.sources._addresses import LOOPBACK
from genai_audit.sources._patience import TransientError
from genai_audit.sources._private_files import read_private
from genai_audit.sources._token_roles import check_token
from genai_audit.sources._trust import make_trust

Credential = CertificateCredential | ClientSecretCredential | ManagedIdentityCredential


# Errors are warned about that we report ourselves; INFO lines hold addresses.
for _name, _level in (("azure", logging.ERROR), ("msal", logging.WARNING)):
    logging.getLogger(_name).setLevel(_level)


class Tokens:
    """A credential that can be renewed: azure-identity keeps a token even when Graph has refused it."""

    def __init__(self, tenant: TenantSettings, timeout: float) -> None:
        self._tenant, self._timeout = tenant, timeout
        self._credential: Credential | None = None

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return await asyncio.to_thread(self.fetch, *scopes, **kwargs)

    def fetch(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """A token whose permissions were checked, or ConfigurationError, or TransientError."""
        self._credential = self._credential or make_credential(self._tenant, self._timeout)
        try:
            token = self._credential.get_token(*scopes, **kwargs)
        except (AzureError, ValueError, RuntimeError) as error:
            self.renew()
            raise _translate_sign_in(error) from None
        check_token(token.token, self._tenant.tenant_id)
        return token

    def renew(self) -> None:
        """Forget the cached token."""
        if self._credential:
            self._credential.close()
        self._credential = None


def make_credential(tenant: TenantSettings, timeout: float) -> Credential:
    """The credential of the settings, without a retry of its own. Raises ConfigurationError."""
    wiring: dict[str, Any] = {"retry_total": 0, "connection_timeout": timeout, "read_timeout": timeout}
    if tenant.credential == "managed_identity":
        return ManagedIdentityCredential(client_id=tenant.client_id or None, **wiring)
    wiring |= {"authority": tenant.authority_url}
    if tenant.authority_url != TenantSettings().authority_url:
        wiring |= {"disable_instance_discovery": True}
    make_trust(tenant.ca_bundle)  # one that can't be read is our own error, not the sign-in library's
    if tenant.ca_bundle:
        wiring |= {"connection_verify": str(tenant.ca_bundle)}
    if urlsplit(tenant.authority_url).hostname in LOOPBACK:
        wiring |= {"use_env_settings": False}
    is_secret = tenant.credential == "client_secret"
    key = "client_secret_path" if is_secret else "certificate_path"
    content = read_private(
        tenant.client_secret_path if is_secret else tenant.certificate_path, f"tenant.{key}"
    )
    try:
        if is_secret:
            secret = content.decode().strip()
            return ClientSecretCredential(tenant.tenant_id, tenant.client_id, secret, **wiring)
        return CertificateCredential(tenant.tenant_id, tenant.client_id, certificate_data=content, **wiring)
    except ValueError:
        raise ConfigurationError(
            f"tenant_id, client_id or the file of {key} is missing or malformed.",
            where="genai-audit.toml [tenant]",
            next_step="Copy the ids from the application's overview page in Entra; a certificate file is PEM "
            "with an RSA private key and the certificate.",
        ) from None


def _translate_sign_in(error: Exception) -> Exception:
    """What a failed sign-in means. Entra's code is kept, its sentence is not: it may hold identifiers."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return untrusted("the sign-in service")
    cause = error.__cause__ or error  # azure.identity wraps what went wrong on the way to Entra
    response = getattr(error, "response", None) or getattr(cause, "response", None)
    status = int(getattr(response, "status_code", 0) or 0)
    is_answer = isinstance(cause, ClientAuthenticationError | ValueError)  # ValueError: no such tenant
    if not is_answer or status >= 500 or status in (408, 429) or "temporarily_unavailable" in str(error):
        return TransientError("the sign-in service did not answer properly", status)
    code = re.search(r"AADSTS\d+", str(error))
    return ConfigurationError(
        f"Entra refused the sign-in{f' ({code.group()})' if code else ''}.",
        where="genai-audit.toml [tenant]",
        next_step="Check tenant_id, client_id and the credential: wrong, expired, or not uploaded?",
    )


def untrusted(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The certificate of {what} is not trusted.",
        where="genai-audit.toml [tenant]",
        next_step="If a proxy of yours opens TLS, put its certificate authority into tenant.ca_bundle.",
    )


def check_address(url: str) -> str:
    """The host of `tenant.graph_url`, or ConfigurationError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/"):
        raise ConfigurationError(
            "tenant.graph_url must be https://HOST, without a path.",
            where="genai-audit.toml",
            next_step="Leave it out, unless your tenant lives in a national cloud.",
        )
    return parts.hostname


def scope_of(tenant: TenantSettings) -> str:
    return f"https://{urlsplit(tenant.graph_url).hostname}/.default"


def read_token_roles(settings: Settings) -> tuple[str, ...]:
    """The application permissions that a fresh token carries (empty if it is not readable).

    Raises ConfigurationError for a permission that could write or read prompts, or a refused sign-in, and
    SourceUnavailableError if the sign-in service does not answer.
    """
    tenant = settings.tenant
    check_address(tenant.graph_url)
    tokens = Tokens(tenant, SourceOptions().request_timeout_seconds)
    try:
        token = tokens.fetch(scope_of(tenant))
    except TransientError as failure:
        raise no_answer(failure) from None
    finally:
        tokens.renew()
    return check_token(token.token, tenant.tenant_id)


def no_answer(failure: TransientError) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"Microsoft 365 can't be used just now: {failure.reason}.",
        where="Microsoft Graph",
        next_step="Check the network, the proxy and the service health page, then try again.",
    )


class ServiceTokens:
    """Signs requests to one service. `scope`: such as `https://manage.office.com/.default`.

    Every method may raise ConfigurationError (refused, or permissions that this tool must not have) or
    TransientError (the sign-in service did not answer properly).
    """

    def __init__(self, settings: Settings, scope: str, timeout_seconds: float) -> None:
        self._tenant, self._scope = settings.tenant, scope
        self._tokens = Tokens(settings.tenant, timeout_seconds)

    def sign(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens.fetch(self._scope).token}"}

    def read_roles(self) -> tuple[str, ...]:
        """The application permissions in the token; empty if it is not readable."""
        return check_token(self._tokens.fetch(self._scope).token, self._tenant.tenant_id)

    def renew(self) -> None:
        """Forget the token: it was refused, or nobody needs it any more."""
        self._tokens.renew()
