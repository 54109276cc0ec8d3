"""Discovered apps: AI categories only, from the interface and from the portal's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app_pulls import count, make_context, pull, serve
from genai_audit.demo.graph_apps import AppData
from genai_audit.demo.tenant import Faults
from genai_audit.errors import BadDataError, PermissionMissingError
from genai_audit.sources._discovered_apps import read_number
from genai_audit.sources._mapped_rows import UnreadableRowError
from genai_audit.sources.m365_cloud_discovery import SOURCE

HEADER = (
    "App name,Score,Category,Traffic (MB),Upload (MB),Transactions,Users,IP addresses,Last seen,Top user\n"
)
FAULTY = {"where": ("streams", "discovered")}


def app(number: int, category: str = "generativeAi", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{number}", "displayName": f"App {number}", "category": category,
        "domains": [f"app{number}.example"],
        "userCount": 12, "transactionCount": 340, "uploadNetworkTrafficInBytes": 5_000_000_000,
        "downloadNetworkTrafficInBytes": 1, "lastSeenDateTime": "2026-10-05T00:00:00Z", "riskScore": 4,
        "topUser": "somebody@westbridge.example",
    } | more  # fmt: skip


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert SOURCE.read is not None
    import orjson

    records: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    for page in SOURCE.read(path, "discovered_apps", make_context(SOURCE, path.parent, **options)):
        records += [orjson.loads(raw) for raw in page.records]
        facts |= page.facts
    return records, facts


def test_ai_categories_of_every_stream_also_those_with_new_names(tmp_path: Path) -> None:
    data = AppData(discovered={
        "managed": [app(1), app(2, "cloudStorage"), app(3, "aiModelProvider"), app(4, "mcpServer")],
        "a b'c": [app(1), app(5, "clientAiApp")],
    })  # fmt: skip
    with serve(tmp_path, data, ignores_select=True) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert [(record["stream"], record["id"]) for record in records] == [
        ("managed", "1"), ("managed", "3"), ("managed", "4"), ("a b'c", "1"), ("a b'c", "5"),
    ]  # fmt: skip
    assert records[0] == {
        "stream": "managed", "period_days": 7, "id": "1", "displayName": "App 1",
        "category": "generativeAi",
        "domains": ["app1.example"], "userCount": 12, "transactionCount": 340,
        "uploadNetworkTrafficInBytes": 5_000_000_000, "lastSeenDateTime": "2026-10-05T00:00:00Z",
    }  # fmt: skip
    assert (facts["streams"], facts["left_out"], facts["outcome"]) == (2, 1, "complete")


def test_period_and_categories_are_settings(tmp_path: Path) -> None:
    data = AppData(discovered={"s": [app(1), app(2, "education")]})
    with serve(tmp_path, data) as (tenant, _):
        context = make_context(SOURCE, tmp_path, tenant, period_days=30, categories=["Education"])
        records, facts = pull(SOURCE, context)
        assert all(one.path.startswith("/beta/") for one in tenant.requests if one.kind == "discovered")
        assert any("duration'P30D'" in one.path for one in tenant.requests)
    assert [(record["id"], record["period_days"]) for record in records] == [("2", 30)]
    assert facts["outcome"] == "complete"


@pytest.mark.parametrize(("discovered", "words"), [({}, "no traffic log"), ({"s": []}, "no application")])
def test_nothing_fed_in_or_nothing_found_is_unproven(
    tmp_path: Path, discovered: dict[str, Any], words: str
) -> None:
    with serve(tmp_path, AppData(discovered=discovered)) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (records, facts["outcome"]) == ([], "unproven")
    assert words in facts["reason"]


def test_applications_but_no_ai_among_them_is_a_whole_answer(tmp_path: Path) -> None:
    with serve(tmp_path, AppData(discovered={"s": [app(2, "cloudStorage")]})) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (records, facts["outcome"], facts["left_out"]) == ([], "complete", 1)


def test_the_header_for_new_words_also_goes_with_later_pages_and_faults_cost_nothing(tmp_path: Path) -> None:
    data = AppData(discovered={"s": [app(number, "aiModelProvider") for number in range(25)]})
    faults = Faults(**FAULTY, throttle_without_header=2, unavailable_burst=1, truncated_json=1, skip=1)
    with serve(tmp_path, data, page_size=10, faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert count(tenant, "discovered") == 7
    assert (len(records), facts["outcome"], facts["retry_count"]) == (25, "complete", 4)


def test_a_stream_that_breaks_off_is_partial(tmp_path: Path) -> None:
    data = AppData(discovered={"s": [app(number) for number in range(25)]})
    faults = Faults(where=("discovered",), skip=1, server_error=99)
    with serve(tmp_path, data, page_size=10, faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (len(records), facts["outcome"]) == (10, "partial")


def test_a_list_of_streams_that_breaks_off_makes_the_whole_partial(tmp_path: Path) -> None:
    data = AppData(discovered={f"s{number}": [app(number)] for number in range(4)})
    faults = Faults(where=("streams",), skip=1, server_error=99)
    with serve(tmp_path, data, page_size=2, faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (len(records), facts["streams"], facts["outcome"]) == (2, 2, "partial")


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    with serve(tmp_path, AppData(), roles=("AuditLog.Read.All",)) as (tenant, _):
        context = make_context(SOURCE, tmp_path, tenant)
        with pytest.raises(PermissionMissingError, match=r"CloudApp-Discovery\.Read\.All"):
            pull(SOURCE, context)
        with pytest.raises(PermissionMissingError, match=r"CloudApp-Discovery\.Read\.All"):
            SOURCE.probe(context)


# The portal's table


def test_the_portal_s_table_is_recognised_and_read(tmp_path: Path) -> None:
    path = tmp_path / "Discovered apps 2026-10-05.csv"
    path.write_text(
        "\ufeff"
        + HEADER
        + 'ChatGPT,7,Generative AI,"1,200","1,024.5","12,345",321,9,2026-10-04,somebody@x\r\n'
        "Dropbox,8,Cloud storage,10,2,5,3,1,2026-10-04,somebody@x\r\n\r\n"
        "Some models,5,AI - Model Provider,1,-,10,2,1,2026-10-04,somebody@x\r\n",
        encoding="utf-8",
    )
    assert SOURCE.recognise is not None
    assert SOURCE.recognise(path, path.read_bytes()) == "discovered_apps"
    records, facts = read(path)
    assert records[0] == {
        "id": records[0]["id"], "stream": "file", "displayName": "ChatGPT", "category": "Generative AI",
        "domains": [], "userCount": 321, "transactionCount": 12_345,
        "uploadNetworkTrafficInBytes": 1_074_266_112, "day": "2026-10-05",
    }  # fmt: skip
    assert (records[1]["displayName"], records[1]["uploadNetworkTrafficInBytes"]) == ("Some models", None)
    assert (facts["file_rows"], facts["other_categories"], facts["blank_lines"]) == (3, 1, 1)
    assert "outcome" not in facts
    assert SOURCE.identify(records[0]).occurred_at == "2026-10-05"
    assert read(path)[0] == records  # the same file again gives the same ids


def test_other_headers_and_a_semicolon(tmp_path: Path) -> None:
    path = tmp_path / "export_2026-10-05.csv"
    path.write_text(
        "Application;Category;User count;Upload;Domains\nClaude;generativeAi;4;1.5 GB;claude.ai claude.com\n"
    )
    records, facts = read(path)
    assert (records[0]["uploadNetworkTrafficInBytes"], records[0]["transactionCount"]) == (
        1_610_612_736,
        None,
    )
    assert (records[0]["domains"], records[0]["day"]) == (
        ["claude.ai", "claude.com"],
        "2026-10-05",
    )
    assert facts["occurred_at_from"] == "date in the file name"


@pytest.mark.parametrize("name", ["export.csv", "export_2026-13-45.csv"])
def test_a_table_without_a_day_in_its_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Application;Category;User count;Upload\nClaude;generativeAi;4;1.5 GB\n")
    with pytest.raises(BadDataError, match="name gives no day") as refused:
        read(path)
    assert "into the file name" in str(refused.value.next_step)


@pytest.mark.parametrize(
    "text", ["App name,Score,Category\nx,1,y\n", "a,b\n1,2\n", "", "App,Category,Users\nx,y,1\n"]
)
def test_other_tables_are_not_taken_for_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x_2026-10-05.csv"
    assert SOURCE.recognise is not None
    assert SOURCE.recognise(path, text.encode()) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ChatGPT,7,Generative AI,1,2\n", "more or fewer columns"),
        ("ChatGPT,7,Generative AI,1,2,many,1,1,,\nB,7,Generative AI,1,x,1,1,1,,\n", "can't be read"),
    ],
)
def test_a_damaged_table_is_refused_whole(tmp_path: Path, body: str, words: str) -> None:
    path = tmp_path / "x_2026-10-05.csv"
    path.write_text(HEADER + body)
    with pytest.raises(BadDataError, match=words):
        read(path)


def test_one_bad_row_is_set_aside_without_its_text(tmp_path: Path) -> None:
    path = tmp_path / "x_2026-10-05.csv"
    path.write_text(HEADER + "A,7,Generative AI,1,2,3,4,5,,\nB,7,Generative AI,1,2,lots,4,5,,somebody@x\n")
    records, facts = read(path)
    assert records[1] == {"problem": "unreadable"}
    assert facts["unreadable_rows"] == 1


def test_a_table_without_ai_or_without_rows_is_unproven(tmp_path: Path) -> None:
    path = tmp_path / "x_2026-10-05.csv"
    path.write_text(HEADER + "Dropbox,8,Cloud storage,10,2,5,3,1,,\n")
    assert read(path)[1]["reason"] == "none of the file's 1 applications is of an AI category"
    path.write_text(HEADER)
    assert read(path)[1]["outcome"] == "unproven"


@pytest.mark.parametrize("text", ["1,2,3", "12 furlongs", "1.234,5", "-4", "1e9"])
def test_numbers_that_could_mean_two_things_are_refused(text: str) -> None:
    with pytest.raises(UnreadableRowError):
        read_number(text, 1)
