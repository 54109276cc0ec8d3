"""What each report says about given published tables, and what it must never say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from genai_audit.errors import BadDataError, SoftwareError
from genai_audit.reporting.pages import render_reports
from genai_audit.reporting.passports import read_passport
from genai_audit.settings import Settings
from genai_audit.workspace import shipped
from reports.page_facts import Page

from .conftest import AUDIENCES, HOSTILE, PERSON, make_context, make_rows, open_read_only, publish, render

Render = Callable[..., dict[str, str]]
TEMPLATES = sorted(shipped("reports").glob("[!_]*.html.j2"))
CLAUSES = [str(n) for n in range(1, 18) if n != 10] + ["10(9a)", "10(9b)", "10(9c)"]


@pytest.mark.parametrize("report", ["compliance_audit", "iss_operations", "vle_usage"])
def test_hostile_names_are_text(pages: dict[str, str], report: str) -> None:
    page = pages[report]
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert HOSTILE[0] in Page(page).words


def test_direction_characters_are_shown(pages: dict[str, str]) -> None:
    assert "evil‹U+202E›gnp.exe" in Page(pages["compliance_audit"]).words


def test_compliance_has_its_sections(pages: dict[str, str]) -> None:
    headings = [text for level, text in Page(pages["compliance_audit"]).headings if level == 2]
    assert headings == [
        "These days have gaps", "On this page", "In short", "What was collected, and what was not",
        "Findings", "AI use that was recorded", "Access to sensitive content", "External AI tools",
        "Quality of the data", "Policy clauses", "How to trace a number", "Limits", "About this report",
    ]  # fmt: skip


def test_coverage_is_counted_and_gaps_are_named(pages: dict[str, str]) -> None:
    page = Page(pages["compliance_audit"])
    assert "43 of 45 expected source days collected in full; 43 source days from imported files" in page.words
    gaps = page.table("What we cannot see: days with gaps, by source").rows
    assert gaps[1] == ["m365_audit", "21 to 22 October 2026", "2", "not collected",
                       "Service unavailable & <b>late</b>", "every day", "14 November 2026"]  # fmt: skip
    assert gaps[2][:4] == ["vle_csv", "4 October 2026", "1", "unproven"]


def test_imported_files_are_coverage_too(render_rows: Render) -> None:
    rows = make_rows()
    rows["coverage"] = [row for row in rows["coverage"] if row[0] == "vle_csv"]
    words = Page(render_rows(rows)["compliance_audit"]).words
    assert "no source was expected every day; 43 source days from imported files" in words
    assert "not collected: no source was expected" not in words


def test_a_finding_is_explained(pages: dict[str, str]) -> None:
    words = Page(pages["compliance_audit"]).words
    for said in (
        "Was there unusual use of an external tool?", "60 records of ChatGPT", "4.5",
        "A workshop took place.", "Ask the school.", "Personal devices.", "tool ChatGPT",
        "no usual level", "Bears on policy clause 6.",
    ):  # fmt: skip
        assert said in words, said


def test_questions_that_were_not_answered_are_named(pages: dict[str, str]) -> None:
    rows = {
        row[0]: row[2] for row in Page(pages["compliance_audit"]).table("Questions asked of the data").rows
    }
    assert rows["external_tool_spike"] == "findings, see below"
    assert rows["prompt_attack_flag"] == "not evaluated: no flag arrived"
    assert rows["source_silence"].startswith("not known")


def test_people_are_short_tokens_and_small_numbers_are_not_printed(pages: dict[str, str]) -> None:
    page = pages["compliance_audit"]
    assert PERSON not in page
    assert page.count(PERSON[:11] + "…") == 1
    apps = Page(page).table("AI interactions by end users, by application (at most 25)")
    assert {row[3] for row in apps.rows[1:]} == {"fewer than 8"}
    for report in ("iss_operations", "vle_usage"):
        assert "ps_" not in pages[report]


def test_twins_and_tests_are_not_counted(pages: dict[str, str]) -> None:
    page = Page(pages["compliance_audit"])
    assert "344 AI interaction records by end users" in page.words
    left = page.table("AI interaction records that are not counted above").rows[1:]
    assert {row[1] for row in left} == {"43"}


def test_public_labels_are_not_sensitive(pages: dict[str, str]) -> None:
    rows = Page(pages["compliance_audit"]).table("Access to sensitive content, by label").rows[1:]
    assert [row[0] for row in rows] == ["Restricted", "Confidential"]


def test_external_tools_have_status_and_a_chart_with_gaps(pages: dict[str, str]) -> None:
    page = Page(pages["compliance_audit"])
    tools = {row[0]: row[1] for row in page.table("External AI tools").rows[1:]}
    assert tools["ChatGPT"] == "restricted"
    assert tools[HOSTILE[3]] == "unknown"
    numbers = page.table("Numbers: ChatGPT had the busiest day: 60 records on 3 November 2026").rows
    assert numbers[0] == ["Date", "ChatGPT", HOSTILE[0], HOSTILE[1], "All other tools"]
    days = {row[0]: row[1:] for row in numbers[1:]}
    assert days["21 October 2026"] == ["no data"] * 4
    assert days["3 November 2026"][0] == "60"
    assert len(days) == 45


def test_only_the_newest_quality_results_are_shown(pages: dict[str, str]) -> None:
    rows = Page(pages["compliance_audit"]).table("Quality checks that failed or could not be evaluated").rows
    assert [row[1] for row in rows[1:]] == [
        "row count against its own history (record_count)",
        "prompt attack flag",
    ]
    assert "old check" not in pages["compliance_audit"]


def test_every_policy_clause_appears(pages: dict[str, str], empty_pages: dict[str, str]) -> None:
    rows = Page(pages["compliance_audit"]).table("Policy clauses and the evidence for them").rows[1:]
    assert sorted(row[0].split()[0] for row in rows) == sorted(CLAUSES)
    found = {row[0].split()[0]: row[4] for row in rows}
    assert (found["3"], found["4"], found["6"]) == ("1", "1", "1")
    assert found["11"] == "not measured"
    empty = Page(empty_pages["compliance_audit"]).table("Policy clauses and the evidence for them").rows[1:]
    assert not any(row[4].isdigit() for row in empty)
    assert {row[1] for row in empty} == {"not measured", "not evaluated"}


def test_empty_tables_become_sentences(empty_pages: dict[str, str]) -> None:
    words = Page(empty_pages["compliance_audit"]).words
    for said in (
        "No AI interaction was collected for these days. This doesn't show that there was none.",
        "No use of an external AI tool was collected for these days.",
        "No access to content labelled confidential or higher was collected for these days.",
        "No question could be asked, because no day is recorded as collected.",
        "No quality check is recorded.",
        "Not collected: no source has covered any day of these days.",
    ):
        assert said in words, said
    assert "0 records" not in words
    assert "Interactions: not collected." in Page(empty_pages["vle_usage"]).words
    assert "No VLE source was collected" in Page(empty_pages["vle_usage"]).words
    assert (
        "No package was collected, so nothing is known of throttling."
        in Page(empty_pages["iss_operations"]).words
    )


def test_missing_tables_are_said_to_be_missing(render_rows: Render) -> None:
    pages = render_rows(
        make_rows(), leave_out=("external_use", "finding", "vle_use_by_tool", "package", "about")
    )
    compliance = Page(pages["compliance_audit"]).words
    assert (
        "Not collected: the published data holds no table of this kind. This says nothing about use."
        in compliance
    )
    assert "Findings were not published, so nothing can be said about them." in compliance
    assert "No package was collected" in Page(pages["iss_operations"]).words
    assert "no table of this kind" in Page(pages["vle_usage"]).words


def test_lide_sees_rounded_groups_only(pages: dict[str, str]) -> None:
    page = Page(pages["vle_usage"])
    rows = page.table("Artefacts by month and feature").rows
    assert ["September 2026", "AI Conversation", "suppressed", "suppressed"] in rows
    numbers = page.table(
        "Numbers: Artefacts: “AI Conversation” in November 2026 was the highest, with about 330 records"
    )
    assert numbers.rows[1][2] == "suppressed"
    assert "Aggregates: not collected." in page.words
    assert "vle_csv: 2 days missing or incomplete" in page.words
    assert "courses in all" in page.words


def test_totals_come_last_and_add_no_people(pages: dict[str, str]) -> None:
    page = Page(pages["vle_usage"])
    assert page.table("Artefacts by school and feature").rows[-1] == ["All", "All", "not added up", "280"]
    assert page.table("Artefacts by role").rows[1:] == [
        ["staff", "15", "90"], ["All", "not added up", "90"]
    ]  # fmt: skip
    assert page.table("Interactions by role").rows[-1] == ["All", "suppressed", "suppressed"]
    assert "3 of 26 published groups are suppressed" in page.words  # totals are no groups


def test_the_days_are_all_that_is_landed_and_are_said_to_be(pages: dict[str, str]) -> None:
    for report in ("compliance_audit", "iss_operations"):
        words = Page(pages[report]).words
        assert "Days in this report" in words
        assert "1 October to 14 November 2026, UK days: everything landed so far" in words
    usage = Page(pages["vle_usage"]).words
    assert "all days of VLE records together: 1 October to 14 November 2026." in usage
    assert "only the newest export counts" in usage


def test_a_tool_status_is_that_of_today(pages: dict[str, str]) -> None:
    assert "as the tool register says now" in Page(pages["compliance_audit"]).words


def test_kinds_of_record_are_never_added(pages: dict[str, str]) -> None:
    captions = [table.caption for table in Page(pages["vle_usage"]).tables]
    for kind in ("Artefacts", "Interactions"):
        assert f"{kind} by month and feature" in captions
    template = next(path for path in TEMPLATES if path.name.startswith("vle_usage"))
    for name, sql in read_passport(template).queries.items():
        for group in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Group):
            if "vle_use" in group.parent_select.sql() and "event_count" in group.parent_select.sql():  # type: ignore[union-attr]
                assert "record_kind" in group.sql(), name


def test_the_code_of_practice_is_answered(pages: dict[str, str]) -> None:
    headings = [text for _, text in Page(pages["vle_usage"]).headings]
    for heading in (
        "Responsibility", "Transparency and consent", "Privacy", "Validity", "Access",
        "Enabling positive interventions", "Minimising adverse impacts", "Stewardship",
    ):  # fmt: skip
        assert heading in headings


def test_operations_account_for_every_record(render_rows: Render, pages: dict[str, str]) -> None:
    assert "Every record that was received is accounted for" in Page(pages["iss_operations"]).words
    assert "AuditLogsQuery.Read.All" in Page(pages["iss_operations"]).words
    rows = make_rows()
    broken = list(rows["package"][0])
    broken[8] += 1  # received
    rows["package"][0] = tuple(broken)
    words = Page(render_rows(rows)["iss_operations"]).words
    assert "1 package can't account for every record" in words


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, pages: dict[str, str]) -> None:
    again = render(publish(tmp_path / "published", make_rows()), tmp_path / "reports")
    assert again == pages


def test_pages_are_private_files(tmp_path: Path) -> None:
    render(publish(tmp_path / "published", {}), tmp_path / "reports")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "reports").iterdir()} == {0o600}


def test_nothing_collected_at_all_is_a_page_too(tmp_path: Path) -> None:
    from dataclasses import replace

    context = replace(make_context(), period=None, head_sha256=None, detections={}, sources={})
    published = publish(tmp_path / "published", {})
    for path in render_reports(published, tmp_path / "r", Settings(), context, open_published=open_read_only):
        words = Page(path.read_text(encoding="utf-8")).words
        assert "no period, because nothing was collected" in words
        assert "no package has been landed" in words


def test_unpublished_data_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="Nothing is published for compliance yet") as caught:
        render_reports(tmp_path, tmp_path / "r", Settings(), make_context(), open_published=open_read_only)
    assert "genai-audit run" in caught.value.next_step


def test_a_broken_query_is_our_bug_and_not_missing_data(tmp_path: Path) -> None:
    published = publish(tmp_path / "published", {}, leave_out=("tool",))
    with open_write(published / "compliance.duckdb") as connection:
        connection.execute("CREATE TABLE tool (something_else VARCHAR)")
    with pytest.raises(SoftwareError, match="Query 'tool_names' fails"):
        render(published, tmp_path / "r")


def open_write(file: Path):  # type: ignore[no-untyped-def]
    import duckdb

    return duckdb.connect(str(file))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_queries_read_their_audience_only(template: Path) -> None:
    passport = read_passport(template)
    allowed = {table.removeprefix("lide_") for table in AUDIENCES[passport.audience]} | {"start_here"}
    for name, sql in passport.queries.items():
        tree = sqlglot.parse_one(sql, read="duckdb")
        inner = {cte.alias for cte in tree.find_all(exp.CTE)}
        assert {table.name for table in tree.find_all(exp.Table)} - inner <= allowed, name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_nobody_is_ranked_and_words_are_neutral(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    for sql in read_passport(template).queries.values():
        for order in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Order):
            assert "person" not in order.sql()
    for word in ("misuse", "offender", "culprit", "suspicious", "violation", "guilty", "top user"):
        assert word not in text.lower(), word
