"""Whose certificates we believe: the usual authorities, and those of a file in the settings."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from genai_audit.errors import ConfigurationError


def make_trust(ca_bundle: Path | None) -> ssl.SSLContext:
    """Raises ConfigurationError if the file can't be read or holds no certificate."""
    trust = httpx.create_ssl_context()
    if ca_bundle:
        try:
            trust.load_verify_locations(cafile=ca_bundle)
        except OSError:  # ssl.SSLError is one too
            raise ConfigurationError(
                "ca_bundle names no file of certificates that can be read.",
                where="genai-audit.toml",
                next_step="Give the path of a PEM file, or leave the key out if no proxy of yours opens TLS.",
            ) from None
    return trust
