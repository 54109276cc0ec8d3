"""A small published workspace, with hostile names in it, made with DuckDB directly."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from genai_audit.calendars import Window
from genai_audit.registry import Detection, RecordIdentity, Source
from genai_audit.reporting.pages import ReportContext, render_reports
from genai_audit.settings import Settings

HOSTILE = (
    '<script>alert("x")</script>',
    '=cmd|"/c calc"!A1',
    "evil\u202egnp.exe",
    "<img src=https://evil.example/x>",
)
FIRST = date(2026, 10, 1)
DAYS = 45
SPIKE = date(2026, 11, 3)
GAP = {20, 21}  # days of the period on which nothing was collected
PERSON = "ps_abcdefghijklmnopqrstuvwxyz"

AUDIENCES = {
    "compliance": (
        "interaction",
        "resource_access",
        "external_use",
        "vle_use",
        "tool",
        "finding",
        "coverage",
        "quality",
        "run",
        "package",
        "field_drift",
        "calendar_day",
    ),
    "iss": ("run", "coverage", "quality", "package", "source_day", "field_drift", "parse_problem"),
    "lide": (
        "vle_use_by_month",
        "vle_use_by_school",
        "vle_use_by_role",
        "vle_use_by_tool",
        "lide_coverage",
        "calendar_day",
        "about",
    ),
}


def list_days() -> list[tuple[int, date]]:
    return [(n, FIRST + timedelta(days=n)) for n in range(DAYS)]


def list_seen_days() -> list[tuple[int, date]]:
    return [(n, day) for n, day in list_days() if n not in GAP]


def make_rows() -> dict[str, list[tuple[Any, ...]]]:
    """Rows by table, in the order of the columns in published_tables.sql."""
    at = datetime(2026, 11, 15, 6, 30, tzinfo=UTC)
    apps = ["Word", "Teams", "BizChat", HOSTILE[0], HOSTILE[2]]
    tools = [
        ("t1", "ChatGPT", "restricted"),
        ("t2", "Claude", "pilot"),
        ("t3", HOSTILE[0], "unknown"),
        ("t4", HOSTILE[1], "approved"),
        ("t5", HOSTILE[2], "prohibited"),
        ("t6", HOSTILE[3], None),
    ]
    people = [f"ps_{n:026d}" for n in range(30)]
    use = [
        (
            f"x{n}-{t}-{i}",
            "event",
            True,
            day,
            people[(n + i) % 30],
            tool[0],
            tool[1],
            tool[2],
            "endpoint_dlp",
            "m365_audit",
        )
        for n, day in list_seen_days()
        for t, tool in enumerate(tools)
        for i in range((60 if t == 0 and day == SPIKE else 3 + n % 4) if t < 4 else 1)
    ]
    labels = [("l1", "Restricted", 30), ("l2", "Confidential", 20), ("l3", "Public", 0)]
    access = [
        (
            f"a{n}-{i}",
            day,
            people[i],
            f"rs_{i:026d}",
            *labels[i % 3],
            True,
            "blocked" if i == 1 else "none",
            "m365_audit",
        )
        for n, day in list_seen_days()
        for i in range(3 + n % 7)
    ]
    evidence = json.dumps(
        {"records": [{"table": "external_use", "record_id": "x33-0-1"}], "counts": {"records": 60}}
    )
    findings = [
        (
            "fi_1",
            "external_tool_spike",
            "Unusual use of an external tool",
            "tool",
            "t1",
            SPIKE,
            "medium",
            60.0,
            4.5,
            "60 records of ChatGPT, where 4.5 are usual on a Tuesday.",
            evidence,
            "6",
        ),
        (
            "fi_2",
            "sensitive_label_access",
            "Access to sensitive content",
            "person",
            PERSON,
            FIRST + timedelta(days=5),
            "high",
            12.0,
            None,
            f"12 accesses, {HOSTILE[0]}",
            "not json",
            "4, 3d",
        ),
    ]
    coverage = [
        (
            source,
            day,
            "not collected" if n in GAP else "unproven" if source == "vle_csv" and n == 3 else "collected",
            "Service unavailable & <b>late</b>" if n in GAP else None,
            0 if n in GAP else 100,
            source == "m365_audit",
        )
        for source in ("m365_audit", "vle_csv")
        for n, day in list_days()
    ]
    quality = [
        (
            "r1",
            at,
            "fct_interaction",
            "record ids are unique",
            "record_id",
            "critical",
            "passed",
            None,
            0,
            None,
        ),
        (
            "r1",
            at,
            "fct_source_day",
            "row count against its own history",
            "record_count",
            "warning",
            "failed",
            HOSTILE[0],
            2,
            "Two days have fewer records than usual.",
        ),
        ("r1", at, "detection", "external_tool_spike", None, "warning", "passed", None, None, "1 finding(s)"),
        (
            "r1",
            at,
            "detection",
            "prompt_attack_flag",
            None,
            "warning",
            "NOT_EVALUATED",
            None,
            None,
            "no flag arrived",
        ),
        ("r0", at - timedelta(days=1), "fct_old", "old check", None, "critical", "failed", None, 9, "old"),
    ]
    months = [date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)]
    by_month = [
        (
            month,
            kind,
            feature,
            *((None, None, True) if f == 2 and m == 0 else (20 + 5 * m, 100 * (f + 1) + 15 * m, False)),
        )
        for kind in ("artefact", "interaction")
        for f, feature in enumerate(["AI Design Assistant", HOSTILE[0], "AI Conversation"])
        for m, month in enumerate(months)
    ]
    return {
        "interaction": [
            (
                f"i{n}-{i}",
                day,
                people[i % 30],
                apps[i % 5],
                i != 7,
                "agent test" if i == 7 else None,
                i == 8,
                1 + i % 3,
                True,
                i % 2 == 0,
                "m365_audit",
            )
            for n, day in list_seen_days()
            for i in range(10)
        ],
        "resource_access": access,
        "external_use": use,
        "vle_use": [
            (f"v{n}", day, "interaction", people[n % 30], "AI Conversation") for n, day in list_seen_days()
        ],
        "tool": [(tool[0], tool[1]) for tool in tools],
        "finding": findings,
        "coverage": coverage,
        "quality": quality,
        "run": [
            (
                "r1",
                "run",
                at,
                at + timedelta(seconds=90),
                "completed with gaps",
                45,
                9000,
                2,
                "0.1.0",
                "ab" * 32,
            )
        ],
        "package": [
            (
                n,
                f"p{n}",
                "m365_audit",
                "pull",
                at,
                at + timedelta(days=1),
                "partial" if n == 2 else "complete",
                "one page missing" if n == 2 else None,
                105,
                100,
                3,
                1 if n == 4 else 0,
                1 if n == 4 else 2,
                7,
                n % 2,
                n % 3,
            )
            for n in range(5)
        ],
        "field_drift": [(261, HOSTILE[0], 12, "p1"), (284, "NewThing", 4, "p2")],
        "source_day": [
            (source, day, 150 + 10 * (n % 7))
            for n, day in list_seen_days()
            for source in ("m365_audit", "vle_csv")
        ],
        "parse_problem": [("m365_audit", "no_time", 3)],
        "vle_use_by_month": by_month,
        "vle_use_by_school": [
            (school, kind, "AI Conversation", 25, 140, False, False)
            for school in ("Law", HOSTILE[0])
            for kind in ("artefact", "interaction")
        ]
        + [("All", kind, "All", None, 280, False, True) for kind in ("artefact", "interaction")],
        "vle_use_by_role": [
            ("staff", "artefact", 15, 90, False, False),
            ("All", "artefact", None, 90, False, True),
            ("student", "interaction", None, None, True, False),
            ("All", "interaction", None, None, True, True),
        ],
        "vle_use_by_tool": [
            ("Blackboard", "artefact", 30, 200, False),
            (HOSTILE[2], "interaction", 10, 50, False),
        ],
        "lide_coverage": [("vle_csv", "collected", 43, None), ("vle_csv", "not collected", 2, "no export")],
        "calendar_day": [(day, "vacation" if day.weekday() > 4 else "teaching") for _, day in list_days()],
        "about": [
            ("courses in all", "412"),
            ("first day of VLE records", "2026-10-01"),
            ("last day of VLE records", "2026-11-14"),
            ("school & <i>college</i>", "as in the directory"),
        ],
    }


def publish(folder: Path, rows: dict[str, list[tuple[Any, ...]]], leave_out: tuple[str, ...] = ()) -> Path:
    """Write the three published files with these rows; tables in `leave_out` don't exist at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for audience, tables in AUDIENCES.items():
        with duckdb.connect(str(folder / f"{audience}.duckdb")) as connection:
            connection.execute(read_table("start_here"))
            for table in tables:
                name = table.removeprefix("lide_")
                if name in leave_out:
                    continue
                connection.execute(read_table(table).replace(f"TABLE {table} ", f"TABLE {name} "))
                _insert(connection, name, rows.get(table, []))
                connection.execute(
                    "INSERT INTO start_here VALUES (?, ?, ?)", [name, name, len(rows.get(table, []))]
                )
    return folder


