"""Every option of a token request reaches the broker, whichever way the token is acquired."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from linuxbroker import BrokerClient, PopAuthScheme, TokenResult
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from tests.constants import CLIENT_ID, GRAPH

ADA, PASSWORD = "ada@contoso.example", "not-a-real-password-ada"
CLAIMS = '{"access_token": {"nbf": {"essential": true, "value": "1700000000"}}}'
CORRELATION = "aaaaaaaa-0000-4000-8000-000000000002"

Way = Callable[..., Awaitable[TokenResult]]


async def _silent(client: BrokerClient, **options: Any) -> TokenResult:
    return await client.acquire_token_silent(GRAPH, await client.get_account(ADA), **options)


async def _interactive(client: BrokerClient, **options: Any) -> TokenResult:
    return await client.acquire_token_interactive(GRAPH, account=await client.get_account(ADA), **options)


INTERACTIVE: dict[str, Way] = {
    "interactive": lambda client, **options: client.acquire_token_interactive(GRAPH, **options),
    "interactive, with an account": _interactive,
    "interactive, with a hint": lambda client, **options: client.acquire_token_interactive(
        GRAPH, login_hint=ADA, **options
    ),
    "interactive, with a choice": lambda client, **options: client.acquire_token_interactive(
        GRAPH, prompt="select_account", **options
    ),
}
RENEWING: dict[str, Way] = {
    "silent": _silent,
    "silent, without an account": lambda client, **options: client.acquire_token_silent(GRAPH, **options),
    **INTERACTIVE,
}
WAYS: dict[str, Way] = {
    **RENEWING,
    "sign-in": lambda client, **options: client.sign_in_silent(GRAPH, login_hint=ADA, **options),
    "sign-in, without a hint": lambda client, **options: client.sign_in_silent(GRAPH, **options),
    "password": lambda client, **options: client.acquire_token_by_username_password(ADA, PASSWORD, GRAPH, **options),
}


async def _asked(fake: RunningFake, way: Way, **options: Any) -> dict[str, Any]:
    """The parameters of the one request for a token that is made."""
    async with BrokerClient(CLIENT_ID) as client:
        await way(client, **options)
    (call,) = fake.calls_of("acquireTokenSilently", "acquireTokenInteractively")
    assert call.correlation_id == options.get("correlation_id", call.correlation_id)
    parameters: dict[str, Any] = call.request["authParameters"]
    return parameters


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_claims_are_sent_as_they_came(fake_broker: RunningFake, way: Way) -> None:
    assert (await _asked(fake_broker, way, claims_challenge=CLAIMS))["decodedClaims"] == CLAIMS


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_query_parameters_authority_and_correlation_id_are_sent(fake_broker: RunningFake, way: Way) -> None:
    authority = "https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000f1"
    options = {"extra_query_parameters": {"dc_x": "1"}, "authority": authority, "correlation_id": CORRELATION}
    parameters = await _asked(fake_broker, way, **options)
    assert parameters["additionalQueryParametersForAuthorization"]["dc_x"] == "1"
    assert parameters["authority"] == authority


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_proof_of_possession_is_sent(fake_broker: RunningFake, way: Way) -> None:
    scheme = PopAuthScheme("GET", "https://graph.microsoft.com/v1.0/me", nonce="a-nonce")
    sent = (await _asked(fake_broker, way, auth_scheme=scheme))["popParams"]
    assert (sent["uriHost"], sent["uriPath"], sent["nonce"]) == ("graph.microsoft.com", "/v1.0/me", "a-nonce")


@pytest.mark.parametrize("way", RENEWING.values(), ids=RENEWING)
async def test_a_token_to_renew_and_capabilities_are_sent(fake_broker: RunningFake, way: Way) -> None:
    options = {"access_token_to_renew": "refused-token", "client_capabilities": ["CP1"]}
    parameters = await _asked(fake_broker, way, **options)
    assert parameters["accessTokenToRenew"] == "refused-token"
    assert json.loads(parameters["decodedClaims"]) == {"access_token": {"xms_cc": {"values": ["CP1"]}}}


@pytest.mark.parametrize("way", INTERACTIVE.values(), ids=INTERACTIVE)
async def test_the_window_and_the_blob_of_a_sign_in_are_sent(fake_broker: RunningFake, way: Way) -> None:
    parameters = await _asked(fake_broker, way, parent_window_handle=77, onboarding_blob='{"a": 1}')
    assert parameters["parentWindow"] == {"handle": 77}
    assert parameters["onboardingBlob"] == '{"a": 1}'


async def test_claims_are_sent_again_where_the_broker_wants_an_account_first() -> None:
    config = FakeConfig(persona=PersonaName.HIMMELBLAU_4_0, signed_in=(ADA,))
    with RunningFake(config) as fake:
        async with BrokerClient(CLIENT_ID, bus_address=fake.address) as client:
            for _ in range(2):
                await client.acquire_token_interactive(GRAPH, claims_challenge=CLAIMS)
        asked = [call.request["authParameters"] for call in fake.calls_of("acquireTokenInteractively")]
    assert [parameters["decodedClaims"] for parameters in asked] == [CLAIMS] * 3
    assert [parameters.get("account") is None for parameters in asked] == [True, False, False]
