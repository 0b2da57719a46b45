"""Sign-ins of the credential where the broker fails, or does not say who signed in."""

from __future__ import annotations

import json

import pytest
from azure.core.exceptions import ClientAuthenticationError

from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import RunningFake
from tests.integrations.test_azure_credential import ADA, INTERACTIVE, SCOPE, _parameters


async def test_authenticate_asks_nobody_where_that_mends_nothing(fake_broker: RunningFake) -> None:
    fake_broker.plant("device_not_registered", method="getAccounts")
    async with BrokerCredential(login_hint=ADA) as credential:
        with pytest.raises(ClientAuthenticationError, match="not registered"):
            await credential.authenticate(scopes=[SCOPE])
    assert fake_broker.calls_of(INTERACTIVE) == []


async def test_authenticate_asks_where_the_broker_wants_the_user_before_it_lists_accounts(
    fake_broker: RunningFake,
) -> None:
    fake_broker.plant("mfa_expired", method="getAccounts")
    async with BrokerCredential(login_hint=ADA) as credential:
        record = await credential.authenticate(scopes=[SCOPE])
    assert record.username == ADA
    assert _parameters(fake_broker, INTERACTIVE)["username"] == ADA


async def test_a_token_that_nobody_owns_signs_nobody_in(fake_broker: RunningFake) -> None:
    token = {"accessToken": "opaque", "accessTokenType": 0, "expiresOn": 1900000000000, "grantedScopes": SCOPE}
    fake_broker.plant("raw_reply", method=INTERACTIVE, reply=json.dumps({"brokerTokenResponse": token}))
    async with BrokerCredential() as credential:
        with pytest.raises(ClientAuthenticationError, match="the broker did not return an account"):
            await credential.authenticate(scopes=[SCOPE])
        assert (await credential.get_token(SCOPE)).token == "opaque"
    assert [call.request["authParameters"].get("prompt") for call in fake_broker.calls_of(INTERACTIVE)] == [
        "select_account",
        "select_account",
    ]
