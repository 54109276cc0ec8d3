"""The pretend university's use of other AI applications, as Microsoft's interfaces would show it.

Invented like everything else of Westbridge; the same university always gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from genai_audit.calendars import start_of_uk_day
from genai_audit.demo import campus
from genai_audit.demo.graph_apps import AppData
from genai_audit.demo.university import University

Row = dict[str, Any]
PROXY_DAYS, PROXY_LINES = 14, 150
# Application ids of tools that people sign in to with a university account: app_id in the register.
APP_IDS = {
    "chatgpt": "7e57ab1e-0000-4000-8000-00000000a001",
    "chatgpt-edu": campus.CONNECTED_APP_ID,
    "claude": "7e57ab1e-0000-4000-8000-00000000a002",
    "synthesia": "7e57ab1e-0000-4000-8000-00000000a003",
    "perplexity": "7e57ab1e-0000-4000-8000-00000000a004",
    "notebooklm": "7e57ab1e-0000-4000-8000-00000000a005",
}
PLANNER_ID = "7e57ab1e-0000-4000-8000-00000000b001"  # somebody's timetable application: no AI
FIRST_PARTY_ID = "7e57ab1e-0000-4000-8000-00000000b002"
MICROSOFT_SERVICES = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
SCOPES = {
    "chatgpt": "Files.Read.All offline_access openid profile", "chatgpt-edu": "openid profile email",
    "claude": "Mail.Read Files.Read openid", "synthesia": "openid profile",
    "perplexity": "Calendars.Read openid", "notebooklm": "Files.Read.All openid",
}  # fmt: skip
PERIOD_DAYS = 7


def tool_rows() -> list[Row]:
    """Rows of the tool register for the ids above."""
    tools = {tool[0]: tool for tool in campus.TOOLS}
    return [
        {"tool_id": tool, "tool_name": tools[tool][1], "vendor": tools[tool][2], "status": tools[tool][3],
         "hosting": tools[tool][4], "match_kind": "app_id", "match_value": app_id}
        for tool, app_id in APP_IDS.items()
    ]  # fmt: skip


def make_app_data(university: University) -> AppData:
    """Everything that the tenant's interfaces hold on the university's last day."""
    people = [row["object_id"] for row in university.people_rows() if row["role"] != "guest"]
    rng = np.random.default_rng([university.seed, 21, university.people])
    data = AppData()
    for day in university.list_days():
        factor = campus.use_factor(day, university.last_day) * university.people / 3000
        for tool, *_, uses, aliases in campus.TOOLS:
            count = int(rng.poisson(uses * factor))
            hosts = [value for kind, value in aliases if kind == "domain"]
            for moment, person in _draw(rng, day, count, people):
                if tool in APP_IDS and rng.random() < 0.4:
                    data.sign_ins.append(_sign_in(rng, tool, moment, person))
                if hosts and rng.random() < 0.6:
                    data.network.append(_network_event(rng, hosts[0], moment, person))
                if hosts and rng.random() < 0.05:
                    data.cloud_app.append(_cloud_app_event(rng, hosts[0], moment, person))
    for rows, key in (
        (data.sign_ins, "createdDateTime"),
        (data.network, "Timestamp"),
        (data.cloud_app, "Timestamp"),
    ):
        rows.sort(key=lambda row: str(row[key]))
    _add_consents(data, rng, university.last_day, people)
    data.discovered = {"managed-devices": list(_discovered(data, university.last_day))}
    return data


def _draw(
    rng: np.random.Generator, day: date, count: int, people: list[str]
) -> Iterator[tuple[datetime, str]]:
    start = start_of_uk_day(day)
    for second, place in zip(
        rng.integers(8 * 3600, 22 * 3600, size=count), rng.integers(len(people), size=count), strict=True
    ):
        yield start + timedelta(seconds=int(second)), people[int(place)]


def _guid(rng: np.random.Generator) -> str:
    return campus.make_guids(rng, 1)[0].decode()


def _sign_in(rng: np.random.Generator, tool: str, moment: datetime, person: str) -> Row:
    return {
        "id": _guid(rng), "createdDateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "appId": APP_IDS[tool],
        "appDisplayName": tool, "userId": person, "userPrincipalName": f"somebody@{campus.DOMAIN}",
        "ipAddress": "192.0.2.7", "deviceDetail": {"displayName": "LAPTOP-7"},
        "status": {"errorCode": 0 if rng.random() < 0.93 else 50074, "failureReason": "Other."},
    }  # fmt: skip


def _network_event(rng: np.random.Generator, host: str, moment: datetime, person: str) -> Row:
    return {
        "Timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.1234567Z", "DeviceId": f"{rng.integers(2**40):040x}",
        "DeviceName": "laptop-7", "ReportId": int(rng.integers(2**31)), "RemoteIP": "192.0.2.8",
        "RemoteUrl": f"https://{host}/c/some-question" if rng.random() < 0.2 else host,
        "ActionType": "ConnectionSuccess" if rng.random() < 0.95 else "ConnectionFailed",
        "InitiatingProcessAccountObjectId": person,
    }  # fmt: skip


def _cloud_app_event(rng: np.random.Generator, host: str, moment: datetime, person: str) -> Row:
    return {
        "Timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.1234567Z", "ReportId": _guid(rng),
        "AccountObjectId": person,
        "ActionType": "PastedToBrowser" if rng.random() < 0.6 else "FileUploadedToCloud",
        "RawEventData": {"TargetDomain": host},
    }  # fmt: skip


def _add_consents(data: AppData, rng: np.random.Generator, last_day: date, people: list[str]) -> None:
    owner = campus.TENANT_ID
    apps = {**APP_IDS, "planner": PLANNER_ID, "first-party": FIRST_PARTY_ID}
    principals = {tool: _guid(rng) for tool in apps}
    for tool, app_id in apps.items():
        data.principals.append({
            "id": principals[tool], "appId": app_id, "displayName": tool,
            "servicePrincipalType": "Application",
            "appOwnerOrganizationId": MICROSOFT_SERVICES if tool == "first-party" else owner,
            "verifiedPublisher": {"verifiedPublisherId": "1234567" if tool in APP_IDS else None},
        })  # fmt: skip
        is_for_all = tool in ("chatgpt-edu", "first-party")
        for person in people[:1] if is_for_all else people[:: max(1, len(people) // 9)]:
            data.grants.append({
                "id": _guid(rng), "clientId": principals[tool], "resourceId": _guid(rng),
                "consentType": "AllPrincipals" if is_for_all else "Principal",
                "principalId": None if is_for_all else person,
                "scope": f" {SCOPES.get(tool, 'User.Read')}",
            })  # fmt: skip
    for back, tool in ((2, "chatgpt"), (1, "claude"), (1, "first-party")):
        moment = start_of_uk_day(last_day - timedelta(days=back)) + timedelta(hours=11)
        scope = SCOPES.get(tool, "User.Read")
        permissions = f"[] => [[Id: x, ConsentType: Principal, Scope: {scope}, CreatedDateTime: , ]]; "
        changes = {"ConsentContext.IsAdminConsent": '"False"', "ConsentAction.Permissions": permissions}
        data.audits.append({
            "id": f"Directory_{_guid(rng)}", "activityDateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "activityDisplayName": "Consent to application", "result": "success",
            "initiatedBy": {"user": {"id": people[0], "userPrincipalName": f"somebody@{campus.DOMAIN}"}},
            "targetResources": [{
                "id": principals[tool], "displayName": tool, "type": "ServicePrincipal",
                "modifiedProperties": [{"displayName": k, "newValue": v} for k, v in changes.items()],
            }],
            "additionalDetails": [{"key": "AppId", "value": apps[tool]}],
        })  # fmt: skip


def _discovered(data: AppData, last_day: date) -> Iterator[Row]:
    """Sums of the last days, and an application that is no AI."""
    since = (last_day - timedelta(days=PERIOD_DAYS - 1)).isoformat()
    recent = [row for row in data.network if row["Timestamp"] >= since]
    for number, (_, name, *_, aliases) in enumerate(campus.TOOLS):
        hosts = [value for kind, value in aliases if kind == "domain"]
        mine = [row for row in recent if any(host in row["RemoteUrl"] for host in hosts)]
        if mine:
            yield _app(20_000 + number, name, "generativeAi", [f"*.{host}" for host in hosts], mine, last_day)
    yield _app(31_000, "Westbridge file drop", "cloudStorage", ["files.example"], recent[:40], last_day)


def _app(number: int, name: str, category: str, domains: list[str], rows: list[Row], day: date) -> Row:
    return {
        "id": str(number), "displayName": name, "category": category, "domains": domains, "riskScore": 5,
        "userCount": len({row["InitiatingProcessAccountObjectId"] for row in rows}),
        "transactionCount": len(rows), "uploadNetworkTrafficInBytes": 40_960 * len(rows),
        "downloadNetworkTrafficInBytes": 81_920 * len(rows), "lastSeenDateTime": f"{day}T00:00:00Z",
    }  # fmt: skip


def write_proxy_log(path: Path, university: University) -> int:
    """What a web proxy would export: visits to AI tools among many others. Returns the number of lines."""
    rng = np.random.default_rng([university.seed, 22, university.people])
    people = [row["upn"] for row in university.people_rows() if row["role"] != "guest"]
    hosts = [value for tool in campus.TOOLS for kind, value in tool[6] if kind == "domain"]
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("event_id,time,user,url,bytes\n")
        for day in university.list_days()[-PROXY_DAYS:]:
            for moment, person in _draw(rng, day, PROXY_LINES * university.people // 3000, people):
                host = hosts[int(rng.integers(len(hosts)))] if rng.random() < 0.2 else "www.example.org"
                size = int(rng.integers(500, 50_000))
                file.write(f"{_guid(rng)},{moment:%Y-%m-%dT%H:%M:%SZ},{person},https://{host}/a?q=1,{size}\n")
                count += 1
    return count
