"""How much a permission lets an application do: tier 1 (highest risk) to 4, from `scope_tiers.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources


def rank_scopes(scopes: Iterable[str]) -> int | None:
    """The highest tier (lowest number) among scopes; None when there is no scope."""
    return min((find_tier(scope) for scope in scopes), default=None)


def find_tier(scope: str) -> int:
    """The listed tier. A scope that is not listed: 1 when it may change everything of a kind
    (`X.ReadWrite.All`), 2 when it may read it (`X.Read.All`), else 3."""
    name = scope.rsplit("/", 1)[-1].casefold()  # a resource's address may stand before it
    listed = _read_tiers().get(name)
    if listed:
        return listed
    if name.endswith(".readwrite.all"):
        return 1
    return 2 if name.endswith(".read.all") else 3


@cache
def _read_tiers() -> dict[str, int]:
    text = resources.files("genai_audit.sources").joinpath("scope_tiers.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["scope"].casefold(): int(row["tier"]) for row in rows}
