"""The credential for the Azure SDK, which replaces azure-identity-broker's: the real SDK, over a real bus."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msal
import pytest
import trustme
from azure.core import AsyncPipelineClient
from azure.core.credentials import TokenRequestOptions
from azure.core.credentials_async import AsyncSupportsTokenInfo, AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.identity import AuthenticationRecord, AuthenticationRequiredError, CredentialUnavailableError
from azure.identity.aio import AzureCliCredential, ChainedTokenCredential

from linuxbroker import BrokerClient
from linuxbroker.integrations.azure import CONSOLE_WINDOW_HANDLE, DEVELOPER_CLIENT_ID, BrokerCredential
from linuxbroker_fake import FakeConfig, RevokedTokenError, RunningFake
from tests.constants import CLIENT_ID

SCOPE = "https://storage.azure.com/.default"
ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
CHALLENGE = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"},"acrs":{"value":"c1"}}}'
POP = {
    "resource_request_method": "GET",
    "resource_request_url": "https://graph.microsoft.com/v1.0/me",
    "nonce": "a-nonce",
}
SILENT, INTERACTIVE = "acquireTokenSilently", "acquireTokenInteractively"
CLI_TOKEN = "a-token-of-the-azure-cli"
NO_BUS = "unix:path=/nonexistent/bus"


def _upn_of(fake: RunningFake, token: str) -> str:
    return str(fake.broker.verify_access_token(token)["upn"])


def _parameters(fake: RunningFake, method: str) -> dict[str, Any]:
    """What the broker was last asked with."""
    parameters: dict[str, Any] = fake.calls_of(method)[-1].request["authParameters"]
    return parameters


# The protocols


async def test_credential_is_what_the_sdk_takes() -> None:
    credential = BrokerCredential()
    as_token_credential: AsyncTokenCredential = credential
    as_token_info: AsyncSupportsTokenInfo = credential
    assert isinstance(as_token_credential, AsyncTokenCredential)
    assert isinstance(as_token_info, AsyncSupportsTokenInfo)
    await credential.close()


async def test_token_and_its_expiry_are_the_brokers(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=ADA) as credential:
        token = await credential.get_token(SCOPE)
        info = await credential.get_token_info(SCOPE)
    claims = fake_broker.broker.verify_access_token(token.token)
    assert (claims["upn"], claims["exp"]) == (ADA, token.expires_on)
    assert (info.token, info.expires_on, info.token_type, info.refresh_on) == (*token, "Bearer", None)
    assert type(info.expires_on) is int
    assert not fake_broker.calls_of(INTERACTIVE)


async def test_a_closed_credential_works_again(fake_broker: RunningFake) -> None:
    credential = BrokerCredential(login_hint=ADA)
    async with credential:
        await credential.get_token(SCOPE)
    async with credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA


@pytest.mark.parametrize(
    ("options", "handle"),
    [
        ({"parent_window_handle": CONSOLE_WINDOW_HANDLE}, 0),
        ({"parent_window_handle": msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE}, 0),
        ({"parent_window_handle": 4711, "additionally_allowed_tenants": None}, 4711),
    ],
    ids=["of a console", "of a console, as MSAL names it", "of a window"],
)
async def test_options_are_written_as_for_azure_identity_broker(
    options: dict[str, Any], handle: int, fake_broker: RunningFake
) -> None:
    async with BrokerCredential(**options) as credential:
        await credential.get_token(SCOPE)
    assert _parameters(fake_broker, INTERACTIVE)["parentWindow"] == {"handle": handle}


async def test_a_request_without_scopes_is_refused(fake_broker: RunningFake) -> None:
    async with BrokerCredential() as credential:
        with pytest.raises(ValueError, match="at least one scope"):
            await credential.get_token()
        with pytest.raises(ValueError, match="at least one scope"):
            await credential.get_token_info()
    assert not fake_broker.calls


# The options


async def test_app_is_the_azure_clis_unless_named(fake_broker: RunningFake) -> None:
    for credential, client_id in (
        (BrokerCredential(login_hint=ADA), DEVELOPER_CLIENT_ID),
        (BrokerCredential(login_hint=ADA, client_id=CLIENT_ID), CLIENT_ID),
    ):
        async with credential:
            await credential.get_token(SCOPE)
        assert _parameters(fake_broker, SILENT)["clientId"] == client_id


@pytest.mark.parametrize("tenant", [CONTOSO, FABRIKAM])
async def test_tenant_chooses_among_the_records_of_a_user(fake_broker: RunningFake, tenant: str) -> None:
    async with BrokerCredential(login_hint=ADA, tenant_id=tenant) as credential:
        token = await credential.get_token(SCOPE)
    assert fake_broker.broker.verify_access_token(token.token)["tid"] == tenant
    assert _parameters(fake_broker, SILENT)["authority"] == f"https://login.microsoftonline.com/{tenant}"


@pytest.mark.parametrize("authority", ["login.microsoftonline.us", "https://login.microsoftonline.us/"])
async def test_authority_is_a_login_host(fake_broker: RunningFake, authority: str) -> None:
    async with BrokerCredential(login_hint=ADA, tenant_id=CONTOSO, authority=authority) as credential:
        await credential.get_token(SCOPE)
    assert _parameters(fake_broker, SILENT)["authority"] == f"https://login.microsoftonline.us/{CONTOSO}"


async def test_authority_may_come_from_the_environment(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.chinacloudapi.cn")
    async with BrokerCredential(login_hint=ADA, tenant_id=CONTOSO) as credential:
        await credential.get_token(SCOPE)
    assert _parameters(fake_broker, SILENT)["authority"] == f"https://login.chinacloudapi.cn/{CONTOSO}"


@pytest.mark.parametrize("upn", [ADA, GRACE])
async def test_login_hint_chooses_the_account(fake_broker: RunningFake, upn: str) -> None:
    async with BrokerCredential(login_hint=upn) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == upn


@pytest.mark.fake_broker(signed_in=())
async def test_login_hint_is_filled_in_for_a_user_the_broker_does_not_know(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=GRACE) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == GRACE
    assert _parameters(fake_broker, INTERACTIVE)["username"] == GRACE
    assert not fake_broker.calls_of(SILENT)


async def test_user_chooses_an_account_once_where_no_option_does(fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    async with BrokerCredential() as credential:
        tokens = [await credential.get_token(SCOPE) for _ in range(2)]
    assert [_upn_of(fake_broker, token.token) for token in tokens] == [GRACE, GRACE]
    (call,) = fake_broker.calls_of(INTERACTIVE)
    assert call.request["authParameters"]["prompt"] == "select_account"
    assert len(fake_broker.calls_of(SILENT)) == 1


async def test_credential_stays_with_the_user_who_signed_in_in_place_of_another(fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    async with BrokerCredential() as credential:
        await credential.authenticate(scopes=[SCOPE])
        fake_broker.set_user("approve", upn=ADA)
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == GRACE


async def test_default_account_is_used_without_asking(fake_broker: RunningFake) -> None:
    async with BrokerCredential(use_default_broker_account=True) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA
    assert not fake_broker.calls_of(INTERACTIVE)


@pytest.mark.fake_broker(signed_in=())
async def test_user_is_asked_where_there_is_no_default_account(fake_broker: RunningFake) -> None:
    async with BrokerCredential(use_default_broker_account=True) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


async def test_record_of_one_sign_in_serves_the_next_start(fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    async with BrokerCredential(client_id=CLIENT_ID) as credential:
        record = await credential.authenticate(scopes=[SCOPE])
    assert (record.username, record.tenant_id, record.client_id) == (GRACE, FABRIKAM, CLIENT_ID)
    assert record.authority == "login.microsoftonline.com"

    kept = AuthenticationRecord.deserialize(record.serialize())
    fake_broker.clear_calls()
    async with BrokerCredential(authentication_record=kept) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == GRACE
    assert not fake_broker.calls_of(INTERACTIVE)
    parameters = _parameters(fake_broker, SILENT)
    assert parameters["clientId"] == CLIENT_ID
    assert parameters["authority"] == f"https://login.microsoftonline.com/{FABRIKAM}"


@pytest.mark.parametrize(
    ("environment", "authority"),
    [
        ("login.windows.net", "login.microsoftonline.com"),
        ("login.evil.example", "login.microsoftonline.com"),
        ("", "login.microsoftonline.com"),
    ],
)
async def test_a_record_names_no_login_host_that_is_not_known_to_be_one(environment: str, authority: str) -> None:
    directory = FakeConfig().directory.model_copy(update={"environment": environment})
    with RunningFake(FakeConfig(signed_in=(ADA,), directory=directory)) as fake:
        async with BrokerCredential(login_hint=ADA, bus_address=fake.address) as credential:
            record = await credential.authenticate(scopes=[SCOPE])
    assert record.authority == authority


@pytest.mark.parametrize("realm", ["", "contoso", "../x", "a b.example", "login.evil.example/x", "127.0.0.1", "adfs"])
@pytest.mark.parametrize("tenant", [None, "contoso.example"])
async def test_a_record_names_no_tenant_that_is_none(fake_broker: RunningFake, realm: str, tenant: str | None) -> None:
    account = {"homeAccountId": f"00000000-0000-0000-0000-0000000000a1.{CONTOSO}", "username": ADA, "realm": realm}
    response = {"accessToken": "opaque", "expiresOn": 4_102_444_800, "grantedScopes": SCOPE, "account": account}
    fake_broker.plant("raw_reply", method=INTERACTIVE, reply=json.dumps({"brokerTokenResponse": response}))
    async with BrokerCredential(tenant_id=tenant) as credential:
        record = await credential.authenticate(scopes=[SCOPE])
    assert record.tenant_id == (tenant or "organizations")
    async with BrokerCredential(authentication_record=AuthenticationRecord.deserialize(record.serialize())) as again:
        await again.get_token(SCOPE)


def _record(authority: str, tenant: str = CONTOSO) -> AuthenticationRecord:
    return AuthenticationRecord(tenant, CLIENT_ID, authority, f"00000000-0000-0000-0000-0000000000a1.{CONTOSO}", ADA)


@pytest.mark.parametrize(
    "authority",
    [
        "login.evil.example",
        "https://login.evil.example",
        "login.microsoftonline.com.",
        "login.microsoftonline.com:8443",
        "login.microsoftonline.com@evil.example",
        "ada@login.microsoftonline.com",
        "evil.example/login.microsoftonline.com",
        "evil.example#login.microsoftonline.com",
        "http://login.microsoftonline.com",
        "127.0.0.1",
    ],
)
def test_a_record_of_a_host_that_is_not_azures_is_refused(authority: str) -> None:
    for configured in (None, "login.microsoftonline.us", "login.other.example"):
        with pytest.raises(ValueError, match="authority"):
            BrokerCredential(authentication_record=_record(authority), authority=configured)


@pytest.mark.parametrize("tenant", ["..", "x/y", "-contoso.example", "contoso", "127.0.0.1"])
def test_a_record_of_a_tenant_that_is_none_is_refused(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant_id"):
        BrokerCredential(authentication_record=_record("login.microsoftonline.com", tenant))


@pytest.mark.parametrize(
    ("authority", "configured"),
    [
        ("login.chinacloudapi.cn", None),
        ("https://login.chinacloudapi.cn/", "login.microsoftonline.com"),
        ("login.azurestack.example", "https://Login.AzureStack.example/"),
        ("", "login.azurestack.example"),
    ],
)
async def test_a_record_of_azures_or_of_the_applications_host_is_taken(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch, authority: str, configured: str | None
) -> None:
    host = "login.azurestack.example" if configured and "chinacloud" not in authority else "login.chinacloudapi.cn"
    async with BrokerCredential(authentication_record=_record(authority), authority=configured) as credential:
        await credential.get_token(SCOPE)
    assert _parameters(fake_broker, SILENT)["authority"] == f"https://{host}/{CONTOSO}"
    if configured:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", configured)
        BrokerCredential(authentication_record=_record(authority))


@pytest.mark.fake_broker(signed_in=[ADA])
async def test_user_of_a_record_that_the_broker_lacks_is_asked(fake_broker: RunningFake) -> None:
    record = AuthenticationRecord(
        FABRIKAM, CLIENT_ID, "login.microsoftonline.com", f"00000000-0000-0000-0000-0000000000b1.{FABRIKAM}", GRACE
    )
    async with BrokerCredential(authentication_record=record) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == GRACE
    assert _parameters(fake_broker, INTERACTIVE)["username"] == GRACE


async def test_authenticate_asks_for_azure_resource_manager_unless_told(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=ADA) as credential:
        await credential.authenticate()
    assert _parameters(fake_broker, INTERACTIVE)["requestedScopes"] == ["https://management.core.windows.net//.default"]
    async with BrokerCredential(authority="login.chinacloudapi.cn") as credential:
        await credential.authenticate()
    scopes = ["https://management.core.chinacloudapi.cn//.default"]
    assert _parameters(fake_broker, INTERACTIVE)["requestedScopes"] == scopes
    async with BrokerCredential(authority="login.cloud.example") as credential:
        with pytest.raises(CredentialUnavailableError, match="no default scopes"):
            await credential.authenticate()


@pytest.mark.parametrize(
    "fault",
    [{"kind": "mfa_expired"}, {"kind": "consent_missing"}, {"kind": "status", "status": 13}],
    ids=lambda fault: str(fault["kind"]),
)
async def test_user_is_asked_when_that_may_help(fake_broker: RunningFake, fault: dict[str, Any]) -> None:
    fake_broker.plant(**fault, method=SILENT)
    async with BrokerCredential(login_hint=ADA) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA
    assert _parameters(fake_broker, INTERACTIVE)["account"]["username"] == ADA


async def test_an_app_that_may_not_ask_is_told_what_to_ask_for(fake_broker: RunningFake) -> None:
    fake_broker.plant("mfa_expired", method=SILENT)
    async with BrokerCredential(login_hint=ADA, disable_automatic_authentication=True) as credential:
        with pytest.raises(AuthenticationRequiredError, match="invalid_grant") as caught:
            await credential.get_token(SCOPE, claims=CHALLENGE, enable_cae=True)
        assert (tuple(caught.value.scopes), caught.value.claims) == ((SCOPE,), CHALLENGE)
        assert not fake_broker.calls_of(INTERACTIVE)

        fake_broker.clear_faults()
        await credential.authenticate(scopes=caught.value.scopes, claims=caught.value.claims, enable_cae=True)
        assert len(fake_broker.calls_of(INTERACTIVE)) == 1
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ({"kind": "mfa_expired"}, "Sign the user in with authenticate."),
        ({"kind": "status", "status": 13}, "Sign in again with authenticate."),
    ],
    ids=["interaction required", "account unusable"],
)
async def test_advice_names_methods_of_the_credential(
    fake_broker: RunningFake, fault: dict[str, Any], advice: str
) -> None:
    fake_broker.plant(**fault, method=SILENT)
    async with BrokerCredential(login_hint=ADA, disable_automatic_authentication=True) as credential:
        with pytest.raises(AuthenticationRequiredError) as caught:
            await credential.get_token(SCOPE)
    text = str(caught.value)
    assert text.startswith("Sign-in required: acquireTokenSilently failed") and text.endswith(f") {advice}")
    assert "acquire_token_interactive" not in text and "get_accounts" not in text


async def test_advice_that_fits_the_credential_too_is_kept(fake_broker: RunningFake) -> None:
    fake_broker.plant("device_not_registered", method=SILENT)
    async with BrokerCredential(login_hint=ADA) as credential:
        with pytest.raises(ClientAuthenticationError, match="Enroll the device"):
            await credential.get_token(SCOPE)


async def test_an_app_that_may_not_ask_is_told_that_nobody_is_chosen(fake_broker: RunningFake) -> None:
    async with BrokerCredential(disable_automatic_authentication=True) as credential:
        with pytest.raises(AuthenticationRequiredError, match="No account is selected"):
            await credential.get_token(SCOPE)
    assert not fake_broker.calls


@pytest.mark.fake_broker(signed_in=[ADA])
async def test_an_app_that_may_not_ask_is_told_who_is_not_signed_in(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=GRACE, disable_automatic_authentication=True) as credential:
        with pytest.raises(AuthenticationRequiredError, match=f"{GRACE} is not signed in"):
            await credential.get_token(SCOPE)
    assert [call.member for call in fake_broker.calls] == ["getAccounts"]


@pytest.mark.parametrize("allowed", [[FABRIKAM], ["*"]])
async def test_a_tenant_that_is_allowed_is_used(fake_broker: RunningFake, allowed: list[str]) -> None:
    credential = BrokerCredential(login_hint=ADA, tenant_id=CONTOSO, additionally_allowed_tenants=allowed)
    async with credential:
        elsewhere = await credential.get_token(SCOPE, tenant_id=FABRIKAM)
        info = await credential.get_token_info(SCOPE, options={"tenant_id": FABRIKAM})
        at_home = await credential.get_token(SCOPE, tenant_id=CONTOSO)
    tenants = [fake_broker.broker.verify_access_token(token.token)["tid"] for token in (elsewhere, info, at_home)]
    assert tenants == [FABRIKAM, FABRIKAM, CONTOSO]


@pytest.mark.parametrize("own", [CONTOSO, None])
async def test_a_tenant_that_is_not_allowed_is_refused(fake_broker: RunningFake, own: str | None) -> None:
    async with BrokerCredential(login_hint=ADA, tenant_id=own) as credential:
        with pytest.raises(ClientAuthenticationError, match="additionally_allowed_tenants"):
            await credential.get_token(SCOPE, tenant_id=FABRIKAM)
    assert not fake_broker.calls


async def test_other_tenants_can_be_switched_off(fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "1")
    async with BrokerCredential(login_hint=ADA, tenant_id=CONTOSO, additionally_allowed_tenants=["*"]) as credential:
        token = await credential.get_token(SCOPE, tenant_id=FABRIKAM)
    assert fake_broker.broker.verify_access_token(token.token)["tid"] == CONTOSO


async def test_a_tenant_can_not_lead_the_request_elsewhere(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=ADA, additionally_allowed_tenants=["*"]) as credential:
        for tenant in ("x/y?z", "..", "contoso", "-contoso.example", "contoso.example.", "127.0.0.1"):
            with pytest.raises(ValueError, match="tenant_id"):
                await credential.get_token(SCOPE, tenant_id=tenant)
    assert not fake_broker.calls


async def test_window_of_the_app_is_passed_on(fake_broker: RunningFake) -> None:
    async with BrokerCredential(parent_window_handle=4711) as credential:
        await credential.get_token(SCOPE)
    assert _parameters(fake_broker, INTERACTIVE)["parentWindow"]["handle"] == 4711


async def test_a_person_is_given_so_much_time(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerCredential(timeout=0.01) as credential:
        with pytest.raises(ClientAuthenticationError, match=r"within 0\.01 s") as caught:
            await credential.get_token(SCOPE)
    assert not isinstance(caught.value, CredentialUnavailableError)


async def test_bus_can_be_named(fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", NO_BUS)
    async with BrokerCredential(login_hint=ADA, bus_address=fake_broker.address) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA


@pytest.mark.parametrize(
    "options",
    [
        {"client_id": "an app"},
        {"tenant_id": "a/b"},
        {"authority": "http://login.microsoftonline.com"},
        {"login_hint": ""},
        {"parent_window_handle": -1},
        {"timeout": -1},
        {"additionally_allowed_tenants": "*"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_that_can_not_be_right_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        BrokerCredential(**options)


# Claims, continuous access evaluation, proof of possession


@pytest.mark.parametrize(
    ("claims", "enable_cae", "sent"),
    [
        (None, False, None),
        (CHALLENGE, False, json.loads(CHALLENGE)),
        (None, True, {"access_token": {"xms_cc": {"values": ["CP1"]}}}),
        ('{"access_token":null}', True, {"access_token": {"xms_cc": {"values": ["CP1"]}}}),
        (
            CHALLENGE,
            True,
            {"access_token": {**json.loads(CHALLENGE)["access_token"], "xms_cc": {"values": ["CP1"]}}},
        ),
    ],
)
async def test_claims_reach_the_broker(
    fake_broker: RunningFake, claims: str | None, enable_cae: bool, sent: object
) -> None:
    options: TokenRequestOptions = {"enable_cae": enable_cae}
    if claims is not None:
        options["claims"] = claims
    async with BrokerCredential(login_hint=ADA) as credential:
        await credential.get_token(SCOPE, claims=claims, enable_cae=enable_cae)
        await credential.get_token_info(SCOPE, options=options)
    got = [call.request["authParameters"].get("decodedClaims") for call in fake_broker.calls_of(SILENT)]
    assert [json.loads(text or "null") for text in got] == [sent, sent]


@pytest.mark.parametrize("enable_cae", [False, True])
async def test_claims_that_are_no_claims_are_refused(fake_broker: RunningFake, enable_cae: bool) -> None:
    async with BrokerCredential(login_hint=ADA) as credential:
        with pytest.raises(ClientAuthenticationError, match="JSON object"):
            await credential.get_token(SCOPE, claims="bm90IGpzb24", enable_cae=enable_cae)
    assert not fake_broker.calls_of(SILENT)


@pytest.mark.parametrize("silently", [True, False])
async def test_proof_of_possession(fake_broker: RunningFake, silently: bool) -> None:
    if not silently:
        fake_broker.plant("mfa_expired", method=SILENT)
    async with BrokerCredential(login_hint=ADA) as credential:
        token = await credential.get_token(SCOPE, pop=POP)
        options: Any = {"pop": POP}
        info = await credential.get_token_info(SCOPE, options=options)
    assert info.token_type == "pop"
    for signed in (token.token, info.token):
        payload = fake_broker.broker.entra.verify_signed_http_request(signed)
        assert (payload["m"], payload["u"], payload["p"]) == ("GET", "graph.microsoft.com", "/v1.0/me")
        assert payload["nonce"] == "a-nonce"


@pytest.mark.parametrize("pop", [True, {"nonce": "a-nonce"}, {**POP, "resource_request_url": "http://plain.example/"}])
async def test_a_proof_of_possession_that_can_not_be_had_is_refused(fake_broker: RunningFake, pop: object) -> None:
    async with BrokerCredential(login_hint=ADA) as credential:
        with pytest.raises(ClientAuthenticationError) as caught:
            await credential.get_token(SCOPE, pop=pop)
    assert "a-nonce" not in str(caught.value)
    assert not fake_broker.calls


# What goes wrong


@pytest.fixture
def azure_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureCliCredential:
    """The SDK's own next credential: signed in with an Azure CLI that gives one token."""
    folder = tmp_path / "bin"
    folder.mkdir()
    answer = json.dumps({"accessToken": CLI_TOKEN, "expires_on": 4102444800, "tokenType": "Bearer"})
    (folder / "az").write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    (folder / "az").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return AzureCliCredential()


