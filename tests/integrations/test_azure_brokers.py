"""The credential with each persona of the fake broker, always for the user who was chosen."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AuthenticationRequiredError, CredentialUnavailableError
from azure.identity.aio import AzureCliCredential, ChainedTokenCredential

from linuxbroker import (
    AccountRequiredError,
    BrokerResponseError,
    MismatchedTokenError,
    NoAccountError,
    NoDisplayError,
)
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake

SCOPE = "https://storage.azure.com/.default"
ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
SILENT, INTERACTIVE = "acquireTokenSilently", "acquireTokenInteractively"
FAILED = "org.freedesktop.DBus.Error.Failed"
HIMMELBLAU = [persona for persona in PersonaName if persona.value.startswith("himmelblau-")]


def _on(*personas: PersonaName) -> pytest.MarkDecorator:
    """Run a test once on each persona."""
    return pytest.mark.parametrize("fake_broker_config", personas, ids=lambda name: str(name.value), indirect=True)


@pytest.fixture
def fake_broker_config(request: pytest.FixtureRequest) -> FakeConfig:
    persona = getattr(request, "param", None)
    return FakeConfig() if persona is None else FakeConfig(persona=persona)


def _upn_of(fake: RunningFake, token: str) -> str:
    return str(fake.broker.verify_access_token(token)["upn"])


def _prompts(fake: RunningFake) -> list[str | None]:
    return [call.request["authParameters"].get("prompt") for call in fake.calls_of(INTERACTIVE)]


@_on(*PersonaName)
async def test_a_credential_without_options_gets_tokens(fake_broker: RunningFake) -> None:
    async with BrokerCredential() as credential:
        tokens = [await credential.get_token(SCOPE) for _ in range(2)]
        record = await credential.authenticate(scopes=[SCOPE])
    assert [_upn_of(fake_broker, token.token) for token in tokens] == [ADA, ADA]
    assert record.username == ADA
    assert fake_broker.calls_of(SILENT), "the second token takes nobody"


@_on(*PersonaName)
@pytest.mark.parametrize(
    "options", [{"login_hint": ADA}, {"use_default_broker_account": True}], ids=lambda each: next(iter(each))
)
async def test_a_chosen_account_gets_a_token_without_asking(fake_broker: RunningFake, options: dict[str, Any]) -> None:
    async with BrokerCredential(**options) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA
    assert not fake_broker.calls_of(INTERACTIVE)


@_on(*HIMMELBLAU)
async def test_a_broker_without_a_picker_is_asked_again_without_it(fake_broker: RunningFake) -> None:
    async with BrokerCredential() as credential:
        await credential.get_token(SCOPE)
    first, *others = _prompts(fake_broker)
    assert first == "select_account"
    assert others
    assert set(others) == {None}


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 2, "context": "no"}, {"kind": "status", "status": 6, "context": "no"}],
    ids=str,
)
async def test_a_sign_in_that_failed_for_another_reason_is_not_repeated(
    fake_broker: RunningFake, fault: dict[str, Any]
) -> None:
    fake_broker.plant(**fault, method=INTERACTIVE)
    async with BrokerCredential() as credential:
        with pytest.raises(ClientAuthenticationError):
            await credential.get_token(SCOPE)
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


async def test_several_users_of_a_broker_that_must_be_told_one_are_named(fake_broker: RunningFake) -> None:
    fake_broker.plant("dbus_error", method=INTERACTIVE, name=FAILED, context="Missing account username in request")
    async with BrokerCredential() as credential:
        with pytest.raises(ClientAuthenticationError, match="login_hint") as caught:
            await credential.get_token(SCOPE)
    assert isinstance(caught.value.__cause__, AccountRequiredError)
    assert ADA in str(caught.value)
    assert GRACE in str(caught.value)


# When the user is asked


@pytest.mark.parametrize("reply", ["", None], ids=["empty reply", "Himmelblau's text"])
async def test_the_user_is_asked_on_a_failure_that_a_sign_in_mends(fake_broker: RunningFake, reply: str | None) -> None:
    if reply is None:
        fake_broker.plant("status", method=SILENT, status=0, context="Failed to authenticate user")
    else:
        fake_broker.plant("raw_reply", method=SILENT, reply=reply)
    async with BrokerCredential(login_hint=ADA) as credential:
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "dbus_error", "name": FAILED, "context": "the disk is full"},
        {"kind": "dbus_error", "name": "com.example.Unheard"},
        {"kind": "status", "status": 0, "context": "Not implemented"},
        {"kind": "status", "status": 3},
    ],
    ids=str,
)
async def test_the_user_is_not_asked_on_a_failure_that_no_sign_in_mends(
    fake_broker: RunningFake, fault: dict[str, Any]
) -> None:
    fake_broker.plant(**fault, method=SILENT)
    async with BrokerCredential(login_hint=ADA) as credential:
        with pytest.raises(ClientAuthenticationError) as caught:
            await credential.get_token(SCOPE)
    assert not isinstance(caught.value, (AuthenticationRequiredError, CredentialUnavailableError))
    assert isinstance(caught.value.__cause__, BrokerResponseError)
    assert not fake_broker.calls_of(INTERACTIVE)


# When a chain moves on


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({"login_hint": ADA}, "getAccounts"),
        ({"use_default_broker_account": True}, "getAccounts"),
        ({"login_hint": ADA}, SILENT),
        ({"use_default_broker_account": True}, SILENT),
        ({"login_hint": ADA}, INTERACTIVE),
        ({}, INTERACTIVE),
    ],
    ids=str,
)
@pytest.mark.parametrize("text", ["Unable to find account", "Unable to load account"])
async def test_a_broker_that_has_no_account_for_this_user_is_none(
    fake_broker: RunningFake, options: dict[str, Any], method: str, text: str
) -> None:
    fake_broker.plant("status", method=method, status=0, context=text)
    if method == INTERACTIVE:
        fake_broker.plant("mfa_expired", method=SILENT)
    async with BrokerCredential(**options) as credential:
        with pytest.raises(CredentialUnavailableError) as caught:
            await credential.get_token(SCOPE)
    assert isinstance(caught.value.__cause__, NoAccountError)
    assert len(fake_broker.calls_of(INTERACTIVE)) == (1 if method == INTERACTIVE else 0)


async def test_a_broker_that_can_not_ask_is_none(fake_broker: RunningFake) -> None:
    text = "No interactive prompt available: no graphical session or pinentry binary found"
    fake_broker.plant("dbus_error", method=INTERACTIVE, name=FAILED, context=text)
    async with BrokerCredential() as credential:
        with pytest.raises(CredentialUnavailableError, match="graphical session") as caught:
            await credential.get_token(SCOPE)
    assert isinstance(caught.value.__cause__, NoDisplayError)


@pytest.mark.parametrize(
    "name",
    [
        "org.freedesktop.systemd1.UnitMasked",
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.LimitsExceeded",
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
    ],
)
async def test_a_bus_that_lets_nothing_through_is_none(fake_broker: RunningFake, name: str) -> None:
    for method in ("getAccounts", SILENT):
        fake_broker.clear_faults()
        fake_broker.plant("dbus_error", method=method, name=name)
        async with BrokerCredential(login_hint=ADA) as credential:
            with pytest.raises(CredentialUnavailableError):
                await credential.get_token(SCOPE)
    assert not fake_broker.calls_of(INTERACTIVE)


async def test_a_chain_moves_on_from_a_broker_without_an_account(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_broker.plant("status", method="getAccounts", status=0, context="Unable to find account")
    monkeypatch.setenv("PATH", "/nonexistent")
    chain = ChainedTokenCredential(BrokerCredential(use_default_broker_account=True), AzureCliCredential())
    async with chain:
        with pytest.raises(ClientAuthenticationError, match="AzureCliCredential"):
            await chain.get_token(SCOPE)
    assert not fake_broker.calls_of(INTERACTIVE)


# Whose token


def _token_of(fake: RunningFake, upn: str) -> str:
    """A reply with another person's token, as a broker gives that looks at the wrong account."""
    entra, (account, *_) = fake.broker.entra, fake.directory.find_accounts_by_upn(upn)
    minted = entra.access_token(account, "04b07795-8ddb-461a-bbee-02f9e1bf7b46", [SCOPE])
    reply = {
        "accessToken": minted.token,
        "accessTokenType": 0,
        "expiresOn": int((time.time() + 3600) * 1000),
        "grantedScopes": [SCOPE],
        "idToken": entra.id_token(account, "04b07795-8ddb-461a-bbee-02f9e1bf7b46"),
    }
    return json.dumps({"brokerTokenResponse": reply})


