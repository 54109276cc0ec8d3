"""The marts, by the rules that readers rely on: twins, labels in force, tools, coverage, people."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from builders import count_days
from genai_audit.models import order_models
from genai_audit.warehouse import Warehouse

DAY = date(2026, 10, 6)
NOON = datetime(2026, 10, 6, 11, tzinfo=UTC)
HEAD = {"occurred_at": NOON, "occurred_day": DAY, "source": "m365_audit", "package_id": "p1", "line_no": 1}


@pytest.fixture
def warehouse(tmp_path: Any) -> Iterator[Warehouse]:
    with Warehouse(tmp_path / "warehouse.duckdb") as opened:
        opened.replace("stg_m365_event", [HEAD | {"record_id": "base"}])  # a day with a record gets its marts
        count_days(opened, "stg_m365_event")
        yield opened


def put(warehouse: Warehouse, table: str, *rows: dict[str, Any]) -> None:
    warehouse.replace(table, rows)
    warehouse.connection.execute("INSERT INTO touched_day VALUES ($day)", {"day": DAY})


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    warehouse.build()
    return warehouse.connection.execute(sql).fetchall()


def interaction(record_id: str, **values: Any) -> dict[str, Any]:
    usual = {"record_id": record_id, "record_type": 261, "person_key": "ps_a", "app_host": "Word",
             "message_count": 2, "prompt_count": 1, "response_count": 1, "resource_count": 0}  # fmt: skip
    return HEAD | usual | values


RUNTIME = {
    "app_host": "m365copilot",
    "message_count": 0,
    "prompt_count": 0,
    "agent_id": "guid",
    "conversation_key": "c",
}
CLIENT = {"app_host": "Office", "agent_id": "T_x.guid", "conversation_key": "c"}


@pytest.mark.parametrize(
    ("seconds", "change", "is_twin"),
    [(5, {}, True), (15, {}, True), (600, {}, False), (5, {"person_key": "ps_b"}, False),
     (5, {"agent_id": "T_x.other"}, False), (5, {"conversation_key": "d"}, False)],
)  # fmt: skip
def test_a_studio_turn_is_paired_with_its_client_record(
    warehouse: Warehouse, seconds: int, change: dict[str, Any], is_twin: bool
) -> None:
    later = {"occurred_at": NOON + timedelta(seconds=seconds)}
    put(
        warehouse, "stg_interaction", interaction("r", **RUNTIME), interaction("c", **CLIENT | later | change)
    )
    rows = ask(warehouse, "SELECT record_id, is_twin FROM fct_interaction ORDER BY 1")
    assert rows == [("c", False), ("r", is_twin)]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, None),
        ({"app_host": "Copilot Studio"}, "studio test pane"),
        ({"app_host": "PVA-Maker-Evaluation"}, "maker evaluation"),
        ({"app_host": "autonomous"}, "autonomous run"),
        (RUNTIME, "studio runtime twin"),
        ({"app_host": "m365copilot"}, None),
        ({"agent_id": "00000000-0000-0000-0000-000000000000"}, "Fabric agent"),
    ],
)
def test_what_is_not_end_user_use_is_marked_not_dropped(
    warehouse: Warehouse, values: dict[str, Any], reason: str | None
) -> None:
    put(warehouse, "stg_interaction", interaction("r", **values))
    assert ask(warehouse, "SELECT is_end_user, exclusion_reason FROM fct_interaction") == [
        (reason is None, reason)
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("2026-01-01", None, 40)], (40, True)),
        ([("2026-10-07", None, 40)], (None, False)),
        ([("2026-01-01", "2026-10-05", 10), ("2026-10-06", None, 40)], (40, True)),
        ([("2026-01-01", "2026-10-06", 10), ("2026-10-07", None, 40)], (10, True)),
        ([], (None, False)),
    ],
)
def test_a_label_has_the_rank_that_was_in_force_on_the_day(
    warehouse: Warehouse, rows: list[tuple[str, str | None, int]], expected: tuple[int | None, bool]
) -> None:
    put(
        warehouse,
        "stg_label",
        *({"label_id": "l", "label_name": "L", "label_rank": rank, "valid_from": start, "valid_to": end}
          for start, end, rank in rows),
    )  # fmt: skip
    put(warehouse, "stg_resource_access", HEAD | {"record_id": "r", "resource_no": 1, "label_id": "l"})
    assert ask(warehouse, "SELECT label_rank, is_label_known FROM fct_resource_access") == [expected]


@pytest.mark.parametrize(
    ("domain", "tool"),
    [("chatgpt.com", "chatgpt"), ("ab.chatgpt.com", "chatgpt"), ("notchatgpt.com", None),
     ("chat.openai.com", "old"), ("openai.com", "openai"), (None, None)],
)  # fmt: skip
def test_a_device_upload_counts_only_when_the_register_knows_the_domain(
    warehouse: Warehouse, domain: str | None, tool: str | None
) -> None:
    entries = (("chatgpt", "chatgpt.com"), ("openai", "openai.com"), ("old", "chat.openai.com"))
    put(
        warehouse,
        "stg_tool",
        *({"tool_id": name, "tool_name": name, "tool_status": "unknown", "match_kind": "domain",
           "match_value": value, "vendor": "", "hosting": ""} for name, value in entries),
    )  # fmt: skip
    put(warehouse, "stg_dlp_event", HEAD | {"record_id": "r", "target_domain": domain, "channel": "endpoint"})
    rows = ask(warehouse, "SELECT tool_id, channel, is_use FROM fct_external_use")
    assert rows == ([(tool, "endpoint_dlp", True)] if tool else [])


@pytest.mark.parametrize(
    ("identity", "tool"),
    [("AIApp.SaaS.ChatGPT", "chatgpt"), ("aiapp.saas.chatgpt.enterprise", "chatgpt"),
     ("AIApp.SaaS.Unheard", "aiapp.saas.unheard"), ("a@b.example", "not stated"), (None, "word")],
)  # fmt: skip
def test_an_ai_app_that_the_register_lacks_is_kept_and_named_only_if_it_looks_like_a_name(
    warehouse: Warehouse, identity: str | None, tool: str
) -> None:
    put(
        warehouse,
        "stg_tool",
        {"tool_id": "chatgpt", "tool_name": "ChatGPT", "tool_status": "unknown", "match_kind": "app_identity",
         "match_value": "AIApp.SaaS.ChatGPT", "vendor": "", "hosting": ""},
    )  # fmt: skip
    put(warehouse, "stg_interaction", interaction("r", record_type=284, app_identity=identity))
    assert ask(warehouse, "SELECT tool_id FROM fct_external_use") == [(tool,)]


def test_only_what_was_used_makes_a_person_active(warehouse: Warehouse) -> None:
    entry = {"match_kind": "domain", "match_value": "chatgpt.com", "channel": "web_log"}
    tool = {"tool_id": "t", "tool_name": "T", "tool_status": "unknown", "vendor": "", "hosting": ""}
    put(warehouse, "stg_tool", tool | {name: entry[name] for name in ("match_kind", "match_value")})
    rows = [
        HEAD | entry | {"record_id": f"r{n}", "record_kind": kind, "is_use": is_use, "person_key": f"ps_{n}"}
        for n, (kind, is_use) in enumerate([("event", True), ("event", False), ("aggregate", True)])
    ]
    put(warehouse, "stg_external_use", *rows)
    assert ask(warehouse, "SELECT person_key FROM fct_person_day WHERE person_key IS NOT NULL") == [("ps_0",)]
    kept = warehouse.connection.execute(
        "SELECT record_id, is_use FROM fct_external_use ORDER BY 1"
    ).fetchall()
    assert kept == [("r0", True), ("r1", False), ("r2", True)]


def test_a_person_seen_by_upn_and_by_object_id_is_one(warehouse: Warehouse) -> None:
    put(
        warehouse,
        "stg_directory",
        {"person_key": "ps_oid", "alias_key": "ps_upn", "unit_id": "u1", "role": "staff"},
    )
    put(warehouse, "stg_unit", {"unit_id": "u1", "unit_name": "School of Arts", "parent_unit_name": ""})
    keys = ("ps_oid", "ps_upn", "ps_stranger")
    put(warehouse, "stg_interaction", *(interaction(key, person_key=key) for key in keys))
    put(warehouse, "stg_m365_event", *(HEAD | {"record_id": key, "person_key": key} for key in keys))
    rows = ask(warehouse, "SELECT record_id, person_key, unit_id, role FROM fct_interaction ORDER BY 1")
    assert rows == [
        ("ps_oid", "ps_oid", "u1", "staff"),
        ("ps_stranger", "ps_stranger", None, "unknown"),
        ("ps_upn", "ps_oid", "u1", "staff"),
    ]
    assert ask(warehouse, "SELECT count(*) FROM dim_person") == [(2,)]


def package(
    seq: int, start: datetime | None, hours: float, outcome: str = "complete", **values: Any
) -> dict[str, Any]:
    window = {"window_start": start, "window_end": start + timedelta(hours=hours)} if start else {}
    counts = {f"{name}_count": 0 for name in ("received", "accepted", "duplicate", "quarantined", "trimmed")}
    usual = {"seq": seq, "package_id": f"p{seq}", "source": "m365_audit", "kind": "pull", "outcome": outcome,
             "reason": "", "window_start": None, "window_end": None, "min_occurred_at": None,
             "max_occurred_at": None}  # fmt: skip
    return usual | counts | window | values


MIDNIGHT = datetime(2026, 10, 5, 23, tzinfo=UTC)  # of the UK day 6 October, in summer time
EARLIER = MIDNIGHT - timedelta(hours=5)


@pytest.mark.parametrize(
    ("packages", "status"),
    [
        ([package(1, MIDNIGHT, 24)], "collected"),
        ([package(1, MIDNIGHT, 12), package(2, MIDNIGHT + timedelta(hours=12), 12)], "collected"),
        ([package(1, EARLIER, 24), package(2, EARLIER + timedelta(hours=24), 9)], "collected"),
        ([package(1, MIDNIGHT, 23)], "partly"),
        ([package(1, MIDNIGHT, 12), package(2, MIDNIGHT + timedelta(hours=13), 11)], "partly"),
        ([package(1, MIDNIGHT, 24, "capped", reason="one minute")], "partly"),
        ([package(1, MIDNIGHT, 24, "partial")], "partly"),
        ([package(1, MIDNIGHT, 24, "unproven")], "unproven"),
        ([package(1, MIDNIGHT, 24, "failed", reason="403")], "not collected"),
        ([package(1, MIDNIGHT, 24, "failed"), package(2, MIDNIGHT, 24)], "collected"),
        ([package(1, MIDNIGHT, 24), package(2, MIDNIGHT, 24, "failed")], "collected"),
        ([package(1, None, 0, kind="import", min_occurred_at=NOON, max_occurred_at=NOON)], "collected"),
    ],
)
def test_coverage_says_what_was_collected(
    warehouse: Warehouse, packages: list[dict[str, Any]], status: str
) -> None:
    warehouse.replace("stg_package", packages)
    sql = f"SELECT coverage_status, reason <> '' FROM fct_coverage WHERE covered_day = '{DAY}'"
    assert ask(warehouse, sql) == [(status, True)]


def test_an_expected_source_without_any_package_is_not_collected(warehouse: Warehouse) -> None:
    warehouse.replace("stg_package", [package(1, MIDNIGHT, 24)])
    warehouse.replace(
        "stg_expected_source",
        [{"source": "vle_csv", "is_configured": True}, {"source": "m365_x", "is_configured": False}],
    )
    rows = ask(warehouse, "SELECT source, coverage_status, reason, is_expected FROM fct_coverage ORDER BY 1")
    assert rows[0][:2] == ("m365_audit", "collected")
    assert rows[1:] == [
        ("m365_x", "not collected", "the source is not configured", True),
        ("vle_csv", "not collected", "no pull and no imported file covers this day", True),
    ]


@pytest.mark.parametrize(
    ("day", "status"),
    [("2026-10-07", "unproven"), ("2026-10-10", "collected"), ("2026-12-25", "collected")],  # a Wednesday, a
)  # Saturday, Christmas Day
def test_a_weekday_without_any_record_proves_nothing(warehouse: Warehouse, day: str, status: str) -> None:
    warehouse.replace("stg_package", [package(1, MIDNIGHT, 24 * 90)])
    warehouse.replace("stg_bank_holiday", [{"holiday": "2026-12-25", "holiday_name": "Christmas Day"}])
    sql = f"SELECT coverage_status FROM fct_coverage WHERE covered_day = '{day}'"
    assert ask(warehouse, sql) == [("collected",)]
    warehouse.replace("stg_expected_source", [{"source": "m365_audit", "is_configured": True}])
    assert ask(warehouse, sql) == [(status,)]


def test_a_file_proves_only_the_days_that_it_has_records_of(warehouse: Warehouse) -> None:
    span = {"min_occurred_at": NOON, "max_occurred_at": NOON + timedelta(days=300)}
    warehouse.replace("stg_package", [package(1, None, 0, kind="import", **span)])
    rows = ask(warehouse, "SELECT coverage_status, count(*) FROM fct_coverage GROUP BY ALL ORDER BY 1")
    assert rows == [("collected", 1)]  # the calendar ends with the last record's day that any source has


def test_a_guest_seen_later_is_a_guest_from_the_start_as_in_a_rebuild(warehouse: Warehouse) -> None:
    earlier = {"occurred_day": DAY - timedelta(days=1), "occurred_at": NOON - timedelta(days=1)}
    seen = [HEAD | {"record_id": "a", "person_key": "ps_g", "user_type": "regular"} | earlier]
    put(warehouse, "stg_m365_event", *seen)
    warehouse.build()
    put(
        warehouse,
        "stg_m365_event",
        *seen,
        HEAD | {"record_id": "b", "person_key": "ps_g", "user_type": "guest"},
    )
    assert ask(warehouse, "SELECT role, is_resolved FROM dim_person") == [("guest", False)]


def test_kinds_of_vle_records_stay_apart(warehouse: Warehouse) -> None:
    kinds = ("artefact", "interaction", "quota_counter", "aggregate")
    put(
        warehouse,
        "stg_vle_use",
        *(
            HEAD | {"record_id": kind, "record_kind": kind, "quantity": 1, "source": "vle_csv"}
            for kind in kinds
        ),
    )
    assert ask(warehouse, "SELECT record_kind FROM fct_vle_use ORDER BY 1") == [
        (kind,) for kind in sorted(kinds)
    ]


def test_of_an_item_whose_ai_code_changed_the_newest_record_counts(warehouse: Warehouse) -> None:
    earlier = {"occurred_day": DAY - timedelta(days=3), "occurred_at": NOON - timedelta(days=3)}
    dda = HEAD | {"record_kind": "artefact", "source": "vle_dda"}
    item = HEAD | {"record_kind": "artefact", "source": "vle_illuminate"}
    first = [
        dda | earlier | {"record_id": "dda-blogs:1:Y", "package_id": "b"},
        dda | {"record_id": "dda-blogs:2:Y", "package_id": "b"},
        item | {"record_id": "illuminate-item:1:P", "package_id": "b"},
        item | {"record_id": "illuminate-item:1:Y", "package_id": "c"},
        item | {"record_id": "illuminate-item:1:Y:x", "source": "vle_csv", "package_id": "c"},
    ]
    warehouse.build()
    warehouse.replace("stg_package", [{"package_id": name, "seq": n} for n, name in enumerate("bca")])
    put(warehouse, "stg_vle_use", *first)
    warehouse.connection.execute("INSERT INTO touched_day VALUES ($day)", {"day": earlier["occurred_day"]})
    left = ["dda-blogs:1:Y", "dda-blogs:2:Y", "illuminate-item:1:Y", "illuminate-item:1:Y:x"]
    sql = "SELECT record_id FROM fct_vle_use ORDER BY 1"
    assert ask(warehouse, sql) == [(one,) for one in left]
    # A blog bears the time of its last change: the older record, on another day, goes too.
    put(warehouse, "stg_vle_use", *first, dda | {"record_id": "dda-blogs:1:O", "package_id": "a"})
    assert ask(warehouse, sql) == [(one,) for one in ("dda-blogs:1:O", *left[1:])]


def test_only_touched_days_are_rebuilt_and_a_changed_register_touches_all(warehouse: Warehouse) -> None:
    other = {"occurred_day": DAY - timedelta(days=1), "occurred_at": NOON - timedelta(days=1)}
    put(warehouse, "stg_interaction", interaction("a"), interaction("b", **other))
    put(warehouse, "stg_m365_event", HEAD | {"record_id": "a"}, HEAD | {"record_id": "b"} | other)
    count_days(warehouse, "stg_m365_event")
    assert ask(warehouse, "SELECT count(*) FROM fct_interaction") == [(2,)]
    warehouse.connection.execute("UPDATE fct_interaction SET app_host = 'changed'")
    put(warehouse, "stg_interaction", interaction("a"), interaction("b", **other))
    rows = ask(warehouse, "SELECT record_id, app_host FROM fct_interaction ORDER BY 1")
    assert rows == [("a", "Word"), ("b", "changed")]
    put(warehouse, "stg_unit", {"unit_id": "u", "unit_name": "U", "parent_unit_name": ""})
    assert ask(warehouse, "SELECT count(*) FROM fct_interaction WHERE app_host = 'changed'") == [(0,)]


def test_models_run_after_what_they_read() -> None:
    models = {
        "fct_b": "SELECT * FROM dim_a JOIN stg_x USING (k)",
        "dim_a": "SELECT 1",
        "fct_a": "SELECT * FROM fct_b",
    }
    assert order_models(models) == ["dim_a", "fct_b", "fct_a"]
