"""The label catalogue over real sockets: sublabels, older paths, and half a catalogue that is not landed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from directory_tenant import Setting, setting_of
from genai_audit.demo.tenant import Faults
from genai_audit.errors import PermissionMissingError, SourceUnavailableError
from genai_audit.registry import RecordIdentity, sources
from genai_audit.sources.m365_labels import KEPT, SOURCE, flatten, identify

LIST = ("labels",)
ALL = 6  # five labels, and one sublabel


@contextmanager
def catalogue_of(folder: Path, faults: Faults | None = None, **values: Any) -> Iterator[Setting]:
    with setting_of(folder, SOURCE, faults, **values) as setting:
        yield setting


def versions(setting: Setting) -> list[str]:
    return [one.path.split("/")[1] for one in setting.tenant.requests if one.kind == "labels"]


def test_it_is_a_daily_snapshot_that_needs_one_permission() -> None:
    assert sources()["m365_labels"] is SOURCE
    assert SOURCE.needs == ("SensitivityLabels.Read.All",)
    assert SOURCE.is_snapshot


def test_labels_and_sublabels_lie_side_by_side(tmp_path: Path) -> None:
    with catalogue_of(tmp_path) as setting:
        pulled = setting.pull()
        labels = [json.loads(record) for record in pulled.records]
        parents = {one["displayName"]: one["parentId"] for one in labels}
        confidential = {one["displayName"]: one["id"] for one in labels}["Highly Confidential"]
        assert len(labels) == ALL
        assert parents["Research data"] == confidential
        assert parents["Public"] is None
        assert set(labels[0]) == {*KEPT, "parentId"}
        assert pulled.facts["outcome"] == "complete"
        assert (pulled.facts["api_version"], pulled.facts["has_sublabels_asked"]) == ("v1.0", True)


def test_a_tenant_that_refuses_expand_gives_its_labels(tmp_path: Path) -> None:
    with catalogue_of(tmp_path) as setting:
        setting.directory.refuses_expand = True
        pulled = setting.pull()
        assert len(pulled.records) == ALL - 1
        assert pulled.facts["has_sublabels_asked"] is False


def test_beta_is_asked_when_v1_has_no_such_list(tmp_path: Path) -> None:
    with catalogue_of(tmp_path) as setting:
        setting.directory.refuses_labels = ("v1.0",)
        pulled = setting.pull()
        assert versions(setting) == ["v1.0", "v1.0", "beta"]
        assert len(pulled.records) == ALL
        assert pulled.facts["api_version"] == "beta"


def test_a_tenant_without_labels_is_unproven(tmp_path: Path) -> None:
    with catalogue_of(tmp_path) as setting:
        setting.directory.refuses_labels = ("v1.0", "beta")
        pulled = setting.pull()
        assert pulled.records == []
        assert pulled.facts["outcome"] == "unproven"
        assert "this tenant has no" in pulled.facts["reason"]


def test_an_empty_catalogue_is_unproven(tmp_path: Path) -> None:
    with catalogue_of(tmp_path) as setting:
        setting.directory.labels = []
        assert setting.pull().facts["outcome"] == "unproven"


def test_a_catalogue_that_breaks_off_is_not_landed_at_all(tmp_path: Path) -> None:
    with catalogue_of(tmp_path, Faults(unavailable_burst=1_000, where=LIST, skip=1)) as setting:
        setting.directory.page_size = 2
        pulled = setting.pull()
        assert pulled.records == []
        assert pulled.facts["outcome"] == "partial"
        assert versions(setting) == ["v1.0"] * 11


@pytest.mark.parametrize(
    "faults",
    [
        Faults(throttle_with_retry_after=(2, 0.01), where=LIST),
        Faults(throttle_without_header=2, where=LIST),
        Faults(unavailable_burst=2, where=LIST),
        Faults(truncated_json=2, where=LIST),
    ],
    ids=["retry-after", "429", "503", "cut off"],
)
def test_passing_faults_are_outlasted_and_counted(tmp_path: Path, faults: Faults) -> None:
    with catalogue_of(tmp_path, faults) as setting:
        pulled = setting.pull()
        assert len(pulled.records) == ALL
        assert pulled.facts["retry_count"] == 2


@pytest.mark.parametrize("fault", ["looping_next_link", "foreign_next_link"])
def test_a_next_link_that_must_not_be_followed_lands_nothing(tmp_path: Path, fault: str) -> None:
    with catalogue_of(tmp_path, Faults(**{fault: 1_000})) as setting:
        pulled = setting.pull()
        assert pulled.records == []
        assert pulled.facts["outcome"] == "partial"
        assert {one.host for one in setting.tenant.requests} == {"127.0.0.1"}


def test_a_page_without_a_list_is_an_error(tmp_path: Path) -> None:
    faults = Faults(page_without_value=1_000)
    with catalogue_of(tmp_path, faults) as setting, pytest.raises(SourceUnavailableError, match="no list"):
        setting.pull()


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    with (
        catalogue_of(tmp_path, roles=("User.Read.All",)) as setting,
        pytest.raises(PermissionMissingError, match=r"SensitivityLabels\.Read\.All"),
    ):
        setting.pull()


def test_a_sublabel_that_is_also_listed_by_itself_counts_under_its_parent() -> None:
    child = {"id": "C", "priority": 1}
    records = [json.dumps(one).encode() for one in (child, {"id": "p", "sublabels": [child | {"id": "c"}]})]
    labels = [json.loads(record) for record in flatten(records)]
    assert [(one["id"], one["parentId"]) for one in labels] == [("c", "p"), ("p", None)]
    assert flatten(records) == flatten(records[::-1])[::-1]


def test_what_is_no_label_is_handed_on_to_be_set_aside() -> None:
    odd = [b'"text"', b"{", b'{"name": "x"}']
    assert flatten(odd) == odd
    assert identify({"name": "x"}) == RecordIdentity(None, None)
    assert identify({"id": "l1"}) == RecordIdentity("l1", None)
