"""The replica's flags, conversations and counters become canonical records; a table that is not there is a
gap with a name. The real SQL runs in test_vle_peers.py."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from builders import DAY, land, make_settings, make_workspace, parse_lines
from fake_drivers import FakeDriver, OperationalError, Rows, ServerError, at
from genai_audit.calendars import Window
from genai_audit.configuration import options_of
from genai_audit.errors import ConfigurationError, SourceUnavailableError
from genai_audit.registry import SourceContext, what_is_missing
from genai_audit.sources import _dda_tables as tables
from genai_audit.sources import _postgres
from genai_audit.sources._dda_tables import Columns
from genai_audit.sources._patience import UnreachableError
from genai_audit.sources._postgres import describe_connection
from genai_audit.sources.vle_dda import SOURCE, VleDdaOptions

WINDOW = Window(DAY, DAY + timedelta(hours=6))
COLUMNS = {
    "users": ("as_core", "pk1", "uuid"),
    "course_contents": ("crs_content", "pk1", "crsmain_pk1", "title", "dtcreated", "dtmodified",
                        "ai_state", "ai_accepting_user_pk1"),
    "qti_asi_data": ("assessment", "pk1", "ai_state"),
    "rubric": ("as_core", "pk1", "ai_state"),
    "blogs": ("blog", "pk1", "ai_state"),
    "msg_main": ("discussionboard", "pk1", "forummain_pk1", "ai_state", "ai_accepting_user_pk1"),
    "forum_main": ("discussionboard", "pk1", "confmain_pk1"),
    "conference_main": ("discussionboard", "pk1", "crsmain_pk1"),
    "cms_resource_link": ("cms", "pk1", "crsmain_pk1", "ai_state"),
    "attempt": ("gradebook", "pk1", "date_modified", "ai_state_instr_comments", "ai_user_instr_comments"),
    "attempt_staged_grading": ("gradebook", "pk1", "ai_state_instr_comments"),
    "group_attempt": ("gradebook", "pk1", "ai_state_instr_comments"),
    "group_attempt_staged_grading": ("gradebook", "pk1", "ai_state_instr_comments"),
    "ai_playground_conversation": ("course_messages", "pk1", "users_pk1", "title", "context_type",
                                   "model_name", "created_at"),
    "ai_playground_model_usage": ("ai_b2", "pk1", "users_pk1", "model_name", "usage_count"),
}  # fmt: skip
FLAG = {"pk1": 1, "flag": "O", "at": None, "person": "u1", "course": "_7_1"}
CONVERSATION = {"pk1": 4, "at": None, "person": "u1", "context_type": "AI_PLAYGROUND", "model_name": 3}
QUOTA = {"pk1": 9, "person": "_2_1", "model_name": 0, "usage_count": 12}


def list_columns(*left_out: str) -> Rows:
    return [
        {"table_schema": schema, "table_name": table, "column_name": column}
        for table, (schema, *columns) in COLUMNS.items()
        if table not in left_out
        for column in columns
    ]


def answer(columns: Rows | None = None, **rows: Rows | Exception) -> FakeDriver:
    """`rows`: by table name."""
    return FakeDriver(
        {"information_schema": columns if columns is not None else list_columns()}
        | {f'"{table}" t': found for table, found in rows.items()}
    )


@pytest.fixture
def context(tmp_path: Path) -> SourceContext:
    workspace = make_workspace(tmp_path)
    text = (
        '[vle_dda]\nhost = "/run/dda"\ndatabase = "BB1"\nuser = "audit"\nretry_seconds = 0.001\n'
        'batch_rows = 2\ntime_zone = "Europe/London"\n'
    )
    settings = make_settings(workspace, text)
    return SourceContext(settings, workspace.state / "vle_dda", options_of(settings, "vle_dda"))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(driver: FakeDriver) -> FakeDriver:
        monkeypatch.setattr(_postgres, "load_driver", lambda: driver)
        return driver

    return give


def pull(context: SourceContext) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert SOURCE.pull is not None
    records, facts = list[dict[str, Any]](), dict[str, Any]()
    for page in SOURCE.pull(WINDOW, context):
        records += [orjson.loads(one) for one in page.records]
        facts |= page.facts
    return records, facts


def test_flags_conversations_and_counters_are_records_of_three_kinds(
    context: SourceContext, use: Any
) -> None:
    driver = use(
        answer(
            course_contents=[FLAG | {"at": at(2026, 7, 6, 10)}],
            ai_playground_conversation=[CONVERSATION | {"at": at(2026, 12, 6, 10)}],
            ai_playground_model_usage=[QUOTA],
        )
    )
    records, facts = pull(context)
    flag, conversation, quota = records
    assert [row["record_kind"] for row in records] == ["artefact", "interaction", "quota_counter"]
    assert (flag["record_id"], flag["outcome"]) == ("dda-course_contents:1:O", "ai:O accepted")
    assert flag["occurred_at"] == "2026-07-06T09:00:00Z"  # British Summer Time by configuration
    assert (conversation["occurred_at"], conversation["tool"]) == (
        "2026-12-06T10:00:00Z", "Blackboard AI Playground, model 3",
    )  # fmt: skip
    assert (quota["record_id"], quota["quantity"]) == ("dda-quota:9:2026-10-06", "12")
    assert quota["occurred_at"] == "2026-10-06T05:59:59Z"
    assert facts["outcome"] == "complete"
    assert facts["ai_codes"] == "O: 1"
    assert driver.open_count == 0


@pytest.mark.parametrize(
    ("code", "outcome"), [("O", "ai:O accepted"), ("Y", "ai:Y not yet accepted"), ("P ", "ai:P")]
)
def test_the_code_is_kept_with_its_meaning_and_is_part_of_the_id(
    context: SourceContext, use: Any, code: str, outcome: str
) -> None:
    use(answer(rubric=[FLAG | {"flag": code, "person": None, "course": None}]))
    records, facts = pull(context)
    assert records[0]["outcome"] == outcome
    assert records[0]["record_id"] == f"dda-rubric:1:{code.strip()}"
    assert "actor_role" not in records[0]
    assert (facts["without_person"], facts["without_course"], facts["without_time"]) == (1, 1, 1)


def test_a_row_without_a_time_bears_that_of_the_snapshot(context: SourceContext, use: Any) -> None:
    use(answer(cms_resource_link=[FLAG]))
    assert pull(context)[0][0]["occurred_at"] == "2026-10-06T05:59:59Z"


def test_one_table_less_is_a_gap_and_the_others_are_read(context: SourceContext, use: Any) -> None:
    use(answer(list_columns("rubric"), blogs=[FLAG]))
    records, facts = pull(context)
    assert [row["record_id"] for row in records] == ["dda-blogs:1:O"]
    assert facts["outcome"] == "partial"
    assert facts["absent_tables"] == ["as_core.rubric"]
    assert "as_core.rubric" in facts["reason"]
    use(answer(blogs=[FLAG], rubric=ServerError(sqlstate="42501")))  # listed, and yet not to be read
    assert pull(context)[1]["absent_tables"] == ["as_core.rubric"]


def test_a_release_without_the_playground_is_complete(context: SourceContext, use: Any) -> None:
    use(answer(list_columns("ai_playground_conversation", "ai_playground_model_usage"), blogs=[FLAG]))
    facts = pull(context)[1]
    assert facts["outcome"] == "complete"
    assert "ai_b2.ai_playground_model_usage" in facts["reason"]


def test_nothing_at_all_proves_nothing(context: SourceContext, use: Any) -> None:
    use(answer())
    records, facts = pull(context)
    assert (records, facts["outcome"]) == ([], "unproven")
    use(answer([]))
    facts = pull(context)[1]
    assert facts["outcome"] == "unproven"
    assert len(facts["absent_tables"]) == len(tables.FLAGGED) + 2


def test_a_pull_that_breaks_off_is_partial_and_one_that_never_began_fails(
    context: SourceContext, use: Any
) -> None:
    driver = use(answer(rubric=[FLAG | {"pk1": n} for n in range(6)]))
    driver.breaks = ('"rubric" t', 4)
    records, facts = pull(context)
    assert len(records) == 4
    assert facts["outcome"] == "partial"
    assert "Secret" not in facts["reason"]
    for state, words in (("57014", "took too long"), ("40001", "replica had to go on"), ("08006", "08006")):
        use(answer(course_contents=ServerError(sqlstate=state)))
        with pytest.raises(SourceUnavailableError, match=words) as caught:
            pull(context)
        assert "Secret" not in str(caught.value)


def test_a_door_that_is_shut_for_a_moment_is_knocked_at_again(context: SourceContext, use: Any) -> None:
    driver = use(answer(blogs=[FLAG]))
    driver.refusals = [OperationalError("connection refused"), OperationalError("timeout expired")]
    assert pull(context)[1]["retry_count"] == 2
    driver.refusals = [OperationalError("connection refused")] * 20
    with pytest.raises(UnreachableError):
        pull(context)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('FATAL: password authentication failed for user "Secret"', "password_path"),
        ('FATAL: no pg_hba.conf entry for host "192.0.2.7", user "Secret"', "password_path"),
        ('FATAL: database "Secret" does not exist', "database"),
        ("SSL error: certificate verify failed", "ca_bundle"),
    ],
)
def test_a_refusal_is_configuration_and_is_not_repeated(
    context: SourceContext, use: Any, text: str, where: str
) -> None:
    driver = use(answer(blogs=[FLAG]))
    driver.refusals = [OperationalError(text), OperationalError(text)]
    with pytest.raises(ConfigurationError) as caught:
        pull(context)
    assert where in caught.value.where
    assert "Secret" not in str(caught.value)
    assert len(driver.refusals) == 1


def test_the_session_is_read_only_encrypted_and_bounded(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n", encoding="utf-8")
    password.chmod(0o600)
    options = VleDdaOptions(host="dda.example.com", database="BB1", user="a", password_path=password)
    given = describe_connection(options, "vle_dda")
    assert given["sslmode"] == "require"
    assert given["password"] == "open sesame"
    assert "default_transaction_read_only=on" in given["options"]
    assert "statement_timeout=3600000" in given["options"]
    trusting = options.model_copy(update={"ca_bundle": tmp_path / "ca.pem"})
    assert describe_connection(trusting, "vle_dda")["sslmode"] == "verify-full"
    here = options.model_copy(update={"host": "127.0.0.1"})
    assert describe_connection(here, "vle_dda")["sslmode"] == "prefer"
    with pytest.raises(ConfigurationError, match="names no file"):
        describe_connection(options.model_copy(update={"password_path": None}), "vle_dda")


def test_only_columns_that_exist_and_none_that_are_personal_are_asked_for() -> None:
    seen = Columns([(row["table_schema"], row["table_name"], row["column_name"]) for row in list_columns()])
    texts = [tables.ask_flagged(one, seen) or "" for one in tables.FLAGGED]
    texts += [tables.ask_conversations(seen) or "", tables.ask_quota(seen) or ""]
    assert all(texts)
    for text in texts:
        assert not {"title", "msg_text", "user_id", "*"} & set(text.replace(",", " ").split())
    contents, rubric, message = texts[0], texts[2], texts[4]
    assert 'GREATEST(t."dtcreated", t."dtmodified", t."dtmodified")' in contents
    assert "NULL AS at" in rubric
    assert "since" not in rubric
    assert message.count("LEFT JOIN") == 3
    assert 'j1."crsmain_pk1"' in message


def test_a_table_is_found_in_another_schema_and_its_name_is_quoted() -> None:
    seen = Columns([("public", "rubric", "pk1"), ('o"dd', "blogs", "pk1"), ("as_core", "rubric", "pk1")])
    assert seen.find("rubric", "as_core") == ('"as_core"."rubric"', {"pk1"})
    assert seen.find("rubric", "elsewhere") == ('"public"."rubric"', {"pk1"})
    assert seen.find("blogs", "blog") == ('"o""dd"."blogs"', {"pk1"})
    assert seen.find("none") is None


def test_landing_keeps_flags_of_former_days(tmp_path: Path) -> None:
    old = b'{"record_id":"dda-rubric:1:O","occurred_at":"2025-03-01T10:00:00Z","record_kind":"artefact"}'
    package = land(make_workspace(tmp_path), [old], source_id="vle_dda", source=SOURCE, window=WINDOW)
    assert package.counts["accepted"] == 1


def test_every_record_becomes_a_typed_row(context: SourceContext, use: Any, tmp_path: Path) -> None:
    when = {"at": at(2026, 10, 6, 10)}
    use(answer(**{one.table: [FLAG | when] for one in tables.FLAGGED},
               ai_playground_conversation=[CONVERSATION | when],
               ai_playground_model_usage=[QUOTA]))  # fmt: skip
    assert SOURCE.pull is not None
    lines = [line for page in SOURCE.pull(WINDOW, context) for line in page.records]
    found = parse_lines(tmp_path / "parsed", "vle_dda", lines)[1]
    assert found["stg_parse_problem"] == []
    assert len(found["stg_vle_use"]) == 12
    assert len({row["feature"] for row in found["stg_vle_use"]}) == 12
    assert "withheld" not in str(found)


def test_what_is_missing_is_said_and_probe_counts_what_is_visible(context: SourceContext, use: Any) -> None:
    assert "host" in what_is_missing("vle_dda", context.settings, SOURCE.options())
    assert what_is_missing("vle_dda", context.settings, context.options) == ""
    assert SOURCE.probe is not None
    use(answer(list_columns("rubric")))
    assert "9 of 10 tables" in SOURCE.probe(context)


def test_a_time_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with pytest.raises(ConfigurationError, match="time zone"):
        make_settings(workspace, '[vle_dda]\ntime_zone = "Europe/Lundon"\n')


def test_without_the_driver_the_extra_is_named(
    context: SourceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError) as caught:
        pull(context)
    assert "genai-audit[dda]" in caught.value.next_step
