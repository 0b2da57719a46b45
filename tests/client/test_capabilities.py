"""Client capabilities: declared with every token, merged with a challenge's claims, and equal calls still shared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msal
import pytest

from linuxbroker import BrokerClient, PopAuthScheme, TokenResult
from linuxbroker_fake import PersonaName, RevokedTokenError, RunningFake
from tests.constants import CLIENT_ID, GRAPH

ADA, PASSWORD = "ada@contoso.example", "not-a-real-password-ada"
CHALLENGE = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"},"xms_cc":{"values":["x"]}},"id_token":{}}'
CP1 = {"access_token": {"xms_cc": {"values": ["CP1"]}}}

Way = Callable[..., Awaitable[TokenResult]]


async def _silent(client: BrokerClient, **options: Any) -> TokenResult:
    return await client.acquire_token_silent(GRAPH, await client.get_account(ADA), **options)


WAYS: dict[str, Way] = {
    "silent": _silent,
    "silent, without an account": lambda client, **options: client.acquire_token_silent(GRAPH, **options),
    "sign-in": lambda client, **options: client.sign_in_silent(GRAPH, login_hint=ADA, **options),
    "interactive": lambda client, **options: client.acquire_token_interactive(GRAPH, **options),
    "password": lambda client, **options: client.acquire_token_by_username_password(ADA, PASSWORD, GRAPH, **options),
}


def _claims(fake: RunningFake) -> list[str]:
    """The claims of every token request so far."""
    calls = [call.request.get("authParameters", {}) for call in fake.calls]
    return [parameters["decodedClaims"] for parameters in calls if "requestedScopes" in parameters]


def _msals(challenge: str | None) -> object:
    application = msal.application
    merge = vars(application)["_merge_claims_challenge_and_capabilities"]
    return json.loads(merge(["CP1"], challenge))


@pytest.mark.parametrize("challenge", [None, CHALLENGE, "{}"], ids=["no challenge", "a challenge", "an empty one"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_every_token_is_asked_for_with_them_as_msal_writes_them(
    fake_broker: RunningFake, way: Way, challenge: str | None
) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        token = await way(client, claims_challenge=challenge)
    assert [json.loads(claims) for claims in _claims(fake_broker)] == [_msals(challenge)]
    assert fake_broker.broker.verify_access_token(token.access_token)["xms_cc"] == ["CP1"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_without_them_nothing_is_declared(fake_broker: RunningFake, way: Way) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=[]) as client:
        await way(client)
        await way(client, claims_challenge=CHALLENGE)
    assert _claims(fake_broker) == ["", CHALLENGE]


async def test_a_token_with_them_can_be_asked_for_by_a_client_without_and_the_reverse(fake_broker: RunningFake) -> None:
    for own, asked in (([], ["CP1"]), (["CP1"], [])):
        async with BrokerClient(CLIENT_ID, client_capabilities=own) as client:
            await client.acquire_token_silent(GRAPH, client_capabilities=asked)
            await client.acquire_token_interactive(GRAPH, client_capabilities=asked)
    assert [json.loads(claims or "{}") for claims in _claims(fake_broker)] == [CP1, CP1, {}, {}]


async def test_a_proof_of_possession_carries_them_too(fake_broker: RunningFake) -> None:
    scheme = PopAuthScheme("GET", "https://graph.microsoft.com/v1.0/me")
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        token = await client.acquire_token_silent(GRAPH, auth_scheme=scheme)
    signed = fake_broker.broker.entra.verify_signed_http_request(token.access_token)
    assert fake_broker.broker.verify_access_token(signed["at"])["xms_cc"] == ["CP1"]


# Sharing


async def test_equal_requests_at_once_share_a_call(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        account = await client.get_account(ADA)
        tokens = await asyncio.gather(*(client.acquire_token_silent(GRAPH, account) for _ in range(100)))
    assert len(_claims(fake_broker)) == 1
    assert len({token.access_token for token in tokens}) == 1


async def test_requests_that_declare_something_else_do_not_share(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        account = await client.get_account(ADA)
        declared = (None, (), ["CP1"], ["CP1", "other"])
        requests = [client.acquire_token_silent(GRAPH, account, client_capabilities=each) for each in declared * 3]
        await asyncio.gather(*requests)
    sent = sorted(_claims(fake_broker), key=len)
    assert [json.loads(claims or "{}") for claims in sent] == [
        {},
        CP1,
        {"access_token": {"xms_cc": {"values": ["CP1", "other"]}}},
    ]


@pytest.mark.parametrize("challenge", [CHALLENGE, "{}"])
async def test_a_challenge_shares_with_nobody_with_them_too(fake_broker: RunningFake, challenge: str) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        account = await client.get_account(ADA)
        requests = [client.acquire_token_silent(GRAPH, account, claims_challenge=challenge) for _ in range(3)]
        await asyncio.gather(*requests)
    assert len(_claims(fake_broker)) == 3


# What they are for


async def _refusal(fake: RunningFake, token: TokenResult) -> RevokedTokenError:
    """What a resource answers to a token that was revoked."""
    with pytest.raises(RevokedTokenError) as refused:
        fake.broker.verify_access_token(token.access_token)
    return refused.value


async def test_a_client_with_cp1_is_challenged_and_its_answer_is_taken(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        token = await client.acquire_token_silent(GRAPH)
        challenge = fake_broker.revoke(ADA)
        refusal = await _refusal(fake_broker, token)
        assert refusal.challenge == challenge
        renewed = await client.acquire_token_silent(
            GRAPH, claims_challenge=refusal.challenge, access_token_to_renew=token.access_token
        )
    assert fake_broker.broker.verify_access_token(renewed.access_token)["xms_cc"] == ["CP1"]


async def test_a_client_without_cp1_is_refused_and_no_more(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH)
        fake_broker.revoke(ADA)
        assert (await _refusal(fake_broker, token)).challenge is None


@pytest.mark.parametrize(
    "persona",
    [pytest.param(each, marks=pytest.mark.fake_broker(persona=each.value)) for each in PersonaName],
    ids=[each.value for each in PersonaName],
)
async def test_every_broker_gives_a_client_with_them_a_token(fake_broker: RunningFake, persona: PersonaName) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        token = await client.acquire_token_silent(GRAPH, await client.get_account(ADA))
    assert fake_broker.broker.verify_access_token(token.access_token)["upn"] == ADA
