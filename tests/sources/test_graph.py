"""Who we are to Graph, which permissions we refuse, which links we don't follow, how long we are patient."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from genai_audit.demo.tenant import Faults, PretendTenant
from genai_audit.doctor import _check_clock
from genai_audit.errors import ConfigurationError, PermissionMissingError, SourceUnavailableError
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources import _graph, _graph_sign_in
from genai_audit.sources._graph import ProtocolError, connect
from genai_audit.sources._graph_probe import check_reachability
from genai_audit.sources._graph_sign_in import read_token_roles
from genai_audit.sources._patience import (
    ATTEMPTS,
    DeadlineError,
    Patience,
    TransientError,
    UnreachableError,
    read_retry_after,
)
from genai_audit.sources._token_roles import check_token, is_read_only

PERMISSION = "AuditLogsQuery.Read.All"
TENANT = "7e57ab1e-0000-4000-8000-000000000001"

QUICK = SourceOptions(retry_seconds=0.001, request_timeout_seconds=10)


def settings_for(tenant: PretendTenant, credential: str = "client_secret", **changes: Any) -> Settings:
    values = {
        "tenant_id": tenant.tenant_id, "client_id": tenant.client_id, "credential": credential,
        "client_secret_path": tenant.secret_path, "certificate_path": tenant.certificate_path,
        "graph_url": tenant.url, "authority_url": tenant.url, "ca_bundle": tenant.ca_path,
    }  # fmt: skip
    return Settings(tenant=values | changes)


def make_token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.x"


# Who we are


@pytest.mark.parametrize("credential", ["client_secret", "certificate"])
def test_both_credentials_sign_in_over_real_tls(tmp_path: Path, credential: str) -> None:
    with PretendTenant([], workdir=tmp_path) as tenant:
        settings = settings_for(tenant, credential)
        assert read_token_roles(settings) == (PERMISSION,)
        check_reachability(settings, PERMISSION)
        assert [one.kind for one in tenant.requests].count("list") == 1


def test_a_managed_identity_needs_no_file() -> None:
    settings = Settings(tenant={"credential": "managed_identity"})
    credential = _graph_sign_in.make_credential(settings.tenant, 1.0)
    credential.close()
    assert type(credential).__name__ == "ManagedIdentityCredential"


def test_reachability_takes_the_beta_path_when_v1_lacks_the_audit_log(tmp_path: Path) -> None:
    with PretendTenant([], faults=Faults(segment_missing=True), workdir=tmp_path) as tenant:
        check_reachability(settings_for(tenant), PERMISSION)
        assert tenant.requests[-1].path.startswith("/beta/")


def test_reachability_reports_a_missing_permission_by_name(tmp_path: Path) -> None:
    with (
        PretendTenant([], faults=Faults(forbidden=True), workdir=tmp_path) as tenant,
        pytest.raises(PermissionMissingError, match=PERMISSION),
    ):
        check_reachability(settings_for(tenant), PERMISSION)


def test_reachability_does_not_repeat(tmp_path: Path) -> None:
    with PretendTenant([], faults=Faults(unavailable_burst=9), workdir=tmp_path) as tenant:
        with pytest.raises(SourceUnavailableError, match="503"):
            check_reachability(settings_for(tenant), PERMISSION)
        assert [one.kind for one in tenant.requests].count("list") == 1


def test_nobody_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    with PretendTenant([], workdir=tmp_path) as tenant:
        settings = settings_for(tenant)
    with pytest.raises(SourceUnavailableError, match="sign-in service did not answer"):
        read_token_roles(settings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "7e57ab1e-0000-4000-8000-00000000dead"}, "AADSTS700016"),
        ({"tenant_id": "7e57ab1e-0000-4000-8000-00000000dead"}, "refused the sign-in"),
        ({"tenant_id": ""}, "missing or malformed"),
        ({"client_secret_path": None}, "client_secret_path names no file"),
        ({"client_secret_path": Path("no-such-file")}, "client_secret_path names no file"),
        (
            {"credential": "certificate", "certificate_path": Path("no-such-file")},
            "certificate_path names no",
        ),
        ({"ca_bundle": Path("no-such-file")}, "ca_bundle names no file"),
        ({"ca_bundle": Path(__file__)}, "ca_bundle names no file"),
        ({"graph_url": "http://127.0.0.1:1"}, "must be https"),
        ({"graph_url": "https://127.0.0.1/v1.0"}, "without a path"),
    ],
)
def test_wrong_settings_are_a_configuration_error(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with (
        PretendTenant([], workdir=tmp_path) as tenant,
        pytest.raises(ConfigurationError, match=words) as caught,
    ):
        read_token_roles(settings_for(tenant, **changes))
    assert caught.value.next_step


@pytest.mark.parametrize("bundle", [Path("no-such-file"), Path(__file__)])
def test_a_bundle_that_is_none_is_named_wherever_it_is_used(tmp_path: Path, bundle: Path) -> None:
    with PretendTenant([], workdir=tmp_path) as tenant:
        settings = settings_for(tenant, ca_bundle=bundle)
        for ask in (lambda: check_reachability(settings, PERMISSION), lambda: read_token_roles(settings)):
            with pytest.raises(ConfigurationError, match="ca_bundle"):
                ask()
        finding = _check_clock(settings)
    assert (finding.state, "ca_bundle" in finding.text) == ("fix", True)


def test_a_wrong_secret_names_entras_code_and_not_the_secret(tmp_path: Path) -> None:
    secret = tmp_path / "wrong"
    secret.write_text("not-the-secret")
    secret.chmod(0o600)
    with (
        PretendTenant([], workdir=tmp_path) as tenant,
        pytest.raises(ConfigurationError, match="AADSTS7000215") as caught,
    ):
        read_token_roles(settings_for(tenant, client_secret_path=secret))
    assert "not-the-secret" not in repr((str(caught.value), caught.value.next_step, caught.value.__cause__))


@pytest.mark.parametrize("credential", ["client_secret", "certificate"])
def test_a_credential_that_others_can_read_is_refused(tmp_path: Path, credential: str) -> None:
    with PretendTenant([], workdir=tmp_path) as tenant:
        tenant.secret_path.chmod(0o640)
        tenant.certificate_path.chmod(0o604)
        with pytest.raises(ConfigurationError, match="read by other accounts"):
            read_token_roles(settings_for(tenant, credential))
        assert tenant.requests == []


def test_a_certificate_file_that_holds_none_is_a_configuration_error(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("-----BEGIN NOTHING-----")
    pem.chmod(0o600)
    with (
        PretendTenant([], workdir=tmp_path) as tenant,
        pytest.raises(ConfigurationError, match="certificate_path"),
    ):
        read_token_roles(settings_for(tenant, "certificate", certificate_path=pem))


def test_an_unknown_certificate_authority_is_named_and_not_retried(tmp_path: Path) -> None:
    with PretendTenant([], workdir=tmp_path) as tenant:
        with pytest.raises(ConfigurationError, match="sign-in service is not trusted"):
            read_token_roles(settings_for(tenant, ca_bundle=None))
        assert tenant.requests == []


# What we may do


@pytest.mark.parametrize(
    ("role", "is_allowed"),
    [
        ("AuditLogsQuery.Read.All", True),
        ("AuditLogsQuery-Entra.Read.All", True),
        ("User.ReadBasic.All", True),
        ("ActivityFeed.ReadDlp", True),
        ("InformationProtectionPolicy.Read.All", True),
        ("User.ReadWrite.All", False),
        ("Directory.ReadWrite.All", False),
        ("Mail.Send", False),
        ("Sites.Selected", False),
        ("Sites.FullControl.All", False),
        ("AiEnterpriseInteraction.Read.All", False),
        ("aienterpriseinteraction.read.all", False),
        ("ReportSettings.Read.All", False),
        ("full_access_as_app", False),
        ("", False),
    ],
)
def test_only_permissions_that_read_are_allowed(role: str, is_allowed: bool) -> None:
    assert is_read_only(role) is is_allowed


def test_a_token_that_could_write_stops_everything(tmp_path: Path) -> None:
    roles = (PERMISSION, "Mail.Send", "AiEnterpriseInteraction.Read.All")
    with PretendTenant([], workdir=tmp_path, roles=roles) as tenant:
        settings = settings_for(tenant)
        for call in (lambda: read_token_roles(settings), lambda: check_reachability(settings, PERMISSION)):
            with pytest.raises(ConfigurationError, match=r"AiEnterpriseInteraction.Read.All, Mail.Send"):
                call()
        assert {one.kind for one in tenant.requests} == {"token", "describe"}


def test_a_token_of_another_tenant_is_refused() -> None:
    other = "00000000-0000-4000-8000-000000000009"
    with pytest.raises(ConfigurationError, match="another tenant"):
        check_token(make_token(tid=other), TENANT)
    assert check_token(make_token(tid=other, roles=["B.Read", "A.Read"]), "example.org") == (
        "A.Read",
        "B.Read",
    )


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.%%%.c", "e30.W10.x"])
def test_a_token_that_cannot_be_read_has_no_known_roles(token: str) -> None:
    assert check_token(token, TENANT) == ()


# Which links we follow


@pytest.mark.parametrize(
    "link",
    [
        "http://{host}/x",
        "https://evil.example/x",
        "https://{host}.evil.example/x",
        "https://{host}@evil.example/x",
        "https://user:word@{host}/x",
        "https://{host}:444/x",
        "https://evil.example\\@{host}/x",
        "//{host}/x",
        "/v1.0/x",
        "",
        7,
    ],
)
def test_a_next_link_must_stay_on_our_host(tmp_path: Path, link: Any) -> None:
    settings = Settings(tenant={"graph_url": "https://graph.microsoft.com", "credential": "managed_identity"})

    async def check() -> None:
        async with connect(settings, PERMISSION, QUICK) as graph:
            target = link.format(host="graph.microsoft.com") if isinstance(link, str) else link
            with pytest.raises(ProtocolError):
                graph._check_link(target, set())
            good = "https://graph.microsoft.com/v1.0/x?$skiptoken=1"
            assert graph._check_link(good, set()) == good
            with pytest.raises(ProtocolError, match="leads back"):
                graph._check_link(good, {good})

    asyncio.run(check())


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": "https://evil.example/"})

    async def ask() -> None:
        async with connect(_offline(monkeypatch, answer), PERMISSION, QUICK) as graph:
            with pytest.raises(ProtocolError, match="sends us elsewhere"):
                await graph.send(graph.build_listing)

    asyncio.run(ask())
    assert asked == ["graph.microsoft.com"]


@pytest.mark.parametrize("body", [b"", b"<html>log in</html>", b"\xef\xbb\xbf{}", b'{"value":[{"id":"a"}'])
def test_a_body_that_is_never_json_ends_after_a_number_of_attempts(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, content=body)

    async def ask() -> None:
        async with connect(_offline(monkeypatch, answer), PERMISSION, QUICK) as graph:
            with pytest.raises(UnreachableError, match=r"not whole JSON|empty"):
                async for _ in graph.pages(graph.build_listing):
                    pass

    asyncio.run(ask())
    assert len(asked) == ATTEMPTS


def _offline(monkeypatch: pytest.MonkeyPatch, answer: Any) -> Settings:
    """Settings and a transport that never open a socket."""
    real = httpx.AsyncClient

    def make(*, event_hooks: Any, **_: Any) -> httpx.AsyncClient:
        return real(transport=httpx.MockTransport(answer), event_hooks=event_hooks)

    monkeypatch.setattr(_graph.httpx, "AsyncClient", make)
    monkeypatch.setattr(
        _graph_sign_in.Tokens, "fetch", lambda *_, **__: _graph_sign_in.AccessToken("t", 9_999_999_999)
    )
    return Settings(tenant={"credential": "managed_identity"})


# How patient we are


def _patience(**limits: Any) -> Patience:
    return Patience(SourceOptions(**limits))


def _always(failure: TransientError) -> Any:
    async def attempt() -> None:
        raise failure

    return attempt


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []

    async def nap(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr("genai_audit.sources._patience.asyncio.sleep", nap)
    return taken


def test_pauses_double_with_jitter_up_to_a_limit(naps: list[float]) -> None:
    patience = _patience(retry_seconds=5)
    with pytest.raises(UnreachableError, match=f"{ATTEMPTS} times in a row: the service answered 502"):
        asyncio.run(patience.persist(_always(TransientError("the service answered 502", 502))))
    assert patience.retry_count == len(naps) == ATTEMPTS - 1
    for number, nap in enumerate(naps):
        full = min(120, 5 * 2**number)
        assert full / 2 <= nap <= full


def test_a_long_retry_after_is_honoured(naps: list[float]) -> None:
    answers = iter([TransientError("429", 429, retry_after=600.0), None])

    async def attempt() -> str:
        if failure := next(answers):
            raise failure
        return "done"

    patience = _patience(retry_seconds=1)
    assert asyncio.run(patience.persist(attempt)) == "done"
    assert 600 <= naps[0] <= 601
    assert (patience.retry_count, patience.throttled_count) == (1, 1)


def test_throttling_is_bound_by_the_deadline_and_not_by_attempts(naps: list[float]) -> None:
    left = iter([*[TransientError("429", 429, retry_after=0.0)] * (ATTEMPTS * 3), None])

    async def attempt() -> None:
        if failure := next(left):
            raise failure

    asyncio.run(_patience(retry_seconds=0.001).persist(attempt))
    assert len(naps) == ATTEMPTS * 3


def test_a_wait_beyond_the_deadline_is_not_begun(naps: list[float]) -> None:
    patience = _patience(deadline_minutes=1)
    with pytest.raises(DeadlineError, match="Out of time after 1 minutes"):
        asyncio.run(patience.persist(_always(TransientError("the service answered 429", 429, 1e9))))
    assert naps == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("Wed, 21 Oct 2026 07:30:00 GMT", 120.0),
        ("Wed, 21 Oct 2026 07:20:00 GMT", 0.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_all_its_spellings(text: str, seconds: float | None) -> None:
    headers = httpx.Headers({"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": text})
    assert read_retry_after(headers) == seconds


def test_tls_is_always_verified() -> None:
    async def look() -> ssl.VerifyMode:
        async with connect(Settings(tenant={"credential": "managed_identity"}), PERMISSION, QUICK) as graph:
            client = graph._adapter._http_client
            return client._transport.transport._pool._ssl_context.verify_mode

    assert asyncio.run(look()) == ssl.CERT_REQUIRED
