"""The pretend tenant over a real socket: each endpoint, each fault, and the real azure-identity and SDK."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from genai_audit.demo.tenant import Faults, PretendTenant, RecordStore
from genai_audit.settings import Settings

DAY = datetime(2026, 11, 2, tzinfo=UTC)
QUERIES = "/v1.0/security/auditLog/queries"


def make_record(number: int, operation: str = "CopilotInteraction") -> tuple[datetime, bytes]:
    """Odd spacing and a number that a JSON library would rewrite: only the very same bytes are equal."""
    created = DAY + timedelta(minutes=number)
    text = f'{{ "id":"r{number}", "createdDateTime" :"{created.isoformat()}","operation":"{operation}",'
    return created, (text + '"auditData":{"v":1.50,"n":"\\u00e9"}}').encode()


RECORDS = [make_record(number) for number in range(25)]


class Client:
    """A plain HTTP client that signs in once."""

    def __init__(self, tenant: PretendTenant) -> None:
        self.tenant = tenant
        self.http = httpx.Client(base_url=tenant.url, verify=make_context(tenant), timeout=10)
        self.headers: dict[str, str] = {}
        self.sign_in()

    def sign_in(self) -> None:
        form = {
            "grant_type": "client_credentials", "client_id": self.tenant.client_id,
            "client_secret": self.tenant.secret_path.read_text(),
        }  # fmt: skip
        answer = self.http.post(f"/{self.tenant.tenant_id}/oauth2/v2.0/token", data=form)
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, address: str, **parameters: Any) -> httpx.Response:
        return self.http.get(address, params=parameters or None, headers=self.headers)

    def create(self, hours: float = 24, **more: Any) -> httpx.Response:
        body = {
            "displayName": "test", "filterStartDateTime": DAY.isoformat(),
            "filterEndDateTime": (DAY + timedelta(hours=hours)).isoformat(),
        } | more  # fmt: skip
        return self.http.post(QUERIES, json=body, headers=self.headers)

    def succeed(self, **more: Any) -> str:
        """Create a query and poll until it has succeeded; its records' address."""
        address = f"{QUERIES}/{self.create(**more).json()['id']}"
        for _ in range(5):
            if self.get(address).json()["status"] == "succeeded":
                return f"{address}/records"
        raise AssertionError("never succeeded")

    def pages(self, address: str) -> Iterator[dict[str, Any]]:
        following: str | None = address
        while following:
            page = self.get(following).json()
            yield page
            following = page.get("@odata.nextLink")

    def ids(self, address: str) -> list[str]:
        return [row["id"] for page in self.pages(address) for row in page["value"]]


def make_context(tenant: PretendTenant) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(tenant.ca_path))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """`start(**options)` gives a signed-in client of a running tenant; all are stopped at the end."""
    running: list[tuple[PretendTenant, Client]] = []

    def run(records: Any = RECORDS, **options: Any) -> Client:
        if "page_size" not in options:
            options["page_size"] = 10
        tenant = PretendTenant(records, workdir=tmp_path / f"tenant{len(running)}", **options)
        tenant.__enter__()
        client = Client(tenant)
        running.append((tenant, client))
        return client

    yield run
    for tenant, client in running:
        client.http.close()
        tenant.__exit__(None, None, None)


# The way of a query


def test_query_goes_from_not_started_to_succeeded(start: Any) -> None:
    client = start(polls_until_ready=2)
    created = client.create(operationFilters=["copilotINTERACTION"])
    assert created.status_code == 201
    assert created.json()["status"] == "notStarted"
    polls = [client.get(f"{QUERIES}/{created.json()['id']}").json() for _ in range(4)]
    assert [one["status"] for one in polls] == ["running", "running", "succeeded", "succeeded"]
    assert [one["approximateReturnedRecordCount"] for one in polls] == [0, 0, 25, 25]
    assert not polls[-1]["isRecordCountLimitExceeded"]
    assert client.get(QUERIES).json()["value"][0]["displayName"] == "test"
    assert [query.status for query in client.tenant.queries] == ["succeeded"]


