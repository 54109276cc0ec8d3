"""Which records of the unified audit log are ours: AI use and its administration, DLP, sensitivity labels.

Two doors lead to one log. The query API is asked by operation; the activity feed sends everything, and here
it is decided what of it is landed. Names and numbers: facts/m365.md §§1.8, 3.4–3.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

# Not the FileCreated, FileModified and FileRenamed of devices: in SharePoint every file has events so named.
OPERATIONS = (
    # AI interactions
    "CopilotInteraction", "AIAppInteraction", "ConnectedAIAppInteraction", "TeamCopilotInteraction",
    "AINotesUpdate", "LiveNotesUpdate", "TeamCopilotMsgInteraction",
    # Administration
    "UpdateTenantSettings",
    "CreatePlugin", "UpdatePlugin", "DeletePlugin", "EnablePlugin", "DisablePlugin",
    "CreatePromptBook", "UpdatePromptBook", "DeletePromptBook", "EnablePromptBook", "DisablePromptBook",
    # DLP in the services, in both spellings that occur
    "DLPRuleMatch", "DlpRuleMatch", "DlpRuleUndo", "DlpInfo", "DlpClassification",
    # DLP on devices
    "PastedToBrowser", "FileUploadedToCloud", "UploadText", "UploadFile", "BrowseToUrl",
    "WebpageCopiedToClipboard", "WebpageSavedToLocal", "FileCopiedToClipboard", "FileAccessedByUnallowedApp",
    "FilePrinted", "FileCopiedToRemovableMedia", "FileCopiedToNetworkShare",
    "FileCopiedToRemoteDesktopSession", "FileTransferredByBluetooth", "ArchiveCreated", "FileArchived",
    # Sensitivity labels
    "MipLabel", "SensitivityLabelApplied", "SensitivityLabelUpdated", "SensitivityLabelRemoved",
    "SensitivityLabelPolicyMatched", "SensitivityLabeledFileOpened", "SensitivityLabeledFileRenamed",
    "FileSensitivityLabelApplied", "FileSensitivityLabelChanged", "FileSensitivityLabelRemoved",
)  # fmt: skip

# Types that hold nothing else. SharePoint's files (6) and devices (63) do: there the operation decides.
RECORD_TYPES = frozenset(
    (261, 284, 328, 334, *range(310, 326), 362, 363, 373, 379, 380, 383, 384,
     11, 13, 33, 107, 108, 263, 43, 82, 83, 84, 94, 206)
)  # fmt: skip


def make_test(operations: Iterable[str]) -> Callable[[Mapping[str, Any]], bool]:
    """A test of one AuditData object: is it of a family of ours, or one of these operations (in any case)?"""
    wanted = {one.casefold() for one in operations}

    def is_ours(body: Mapping[str, Any]) -> bool:
        if str(body.get("Operation", "")).casefold() in wanted:
            return True
        number = body.get("RecordType")  # some pipelines write it as a text (facts/m365.md §3.1)
        text = str(number).strip()
        return (text.isdecimal() and int(text[:9]) in RECORD_TYPES) or is_agent_change(body)

    return is_ours


def is_agent_change(body: Mapping[str, Any]) -> bool:
    """AgentAdminActivity and AgentSettingsAdminActivity have neither a published number nor a published
    operation: their keys tell them (facts/m365.md §3.4)."""
    return "ForAllUsers" in body and ("AgentID" in body or "Property" in body)