@pytest.mark.parametrize("method", [SILENT, INTERACTIVE])
async def test_a_credential_never_changes_its_person_silently(fake_broker: RunningFake, method: str) -> None:
    async with BrokerCredential(login_hint=GRACE) as credential:
        before = await credential.get_token(SCOPE)
        fake_broker.plant("raw_reply", method=method, reply=_token_of(fake_broker, ADA))
        if method == INTERACTIVE:
            fake_broker.plant("mfa_expired", method=SILENT)
        with pytest.raises(ClientAuthenticationError) as caught:
            await credential.get_token(SCOPE)
        fake_broker.clear_faults()
        after = await credential.get_token(SCOPE)
    assert isinstance(caught.value.__cause__, MismatchedTokenError)
    assert not isinstance(caught.value, CredentialUnavailableError)
    assert [_upn_of(fake_broker, token.token) for token in (before, after)] == [GRACE, GRACE]


@_on(*HIMMELBLAU)
async def test_a_token_of_another_tenant_is_an_error(fake_broker: RunningFake) -> None:
    credential = BrokerCredential(login_hint=ADA, tenant_id=CONTOSO, additionally_allowed_tenants=["*"])
    async with credential:
        with pytest.raises(ClientAuthenticationError) as caught:
            await credential.get_token(SCOPE, tenant_id=FABRIKAM)
        assert _upn_of(fake_broker, (await credential.get_token(SCOPE)).token) == ADA
    assert isinstance(caught.value.__cause__, MismatchedTokenError)
