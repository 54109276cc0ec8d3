"""Registers as people edit them: what Excel writes is fine, what is wrong is named by line and column."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_audit import registers
from genai_audit.demo import campus
from genai_audit.errors import ConfigurationError
from genai_audit.registers import (
    REGISTERS,
    Column,
    Row,
    check_bytes,
    check_links,
    find_by_header,
    format_rows,
    read_registers,
    shipped_text,
    starter,
)
from genai_audit.registers._matching import find_fault

TOOLS = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value\n"
LABELS = "label_id,label_name,label_rank,valid_from,valid_to\n"
GOOD = "chatgpt,ChatGPT,OpenAI,unknown,unknown,domain,chatgpt.com\n"


def read(folder: Path, name: str, content: str | bytes) -> list[dict[str, str]]:
    raw = content.encode() if isinstance(content, str) else content
    (folder / f"{name}.csv").write_bytes(raw)
    return read_registers(folder)[name]


@pytest.mark.parametrize(
    "content",
    [
        TOOLS + GOOD,
        (TOOLS + "\n" + GOOD + "\n,,,,,,\n").replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + (TOOLS + GOOD).encode(),
        TOOLS + GOOD.replace("ChatGPT", '" ChatGPT "'),
    ],
)
def test_what_excel_writes_is_fine(tmp_path: Path, content: str | bytes) -> None:
    rows = read(tmp_path, "tools", content)
    assert [row["tool_name"] for row in rows] == ["ChatGPT"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tools", TOOLS.replace("vendor", "vender") + GOOD, "did you mean 'vendor'?"),
        ("tools", TOOLS + GOOD.replace("unknown,unknown", "aproved,unknown"), "line 2, column status"),
        ("tools", TOOLS + GOOD.replace("unknown,unknown", "aproved,unknown"), "did you mean 'approved'?"),
        ("tools", TOOLS + GOOD + GOOD, "line 3: repeats line 2"),
        ("tools", TOOLS + "chatgpt,ChatGPT\n", "line 2: 2 cells instead of 7"),
        ("tools", TOOLS + GOOD.replace("chatgpt.com", ""), "column match_value: may not be empty"),
        ("tools", "", "column 'tool_id' is missing"),
        ("tools", b"tool_id\xff", "not UTF-8"),
        ("labels", LABELS + "g,Public,low,2026-01-01,\n", "line 2, column label_rank"),
        ("labels", LABELS + "g,Public,²,2026-01-01,\n", "line 2, column label_rank"),
        ("directory", starter("directory") + ",,u1,staff\n", "one of object_id, upn must be filled"),
        ("tools", TOOLS + GOOD.replace(",domain,", ",app_host,"), "line 2, column match_kind"),
        ("labels", LABELS + "g,Public,0,01/11/2026,\n", "write the date as 2026-11-01"),
    ],
)
def test_a_mistake_names_file_line_column_and_the_nearest_value(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, name, content)
    assert said in refused.value.what
    assert f"{name}.csv" in refused.value.what


def test_no_value_of_a_register_is_quoted_in_an_error(tmp_path: Path) -> None:
    content = starter("directory") + "oid,ada@westbridge.example,u1,wizard\n"
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, "directory", content)
    assert "ada" not in refused.value.what


def test_a_missing_register_is_empty_and_every_starter_is_valid(tmp_path: Path) -> None:
    assert read_registers(tmp_path) == {name: [] for name in REGISTERS}
    for name in REGISTERS:
        (tmp_path / f"{name}.csv").write_text(starter(name))
    assert read_registers(tmp_path) == {name: [] for name in REGISTERS}


DATED = TOOLS.replace("\n", ",effective_from,effective_to\n")
ENTRY = "chatgpt,ChatGPT,OpenAI,unknown,unknown,domain,chatgpt.com"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tools", TOOLS + GOOD.replace("ChatGPT", "=1+1"), "line 2, column tool_name: a formula"),
        ("tools", TOOLS + GOOD.replace("ChatGPT", "'=1+1"), "line 2, column tool_name: a formula"),
        ("tools", TOOLS + GOOD.replace("ChatGPT", "Chat\u200bGPT"), "holds an invisible character"),
        ("tools", TOOLS + GOOD.replace("ChatGPT", "x" * 4001), "longer than 4,000 characters"),
        ("tools", TOOLS.replace(",", ";"), "line 1: separated by semicolons"),
        ("tools", TOOLS.replace("vendor", "tool_name"), "column 'tool_name' occurs twice"),
        ("tools", TOOLS + '"chatgpt,ChatGPT\n', "line 2: not CSV"),
        ("tools", TOOLS + "\n" + GOOD.replace("ChatGPT", '"Chat\nGPT"') + "x\n", "line 5: 1 cells"),
        (
            "tools",
            TOOLS + GOOD.replace("ChatGPT", '"a\nb"').replace("domain", "domian"),
            "line 2, column mat",
        ),
        ("tools", DATED + ENTRY + ",2026-03-01,2026-02-01\n", "column effective_to: before effective_from"),
        ("tools", DATED + ENTRY + ",,2026-02-01\n" + ENTRY + ",2026-02-01,\n", "line 3: repeats line 2"),
        ("labels", LABELS + "g,A,0,2026-01-01,\nG,B,1,2026-02-01,\n", "line 3: repeats line 2"),
        ("labels", LABELS + 'g,A,"1,200.0",2026-01-01,\n', "not a whole number: write 1200."),
        ("units", starter("units") + "u,U,,colege,,,,,\n", "did you mean 'college'?"),
        ("policies", starter("policies") + "v,abc,2024-09-23,,,,,\n", "column text_sha256: not a SHA-256"),
        ("bodies", starter("bodies") + "b,B,,teaching,,,23/09/2024,\n", "write the date as 2024-09-23"),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, name, content)
    assert said in refused.value.what


APP_ID = "7d1c0a4e-93f2-4b57-8e06-5ab2c9d3f184"


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("domain", "https://Chat.OpenAI.com/", "write chat.openai.com"),
        ("domain", "*.openai.com", "write openai.com"),
        ("domain", "openai.com:443", "write openai.com"),
        ("domain", "https://bing.com/chat?q=1", "write bing.com/chat"),
        ("domain", "localhost", "such as chat.example.com or example.com/chat."),
        ("domain", "chat openai.com", "such as chat.example.com or example.com/chat."),
        ("domain", "10.0.0.1", "such as chat.example.com or example.com/chat."),
        ("domain", "*", "such as chat.example.com or example.com/chat."),
        ("app_id", "{" + APP_ID.upper() + "}", f"write {APP_ID}"),
        ("app_id", APP_ID.replace("-", ""), f"write {APP_ID}"),
        ("app_id", "ChatGPT", "not an application id (a GUID)."),
        ("domain", "Bing.com/Chat", ""),
        ("app_id", APP_ID.upper(), ""),
        ("app_identity", "Copilot.Studio", ""),
    ],
)
def test_a_tool_is_recognised_by_what_a_source_can_use(kind: str, value: str, said: str) -> None:
    line = f"chatgpt,ChatGPT,OpenAI,unknown,unknown,{kind},{value}\n"
    _, mistakes = check_bytes("tools", (TOOLS + line).encode(), "tools.csv")
    assert len(mistakes) == bool(said)
    assert all(one.startswith("tools.csv line 2, column match_value: ") for one in mistakes)
    assert all(one.endswith(said) for one in mistakes)


def test_the_tools_of_the_demo_are_recognised_by_what_a_source_can_use() -> None:
    aliases = [alias for tool in campus.TOOLS for alias in tool[-1]]
    assert [alias for alias in aliases if find_fault(*alias)] == []


@pytest.mark.parametrize("cell", ['"prompt": tell me', "'Response' : x", '{"messageText": "x"}'])
def test_a_cell_that_landing_would_blank_is_a_mistake(cell: str) -> None:
    row = dict.fromkeys(REGISTERS["tools"].names, "") | {
        "tool_id": "t", "tool_name": "T", "vendor": cell, "status": "unknown", "match_kind": "name",
        "match_value": 'The "prompt" helper: ours',
    }  # fmt: skip
    _, (mistake,) = check_bytes("tools", format_rows("tools", [row]), "tools.csv")
    assert mistake.startswith("tools.csv line 2, column vendor: reads like the text of a prompt")
    assert "tell me" not in mistake


def test_truth_as_excel_writes_it_gets_the_right_word(tmp_path: Path) -> None:
    header = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value,is_genai\n"
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, "tools", header + ENTRY + ",TRUE\n")
    assert "column is_genai: not an allowed value, did you mean 'yes'?" in refused.value.what


def test_one_entry_may_have_a_row_for_each_period(tmp_path: Path) -> None:
    later = ENTRY.replace("unknown", "approved", 1)
    rows = read(tmp_path, "tools", DATED + ENTRY + ",,2026-01-31\n" + later + ",2026-02-01,\n")
    assert [row["status"] for row in rows] == ["unknown", "approved"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers._reading, "MAX_BYTES", 100)
    with pytest.raises(ConfigurationError, match="larger than 50 MB"):
        read(tmp_path, "tools", TOOLS + GOOD * 2)


def use_case(tool: str) -> str:
    row = {"use_case_id": "UC1", "use_case_title": "T", "area": "teaching", "tool_ids": tool,
           "route": "scrutiny", "decision": "pending"}  # fmt: skip
    return format_rows("use_cases", [row]).decode("utf-8-sig")


@pytest.mark.parametrize(
    ("tool", "said"),
    [("ChatGPT", ""), ("chatgpt; chatgpt", ""), ("", ""), ("chatgpt; chatgtp", "did you mean 'chatgpt'?"),
     ("zzz", "column tool_ids: not in tools.csv.")],
)  # fmt: skip
def test_a_use_case_names_tools_that_are_registered(tmp_path: Path, tool: str, said: str) -> None:
    (tmp_path / "tools.csv").write_text(TOOLS + GOOD)
    if not said:
        assert read(tmp_path, "use_cases", use_case(tool))
        return
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, "use_cases", use_case(tool))
    assert "use_cases.csv line 2, column tool_ids: not in tools.csv" in refused.value.what
    assert said in refused.value.what


def test_of_a_register_that_is_not_filled_no_link_is_wrong() -> None:
    table, _ = check_bytes("use_cases", use_case("zzz").encode(), "use_cases.csv")
    empty, _ = check_bytes("tools", TOOLS.encode(), "tools.csv")
    assert check_links({"use_cases": table, "tools": empty}) == []


def test_what_init_writes_is_valid_and_says_what_the_policy_says(tmp_path: Path) -> None:
    for name in REGISTERS:
        (tmp_path / f"{name}.csv").write_text(shipped_text(name), encoding="utf-8")
    found = read_registers(tmp_path)
    assert [row["defect_id"] for row in found["policy_defects"]] == [f"D{n}" for n in range(1, 18)]
    assert {"UTC", "CTC", "RE", "PSDG", "IGAG", "ICT", "DPO", "SIRO", "UEB"} == {
        row["body_id"] for row in found["bodies"]
    }
    policy = found["policies"][0]
    assert (policy["next_review"], policy["effective_from"]) == ("2025-04-01", "2024-09-23")
    assert policy["review_if_twice_a_year"] < policy["next_review"] < policy["review_if_every_two_years"]
    empty = ("use_cases", "risks", "training", "notices", "misuse_reports", "baseline", "calendar")
    assert not any(found[name] for name in empty)


def test_a_register_is_known_by_its_columns(tmp_path: Path) -> None:
    for name in REGISTERS:
        path = tmp_path / f"Copy of {name} (2).csv"
        path.write_text("\ufeff" + starter(name), encoding="utf-8")
        assert find_by_header(path) == name
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert find_by_header(tmp_path / "other.csv") is None


# Every register, with any good values.

PLAIN = (
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text.strip("; ") and not text.startswith(("'", "=", "＝")))
)
DATES = st.dates(datetime.date(2015, 1, 1), datetime.date(2035, 1, 1)).map(str)


def cells(column: Column) -> st.SearchStrategy[str]:
    words = ("yes", "no", "unknown") if column.kind == "yes_no" else column.words
    one = {"date": DATES, "number": st.integers(0, 10**9 - 1).map(str), "sha256": st.just("0a" * 32)}.get(
        column.kind, PLAIN
    )
    filled = st.sampled_from(words) if words else one
    return filled if column.is_required else st.one_of(st.just(""), filled)


@st.composite
def good_rows(draw: st.DrawFn, name: str) -> list[Row]:
    """Rows that a register accepts: keys differ by a number, periods are left open."""
    register = REGISTERS[name]
    rows = []
    for number in range(draw(st.integers(1, 4))):
        row = {column.name: draw(cells(column)) for column in register.columns}
        row |= {last: "" for _, last in [register.period] if register.period} if register.period else {}
        first = next((c for c in register.columns if c.name in register.key and not c.words), None)
        assert first is not None
        row[first.name] = f"2026-01-0{number + 1}" if first.kind == "date" else f"k{number}"
        if first.name == "match_value":
            values = {"domain": f"k{number}.example", "app_id": f"{APP_ID[:-1]}{number}"}
            row["match_value"] = values.get(row["match_kind"], f"k{number}")
        rows.append({column: cell.strip() for column, cell in row.items()})
    return rows


@st.composite
def good_registers(draw: st.DrawFn) -> tuple[str, list[Row]]:
    name = draw(st.sampled_from(sorted(REGISTERS)))
    return name, draw(good_rows(name))


@settings(deadline=None)
@given(good_registers())
def test_a_good_register_comes_back_as_it_was_written(given_register: tuple[str, list[Row]]) -> None:
    name, rows = given_register
    table, mistakes = check_bytes(name, format_rows(name, rows), f"{name}.csv")
    assert mistakes == []
    assert table.rows == rows
    assert table.lines == list(range(2, len(rows) + 2))


@settings(deadline=None)
@given(good_registers(), st.data())
def test_any_mistake_refuses_the_whole_file_and_names_its_line(
    given_register: tuple[str, list[Row]], data: st.DataObject
) -> None:
    name, rows = given_register
    spoiled = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(REGISTERS[name].columns))
    wrong = "" if column.is_required else "=1"
    kinds = {"date": "31 May", "number": "-1", "sha256": "x", "yes_no": "perhaps"}
    rows[spoiled] = rows[spoiled] | {
        column.name: "no such word" if column.words else kinds.get(column.kind, wrong)
    }
    _, mistakes = check_bytes(name, format_rows(name, rows), "x.csv")
    assert any(one.startswith(f"x.csv line {spoiled + 2}") for one in mistakes)
