"""Of a web log only lines about tools of the register are kept, and of an address what names the tool."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import count_days, make_workspace
from genai_audit import collection
from genai_audit.configuration import load_settings
from genai_audit.errors import BadDataError, ConfigurationError, UsageError
from genai_audit.landing import packages
from genai_audit.registers import check_file
from genai_audit.registry import SourceContext
from genai_audit.runs import Run
from genai_audit.settings import Settings
from genai_audit.sources._tool_addresses import ToolAddresses, split_address
from genai_audit.sources._vle_map import read_map
from genai_audit.sources._web_map import WebMap
from genai_audit.sources.web_logs import SOURCE
from genai_audit.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "src" / "genai_audit" / "starters" / "tools.csv"
LISTS = ROOT / "../shared/samples/genai_domains"
ENTRIES = ("chatgpt.com", "chat.openai.com", "openai.com", "kagi.com/fastgpt", "x.com/i/grok", "deepseek.com")
HEADER = "time,user,url,action,bytes\n"
DAY = "2026-10-06T10:00:00"


@pytest.fixture
def context(tmp_path: Path) -> SourceContext:
    write_register(tmp_path / "registers", *ENTRIES)
    return SourceContext(Settings(), tmp_path / "state" / "web_logs")


def write_register(folder: Path, *domains: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"t{number},T{number},,unknown,unknown,domain,{domain}" for number, domain in enumerate(domains)]
    head = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value"
    (folder / "tools.csv").write_text("\n".join([head, *lines, "t0,T0,,unknown,,name,ChatGPT"]) + "\n")


def read(
    context: SourceContext, text: str, kind: str | None = None, name: str = "log.csv"
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    path = context.state_dir.parent.parent / name
    path.write_bytes(text.encode())
    found = kind or SOURCE.recognise(path, path.read_bytes()[:65536])
    assert found, "not recognised"
    records: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    for page in SOURCE.read(path, found, context):
        records += [orjson.loads(raw) for raw in page.records]
        facts |= page.facts
    return records, facts


def test_only_lines_about_known_tools_are_kept_and_the_others_are_counted(context: SourceContext) -> None:
    records, facts = read(
        context,
        HEADER + f"{DAY},ada,https://chatgpt.com/c/1234?q=secret#x,allowed,512\n"
        f"{DAY},ada,https://www.bbc.co.uk/news,allowed,900\n"
        f"{DAY},,https://ab.chatgpt.com:443/,blocked,-\n",
    )
    assert records[0] == {
        "record_id": records[0]["record_id"], "occurred_at": "2026-10-06T09:00:00Z", "bytes": "512",
        "record_kind": "event", "match_value": "chatgpt.com", "user": "ada", "action": "allowed",
        "map": "web_generic",
    }  # fmt: skip
    assert [row["match_value"] for row in records] == ["chatgpt.com", "ab.chatgpt.com"]
    assert ("user" in records[1], "bytes" in records[1]) == (False, False)
    assert (facts["file_rows"], facts["rows_not_genai"], facts["register_domains"]) == (3, 1, len(ENTRIES))
    assert len(facts["register_sha256"]) == 64
    assert not [word for word in ("secret", "1234", "bbc") if word in str(records) + str(facts)]


def test_only_the_mapped_headers_stand_in_the_manifest(context: SourceContext) -> None:
    text = HEADER.replace("url", "Seen by Jane Doe,url") + f"{DAY},ada,x,https://chatgpt.com/,x,1\n"
    _, facts = read(context, text)
    assert (facts["columns"], facts["other_columns"]) == ("time, user, url, action, bytes", 1)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://kagi.com/fastgpt?query=secret", "kagi.com/fastgpt"),
        ("https://kagi.com/fastgpt/deeper/secret", "kagi.com/fastgpt"),
        ("https://kagi.com/search?q=fastgpt", None),
        ("https://kagi.com/fastgpt-news", None),  # another page
        ("kagi.com:443", None),  # an encrypted request shows no path
        ("https://x.com/I/Grok/", "x.com/i/grok"),
        ("https://x.com/home", None),
        ("https://notopenai.com/", None),
        ("https://openai.com.evil.example/", None),
        ("CONNECT.openai.com:443", "connect.openai.com"),
        ("https://ada:pw@chat.openai.com./", "chat.openai.com"),
        ("http://192.0.2.7/openai.com", None),
        ("-", None),
        ("https://[::1]/openai.com", None),
    ],
)
def test_of_an_address_the_host_is_kept_and_the_path_of_the_register(
    context: SourceContext, url: str, kept: str | None
) -> None:
    records, _ = read(context, HEADER + f"{DAY},ada,{url},x,1\n")
    assert [row["match_value"] for row in records] == ([kept] if kept else [])
    assert not [word for word in ("secret", "deeper", "pw") if word in str(records)]


def test_equal_events_are_all_kept_and_an_event_with_an_id_is_one(context: SourceContext) -> None:
    line = f"{DAY},ada,https://chatgpt.com,allowed,512\n"
    ids = [row["record_id"] for row in read(context, HEADER + line * 3)[0]]
    assert len(set(ids)) == 3
    assert [row["record_id"] for row in read(context, HEADER + line * 3)[0]] == ids
    records, _ = read(context, "event_id," + HEADER + f"e1,{line}" * 2)
    assert len({row["record_id"] for row in records}) == 1


SQUID = "timestamp,elapsed,client,result_code,bytes,method,url,user,hierarchy\n"


@pytest.mark.parametrize(
    ("code", "action"),
    [("TCP_TUNNEL/200", "allowed"), ("TCP_DENIED/403", "blocked"), ("TCP_MISS/407", "blocked"),
     ("NONE_NONE/503", "not served")],
)  # fmt: skip
def test_squid_lines_have_unix_times_and_their_codes_become_words(
    context: SourceContext, code: str, action: str
) -> None:
    line = f"1791280800.123,90,192.0.2.77,{code},4711,CONNECT,chat.openai.com:443,ada,HIER_DIRECT\n"
    path = context.state_dir.parent.parent / "squid.csv"
    path.write_text(SQUID + line)
    assert SOURCE.recognise(path, path.read_bytes()) == "squid_csv"
    records, _ = read(context, SQUID + line)
    assert (records[0]["occurred_at"], records[0]["action"]) == ("2026-10-06T10:00:00Z", action)
    assert "192.0.2.77" not in str(records)


def test_dns_questions_have_a_host_and_a_trailing_dot(context: SourceContext) -> None:
    text = (
        "time,client_ip,query,qtype,rcode\n"
        "2026-10-06 10:00:00,192.0.2.77,chat.deepseek.com.,A,NOERROR\n"
        "2026-10-06 10:00:01,192.0.2.77,wpad.westbridge.example.,A,NXDOMAIN\n"
    )
    records, facts = read(context, text)
    assert (records[0]["map"], records[0]["match_value"]) == ("dns_queries", "chat.deepseek.com")
    assert (records[0]["action"], facts["rows_not_genai"]) == ("answered", 1)
    assert "192.0.2.77" not in str(records)


def test_a_report_of_sums_is_an_aggregate_and_its_equal_lines_are_one(context: SourceContext) -> None:
    text = "Date;URL Host;Policy Action;Transactions;Total Bytes;Users\n" + (
        '06/10/2026;chatgpt.com;Allowed;"1,200";99000;14\n' * 2
    )
    records, _ = read(context, text)
    assert records[0] == records[1]
    kept = ("record_kind", "action", "count", "bytes", "users", "map")
    assert [records[0][name] for name in kept] == [
        "aggregate",
        "allowed",
        "1200",
        "99000",
        "14",
        "proxy_summary",
    ]


def test_sums_without_a_date_take_the_day_of_the_file_name(context: SourceContext) -> None:
    text = "host,count\nchatgpt.com,7\n"
    records, _ = read(context, text, "proxy_summary", "gateway 2026-10-06.csv")
    assert records[0]["occurred_at"] == "2026-10-05T23:00:00Z"
    with pytest.raises(BadDataError, match="no day"):
        read(context, text, "proxy_summary", "gateway.csv")


def test_a_map_of_ones_own_is_found_by_name(context: SourceContext) -> None:
    folder = context.registers / "web_maps"
    folder.mkdir()
    (folder / "mine.toml").write_text(
        'title = "Mine"\nrecord_kind = "event"\n[columns]\noccurred_at = ["wann"]\nhost = ["wohin"]\n'
        '[time]\nformats = ["%d.%m.%Y"]\n'
    )
    records, _ = read(context, "wann,wohin\n06.10.2026,chatgpt.com\n", "mine")
    assert records[0]["map"] == "mine"
    with pytest.raises(UsageError, match="no web map 'mina'; did you mean 'mine'"):
        read(context, "wann,wohin\n", "mina")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[columns]\nuser = ['u']\n", "no column for 'url' or 'host'"),
        ("never_read = ['Host']\n[columns]\nhost = ['host']\noccurred_at = ['t']\n", "reads 'host'"),
        ("[columns]\nhost = ['host']\n", "needs 'occurred_at'"),
        ("[columns]\nhost = ['host']\noccurred_at = ['t']\n", "no time zone"),
    ],
)
def test_a_map_with_a_mistake_says_which(text: str, said: str) -> None:
    head, columns = text.split("[columns]")
    start, end = "title = 'x'\nrecord_kind = 'event'\n", "[time]\nformats = ['iso']\nzone = 'Nowhere'\n"
    whole = f"{start}{head}[columns]{columns}{end}"
    with pytest.raises(ConfigurationError, match=said):
        read_map(WebMap, "x.toml", whole)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("time,who\n1,2\n", BadDataError, "no column for 'url' or 'host'"),
        ("url,who\n1,2\n", BadDataError, "no column for 'occurred_at'"),
        ("time,url,URL\n1,2,3\n", BadDataError, "names a column twice"),
        (HEADER + "2026,ada,chatgpt.com\n", BadDataError, "more or fewer columns"),
        (HEADER + "nonsense,ada,chatgpt.com,x,1\n" * 2, BadDataError, "can't be read"),
    ],
)
def test_a_file_that_can_not_be_trusted_is_refused(
    context: SourceContext, text: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read(context, text, "web_generic")


def test_one_bad_line_is_set_aside_without_what_it_said(context: SourceContext) -> None:
    good = f"{DAY},ada,https://chatgpt.com,allowed,512\n"
    bad = f"{DAY},ada,https://chatgpt.com/?q=secret,allowed,many\n"
    records, facts = read(context, HEADER + good * 3 + bad)
    assert records[-1] == {"problem": "not_a_number", "match_value": "chatgpt.com", "map": "web_generic"}
    assert (facts["unreadable_rows"], facts["unreadable_lines"]) == (1, "5")
    assert SOURCE.identify(records[-1]).record_id is None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [("", "the file holds no line"),
     (f"{DAY},a,bbc.co.uk,x,1\n" * 2, "none of the file's 2 lines is about a tool of the register")],
)  # fmt: skip
def test_a_log_without_a_known_tool_proves_nothing(context: SourceContext, lines: str, reason: str) -> None:
    records, facts = read(context, HEADER + lines)
    assert (records, facts["outcome"], facts["reason"]) == ([], "unproven", reason)


def test_without_a_register_no_line_could_be_told(context: SourceContext) -> None:
    write_register(context.registers)
    with pytest.raises(ConfigurationError, match="holds no domain"):
        read(context, HEADER + f"{DAY},a,chatgpt.com,x,1\n")
    (context.registers / "tools.csv").write_text("tool_id\nx\n")
    with pytest.raises(ConfigurationError, match=r"tools\.csv line 1: column"):
        read(context, HEADER + f"{DAY},a,chatgpt.com,x,1\n")


def test_a_long_file_comes_in_pages_that_all_carry_the_facts(context: SourceContext) -> None:
    path = context.state_dir.parent.parent / "long.csv"
    path.write_text(HEADER + f"{DAY},ada,https://chatgpt.com,allowed,512\n" * 4_001)
    pages = list(SOURCE.read(path, "web_generic", context))
    assert [len(page.records) for page in pages] == [2_000, 2_000, 1]
    assert all(page.facts["file_rows"] == 4_001 for page in pages)


@pytest.mark.parametrize(
    "sample", ["vle/OULAD/vle.csv.gz", "m365/sumitsadhu1_copilot-analytics-public/dataset1_good.csv"]
)
def test_other_tables_are_not_taken_for_web_logs(sample: str) -> None:
    path = ROOT / "../shared/samples" / sample
    if not path.exists():
        pytest.skip("the public samples are not here")
    assert SOURCE.recognise(path, path.read_bytes()[:65536]) is None


def test_an_import_lands_records_and_keeps_its_own_kinds_apart_from_those_of_the_vle(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    write_register(workspace.registers, "chatgpt.com")
    (workspace.registers / "web_maps").mkdir()
    (workspace.registers / "web_maps" / "mine.toml").write_text(
        'title = "Mine"\nrecord_kind = "event"\n[columns]\noccurred_at = ["wann"]\nhost = ["wohin"]\n'
        '[time]\nformats = ["%d.%m.%Y"]\n'
    )
    file = tmp_path / "log.csv"
    file.write_text("wann,wohin\n06.10.2026,chatgpt.com\n06.10.2026,bbc.co.uk\n")
    run = Run(workspace, load_settings(workspace.settings_file), "import")
    collection.import_files(run, [file], "mine")
    package = packages(workspace)[0]
    counts = (package.counts["accepted"], package.source_facts["rows_not_genai"])
    assert (package.source, counts) == ("web_logs", (1, 1))


def test_a_line_keeps_its_id_when_a_longer_entry_joins_the_register(context: SourceContext) -> None:
    text = HEADER + f"{DAY},ada,https://a.openai.com/deep/secret,allowed,1\n"
    text += f"{DAY},ada,https://a.openai.com/other,allowed,1\n"
    before, _ = read(context, text)
    write_register(context.registers, *ENTRIES, "a.openai.com/deep")
    after, _ = read(context, text)
    assert [row["match_value"] for row in before] == ["a.openai.com", "a.openai.com"]
    assert [row["match_value"] for row in after] == ["a.openai.com/deep", "a.openai.com"]
    assert [row["record_id"] for row in before] == [row["record_id"] for row in after]
    assert len({row["record_id"] for row in after}) == 2
    assert "secret" not in str(before + after)


# The rule, and the register that we ship


@pytest.fixture(scope="module")
def starter() -> ToolAddresses:
    table, _ = check_file("tools", STARTER)
    return ToolAddresses(row["match_value"] for row in table.rows if row["match_kind"] == "domain")


def find_tools(warehouse: Warehouse, values: list[str]) -> dict[str, str]:
    """What sql/marts/fct_external_use.sql makes of these addresses, with the register that we ship."""
    table, _ = check_file("tools", STARTER)
    names = ("tool_id", "tool_name", "vendor", "hosting", "match_kind", "match_value")
    warehouse.replace(
        "stg_tool",
        [{name: row[name] for name in names} | {"tool_status": row["status"]} for row in table.rows],
    )
    moment = datetime.fromisoformat("2026-10-06T10:00:00+00:00")
    head = {"occurred_at": moment, "occurred_day": date(2026, 10, 6), "source": "web_logs", "package_id": "p",
            "line_no": 1, "record_kind": "event", "match_kind": "domain", "channel": "web_log"}  # fmt: skip
    rows = [head | {"record_id": value, "match_value": value} for value in values]
    warehouse.replace("stg_external_use", rows)
    count_days(warehouse, "stg_external_use")
    warehouse.build()
    return dict(warehouse.connection.execute("SELECT record_id, tool_id FROM fct_external_use").fetchall())


def test_every_line_of_the_register_that_we_ship_is_right_and_names_its_origin() -> None:
    table, mistakes = check_file("tools", STARTER)
    assert mistakes == []
    assert {row["origin"] for row in table.rows} == {
        "policy", "own", "v2fly/domain-list-community (MIT)", "shadow-ai-guard (Apache-2.0)",
        "merill/microsoft-info (MIT)",
    }  # fmt: skip
    assert {(row["status"], row["hosting"]) for row in table.rows} == {("unknown", "unknown")}
    examples = {row["tool_name"] for row in table.rows if row["origin"] == "policy"}
    assert examples == {"ChatGPT", "Microsoft Copilot", "Gemini", "Synthesia"}
    facts = {row["tool_id"]: set[tuple[str, ...]]() for row in table.rows}
    for row in table.rows:
        facts[row["tool_id"]].add((row["tool_name"], row["vendor"], row["is_genai"], row["capability"]))
        if row["match_kind"] == "domain":
            assert split_address(row["match_value"]) == tuple([*row["match_value"].split("/", 1), ""][:2])
    assert all(len(found) == 1 for found in facts.values())


def test_shared_hosts_and_hosts_of_advertisements_are_not_in_the_register(starter: ToolAddresses) -> None:
    shared = (
        "d1.cloudfront.net", "x.b-cdn.net", "files.blob.core.windows.net", "a.amazonaws.com", "github.com",
        "lo.v.liveperson.net", "browser-intake-datadoghq.com", "o33249.ingest.sentry.io", "bing.com", "x.com",
        "www.google.com", "notion.so", "substrate.office.com",
    )  # fmt: skip
    assert [host for host in shared if starter.match(host, "")] == []


@pytest.mark.parametrize("name", ["v2fly", "shadow-ai-guard"])
def test_the_public_lists_are_covered_but_for_what_was_left_out(starter: ToolAddresses, name: str) -> None:
    if not LISTS.exists():
        pytest.skip("the public samples are not here")
    if name == "v2fly":
        with (LISTS / "v2fly_domain-list-community" / "genai_domains_flat.csv").open(
            encoding="utf-8"
        ) as file:
            listed = {row["domain"] for row in csv.DictReader(file)
                      if row["match_kind"] != "regexp" and "@ads" not in row["attributes"]}  # fmt: skip
    else:
        tools = orjson.loads((LISTS / "shadow-ai-guard" / "registry.json").read_bytes())["tools"]
        listed = {domain for tool in tools for domain in tool.get("domains", [])}
    left_out = {domain for domain in listed if not starter.match(domain, "")}
    assert len(left_out) == {"v2fly": 23, "shadow-ai-guard": 4}[name]


def test_the_policys_examples_are_matched_by_the_marts_rule(tmp_path: Path) -> None:
    expected = {
        "chatgpt.com": "chatgpt", "chat.openai.com": "chatgpt", "platform.openai.com": "openai_api",
        "copilot.microsoft.com": "microsoft_copilot", "m.copilot.cloud.microsoft": "microsoft_copilot",
        "bing.com/chat": "microsoft_copilot", "gemini.google.com": "gemini", "www.synthesia.io": "synthesia",
        "claude.ai": "claude", "x.com/i/grok": "grok",
    }  # fmt: skip
    with Warehouse(tmp_path / "warehouse.duckdb") as warehouse:
        found = find_tools(
            warehouse,
            [*expected, "bing.com/search", "bing.com/chatter-news", "www.bbc.co.uk", "notclaude.ai"],
        )
    assert found == expected


def test_the_rule_here_and_the_rule_of_the_mart_keep_the_same_lines(
    tmp_path: Path, starter: ToolAddresses
) -> None:
    table, _ = check_file("tools", STARTER)
    listed = [row["match_value"] for row in table.rows if row["match_kind"] == "domain"]
    values = [
        *listed,
        *(f"a.{one}" for one in listed),
        *(f"x{one}" for one in listed),
        "bing.com/chats",
        "bing.com/chatter-news",
        "bing.com/chat/x",
        "bing.com/chat?q",
        "bing.com",
    ]
    with Warehouse(tmp_path / "warehouse.duckdb") as warehouse:
        found = find_tools(warehouse, values)
    assert set(found) == {value for value in values if starter.match(*[*value.split("/", 1), ""][:2])}


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    host, path = split_address(text)
    assert host == host.strip().lower()
    assert not set("?#@:/ ") & set(host)
    assert not set("?#") & set(path)
