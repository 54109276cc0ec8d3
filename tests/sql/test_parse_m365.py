"""sql/parse/m365*.sql: the layouts and shapes of facts/m365.md, on records made here and on samples."""

from __future__ import annotations

import copy
import csv
import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from builders import land, make_settings, make_workspace
from genai_audit import parsing
from genai_audit.privacy.pseudonyms import pseudonym

Rows = dict[str, list[dict[str, Any]]]
SAMPLES = Path(__file__).parents[2] / "../shared/samples/m365"
LABEL = "4c0e7a11-52d3-4b8f-a6e1-93b7d5f0c2a8"
ENFORCED = {"PolicyId": "p", "Rules": [{"RuleMode": "Enforce", "Actions": ["NotifyUser", "BlockAccess"]}]}
AUDITED = {"PolicyId": "p", "Rules": [{"RuleMode": "Audit only", "Actions": ["BlockAccess"]}]}


class Parse:
    """Lands records, parses them, and gives back every table as rows."""

    def __init__(self, folder: Path) -> None:
        self._workspace = make_workspace(folder)
        self.root = folder
        self._settings = make_settings(self._workspace)
        self.key = self._workspace.read_key()

    def __call__(self, *records: dict[str, Any]) -> Rows:
        package = land(self._workspace, [json.dumps(record).encode() for record in records])
        assert package.counts["accepted"] == len(records), package.quarantine_reasons
        parsing.parse_package(self._workspace, package, self._settings, self.key)
        files = parsing.check_seal(self._workspace, package)
        return {name: pl.read_parquet(file).to_dicts() for name, file in files.items()}


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    return Parse(tmp_path)