def read_table(name: str) -> str:
    statements = (Path(__file__).parent / "published_tables.sql").read_text(encoding="utf-8").split(";")
    return next(one for one in statements if f"CREATE TABLE {name} (" in one)


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        frame = pl.DataFrame(rows, orient="row", infer_schema_length=None).to_arrow()
        connection.register("incoming", frame)
        connection.execute(f"INSERT INTO {name} SELECT * FROM incoming")
        connection.unregister("incoming")


def open_read_only(file: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(file), read_only=True)


def _detect_nothing(frames: Any, params: Any) -> pl.DataFrame:
    return pl.DataFrame()


def make_detection(title: str) -> Detection:
    return Detection(
        title=title,
        question=f"Was there {title.lower()}?",
        reads=("fct_external_use",),
        severity="medium",
        clauses=("6",),
        params={},
        innocent_explanations=("A workshop took place.",),
        blind_spots=("Personal devices.",),
        runbook=("Read the rows.", "Ask the school.", "Decide, with a reason."),
        detect=_detect_nothing,
    )


def make_context() -> ReportContext:
    start = datetime(2026, 9, 30, 23, tzinfo=UTC)  # midnight in London, summer time
    pulled = Source(
        title="Microsoft 365 audit log",
        family="m365",
        base_table="stg_m365_event",
        needs=("AuditLogsQuery.Read.All",),
        lag=timedelta(days=3),
        identify=lambda body: RecordIdentity(None, None),
    )
    return ReportContext(
        period=Window(start, datetime(2026, 11, 15, tzinfo=UTC)),
        made_at=datetime(2026, 11, 15, 7, 5, tzinfo=UTC),
        run_id="20261115T063000Z-7f",
        code_version="0.1.0",
        head_sha256="c0ffee" * 10 + "beef",
        detections={
            "external_tool_spike": make_detection("Unusual use of an external tool"),
            "prompt_attack_flag": make_detection("An attack flag"),
            "source_silence": make_detection("An expected source said nothing"),
        },
        sources={"m365_audit": pulled},
    )


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The three full pages by report."""
    folder = tmp_path_factory.mktemp("full")
    return render(publish(folder / "published", make_rows()), folder / "reports")


@pytest.fixture(scope="session")
def empty_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The three pages of a workspace whose tables have no row."""
    folder = tmp_path_factory.mktemp("empty")
    return render(publish(folder / "published", {}), folder / "reports")


@pytest.fixture
def render_rows(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Render other rows: `render_rows(rows, leave_out=(…))`."""

    def run(rows: dict[str, list[tuple[Any, ...]]], leave_out: tuple[str, ...] = ()) -> dict[str, str]:
        return render(publish(tmp_path / "published", rows, leave_out), tmp_path / "reports")

    return run


def render(published: Path, target: Path) -> dict[str, str]:
    written = render_reports(published, target, Settings(), make_context(), open_published=open_read_only)
    return {path.stem: path.read_text(encoding="utf-8") for path in written}
