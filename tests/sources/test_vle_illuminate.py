"""Illuminate's rows become canonical records; what is missing, refused or broken off is said, and is never
"no use". The real SQL runs in test_vle_peers.py."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from builders import day_window, land, make_settings, make_workspace, parse_lines
from fake_drivers import DatabaseError, FakeDriver, InterfaceError, OperationalError, Rows, at
from genai_audit.calendars import Window
from genai_audit.configuration import options_of
from genai_audit.errors import ConfigurationError, SourceUnavailableError
from genai_audit.registry import SourceContext, what_is_missing
from genai_audit.sources import _illuminate_sql as sql
from genai_audit.sources import _snowflake, _vle_map
from genai_audit.sources._illuminate_rows import Counts, EventMapper, map_item, map_total, name_feature
from genai_audit.sources._vle_features import Feature, Features, shipped_features
from genai_audit.sources._vle_rows import RowMapper
from genai_audit.sources.vle_illuminate import SOURCE

TABLES: Rows = [{"NAME": name} for name in (sql.EVENTS, sql.ITEMS, *sql.DIMENSION_TABLES)]
EVENT = {
    "EVENT_KEY": "e1", "EVENT_TIME": at(2026, 10, 6, 10), "USER_UUID": "u1",
    "OBJECT_ID": "ai.chat.chat.controls.send", "CONTEXT_ID": "_7_1", "IS_CREATING": False,
    "IS_PERSON_KNOWN": True, "IS_COURSE_KNOWN": True, "COURSE_ROLE": "S", "TERM_NAME": "2026/27",
    "SCHOOL": "School of History",
}  # fmt: skip
ITEM = {
    "ID": 5, "ITEM_TYPE": "TEST_QUESTION", "AI_STATUS": "Y", "CREATED_TIME": at(2026, 10, 6, 11),
    "IS_CONVERSATION": False, "PERSON_ID": 1, "USER_UUID": "u1", "CONTEXT_ID": "_7_1", "TERM_NAME": None,
    "SCHOOL": None,
}  # fmt: skip
TOTAL = {"COURSE_ID": 70, "ITEMS": 40, "AI_ITEMS": 3, "CONTEXT_ID": "_7_1", "TERM_NAME": None, "SCHOOL": None}
OLD = at(2027, 1, 1)


def answer(
    events: Rows | Exception = (), items: Rows | Exception = (), totals: Rows = (), *,
    tables: Rows = TABLES, now: datetime = OLD, arrived: int = 9,
) -> FakeDriver:  # fmt: skip
    return FakeDriver({
        "INFORMATION_SCHEMA": tables, "SYSDATE": [{"NOW": now}], "ARRIVED": [{"ARRIVED": arrived}],
        "WITH event": events, "WITH item": items, "WITH total": totals,
    })  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> SourceContext:
    workspace = make_workspace(tmp_path)
    password = tmp_path / "password"
    password.write_text("open sesame\n", encoding="utf-8")
    password.chmod(0o600)
    text = f'[vle_illuminate]\naccount = "xy"\ndatabase = "D"\npassword_path = "{password}"\nbatch_rows = 2\n'
    settings = make_settings(workspace, text)
    return SourceContext(settings, workspace.state / "vle_illuminate", options_of(settings, "vle_illuminate"))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(driver: FakeDriver) -> FakeDriver:
        monkeypatch.setattr(_snowflake, "load_driver", lambda: driver)
        return driver

    return give


def pull(context: SourceContext, window: Window | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert SOURCE.pull is not None
    records, facts = list[dict[str, Any]](), dict[str, Any]()
    for page in SOURCE.pull(window or day_window(), context):
        records += [orjson.loads(one) for one in page.records]
        facts |= page.facts
    return records, facts


def test_clicks_items_and_totals_are_records_of_three_kinds(context: SourceContext, use: Any) -> None:
    driver = use(answer([EVENT], [ITEM], [TOTAL], now=at(2026, 10, 7, 0, 5)))
    records, facts = pull(context)
    assert [row["record_kind"] for row in records] == ["interaction", "artefact", "aggregate"]
    event, item, total = records
    assert event["feature"] == "AI Conversation: message sent"
    assert (event["actor"], event["actor_role"], event["course"]) == ("u1", "student", "_7_1")
    assert (item["record_id"], item["outcome"]) == ("illuminate-item:5:Y", "ai:Y")
    assert (total["quantity"], total["base_quantity"]) == ("3", "40")
    assert total["occurred_at"] == "2026-10-06T23:59:59Z"
    assert facts["outcome"] == "complete"
    assert (facts["telemetry_rows"], facts["absent_tables"]) == (9, [])
    assert driver.open_count == 0
    asked = next(values for statement, values in driver.statements if statement.startswith("WITH event"))
    assert (asked["start"], asked["end"]) == ("2026-10-06 00:00:00", "2026-10-07 00:00:00")


def test_only_the_newest_window_tells_the_state_of_the_courses(context: SourceContext, use: Any) -> None:
    use(answer([EVENT], [], [TOTAL], now=at(2026, 10, 9, 3)))
    assert [row["record_kind"] for row in pull(context)[0]] == ["interaction"]


def test_a_click_that_was_imported_and_pulled_counts_once() -> None:
    rules = _vle_map.shipped_maps()["illuminate_ultra_events"]
    row: dict[Any, str] = {
        "event": "e1", "occurred_at": "2026-10-06 10:00:00", "feature": "ai.chat.chat.controls.send",
        "actor": "u1",
    }  # fmt: skip
    imported = RowMapper("illuminate_ultra_events", rules, {}, date.min).build(row)
    pulled = orjson.loads(EventMapper(shipped_features(), Counts()).map(EVENT) or b"{}")
    assert pulled["record_id"] == imported["record_id"]
    assert pulled["occurred_at"] == imported["occurred_at"]


def test_unknown_people_and_courses_are_kept_and_counted(context: SourceContext, use: Any) -> None:
    stranger = EVENT | {
        "EVENT_KEY": "e2",
        "IS_PERSON_KNOWN": False,
        "IS_COURSE_KNOWN": False,
        "COURSE_ROLE": None,
    }
    nobody = ITEM | {"ID": 6, "PERSON_ID": None, "USER_UUID": None}  # not even a person: nothing to match
    deleted = ITEM | {"ID": 7, "USER_UUID": None, "CONTEXT_ID": None}
    use(answer([EVENT, stranger], [nobody, deleted]))
    records, facts = pull(context)
    assert len(records) == 4
    assert (facts["unmatched_people"], facts["unmatched_courses"]) == (2, 2)


@pytest.mark.parametrize(
    ("object_id", "is_creating", "feature"),
    [
        ("ai.chat.chat.controls.send", False, "AI Conversation: message sent"),
        ("ai.brand.new", False, "unclassified: ai.brand.new"),
        ("course.AiConversation", True, "AI Conversation: set up by an instructor"),
        ("course.AiConversation", False, "unclassified: course.AiConversation"),
        ("Jane wrote it in course.AiConversation", False, "unclassified: Jane"),
        ("aixchat", False, None),  # the query's ILIKE may let it through
    ],
)
def test_unlisted_ids_are_unclassified_and_others_none_of_ours(
    object_id: str, is_creating: bool, feature: str | None
) -> None:
    named = name_feature(object_id, is_creating, shipped_features())
    assert (named[0] if named else None) == feature


def test_the_register_says_what_is_asked_for(context: SourceContext, use: Any) -> None:
    context.registers.mkdir(exist_ok=True)
    (context.registers / "vle_features.csv").write_text(
        "match_kind,pattern,feature,tool,status,note\nobject_id,tutor.bot?.*,Tutor,Tutor Bot,unknown,\n",
        encoding="utf-8",
    )
    driver = use(answer([EVENT | {"OBJECT_ID": "tutor.bot1.send"}]))
    assert (pull(context)[0][0]["feature"], pull(context)[0][0]["tool"]) == ("Tutor", "Tutor Bot")
    asked = next(values for statement, values in driver.statements if statement.startswith("WITH event"))
    assert [asked[f"pattern_{place}"] for place in range(3)] == ["tutor.bot_.%", "ai.%", "%AiConversation"]


@pytest.mark.parametrize(("code", "unknown"), [("Y", 0), ("P", 0), ("Q", 1), ("N", 0), (None, 0)])
def test_the_vendors_code_is_kept_and_part_of_the_id(code: str | None, unknown: int) -> None:
    counts = Counts()
    record = orjson.loads(
        map_item(ITEM | {"AI_STATUS": code, "IS_CONVERSATION": code in ("N", None)}, counts)
    )
    assert record["outcome"] == f"ai:{code or 'none'}"
    assert record["record_id"].endswith(f":{code or 'none'}")
    assert counts.unknown_ai_codes == unknown


@pytest.mark.parametrize(("arrived", "reason"), [(0, "no telemetry row of any kind"), (7, "none of the 7")])
def test_an_empty_window_proves_nothing(context: SourceContext, use: Any, arrived: int, reason: str) -> None:
    use(answer(arrived=arrived))
    records, facts = pull(context)
    assert records == []
    assert facts["outcome"] == "unproven"
    assert reason in facts["reason"]


def test_a_table_outside_the_licence_is_a_gap_with_a_name(context: SourceContext, use: Any) -> None:
    driver = use(answer(items=[ITEM], tables=[{"NAME": sql.ITEMS}]))
    records, facts = pull(context)
    assert len(records) == 1
    assert facts["outcome"] == "partial"
    assert facts["absent_tables"] == [sql.EVENTS]
    assert "licence" in facts["reason"]
    assert facts["absent_dimensions"] == list(sql.DIMENSION_TABLES)
    statement = next(text for text, _ in driver.statements if text.startswith("WITH item"))
    assert "CDM_LMS.PERSON" not in statement  # an empty dimension stands in for it
    use(answer(tables=[]))
    assert pull(context)[1]["outcome"] == "unproven"
    use(answer(DatabaseError(errno=2003), [ITEM]))  # listed, and yet not to be read
    assert pull(context)[1]["absent_tables"] == [sql.EVENTS]


def test_a_pull_that_breaks_off_is_partial_and_one_that_never_began_fails(
    context: SourceContext, use: Any
) -> None:
    driver = use(answer([EVENT | {"EVENT_KEY": str(n)} for n in range(9)]))
    driver.breaks = ("WITH event", 4)
    records, facts = pull(context)
    assert len(records) == 4
    assert facts["outcome"] == "partial"
    assert "Secret" not in facts["reason"]
    use(answer(OperationalError(errno=604), [ITEM]))
    with pytest.raises(SourceUnavailableError, match="604") as caught:
        pull(context)
    assert "Secret" not in str(caught.value)
    use(answer(DatabaseError(errno=606), [ITEM]))
    with pytest.raises(ConfigurationError, match="warehouse"):
        pull(context)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DatabaseError(errno=390100), ConfigurationError),  # wrong or expired password
        (OperationalError(errno=250001), SourceUnavailableError),
        (InterfaceError(errno=250003), SourceUnavailableError),
    ],
)
def test_a_refused_sign_in_is_configuration_and_silence_is_not(
    context: SourceContext, use: Any, error: Exception, kind: type[Exception]
) -> None:
    use(FakeDriver()).refusals = [error]
    with pytest.raises(kind) as caught:
        pull(context)
    assert "Secret" not in f"{caught.value} {getattr(caught.value, 'next_step', '')}"


def test_the_session_is_private_and_silent(context: SourceContext, use: Any) -> None:
    driver = use(answer([EVENT]))
    pull(context)
    assert driver.given["password"] == "open sesame"
    assert driver.given["protocol"] == "https"
    assert driver.given["session_parameters"]["CLIENT_TELEMETRY_ENABLED"] is False
    assert driver.telemetry_enabled is False
    open_door = context.options.model_copy(update={"protocol": "http", "host": "db.example.com"})
    with pytest.raises(ConfigurationError, match="https"):
        pull(SourceContext(context.settings, context.state_dir, open_door))


def test_a_key_stands_in_for_the_password(context: SourceContext, use: Any, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = tmp_path / "key.pem"
    pem.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    pem.chmod(0o600)
    driver = use(answer([EVENT]))
    keyed = context.options.model_copy(update={"private_key_path": pem})
    pull(SourceContext(context.settings, context.state_dir, keyed))
    assert serialization.load_der_private_key(driver.given["private_key"], None)
    assert "password" not in driver.given
    pem.write_text("no key", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="PEM"):
        pull(SourceContext(context.settings, context.state_dir, keyed))


def test_no_personal_column_is_selected() -> None:
    everything = {name for row in TABLES for name in row.values()}
    texts = [sql.ask_events(("ai.*",), everything)[0], sql.ask_items(everything), sql.ask_totals(everything)]
    for text in texts:
        for word in (
            "FIRST_NAME",
            "LAST_NAME",
            "EMAIL",
            "ipAddress",
            "userAgent",
            "sessionId",
            "NAME AS COURSE",
            "*,",
        ):
            assert word not in text
        assert "interactionUrl" not in text.replace("LOWER(DATA:interactionUrl::string) LIKE", "")


def test_landing_keeps_clicks_that_are_older_than_their_window(tmp_path: Path) -> None:
    late = EventMapper(shipped_features(), Counts()).map(EVENT | {"EVENT_TIME": at(2026, 10, 1)})
    package = land(
        make_workspace(tmp_path),
        [late or b""],
        source_id="vle_illuminate",
        source=SOURCE,
        window=day_window(),
    )
    assert package.counts["accepted"] == 1


def test_every_record_becomes_a_typed_row(tmp_path: Path) -> None:
    rows = [EventMapper(shipped_features(), Counts()).map(EVENT), map_item(ITEM, Counts())]
    rows.append(map_total(TOTAL, at(2026, 10, 6, 23), Counts()))
    tables = parse_lines(tmp_path, "vle_illuminate", [row or b"" for row in rows])[1]
    assert tables["stg_parse_problem"] == []
    typed = {row["record_kind"]: row for row in tables["stg_vle_use"]}
    assert set(typed) == {"interaction", "artefact", "aggregate"}
    assert typed["interaction"]["person_key"] == typed["artefact"]["person_key"]
    assert len({row["course_key"] for row in typed.values()}) == 1
    assert (typed["aggregate"]["quantity"], typed["aggregate"]["base_quantity"]) == (3, 40)
    assert "withheld" not in str(tables)


def test_what_is_missing_is_said_and_probe_names_what_is_not_visible(
    context: SourceContext, use: Any
) -> None:
    assert "account" in what_is_missing("vle_illuminate", context.settings, SOURCE.options())
    assert what_is_missing("vle_illuminate", context.settings, context.options) == ""
    assert SOURCE.probe is not None
    use(answer(tables=TABLES[1:]))
    assert f"not visible: {sql.EVENTS}" in SOURCE.probe(context)
    use(answer())
    assert "all tables" in SOURCE.probe(context)


def test_without_the_driver_the_extra_is_named(
    context: SourceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "snowflake.connector", None)
    with pytest.raises(ConfigurationError) as caught:
        pull(context)
    assert "genai-audit[illuminate]" in caught.value.next_step


def test_wildcards_of_the_register_reach_the_query_no_narrower() -> None:
    assert sql.to_like("ai.[ab]*_x%") == "ai.%%_x_"
    features = Features((Feature("object_id", "ai.[ab]*", "F", "T"),))
    assert name_feature("ai.b1", False, features) == ("F", "T")
