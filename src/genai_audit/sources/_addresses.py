"""Which addresses may be asked: HTTPS anywhere, anything else on this machine only."""

from __future__ import annotations

from urllib.parse import urlsplit

from genai_audit.errors import ConfigurationError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
STANDARD_PORTS = {"https": 443, "http": 80}


def check_https(name: str, url: str) -> None:
    """HTTPS, or this machine, and nothing secret in it. Raises ConfigurationError, which doesn't quote it."""
    try:
        scheme, host, _ = read_origin(url)
        parts = urlsplit(url)
        is_private = scheme == "https" or (scheme == "http" and host in LOOPBACK)
        is_fit = is_private and host and "@" not in parts.netloc and not parts.query
    except ValueError:
        is_fit = False
    if not is_fit:
        raise ConfigurationError(
            f"The address of {name} must be https://HOST…, without a name, password or query in it.",
            where="genai-audit.toml",
            next_step="Correct the url; credentials stand in a file of their own.",
        )


def read_origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host in small letters and port. Raises ValueError."""
    import httpx  # slow to load; stricter than urlsplit, and what will read the address when it is asked

    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    parts = urlsplit(url)
    port = STANDARD_PORTS.get(parts.scheme) if parts.port is None else parts.port
    return parts.scheme, parts.hostname or "", port
