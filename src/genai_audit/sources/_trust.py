"""Whose certificates we believe: the usual authorities, and the one of `tenant.ca_bundle`."""

from __future__ import annotations

import ssl

import httpx

from genai_audit.errors import ConfigurationError
from genai_audit.settings import TenantSettings


def make_trust(tenant: TenantSettings) -> ssl.SSLContext:
    """Raises ConfigurationError if the file of `tenant.ca_bundle` can't be read or holds no certificate."""
    trust = httpx.create_ssl_context()
    if tenant.ca_bundle:
        try:
            trust.load_verify_locations(cafile=tenant.ca_bundle)
        except OSError:  # ssl.SSLError is one too
            raise ConfigurationError(
                "tenant.ca_bundle names no file of certificates that can be read.",
                where="genai-audit.toml",
                next_step="Give the path of a PEM file, or leave the key out if no proxy of yours opens TLS.",
            ) from None
    return trust
