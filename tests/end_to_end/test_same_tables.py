"""The same records give the same tables, whatever way they take; altered evidence gives no number at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from end_to_end.audits import Audit, flip_byte, hash_tables, is_refused, loaded_ids
from end_to_end.conftest import SINCE, UNTIL, Finished
from genai_audit.landing import RECORDS, Package, package_folder, packages, read_records
from genai_audit.parsing import parsed_folder
from genai_audit.workspace import Workspace

RUNS = ("stg_run", "stg_quality", "fct_run", "fct_quality")  # every run adds itself
PACKAGES = ("stg_package", "fct_package", "loaded_package", "built_with", "stg_field_drift")  # a package each


def hash_published(workspace: Workspace) -> dict[str, str]:
    rooms = (workspace.published, workspace.reports)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for room in rooms
        for path in sorted(room.iterdir())
    }


def read_lines_of(audit: Audit, package: Package) -> Iterator[bytes]:
    yield from next(read_records(audit.workspace, package, 10_000))


def largest(workspace: Workspace, name: str) -> Path:
    """The largest landed or parsed file of that name in the workspace."""
    found = sorted(workspace.root.rglob(name), key=lambda path: path.stat().st_size)
    return found[-1]


def test_the_same_window_again_changes_no_table(copy: Audit, finished: Finished) -> None:
    """And `--fail-on` speaks up after all is published."""
    before = hash_tables(copy.workspace, but=(*RUNS, *PACKAGES))
    count = len(packages(copy.workspace))
    done = copy.run("run", "--since", SINCE, "--until", UNTIL, "--fail-on", "finding, gap")
    assert is_refused(done, 1), done
    assert "--fail-on was hit: finding" in done.stderr
    assert "0 new record(s)" in done.stdout
    assert len(packages(copy.workspace)) > count
    assert hash_tables(copy.workspace, but=(*RUNS, *PACKAGES)) == before
    assert loaded_ids(copy.workspace) == sorted(finished.truth)


def test_a_rebuild_gives_identical_tables(copy: Audit) -> None:
    before = hash_tables(copy.workspace, but=RUNS)
    copy.must("rebuild")
    assert hash_tables(copy.workspace, but=RUNS) == before


def test_a_rebuild_from_landing_gives_identical_tables_and_mends_what_is_broken(copy: Audit) -> None:
    """Parsed packages can be made again from landing; one that holds other records can't slip in before."""
    before = hash_tables(copy.workspace, but=RUNS)
    seals = {path: path.read_bytes() for path in copy.workspace.parsed.rglob("seal.json")}
    landed = [one for one in packages(copy.workspace) if one.window and one.counts["accepted"]]
    one, other = (parsed_folder(copy.workspace, package) for package in landed[:2])
    (one / "seal.json").write_bytes((other / "seal.json").read_bytes())
    done = copy.run("rebuild")
    assert is_refused(done, 65), done
    assert "rebuild --from landing" in done.stderr
    copy.must("rebuild", "--from", "landing")
    assert hash_tables(copy.workspace, but=RUNS) == before
    assert {path: path.read_bytes() for path in copy.workspace.parsed.rglob("seal.json")} == seals


def test_an_altered_landed_file_is_refused_before_a_number_is_shown(copy: Audit) -> None:
    shown = hash_published(copy.workspace)
    altered = largest(copy.workspace, RECORDS)
    flip_byte(altered)
    for words in (("rebuild", "--from", "landing"), ("verify",)):
        done = copy.run(*words)
        assert is_refused(done, 65), done
        assert altered.parent.name in done.stdout + done.stderr
        assert hash_published(copy.workspace) == shown
    verdicts = copy.run("verify", "--quiet").stdout.splitlines()
    assert [line.split()[:2] for line in verdicts if line.startswith("INVALID")] == [
        ["INVALID", f"{altered.parent.name}:"]
    ]


def test_an_altered_landed_record_is_not_traced(copy: Audit) -> None:
    package = next(one for one in packages(copy.workspace) if one.counts["accepted"] and one.window)
    record = json.loads(next(read_lines_of(copy, package)))["id"]
    assert package.package_id in copy.must("trace", record)
    flip_byte(package_folder(copy.workspace, package) / RECORDS)
    done = copy.run("trace", record)
    assert is_refused(done, 65), done
    assert (done.stdout, package.package_id in done.stderr) == ("", True)


def test_an_altered_parsed_table_is_refused_before_a_number_is_shown(copy: Audit) -> None:
    shown = hash_published(copy.workspace)
    altered = largest(copy.workspace, "stg_interaction.parquet")
    flip_byte(altered)
    for words in (("rebuild",), ("verify",)):
        done = copy.run(*words)
        assert is_refused(done, 65), done
        assert altered.parent.name in done.stdout + done.stderr
        assert hash_published(copy.workspace) == shown
