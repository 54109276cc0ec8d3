"""Tokens of the tenant's application for a service of Microsoft 365 that is not Graph."""

from __future__ import annotations

from genai_audit.settings import Settings
from genai_audit.sources._graph import _Tokens  # the one place that knows the sign-in library
from genai_audit.sources._token_roles import check_token


class ServiceTokens:
    """Signs requests to one service. `scope`: such as `https://manage.office.com/.default`.

    Every method may raise ConfigurationError (refused, or permissions that this tool must not have) or
    TransientError (the sign-in service did not answer properly).
    """

    def __init__(self, settings: Settings, scope: str, timeout_seconds: float) -> None:
        self._tenant, self._scope = settings.tenant, scope
        self._tokens = _Tokens(settings.tenant, timeout_seconds)

    def sign(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens.fetch(self._scope).token}"}

    def read_roles(self) -> tuple[str, ...]:
        """The application permissions in the token; empty if it is not readable."""
        return check_token(self._tokens.fetch(self._scope).token, self._tenant.tenant_id)

    def renew(self) -> None:
        """Forget the token: it was refused, or nobody needs it any more."""
        self._tokens.renew()
