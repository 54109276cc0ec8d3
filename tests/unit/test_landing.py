"""Packages: exact counts, a chain that notices every change, content that never lands."""

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import DAY, copilot_record, day_window, land, make_workspace
from genai_audit.configuration import load_settings
from genai_audit.errors import IntegrityError
from genai_audit.landing import (
    MANIFEST,
    QUARANTINE,
    RECORDS,
    Landing,
    Package,
    package_folder,
    packages,
    read_records,
)
from genai_audit.registry import RawPage, RecordIdentity, Source
from genai_audit.verification import verify_landing
from genai_audit.workspace import Workspace

PLAIN = Source(
    "test", "m365", "stg_m365_event", lambda value: RecordIdentity(value.get("id"), value.get("at"))
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def land_plain(workspace: Workspace, *records: bytes, days: int = 0) -> Package:
    return land(workspace, records, source_id="plain", source=PLAIN, window=day_window(days))


def states(workspace: Workspace) -> set[str]:
    return {verdict.state for verdict in verify_landing(workspace)}


def test_counts_add_up_exactly_and_every_reason_is_named(workspace: Workspace) -> None:
    inside, outside = "2026-10-06T10:00:00", "2026-10-07T00:00:00"
    good = f'{{"id":"1","at":"{inside}"}}'.encode()
    package = land_plain(
        workspace,
        good,
        good,
        f'{{"id":"1","at":"{inside}","x":2}}'.encode(),
        f'{{"id":"2","at":"{outside}"}}'.encode(),
        b'{"at":"x"}',
        b'{"id":',
        b'{"id":"3","id":"4"}',
    )
    assert package.counts == {
        "received": 7, "accepted": 1, "duplicate": 1, "quarantined": 4, "trimmed": 1, "content_cut": 0
    }  # fmt: skip
    assert package.quarantine_reasons == {
        "duplicate_key": 1, "id_conflict": 1, "no_record_id": 1, "not_json": 1
    }  # fmt: skip
    assert [line for batch in read_records(workspace, package, 10) for line in batch] == [good]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([b'{"id":"a"}', b'{"id":"b"}', b'{"id":"a","n":1}', b"{", b"{}", b"\xff"])))
def test_received_is_always_the_sum(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    counts = land_plain(make_workspace(tmp_path_factory.mktemp("w")), *records).counts
    assert counts["received"] == len(records)
    assert counts["received"] == sum(counts[n] for n in ("accepted", "duplicate", "quarantined", "trimmed"))


def test_an_empty_window_is_a_package_too(workspace: Workspace) -> None:
    package = land_plain(workspace)
    assert package.counts["received"] == 0
    assert (package_folder(workspace, package) / RECORDS).exists()
    assert list(read_records(workspace, package, 10)) == []
    assert states(workspace) == {"valid"}


def test_quarantine_keeps_the_bytes_but_never_what_may_be_content(workspace: Workspace) -> None:
    content = [b'{"PromptText":"secret" broken', b'x,""PromptText"":""secret""', b"{'PromptText':'secret'}"]
    package = land_plain(workspace, b'{"id":1,"id":2}', *content)
    packed = (package_folder(workspace, package) / QUARANTINE).read_bytes()
    kept = [
        json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()
    ]
    assert base64.b64decode(kept[0]["raw_base64"]) == b'{"id":1,"id":2}'
    assert all(one.keys() == {"reason", "bytes", "sha256"} for one in kept[1:])


def test_prompt_text_is_cut_and_counted_before_it_lands(workspace: Workspace) -> None:
    package = land(workspace, [copilot_record(event={"PromptText": "CANARY"})], window=day_window())
    lines = b"".join(line for batch in read_records(workspace, package, 10) for line in batch)
    assert package.counts["content_cut"] == 1
    assert b"CANARY" not in lines


def test_the_chain_follows_the_order_of_closing(workspace: Workspace) -> None:
    first, second = land_plain(workspace), land_plain(workspace, days=1)
    assert (first.seq, second.seq) == (1, 2)
    assert second.prev_sha256 == first.sha256
    assert packages(workspace) == [first, second]


def test_files_and_folders_are_private(workspace: Workspace) -> None:
    land_plain(workspace, b'{"id":"1"}', b"{")
    loose = [path for path in workspace.root.rglob("*") if path.stat().st_mode & 0o077]
    assert loose == []


@pytest.mark.parametrize("name", [RECORDS, MANIFEST, QUARANTINE])
def test_every_flipped_byte_is_noticed(workspace: Workspace, name: str) -> None:
    land_plain(workspace, b'{"id":"1"}', b"{")
    land_plain(workspace, b'{"id":"2"}', b"{", days=1)
    path = package_folder(workspace, packages(workspace)[0]) / name
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 15)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "INVALID" in states(workspace)
    path.write_bytes(whole)
    assert states(workspace) == {"valid"}


def test_an_altered_file_is_refused_before_a_line_is_given_out(workspace: Workspace) -> None:
    package = land_plain(workspace, b'{"id":"1"}')
    path = package_folder(workspace, package) / RECORDS
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        next(read_records(workspace, package, 10))


def test_a_removed_package_is_missing_also_at_the_end_of_the_chain(workspace: Workspace) -> None:
    for days in range(3):
        land_plain(workspace, days=days)
    chain = packages(workspace)
    for gone in (chain[1], chain[2]):
        folder = package_folder(workspace, gone)
        hidden = folder.rename(workspace.root / "hidden")
        assert "missing" in states(workspace)
        hidden.rename(folder)
    assert states(workspace) == {"valid"}


def test_swapped_stray_and_foreign_files_are_invalid(workspace: Workspace) -> None:
    package = land_plain(workspace, b'{"id":"1"}')
    extra = package_folder(workspace, package) / "note.txt"
    extra.write_text("x")
    assert "INVALID" in states(workspace)
    extra.unlink()
    (workspace.landing / "plain" / "0000009-x").mkdir()
    assert "INVALID" in states(workspace)


def test_a_hole_between_windows_is_a_gap(workspace: Workspace) -> None:
    land_plain(workspace, days=0)
    land_plain(workspace, days=2)
    assert [v.detail for v in verify_landing(workspace) if v.state == "gap"] == [
        "no package covers 2026-10-07T00:00:00Z/2026-10-08T00:00:00Z"
    ]


def test_a_failed_window_leaves_a_gap_although_its_package_exists(workspace: Workspace) -> None:
    land_plain(workspace, days=0)
    land(workspace, [], source_id="plain", source=PLAIN, window=day_window(1), outcome="failed", reason="503")
    land_plain(workspace, days=2)
    assert "gap" in states(workspace)


def test_an_unfinished_package_is_swept_by_the_next_run(workspace: Workspace) -> None:
    writer = Landing(workspace, load_settings(workspace.settings_file), "r").open_package(
        "plain", PLAIN, None
    )
    writer.add(RawPage([b'{"id":"1"}']))
    assert packages(workspace) == []
    with workspace.lock("test"):
        assert list(workspace.landing.glob("*/*.part")) == []
    writer.discard()


def test_times_in_the_manifest_come_from_the_records(workspace: Workspace) -> None:
    records = [copilot_record(DAY + timedelta(hours=hour)) for hour in (9, 3, 15)]
    package = land(workspace, records, window=day_window())
    assert (package.min_occurred_at, package.max_occurred_at) == (
        "2026-10-06T03:00:00Z",
        "2026-10-06T15:00:00Z",
    )
