"""Learning records and Caliper events by the real command line, from the store and files to the warehouse."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette

from builders import SAMPLES
from end_to_end.audits import Audit, ask_file, read_lines, wait_until
from genai_audit.demo import campus
from genai_audit.demo._server import LoopbackServer
from genai_audit.demo._sign_in import HOST, make_certificates, write_private
from genai_audit.demo.learning_events import XAPI_RULE, make_envelopes, make_statements, write_envelopes
from genai_audit.demo.lrs import PretendLrs
from genai_audit.landing import packages

SINCE, UNTIL = date(2026, 10, 6), date(2026, 10, 8)
DAYS = [SINCE + timedelta(days=n) for n in range(3)]
MakeAudit = Callable[..., Audit]
BLACKBOARD = SAMPLES / "vle/blackboard_anthologydevdocs_caliper"


@pytest.fixture(scope="module")
def people() -> campus.People:
    return campus.make_people(1500, 7)


@pytest.fixture(scope="module")
def served(
    people: campus.People, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PretendLrs, str]]:
    """A store on this machine, and the configuration that points at it."""
    folder = tmp_path_factory.mktemp("lrs")
    authority, certificate, _ = make_certificates()
    (folder / "ca.pem").write_bytes(authority)
    store = PretendLrs(
        make_statements(people, DAYS, UNTIL, 7), page_size=20, consistent_through=lambda: datetime.now(UTC)
    )
    server = LoopbackServer(Starlette(routes=store.routes), write_private(folder / "server.pem", certificate))
    server.start()
    values = {
        "url": f"https://{HOST}:{server.port}/xAPI", "user": "audit", "ca_bundle": str(folder / "ca.pem"),
        "password_path": str(write_private(folder / "password", b"secret")), "page_size": 20,
        "retry_seconds": 0.01,
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[[vle_xapi.rules]]", *(f"{key} = {json.dumps(value)}" for key, value in XAPI_RULE.items())]
    text = '[sources]\nenabled = ["vle_xapi"]\nexpected = ["vle_xapi"]\n[vle_xapi]\n' + "\n".join(lines)
    yield store, text
    server.stop()


def pull(audit: Audit) -> str:
    return audit.must("pull", "--source", "vle_xapi", "--since", str(SINCE), "--until", str(UNTIL))


def test_statements_and_launches_become_use_without_a_name(
    served: tuple[PretendLrs, str], people: campus.People, make_audit: MakeAudit, tmp_path: Path
) -> None:
    audit = make_audit(tmp_path, served[1])
    planned = audit.must("pull", "--dry-run", "--source", "vle_xapi", "--since", str(SINCE))
    assert "requests" in planned
    pull(audit)
    events = tmp_path / "caliper.jsonl"
    count = write_envelopes(events, make_envelopes(people, DAYS, UNTIL, 7))
    assert "import vle_caliper" in audit.must("import", str(events))
    landed = b"".join(read_lines(audit.workspace))
    seen = [
        text for name in people.names for text in (name, name.split()[-1]) if f'"{text}'.encode() in landed
    ]
    assert seen == []
    assert b"invented" not in landed
    facts = [one.source_facts for one in packages(audit.workspace) if one.source != "registers"]
    assert sum(one["statements"] for one in facts[:-1]) > 300
    assert facts[-1]["events"] == count == facts[-1]["genai"] + facts[-1]["not_genai"]
    audit.load()
    rows = ask_file(
        audit.workspace.warehouse,
        "SELECT source, feature, count(*), count(person_key), count(course_key) FROM fct_vle_use "
        "GROUP BY ALL",
    )
    used = {(source, feature): counts for source, feature, *counts in rows}
    assert set(used) == {
        ("vle_xapi", "Tutor: message sent"), ("vle_xapi", "unclassified: ai.studio.tile.open"),
        ("vle_caliper", "LearnWise: opened"),
    }  # fmt: skip
    assert all(total == known == placed > 0 for total, known, placed in used.values())
    genai = sum(one["genai"] + one["unclassified"] for one in facts)
    assert sum(total for total, _, _ in used.values()) == genai
    # One person is one pseudonym in both logs.
    both = ask_file(
        audit.workspace.warehouse,
        "SELECT person_key FROM fct_vle_use GROUP BY ALL HAVING count(DISTINCT source) = 2",
    )
    assert len(both) > 0
    loaded = "SELECT record_id FROM stg_vle_use ORDER BY 1"
    before = ask_file(audit.workspace.warehouse, loaded)
    pull(audit)
    audit.load()
    assert ask_file(audit.workspace.warehouse, loaded) == before


def test_a_pull_killed_between_pages_is_finished_by_the_next(
    served: tuple[PretendLrs, str], make_audit: MakeAudit, tmp_path: Path
) -> None:
    whole, killed = make_audit(tmp_path / "whole", served[1]), make_audit(tmp_path / "killed", served[1])
    pull(whole)
    words = ("pull", "--source", "vle_xapi", "--since", str(SINCE), "--until", str(UNTIL))
    state = killed.workspace.state / "vle_xapi"
    with killed.start(*words) as process:
        assert wait_until(lambda: any(state.glob("*.progress")), process)
        os.kill(process.pid, signal.SIGKILL)
    assert any(state.glob("*.rows"))
    pull(killed)
    assert set(read_lines(killed.workspace)) == set(read_lines(whole.workspace))
    assert not any(state.glob("*.rows"))


@pytest.mark.skipif(not BLACKBOARD.exists(), reason="the shared samples are not beside this checkout")
def test_blackboards_payloads_are_imported_and_prove_nothing(make_audit: MakeAudit, tmp_path: Path) -> None:
    audit = make_audit(tmp_path)
    files = sorted(BLACKBOARD.glob("*.json"))
    audit.must("import", *(str(file) for file in files))
    landed = packages(audit.workspace)
    assert [package.outcome for package in landed] == ["unproven"] * 14
    assert sum(package.source_facts["events"] for package in landed) == 17
    assert list(read_lines(audit.workspace)) == []