@pytest.mark.parametrize(
    "options", [{"login_hint": ADA}, {"use_default_broker_account": True}, {}], ids=lambda options: str(list(options))
)
@pytest.mark.parametrize("absent", ["bus", "broker"])
async def test_chain_moves_on_where_there_is_no_broker(
    fake_broker: RunningFake, azure_cli: AzureCliCredential, options: dict[str, Any], absent: str
) -> None:
    fake_broker.stop_broker()
    ours = BrokerCredential(bus_address=NO_BUS if absent == "bus" else None, **options)
    with pytest.raises(CredentialUnavailableError, match="identity broker is not available"):
        await ours.get_token(SCOPE)
    with pytest.raises(CredentialUnavailableError):
        await ours.authenticate(scopes=[SCOPE])
    async with ChainedTokenCredential(ours, azure_cli) as chain:
        assert (await chain.get_token(SCOPE)).token == CLI_TOKEN


async def test_chain_moves_on_when_the_broker_dies_before_the_user_is_asked(
    fake_broker: RunningFake, azure_cli: AzureCliCredential
) -> None:
    fake_broker.plant("crash", method="getAccounts")
    async with ChainedTokenCredential(BrokerCredential(login_hint=ADA), azure_cli) as chain:
        assert (await chain.get_token(SCOPE)).token == CLI_TOKEN


