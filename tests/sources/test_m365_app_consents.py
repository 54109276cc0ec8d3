"""Consents: one record a grant, the application looked up, Microsoft's own left out, the risk ranked."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from app_pulls import AI_APP, OTHER_APP, PERSON, count, make_context, pull, serve
from builders import SAMPLES
from genai_audit.demo.graph_apps import AppData
from genai_audit.demo.tenant import Faults
from genai_audit.errors import PermissionMissingError
from genai_audit.sources._consent_records import MICROSOFT as OWNERS
from genai_audit.sources._scope_tiers import find_tier, rank_scopes
from genai_audit.sources.m365_app_consents import SOURCE

OURS, MICROSOFT = "00000000-0000-4000-8000-000000000001", "F8CDEF31-A31E-4B4A-93E4-5F571E91255A"
ROLES = ("Directory.Read.All", "AuditLog.Read.All")


def principal(name: str, app_id: str, owner: str = OURS, publisher: str | None = None) -> dict[str, Any]:
    return {
        "id": name, "appId": app_id, "displayName": "Somebody's app",
        "appOwnerOrganizationId": owner, "servicePrincipalType": "Application",
        "verifiedPublisher": {"verifiedPublisherId": publisher},
    }  # fmt: skip


def grant(name: str, client: str, scope: str = " openid", person: str | None = PERSON) -> dict[str, Any]:
    return {
        "id": name, "clientId": client, "consentType": "Principal" if person else "AllPrincipals",
        "principalId": person, "resourceId": "graph", "scope": scope,
    }  # fmt: skip


def audit(name: str, client: str, at: str = "2026-10-05T09:00:00Z", **more: Any) -> dict[str, Any]:
    changes = {
        "ConsentContext.IsAdminConsent": '"True"',
        "ConsentAction.Permissions": '"[] => [[Id: x, Scope: Mail.Read User.Read, '
        'CreatedDateTime: ]]; [[Id: y, Scope: Files.ReadWrite.All]]"',
    }
    return {
        "id": name, "activityDateTime": at, "activityDisplayName": "Consent to application",
        "result": "success",
        "initiatedBy": {"user": {"id": PERSON, "userPrincipalName": "somebody@x", "ipAddress": "192.0.2.7"}},
        "targetResources": [{
            "id": client, "displayName": "Somebody's app",
            "modifiedProperties": [{"displayName": key, "newValue": one} for key, one in changes.items()],
        }],
        "additionalDetails": [{"key": "User-Agent", "value": "LAPTOP"}, {"key": "AppId", "value": OTHER_APP}],
    } | more  # fmt: skip


def test_grants_and_consents_of_other_people_s_applications(tmp_path: Path) -> None:
    data = AppData(
        principals=[principal("p1", AI_APP.upper(), publisher="77"), principal("p2", OTHER_APP, MICROSOFT)],
        grants=[
            grant("g1", "p1", " Files.Read.All openid "),
            grant("g2", "p1", "openid", person=None),
            grant("g3", "p2", "Mail.Read"),
            grant("g4", "gone", ""),
        ],
        audits=[
            audit("a1", "p1"),
            audit("a2", "p2"),
            audit("a3", "gone", result="failure"),
            audit("a4", "p1", at="2026-09-01T09:00:00Z"),
            audit("a5", "p1", activityDisplayName="Add service principal"),
        ],
    )
    with serve(tmp_path, data, roles=ROLES) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert [record["id"] for record in records] == ["g1", "g2", "g4", "a1", "a3"]
    assert records[0] == {
        "record": "grant", "id": "g1", "appId": AI_APP, "clientId": "p1", "isPublisherVerified": True,
        "isForAllUsers": False, "principalId": PERSON, "scopes": ["Files.Read.All", "openid"], "risk_tier": 2,
    }  # fmt: skip
    assert (records[1]["isForAllUsers"], records[1]["principalId"], records[1]["risk_tier"]) == (
        True,
        None,
        4,
    )
    assert (records[2]["appId"], records[2]["risk_tier"]) == (None, None)
    assert records[3] == {
        "record": "consent", "id": "a1", "activityDateTime": "2026-10-05T09:00:00Z", "appId": AI_APP,
        "clientId": "p1", "isForAllUsers": True, "principalId": PERSON, "result": "success",
        "scopes": ["Files.ReadWrite.All", "Mail.Read", "User.Read"], "risk_tier": 2,
    }  # fmt: skip
    assert (records[4]["appId"], records[4]["result"]) == (OTHER_APP, "failure")
    assert (facts["service_principals"], facts["first_party_grants"], facts["first_party_consents"]) == (
        2,
        1,
        1,
    )
    assert (facts["unknown_apps"], facts["outcome"]) == (2, "complete")


def test_nothing_personal_is_landed_when_select_is_overlooked(tmp_path: Path) -> None:
    data = AppData(
        principals=[principal("p1", AI_APP)], grants=[grant("g1", "p1")], audits=[audit("a1", "p1")]
    )
    with serve(tmp_path, data, roles=ROLES, ignores_select=True) as (tenant, _):
        records, _ = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert len(records) == 2


def test_odd_entries_are_kept_without_a_guess(tmp_path: Path) -> None:
    data = AppData(
        principals=[principal("p1", AI_APP)],
        grants=[{"id": None, "clientId": 7, "consentType": None, "principalId": None, "scope": None}],
        audits=[audit("a1", "p1", initiatedBy={"app": {}}, targetResources=None, additionalDetails="?")],
    )
    with serve(tmp_path, data, roles=ROLES) as (tenant, _):
        records, _ = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert SOURCE.identify(records[0]).record_id is None  # quarantined where packages are landed
    assert records[1]["principalId"] is None
    assert (records[1]["appId"], records[1]["scopes"], records[1]["risk_tier"]) == (None, [], None)


def test_a_consent_of_last_week_is_no_stray_of_today_s_window() -> None:
    identity = SOURCE.identify({"record": "consent", "id": "a1", "activityDateTime": "2026-09-30T09:00:00Z"})
    assert (identity.record_id, identity.occurred_at) == ("consent:a1", None)


def test_a_tenant_without_any_application_is_unproven(tmp_path: Path) -> None:
    with serve(tmp_path, AppData(), roles=ROLES) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (records, facts["outcome"]) == ([], "unproven")


def test_no_consent_at_all_is_a_whole_answer(tmp_path: Path) -> None:
    with serve(tmp_path, AppData(principals=[principal("p1", AI_APP)]), roles=ROLES) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
    assert (records, facts["outcome"], facts["service_principals"]) == ([], "complete", 1)


def test_a_grant_keeps_its_application_over_many_pages_and_faults(tmp_path: Path) -> None:
    data = AppData(
        principals=[principal(f"p{number}", AI_APP) for number in range(30)],
        grants=[grant(f"g{number}", f"p{number}") for number in range(30)],
    )
    faults = Faults(where=("principals", "grants"), every=2, unavailable_burst=2, truncated_json=2)
    with serve(tmp_path, data, roles=ROLES, page_size=7, faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert len(tenant.fault_log) == 4
    assert [record["id"] for record in records] == [f"g{number}" for number in range(30)]
    assert (facts["unknown_apps"], facts["outcome"]) == (0, "complete")


def test_a_list_that_breaks_off_is_partial_and_says_why(tmp_path: Path) -> None:
    data = AppData(
        principals=[principal("p1", AI_APP)],
        grants=[grant(f"g{number}", "p1") for number in range(30)],
        audits=[audit("a1", "p1")],
    )
    faults = Faults(where=("grants",), skip=1, server_error=99)
    with serve(tmp_path, data, roles=ROLES, page_size=10, faults=faults) as (tenant, _):
        records, facts = pull(SOURCE, make_context(SOURCE, tmp_path, tenant))
        assert count(tenant, "audits") == 0
    assert (len(records), facts["outcome"]) == (10, "partial")
    assert "failed 10 times" in facts["reason"]


def test_a_missing_audit_permission_leaves_the_grants_and_is_told(tmp_path: Path) -> None:
    data = AppData(principals=[principal("p1", AI_APP)], grants=[grant("g1", "p1")])
    with serve(tmp_path, data, roles=ROLES[:1]) as (tenant, _):
        context = make_context(SOURCE, tmp_path, tenant)
        records, facts = pull(SOURCE, context)
        with pytest.raises(PermissionMissingError, match=r"AuditLog\.Read\.All"):
            SOURCE.probe(context)
    assert (len(records), facts["outcome"]) == (1, "partial")
    assert "AuditLog.Read.All" in facts["reason"]


@pytest.mark.parametrize(
    ("scope", "tier"),
    [
        ("Directory.ReadWrite.All", 1),
        ("files.read.all", 2),
        ("https://graph.microsoft.com/User.Read", 4),
        ("Files.Read", 3),
        ("Nothing.ReadWrite.All", 1),
        ("Nothing.Read.All", 2),
        ("Nothing.Do", 3),
    ],
)
def test_a_scope_is_ranked_by_the_list_or_else_by_the_rule(scope: str, tier: int) -> None:
    assert find_tier(scope) == tier


def test_the_highest_tier_counts() -> None:
    assert rank_scopes(["openid", "Mail.Read", "Directory.ReadWrite.All"]) == 1
    assert rank_scopes([]) is None


# Public samples


def find_sample(path: str) -> Path:
    found = SAMPLES / "genai_domains" / path
    if not found.exists():
        pytest.skip(f"the public sample {found.name} is not here")
    return found


def test_every_owner_in_the_public_list_of_microsoft_s_applications_is_recognised() -> None:
    with gzip.open(
        find_sample("merill_microsoft-info/MicrosoftApps.csv.gz"), "rt", encoding="utf-8-sig"
    ) as file:
        owners = {row["AppOwnerOrganizationId"].lower() for row in csv.DictReader(file)} - {""}
    assert owners == set(OWNERS)


def test_the_shipped_tiers_are_those_of_the_public_list() -> None:
    sample = json.loads(find_sample("oauth-shadow-ai-audit/taxonomy-microsoft.json").read_bytes())
    tiers: dict[str, dict[str, int]] = {}
    for row in sample["scopes"]:
        tiers.setdefault(row["scope"], {})[row["permission_type"]] = row["tier"]
    assert tiers
    for scope, by_type in tiers.items():
        assert find_tier(scope) == by_type.get("delegated", by_type.get("application")), scope
