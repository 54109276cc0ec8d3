"""A person's address or path planted in every field of every kind of record is in no parsed table."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import land, make_settings, make_workspace
from genai_audit import parsing

NAME = "canaryname"  # is in every canary
CANARIES = (
    f"{NAME}.%d@x.example",
    f"\\\\srv\\users\\{NAME}.%d\\exam.docx",
    f"https://x-my.sharepoint.example/personal/{NAME}_%d/exam.docx",
)
LABEL = "4c0e7a11-52d3-4b8f-a6e1-93b7d5f0c2a8"
RULES = [
    {"RuleId": LABEL, "RuleName": "r", "Severity": "High", "RuleMode": "Enforce", "Actions": ["BlockAccess"]}
]
POLICIES = [
    {"PolicyId": "p", "PolicyName": "Financial data", "Rules": RULES},
    {
        "PolicyType": 1,
        "PolicyOutcomes": ["Changed"],
        "AuditLog": json.dumps({"PolicyDetails": [{"PolicyId": "p", "Rules": RULES}]}),
    },
]
AGENT = {"AgentId": "a", "AgentName": "n", "AgentPlatform": "p", "AgentVersion": "1", "AppIdentity": "w.g.a"}
EVENT = AGENT | {
    "AppHost": "Word",
    "ThreadId": "t",
    "ConversationId": "c",
    "LicenseType": "Premium",
    "DLPEvaluationDeferred": "1",
    "TargetAgentName": "n",
    "Contexts": [{"Id": "i", "Type": "docx"}],
    "Messages": [{"Id": "1", "isPrompt": True, "JailbreakDetected": False}],
    "AISystemPlugin": [{"Id": "BingWebSearch", "Name": "n"}],
    "ModelTransparencyDetails": [{"ModelName": "m", "ModelProviderName": "q"}],
    "AccessedResources": [
        {
            "Id": "i",
            "Name": "n",
            "listItemUniqueId": "u",
            "SiteUrl": "https://x.example/a.docx",
            "Type": "docx",
            "SensitivityLabelId": LABEL,
            "Action": "Read",
            "Status": "success",
            "PolicyDetails": POLICIES,
        }
    ],
}
COMMON = {
    "Id": "",
    "RecordType": "261",
    "CreationTime": "2026-07-01T10:00:00",
    "Operation": "CopilotInteraction",
    "OrganizationId": "o",
    "UserType": "0",
    "UserKey": "k",
    "Workload": "Copilot",
    "ResultStatus": "s",
    "ObjectId": "o",
    "UserId": "u@x.example",
    "ClientIP": "c",
    "ClientRegion": "GB",
    "Scope": "s",
    "LicenseType": "l",
}
DLP = COMMON | {
    "Operation": "DLPRuleMatch",
    "IncidentId": "i",
    "PolicyDetails": POLICIES,
    "EnforcementMode": "4",
    "SharePointMetaData": {"From": "u", "FileName": "f"},
    "ExchangeMetaData": {"From": "u", "Subject": "s"},
    "EndpointMetaData": {
        "EnforcementMode": "4",
        "TargetUrl": "https://x.example/",
        "TargetDomain": "x.example",
    },
    "TargetDomain": "x.example",
    "TargetUrl": "https://x.example/",
    "TargetFilePath": "f",
    "Application": "a",
    "DeviceName": "d",
    "PolicyMatchInfo": {"PolicyName": "p", "RuleName": "r"},
}
MARK = {
    "SensitivityLabelId": LABEL,
    "OldSensitivityLabelId": LABEL,
    "LabelEventType": "1",
    "ActionSource": "1",
}
LABELLED = COMMON | {
    "Operation": "SensitivityLabelApplied",
    "SensitivityLabelEventData": MARK,
    "SensitivityLabelId": LABEL,
    "SourceLabel": LABEL,
    "DestinationLabel": LABEL,
    "LabelId": LABEL,
    "ApplicationMode": "Standard",
    "Common": {"ApplicationName": "Word", "DeviceName": "d"},
    "ItemName": "i",
    "Sender": "s",
}
TEMPLATES: dict[float, dict[str, Any]] = {
    261: COMMON | AGENT | {"CopilotEventData": EVENT},
    284: COMMON | {"CopilotEventData": EVENT, "AppIdentity": {"DisplayName": "d", "AppId": "a"}},
    11: DLP,
    63: {key: value for key, value in DLP.items() if key != "PolicyDetails"},
    63.5: {
        key: value for key, value in DLP.items() if key not in ("PolicyDetails", "TargetUrl", "TargetDomain")
    },
    83: LABELLED,
    84: {key: value for key, value in LABELLED.items() if key != "Common"},
    325: COMMON | AGENT | {"Property": "p", "OldValue": "o", "NewValue": "n"},
    326: {key: value for key, value in (COMMON | AGENT).items() if key != "ObjectId"},
}
OUTER = ("auditLogRecordType", "operation", "userId", "userType", "service", "objectId", "userPrincipalName")
# Columns that hold words of a service.
SAFE = {
    "stg_m365_event": ["operation", "workload"],
    "stg_interaction": [
        "operation",
        "app_host",
        "app_identity",
        "agent_id",
        "agent_platform",
        "client_region",
        "license_type",
        "model_name",
    ],
    "stg_resource_access": ["app_host", "resource_type", "action", "access_status"],
    "stg_dlp_event": ["operation", "policy_name", "rule_name", "severity", "rule_mode"],
    "stg_label_event": ["operation", "application"],
    "stg_admin_event": ["operation"],
    "stg_field_drift": ["field_name"],
}


def walk(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every node that is no list."""
    if not isinstance(node, list):
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from walk(child, (*path, key))


