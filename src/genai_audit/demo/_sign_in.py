"""The pretend Entra ID: certificates, a client secret, and the token endpoint that azure-identity talks to.

The client's certificate has an RSA key because azure-identity takes no other (facts/tech.md §7.5).
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

import jwt
import trustme
from cryptography import x509
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

HOST = "127.0.0.1"
TENANT_ID = "7e57ab1e-0000-4000-8000-000000000001"
CLIENT_ID = "7e57ab1e-0000-4000-8000-0000000000c1"
GRAPH_ROLES = ("AuditLogsQuery.Read.All",)
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class SignIn:
    """Knows one application and every token it issued. `lifetime` is in seconds."""

    secret: str
    certificate: bytes
    roles: tuple[str, ...] = GRAPH_ROLES
    lifetime: int = 3599
    tenant_id: str = TENANT_ID
    url: str = ""  # known once the port is
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _tokens: dict[str, float] = field(default_factory=dict)  # token -> when it expires

    def is_valid(self, token: str) -> bool:
        return self._tokens.get(token, 0.0) > time.time()

    def expire_all(self) -> None:
        self._tokens.clear()

    async def describe(self, request: Request, number: int) -> Response:
        root = f"{self.url}/{request.path_params['tenant']}"
        return JSONResponse({
            "issuer": f"{root}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
        })  # fmt: skip

    async def issue(self, request: Request, number: int) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        refusal = self._refuse(request.path_params["tenant"], form)
        if refusal:
            status, code, words = refusal
            return JSONResponse({"error": code, "error_description": words}, status_code=status)
        token = self._sign()
        return JSONResponse({
            "token_type": "Bearer", "expires_in": self.lifetime, "ext_expires_in": self.lifetime,
            "access_token": token,
        })  # fmt: skip

    def _refuse(self, tenant: str, form: dict[str, str]) -> tuple[int, str, str] | None:
        if tenant != self.tenant_id:
            return 400, "invalid_request", "AADSTS90002: Tenant not found. Check the tenant id."
        if form.get("grant_type") != "client_credentials":
            return 400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported."
        if form.get("client_id") != CLIENT_ID:
            return 400, "unauthorized_client", "AADSTS700016: Application was not found in the directory."
        if "client_assertion" in form:
            return self._refuse_assertion(tenant, form)
        if not secrets.compare_digest(form.get("client_secret", "").encode(), self.secret.encode()):
            return 401, "invalid_client", "AADSTS7000215: Invalid client secret provided."
        return None

    def _refuse_assertion(self, tenant: str, form: dict[str, str]) -> tuple[int, str, str] | None:
        key = x509.load_pem_x509_certificate(self.certificate).public_key()
        try:
            claims = jwt.decode(
                form["client_assertion"], key,  # type: ignore[arg-type]
                algorithms=["RS256", "PS256"], audience=f"{self.url}/{tenant}/oauth2/v2.0/token",
            )  # fmt: skip
        except jwt.InvalidTokenError:
            claims = {}
        if form.get("client_assertion_type") == _ASSERTION_TYPE and claims.get("iss") == CLIENT_ID:
            return None
        return 401, "invalid_client", "AADSTS700027: The client assertion failed signature validation."

    def _sign(self) -> str:
        now = int(time.time())
        claims = {
            "aud": "https://graph.microsoft.com", "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "tid": self.tenant_id, "appid": CLIENT_ID, "idtyp": "app", "roles": list(self.roles),
            "iat": now, "nbf": now, "exp": now + self.lifetime, "jti": secrets.token_hex(8), "ver": "1.0",
        }  # fmt: skip
        token = jwt.encode(claims, self._key, algorithm="HS256")
        self._tokens[token] = now + self.lifetime
        return token


@cache
def make_certificates() -> tuple[bytes, bytes, bytes]:
    """PEM texts: the authority, the server's key and chain, the client's key and chain. Once a process."""
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    server = authority.issue_cert(HOST, "localhost", key_type=trustme.KeyType.RSA)
    client = authority.issue_cert("client.invalid", key_type=trustme.KeyType.RSA)
    return (
        authority.cert_pem.bytes(),
        server.private_key_and_cert_chain_pem.bytes(),
        client.private_key_and_cert_chain_pem.bytes(),
    )


def write_private(file: Path, content: bytes) -> Path:
    """Write a file that only its owner can read, also while it is being written."""
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    return file