@pytest.mark.parametrize(
    ("error", "method", "unavailable"),
    [
        ("Timeout", "getAccounts", True),
        ("Timeout", INTERACTIVE, False),
        ("NoReply", INTERACTIVE, False),
        ("Spawn.ChildExited", "getAccounts", True),
        ("Spawn.ChildExited", INTERACTIVE, True),
    ],
)
async def test_a_broker_that_goes_silent_is_absent_until_the_user_is_asked(
    fake_broker: RunningFake, error: str, method: str, unavailable: bool
) -> None:
    fake_broker.plant("mfa_expired", method=SILENT)
    fake_broker.plant("dbus_error", name=f"org.freedesktop.DBus.Error.{error}", method=method)
    async with BrokerCredential(login_hint=ADA) as credential:
        with pytest.raises(ClientAuthenticationError) as caught:
            await credential.get_token(SCOPE)
    assert isinstance(caught.value, CredentialUnavailableError) is unavailable


async def test_chain_moves_on_where_the_user_may_not_be_asked(
    fake_broker: RunningFake, azure_cli: AzureCliCredential
) -> None:
    fake_broker.plant("mfa_expired", method=SILENT)
    ours = BrokerCredential(login_hint=ADA, disable_automatic_authentication=True)
    async with ChainedTokenCredential(ours, azure_cli) as chain:
        assert (await chain.get_token(SCOPE)).token == CLI_TOKEN
    assert not fake_broker.calls_of(INTERACTIVE)