def plant(record: dict[str, Any], path: tuple[Any, ...], canary: str) -> dict[str, Any]:
    """The record with the canary in place of a value; in an object: as one more key."""
    planted: Any = copy.deepcopy(record)
    node = planted
    for key in path[:-1]:
        node = node[key]
    target = node[path[-1]] if path else node
    if isinstance(target, dict):
        target[canary] = canary
    else:
        node[path[-1]] = canary
    return planted  # type: ignore[no-any-return]


def wrap(data: dict[str, Any], number: int) -> dict[str, Any]:
    """One of the layouts of an outer record, in turn."""
    outer = {"createdDateTime": "2026-07-01T10:00:00Z", "id": f"outer-{number}"}
    bodies = (data, {"dynamicProperties": data}, json.dumps(data))
    return outer | {"auditData": bodies[number % 3]}


def make_records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for kind, template in TEMPLATES.items():
        filled = template | {"RecordType": str(int(kind) if kind != 326 else 325)}
        for path in walk(filled):
            for canary in CANARIES:
                number = len(records)
                records.append(wrap(plant(filled | {"Id": f"r{number}"}, path, canary % number), number))
    full = wrap(dict(COMMON), 0) | dict.fromkeys(OUTER, "x")
    for name in (*full, None):
        for canary in CANARIES:
            number = len(records)
            bare = full | {
                "id": f"outer-{number}",
                "auditData": {"CopilotEventData": EVENT, "RecordType": 261},
            }
            records.append(bare | {name or canary % number: canary % number})
    return records


def read_strings(files: dict[str, Path]) -> dict[tuple[str, str], set[str]]:
    """(table, column) -> every text in it; keys and metadata of the files as columns, too."""
    found: dict[tuple[str, str], set[str]] = {}
    for table, file in files.items():
        read = pq.read_table(file)
        found[table, "schema"] = {str(read.schema), str(pq.read_metadata(file).metadata)}
        for name in read.schema.names:
            if pa.types.is_string(read.schema.field(name).type):
                found[table, name] = {text for text in read[name].unique().to_pylist() if text}
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], set[str]]:
    workspace = make_workspace(tmp_path_factory.mktemp("canary"))
    records = make_records()
    package = land(workspace, [json.dumps(record).encode() for record in records])
    assert package.counts["accepted"] > 0.95 * len(records)
    parsed = parsing.parse_package(workspace, package, make_settings(workspace), workspace.read_key())
    assert all(facts["rows"] for facts in parsed.tables.values())
    return read_strings(parsing.check_seal(workspace, package))


def test_a_planted_person_is_in_no_table(texts: dict[tuple[str, str], set[str]]) -> None:
    leaks = {
        where: sorted(text for text in found if NAME in text.lower())[:3] for where, found in texts.items()
    }
    assert {where: found for where, found in leaks.items() if found} == {}
    assert not [where for where, found in texts.items() if any("@" in text or "\\" in text for text in found)]


@pytest.mark.parametrize(("table", "column"), [(table, name) for table in SAFE for name in SAFE[table]])
def test_what_is_not_kept_is_counted(texts: dict[tuple[str, str], set[str]], table: str, column: str) -> None:
    assert "withheld" in texts[table, column]


def test_user_types_are_a_closed_list(texts: dict[tuple[str, str], set[str]]) -> None:
    assert texts["stg_interaction", "user_type"] == {"regular", "other"}
