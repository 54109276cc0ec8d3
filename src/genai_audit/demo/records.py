"""The shapes of audit records, made once as templates and filled in thousands of times a second.

A shape is an ordinary record in which `"<slot>"` stands for text and `"<<slot>>"` for a whole JSON value.
`make_template` turns it into a bytes template, exactly as orjson would write the record.
Shapes come from facts/m365.md §1.4 (envelope), §3 (bodies) and §4 (twins, PolicyDetails).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from genai_audit.demo.campus import AGENT_ID, DOMAIN, SHAREPOINT, TENANT_ID

Record = dict[str, Any]
NO_ID = "00000000-0000-0000-0000-000000000000"
STUDIO_TITLE = "5e2a9c71-08d4-4f3b-97c6-1b4e8d2f60a3"

# Record type: name in the Graph envelope, `@odata.type` stem, workload.
TYPES: dict[int, tuple[str, str, str]] = {
    6: ("SharePointFileOperation", "sharePointFileOperationAuditRecord", "SharePoint"),
    11: ("ComplianceDLPSharePoint", "complianceDLPSharePointAuditRecord", "SharePoint"),
    13: ("ComplianceDLPExchange", "complianceDLPExchangeAuditRecord", "Exchange"),
    43: ("MIPLabel", "mipLabelAuditRecord", "Exchange"),
    63: ("DLPEndpoint", "dlpEndpointAuditRecord", "Endpoint"),
    82: ("SensitivityLabelPolicyMatch", "defaultAuditData", "PublicEndpoint"),
    83: ("SensitivityLabelAction", "defaultAuditData", "PublicEndpoint"),
    84: ("SensitivityLabeledFileAction", "defaultAuditData", "PublicEndpoint"),
    94: ("AipSensitivityLabelAction", "aipSensitivityLabelActionAuditRecord", "Aip"),
    261: ("CopilotInteraction", "copilotInteractionAuditRecord", "Copilot"),
    284: ("AIAppInteraction", "aiAppInteractionAuditRecord", "AIApp"),
    325: ("UpdateCopilotSettings", "defaultAuditData", "Copilot"),
    328: ("ConnectedAIAppInteraction", "connectedAIAppInteractionAuditRecord", "ConnectedAIApp"),
}


def make_template(record: Record) -> bytes:
    """Bytes for `template % {b"slot": b"text", …}`."""
    text = orjson.dumps(record).replace(b"%", b"%%")
    text = re.sub(rb'"<<(\w+)>>"', rb"%(\1)b", text)
    return re.sub(rb"<(\w+)>", rb"%(\1)b", text)


def wrap_record(
    record_type: int,
    operation: str,
    body: Mapping[str, Any],
    *,
    wrapped: bool = False,
    fraction: str = "",
    text_numbers: bool = False,
    assistant: str = "",
) -> Record:
    """A Graph record around the type's own fields. `wrapped` puts them under `dynamicProperties`.

    `assistant`: a service that stands in the place of the user.
    """
    name, stem, workload = TYPES[record_type]
    audit = _make_audit_data(record_type, operation, body, text_numbers, assistant)
    return {
        "id": "<id>",
        "createdDateTime": f"<time>{fraction}Z",
        "auditLogRecordType": name,
        "operation": operation,
        "organizationId": TENANT_ID,
        "userType": "system" if assistant else "<user_type>",
        "userId": assistant or "<user>",
        "service": workload,
        "objectId": body.get("ObjectId"),
        "userPrincipalName": assistant or "<upn>",
        "clientIp": "<<ip>>",
        "administrativeUnits": [""],
        "auditData": {
            "@odata.type": f"#microsoft.graph.security.{stem}",
            **({"dynamicProperties": audit} if wrapped else audit),
        },
    }


def _make_audit_data(
    record_type: int, operation: str, body: Mapping[str, Any], text_numbers: bool, assistant: str
) -> Record:
    user_type = 4 if assistant else "<user_type_number>" if text_numbers else "<<user_type_number>>"
    return {
        "CreationTime": "<time>",
        "Id": "<id>",
        "Operation": operation,
        "OrganizationId": TENANT_ID,
        "RecordType": str(record_type) if text_numbers else record_type,
        "UserKey": assistant or "<key>",
        "UserType": user_type,
        "Version": 1,
        "Workload": TYPES[record_type][2],
        "ClientIP": "<<ip>>",
        "UserId": assistant or "<user>",
        **body,
    }


def make_interaction(host: str, identity: str, **more: Any) -> Record:
    """Body of a CopilotInteraction: `top` and `event` are more keys at either level."""
    event: Record = {
        "AISystemPlugin": [],
        "AccessedResources": "<<resources>>",
        "AppHost": host,
        "Contexts": [],
    }
    event |= {"MessageIds": [], "Messages": "<<messages>>", "ModelTransparencyDetails": []}
    event |= {"ThreadId": "19:<thread>@thread.v2", **more.get("event", {})}
    top = {"AppIdentity": identity} if identity else {}
    return {"ClientRegion": more.get("region", "GB"), "CopilotLogVersion": "1.0.0.0", **top,
            **more.get("top", {}), "CopilotEventData": event}  # fmt: skip


def make_studio_twins() -> tuple[Record, Record]:
    """One Copilot Studio turn, logged twice: by the runtime, then by the client (facts/m365.md §4.2)."""
    runtime = {
        "ClientRegion": "GB", "CopilotLogVersion": "1.0.0.0", "AgentId": AGENT_ID, "AgentBlueprintId": NO_ID,
        "AgentPlatform": "CopilotStudio",
        "AppIdentity": f"Copilot.Studio.Default-{TENANT_ID}-wb_studyHelpdesk",
        "CopilotEventData": {
            "AppHost": "m365copilot", "ConversationId": "<conversation>", "MessageIds": [],
            "AccessedResources": [], "PlatformAgentType": "CopilotStudio",
            "ThreadId": "19:<other_thread>@thread.v2",
        },
    }  # fmt: skip
    client = make_interaction(
        "Office", f"Copilot.Studio.CustomEngine.T_{STUDIO_TITLE}",
        top={"AgentId": f"T_{STUDIO_TITLE}.{AGENT_ID}", "AgentName": "Study helpdesk"},
        event={"ConversationId": "<conversation>", "TargetAgentName": "Study helpdesk",
               "TargetPlatformAgentId": f"T_{STUDIO_TITLE}", "LicenseType": "Premium"},
    )  # fmt: skip
    return wrap_record(261, "CopilotInteraction", runtime), wrap_record(261, "CopilotInteraction", client)


def make_external_use(record_type: int, identity: str) -> Record:
    """AIAppInteraction or ConnectedAIAppInteraction; no example record is published (facts/m365.md §3.3)."""
    operation = TYPES[record_type][0]
    host = "Edge" if record_type == 284 else "ConnectedAIApp"
    body = make_interaction(host, identity, event={"AccessedResources": []})
    return wrap_record(record_type, operation, body)


def make_browser_upload(operation: str, domain: str, mode: int) -> Record:
    """Endpoint DLP: a paste or an upload to an AI site. `mode` is an EnforcementMode, 1 audit … 4 block."""
    body = {
        "ObjectId": "C:\\Users\\Public\\Documents\\notes-<serial>.docx",
        "Application": "msedge.exe",
        "DeviceName": "WB-<serial>",
        "EnforcementMode": mode,
        "EvidenceFile": {"FullUrl": ""},
        "FileSize": 18342,
        "FileType": "DOCX",
        "Platform": 1,
        "PolicyMatchInfo": {"PolicyId": "e0b8c1d2-7a34-4f56-9b10-3c5d7e9fa124", "PolicyName": "AI sites",
                            "RuleId": "17d5a3c8-2b49-4e60-8f71-a4c6e8d0b352", "RuleName": "AI sites"},
        "SensitiveInfoTypeData": [{"SensitiveInfoTypeName": "U.K. National Insurance Number (NINO)",
                                   "Confidence": 75, "Count": 1}],
        "TargetDomain": domain,
        "TargetUrl": f"https://{domain}/",
    }  # fmt: skip
    return wrap_record(63, operation, body)


def make_service_dlp(record_type: int, rule: str, severity: str) -> Record:
    """Service DLP as on the wire: an assistant as the user, the person in upper case, RuleMode `Enable`."""
    exchange = record_type == 13
    site = f"{SHAREPOINT}/sites/registry"
    place: Record = {"FileName": "list-<serial>.xlsx", "FileOwner": "Registry",
                     "FilePathUrl": f"{site}/list-<serial>.xlsx", "From": "<upper_upn>",
                     "ItemCreationTime": "<time>", "SiteCollectionUrl": site,
                     "UniqueID": "<resource>"}  # fmt: skip
    if exchange:
        place = _make_mail("<upper_upn>", "Figures")
    matched = {"Confidence": 85, "Count": 12, "SensitiveType": "16c07343-c26f-49d2-a987-3daf717e94cc"}
    condition = {"SensitiveInformation": [matched]}
    body = {
        "IncidentId": "<incident>",
        "ObjectId": "<resource>",
        "PolicyDetails": [{
            "PolicyId": "a4d2f6b8-31c5-4e79-8a0b-5d7f91c3e264", "PolicyName": "UK personal data",
            "Rules": [{"ActionParameters": [], "Actions": ["NotifyUser"], "ConditionsMatched": condition,
                       "RuleId": "c81f3a5d-6b27-4d90-9e4c-72b8d0f6a135", "RuleMode": "Enable",
                       "RuleName": rule, "Severity": severity}],
        }],
        "SensitiveInfoDetectionIsIncluded": False,
        ("ExchangeMetaData" if exchange else "SharePointMetaData"): place,
    }  # fmt: skip
    assistant = f"DlpPolicyEventBasedAssistant{'Exchange' if exchange else 'SharePoint'}"
    return wrap_record(record_type, "DLPRuleMatch", body, assistant=assistant)


def _make_mail(sender: str, subject: str) -> Record:
    return {"MessageID": f"<resource>@mail.{DOMAIN}", "From": sender, "To": [f"office@{DOMAIN}"], "CC": [],
            "BCC": [], "Subject": subject, "Sent": "<time>", "RecipientCount": 1}  # fmt: skip


def make_mail_label(label_id: str, label_name: str) -> tuple[Record, Record]:
    """A labelled e-mail: the label record, and its type-13 shadow with an all-zero policy (facts §3.5)."""
    label = {"Sender": "<upn>", "Receivers": [f"office@{DOMAIN}"], "ItemName": "Notes of the meeting",
             "LabelId": label_id, "LabelName": label_name, "LabelAction": "None",
             "LabelAppliedDateTime": "<time>", "ApplicationMode": "Standard"}  # fmt: skip
    conditions = {"OtherConditions": [{"Name": "SensitivityLabels", "Value": label_id}]}
    shadow = {
        "ExchangeMetaData": _make_mail("<upn>", "Notes of the meeting"),
        "IncidentId": "<incident>",
        "PolicyDetails": [{"PolicyId": NO_ID, "PolicyName": "", "Rules": [{
            "Actions": [], "ConditionsMatched": conditions, "RuleId": NO_ID, "RuleMode": "Enable",
            "RuleName": label_name, "Severity": "Low"}]}],
        "SensitiveInfoDetectionIsIncluded": False,
    }  # fmt: skip
    return wrap_record(43, "MipLabel", label), wrap_record(13, "MipLabel", shadow)


def make_file_label(
    record_type: int, operation: str, new: str | None, old: str | None, event_type: int
) -> Record:
    """A label set, changed, removed or met in an Office program or a labelling client (82, 83, 84, 94)."""
    change: Record = {"SensitivityLabelId": new} if new else {}
    change |= {"LabelEventType": event_type, "ActionSource": 3}
    change |= {"OldSensitivityLabelId": old} if old else {}
    body = {
        "SensitivityLabelEventData": change,
        "SensitiveInfoTypeData": [],
        "ProtectionEventData": {"ProtectionEventType": 0, "IsProtected": False, "IsProtectedBefore": False},
        "Common": {"ApplicationId": "c00e9d32-3c8d-4a7d-832b-029040e7db99", "ApplicationName": "Word",
                   "ProcessName": "WINWORD", "Platform": 1, "DeviceName": "WB-<serial>",
                   "Location": "On-premises file shares", "ProductVersion": "16.0.18129"},
        "DataState": "Use",
        "ObjectId": "report-<serial>.docx",
        "Scope": 1,
    }  # fmt: skip
    return wrap_record(record_type, operation, body)


def make_web_label(operation: str, new: str | None, old: str | None) -> Record:
    """Office for the web logs labels as SharePoint file operations (facts/m365.md §3.6)."""
    url = f"{SHAREPOINT}/sites/teaching/Shared Documents/plan-<serial>.docx"
    body: Record = {"ObjectId": url, "EventSource": "SharePoint", "ItemType": "File",
                    "SourceFileExtension": "docx", "SourceFileName": "plan-<serial>.docx",
                    "Site": "<resource>"}  # fmt: skip
    body |= {"SensitivityLabelId": new, "DestinationLabel": new} if new else {}
    body |= {"SourceLabel": old} if old else {}
    return wrap_record(6, operation, body)


def make_admin_change(setting: str, old: str, new: str) -> Record:
    body = {
        "ObjectId": setting,
        "ResultStatus": "Succeeded",
        "Property": setting,
        "OldValue": old,
        "NewValue": new,
    }
    return wrap_record(325, "UpdateTenantSettings", body)
