"""parsing.py: a parsed package is a function of its package, whole or absent, never trusted unchecked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as law
from hypothesis import strategies as st

from builders import copilot_record, land, make_settings, make_workspace
from genai_audit import parsing
from genai_audit.errors import IntegrityError
from genai_audit.landing import RECORDS, Package, package_folder
from genai_audit.privacy.pseudonyms import DOMAINS, pseudonym
from genai_audit.settings import Settings
from genai_audit.warehouse import scratch
from genai_audit.workspace import Workspace, shipped

Landed = tuple[Workspace, Package, Settings]


@pytest.fixture
def landed(tmp_path: Path) -> Landed:
    workspace = make_workspace(tmp_path)
    settings = make_settings(workspace, "[limits]\nbatch_records = 100\n")
    package = land(workspace, [copilot_record(record_id=f"r{number}") for number in range(250)])
    return workspace, package, settings


def parse(landed: Landed) -> parsing.ParsedPackage:
    workspace, package, settings = landed
    return parsing.parse_package(workspace, package, settings, workspace.read_key())


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_batches_are_joined_in_order(landed: Landed) -> None:
    sealed = parse(landed)
    assert sealed.tables["stg_interaction"]["rows"] == 250
    table = pq.read_table(parsing.check_seal(*landed[:2])["stg_interaction"])
    assert table["line_no"].to_pylist() == list(range(1, 251))
    assert table["record_id"].to_pylist() == [f"r{number}" for number in range(250)]


def test_the_same_package_gives_the_same_bytes(landed: Landed) -> None:
    assert parse(landed) == parse(landed)


def test_an_empty_package_has_all_tables(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    empty = (workspace, land(workspace, []), make_settings(workspace))
    sealed = parse(empty)
    assert {table["rows"] for table in sealed.tables.values()} == {0}
    assert len(parsing.check_seal(*empty[:2])) == 8


def test_drift_is_counted_over_all_batches(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    package = land(workspace, [copilot_record(record_id=f"r{n}", body={"Novelty": n}) for n in range(250)])
    parse((workspace, package, make_settings(workspace, "[limits]\nbatch_records = 100\n")))
    rows = pq.read_table(parsing.check_seal(workspace, package)["stg_field_drift"]).to_pylist()
    assert [(row["field_name"], row["record_count"]) for row in rows] == [("Novelty", 250)]


def test_parse_all_parses_once(landed: Landed) -> None:
    workspace, package, settings = landed
    key = workspace.read_key()
    assert len(parsing.parse_all(workspace, [package], settings, key)) == 1
    assert parsing.is_parsed(workspace, package)
    assert parsing.parse_all(workspace, [package], settings, key) == []
    assert len(parsing.parse_all(workspace, [package], settings, key, again=True)) == 1


def test_another_parser_does_not_parse_again(landed: Landed, monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse(landed)
    monkeypatch.setattr(parsing, "hash_parser", lambda family: "0" * 64)
    workspace, package, settings = landed
    assert parsing.parse_all(workspace, [package], settings, workspace.read_key()) == []
    assert parsing.read_seal(workspace, package) == first


def test_nothing_is_left_of_a_failed_parse(landed: Landed, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, package, _ = landed

    def fail(*_: object) -> None:
        raise duckdb.Error("out of memory")

    monkeypatch.setattr(parsing.Parser, "_write_tables", fail)
    with pytest.raises(duckdb.Error):
        parse(landed)
    assert not parsing.is_parsed(workspace, package)
    assert list(workspace.tmp.iterdir()) == []


def test_files_are_private(landed: Landed) -> None:
    parse(landed)
    folder = parsing.parsed_folder(*landed[:2])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_flipped_byte_in_a_table_is_refused(landed: Landed) -> None:
    parse(landed)
    flip_byte(parsing.parsed_folder(*landed[:2]) / "stg_interaction.parquet")
    with pytest.raises(IntegrityError, match="altered"):
        parsing.check_seal(*landed[:2])


def test_a_flipped_byte_in_landing_is_refused(landed: Landed) -> None:
    workspace, package, _ = landed
    flip_byte(package_folder(workspace, package) / RECORDS)
    with pytest.raises(IntegrityError):
        parse(landed)
    assert not parsing.is_parsed(workspace, package)


@pytest.mark.parametrize("name", ["seal.json", "stg_dlp_event.parquet"])
def test_a_missing_file_is_refused(landed: Landed, name: str) -> None:
    parse(landed)
    (parsing.parsed_folder(*landed[:2]) / name).unlink()
    with pytest.raises(IntegrityError):
        parsing.check_seal(*landed[:2])


@pytest.mark.parametrize("key", ["package_id", "landed_sha256"])
def test_another_packages_seal_is_refused(landed: Landed, key: str) -> None:
    parse(landed)
    path = parsing.parsed_folder(*landed[:2]) / "seal.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {key: "other"}))
    with pytest.raises(IntegrityError, match="other landed records"):
        parsing.check_seal(*landed[:2])


@pytest.fixture(scope="module")
def tokens() -> Iterator[Callable[[bytes, str, str], str]]:
    """Ask the SQL for a token; names that it leaves to Python come back with `python:` in front."""
    connection = scratch(256, 1)
    connection.create_function(
        "python_token", lambda domain, name: "python:", ["VARCHAR", "VARCHAR"], "VARCHAR"
    )
    connection.execute((shipped("sql") / "parse" / "macros.sql").read_text(encoding="utf-8"))

    def ask(key: bytes, domain: str, name: str) -> str:
        for variable, pad in parsing.make_pads(key).items():
            connection.execute(f"SET VARIABLE {variable} = $pad", {"pad": pad})
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE name AS SELECT $1 AS domain, $2 AS name", [domain, name]
        )
        row = connection.execute("SELECT token FROM make_tokens('name')").fetchone()
        assert row
        return str(row[0])

    yield ask
    connection.close()


@law(max_examples=200, deadline=None)
@given(st.text(min_size=1), st.sampled_from(DOMAINS), st.binary(min_size=32, max_size=32))
def test_sql_makes_the_same_tokens_as_python(
    tokens: Callable[[bytes, str, str], str], name: str, domain: str, key: bytes
) -> None:
    token = tokens(key, domain, name)
    assert token in (pseudonym(key, domain, name), "python:")
    if name.isascii() and name.isprintable() and name.strip() == name:
        assert token != "python:"


@pytest.mark.parametrize(
    "name", ["Ada@Westbridge.example", "19:x@thread.v2", "https://x.example/a b?c#d", "a'\"\\"]
)
def test_plain_names_need_no_python(tokens: Callable[[bytes, str, str], str], name: str) -> None:
    assert tokens(b"k" * 32, "person", name) == pseudonym(b"k" * 32, "person", name)


def test_unicode_names_go_to_python(landed: Landed, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "other")
    package = land(workspace, [copilot_record(user="\u00c9milie.Stra\u00dfe@westbridge.example")])
    parse((workspace, package, landed[2]))
    row = pq.read_table(parsing.check_seal(workspace, package)["stg_interaction"]).to_pylist()[0]
    assert row["person_key"] == pseudonym(
        workspace.read_key(), "person", "\u00e9milie.strasse@westbridge.example"
    )