@pytest.mark.parametrize("fault", ["no_network", "device_not_registered", "redirect_uri_unknown"])
async def test_chain_ends_where_the_broker_is_there_and_fails(
    fake_broker: RunningFake, azure_cli: AzureCliCredential, fault: str
) -> None:
    fake_broker.plant(fault, method=SILENT)
    async with ChainedTokenCredential(BrokerCredential(login_hint=ADA), azure_cli) as chain:
        with pytest.raises(ClientAuthenticationError, match="BrokerCredential: Authentication failed"):
            await chain.get_token(SCOPE)
    assert not fake_broker.calls_of(INTERACTIVE)


async def test_a_user_who_declines_ends_it(fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    async with BrokerCredential() as credential:
        with pytest.raises(ClientAuthenticationError, match="canceled") as caught:
            await credential.get_token(SCOPE)
    assert not isinstance(caught.value, CredentialUnavailableError)


@pytest.mark.parametrize("fault", [{"kind": "raw_reply", "reply": "nonsense"}, {"kind": "reply_not_text"}])
@pytest.mark.parametrize("method", ["getAccounts", SILENT])
async def test_a_broker_that_makes_no_sense_is_not_an_absent_one(
    fake_broker: RunningFake, fault: dict[str, str], method: str
) -> None:
    fake_broker.plant(**fault, method=method)
    async with BrokerCredential(login_hint=ADA) as credential:
        for get in (credential.get_token(SCOPE), credential.get_token_info(SCOPE)):
            with pytest.raises(ClientAuthenticationError) as caught:
                await get
            assert not isinstance(caught.value, CredentialUnavailableError)


async def test_no_secret_is_in_what_is_raised_or_shown(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=ADA) as credential:
        token = (await credential.get_token(SCOPE)).token
        fake_broker.plant("status", status=2, context=f"the token {token} is stale", method=SILENT)
        fake_broker.plant("status", status=9, context=f"the token {token} is stale", method=INTERACTIVE)
        with pytest.raises(ClientAuthenticationError) as caught:
            await credential.get_token(SCOPE)
        assert token not in repr(credential)
    raised: BaseException | None = caught.value
    while raised is not None:
        assert token not in f"{raised} {raised!r} {vars(raised)}"
        raised = raised.__cause__ or raised.__context__


def test_the_library_itself_needs_no_azure() -> None:
    program = (
        "import sys, linuxbroker, linuxbroker.integrations\n"
        "[getattr(linuxbroker, name) for name in linuxbroker.__all__ if name != 'PublicClientApplication']\n"
        "print([name for name in sys.modules if name.startswith(('azure', 'msal', 'aiohttp'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_importing_the_credential_adds_nothing_of_msal_to_what_azure_identity_imports() -> None:
    program = (
        "import sys, azure.identity, azure.core.credentials, azure.core.exceptions\n"
        "before = {name for name in sys.modules if name.partition('.')[0] == 'msal'}\n"
        "import linuxbroker.integrations.azure\n"
        "after = {name for name in sys.modules if name.partition('.')[0] == 'msal'}\n"
        "print(sorted(after - before), [name for name in sys.modules if 'public_client' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[] []\n", "")


# A service


class _Resource:
    """A web service that takes the fake Entra's tokens, and challenges clients with ``cp1`` whose token was revoked.

    Attributes:
        statuses: what it answered.
    """

    def __init__(self, fake: RunningFake) -> None:
        self.statuses: list[int] = []
        self._fake = fake

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        (token,) = (line.split(" ")[2] for line in request.splitlines() if line.startswith("Authorization: Bearer "))
        headers = "Content-Length: 0\r\nConnection: close\r\n"
        try:
            self._fake.broker.verify_access_token(token)
            status = 200
        except RevokedTokenError as revoked:
            status = 401
            headers += f"WWW-Authenticate: {revoked.www_authenticate}\r\n"
        self.statuses.append(status)
        writer.write(f"HTTP/1.1 {status} Here\r\n{headers}\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _running(resource: _Resource, authority: trustme.CA) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(resource.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("sign_in_again", [False, True])
async def test_revoked_token_is_replaced_on_the_resources_challenge(
    fake_broker: RunningFake, tmp_path: Path, sign_in_again: bool
) -> None:
    authority, resource = trustme.CA(), _Resource(fake_broker)
    authority_file = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(authority_file)
    async with BrokerCredential(login_hint=ADA) as credential, _running(resource, authority) as url:
        policy = AsyncBearerTokenCredentialPolicy[HttpRequest, AsyncHttpResponse](credential, SCOPE, enable_cae=True)
        client = AsyncPipelineClient[HttpRequest, AsyncHttpResponse](
            url, policies=[policy], transport=AioHttpTransport(connection_verify=authority_file)
        )
        async with client:
            await client.send_request(HttpRequest("GET", url))
            challenge = fake_broker.revoke(ADA, sign_in_again=sign_in_again)
            response = await client.send_request(HttpRequest("GET", url))
    assert response.status_code == 200
    assert resource.statuses == [200, 401, 200]
    assert bool(fake_broker.calls_of(INTERACTIVE)) is sign_in_again
    method = INTERACTIVE if sign_in_again else SILENT
    wanted = json.loads(challenge)["access_token"] | {"xms_cc": {"values": ["CP1"]}}
    assert json.loads(_parameters(fake_broker, method)["decodedClaims"]) == {"access_token": wanted}


async def test_a_client_of_the_sdk_without_continuous_access_evaluation_is_not_challenged(
    fake_broker: RunningFake, tmp_path: Path
) -> None:
    authority, resource = trustme.CA(), _Resource(fake_broker)
    authority_file = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(authority_file)
    async with BrokerCredential(login_hint=ADA) as credential, _running(resource, authority) as url:
        policy = AsyncBearerTokenCredentialPolicy[HttpRequest, AsyncHttpResponse](credential, SCOPE)
        client = AsyncPipelineClient[HttpRequest, AsyncHttpResponse](
            url, policies=[policy], transport=AioHttpTransport(connection_verify=authority_file)
        )
        async with client:
            await client.send_request(HttpRequest("GET", url))
            fake_broker.revoke(ADA)
            response = await client.send_request(HttpRequest("GET", url))
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="", error="invalid_token"'
    assert resource.statuses == [200, 401]


async def test_tokens_for_continuous_access_evaluation_at_once_share_a_call(fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=ADA) as credential:
        tokens = await asyncio.gather(*(credential.get_token(SCOPE, enable_cae=True) for _ in range(20)))
        claims = fake_broker.broker.verify_access_token(tokens[0].token)
    assert (len({token.token for token in tokens}), claims["xms_cc"]) == (1, ["CP1"])
    assert len(fake_broker.calls_of(SILENT)) == 1


async def test_credential_and_client_share_a_connection_and_an_account(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as broker, BrokerCredential(client_id=CLIENT_ID, login_hint=ADA) as credential:
        ours = await broker.acquire_token_silent([SCOPE], await broker.get_account(ADA))
        assert (await credential.get_token(SCOPE)).token == ours.access_token
    assert len({call.sender for call in fake_broker.calls}) == 1
