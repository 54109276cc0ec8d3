"""SQL models as files: which there are, and in which order they must run, from what each one reads."""

from __future__ import annotations

import graphlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path


def read_models(folder: Path) -> dict[str, str]:
    """Text of every model by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}


def order_models(models: Mapping[str, str]) -> list[str]:
    """Model names in the order in which they must run, from the tables that each one reads."""
    import sqlglot
    from sqlglot import exp

    reads: dict[str, set[str]] = {}
    for name, text in models.items():
        tables = {
            table.name
            for statement in sqlglot.parse(text, read="duckdb")
            if statement
            for table in statement.find_all(exp.Table)
        }
        reads[name] = {table for table in tables if table in models and table != name}
    sorter = graphlib.TopologicalSorter({name: sorted(found) for name, found in sorted(reads.items())})
    return list(sorter.static_order())


def digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(parts)).encode()).hexdigest()
