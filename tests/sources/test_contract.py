"""What every source owes its readers; a new one is held to it without a line here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builders import day_window, land, make_settings, make_workspace
from genai_audit import registry
from genai_audit.collection import describe_plan
from genai_audit.configuration import options_of
from genai_audit.registry import Source
from genai_audit.runs import Run
from genai_audit.workspace import shipped

SOURCES = sorted(registry.sources().items())
PULLED = [(name, source) for name, source in SOURCES if source.pull]
PARSED = [(name, source) for name, source in SOURCES if source.family]


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_it_says_what_it_contains_and_what_not(name: str, source: Source) -> None:
    words = registry.docstring("sources", name)
    assert len(words) > 200
    assert re.search(r"\bcontains?:", words, re.IGNORECASE), name
    assert re.search(r"does not\s+contain", words, re.IGNORECASE), name
    assert source.title
    assert source.unproven_when
    assert source.pull or source.read, "nobody could bring it"
    assert bool(source.recognise) <= bool(source.read)
    assert source.expected in ("daily", "on import")


@pytest.mark.parametrize(("name", "source"), PARSED)
def test_its_records_are_parsed_loaded_and_checked(name: str, source: Source) -> None:
    sql = shipped("sql")
    assert [
        *(sql / "parse").glob(f"{source.family}.sql"),
        *(sql / "parse").glob(f"{source.family}_[0-9]*.sql"),
    ]
    staging = "".join(path.read_text(encoding="utf-8") for path in (sql / "staging").glob("*.sql"))
    assert f"TABLE IF NOT EXISTS {source.base_table} (" in staging, name
    assert (shipped("expectations") / f"{source.base_table}.json").is_file()


@pytest.mark.parametrize(("name", "source"), PULLED)
def test_without_configuration_it_says_what_to_fill_in_and_asks_nothing(
    name: str, source: Source, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path)
    settings = make_settings(workspace)
    missing = Run(workspace, settings, "test").what_is_missing(name)
    assert missing, "a source that needs nothing would be pulled from nowhere"
    plan = describe_plan(workspace, settings, day_window(), [name])
    assert plan == [f"{name}: not configured, nothing to pull: {missing}"]


@pytest.mark.parametrize(("name", "source"), PULLED)
def test_its_section_has_defaults_that_hold_together(name: str, source: Source, tmp_path: Path) -> None:
    options = options_of(make_settings(make_workspace(tmp_path)), name)
    assert isinstance(options, source.options)
    assert options.first_pull_days <= source.keeps.days or source.is_snapshot, "older than the service keeps"
    assert options.overlap_days <= source.keeps.days or source.is_snapshot
    assert source.requests >= 1


@pytest.mark.parametrize(("name", "source"), PULLED)
def test_its_permissions_only_read(name: str, source: Source) -> None:
    from genai_audit.sources._token_roles import is_read_only

    assert all(is_read_only(need) for need in source.needs)


@pytest.mark.parametrize(("name", "source"), PARSED)
def test_a_record_without_an_id_is_set_aside(name: str, source: Source, tmp_path: Path) -> None:
    records = [b"{}", b'{"id":null,"auditData":[]}', b'{"id":{"a":1},"record_id":[1],"occurred_at":7}']
    package = land(make_workspace(tmp_path), records, source_id=name)
    assert package.quarantine_reasons == {"no_record_id": len(records)}
