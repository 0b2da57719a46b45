"""A claims challenge with more values than are searched for: none is shown where the broker quotes it."""

from __future__ import annotations

import json

import pytest

from linuxbroker import BrokerClient, InteractionRequiredError
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID

VALUES = [f"secret-value-{number:06}" for number in range(1500)]
CLAIMS = json.dumps({"access_token": {f"claim{number}": {"value": value} for number, value in enumerate(VALUES)}})


@pytest.mark.parametrize("quoted", [CLAIMS, json.dumps(CLAIMS)[1:-1], VALUES[-1]], ids=["text", "as JSON", "value"])
async def test_what_the_broker_quotes_of_it_is_not_shown(fake_broker: RunningFake, quoted: str) -> None:
    fake_broker.plant("status", method="acquireTokenSilently", status=2, context=f"no {quoted} here")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(InteractionRequiredError) as caught:
            await client.acquire_token_silent(["https://graph.microsoft.com/.default"], claims_challenge=CLAIMS)
    assert caught.value.context == "no (hidden) here"
    assert "secret-value" not in str(caught.value)
