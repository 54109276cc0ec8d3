"""What a token may do: read permissions only, and none near prompts (facts/trust.md §8.1 T4)."""

from __future__ import annotations

import base64
import re
from typing import Any

import orjson

from genai_audit.errors import ConfigurationError

FORBIDDEN = ("aienterpriseinteraction", "reportsettings")  # prompts in clear text; unmasking names in reports


def check_token(token: str, tenant_id: str) -> tuple[str, ...]:
    """The application permissions in a token, sorted; empty if it is not a readable JWT.

    Raises ConfigurationError for a permission that could write or read prompts, or a token of another tenant.
    The signature is Graph's business: a forged token gets nothing there.
    """
    claims = _read_claims(token)
    roles = tuple(sorted(str(role) for role in claims.get("roles") or ()))
    refused = [role for role in roles if not is_read_only(role)]
    if refused:
        raise ConfigurationError(
            f"The application holds permissions that this tool must not have: {', '.join(refused)}.",
            where="Entra, API permissions",
            next_step="Remove them, or use another application; the tool refuses to work with them.",
        )
    is_other = str(claims.get("tid", tenant_id)).casefold() != tenant_id.casefold()
    if is_other and re.fullmatch(r"[0-9a-fA-F-]{36}", tenant_id):  # it may be configured as a domain name
        raise ConfigurationError(
            "The token belongs to another tenant.",
            where="genai-audit.toml",
            next_step="Check tenant.tenant_id.",
        )
    return roles


def is_read_only(role: str) -> bool:
    """`User.Read.All`, `ActivityFeed.ReadDlp` are; `Mail.Send`, `Sites.Selected`, `X.ReadWrite.All` not."""
    name = role.casefold()
    kind = name.split(".")[1:2]
    return not name.startswith(FORBIDDEN) and "write" not in name and "".join(kind).startswith("read")


def _read_claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