def test_records_are_the_stored_bytes_in_pages(start: Any) -> None:
    client = start()
    first = client.get(client.succeed(), **{"$top": 7})
    stored = b",".join(raw for _, raw in RECORDS[:7])
    assert b'"value":[' + stored + b"]" in first.content
    pages = list(client.pages(first.json()["@odata.nextLink"]))
    assert [len(page["value"]) for page in pages] == [7, 7, 4]
    assert "$skiptoken=" in first.json()["@odata.nextLink"]
    assert {page["@odata.count"] for page in pages} == {25}


def test_page_is_never_larger_than_the_tenant_allows(start: Any) -> None:
    client = start()
    assert len(client.get(client.succeed(), **{"$top": 500}).json()["value"]) == 10


def test_window_and_operations_select_records(start: Any) -> None:
    client = start([*RECORDS, make_record(3, "FileAccessed"), (DAY, b"not JSON")])
    rows = client.get(client.succeed(hours=1 / 6, operationFilters=["FileACCESSED"])).content
    assert rows.count(b'"FileAccessed"') == 1
    assert b"CopilotInteraction" not in rows
    assert b"not JSON" in rows  # nothing says which operation it is


def test_late_records_appear_when_they_have_arrived(start: Any) -> None:
    store = RecordStore(RECORDS)
    created, raw = make_record(99)
    store.add(created, raw, arrived=created + timedelta(days=3))
    store.add(created, raw, arrived=created + timedelta(days=3))  # a duplicate
    client = start(store, now=DAY + timedelta(days=1))
    early = client.succeed()
    assert client.ids(early) == [f"r{number}" for number in range(25)]
    client.tenant.now = DAY + timedelta(days=5)
    assert len(client.ids(early)) == 25  # a finished query doesn't change
    assert client.ids(client.succeed())[25:] == ["r99", "r99"]


def test_cap_cuts_and_says_so(start: Any) -> None:
    client = start(cap=20)
    address = client.succeed()
    query = client.get(address.removesuffix("/records")).json()
    assert (query["isRecordCountLimitExceeded"], query["recordCountLimit"]) == (True, 20)
    assert len(client.ids(address)) == 20
    assert not client.get(client.succeed(hours=1 / 3).removesuffix("/records")).json()[
        "isRecordCountLimitExceeded"
    ]


@pytest.mark.parametrize(
    "body",
    [{"filterEndDateTime": DAY.isoformat()}, {"filterStartDateTime": "x"}, {"serviceFilters": ["Copilot"]}],
)
def test_bad_query_is_refused(start: Any, body: dict[str, Any]) -> None:
    answer = start().create(**body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


def test_wrong_addresses_are_refused(start: Any) -> None:
    client = start()
    unfinished = f"{QUERIES}/{client.create().json()['id']}/records"
    assert client.get(unfinished).status_code == 400
    assert client.get(f"{QUERIES}/nothing").status_code == 404
    assert client.get("/v1.0/users").status_code == 404
    assert client.get(client.succeed() + "?$skiptoken=x").status_code == 400
    assert client.http.delete(f"{QUERIES}/{client.tenant.queries[0].id}").status_code == 404


def test_list_of_queries_has_pages(start: Any) -> None:
    client = start()
    for number in range(55):
        client.create(displayName=f"q{number}")
    names = [one["displayName"] for page in client.pages(QUERIES) for one in page["value"]]
    assert names == [f"q{number}" for number in reversed(range(55))]


def test_beta_can_be_switched_off(start: Any) -> None:
    assert start().get(QUERIES.replace("v1.0", "beta")).status_code == 200
    assert start(has_beta=False).get(QUERIES.replace("v1.0", "beta")).status_code == 400


# Signing in


def test_token_is_checked_and_says_who_it_is_for(start: Any) -> None:
    client = start(roles=("AuditLogsQuery.Read.All", "User.Read.All"))
    token = client.headers["Authorization"].split()[1]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["tid"] == client.tenant.tenant_id
    assert claims["appid"] == client.tenant.client_id
    assert claims["roles"] == ["AuditLogsQuery.Read.All", "User.Read.All"]
    client.headers = {}
    assert client.get(QUERIES).json()["error"]["code"] == "InvalidAuthenticationToken"
    client.headers = {"Authorization": "Bearer made.up.token"}
    assert client.get(QUERIES).status_code == 401


def test_token_expires_and_role_is_needed(start: Any) -> None:
    assert start(token_seconds=-1).get(QUERIES).status_code == 401
    assert start(roles=("User.Read.All",)).get(QUERIES).status_code == 403


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "wrong"}, "AADSTS700016"),
        ({"grant_type": "password"}, "AADSTS70003"),
        ({"client_assertion": "a.b.c"}, "AADSTS700027"),
    ],
)
def test_wrong_credentials_are_refused(start: Any, change: dict[str, str], code: str) -> None:
    tenant = (client := start()).tenant
    form = {"grant_type": "client_credentials", "client_id": tenant.client_id, "client_secret": "?"} | change
    answer = client.http.post(f"/{tenant.tenant_id}/oauth2/v2.0/token", data=form)
    assert code in answer.json()["error_description"]
    assert "AADSTS90002" in client.http.post("/elsewhere/oauth2/v2.0/token", data=form).text


