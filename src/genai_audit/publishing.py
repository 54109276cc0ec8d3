"""The files that people read: one an audience, written aside and renamed over.

A file has storage version 1.0, so that DuckDB 1.x command lines open it (facts/tech.md §2.4). What LIDE reads
has been through disclosure control, or says nothing about people.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from genai_audit.privacy.disclosure import add_totals, disclose
from genai_audit.warehouse import Warehouse, quote
from genai_audit.workspace import settle

# Everything else that LIDE reads goes through disclosure control, or it is not published.
LIDE_WITHOUT_PEOPLE = ("about", "calendar_day", "coverage")
# Counted by its queries, but no dimension: the first two are published once they are safe, the others never.
LIDE_COUNTS = ("person_count", "event_count", "contributor_count", "top_one", "top_two")
# Summed over these dimensions for a total row of each kind of record.
LIDE_TOTALS = {"vle_use_by_school": ("school", "feature"), "vle_use_by_role": ("actor_role",)}
AUDIENCES = ("compliance", "lide", "iss")


def publish(
    warehouse: Warehouse, audience: str, target: Path, *, suppress_below: int = 8, round_to: int = 5
) -> None:
    """Write `<audience>.duckdb` aside and rename it over. A reader of the old one goes on undisturbed.

    The file has storage version 1.0, so that DuckDB 1.x command lines open it (facts/tech.md §2.4).
    """
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    run = warehouse.connection.execute
    run(f"ATTACH {quote(str(part))} AS target (STORAGE_VERSION 'v1.0.0')")
    try:
        for name, select in _selections(warehouse, audience).items():
            _publish_table(warehouse, audience, name, select, suppress_below, round_to)
        _write_start_here(warehouse)
        run("CHECKPOINT target")
    finally:
        run("DETACH target")
    os.chmod(part, 0o600)
    settle(part, target)


def _selections(warehouse: Warehouse, audience: str) -> dict[str, str]:
    listed = tomllib.loads((warehouse.sql / "publish" / "audiences.toml").read_text("utf-8"))[audience]
    marts = {path.stem.split("_", 1)[1]: path for path in (warehouse.sql / "marts").glob("*.sql")}
    selections = {}
    for name in listed:
        grain = marts[name].read_text(encoding="utf-8").splitlines()[0]
        selections[name] = f"{grain}\nSELECT * FROM {marts[name].stem}"
    for path in sorted((warehouse.sql / "publish" / audience).glob("*.sql")):
        selections[path.stem] = path.read_text(encoding="utf-8").rstrip().rstrip(";")
    return selections


def _publish_table(
    warehouse: Warehouse, audience: str, name: str, select: str, suppress_below: int, round_to: int
) -> None:
    run = warehouse.connection.execute
    run(f"SET VARIABLE suppress_below = {suppress_below:d}; SET VARIABLE round_to = {round_to:d}")
    columns = [column[0] for column in run(f"DESCRIBE {select}").fetchall()]
    if audience == "lide" and name not in LIDE_WITHOUT_PEOPLE:
        safe = disclose(
            warehouse.connection.sql(select).pl(),
            dims=[column for column in columns if column not in LIDE_COUNTS],
            contributor_count="contributor_count",
            top_events=("top_one", "top_two"),
            suppress_below=suppress_below,
            round_to=round_to,
        )
        if name in LIDE_TOTALS:
            safe = add_totals(safe, LIDE_TOTALS[name])
        warehouse.connection.register("safe", safe.frame.to_arrow())
        run(f"CREATE TABLE target.{name} AS SELECT * FROM safe")
        warehouse.connection.unregister("safe")
    else:
        run(f"CREATE TABLE target.{name} AS {select}")
    warehouse.comment({name: select}, catalog="target")


def _write_start_here(warehouse: Warehouse) -> None:
    run = warehouse.connection.execute
    run("CREATE TABLE target.start_here (table_name VARCHAR, what_it_holds VARCHAR, row_count BIGINT)")
    for name, comment in run(
        "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'target' ORDER BY 1"
    ).fetchall():
        if name != "start_here":
            run(f"INSERT INTO target.start_here SELECT $name, $what, count(*) FROM target.{name}",
                {"name": name, "what": comment})  # fmt: skip
    warehouse.comment({"start_here": "-- One row per table of this file: read this first."}, catalog="target")
