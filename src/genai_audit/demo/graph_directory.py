"""What the pretend tenant tells about itself: people, sensitivity labels and the Copilot usage report.

    directory = PretendDirectory(university)
    for created, _, record in university.m365_records(): directory.note_activity(created, record)
    PretendTenant(store, interfaces=[directory], roles=(…, *PERMISSIONS))

Shapes: facts/m365.md §5. The usage report is made for a day two days before the last one. People and labels
come in pages; `$select`, `$top` and `$expand` are honoured, so that a test sees what was asked for.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genai_audit.demo._answers import answer_json
from genai_audit.demo._audit_log import RefusedError

if TYPE_CHECKING:
    from genai_audit.demo.tenant import PretendTenant
    from genai_audit.demo.university import University

Row = dict[str, Any]
COPILOT_SKU = "5c0b1107-0000-4000-8000-00000000c0b1"  # invented
PERMISSIONS = ("User.Read.All", "SensitivityLabels.Read.All", "Reports.Read.All")
REPORT_LAG_DAYS = 2
_LABELS = "/{version}/security/dataSecurityAndGovernance/sensitivityLabels"
_REPORT = "/{version}/copilot/reports/getMicrosoft365CopilotUsageUserDetail({period})"
_OLD_REPORT = "/{version}/reports/getMicrosoft365CopilotUsageUserDetail({period})"
_APPS = ("Microsoft Teams", "Word", "Excel", "PowerPoint", "Outlook", "OneNote", "Loop")


class PretendDirectory:
    """One interface of a PretendTenant. Change its attributes to change the tenant.

    `users`, `labels`: as Graph shows them, with everything that it knows. `last_active`: user principal name
    -> day. `report`: csv (v1.0; beta has JSON), json (beta only), old (at its older address) or none.
    `conceals`: names stand as hash values. `refuses_labels`: versions without the list of labels;
    `refuses_expand`: $expand is answered with 400. `ignores_select`: everything is shown, whatever was asked.
    """

    def __init__(self, university: University, *, page_size: int = 1000) -> None:
        units = {row["unit_id"]: row["unit_name"] for row in university.units()}
        people = university.people_rows()
        self.users = [make_user(row, units, number) for number, row in enumerate(people)]
        self.labels = make_labels(university.labels())
        self.page_size = page_size
        self.report, self.report_day = "csv", university.last_day - timedelta(days=REPORT_LAG_DAYS)
        self.last_active: dict[str, date] = {}
        self.conceals = self.refuses_expand = self.ignores_select = False
        self.refuses_labels: tuple[str, ...] = ()
        self.answer_report = self._answer_report  # a test may put another in its place
        self._names = {row[key].lower(): row["upn"] for row in people for key in ("object_id", "upn")}

    def __call__(self, tenant: PretendTenant) -> list[Route]:
        self._tenant = tenant
        return [
            tenant.graph_route("/{version}/users", "users", self._answer_users, PERMISSIONS[0]),
            tenant.graph_route(_LABELS, "labels", self._answer_labels, PERMISSIONS[1]),
            *(
                tenant.graph_route(one, "usage", self._report, PERMISSIONS[2])
                for one in (_REPORT, _OLD_REPORT)
            ),
        ]

    def note_activity(self, created: datetime, record: bytes) -> None:
        """Take a record of the audit log into account, in order of time."""
        day = created.date()
        if day > self.report_day or b'"operation":"CopilotInteraction"' not in record:
            return
        name = self._names.get(str(orjson.loads(record)["userId"]).lower())
        if name:
            self.last_active[name] = day

    async def _answer_users(self, request: Request, number: int) -> Response:
        wish = "" if self.ignores_select else request.query_params.get("$select", "")
        names = wish.split(",") if wish else list(self.users[0] if self.users else ())
        return self._answer_page(request, [{name: user.get(name) for name in names} for user in self.users])

    async def _answer_labels(self, request: Request, number: int) -> Response:
        if request.path_params["version"] in self.refuses_labels:
            raise RefusedError(400, "BadRequest", "Resource not found for the segment 'sensitivityLabels'.")
        wish = request.query_params.get("$expand", "")
        if wish and self.refuses_expand:
            raise RefusedError(400, "BadRequest", "Could not find a property named 'sublabels'.")
        cut = [{key: value for key, value in one.items() if key != "sublabels"} for one in self.labels]
        return self._answer_page(request, self.labels if wish == "sublabels" else cut)

    async def _report(self, request: Request, number: int) -> Response:
        return await self.answer_report(request, number)

    async def _answer_report(self, request: Request, number: int) -> Response:
        is_old, is_beta = "/copilot/" not in request.url.path, request.path_params["version"] == "beta"
        served = {"csv": not is_old, "json": is_beta, "old": is_old and not is_beta}
        if not served.get(self.report, False):
            raise RefusedError(404, "ResourceNotFound", "Resource not found.")
        rows = list(self._report_rows())
        if is_beta:
            return self._answer_page(request, [_as_json(row) for row in rows])
        return Response(_as_csv(rows), media_type="application/octet-stream")

    def _report_rows(self) -> Iterable[Row]:
        for user in self.users:
            name, display_name = user["userPrincipalName"], user["displayName"]
            day = self.last_active.get(name)
            if self.conceals:
                name = display_name = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest().upper()
            text = day.isoformat() if day and day > self.report_day - timedelta(days=7) else ""
            app = _APPS[len(name) % len(_APPS)]
            yield {
                "Report Refresh Date": self.report_day.isoformat(), "User Principal Name": name,
                "Display Name": display_name, "Last Activity Date": text,
                "Copilot Chat Last Activity Date": text,
                **{f"{one} Copilot Last Activity Date": text if one == app else "" for one in _APPS},
                "Prompts submitted for all apps": "3" if text else "0", "Report Period": "7",
            }  # fmt: skip

    def _answer_page(self, request: Request, entries: Sequence[Row]) -> Response:
        """Entries from $skiptoken on, at most $top; the page faults of the tenant hit page `fault_page`."""
        first = int(request.query_params.get("$skiptoken", 0))
        size = min(int(request.query_params.get("$top", self.page_size)), self.page_size)
        faults, here = self._tenant.faults, f"{self._tenant.url}{request.url.path}"
        body: Row = {"@odata.context": f"{here}#page", "value": list(entries[first : first + size])}
        after: int | None = first + size if first + size < len(entries) else None
        if first // size + 1 == faults.fault_page:
            after = first if faults.looping_next_link else after
            if faults.foreign_next_link:
                after, here = first + size, here.replace("127.0.0.1", "localhost")
            if faults.page_without_value:
                del body["value"]
        if after is not None:
            wish = {**request.query_params, "$skiptoken": str(after)}
            body["@odata.nextLink"] = f"{here}?{urlencode(wish, safe='$,')}"
        return answer_json(orjson.dumps(body))


def make_user(row: Mapping[str, Any], units: Mapping[str, str], number: int) -> Row:
    """An account as Graph shows it, mail and telephone included: nobody should ask for them."""
    is_guest = row["role"] == "guest"
    return {
        "id": row["object_id"], "userPrincipalName": row["upn"], "displayName": row["display_name"],
        "mail": row["upn"], "mobilePhone": "+44 1632 960000", "department": units[row["department"]],
        "jobTitle": row["job_title"], "employeeType": None if is_guest else row["role"].capitalize(),
        "userType": "Guest" if is_guest else "Member", "accountEnabled": True,
        "assignedLicenses": [{"skuId": COPILOT_SKU, "disabledPlans": []}] if number % 3 == 0 else [],
    }  # fmt: skip


def make_labels(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The catalogue in order of rank; the last label but one has a sublabel that no register knows."""
    labels = [
        {"id": row["label_id"], "name": row["label_name"], "displayName": row["label_name"], "sublabels": [],
         "priority": 2 * place, "hasProtection": row["label_rank"] >= 30, "toolTip": "An invented label."}
        for place, row in enumerate(sorted(rows, key=lambda row: int(row["label_rank"])))
    ]  # fmt: skip
    parent = labels[-2]
    parent["sublabels"] = [
        {"id": "4c0e7a19-52d3-4b8f-a6e1-93b7d5f0c2a8", "name": "Research data",
         "displayName": "Research data", "priority": parent["priority"] + 1, "hasProtection": True,
         "sublabels": []}
    ]  # fmt: skip
    return labels


def _as_csv(rows: Sequence[Row]) -> bytes:
    """UTF-8 with a byte order mark and CRLF, as Microsoft's tables come."""
    text = io.StringIO(newline="")
    columns = rows[0] if rows else {"Report Refresh Date": "", "User Principal Name": ""}
    writer = csv.DictWriter(text, list(columns))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def _as_json(row: Row) -> Row:
    named = {key[0].lower() + key.title().replace(" ", "")[1:]: value for key, value in row.items()}
    del named["reportPeriod"]
    return {**named, "copilotActivityUserDetailsByPeriod": [{"reportPeriod": 7}]}