@pytest.mark.parametrize("kind", ["client_secret", "certificate"])
def test_real_azure_identity_gets_a_token(start: Any, kind: str) -> None:
    from azure.identity import CertificateCredential, ClientSecretCredential

    tenant = (client := start()).tenant
    more = {
        "authority": tenant.url, "disable_instance_discovery": True, "connection_verify": str(tenant.ca_path),
    }  # fmt: skip
    if kind == "client_secret":
        secret = tenant.secret_path.read_text()
        credential = ClientSecretCredential(tenant.tenant_id, tenant.client_id, secret, **more)
    else:
        path = str(tenant.certificate_path)
        credential = CertificateCredential(tenant.tenant_id, tenant.client_id, path, **more)
    with credential:
        token = credential.get_token("https://graph.microsoft.com/.default").token
    client.headers = {"Authorization": f"Bearer {token}"}
    assert client.get(QUERIES).status_code == 200
    assert [one.kind for one in tenant.requests[1:3]] == ["describe", "token"]


def test_real_msgraph_creates_polls_and_reads_bytes(start: Any) -> None:
    from azure.identity import ClientSecretCredential
    from kiota_authentication_azure.azure_identity_authentication_provider import (
        AzureIdentityAuthenticationProvider,
    )
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.generated.models.security.audit_log_query import AuditLogQuery
    from msgraph_core import GraphClientFactory

    tenant = start().tenant

    credential = ClientSecretCredential(
        tenant.tenant_id, tenant.client_id, tenant.secret_path.read_text(), authority=tenant.url,
        disable_instance_discovery=True, connection_verify=str(tenant.ca_path),
    )  # fmt: skip
    scopes = ["https://graph.microsoft.com/.default"]
    auth = AzureIdentityAuthenticationProvider(credential, scopes=scopes)

    async def read() -> bytes:
        # The SDK puts a transport of its own around this one and forgets to close it.
        async with httpx.AsyncHTTPTransport(verify=make_context(tenant), http2=True) as transport:
            http = httpx.AsyncClient(transport=transport)
            client = GraphClientFactory.create_with_default_middleware(client=http)
            adapter = GraphRequestAdapter(auth, client=client)
            adapter.base_url = f"{tenant.url}/v1.0"
            queries = GraphServiceClient(request_adapter=adapter).security.audit_log.queries
            wish = AuditLogQuery(filter_start_date_time=DAY, filter_end_date_time=DAY + timedelta(days=1))
            created = await queries.post(wish)
            query = queries.by_audit_log_query_id(created.id)
            polls = [await query.get() for _ in range(2)]
            assert [one.status.value for one in (created, *polls)] == ["notStarted", "running", "succeeded"]
            page = query.records.to_get_request_information()
            return await adapter.send_primitive_async(page, "bytes", {})

    with credential:
        body = asyncio.run(read())
    assert b",".join(raw for _, raw in RECORDS[:10]) in body


