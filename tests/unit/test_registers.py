"""Registers as people edit them: what Excel writes is fine, what is wrong is named by line and column."""

from pathlib import Path

import pytest

from genai_audit.errors import ConfigurationError
from genai_audit.registers import REGISTERS, read_registers, starter

TOOLS = "tool_id,tool_name,vendor,status,hosting,match_kind,match_value\n"
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
        ("labels", starter("labels") + "g,Public,low,2026-01-01,\n", "line 2, column label_rank"),
        ("labels", starter("labels") + "g,Public,²,2026-01-01,\n", "line 2, column label_rank"),
        ("directory", starter("directory") + ",,u1,staff\n", "one of object_id, upn must be filled"),
        ("tools", TOOLS + GOOD.replace(",domain,", ",app_host,"), "line 2, column match_kind"),
        ("labels", starter("labels") + "g,Public,0,01/11/2026,\n", "write the date as 2026-11-01"),
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
