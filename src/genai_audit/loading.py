"""From sealed packages to built marts: parse, check every seal, load, rebuild touched days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genai_audit import parsing, registry
from genai_audit.calendars import bank_holidays, read_instant, uk_day
from genai_audit.errors import ConfigurationError
from genai_audit.landing import RECORDS, Package, package_folder, packages
from genai_audit.privacy.pseudonyms import key_id, pseudonym
from genai_audit.registers import read_registers
from genai_audit.runs import Run
from genai_audit.sealing import check_file
from genai_audit.warehouse import Warehouse


def parse_and_load(run: Run, *, again: bool = False) -> None:
    """Parse what is not parsed, check every seal, load what is not loaded, rebuild touched days."""
    landed = packages(run.workspace)
    key = run.workspace.read_key()
    _check_key(key, landed)
    for package in landed:  # not a number is shown from evidence that was altered
        check_file(package_folder(run.workspace, package) / RECORDS, package.files[RECORDS]["sha256"])
    parsing.parse_all(run.workspace, landed, run.settings, key, again=again)
    sealed = {
        package.package_id: parsing.check_seal(run.workspace, package)
        for package in landed
        if registry.sources()[package.source].family
    }
    with run.warehouse() as warehouse:
        loaded = warehouse.loaded()
        fresh: dict[str, dict[str, dict[str, Path]]] = {}  # base table -> package id -> table -> file
        for package in landed:
            if package.package_id in sealed and package.package_id not in loaded:
                base = registry.sources()[package.source].base_table
                fresh.setdefault(base, {})[package.package_id] = sealed[package.package_id]
        for base, parsed in sorted(fresh.items()):
            run.record_count += warehouse.load(base, parsed)
        _load_small_tables(run, warehouse, landed)
        warehouse.build()


def _check_key(key: bytes, landed: Sequence[Package]) -> None:
    """A package names the key that its people are known by; another key would make them other people."""
    if landed and landed[-1].key_id != key_id(key):
        raise ConfigurationError(
            "This is not the pseudonym key that the landed packages name.",
            where="keys/pseudonym.key",
            next_step="Restore the right key from the backup.",
        )


def _load_small_tables(run: Run, warehouse: Warehouse, landed: Sequence[Package]) -> None:
    registers = read_registers(run.workspace.registers)
    key = run.workspace.read_key()
    warehouse.replace("stg_directory", [_directory_row(key, row) for row in registers["directory"]])
    warehouse.replace("stg_unit", registers["units"])
    warehouse.replace("stg_label", [_label_row(row) for row in registers["labels"]])
    warehouse.replace("stg_tool", [_tool_row(row) for row in registers["tools"]])
    warehouse.replace("stg_calendar", registers["calendar"])
    warehouse.replace(
        "stg_expected_source",
        [
            {"source": s, "is_configured": run.is_configured(s)}
            for s in sorted(set(run.settings.sources.expected))
        ],
    )
    warehouse.replace("stg_package", [_package_row(package) for package in landed])
    run.load_history(warehouse)
    times = [read_instant(t) for p in landed for t in (p.min_occurred_at, p.max_occurred_at) if t]
    if times:
        days = bank_holidays(uk_day(min(times)), uk_day(max([*times, run.started_at])))
        warehouse.replace("stg_bank_holiday", [{"holiday": d, "holiday_name": n} for d, n in days.items()])


def _directory_row(key: bytes, row: Mapping[str, str]) -> dict[str, Any]:
    alias = pseudonym(key, "person", row["upn"]) if row["upn"] else None
    person = pseudonym(key, "person", row["object_id"]) if row["object_id"] else alias
    return {"person_key": person, "alias_key": alias, "unit_id": row["unit_id"], "role": row["role"]}


def _label_row(row: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = dict(row) | {
        "label_id": row["label_id"].lower(),
        "valid_to": row["valid_to"] or None,
    }
    return values


def _tool_row(row: Mapping[str, str]) -> dict[str, Any]:
    return {("tool_status" if name == "status" else name): value for name, value in row.items()}


def _package_row(package: Package) -> dict[str, Any]:
    window, counts, facts = package.window, package.counts, package.source_facts
    names = ("received", "accepted", "duplicate", "quarantined", "trimmed", "content_cut")
    return {
        "seq": package.seq, "package_id": package.package_id, "source": package.source, "kind": package.kind,
        "window_start": window.start if window else None, "window_end": window.end if window else None,
        "outcome": package.outcome, "reason": package.reason,
        **{f"{name}_count": counts[name] for name in names},
        "retry_count": facts.get("retry_count", 0), "throttled_count": facts.get("throttled_count", 0),
        "min_occurred_at": read_instant(package.min_occurred_at) if package.min_occurred_at else None,
        "max_occurred_at": read_instant(package.max_occurred_at) if package.max_occurred_at else None,
        "manifest_sha256": package.sha256,
    }  # fmt: skip
