"""Frames as the marts hand them over: full columns and types, short rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

TEXT, INT, BOOL, DAY, AT = pl.String, pl.Int32, pl.Boolean, pl.Date, pl.Datetime("us", "UTC")
KINDS: dict[str, dict[str, Any]] = {
    "fct_external_use": {
        "record_id": TEXT,
        "record_kind": TEXT,
        "is_use": BOOL,
        "occurred_at": AT,
        "occurred_day": DAY,
        "person_key": TEXT,
        "unit_id": TEXT,
        "tool_id": TEXT,
        "tool_name": TEXT,
        "tool_status": TEXT,
        "channel": TEXT,
        "operation": TEXT,
        "source": TEXT,
        "package_id": TEXT,
        "line_no": INT,
    },
    "fct_resource_access": {
        "record_id": TEXT,
        "resource_no": INT,
        "occurred_at": AT,
        "occurred_day": DAY,
        "person_key": TEXT,
        "unit_id": TEXT,
        "app_host": TEXT,
        "resource_key": TEXT,
        "resource_type": TEXT,
        "site_key": TEXT,
        "site_type": TEXT,
        "label_id": TEXT,
        "label_name": TEXT,
        "label_rank": INT,
        "is_label_known": BOOL,
        "action": TEXT,
        "access_status": TEXT,
        "policy_outcome": TEXT,
        "has_xpia": BOOL,
        "source": TEXT,
        "package_id": TEXT,
        "line_no": INT,
    },
    "fct_interaction": {
        "record_id": TEXT,
        "occurred_at": AT,
        "occurred_day": DAY,
        "record_type": INT,
        "person_key": TEXT,
        "unit_id": TEXT,
        "role": TEXT,
        "user_type": TEXT,
        "app_host": TEXT,
        "app_identity": TEXT,
        "agent_id": TEXT,
        "is_end_user": BOOL,
        "exclusion_reason": TEXT,
        "is_twin": BOOL,
        "prompt_count": INT,
        "response_count": INT,
        "resource_count": INT,
        "has_jailbreak": BOOL,
        "has_jailbreak_field": BOOL,
        "has_xpia": BOOL,
        "has_xpia_field": BOOL,
        "has_web_search": BOOL,
        "client_region": TEXT,
        "source": TEXT,
        "package_id": TEXT,
        "line_no": INT,
    },
    "fct_coverage": {
        "source": TEXT,
        "covered_day": DAY,
        "coverage_status": TEXT,
        "reason": TEXT,
        "record_count": pl.Int64,
        "is_expected": BOOL,
    },
    "dim_calendar_day": {
        "calendar_day": DAY,
        "day_type": TEXT,
        "is_bank_holiday": BOOL,
        "is_weekend": BOOL,
        "teaching_week": INT,
        "academic_year": TEXT,
    },
}
MONDAY = date(2026, 11, 9)


def make_frame(table: str, rows: Iterable[Mapping[str, Any]] = ()) -> pl.DataFrame:
    schema = KINDS[table]
    full = [{name: row.get(name) for name in schema} for row in rows]
    assert all(set(row) <= set(schema) for row in rows if isinstance(row, dict))
    return pl.DataFrame(full, schema=schema, orient="row")


def at(day: date, minutes: float = 600, seconds: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds)


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def make_calendar(
    span: Iterable[date], kinds: Mapping[date, str] | None = None, holidays: Iterable[date] = ()
) -> pl.DataFrame:
    closed = set(holidays)
    return make_frame(
        "dim_calendar_day",
        [
            {
                "calendar_day": day,
                "day_type": (kinds or {}).get(day, "teaching"),
                "is_bank_holiday": day in closed,
                "is_weekend": day.weekday() > 4,
                "academic_year": "2026/27",
            }
            for day in span
        ],
    )


def make_coverage(
    span: Iterable[date],
    source: str = "m365_audit",
    *,
    status: Mapping[date, str] | None = None,
    counts: Mapping[date, int] | None = None,
    record_count: int = 500,
    is_expected: bool = True,
) -> pl.DataFrame:
    return make_frame(
        "fct_coverage",
        [
            {
                "source": source,
                "covered_day": day,
                "coverage_status": (status or {}).get(day, "collected"),
                "reason": "test",
                "record_count": (counts or {}).get(day, record_count),
                "is_expected": is_expected,
            }
            for day in span
        ],
    )


def evidence(row: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(row["evidence"])
    assert set(read) == {"records", "counts"}
    assert len(read["records"]) <= 5
    return read
