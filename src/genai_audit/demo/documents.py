"""What Copilot reads at Westbridge: files, mails, chats and web pages of each unit, ready rendered.

Each document has a few renderings that differ as real records do: with and without `Status` and
`XPIADetected`, and with `PolicyDetails` absent, null, empty, as a JSON string, or as an array
(facts/m365.md §3.2, §4.3). Its id and its label are always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from genai_audit.demo.campus import (
    CONFIDENTIAL,
    GENERAL,
    HIGHLY,
    PUBLIC,
    RESTRICTED,
    SHAREPOINT,
    UNITS,
    make_guids,
)

PER_UNIT = 120
RENDERINGS = 4
RESTRICTED_FILES = 25
LABEL_CHANCES = ((None, 0.58), (PUBLIC, 0.15), (GENERAL, 0.27))
SECRET_UNITS = ("reg", "fin", "per")  # the last, least read documents of these units are confidential
SECRET_PLACES = range(115, PER_UNIT)

TOPICS = (
    "Module handbook", "Seminar notes", "Reading list", "Marking rubric", "Timetable", "Committee paper",
    "Lab protocol", "Budget outline", "Workshop slides", "Feedback summary",
    "Résumé of findings", "Καλημέρα",
)  # fmt: skip
NO_HIT = '[{"PolicyType":"Purview","PolicyOutcomes":["None"],"AuditLog":""}]'
NO_HIT_NESTED = (
    '[{"PolicyType":"ConditionalAccess","PolicyOutcomes":["None"],"AuditLog":""},'
    '{"PolicyType":"Purview","PolicyOutcomes":["None"],"AuditLog":"{\\u0022PolicyDetails\\u0022:[]}"}]'
)


@dataclass(frozen=True)
class Library:
    """`rendered[(unit * PER_UNIT + document) * RENDERINGS + rendering]` is one JSON object."""

    rendered: list[bytes]
    restricted: list[dict[str, Any]]  # the plain objects; only a planted event reads them


def make_library(seed: int) -> Library:
    rng = np.random.default_rng([seed, 2])
    chances = [chance for _, chance in LABEL_CHANCES]
    labels = rng.choice(len(chances), size=len(UNITS) * PER_UNIT, p=chances)
    guids = [guid.decode() for guid in make_guids(rng, len(labels) + RESTRICTED_FILES)]
    rendered = []
    for number, (label, guid) in enumerate(zip(labels, guids, strict=False)):
        document = _make_document(number, guid, _choose_label(number, LABEL_CHANCES[label][0]))
        rendered += [orjson.dumps(_render(document, turn, number)) for turn in range(RENDERINGS)]
    restricted = [make_file(f"Case file {n + 1}", "docx", "people-and-culture", guids[-1 - n], RESTRICTED)
                  for n in range(RESTRICTED_FILES)]  # fmt: skip
    return Library(rendered, restricted)


def _choose_label(number: int, usual: str | None) -> str | None:
    unit, place = divmod(number, PER_UNIT)
    if UNITS[unit][0] in SECRET_UNITS and place in SECRET_PLACES:
        return HIGHLY if place == SECRET_PLACES[-1] else CONFIDENTIAL
    return usual


def make_file(name: str, extension: str, site: str, guid: str, label: str | None) -> dict[str, Any]:
    """A file as it stands in `AccessedResources`."""
    url = f"{SHAREPOINT}/sites/{site}/Shared Documents/{name}.{extension}"
    labelled = {"SensitivityLabelId": label} if label else {}
    return {"Action": "Read", "Id": guid, "Name": f"{name}.{extension}", **labelled, "SiteUrl": url,
            "Type": extension, "listItemUniqueId": guid}  # fmt: skip


def _make_document(number: int, guid: str, label: str | None) -> dict[str, Any]:
    unit, place = divmod(number, PER_UNIT)
    name = f"{TOPICS[place % len(TOPICS)]} {number}"
    kind = place % 20
    if kind < 13 or label in (CONFIDENTIAL, HIGHLY):
        return make_file(
            name, ("docx", "xlsx", "pptx", "pdf")[kind % 4], f"{UNITS[unit][0]}-team", guid, label
        )
    if kind < 15:  # somebody's OneDrive
        document = make_file(name, "docx", "", guid, label)
        owner = SHAREPOINT.replace(".sharepoint", "-my.sharepoint")
        return document | {"SiteUrl": f"{owner}/personal/w{1_700_000 + number}/Documents/{name}.docx"}
    if kind < 18:
        return {"Action": "Read", "Id": guid, "Type": "EmailMessage",
                "SiteUrl": f"https://outlook.office365.com/owa/?ItemID={guid}"}  # fmt: skip
    if kind < 19:
        url = f"https://uk-prod.asyncgw.teams.microsoft.com/v1/objects/0-uks-d1-{guid}/views/original/{name}.xlsx"
        return {"Action": "Read", "SiteUrl": url, "Type": "http://schema.skype.com/HyperLink"}
    return {"Action": "Read", "Id": f"https://www.encyclopaedia.example/{number}", "Type": "WebSearchQuery",
            "SiteUrl": f"https://www.encyclopaedia.example/{number}"}  # fmt: skip


def _render(document: dict[str, Any], turn: int, number: int) -> dict[str, Any]:
    shown = dict(document)
    policy = (number + turn * 7) % 40
    if policy < 8:
        shown["PolicyDetails"] = ""
    elif policy < 12:
        shown["PolicyDetails"] = NO_HIT
    elif policy < 13:
        shown["PolicyDetails"] = NO_HIT_NESTED
    elif policy < 15:
        shown["PolicyDetails"] = None
    if turn >= 1:
        shown["Status"] = "Success" if turn == 2 else "success"
    if turn >= 2:
        shown["XPIADetected"] = False
    if shown.get("SensitivityLabelId") in (CONFIDENTIAL, HIGHLY):
        shown |= _apply_policy(turn)
    elif turn == 3 and number % 150 == 0:
        shown["Status"] = "failure"  # deleted or moved; no policy behind it
    return shown


def _apply_policy(turn: int) -> dict[str, Any]:
    """Confidential files meet a rule: audited as a rule, blocked in one rendering of four."""
    blocked = turn == 3
    rule = {"RuleId": "b5a7c9d1-4e60-4f82-9a13-6c8e0b2d4f75", "RuleName": "Confidential label",
            "Actions": ["BlockAccess", "NotifyUser"] if blocked else ["GenerateIncidentReport"],
            "Severity": "Medium", "RuleMode": "Enforce" if blocked else "Audit only"}  # fmt: skip
    policy = {"PolicyId": "f2d4b6a8-9c1e-4a35-8b70-1e3d5f7a9c24", "PolicyName": "Copilot and secrets",
              "Rules": [rule]}  # fmt: skip
    if turn == 1:
        return {}
    if turn == 2:  # the same verdict inside an evaluation string
        inner = orjson.dumps({"PolicyDetails": [policy]}).decode()
        found = [{"PolicyType": "Purview", "PolicyOutcomes": ["Audit"], "AuditLog": inner}]
        return {"PolicyDetails": orjson.dumps(found).decode()}
    return {"PolicyDetails": [policy], "Status": "failure" if blocked else "success"}