def test_files_and_settings(start: Any) -> None:
    tenant = start().tenant
    for path in (tenant.secret_path, tenant.certificate_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for credential in ("client_secret", "certificate"):
        settings = Settings(**tomllib.loads(tenant.as_toml(credential))).tenant
        assert settings.credential == credential
        assert settings.graph_url == settings.authority_url == tenant.url
        assert (settings.client_secret_path or settings.certificate_path).is_file()
        assert settings.ca_bundle.is_file()


# Faults of single requests


def names(client: Client) -> list[str]:
    return [hit.fault for hit in client.tenant.fault_log]


def test_single_faults_come_in_order_and_end(start: Any) -> None:
    faults = Faults(
        throttle_with_retry_after=(2, 1.5), throttle_without_header=1, unavailable_burst=2, server_error=2
    )
    client = start(faults=faults)
    answers = [client.get(QUERIES) for _ in range(8)]
    assert [one.status_code for one in answers] == [429, 429, 429, 503, 503, 500, 502, 200]
    assert [one.headers.get("Retry-After") for one in answers[:4]] == ["1.5", "1.5", None, None]
    assert answers[5].headers["Content-Type"].startswith("text/html")
    assert client.tenant.fault_log[0].request_number == 1  # after the sign-in
    assert len(names(client)) == 7


def test_retry_after_can_be_a_date(start: Any) -> None:
    client = start(faults=Faults(throttle_with_retry_after=(1, 60), retry_after_as_date=True))
    moment = parsedate_to_datetime(client.get(QUERIES).headers["Retry-After"])
    assert 50 < (moment - datetime.now(UTC)).total_seconds() < 61


def test_faults_can_be_placed(start: Any) -> None:
    faults = Faults(unavailable_burst=2, where=("records",), skip=1, every=2)
    client = start(faults=faults)
    address = client.succeed()
    assert [client.get(address).status_code for _ in range(6)] == [200, 503, 200, 503, 200, 200]


def test_connection_is_reset_in_mid_body(start: Any) -> None:
    client = start(faults=Faults(reset_mid_body=1, where=("records",)))
    address = client.succeed()
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        client.get(address)
    assert client.tenant.requests[-1].status == 0
    assert len(client.ids(address)) == 25


def test_json_is_truncated_in_a_whole_answer(start: Any) -> None:
    client = start(faults=Faults(truncated_json=1, where=("records",)))
    answer = client.get(address := client.succeed())
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert len(client.ids(address)) == 25


def test_body_faults_leave_create_alone(start: Any) -> None:
    client = start(faults=Faults(reset_mid_body=1, truncated_json=1))
    assert client.create().status_code == 201
    assert names(client) == []


# Faults of queries


def test_lost_post_creates_the_query(start: Any) -> None:
    client = start(faults=Faults(lost_post=1))
    assert client.create().status_code == 503
    assert client.get(QUERIES).json()["value"][0]["displayName"] == "test"
    assert client.create().status_code == 201


def test_lost_post_can_be_a_reset(start: Any) -> None:
    client = start(faults=Faults(lost_post=1, lost_post_reset=True))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        client.create()
    assert len(client.tenant.queries) == 1


def test_queries_fail_stick_and_say_unknown_words(start: Any) -> None:
    def poll(client: Client, times: int) -> list[str]:
        address = f"{QUERIES}/{client.create().json()['id']}"
        return [client.get(address).json()["status"] for _ in range(times)]

    failing = start(faults=Faults(query_failed=1))
    assert poll(failing, 3) == ["running", "failed", "failed"]
    assert poll(failing, 2) == ["running", "succeeded"]
    assert poll(start(faults=Faults(query_stuck=True)), 5) == ["running"] * 5
    odd = start(faults=Faults(unknown_status=2, unknown_status_text="SLEEPING"))
    assert poll(odd, 4) == ["SLEEPING", "SLEEPING", "running", "succeeded"]


def test_count_and_window_can_be_off(start: Any) -> None:
    client = start(faults=Faults(count_off_by=3, stray_seconds=120))
    address = client.succeed(hours=1 / 6)
    assert client.get(address.removesuffix("/records")).json()["approximateReturnedRecordCount"] == 15
    assert len(client.ids(address)) == 12


# Faults of pages


def test_empty_page_has_a_next_link(start: Any) -> None:
    client = start(faults=Faults(empty_page_with_next_link=2))
    pages = list(client.pages(client.succeed()))
    assert [len(page["value"]) for page in pages] == [10, 0, 10, 5]


def test_next_link_loops_in_the_first_read_only(start: Any) -> None:
    client = start(faults=Faults(looping_next_link=1, fault_page=2))
    address = client.succeed()
    pages = client.pages(address)
    links = [next(pages)["@odata.nextLink"] for _ in range(4)]
    assert len(set(links)) == 1
    assert len(client.ids(address)) == 25


def test_foreign_next_link_would_be_seen(start: Any) -> None:
    client = start(faults=Faults(foreign_next_link=1, fault_page=3))
    address = client.succeed()
    link = [page.get("@odata.nextLink") for page in client.pages(address)][2]
    assert httpx.URL(link).host == "localhost"
    assert client.tenant.requests[-1].host == "localhost"
    assert client.tenant.requests[-1].has_token
    assert {one.host for one in client.tenant.requests[:-1]} == {"127.0.0.1"}


def test_page_without_value(start: Any) -> None:
    client = start(faults=Faults(page_without_value=1, fault_page=2))
    address = client.succeed()
    assert ["value" in page for page in client.pages(address)] == [True, False, True]
    assert len(client.ids(address)) == 25


def test_reads_differ_and_their_union_is_whole(start: Any) -> None:
    client = start(faults=Faults(second_read_differs=2))
    address = client.succeed()
    first, second, third = (client.ids(address) for _ in range(3))
    assert len(first) == len(second) == 20
    assert set(first) | set(second) == set(third)
    assert len(third) == 25


def test_token_expires_in_mid_read(start: Any) -> None:
    client = start(faults=Faults(expire_token_after_pages=2))
    pages = client.pages(client.succeed())
    next(pages)
    link = next(pages)["@odata.nextLink"]
    assert client.get(link).status_code == 401
    client.sign_in()
    assert len(client.get(link).json()["value"]) == 5
    assert names(client) == ["expire_token_after_pages"]


def test_tenant_can_forbid_or_lack_v1(start: Any) -> None:
    answer = start(faults=Faults(forbidden=True)).get(QUERIES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
    lacking = start(faults=Faults(segment_missing=True))
    assert "segment 'auditLog'" in lacking.get(QUERIES).json()["error"]["message"]
    assert lacking.get(QUERIES.replace("v1.0", "beta")).status_code == 200


# Files and processes


def test_store_survives_a_file(tmp_path: Path) -> None:
    store = RecordStore(
        [(DAY, b'{"operation":"A",\n"x":"\xff"}'), (DAY, DAY + timedelta(days=2), b'{"y":"\\ud800"}')]
    )
    store.write(tmp_path / "records.ndjson")
    again = RecordStore.read(tmp_path / "records.ndjson")
    week = DAY + timedelta(days=7)
    assert again.find(DAY, week) == store.find(DAY, week)
    assert len(again.find(DAY, week, now=DAY)) == 1
    plain = tmp_path / "plain.ndjson"
    plain.write_bytes(
        b"\n".join(raw for _, raw in RECORDS) + b'\n{"Id":"1","CreationTime":"2026-11-02T01:00:00"}\n'
    )
    assert len(RecordStore.read(plain).find(DAY, DAY + timedelta(hours=2))) == 26
    plain.write_bytes(b"{}")
    with pytest.raises(ValueError, match="no createdDateTime"):
        RecordStore.read(plain)


def test_tenant_runs_as_a_process(tmp_path: Path) -> None:
    file = tmp_path / "records.ndjson"
    file.write_bytes(b"\n".join(raw for _, raw in RECORDS))
    command = [sys.executable, "-m", "genai_audit.demo.serve_file", "--records", str(file), "--workdir"]
    command += [
        str(tmp_path / "tenant"),
        "--page-size",
        "10",
        "--faults",
        '{"unavailable_burst": 1, "where": ["list"]}',
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        facts = json.loads(process.stdout.readline())
        settings = Settings(**tomllib.loads(facts["toml"])).tenant
        context = ssl.create_default_context(cafile=facts["ca_path"])
        with httpx.Client(base_url=facts["url"], verify=context) as http:
            form = {
                "grant_type": "client_credentials", "client_id": settings.client_id,
                "client_secret": settings.client_secret_path.read_text(),
            }  # fmt: skip
            token = http.post(f"/{settings.tenant_id}/oauth2/v2.0/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            assert [http.get(QUERIES, headers=headers).status_code for _ in range(2)] == [503, 200]
            assert http.put("/_pretend/now", content="2026-11-03T00:00:00+00:00").status_code == 204
            state = http.get("/_pretend/state").json()
        assert [one["kind"] for one in state["requests"]] == ["token", "list", "list"]
        assert state["faults"][0]["fault"] == "unavailable_burst"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
