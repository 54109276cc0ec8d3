"""Credentials stand in files of their own, which nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

from genai_audit.errors import ConfigurationError


def read_private(path: Path | None, key: str) -> bytes:
    """The content of a file that only its owner may read; `key` is the setting that names it.

    Raises ConfigurationError.
    """
    if path is None or not os.path.isfile(path):  # which says no also of a folder that is closed to us
        raise ConfigurationError(
            f"{key} names no file.", where="genai-audit.toml", next_step="Give the path of a file, mode 0600."
        )
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"The file of {key} can be read by other accounts.",
            where="genai-audit.toml",
            next_step=f"Run `chmod 600 {path}`; if others may have read it, replace the credential in Entra.",
        )
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if not content.strip():
        raise ConfigurationError(
            f"The file of {key} is empty or can't be read.",
            where="genai-audit.toml",
            next_step="Put the credential into it; this account must own it.",
        )
    return content
