"""What the log is made of: app hosts, agents, messages, external tools, DLP, labels, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from genai_audit.demo import records
from genai_audit.demo.campus import AGENT_ID, CONFIDENTIAL, GENERAL, LABELS, PUBLIC, TOOLS
from genai_audit.demo.records import Record, make_template, wrap_record

Kind = tuple[float, int, Sequence[Record]]  # daily rate, seconds between the records of one event, shapes
NEW_TOP_KEY, NEW_EVENT_KEY = "InteractionSurface", "GroundingMode"
TEMPLATES = 400
# AppHost, how many of 1,000 interactions, AppIdentity (facts/m365.md §3.2)
HOSTS: tuple[tuple[str, int, str], ...] = (
    ("BizChat", 250, "Copilot.MicrosoftCopilot.BizChat"), ("bizchat", 10, "Copilot.M365Copilot.Bizchat"),
    ("Teams", 165, "Copilot.M365Copilot.Apps"), ("Word", 120, ""), ("Outlook", 115, ""), ("Excel", 60, ""),
    ("PowerPoint", 55, ""), ("Office", 55, "Copilot.MicrosoftCopilot.Microsoft365Copilot"), ("Bing", 50, ""),
    ("Edge", 20, ""), ("SharePoint", 20, ""), ("OneNote", 14, ""), ("Loop", 10, ""), ("M365App", 10, ""),
    ("Designer", 10, ""), ("Whiteboard", 5, ""), ("Copilot Studio", 12, f"Copilot.Studio.{AGENT_ID}"),
    ("pva-maker-evaluation", 6, f"Copilot.Studio.{AGENT_ID}"), ("agentic-builder", 4, ""),
    ("autonomous", 5, ""),
    ("Microsoft Teams", 4, f"Copilot.Studio.{AGENT_ID}"),
)  # fmt: skip
RESPONSE_AFTER_MS = (0, 1240, 2210, 9480)  # of the second, third and fourth message
# Is each message a prompt? Does it carry the jailbreak field? How often is it so?
MESSAGE_KINDS: tuple[tuple[tuple[bool, ...], bool, float], ...] = (
    ((True, False), False, 0.42), ((True, False), True, 0.22), ((True, False, False), False, 0.2),
    ((True, False, False), True, 0.1), ((True, False, True, False), False, 0.06),
)  # fmt: skip


def make_copilot_templates(seed: int, drifted: bool) -> list[bytes]:
    """Equally likely templates with the mix of `HOSTS`. `drifted` adds keys that no documentation names."""
    rng = np.random.default_rng([seed, 4])
    counts = [max(1, round(weight * TEMPLATES / 1000)) for _, weight, _ in HOSTS]
    return [
        make_template(_vary_interaction(host, identity, rng, drifted))
        for (host, _, identity), count in zip(HOSTS, counts, strict=True)
        for _ in range(count)
    ]


def _vary_interaction(host: str, identity: str, rng: np.random.Generator, drifted: bool) -> Record:
    chance = rng.random(8)
    top: Record = {"AppIdentity": identity} if identity else {}
    event: Record = {}
    if chance[0] < 0.22:
        event["AISystemPlugin"] = [{"Id": "BingWebSearch", "Name": "BuiltIn"}]
    if chance[1] < 0.3:
        event["ModelTransparencyDetails"] = [{"ModelProviderName": "OpenAI", "ModelName": "gpt-5"}]
    if chance[2] < 0.12 and host in ("BizChat", "Teams"):
        top |= {"AgentId": "CopilotStudio.Declarative.c2f8e4a6-57b1-4d03-8e92-0a6c4f1b7d35",
                "AgentName": "Reading list helper"}  # fmt: skip
    if chance[3] < 0.15:
        event |= {"DLPEvaluationDeferred": 5 if chance[3] < 0.01 else 0}
        event |= {"DLPEvaluationDeferredReason": "Timeout"} if chance[3] < 0.01 else {}
    if host == "Teams" and chance[4] < 0.5:
        event["Contexts"] = [{"Id": "19:meeting_westbridge@thread.v2", "Type": "TeamsMeeting"}]
    if drifted:
        top[NEW_TOP_KEY] = "pane"
        event[NEW_EVENT_KEY] = "work"
    region = "GB" if chance[5] < 0.95 else "IE"
    body = records.make_interaction(host, "", top=top, event=event, region=region)
    if host == "Microsoft Teams":  # a Copilot Studio runtime outside Copilot: no messages, and no twin
        del body["CopilotEventData"]["Messages"]
        body |= {"AgentId": AGENT_ID, "AgentPlatform": "CopilotStudio"}
    fraction = ".0000000" if chance[6] < 0.05 else ""
    return wrap_record(261, "CopilotInteraction", body, wrapped=bool(chance[7] < 0.08), fraction=fraction,
                       text_numbers=bool(chance[7] > 0.99))  # fmt: skip


def make_rare_kinds(scale: float) -> list[tuple[float, int, tuple[bytes, ...]]]:
    """Everything but ordinary interactions, as ready templates; the rate is that of a teaching weekday."""
    setting = records.make_admin_change("CopilotWebSearch", "Enabled", "Disabled")
    kinds: list[Kind] = [(0.4, 0, (setting,))]  # as often in a small university
    kinds += [(rate * scale, gap, shapes) for rate, gap, shapes in _list_tenant_kinds()]
    # A small university still uses enough external tools for a baseline.
    of_tools = [kind for tool in TOOLS for kind in _list_tool_kinds(tool)]
    kinds += [(rate * max(scale, 0.3), gap, shapes) for rate, gap, shapes in of_tools]
    return [(rate, gap, tuple(map(make_template, shapes))) for rate, gap, shapes in kinds]


def _list_tenant_kinds() -> list[Kind]:
    upgrades = [
        records.make_file_label(kind, "SensitivityLabelUpdated", CONFIDENTIAL, GENERAL, 1)
        for kind in (83, 94)
    ]
    downgrade = records.make_file_label(83, "SensitivityLabelUpdated", PUBLIC, GENERAL, 2)
    rules = (("Many records", "High"), ("Any record", "Low"))  # two records of one incident
    kinds: list[Kind] = [
        (55, 5, records.make_studio_twins()),
        (14, 1, [records.make_service_dlp(11, rule, severity) for rule, severity in rules]),
        (6, 1, [records.make_service_dlp(13, rule, severity) for rule, severity in rules]),
        (30, 0, (records.make_file_label(83, "SensitivityLabelApplied", GENERAL, None, 4),)),
        (16, 0, (records.make_file_label(94, "SensitivityLabelApplied", GENERAL, None, 4),)),
        (7, 0, (upgrades[0],)), (4, 0, (upgrades[1],)), (3, 0, (downgrade,)),
        (2, 0, (records.make_file_label(83, "SensitivityLabelRemoved", None, GENERAL, 3),)),
        (9, 0, (records.make_file_label(82, "SensitivityLabelPolicyMatched", CONFIDENTIAL, None, 4),)),
        (20, 0, (records.make_file_label(84, "SensitivityLabeledFileOpened", CONFIDENTIAL, None, 4),)),
        (50, 0, (records.make_web_label("FileSensitivityLabelApplied", GENERAL, None),)),
        (8, 0, (records.make_web_label("FileSensitivityLabelChanged", CONFIDENTIAL, GENERAL),)),
        (3, 0, (records.make_web_label("FileSensitivityLabelRemoved", None, GENERAL),)),
    ]  # fmt: skip
    kinds += [(20, 1, records.make_mail_label(label, name)) for label, name, rank in LABELS if 0 < rank <= 20]
    return kinds


def _list_tool_kinds(tool: Any) -> list[Kind]:
    """Seven tenths of a tool's use are seen by Purview, the rest by endpoint DLP in the browser."""
    *_, daily, aliases = tool
    values: dict[str, list[str]] = {}
    for kind, value in aliases:
        values.setdefault(kind, []).append(value)
    if not daily:
        return []
    identity = values["app_identity"][0]
    if identity.startswith("ConnectedAIApp"):
        return [(daily, 0, (records.make_external_use(328, identity),))]
    pasted = records.make_browser_upload("PastedToBrowser", values["domain"][0], 1)
    uploaded = records.make_browser_upload("FileUploadedToCloud", values["domain"][-1], 2)
    return [(daily * 0.7, 0, (records.make_external_use(284, identity),)), (daily * 0.2, 0, (pasted,)),
            (daily * 0.1, 0, (uploaded,))]  # fmt: skip


def _make_messages_template(prompts: tuple[bool, ...], with_jailbreak: bool) -> bytes:
    field = {"JailbreakDetected": False} if with_jailbreak else {}
    return orjson.dumps([{"Id": "%d", **field, "isPrompt": prompt} for prompt in prompts])


MESSAGES = tuple(_make_messages_template(prompts, field) for prompts, field, _ in MESSAGE_KINDS)
# Addresses as they occur: IPv4, IPv6, mapped, Microsoft's odd `ffff:`, with a port, none.
IPS: tuple[bytes, ...] = (
    *(b'"192.0.2.%d"' % n for n in range(1, 120)),
    *(b'"2001:db8:17::%x"' % n for n in range(1, 60)),
    *(b'"::ffff:198.51.100.%d"' % n for n in range(1, 20)),
    *(b'"ffff:203.0.113.%d"' % n for n in range(1, 5)),
    b'"203.0.113.9:53100"',
    *(b"null",) * 60,
)
