"""Tokens, sign-outs and clear errors with each persona of the fake broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerDisconnectedError,
    BrokerResponseError,
    InteractionRequiredError,
    NoAccountError,
    NoDisplayError,
    PopAuthScheme,
    PublicClientApplication,
    UnsupportedOperationError,
)
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from tests.constants import ADA, CLIENT_ID, SCOPES

POP = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")
HIMMELBLAU = (PersonaName.HIMMELBLAU_3_1, PersonaName.HIMMELBLAU_4_0)


@pytest.fixture(params=list(PersonaName), ids=str)
def persona(request: pytest.FixtureRequest) -> PersonaName:
    return PersonaName(str(request.param.value))


@pytest.fixture
def fake(persona: PersonaName) -> Iterator[RunningFake]:
    with RunningFake(FakeConfig(persona=persona, signed_in=(ADA,))) as running:
        yield running


@pytest.fixture
async def client(fake: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID, bus_address=fake.address) as client:
        yield client


async def test_a_token_is_got_silently_and_by_asking_where_nobody_is_named(client: BrokerClient) -> None:
    for token in (await client.acquire_token_silent(SCOPES), await client.acquire_token_interactive(SCOPES)):
        assert token.account is not None
        assert token.account.username == ADA


async def test_a_sign_out_is_told_as_one_only_where_it_was(
    persona: PersonaName, client: BrokerClient, fake: RunningFake
) -> None:
    (account, *_) = await client.get_accounts()
    if persona in HIMMELBLAU:
        with pytest.raises(UnsupportedOperationError, match="Nobody was signed out"):
            await client.remove_account(account)
    else:
        await client.remove_account(account)
    left = [account.realm for account in await client.get_accounts()]
    assert (account.realm in left) == (persona in HIMMELBLAU)


async def test_a_sign_out_for_which_no_account_is_listed_is_none(fake: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, bus_address=fake.address) as application:
        (account, *_) = await application.get_accounts()
        fake.plant("raw_reply", method="getAccounts", reply="")
        with pytest.raises(NoAccountError):
            await application.remove_account(account)


async def test_an_msal_application_does_not_take_a_refused_sign_out_for_one(
    persona: PersonaName, fake: RunningFake
) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, bus_address=fake.address) as application:
        (account, *_) = await application.get_accounts()
        if persona in HIMMELBLAU:
            with pytest.raises(UnsupportedOperationError, match="Nobody was signed out"):
                await application.remove_account(account)
            assert await application.get_accounts()
        else:
            await application.remove_account(account)
            assert not await application.get_accounts()


async def test_a_proof_of_possession_is_one_or_an_error(persona: PersonaName, client: BrokerClient) -> None:
    (account, *_) = await client.get_accounts()
    for asking in (
        client.acquire_token_silent(SCOPES, account, auth_scheme=POP),
        client.acquire_token_interactive(SCOPES, account=account, auth_scheme=POP),
    ):
        if persona in HIMMELBLAU:
            with pytest.raises(UnsupportedOperationError, match="bearer token instead of"):
                await asking
        else:
            assert (await asking).token_type == "pop"


async def test_a_token_of_another_tenant_than_was_asked_for_is_none(
    persona: PersonaName, client: BrokerClient, fake: RunningFake
) -> None:
    (account, *_) = await client.get_accounts()
    other = next(tenant.id for tenant in fake.directory.tenants if tenant.id != account.realm)
    asking = client.acquire_token_silent(SCOPES, account, authority=f"https://login.microsoftonline.com/{other}")
    if persona in HIMMELBLAU:  # they give the home tenant's, whatever was asked for
        with pytest.raises(BrokerResponseError, match=f"a token of tenant {account.realm}"):
            await asking
    else:
        assert (await asking).id_token_claims["tid"] == other


async def test_what_a_silent_call_is_refused_an_interactive_one_may_give(
    persona: PersonaName, client: BrokerClient, fake: RunningFake
) -> None:
    (account, *_) = await client.get_accounts()
    fake.plant("silent_refused")
    with pytest.raises(InteractionRequiredError) as caught:
        await client.acquire_token_silent(SCOPES, account)
    if persona in (PersonaName.MICROSOFT_2_5_2, PersonaName.MICROSOFT_3_0_2):
        assert (caught.value.oauth_error, caught.value.sub_error) == ("interaction_required", "token_expired")
    assert (await client.acquire_token_interactive(SCOPES, account=account)).access_token


async def test_where_nobody_has_an_account_that_is_what_is_said(persona: PersonaName) -> None:
    with RunningFake(FakeConfig(persona=persona, signed_in=())) as fake:
        async with BrokerClient(CLIENT_ID, bus_address=fake.address) as client:
            with pytest.raises(NoAccountError if persona in HIMMELBLAU else InteractionRequiredError):
                await client.acquire_token_silent(SCOPES)


async def test_a_broker_without_a_display_says_so_or_ends(
    persona: PersonaName, client: BrokerClient, fake: RunningFake
) -> None:
    (account, *_) = await client.get_accounts()
    fake.plant("no_display")
    asking = client.acquire_token_interactive(SCOPES, account=account)
    if persona is PersonaName.HIMMELBLAU_3_1:  # it asks nobody
        assert (await asking).access_token
    elif persona is PersonaName.HIMMELBLAU_4_0:
        with pytest.raises(NoDisplayError, match="graphical session"):
            await asking
    else:
        with pytest.raises(BrokerDisconnectedError, match="without a display"):
            await asking
