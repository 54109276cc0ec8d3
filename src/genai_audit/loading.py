"""From sealed packages to built marts: parse, check every seal, load, rebuild touched days."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_audit import parsing, registry
from genai_audit.calendars import bank_holidays, read_instant, uk_day
from genai_audit.errors import ConfigurationError
from genai_audit.landing import RECORDS, Landing, Package, package_folder
from genai_audit.privacy.pseudonyms import key_id, pseudonym
from genai_audit.register_versions import SOURCE as REGISTER_SOURCE
from genai_audit.register_versions import land_changed, read_newest
from genai_audit.registers import REGISTERS, Column, Row, split_cell
from genai_audit.runs import Run
from genai_audit.sealing import check_file
from genai_audit.warehouse import Warehouse


def parse_and_load(run: Run, *, again: bool = False) -> None:
    """Land edited registers, parse what is not parsed, check every seal, load, rebuild touched days."""
    key = run.workspace.read_key()
    landing = Landing(run.workspace, run.settings, run.run_id)
    _check_key(key, landing.closed)
    run.landed += land_changed(landing, run.context(REGISTER_SOURCE), run.say)
    landed = landing.closed
    for package in landed:  # not a number is shown from evidence that was altered
        check_file(package_folder(run.workspace, package) / RECORDS, package.files[RECORDS]["sha256"])
    parsing.parse_all(run.workspace, landed, run.settings, key, again=again)
    sealed = {
        package.package_id: parsing.check_seal(run.workspace, package)
        for package in landed
        if parsing.has_family(package)
    }
    with run.warehouse() as warehouse:
        loaded = warehouse.loaded()
        fresh: dict[str, dict[str, dict[str, Path]]] = {}  # base table -> package id -> table -> file
        for package in landed:
            if package.package_id in sealed and package.package_id not in loaded:
                base = registry.sources()[package.source].base_table
                fresh.setdefault(base, {})[package.package_id] = sealed[package.package_id]
        warehouse.replace("stg_conflict", [])  # it tells what the newest load found
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
    key = run.workspace.read_key()
    for name, rows in read_newest(run.workspace, landed).items():
        register = REGISTERS[name]
        warehouse.replace(register.table, [type_row(key, register.columns, row) for row in rows])
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


def type_row(key: bytes, columns: Sequence[Column], row: Row) -> dict[str, Any]:
    """A row as its staging table holds it: typed, people as pseudonyms, NULL for an empty cell.

    Of somebody known by object id and by UPN, `person_key` is that of the object id, `alias_key` the other.
    """
    values: dict[str, Any] = {c.stored_name: _type_cell(key, c, row.get(c.name, "")) for c in columns}
    if "upn" in values:
        object_id, upn = values.pop("object_id"), values.pop("upn")
        values |= {"person_key": object_id or upn, "alias_key": upn}
    return values


def _type_cell(key: bytes, column: Column, cell: str) -> Any:
    if column.kind == "list":
        return split_cell(column, cell)
    if not cell:
        return None
    if column.is_person:
        return pseudonym(key, "person", cell)
    if column.kind == "number":
        return int(cell)
    if column.kind == "yes_no":
        return {"yes": True, "no": False}.get(cell)
    return cell.lower() if column.stored_name in ("label_id", "parent_label_id") else cell


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
