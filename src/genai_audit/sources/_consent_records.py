"""Grants and consents of Microsoft Entra as the small records that are landed: no names, addresses or texts.

Grants name an application by the id of its service principal; the directory of those is kept in memory (three
short values each) to say which application it is and whether Microsoft owns it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from genai_audit.sources._scope_tiers import rank_scopes

# Tenants that own Microsoft's own applications: Microsoft Services, Microsoft, and one that owns two of the
# applications in the public list of them (merill/microsoft-info, 2026-08-20).
MICROSOFT = (
    "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
    "72f988bf-86f1-41af-91ab-2d7cd011db47",
    "cdc5aeea-15c5-4db6-b079-fcadd2505dc2",
)
COUNTED = ("service_principals", "first_party_grants", "first_party_consents", "unknown_apps")
# In the text of a consent audit: `… Scope: User.Read Mail.Read, CreatedDateTime: …` (unverified).
_SCOPES = re.compile(r"\bScope:\s*([^,\]\r\n]*)")


@dataclass(frozen=True)
class App:
    """What the directory says about a service principal."""

    app_id: str | None
    is_microsoft: bool
    is_verified: bool


@dataclass
class Consents:
    """Turns entries of the three lists into records, service principals first; counts what is left out."""

    apps: dict[str, App] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTED, 0)))

    def keep_principal(self, raw: bytes, value: Any) -> bytes | None:
        """Remember the service principal; nothing of it is landed by itself."""
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            self.counts["service_principals"] += 1
            publisher = value.get("verifiedPublisher")
            self.apps[value["id"]] = App(
                _word(value.get("appId")),
                str(value.get("appOwnerOrganizationId")).lower() in MICROSOFT,
                bool(isinstance(publisher, dict) and publisher.get("verifiedPublisherId")),
            )
        return None

    def keep_grant(self, raw: bytes, value: Any) -> bytes | None:
        """One delegated permission grant, unless its application is Microsoft's own."""
        if not isinstance(value, dict):
            return raw
        app = self._find(value.get("clientId"), "first_party_grants")
        if app and app.is_microsoft:
            return None
        scopes = sorted(set(str(value.get("scope") or "").split()))
        is_for_all = value.get("consentType") == "AllPrincipals"
        return orjson.dumps({
            "record": "grant",
            "id": value.get("id"),
            "appId": app.app_id if app else None,
            "clientId": value.get("clientId"),
            "isPublisherVerified": app.is_verified if app else None,
            "isForAllUsers": is_for_all,
            "principalId": None if is_for_all else value.get("principalId"),
            "scopes": scopes,
            "risk_tier": rank_scopes(scopes),
        })  # fmt: skip

    def keep_audit(self, raw: bytes, value: Any) -> bytes | None:
        """One "Consent to application", unless its application is Microsoft's own."""
        if not isinstance(value, dict):
            return raw
        targets = value.get("targetResources")
        targets = [one for one in targets if isinstance(one, dict)] if isinstance(targets, list) else []
        target = targets[0] if targets else {}
        app = self._find(target.get("id"), "first_party_consents")
        if app and app.is_microsoft:
            return None
        changes = {
            one.get("displayName"): one.get("newValue") for one in _objects(target, "modifiedProperties")
        }
        details = {one.get("key"): one.get("value") for one in _objects(value, "additionalDetails")}
        found = _SCOPES.findall(str(changes.get("ConsentAction.Permissions") or ""))
        scopes = sorted({scope for text in found for scope in text.split()})
        starter = value.get("initiatedBy")
        user = starter.get("user") if isinstance(starter, dict) else None
        return orjson.dumps({
            "record": "consent",
            "id": value.get("id"),
            "activityDateTime": value.get("activityDateTime"),
            "appId": (app and app.app_id) or _word(details.get("AppId")),
            "clientId": target.get("id"),
            "isForAllUsers": "true" in str(changes.get("ConsentContext.IsAdminConsent")).lower(),
            "principalId": user.get("id") if isinstance(user, dict) else None,
            "result": value.get("result"),
            "scopes": scopes,
            "risk_tier": rank_scopes(scopes),
        })  # fmt: skip

    def _find(self, principal_id: Any, counted: str) -> App | None:
        app = self.apps.get(principal_id) if isinstance(principal_id, str) else None
        if app is None:
            self.counts["unknown_apps"] += 1
        elif app.is_microsoft:
            self.counts[counted] += 1
        return app


def _objects(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _word(value: Any) -> str | None:
    return value.strip().lower() if isinstance(value, str) and value.strip() else None
