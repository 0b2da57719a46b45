"""Revoked tokens: claims challenges for clients that declare ``cp1``, plain errors for others."""

from __future__ import annotations

import base64
import json

import pytest

from linuxbroker import BrokerClient
from linuxbroker_fake import RevokedTokenError, RunningFake
from tests.constants import ADA, CLIENT_ID, GRAPH


def _declares(*capabilities: str) -> str:
    return json.dumps({"access_token": {"xms_cc": {"values": capabilities}}})


@pytest.mark.parametrize("capability", ["cp1", "CP1"])
async def test_a_revoked_token_with_cp1_is_answered_with_a_claims_challenge(
    fake_broker: RunningFake, capability: str
) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH, claims_challenge=_declares(capability))
        assert fake_broker.broker.verify_access_token(token.access_token)["xms_cc"] == [capability]
        challenge = fake_broker.revoke(ADA)
        with pytest.raises(RevokedTokenError) as revoked:
            fake_broker.broker.verify_access_token(token.access_token)
        assert revoked.value.challenge == challenge
        encoded = base64.b64encode(challenge.encode()).decode()
        assert revoked.value.www_authenticate == f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'
        new = await client.acquire_token_silent(GRAPH, claims_challenge=challenge)
        assert fake_broker.broker.verify_access_token(new.access_token)["upn"] == ADA


@pytest.mark.parametrize("claims", [None, _declares("cp2"), '{"access_token": {"acrs": {"value": "c1"}}}'])
async def test_a_revoked_token_without_cp1_is_answered_without_a_challenge(
    fake_broker: RunningFake, claims: str | None
) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH, claims_challenge=claims)
    fake_broker.revoke(ADA)
    with pytest.raises(ValueError, match="revoked") as revoked:
        fake_broker.broker.verify_access_token(token.access_token)
    assert isinstance(revoked.value, RevokedTokenError)
    assert revoked.value.challenge is None
    assert revoked.value.www_authenticate == 'Bearer realm="", error="invalid_token"'


async def test_client_capabilities_alone_do_not_bypass_the_token_cache(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:

        async def token(claims: str | None) -> str:
            return (await client.acquire_token_silent(GRAPH, claims_challenge=claims)).access_token

        first = await token(_declares("cp1"))
        assert await token(_declares("cp1")) == first, "the broker's own cache serves a request like it"
        assert await token(None) != first, "a token without the capability is another"
        fake_broker.revoke(ADA, sign_in_again=True)
        assert await token(_declares("cp1")) == first
