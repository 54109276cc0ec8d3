"""VLE tables become canonical rows by a map; what isn't mapped is never read, and kinds are never mixed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from genai_audit.decoding import Decoder
from genai_audit.demo import vle_export
from genai_audit.errors import BadDataError, ConfigurationError, UsageError
from genai_audit.registry import SourceContext
from genai_audit.settings import Settings
from genai_audit.sources import _vle_map
from genai_audit.sources.vle_csv import SOURCE

SAMPLES = Path(__file__).parents[2] / "../shared/samples"
ULTRA = "event_id,event_time,person_uuid,course_number,object_id,course_role\n"
GENERIC = "record_kind,occurred_at,feature,actor,quantity\n"
MOODLE = "id,actionname,actionid,success,userid,contextid,provider,errorcode,timecreated,model\n"


def read(path: Path, kind: str | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found = kind or SOURCE.recognise(path, path.read_bytes()[:65536])
    assert found is not None, "not recognised"
    decoder = Decoder(Settings().privacy.content_keys)
    records: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    context = SourceContext(Settings(), path.parent / "state" / "vle_csv")
    for page in SOURCE.read(path, found, context):
        records += [decoder.decode(raw).value for raw in page.records]
        facts |= page.facts
    return records, facts


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_only_the_mapped_headers_stand_in_the_manifest(tmp_path: Path) -> None:
    text = ULTRA.replace("object_id", "object_id,Notes on Jane Doe,Remark")
    text += "e1,2026-10-01T10:00:00,u1,HIS101,ai.new for Jane Doe,x,y,S\n"
    records, facts = read(write(tmp_path / "x.csv", text), "illuminate_ultra_events")
    assert records[0]["feature"] == "unclassified: ai.new"
    assert "Jane" not in str(records) + str(facts)
    assert (facts["columns"], facts["other_columns"]) == (", ".join(ULTRA.strip().split(",")), 2)


def test_ultra_clicks_are_mapped_and_other_clicks_left_out_and_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        ULTRA + "e1,2026-10-01T10:00:00,u1,HIS101,ai.chat.chat.controls.send,S\n"
        "e1,2026-10-01T10:00:00,u1,HIS101,ai.chat.chat.controls.send,S\n"
        "e2,2026-10-01 10:00:01.250 +0000,u2,HIS101,ai.something.new,I\n"
        "e3,2026-10-01T10:00:02,u2,HIS101,course.outline.create.AiConversation,I\n"
        "e4,2026-10-01T10:00:03,u2,HIS101,base.menu.open,S\n",
    )
    assert SOURCE.recognise(path, path.read_bytes()) == "illuminate_ultra_events"
    records, facts = read(path)
    assert [row["feature"] for row in records] == [
        "AI Conversation: message sent",
        "AI Conversation: message sent",
        "unclassified: ai.something.new",
        "AI Conversation: set up by an instructor",
    ]
    assert records[0] == records[1]  # the landing counts the second as a duplicate
    assert records[0] == {
        "record_id": records[0]["record_id"],
        "occurred_at": "2026-10-01T10:00:00Z",
        "record_kind": "interaction",
        "actor": "u1",
        "actor_role": "student",
        "course": "HIS101",
        "feature": "AI Conversation: message sent",
        "tool": "Blackboard Learn Ultra",
        "map": "illuminate_ultra_events",
    }
    assert [row["actor_role"] for row in records[2:]] == ["staff", "staff"]
    assert (facts["file_rows"], facts["rows_not_genai"]) == (5, 1)


def test_ultra_events_as_json_are_unpacked_and_nothing_else_of_them_is_read(tmp_path: Path) -> None:
    event = (
        '"{""eventId"":""e1"",""userId"":""u1"",""contextId"":""_7_1"",""ipAddress"":""192.0.2.77"",'
        '""objectId"":""ai.chat.chat.controls.send""}"'
    )
    path = write(tmp_path / "x.csv", f"EVENT_TIME,EVENT_TYPE,DATA\n2026-10-01 10:00:00,click,{event}\n")
    records, _ = read(path)
    assert (records[0]["actor"], records[0]["course"]) == ("u1", "_7_1")
    assert "192.0.2.77" not in str(records)


def test_the_course_table_takes_its_day_from_the_file_name_alone(tmp_path: Path) -> None:
    text = (
        "Term Name,Course Number,Course Name,Items,AI Items,Pct AI Items\n"
        '2026/27,HIS101,"Secret, Title","1,200",30,2.5\n'
    )
    path = write(tmp_path / "aida 2026-07-22.csv", text)
    assert SOURCE.recognise(path, path.read_bytes()) == "illuminate_aida_courses"
    records, facts = read(path)
    row = records[0]
    assert row["occurred_at"] == "2026-07-21T23:00:00Z"  # the start of the UK day
    assert (row["record_kind"], row["quantity"], row["base_quantity"]) == ("aggregate", "30", "1200")
    assert "Secret" not in str(records)
    assert facts["occurred_at_from"] == "date in the file name"
    for name in ("aida.csv", "aida 2026-13-40.csv", "aida 12026-07-221.csv"):
        with pytest.raises(BadDataError, match="no day") as caught:
            read(write(tmp_path / name, text))
        assert "courses_2026-11-24.csv" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", "7"), ("1200.0", "1200"), ("1,200", "1200"), ("1 200", "1200"), ("12,345,678", "12345678"),
     ("1,5", None), ("1,50", None), ("1.5", None), ("1,2000", None), (",500", None), ("1 5", None),
     ("1,200 300", None), ("-3", None)],
)  # fmt: skip
def test_a_comma_stands_only_between_thousands(tmp_path: Path, text: str, number: str | None) -> None:
    row = "interaction;2026-12-01;x;p;"
    path = write(tmp_path / "x.csv", GENERIC.replace(",", ";") + f"{row}{text}\n{row}1\n")
    record = read(path)[0][0]
    assert record.get("problem") == (None if number else "not_a_number")
    assert number is None or record["quantity"] == number


def list_ids(path: Path) -> list[str]:
    return [row["record_id"] for row in read(path)[0]]


def test_equal_clicks_without_an_id_are_all_kept_and_imported_once(tmp_path: Path) -> None:
    click, other = "interaction,2026-12-01 10:30,x,p1,\n", "interaction,2026-12-01 10:30,x,p2,\n"
    ids = list_ids(write(tmp_path / "x.csv", GENERIC + click + other + click + click))
    assert len(set(ids)) == 4
    assert list_ids(write(tmp_path / "again.csv", GENERIC + click + other + click + click)) == ids
    longer = list_ids(write(tmp_path / "longer.csv", GENERIC + click * 4))
    assert longer[:3] == [ids[0], ids[2], ids[3]]  # a later export adds what is new
    assert len(set(longer)) == 4


def test_equal_rows_of_a_state_and_of_one_event_stay_one_record(tmp_path: Path) -> None:
    state = "aggregate,2026-12-01,x,p1,5\n"
    assert len(set(list_ids(write(tmp_path / "x.csv", GENERIC + state * 2)))) == 1
    event = "interaction,2026-12-01,x,p1,5,e1\n"
    path = write(tmp_path / "y.csv", GENERIC.replace("\n", ",event_id\n") + event * 2)
    assert len(set(list_ids(path))) == 1


def test_moodle_rows_are_provider_attempts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        MOODLE + "812,summarise_text,77,1,3021,5513,aiprovider_openai,,1791800000,gpt-4o\n"
        "813,summarise_text,78,0,3021,5513,aiprovider_azureai,\\N,1791800003,\\N\n",
    )
    assert SOURCE.recognise(path, path.read_bytes()) == "moodle_ai_action_register"
    records, _ = read(path)
    assert [row["outcome"] for row in records] == ["success", "failure"]
    assert records[0]["occurred_at"] == "2026-10-12T10:13:20Z"
    assert (records[0]["actor"], records[0]["tool"]) == ("3021", "aiprovider_openai")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_delimiters_encodings_and_local_times(tmp_path: Path, delimiter: str, encoding: str) -> None:
    text = (
        GENERIC + "interaction,01/07/2026 10:30,Frage für Café,p1,2\nInteraction,2026-12-01T10:30:00,x,p2,\n"
    )
    path = write(tmp_path / "x.csv", text.replace(",", delimiter), encoding)
    assert SOURCE.recognise(path, path.read_bytes()) == "generic"
    records, _ = read(path)
    assert records[0]["feature"] == "Frage für Café"
    assert [row["occurred_at"] for row in records] == ["2026-07-01T09:30:00Z", "2026-12-01T10:30:00Z"]


def test_a_windows_1252_letter_far_behind_the_head_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", GENERIC + "interaction,2026-12-01,x,p,1\n" * 4000)
    path.write_bytes(path.read_bytes() + "interaction,2026-12-01,Café,p,1\n".encode("cp1252"))
    assert read(path)[0][-1]["feature"] == "Café"


def test_parquet_reads_only_mapped_columns(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "x.parquet"
    pl.DataFrame(
        {
            "record_kind": ["interaction", "interaction"],
            "occurred_at": [datetime(2026, 7, 1, 9, tzinfo=UTC), None],
            "feature": ["summary", "x"],
            "title": ["never", "never"],
            "quantity": [3, None],
        }
    ).write_parquet(path)
    assert SOURCE.recognise(path, path.read_bytes()[:65536]) == "generic"
    records, facts = read(path)
    assert (records[0]["occurred_at"], records[0]["quantity"]) == ("2026-07-01T09:00:00Z", "3")
    assert "never" not in str(records)
    assert records[1]["problem"] == "no_occurred_at"
    assert facts["unreadable_lines"] == "2"


def test_a_bad_row_has_no_id_and_many_bad_rows_refuse_the_file(tmp_path: Path) -> None:
    good, bad = "interaction,2026-12-01,x,p1,1\n", "interaction,31/31/2026,x,p1,1\n"
    path = write(tmp_path / "x.csv", GENERIC + good + bad + good)
    records, facts = read(path)
    assert [SOURCE.identify(row).record_id is None for row in records] == [False, True, False]
    assert records[1]["problem"] == "no_time"
    assert facts["unreadable_lines"] == "3"
    for rows in (good + bad + bad, bad.replace("31/31/2026", "2026-12-01").replace(",1\n", ",one\n") * 2):
        with pytest.raises(BadDataError, match="line"):
            read(write(path, GENERIC + rows))
    with pytest.raises(BadDataError, match="line 3"):
        read(write(path, GENERIC + good + "interaction,2026-12-01,x\n"))


def test_record_kinds_are_never_mixed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", GENERIC + "artefact,2026-12-01,x,p,1\ninteraction,2026-12-01,x,p,1\n")
    with pytest.raises(BadDataError, match="mixes record kinds"):
        read(path)


def test_a_missing_column_is_named_with_the_nearest_header(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "record_kind,occured_att,feature\n")
    assert SOURCE.recognise(path, path.read_bytes()) is None
    with pytest.raises(BadDataError, match="nearest header: 'occured_att'"):
        read(path, "generic")
    with pytest.raises(BadDataError, match="twice"):
        read(write(path, "record_kind,occurred_at,feature,Feature\n"), "generic")


def test_an_own_map_is_found_in_the_workspace_and_its_mistakes_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "registers" / "vle_maps"
    folder.mkdir(parents=True)
    shipped = Path(_vle_map.__file__).with_name("vle_maps") / "generic.toml"
    text = (
        shipped.read_text()
        .replace('["feature"]', '["what"]')
        .replace('record_kind = ""', 'record_kind = "artefact"')
    )
    text = text.replace('required = ["record_kind", ', "required = [")
    write(folder / "learnwise.toml", text)
    path = write(tmp_path / "x.csv", "when,what,timestamp\n,x,2026-12-01\n")
    records, _ = read(path, "learnwise")
    assert (records[0]["record_kind"], records[0]["map"]) == ("artefact", "learnwise")
    with pytest.raises(UsageError, match="did you mean 'learnwise'"):
        read(path, "learnwize")
    write(folder / "learnwise.toml", text.replace('["what"]', '["email"]'))
    with pytest.raises(ConfigurationError, match="never_read"):
        read(path, "learnwise")
    write(folder / "learnwise.toml", "title = \n")
    with pytest.raises(ConfigurationError, match="TOML"):
        read(path, "learnwise")


@pytest.mark.parametrize("rows", ["", "e4,2026-10-01T10:00:03,u2,H,base.menu.open,S\n"])
def test_a_file_without_genai_activity_proves_nothing(tmp_path: Path, rows: str) -> None:
    records, facts = read(write(tmp_path / "x.csv", ULTRA + rows))
    assert records == []
    assert facts["outcome"] == "unproven"


def test_ids_differ_between_maps_and_keep_cells_apart() -> None:
    from datetime import date

    from genai_audit.sources._vle_rows import RowMapper

    rules = _vle_map.shipped_maps()["generic"]
    row: dict[Any, str] = {
        "event": "", "record_kind": "artefact", "occurred_at": "2026-12-01", "feature": "c",
        "actor": "ab", "course": "",
    }  # fmt: skip
    mapper = RowMapper("generic", rules, {}, date.min)
    ids = {
        mapper.build(row)["record_id"],
        mapper.build(row | {"actor": "a", "course": "b"})["record_id"],
        mapper.build(row | {"event": "1"})["record_id"],
        RowMapper("copy", rules, {}, date.min).build(row)["record_id"],
    }
    assert len(ids) == 4
    assert (
        mapper.build(row | {"event": "1"})["record_id"]
        == mapper.build(row | {"event": "1", "actor": "z"})["record_id"]
    )


def test_the_pretend_university_writes_what_the_maps_accept(tmp_path: Path) -> None:
    for columns, kind in (
        (vle_export.INTERACTION_COLUMNS, "illuminate_ultra_events"),
        (vle_export.COURSE_COLUMNS, "illuminate_aida_courses"),
    ):
        assert SOURCE.recognise(tmp_path, ",".join(columns).encode()) == kind


def test_every_shipped_map_names_what_it_never_reads() -> None:
    assert set(_vle_map.shipped_maps()) == {
        "ally_events", "generic", "illuminate_aida_courses", "illuminate_aida_instructors",
        "illuminate_ultra_events", "learnwise", "moodle_ai_action_register", "moodle_ai_policy_register",
    }  # fmt: skip
    assert all(rules.never_read for rules in _vle_map.shipped_maps().values())
    assert orjson.dumps({name: rules.title for name, rules in _vle_map.shipped_maps().items()})


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_public_samples_without_genai_activity_are_not_recognised() -> None:
    import gzip

    others = [*SAMPLES.rglob("*.csv"), *SAMPLES.rglob("*.jsonl"), *SAMPLES.rglob("*.json")]
    assert [path.name for path in others if SOURCE.recognise(path, path.read_bytes()[:65536])] == []
    for path in SAMPLES.glob("vle/OULAD/*.csv.gz"):
        with gzip.open(path) as file:
            assert SOURCE.recognise(path, file.read(65536)) is None
