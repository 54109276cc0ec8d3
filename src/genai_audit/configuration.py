"""Reads `genai-audit.toml`: the shared sections and one section for each source that is installed."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ValidationError, create_model
from pydantic_settings import SettingsError

from genai_audit.errors import ConfigurationError
from genai_audit.registry import sources
from genai_audit.settings import Settings, SourceOptions


@cache
def settings_class() -> type[Settings]:
    """Settings with the section of every source that can be pulled."""
    sections: dict[str, Any] = {
        name: (source.options, source.options()) for name, source in sources().items() if source.pull
    }
    return create_model("Settings", __base__=Settings, **sections)


def options_of(settings: Settings, source_id: str) -> SourceOptions:
    """The section of a source; its defaults for settings that were made without the sources' sections."""
    found = getattr(settings, source_id, None)
    return found if isinstance(found, SourceOptions) else sources()[source_id].options()


def load_settings(file: Path) -> Settings:
    """Read a TOML file (absent: defaults) and the environment; every mistake is listed at once."""
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The configuration is not valid TOML: {error}.",
                where=file.name,
                next_step="Correct the line; strings need quotes, lists need brackets.",
            ) from error
    try:
        return settings_class()(**values)
    except ValidationError as error:
        raise ConfigurationError(
            "The configuration has mistakes: " + " ".join(_sentence(one) for one in error.errors()),
            where=file.name,
            next_step="Correct them, then run `genai-audit doctor`.",
        ) from None
    except SettingsError as error:
        raise ConfigurationError(
            "A value in the environment can't be read.",
            where=_find_variables(str(error)) or "a variable GENAI_AUDIT_…",
            next_step='Write lists as JSON, like ["m365_audit"].',
        ) from None


def _find_variables(said: str) -> str:
    """Names of the variables that may be meant: those of the section that are not JSON. Never a value."""
    section = re.search(r'field "(\w+)"', said)
    base = f"GENAI_AUDIT_{section[1]}".upper() if section else "GENAI_AUDIT_"
    ours = [name for name in sorted(os.environ) if f"{name.upper()}__".startswith(f"{base}__")]
    return ", ".join(name for name in ours if not _is_json(os.environ[name]))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _sentence(mistake: Any) -> str:
    key = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] != "extra_forbidden":
        return f"{key}: {mistake['msg']}."
    near = difflib.get_close_matches(
        str(mistake["loc"][-1]), _names(settings_class(), mistake["loc"][:-1]), n=1
    )
    return f"{key}: unknown key" + (f", did you mean '{near[0]}'?" if near else ".")


def _names(model: type[pydantic.BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
