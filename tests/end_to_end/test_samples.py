"""Public samples that nobody of the project wrote: imported by command line, counted in what is published."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders import SAMPLES
from end_to_end.audits import Audit, ask_file, is_refused
from genai_audit.collection import recognise
from genai_audit.errors import BadDataError
from genai_audit.landing import packages

M365 = SAMPLES / "m365"
PURVIEW = M365 / "infosecstreams_huntress2023/purview.csv"
DOCUMENTED = M365 / "MicrosoftDocs_office-365-management-api/audit_records_from_docs.jsonl"
ELASTIC = M365 / "elastic_integrations/o365_audit_events_transcribed.jsonl"
SHAPES = M365 / "pnp_fixtures_transcribed/copilot_shapes.jsonl"

pytestmark = pytest.mark.skipif(not M365.exists(), reason="the shared samples are not beside this checkout")


@dataclass
class Imported:
    """All samples in one finished audit; `said` by file, `packages` ids by file."""

    audit: Audit
    said: dict[str, str]
    package_ids: dict[str, str]

    def ask(self, sql: str, name: str) -> list[tuple[Any, ...]]:
        """Rows of the published file; `$package` in the SQL is the package of a sample."""
        sql = sql.replace("$package", f"'{self.package_ids[name]}'")
        return ask_file(self.audit.workspace.published / "compliance.duckdb", sql)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("samples")
    audit = Audit(folder / "workspace")
    found = Imported(audit, {}, {})
    files = {"purview": PURVIEW, "documented": DOCUMENTED, "elastic": ELASTIC}
    for name, file in (files | {"shapes": complete_shapes(folder)}).items():
        found.said[name] = audit.must("import", str(file))
        found.package_ids[name] = packages(audit.workspace)[-1].package_id
    audit.must("run")
    return found


def complete_shapes(folder: Path) -> Path:
    """The pnp shapes lack parts of their envelope; the pair of one Studio turn is four seconds apart."""
    lines = []
    for number, line in enumerate(SHAPES.read_text(encoding="utf-8").splitlines()):
        body = json.loads(line)["record"]
        missing = {"RecordType": 261, "Operation": "CopilotInteraction", "UserId": "user@contoso.example"}
        own = {"Id": str(uuid.UUID(int=1000 + number)), "CreationTime": f"2026-01-0{number + 1}T09:00:00"}
        if number == 5:
            own["CreationTime"] = "2026-01-05T09:00:04"
        lines.append(json.dumps(missing | body | own, ensure_ascii=False))
    path = folder / "copilot_shapes.jsonl"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def test_every_row_is_accounted_for(imported: Imported) -> None:
    landed = {package.package_id: package.counts for package in packages(imported.audit.workspace)}
    accepted = {name: landed[one]["accepted"] for name, one in imported.package_ids.items()}
    # The documentation shows one record in two revisions: the second can't have its id as well.
    assert accepted == {"purview": 219, "documented": 13, "elastic": 5, "shapes": 6}
    assert "1 x id_conflict" in imported.said["documented"]
    for name, one in imported.package_ids.items():
        [(received, accounted)] = imported.ask(
            "SELECT received_count, accepted_count + duplicate_count + quarantined_count + trimmed_count "
            "FROM package WHERE package_id = $package", name,
        )  # fmt: skip
        assert received == accounted == landed[one]["received"]


def test_the_purview_export_has_no_ai_interaction_and_no_dlp_hit(imported: Imported) -> None:
    def count(table: str) -> int:
        return int(imported.ask(f"SELECT count(*) FROM {table} WHERE package_id = $package", "purview")[0][0])

    tables = ("interaction", "resource_access", "external_use", "dlp_event", "label_event")
    assert {table: count(table) for table in tables} == {
        "interaction": 0, "resource_access": 0, "external_use": 0, "dlp_event": 0, "label_event": 6,
    }  # fmt: skip
    rows = ask_file(
        imported.audit.workspace.warehouse,
        "SELECT record_type, count(*) FROM stg_m365_event WHERE package_id = "
        f"'{imported.package_ids['purview']}' GROUP BY ALL",
    )
    assert dict(rows) == {1: 89, 8: 71, 15: 21, 6: 13, 14: 9, 4: 6, 13: 3, 43: 3, 56: 3, 36: 1}
    labelled = imported.ask(
        "SELECT record_type, count(*), count(DISTINCT label_id) FROM label_event WHERE package_id = $package "
        "GROUP BY ALL ORDER BY 1", "purview",
    )  # fmt: skip
    assert [(kind, rows) for kind, rows, _ in labelled] == [(13, 3), (43, 3)]


def test_the_documented_records(imported: Imported) -> None:
    hosts = imported.ask(
        "SELECT app_host FROM interaction WHERE package_id = $package ORDER BY occurred_at", "documented"
    )
    assert [host for (host,) in hosts] == ["Word", "Bing"]
    labels = imported.ask(
        "SELECT change, how_applied FROM label_event WHERE package_id = $package ORDER BY ALL", "documented"
    )
    assert labels == [("applied", "default"), ("upgraded", "manual")]


def test_every_shape_of_policy_details_has_its_verdict(imported: Imported) -> None:
    rows = imported.ask(
        "SELECT record_id[-2:], resource_no, policy_outcome, access_status FROM resource_access "
        "WHERE package_id = $package ORDER BY ALL", "shapes",
    )  # fmt: skip
    assert rows == [
        ("e8", 1, "none", None),  # an empty string
        ("e8", 2, "none", None),
        ("e9", 1, "none", None),  # a JSON string
        ("ea", 1, "none", None),  # three evaluations, JSON inside JSON
        ("eb", 1, "blocked", "failure"),  # an array of policies with BlockAccess
    ]
    counts = imported.ask(
        "SELECT prompt_count, response_count, is_end_user, is_twin FROM interaction "
        "WHERE package_id = $package ORDER BY record_id", "shapes",
    )  # fmt: skip
    assert counts[0] == (1, 3, True, False)
    assert counts[4:] == [(0, 0, False, True), (1, 1, True, False)]  # one Studio turn, counted once


def test_two_records_of_one_incident(imported: Imported) -> None:
    rows = imported.ask(
        "SELECT count(*), count(DISTINCT incident_key), count(DISTINCT record_id) FROM dlp_event "
        "WHERE package_id = $package", "elastic",
    )  # fmt: skip
    assert rows == [(3, 2, 3)]


def test_files_without_genai_activity_are_refused(imported: Imported) -> None:
    """Organisation tables and packed learning records: nothing is guessed into them."""
    others = [*M365.glob("sumitsadhu1*/*.csv"), *SAMPLES.glob("vle/*/*.gz")]
    assert len(others) == 20
    for file in others:
        with pytest.raises(BadDataError):
            recognise(file)
    before = len(packages(imported.audit.workspace))
    done = imported.audit.run("import", str(others[0]), str(others[-1]))
    assert is_refused(done, 65), done
    assert len(packages(imported.audit.workspace)) == before


def test_the_same_file_again_loads_nothing_new(imported: Imported) -> None:
    said = imported.audit.must("import", "--dry-run", str(PURVIEW))
    assert "would be imported as purview_csv (m365_files)" in said
    before = len(packages(imported.audit.workspace))
    imported.audit.must("import", str(PURVIEW))
    imported.audit.load()
    assert len(packages(imported.audit.workspace)) == before + 1
    rows = ask_file(imported.audit.workspace.warehouse, "SELECT count(*) FROM stg_m365_event")
    assert rows == [(219 + 13 + 5 + 6,)]