def body(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A bare AuditData object of a Copilot interaction."""
    return {
        "Id": f"00000000-0000-0000-0000-{number:012d}",
        "RecordType": 261,
        "CreationTime": "2026-07-01T23:30:00",
        "Operation": "CopilotInteraction",
        "UserId": "Ada@westbridge.example",
        "UserType": 0,
        "Workload": "Copilot",
        "CopilotEventData": {"AppHost": "Word", "Messages": [{"Id": "1", "isPrompt": True}]},
    } | changes


def event(**fields: Any) -> dict[str, Any]:
    return {"CopilotEventData": {"AppHost": "Word"} | fields}


def resource(**fields: Any) -> dict[str, Any]:
    return body(**event(AccessedResources=[{"Id": "a", "Action": "Read"} | fields]))


def envelope(data: Any, **outer: Any) -> dict[str, Any]:
    return {"id": "outer-id", "createdDateTime": "2026-07-02T00:00:00Z", "auditData": data} | outer


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(rows) == 1, rows
    return rows[0]


LAYOUTS = {
    "flat": lambda data: envelope(data),
    "wrapped": lambda data: envelope({"@odata.type": "#x", "dynamicProperties": data}),
    "text": lambda data: envelope(json.dumps(data)),
    "wrapped text": lambda data: envelope(json.dumps({"dynamicProperties": data})),
    "export": lambda data: {
        "RecordId": "outer-id",
        "CreationDate": "7/1/2026 11:30:00 PM",
        "AuditData": data,
    },
    "bare": lambda data: data,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_rows(parse: Parse, layout: str) -> None:
    record = body(**event(Messages=[{"Id": "1", "isPrompt": True}], AccessedResources=[{"Id": "a"}]))
    rows, expected = parse(LAYOUTS[layout](record)), parse(envelope(record))
    for table in ("stg_m365_event", "stg_interaction", "stg_resource_access"):
        row, wanted = only(rows[table]), only(expected[table])
        assert row | {"package_id": ""} == wanted | {"package_id": ""}
    assert rows["stg_parse_problem"] == []
    assert rows["stg_field_drift"] == []


def test_times_are_utc_and_days_are_uk_days(parse: Parse) -> None:
    row = only(parse(body())["stg_interaction"])
    assert row["occurred_at"].isoformat() == "2026-07-01T23:30:00+00:00"
    assert row["occurred_day"].isoformat() == "2026-07-02"  # 00:30 in British Summer Time


@pytest.mark.parametrize(
    "text",
    ["2026-01-24T06:54:24.1234567Z ", "2026-01-24T06:54:24", "1/24/2026 6:54:24 AM", "01/24/2026 06:54"],
)
def test_outer_times_are_the_fallback(parse: Parse, text: str) -> None:
    data = {key: value for key, value in body().items() if key != "CreationTime"}
    row = only(parse({"RecordId": "r", "CreationDate": text, "AuditData": data})["stg_m365_event"])
    assert row["occurred_at"].strftime("%Y-%m-%dT%H:%M") == "2026-01-24T06:54"


def test_audit_data_wins_over_outer_columns(parse: Parse) -> None:
    outer = {
        "operation": "Other",
        "userId": "other@westbridge.example",
        "auditLogRecordType": "exchangeAdmin",
    }
    row = only(parse(envelope(body(), **outer))["stg_m365_event"])
    assert (row["record_id"], row["operation"], row["record_type"]) == (
        body()["Id"],
        "CopilotInteraction",
        261,
    )
    assert row["person_key"] == pseudonym(parse.key, "person", "ada@westbridge.example")


def test_outer_columns_fill_what_the_body_lacks(parse: Parse) -> None:
    outer = {
        "operation": "CopilotInteraction",
        "userPrincipalName": "b@westbridge.example",
        "userType": "servicePrincipal",
        "auditLogRecordType": "copilotInteraction",
        "service": "Copilot",
    }
    row = only(parse(envelope({"CopilotEventData": {"AppHost": "Excel"}}, **outer))["stg_interaction"])
    assert (row["record_id"], row["record_type"], row["user_type"]) == ("outer-id", 261, "service_principal")
    assert (row["identity_basis"], row["app_host"]) == ("upn", "Excel")


def test_numbers_may_be_strings(parse: Parse) -> None:
    rows = parse(body(RecordType="261", UserType="10", **event(DLPEvaluationDeferred="5")))
    row = only(rows["stg_interaction"])
    assert (row["record_type"], row["user_type"], row["is_guest"], row["dlp_deferred_mask"]) == (
        261,
        "guest",
        True,
        5,
    )


@pytest.mark.parametrize(
    ("user", "basis", "guest"),
    [
        ("0ab47082-1dbf-450b-a7a6-9e05e252ad27", "object_id", False),
        ("a@b.example", "upn", False),
        ("x_gmail.com#EXT#@b.example", "upn", True),
        ("app@sharepoint", "other", False),
        (r"NT AUTHORITY\SYSTEM", "other", False),
    ],
)
def test_identities_become_tokens(parse: Parse, user: str, basis: str, guest: bool) -> None:
    row = only(parse(body(UserId=user))["stg_interaction"])
    assert (row["identity_basis"], row["is_guest"]) == (basis, guest)
    assert row["person_key"] == pseudonym(parse.key, "person", user)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0, "regular"),
        ("10", "guest"),
        ("dcAdmin", "dc_admin"),
        ("DCAdmin", "dc_admin"),
        ("partner_technician", "partner_technician"),
        (None, None),
        ("", None),
        (11, "other"),
        (65535, "other"),
        (-1, "other"),
        ("carol.smith", "other"),
        ("carol.smith@x.example", "other"),
    ],
)
def test_user_types_are_words_of_a_list(parse: Parse, value: Any, word: str | None) -> None:
    assert only(parse(body(UserType=value))["stg_m365_event"])["user_type"] == word


def test_an_unknown_inner_user_type_leaves_the_outer_one(parse: Parse) -> None:
    assert (
        only(parse(envelope(body(UserType="x"), userType="guest"))["stg_m365_event"])["user_type"] == "guest"
    )


@pytest.mark.parametrize(
    "word",
    [
        "Copilot.Studio.Default-4c0e7a11-52d3-4b8f-a6e1-93b7d5f0c2a8-cr1a2_helper",
        "CopilotStudio.Declarative.T_4c0e7a11-52d3-4b8f-a6e1-93b7d5f0c2a8.agent",
        "Copilot.MicrosoftCopilot.BizChat",
        "Donn\u00e9es financi\u00e8res / GDPR (50%)",
        "\u8d22\u52a1 2026/27/S1",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a zero-width non-joiner
        "x" * 120,
    ],
)
def test_words_of_a_service_are_kept(parse: Parse, word: str) -> None:
    rows = parse(
        body(AgentId=word, AppIdentity=word),
        dlp(PolicyDetails=[{"PolicyName": word, "Rules": [{"RuleName": word}]}]),
    )
    row = only(rows["stg_interaction"])
    assert (row["agent_id"], row["app_identity"]) == (word, word)
    assert only(rows["stg_dlp_event"])["policy_name"] == word


@pytest.mark.parametrize(
    "text",
    [
        "carol.smith@x.example",
        "carol.smith%40x.example",
        "carol.smith\uff20x.example",
        "carol_x.example#EXT#",
        "X\\carol.smith",
        "\\\\srv\\carol.smith",
        "//srv/carol.smith",
        "/home/carol.smith/exam.docx",
        "c:/carol.smith/exam.docx",
        "sites/hr/carol.smith.docx",
        "a\nb",
        "a\u007fb",
        "a\u202eb",
        "a\u200bb",
        "x" * 121,
    ],
)
def test_what_may_be_a_person_or_a_path_is_withheld(parse: Parse, text: str) -> None:
    rows = parse(body(AgentId=text), dlp(PolicyDetails=[{"PolicyName": text, "Rules": [{"RuleName": text}]}]))
    assert only(rows["stg_interaction"])["agent_id"] == "withheld"
    assert only(rows["stg_dlp_event"])["policy_name"] == "withheld"


def test_an_id_that_may_be_a_person_becomes_a_token(parse: Parse) -> None:
    rows = parse(body(Id="a@x.example"), body(Id="b@x.example"))
    wanted = [pseudonym(parse.key, "object", name) for name in ("a@x.example", "b@x.example")]
    assert [row["record_id"] for row in rows["stg_interaction"]] == wanted


def test_withheld_agents_stay_apart_as_objects(parse: Parse) -> None:
    changes = [
        dlp(Id=str(number), RecordType=325, AgentId=f"{number}@x.example", ObjectId=None) for number in (1, 2)
    ]
    keys = [row["object_key"] for row in parse(*changes)["stg_admin_event"]]
    assert keys == [pseudonym(parse.key, "object", f"{number}@x.example") for number in (1, 2)]


def test_names_of_unknown_keys_are_withheld_together(parse: Parse) -> None:
    rows = parse(body(1, **{"a@x.example": 1}), body(2, **{"b@x.example": 1, "New": 1}))
    drift = [(row["field_name"], row["record_count"]) for row in rows["stg_field_drift"]]
    assert drift == [("New", 1), ("withheld", 2)]


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("https://a.example:443/x", "a.example"),
        ("carol.smith@a.example", "a.example"),
        ("https://carol:pw@a.example/x", "a.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("\\\\srv\\users\\carol.smith\\exam.docx", None),
        ("\\\\srv\\carol@x.example", None),
        ("C:\\users\\carol.smith", "c"),
        ("carol smith", None),
        ("//srv/users/carol.smith", None),
        ("/home/carol.smith", None),
        ("", None),
    ],
)
def test_a_target_is_a_host_name_or_nothing(parse: Parse, target: str, host: str | None) -> None:
    row = only(parse(dlp(RecordType=63, TargetUrl=target))["stg_dlp_event"])
    assert row["target_domain"] == host


def test_no_person_is_no_key(parse: Parse) -> None:
    assert only(parse(body(UserId=""))["stg_interaction"])["person_key"] is None


def test_prompts_are_distinct_message_ids(parse: Parse) -> None:
    messages = [
        {"Id": "1", "isPrompt": True},
        {"Id": "1", "isPrompt": True},
        {"Id": "2", "isPrompt": False},
        {"Id": "3"},
        {"isPrompt": True},
        {"isPrompt": True},
    ]
    row = only(parse(body(**event(Messages=messages)))["stg_interaction"])
    assert (row["message_count"], row["prompt_count"], row["response_count"]) == (5, 3, 2)


def test_studio_runtime_without_messages_counts_as_activity(parse: Parse) -> None:
    row = only(parse(body(AgentPlatform="CopilotStudio", **event(AppHost="m365copilot")))["stg_interaction"])
    assert (row["message_count"], row["prompt_count"], row["agent_platform"]) == (0, 0, "CopilotStudio")


def test_a_jailbreak_in_the_third_message_is_seen(parse: Parse) -> None:
    messages = [{"Id": str(n), "isPrompt": True, "JailbreakDetected": n == 3} for n in (1, 2, 3)]
    rows = parse(body(1, **event(Messages=messages)), body(2))["stg_interaction"]
    assert [(row["has_jailbreak"], row["has_jailbreak_field"]) for row in rows] == [
        (True, True),
        (False, False),
    ]


def test_an_injection_in_any_resource_is_seen(parse: Parse) -> None:
    rows = parse(
        body(
            **event(AccessedResources=[{"Id": "a", "XPIADetected": False}, {"Id": "b", "XPIADetected": True}])
        )
    )
    assert (only(rows["stg_interaction"])["has_xpia"], only(rows["stg_interaction"])["has_xpia_field"]) == (
        True,
        True,
    )
    assert [row["has_xpia"] for row in rows["stg_resource_access"]] == [False, True]


@pytest.mark.parametrize("at_top", [True, False])
def test_agent_fields_may_be_at_either_level(parse: Parse, at_top: bool) -> None:
    fields = {"AgentId": "T_1", "AppIdentity": "Copilot.Studio.x"}
    record = body(**fields) if at_top else body(**event(**fields))
    row = only(parse(record)["stg_interaction"])
    assert (row["agent_id"], row["app_identity"]) == ("T_1", "Copilot.Studio.x")


def test_app_identity_may_be_an_object(parse: Parse) -> None:
    record = body(AppIdentity={"DisplayName": "Essay Helper", "AppId": "7"})
    assert only(parse(record)["stg_interaction"])["app_identity"] == "Essay Helper"


def test_web_search_and_model(parse: Parse) -> None:
    record = body(
        **event(AISystemPlugin=[{"Id": "BingWebSearch"}], ModelTransparencyDetails=[{}, {"ModelName": "m"}])
    )
    row = only(parse(record)["stg_interaction"])
    assert (row["has_web_search"], row["model_name"]) == (True, "m")


def test_keys_in_other_capitals_are_read_and_reported(parse: Parse) -> None:
    record = body(
        CopilotEventData={"apphost": "Word", "threadID": "19:x", "messages": [{"Id": "1", "isPrompt": True}]}
    )
    rows = parse(record)
    row = only(rows["stg_interaction"])
    assert (row["app_host"], row["prompt_count"]) == ("Word", 1)
    assert row["thread_key"] == pseudonym(parse.key, "thread", "19:x")
    assert {drift["field_name"] for drift in rows["stg_field_drift"]} >= {"CopilotEventData.apphost"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"listItemUniqueId": "u", "Id": "i", "SiteUrl": "https://x.example/a"}, "u"),
        ({"Id": "i", "SiteUrl": "https://x.example/a"}, "i"),
        ({"Id": None, "SiteUrl": "https://x.example/a?web=1#top"}, "https://x.example/a"),
    ],
)
def test_a_resource_has_one_token(parse: Parse, fields: dict[str, Any], name: str) -> None:
    row = only(parse(resource(**fields))["stg_resource_access"])
    assert row["resource_key"] == pseudonym(parse.key, "resource", name)


@pytest.mark.parametrize(
    ("url", "site", "site_type", "kind"),
    [
        (
            "https://x-my.sharepoint.com/personal/ada_x/Documents/a.docx?web=1",
            "x-my.sharepoint.com/personal/ada_x",
            "onedrive",
            "docx",
        ),
        (
            "https://x.sharepoint.com/sites/hr/Shared Documents/b.xlsx",
            "x.sharepoint.com/sites/hr",
            "site",
            "xlsx",
        ),
        ("https://x.sharepoint.com/teams/hr/b.pptx", "x.sharepoint.com/teams/hr", "teams", "pptx"),
        (
            "https://fr-prod.asyncgw.teams.microsoft.com/v1/objects/0/views/c.pdf",
            "fr-prod.asyncgw.teams.microsoft.com",
            "teams",
            "pdf",
        ),
        ("https://outlook.office365.com/owa/?ItemID=1", "outlook.office365.com", "mail", None),
        ("https://www.bbc.co.uk/news", "www.bbc.co.uk", "web", None),
    ],
)
def test_sites_become_token_and_type(
    parse: Parse, url: str, site: str, site_type: str, kind: str | None
) -> None:
    row = only(parse(resource(SiteUrl=url))["stg_resource_access"])
    assert row["site_key"] == pseudonym(parse.key, "site", site)
    assert (row["site_type"], row["resource_type"]) == (site_type, kind)


def test_resource_words_are_normalised(parse: Parse) -> None:
    fields = {
        "Type": "http://schema.skype.com/HyperLink",
        "SensitivityLabelId": LABEL.upper(),
        "Status": "Success",
    }
    row = only(parse(resource(**fields))["stg_resource_access"])
    assert (row["resource_type"], row["label_id"], row["action"]) == ("HyperLink", LABEL, "read")
    assert (row["access_status"], row["site_type"], row["resource_no"]) == ("success", "other", 1)
    assert only(parse(resource(SensitivityLabelId="Secret"))["stg_resource_access"])["label_id"] is None


def evaluation(*outcomes: str, logged: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    log = json.dumps({"PolicyDetails": [logged]}) if logged else ""
    return {"PolicyType": "Purview", "PolicyOutcomes": list(outcomes), "AuditLog": log} | more


POLICIES: list[tuple[str, Any, str | None, str, bool]] = [
    ("absent", None, "failure", "none", False),
    ("empty text", "", "failure", "none", False),
    ("empty list", [], "failure", "none", False),
    ("failed", [AUDITED], " Failure ".strip(), "blocked", False),
    ("enforced", [ENFORCED], "success", "blocked", False),
    (
        "enforced, odd case",
        [{"PolicyId": "p", "Rules": [{"RuleMode": " enforce", "Actions": ["blockaccess "]}]}],
        None,
        "blocked",
        False,
    ),
    ("audit only", [AUDITED], "success", "audited", False),
    (
        "verdict per rule",
        [
            {
                "PolicyId": "p",
                "Rules": [{"RuleMode": "Enforce", "Actions": ["NotifyUser"]}, AUDITED["Rules"][0]],
            }
        ],
        None,
        "audited",
        False,
    ),
    ("policy without rules", [{"PolicyId": "p"}], None, "audited", False),
    ("no effect", [evaluation("None", " none")], "failure", "none", False),
    ("no effect beats a logged block", [evaluation("None", logged=ENFORCED)], "failure", "none", False),
    ("one outcome as text", [evaluation() | {"PolicyOutcomes": "None"}], "failure", "none", False),
    ("logged block", [evaluation("Changed", logged=ENFORCED)], "success", "blocked", False),
    ("logged audit on failure", [evaluation("Changed", logged=AUDITED)], "failure", "audited", False),
    (
        "logged policy without effect",
        [evaluation("Changed", logged=ENFORCED | {"PolicyOutcomes": ["None"]})],
        "failure",
        "none",
        False,
    ),
    ("mixed outcomes", [evaluation("None", "Changed", **ENFORCED)], None, "blocked", False),
    ("unknown outcome", [evaluation("Blocked")], "failure", "none", False),
    ("evaluation naming a policy", [evaluation("Changed", PolicyId="p")], "failure", "audited", False),
    ("not JSON", "not json", "failure", "none", True),
    ("object", {"PolicyId": "p"}, "failure", "none", True),
    ("number", 42, "failure", "none", True),
    ("an unreadable entry", [42, {"PolicyId": "q", "Rules": "no list"}, AUDITED], None, "audited", True),
]


@pytest.mark.parametrize("as_text", [False, True], ids=["json", "text"])
def test_policy_details_decide_by_the_table(parse: Parse, as_text: bool) -> None:
    """All shapes of facts/m365.md §4.3, as JSON and as JSON text."""
    resources = []
    for _, details, status, _, _ in POLICIES:
        coded = json.dumps(details) if as_text and isinstance(details, list) else details
        resources.append({"Id": "a", "Status": status, "PolicyDetails": coded})
    rows = parse(body(**event(AccessedResources=resources)))
    found = {
        name: (row["policy_outcome"], row["has_policy_anomaly"])
        for (name, *_), row in zip(POLICIES, rows["stg_resource_access"], strict=True)
    }
    assert found == {name: (outcome, anomaly) for name, _, _, outcome, anomaly in POLICIES}
    assert [row["problem"] for row in rows["stg_parse_problem"]] == ["policy_details_anomaly"]


def test_an_audit_log_may_be_escaped_twice(parse: Parse) -> None:
    log = json.dumps({"PolicyDetails": [ENFORCED]}).replace('"', "\\u0022")
    row = only(
        parse(resource(PolicyDetails=[evaluation("Changed") | {"AuditLog": log}]))["stg_resource_access"]
    )
    assert row["policy_outcome"] == "blocked"


def dlp(**changes: Any) -> dict[str, Any]:
    rules = [
        {"RuleName": "low", "Severity": "Low", "RuleMode": "Enable"},
        {"RuleName": "high", "Severity": "High"},
    ]
    return {
        "Id": "d",
        "RecordType": 11,
        "CreationTime": "2026-07-01T10:00:00",
        "Operation": "DLPRuleMatch",
        "UserId": "DlpPolicyEventBasedAssistant",
        "UserType": 4,
        "Workload": "OneDrive",
        "IncidentId": "i",
        "SharePointMetaData": {"From": "ADA@WESTBRIDGE.EXAMPLE", "FileName": "Secret.docx"},
        "PolicyDetails": [{"PolicyId": "1", "PolicyName": "Financial data", "Rules": rules}],
    } | changes


def test_service_dlp_names_the_person_in_the_metadata(parse: Parse) -> None:
    row = only(parse(dlp())["stg_dlp_event"])
    assert row["person_key"] == pseudonym(parse.key, "person", "ada@westbridge.example")
    assert (row["policy_name"], row["rule_name"], row["severity"]) == ("Financial data", "high", "high")
    assert (row["channel"], row["operation"]) == ("service", "DLPRuleMatch")
    assert row["incident_key"] == pseudonym(parse.key, "incident", "i")


ODATA = "#microsoft.graph.security."
UNNUMBERED = {
    "outer name": lambda data: envelope(data, auditLogRecordType="complianceDLPSharePoint"),
    "inner name": lambda data: data | {"RecordType": "ComplianceDLPSharePoint"},
    "payload": lambda data: envelope({"@odata.type": f"{ODATA}complianceDLPSharePointAuditRecord"} | data),
    "wrapped payload": lambda data: envelope(
        {"@odata.type": f"{ODATA}complianceDLPSharePointAuditRecord", "dynamicProperties": data}
    ),
    "operation and metadata": lambda data: envelope(data),
}


@pytest.mark.parametrize("known_by", UNNUMBERED)
def test_service_dlp_without_a_number_is_known_by_name(parse: Parse, known_by: str) -> None:
    data = {key: value for key, value in dlp().items() if key != "RecordType"}
    row = only(parse(UNNUMBERED[known_by](data))["stg_dlp_event"])
    assert (row["record_type"], row["rule_name"]) == (11, "high")
    assert row["person_key"] == pseudonym(parse.key, "person", "ada@westbridge.example")


def test_mail_dlp_names_the_sender(parse: Parse) -> None:
    mail = {"SharePointMetaData": None, "ExchangeMetaData": {"From": "Ada@Westbridge.example", "To": ["x"]}}
    rows = parse(dlp(RecordType=13, **mail), dlp(Id="n", RecordType=None, **mail))["stg_dlp_event"]
    assert [row["record_type"] for row in rows] == [13, 13]
    assert {row["person_key"] for row in rows} == {pseudonym(parse.key, "person", "ada@westbridge.example")}


@pytest.mark.parametrize("record_type", [11, 33, 107])
def test_an_assistant_account_is_nobody(parse: Parse, record_type: int) -> None:
    """Without a person in the metadata; a real account in UserId still counts."""
    nobody = dlp(RecordType=record_type, SharePointMetaData={"FileName": "x"})
    rows = parse(nobody, nobody | {"Id": "u", "UserId": "b@westbridge.example"})["stg_dlp_event"]
    assert [row["person_key"] for row in rows] == [
        None,
        pseudonym(parse.key, "person", "b@westbridge.example"),
    ]


def test_metadata_and_policies_may_be_text(parse: Parse) -> None:
    record = dlp()
    coded = {key: json.dumps(record[key]) for key in ("SharePointMetaData", "PolicyDetails")}
    row = only(parse(record | coded)["stg_dlp_event"])
    assert (row["policy_name"], row["severity"]) == ("Financial data", "high")
    assert row["person_key"] == pseudonym(parse.key, "person", "ada@westbridge.example")


@pytest.mark.parametrize(
    ("operation", "policies", "is_label"),
    [
        ("MipLabel", [{"PolicyId": "00000000-0000-0000-0000-000000000000"}], True),
        ("MipLabel", json.dumps([{"PolicyId": "00000000-0000-0000-0000-000000000000"}]), True),
        ("MipLabel", None, True),
        ("MipLabel", [{"PolicyId": "5c0e7a11-52d3-4b8f-a6e1-93b7d5f0c2a8"}], False),
        ("DLPRuleMatch", [{"PolicyId": "00000000-0000-0000-0000-000000000000"}], False),
    ],
)
def test_mail_labels_are_told_from_dlp_hits(
    parse: Parse, operation: str, policies: Any, is_label: bool
) -> None:
    mail = dlp(RecordType=13, Operation=operation, PolicyDetails=policies, ObjectId="<m@x>")
    rows = parse(mail, mail | {"Id": "other", "RecordType": 43, "Operation": "MipLabel"})
    assert (len(rows["stg_label_event"]), len(rows["stg_dlp_event"])) == (1 + is_label, 1 - is_label)
    keys = {row["object_key"] for row in rows["stg_label_event"]}
    assert keys == {pseudonym(parse.key, "object", "<m@x>")}


@pytest.mark.parametrize(
    "fields",
    [
        {"EnforcementMode": 4, "TargetUrl": "https://www.chatgpt.com:443/c/1?x=y"},
        {"EnforcementMode": "4", "TargetDomain": "ChatGPT.com"},
        {"EndpointMetaData": {"EnforcementMode": "4", "TargetUrl": "https://chatgpt.com/"}},
    ],
)
def test_endpoint_dlp_keeps_the_host_only(parse: Parse, fields: dict[str, Any]) -> None:
    match = {"PolicyMatchInfo": {"PolicyName": "AI sites", "RuleName": "paste"}, "PolicyDetails": None}
    record = dlp(RecordType=63, Operation="PastedToBrowser", UserId="a@b.example", **match) | fields
    row = only(parse(record)["stg_dlp_event"])
    assert (row["enforcement_mode"], row["target_domain"], row["channel"]) == (4, "chatgpt.com", "endpoint")
    assert (row["policy_name"], row["rule_name"]) == ("AI sites", "paste")


def test_a_labelled_mail_is_a_label_event_and_no_dlp_hit(parse: Parse) -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    mail = dlp(
        RecordType=13, Operation="MipLabel", PolicyDetails=[{"PolicyId": zero, "Rules": [{"RuleId": LABEL}]}]
    )
    twin = {
        "Id": "e",
        "RecordType": 43,
        "CreationTime": "2026-07-01T10:00:00",
        "Operation": "MipLabel",
        "UserId": "a@b.example",
        "LabelId": LABEL.upper(),
        "ApplicationMode": "Privileged",
        "ItemName": "A subject",
    }
    rows = parse(mail, twin)
    assert rows["stg_dlp_event"] == []
    assert [(row["label_id"], row["change"], row["how_applied"]) for row in rows["stg_label_event"]] == [
        (LABEL, "applied", "unknown"),
        (LABEL, "applied", "manual"),
    ]


@pytest.mark.parametrize(
    ("operation", "data", "change", "how"),
    [
        (
            "SensitivityLabelUpdated",
            {"LabelEventType": 1, "ActionSource": 3, "OldSensitivityLabelId": LABEL},
            "upgraded",
            "manual",
        ),
        ("SensitivityLabelUpdated", {"LabelEventType": "2", "ActionSource": "2"}, "downgraded", "automatic"),
        (
            "SensitivityLabelUpdated",
            {"LabelEventType": "LabelDowngraded", "ActionSource": "Default"},
            "downgraded",
            "default",
        ),
        ("SensitivityLabelApplied", {"LabelEventType": 4, "ActionSource": 1}, "applied", "default"),
        (
            "SensitivityLabelUpdated",
            {"LabelEventType": 4, "ActionSource": 4, "OldSensitivityLabelId": LABEL},
            "changed",
            "recommended",
        ),
        ("SensitivityLabelRemoved", {"OldSensitivityLabelId": LABEL}, "removed", "unknown"),
        ("SensitivityLabeledFileOpened", {}, "opened", "unknown"),
        ("SensitivityLabelPolicyMatched", {}, "other", "unknown"),
    ],
)
def test_label_words(parse: Parse, operation: str, data: dict[str, Any], change: str, how: str) -> None:
    record = {
        "Id": "l",
        "RecordType": 83,
        "CreationTime": "2026-07-01T10:00:00",
        "Operation": operation,
        "UserId": "a@b.example",
        "Common": {"ApplicationName": "Word"},
        "SensitivityLabelEventData": {"SensitivityLabelId": LABEL.upper()} | data,
    }
    row = only(parse(record)["stg_label_event"])
    assert (row["change"], row["how_applied"], row["label_id"], row["application"]) == (
        change,
        how,
        LABEL,
        "Word",
    )
    assert row["old_label_id"] == data.get("OldSensitivityLabelId")


def test_office_for_the_web_labels_under_type_six(parse: Parse) -> None:
    record = {
        "Id": "l",
        "RecordType": 6,
        "CreationTime": "2026-07-01T10:00:00",
        "Operation": "FileSensitivityLabelChanged",
        "UserId": "a@b.example",
        "SourceLabel": LABEL,
        "DestinationLabel": LABEL.replace("4c", "5c"),
        "Workload": "SharePoint",
    }
    rows = parse(record, record | {"Id": "m", "Operation": "FileAccessed"})
    row = only(rows["stg_label_event"])
    assert (row["old_label_id"], row["label_id"], row["change"]) == (
        LABEL,
        LABEL.replace("4c", "5c"),
        "changed",
    )


def test_admin_events_are_known_by_number_or_name(parse: Parse) -> None:
    plain = {
        "Id": "a",
        "RecordType": 325,
        "CreationTime": "2026-07-01T10:00:00",
        "Operation": "UpdateTenantSettings",
        "UserId": "a@b.example",
        "ObjectId": "o",
    }
    named = envelope(
        plain
        | {"Id": "b", "RecordType": 9999, "@odata.type": "#microsoft.graph.security.agentAdminActivityRecord"}
    )
    wrapped = envelope(
        {
            "@odata.type": "#microsoft.graph.security.agentSettingAdminActivity",
            "dynamicProperties": plain | {"Id": "c", "RecordType": 9998},
        }
    )
    rows = parse(plain, named, wrapped, plain | {"Id": "d", "RecordType": 1})
    assert [row["record_id"] for row in rows["stg_admin_event"]] == ["a", "b", "c"]
    assert {row["object_key"] for row in rows["stg_admin_event"]} == {pseudonym(parse.key, "object", "o")}


ADMINISTRATION = (*range(310, 326), 362, 363, 373, 379, 380, 383, 384)
FAMILIES = {
    "stg_interaction": (261, 284, 328, 334),
    "stg_admin_event": ADMINISTRATION,
    "stg_dlp_event": (11, 13, 33, 63, 107, 108, 263),
    "stg_label_event": (43, 82, 83, 84, 94, 206),
}


def test_every_type_of_a_family_lands_in_its_table_and_in_no_other(parse: Parse) -> None:
    """Also what the activity feed and exports give: bare AuditData with a number and nothing else."""
    numbers = [number for table in FAMILIES.values() for number in table]
    rows = parse(*(dlp(Id=str(one), RecordType=one, Operation="Anything") for one in (*numbers, 25)))
    found = {table: tuple(row["record_type"] for row in rows[table]) for table in FAMILIES}
    assert found == FAMILIES
    assert len(rows["stg_m365_event"]) == len(numbers) + 1


def test_the_prompt_of_a_scheduled_run_is_not_landed(parse: Parse) -> None:
    rows = parse(dlp(RecordType=363, ObjectId=None, AutomationId="auto-1", PromptText="CANARY"))
    assert only(rows["stg_admin_event"])["object_key"] == pseudonym(parse.key, "object", "auto-1")
    landed = [path.read_bytes() for path in parse.root.rglob("*.zst")]
    texts = [zstandard.ZstdDecompressor().stream_reader(one).read() for one in landed]
    assert any(b"auto-1" in text for text in texts)
    assert not any(b"CANARY" in text for text in texts)


@pytest.mark.parametrize("layout", ["flat", "wrapped", "text", "bare"])
def test_changes_of_agents_are_known_by_their_keys(parse: Parse, layout: str) -> None:
    """AgentAdminActivity and AgentSettingsAdminActivity have no published number (facts/m365.md §3.4)."""
    plain = {key: value for key, value in body().items() if key != "CopilotEventData"} | {"RecordType": 9999}
    changes = [
        plain | {"Id": "a", "AgentID": "T_1", "AgentType": 3, "ForAllUsers": True},
        plain | {"Id": "s", "Property": "Sharing", "NewValue": "off", "ForAllUsers": True},
        plain | {"Id": "x", "Property": "Sharing"},
    ]
    rows = parse(*map(LAYOUTS[layout], changes))
    tokens = [pseudonym(parse.key, "object", name) for name in ("T_1", "Sharing")]
    assert [(row["record_id"], row["object_key"]) for row in rows["stg_admin_event"]] == [
        ("a", tokens[0]),
        ("s", tokens[1]),
    ]


def test_unknown_types_and_fields_are_kept_by_name_and_counted(parse: Parse) -> None:
    rows = parse(
        body(1, Novelty="CANARY", **event(NewThing=1)),
        body(2, Novelty=2),
        body(3, RecordType=9999, Operation="New"),
    )
    assert [row["record_type"] for row in rows["stg_m365_event"]] == [261, 261, 9999]
    assert [
        (row["record_type"], row["field_name"], row["record_count"]) for row in rows["stg_field_drift"]
    ] == [(261, "CopilotEventData.NewThing", 1), (261, "Novelty", 2)]
    assert "CANARY" not in str(rows)


def test_what_cannot_be_used_is_named(parse: Parse) -> None:
    rows = parse(
        envelope("not json", operation="CopilotInteraction"),
        envelope(body(2, CreationTime="soon"), createdDateTime="later"),
        body(3, CopilotEventData={"Messages": {"Id": "1"}, "AccessedResources": "none"}),
        {"Id": "4", "CreationTime": "2026-07-01T10:00:00", "Operation": "Odd"},
    )
    problems = [(row["line_no"], row["problem"]) for row in rows["stg_parse_problem"]]
    assert problems == [(1, "unreadable_body"), (2, "no_time"), (3, "unexpected_type"), (4, "no_record_type")]
    assert [row["line_no"] for row in rows["stg_m365_event"]] == [1, 3, 4]


def test_names_paths_and_addresses_are_in_no_table(parse: Parse) -> None:
    canary = "CANARYNAME"
    fields = {
        "Name": f"{canary}.docx",
        "SiteUrl": f"https://x.sharepoint.com/sites/{canary}/{canary}.docx",
        "Id": canary,
    }
    record = body(
        UserId=f"{canary}@westbridge.example",
        ClientIP=canary,
        UserKey=canary,
        AgentName=canary,
        ObjectId=canary,
        **event(
            AccessedResources=[fields], Contexts=[{"Id": canary}], ThreadId=canary, ConversationId=canary
        ),
    )
    mail = dlp(
        IncidentId=canary,
        UserId=canary,
        SharePointMetaData={"From": canary, "FileName": canary},
        TargetFilePath=canary,
    )
    rows = parse(record, mail)
    assert rows["stg_dlp_event"]
    assert canary.lower() not in str(rows).lower()


ODD: list[Any] = [
    None,
    True,
    42,
    -1,
    1e300,
    "",
    " ",
    "x",
    "-5",
    "infinity",
    "epoch",
    [],
    [None],
    [[1]],
    {},
    {"Id": {}},
    "[1",
    '{"a":',
    '"',
    "[]",
    "{}",
    "\u00c4\u00df \u0130",
    "a\u0001b",
    "\\u0022",
]


def mutate(value: Any, chance: random.Random) -> Any:
    """The same JSON with one node somewhere replaced by something odd."""
    value = copy.deepcopy(value)
    node, keys = value, []
    while isinstance(node, dict | list) and node and (not keys or chance.random() < 0.7):
        keys.append(chance.choice(list(node) if isinstance(node, dict) else range(len(node))))
        parent, node = node, node[keys[-1]]
    parent[keys[-1]] = copy.deepcopy(chance.choice(ODD))
    return value


@pytest.mark.parametrize("seed", range(3))
def test_odd_values_are_survived_and_every_line_is_accounted_for(parse: Parse, seed: int) -> None:
    chance = random.Random(seed)
    fields = {
        "PolicyDetails": [evaluation("Changed", logged=ENFORCED), ENFORCED],
        "SiteUrl": "https://x.example/a.b",
        "Id": "i",
    }
    samples = [
        body(
            AppIdentity={"AppId": "7"},
            **event(
                AccessedResources=[fields],
                Messages=[{"Id": "1", "isPrompt": True}],
                AISystemPlugin=[{"Id": "x"}],
                ModelTransparencyDetails=[{"ModelName": "m"}],
                DLPEvaluationDeferred=1,
                ThreadId="t",
            ),
        ),
        dlp(),
        dlp(
            RecordType=63,
            EndpointMetaData={"EnforcementMode": 1},
            PolicyMatchInfo={"PolicyName": "p"},
            TargetUrl="https://a",
        ),
        dlp(
            RecordType=83,
            SensitivityLabelEventData={"LabelEventType": 1, "ActionSource": 1},
            Common={"ApplicationName": "Word"},
        ),
        dlp(RecordType=325),
    ]
    layouts = list(LAYOUTS.values())[:4]
    records = [
        chance.choice(layouts)(mutate(chance.choice(samples), chance) | {"Id": f"r{number}"})
        for number in range(400)
    ]
    rows = parse(*records)
    unusable = {
        row["line_no"] for row in rows["stg_parse_problem"] if row["problem"] in ("no_record_id", "no_time")
    }
    assert {row["line_no"] for row in rows["stg_m365_event"]} | unusable == set(range(1, 401))


def read_sample(path: str) -> list[dict[str, Any]]:
    file = SAMPLES / path
    if not file.exists():
        pytest.skip("shared samples are not here")
    return [json.loads(line)["record"] for line in file.read_text(encoding="utf-8").splitlines()]


def fill(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the envelope fields that a transcribed sample lacks."""
    return [
        body(number, UserId="a@b.example") | record | {"Id": f"sample-{number}"}
        for number, record in enumerate(records)
    ]


def test_pnp_samples(parse: Parse) -> None:
    rows = parse(*fill(read_sample("pnp_fixtures_transcribed/copilot_shapes.jsonl")))
    counts = [
        (row["prompt_count"], row["response_count"], row["resource_count"]) for row in rows["stg_interaction"]
    ]
    assert counts == [(1, 3, 2), (1, 1, 1), (1, 1, 1), (0, 0, 1), (0, 0, 0), (1, 1, 0)]
    assert [row["policy_outcome"] for row in rows["stg_resource_access"]] == [
        "none",
        "none",
        "none",
        "none",
        "blocked",
    ]
    runtime, client = rows["stg_interaction"][4:]
    assert runtime["conversation_key"] == client["conversation_key"]
    assert runtime["thread_key"] != client["thread_key"]
    assert (rows["stg_parse_problem"], rows["stg_field_drift"]) == ([], [])


def test_documentation_samples(parse: Parse) -> None:
    rows = parse(*fill(read_sample("MicrosoftDocs_office-365-management-api/audit_records_from_docs.jsonl")))
    assert len(rows["stg_m365_event"]) == 14
    assert [row["app_host"] for row in rows["stg_interaction"]] == ["Word", "Bing", "appchat"]
    assert [(row["change"], row["how_applied"]) for row in rows["stg_label_event"]] == [
        ("applied", "default"),
        ("upgraded", "manual"),
    ]


def test_elastic_samples(parse: Parse) -> None:
    rows = parse(*read_sample("elastic_integrations/o365_audit_events_transcribed.jsonl"))
    assert [row["record_type"] for row in rows["stg_m365_event"]] == [25, 6, 11, 11, 11]
    assert [row["severity"] for row in rows["stg_dlp_event"]] == ["low", "high", "low"]
    assert len({row["incident_key"] for row in rows["stg_dlp_event"]}) == 2
    assert {row["identity_basis"] for row in rows["stg_interaction"]} == set()


def test_purview_export(parse: Parse) -> None:
    file = SAMPLES / "infosecstreams_huntress2023/purview.csv"
    if not file.exists():
        pytest.skip("shared samples are not here")
    with file.open(newline="", encoding="utf-8") as text:
        records = [
            {
                "RecordId": row["RecordId"],
                "CreationDate": row["CreationDate"],
                "RecordType": row["RecordType"],
                "Operation": row["Operation"],
                "UserId": row["UserId"],
                "AuditData": json.loads(row["AuditData"]),
            }
            for row in csv.DictReader(text)
        ]
    rows = parse(*records)
    assert len(rows["stg_m365_event"]) == 219
    assert Counter(row["record_type"] for row in rows["stg_m365_event"])[1] == 89
    assert len({row["person_key"] for row in rows["stg_m365_event"]}) == 8
    assert (len(rows["stg_interaction"]), len(rows["stg_dlp_event"]), len(rows["stg_label_event"])) == (
        0,
        0,
        6,
    )
