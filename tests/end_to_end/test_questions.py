"""query, trace and verify: the published file answers, and only answers; every row leads back to its line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard

from end_to_end.audits import Audit, Spoken, ask_file, flip_byte, is_refused, list_files
from end_to_end.conftest import RESTRICTED, Finished
from genai_audit.errors import UsageError
from genai_audit.landing import MANIFEST, RECORDS, package_folder, packages
from genai_audit.querying import Answer, ask, saved_questions

QUICKLY = {"GENAI_AUDIT_LIMITS__QUERY_SECONDS": "2"}


# query


def ask_published(finished: Finished, sql: str, params: Mapping[str, str]) -> Answer:
    """As the command line asks: in a child process, which is half of its cost."""
    file = finished.audit.workspace.published / "compliance.duckdb"
    return ask(file, sql, params, seconds=30, memory_mb=1024)


def test_saved_questions_are_listed_and_all_of_them_work(finished: Finished) -> None:
    listed = json.loads(finished.audit.must("query", "--json"))
    assert len(listed) >= 9
    assert all(one["question"].endswith(("?", ")")) and one["asked by"] for one in listed)
    assert {one["name"] for one in listed} == set(saved_questions())
    for name, question in saved_questions().items():
        answer = ask_published(finished, question.sql, question.params)
        assert answer.columns, name


def test_a_saved_question_takes_its_parameters(finished: Finished) -> None:
    all_ranks = json.loads(finished.audit.must("query", "sensitive_access_by_label", "--json"))
    assert [(row["label_name"], row["label_rank"]) for row in all_ranks] == [("Restricted", 30)]
    words = ("query", "sensitive_access_by_label", "-p", "min_rank=31", "--json")
    assert json.loads(finished.audit.must(*words)) == []


def test_ad_hoc_sql_in_three_forms(finished: Finished) -> None:
    sql = "SELECT record_id, label_id, 1.5 AS measure, NULL AS nothing FROM resource_access"
    done = finished.audit.run("query", sql, "--json")
    row = {"record_id": "s-1", "label_id": RESTRICTED, "measure": "1.5", "nothing": None}
    assert (json.loads(done.stdout), done.stderr) == ([row], "")
    table = list(csv.reader(io.StringIO(finished.audit.must("query", sql, "--csv"))))
    assert table == [["record_id", "label_id", "measure", "nothing"], ["s-1", RESTRICTED, "1.5", ""]]
    markdown = finished.audit.must("query", sql, "--markdown").splitlines()
    assert markdown[1].startswith("| --- |")
    assert RESTRICTED in finished.audit.must("query", sql)


def test_other_audiences_have_their_own_file(finished: Finished) -> None:
    for audience in ("iss", "lide"):
        rows = json.loads(finished.audit.must("query", "FROM start_here", "--audience", audience, "--json"))
        assert "coverage" in {row["table_name"] for row in rows}
    done = finished.audit.run("query", "SELECT * FROM interaction", "--audience", "lide")
    assert is_refused(done, 2), done


def test_output_is_safe_for_json_readers_spreadsheets_and_terminals(finished: Finished) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    said = finished.audit.must("query", "SELECT 'nan'::DOUBLE AS a, 1 AS b, 2 AS b", "--json")
    assert json.loads(said, parse_constant=refuse) == [{"a": "nan", "b": 1, "b_2": 2}]
    said = finished.audit.must("query", "SELECT '=HYPERLINK(1)' AS x, '  @x' AS y, -1 AS z", "--csv")
    assert list(csv.reader(io.StringIO(said)))[1] == ["'=HYPERLINK(1)", "'  @x", "-1"]
    assert "\x1b" not in finished.audit.must("query", "SELECT chr(27) || '[31mred' AS x")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO interaction SELECT * FROM interaction",
        "DELETE FROM finding WHERE true",
        "DROP TABLE interaction",
        "CREATE TABLE x AS SELECT 1",
        "ATTACH 'HERE/other.duckdb' AS other",
        "COPY interaction TO 'HERE/out.csv'",
        "EXPORT DATABASE 'HERE/out'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM read_text('/etc/hostname')",
        "FROM '/etc/hostname'",
        "SELECT * FROM glob('/etc/*')",
        "INSTALL httpfs",
        "LOAD 'HERE/x.duckdb_extension'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SELECT 1; SELECT 2",
        "SELEC 1",
    ],
)
def test_everything_but_reading_is_refused(finished: Finished, tmp_path: Path, sql: str) -> None:
    before = list_files(finished.audit.workspace.published)
    with pytest.raises(UsageError):
        ask_published(finished, sql.replace("HERE", str(tmp_path)), {})
    assert list(tmp_path.iterdir()) == []
    assert list_files(finished.audit.workspace.published) == before


def test_a_refusal_is_told_as_one(finished: Finished) -> None:
    done = finished.audit.run("query", "DELETE FROM finding WHERE true", "--json")
    assert is_refused(done, 2), done
    assert done.stdout == ""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 2000000000)",
        "SELECT sleep_ms(600000)",
        "SELECT count(*) FROM range(100000000000) a, range(1000) b",
        "SELECT a, repeat('x', 1000) FROM range(100000000) t(a)",
    ],
    ids=["bomb", "sleep", "endless", "huge answer"],
)
def test_a_query_past_its_limits_is_stopped(finished: Finished, sql: str) -> None:
    begun = time.monotonic()
    done = finished.audit.run("query", sql, "--json", env=QUICKLY)
    assert time.monotonic() - begun < 30
    assert is_refused(done, 65), done
    assert "[limits]" in done.stderr
    assert done.stdout == ""


# trace


def read_trace(said: str) -> list[dict[str, str]]:
    found = []
    for block in re.split(r"^(?=\w+ row of record )", said, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        fields = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
        found.append({"table": head.split()[0], "record": head.split()[-1], **fields})
    return found


def check_trace(audit: Audit, step: dict[str, str]) -> None:
    """Recompute every hash from the files as an outsider would."""
    package_id = step["package"].split()[0]
    package = next(one for one in packages(audit.workspace) if one.package_id == package_id)
    folder = package_folder(audit.workspace, package)
    line_no, line_hash = re.fullmatch(r"(\d+), sha256 ([0-9a-f]{64})", step["line"]).groups()  # type: ignore[union-attr]
    packed = (folder / RECORDS).read_bytes()
    lines = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).readall().split(b"\n")
    line = lines[int(line_no) - 1]
    assert hashlib.sha256(line).hexdigest() == line_hash
    assert step["record"] in line.decode()
    assert hashlib.sha256(packed).hexdigest() in step["file"]
    assert hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() in step["manifest"]


def test_a_record_leads_back_to_its_line_and_hash(finished: Finished) -> None:
    said = finished.audit.must("trace", "s-1")
    steps = read_trace(said)
    assert {step["table"] for step in steps} == {"interaction", "resource_access"}
    for step in steps:
        check_trace(finished.audit, step)
    assert "westbridge" not in said
    # Only here does a name get printed, on request; not into what `finished` keeps of everything printed.
    assert "westbridge.example" in Audit(finished.audit.root).must("trace", "s-1", "--show-record")


def test_a_finding_leads_back_to_the_lines_it_rests_on(finished: Finished) -> None:
    published = finished.audit.workspace.published / "compliance.duckdb"
    findings = ask_file(published, "SELECT finding_id, detection FROM finding")
    assert {detection for _, detection in findings} >= {"prompt_attack_flag", "sensitive_label_access"}
    for finding, detection in findings:
        if detection == "source_silence":
            done = finished.audit.run("trace", finding)
            assert is_refused(done, 2), done
            assert "rests on what is missing" in done.stderr
            continue
        steps = read_trace(finished.audit.must("trace", finding))
        assert steps
        for step in steps:
            check_trace(finished.audit, step)


# verify


def verdicts(done: Spoken) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith(("INVALID", "missing", "gap"))]


def test_verify_says_valid_one_by_one(finished: Finished) -> None:
    said = finished.audit.must("verify").splitlines()
    chain = packages(finished.audit.workspace)
    assert [line for line in said if line.startswith("valid")] == [
        f"valid    {package.package_id}" for package in chain
    ]
    assert said[-1] == f"Head: {chain[-1].sha256}"
    finished.audit.must("verify", "--quiet", "--head", chain[0].sha256)


def test_every_kind_of_tampering_is_found(copy: Audit) -> None:
    chain = packages(copy.workspace)
    folders = [package_folder(copy.workspace, package) for package in chain]
    flip_byte(folders[0] / RECORDS)
    (folders[1] / "note.txt").write_text("a stranger")
    manifest = json.loads((folders[2] / MANIFEST).read_text())
    manifest["counts"]["accepted"] += 1
    (folders[2] / MANIFEST).write_text(json.dumps(manifest))
    shutil.rmtree(folders[4])
    done = copy.run("verify")
    assert is_refused(done, 65), done
    said = "\n".join(verdicts(done))
    for package in (chain[0], chain[1], chain[3]):  # the one after the altered manifest tells on it
        assert f"INVALID  {package.package_id}" in said
    assert "missing  package 5" in said


def test_a_chain_cut_off_at_its_end_is_found(copy: Audit) -> None:
    chain = packages(copy.workspace)
    head = chain[-1].sha256
    shutil.rmtree(package_folder(copy.workspace, chain[-1]))
    done = copy.run("verify", "--quiet")
    assert is_refused(done, 65), done
    assert f"missing  package {chain[-1].seq}: the chain was cut off at its end" in done.stdout
    (copy.workspace.landing / "head.json").write_text(
        json.dumps({"seq": chain[-2].seq, "sha256": chain[-2].sha256})
    )
    assert copy.run("verify", "--quiet").returncode == 0  # whoever can write here can hide this …
    done = copy.run("verify", "--quiet", "--head", head)  # … but not from a head that was kept elsewhere
    assert is_refused(done, 65), done


def test_a_hole_in_the_windows_is_a_gap(finished: Finished, copy: Audit) -> None:
    copy.must("pull", "--since", "2026-10-12", "--until", "2026-10-12")
    done = copy.run("verify", "--quiet")
    assert done.returncode == 0
    assert "no package covers 2026-10-09T23:00:00Z/2026-10-11T23:00:00Z" in "\n".join(verdicts(done))
