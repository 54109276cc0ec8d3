"""`verify` goes on after what it can't read: every package gets its own verdict."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from builders import copilot_record, day_window, land, make_settings, make_workspace
from genai_audit.errors import IntegrityError
from genai_audit.landing import HEAD, MANIFEST, package_folder, packages
from genai_audit.parsing import parse_all, parsed_folder
from genai_audit.tracing import check_parsed
from genai_audit.verification import Verdict, read_chain, verify_landing
from genai_audit.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Four packages."""
    workspace = make_workspace(tmp_path)
    for days in range(4):
        land(workspace, [], window=day_window(days))
    return workspace


def manifest(workspace: Workspace, place: int) -> Path:
    return package_folder(workspace, packages(workspace)[place]) / MANIFEST


def bad(workspace: Workspace) -> list[tuple[str, str, str]]:
    found = [verdict for verdict in verify_landing(workspace) if verdict.state not in ("valid", "gap")]
    return [(one.subject, one.state, one.detail) for one in found]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"5", b'"x"', b"null", b"\xff", b'{"window":null}', b'{"window":5}'],
)
def test_an_unreadable_manifest_is_invalid_and_the_others_get_their_verdict(
    workspace: Workspace, content: bytes
) -> None:
    path = manifest(workspace, 1)
    path.write_bytes(content)
    assert bad(workspace) == [
        (path.parent.name, "INVALID", "its manifest can't be read"),
        ("package 2", "missing", "no readable manifest has this number"),
    ]
    assert [v.state for v in verify_landing(workspace)].count("valid") == 3
    assert [package.seq for package in read_chain(workspace)] == [1, 3, 4]
    with pytest.raises(IntegrityError):
        packages(workspace)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": "2"},
        {"seq": True},
        {"seq": 0},
        {"source": 5},
        {"files": []},
        {"files": {"x": {}}},
        {"more": 1},
    ],
)
def test_a_manifest_with_values_of_another_type_is_unreadable(
    workspace: Workspace, change: dict[str, object]
) -> None:
    path = manifest(workspace, 1)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    assert (path.parent.name, "INVALID", "its manifest can't be read") in bad(workspace)


def test_two_manifests_of_one_number_are_both_invalid(workspace: Workspace) -> None:
    folder = manifest(workspace, 1).parent
    copy = folder.with_name(folder.name + "-again")
    shutil.copytree(folder, copy)
    assert bad(workspace) == [
        (folder.name, "INVALID", "2 manifests have number 2"),
        (copy.name, "INVALID", "the manifest was moved to another folder"),
    ]


def test_a_number_far_away_does_not_take_for_ever(workspace: Workspace) -> None:
    path = manifest(workspace, 3)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"seq": 10**15}))
    assert ("packages 4 to 999999999999999", "missing", "no readable manifest has this number") in bad(
        workspace
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_an_unreadable_head_is_invalid(workspace: Workspace, content: bytes) -> None:
    (workspace.landing / HEAD).write_bytes(content)
    assert bad(workspace) == [(HEAD, "INVALID", "the record of the chain's head can't be read")]


def test_a_folder_in_place_of_a_sealed_file_is_invalid(workspace: Workspace) -> None:
    path = manifest(workspace, 0).parent / "records.ndjson.zst"
    path.unlink()
    path.mkdir()
    assert bad(workspace)[0][1:] == ("INVALID", "records.ndjson.zst: can't be read")


def test_a_published_package_without_a_parsed_folder_is_missing(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    settings = make_settings(workspace)
    chain = [land(workspace, [copilot_record()], window=day_window(0))]
    assert list(check_parsed(workspace, chain)) == []  # not parsed yet is no fault
    parse_all(workspace, chain, settings, workspace.read_key())
    with duckdb.connect(workspace.published / "compliance.duckdb") as published:
        published.execute("CREATE TABLE package AS SELECT $id AS package_id", {"id": chain[0].package_id})
    chain.append(land(workspace, [], window=day_window(1)))
    assert list(check_parsed(workspace, chain)) == []
    shutil.rmtree(parsed_folder(workspace, chain[0]))
    assert [row[:2] for row in check_parsed(workspace, chain)] == [(chain[0].package_id, "missing")]
    (workspace.published / "compliance.duckdb").write_bytes(b"no database" * 1000)
    assert list(check_parsed(workspace, chain)) == []


def test_an_intact_landing_has_valid_packages_only(workspace: Workspace) -> None:
    assert verify_landing(workspace) == [Verdict(p.package_id, "valid") for p in packages(workspace)]
