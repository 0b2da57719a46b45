"""Requests of the client compared with those of Microsoft's runtime, key by key, in each recorded scenario.

Left out of the comparison: ids, times, the onboarding blob, our own SKU and version, and how often the runtime repeats
a call.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from linuxbroker import Account, BrokerClient, PopAuthScheme
from linuxbroker_fake import RunningFake
from tests.constants import GRAPH

CLIENT_ID = "11111111-2222-4333-8444-555555555555"  # of the recorded requests
# The recordings were made with one user signed in.
pytestmark = pytest.mark.fake_broker(signed_in=("ada@contoso.example",))

PASSWORD = "not-a-real-password"
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "recordings" / "msalruntime.jsonl").read_text(encoding="utf-8").splitlines()
]

Operation = Callable[[BrokerClient, Account, RunningFake], Awaitable[object]]


async def _discover(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    return await client.get_accounts()


async def _sign_in_silently(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    return await client.acquire_token_silent(GRAPH)


async def _claims(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    scopes = ["https://graph.microsoft.com/User.Read"]
    return await client.acquire_token_silent(scopes, account, claims_challenge=CLAIMS)


async def _pop(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    scheme = PopAuthScheme("POST", "https://graph.microsoft.com/v1.0/me", nonce="nonce-from-server")
    return await client.acquire_token_silent(GRAPH, account, auth_scheme=scheme)


async def _interactive_with_account(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    return await client.acquire_token_interactive(GRAPH, account=account, parent_window_handle=1)


async def _interactive(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    return await client.acquire_token_interactive(GRAPH, parent_window_handle=1)


async def _password(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    fake.plant("wrong_password", method="acquireTokenSilently", times=1)
    authority = "https://login.microsoftonline.com/organizations"
    attempt = client.acquire_token_by_username_password(account.username, PASSWORD, GRAPH, authority=authority)
    return await asyncio.gather(attempt, return_exceptions=True)


async def _cancelled(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    fake.set_user("never")
    sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH, parent_window_handle=1))
    await fake.called("acquireTokenInteractively")
    sign_in.cancel()
    return await asyncio.gather(sign_in, return_exceptions=True)


async def _ssh_certificate(client: BrokerClient, account: Account, fake: RunningFake) -> object:
    await client.get_linux_broker_version()
    query = {"token_type": "ssh-cert", "key_id": "k", "req_cnf": '{"kid": "k"}'}
    return await client.acquire_token_silent(GRAPH, account, extra_query_parameters=query)


SCENARIOS: dict[str, Operation] = {
    "aaaaaaaa-0000-4000-8000-000000000001": _discover,
    "aaaaaaaa-0000-4000-8000-000000000002": _sign_in_silently,
    "aaaaaaaa-0000-4000-8000-000000000004": _claims,
    "aaaaaaaa-0000-4000-8000-000000000005": _pop,
    "aaaaaaaa-0000-4000-8000-000000000007": _interactive_with_account,
    "aaaaaaaa-0000-4000-8000-000000000008": _interactive,
    "aaaaaaaa-0000-4000-8000-000000000009": _password,
    "aaaaaaaa-0000-4000-8000-0000000000c0": _cancelled,
    "aaaaaaaa-0000-4000-8000-00000000000b": _ssh_certificate,
}


def _comparable(request: Any) -> Any:
    """A request without what may differ; the client info decoded, as base64 hides the order and spaces of its JSON.

    A password, where there is one, is that of the journal, which keeps none.
    """
    if isinstance(request, list):
        return [_comparable(item) for item in request]
    if not isinstance(request, dict):
        return request
    kept = {
        key: _comparable(value) for key, value in request.items() if key not in ("onboardingBlob", "x-client-xtra-sku")
    }
    if kept.get("password"):
        kept["password"] = "(hidden)"
    if "msalCppVersion" in kept:
        kept["msalCppVersion"] = "any"
    if "clientInfo" in kept:
        encoded = kept["clientInfo"]
        kept["clientInfo"] = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return kept


def _recorded(correlation_id: str) -> list[tuple[str, Any]]:
    """The calls of a scenario; a repetition once, and behind the cancelled sign-in the call that cancelled it."""
    calls: list[tuple[str, Any]] = []
    for line in RECORDED:
        cancels = line["member"] == "cancelInteractiveFlow" and correlation_id.endswith("c0")
        if line.get("correlationId") == correlation_id or cancels:
            call = (line["member"], _comparable(line["request"]))
            if call not in calls:
                calls.append(call)
    return calls


def test_every_recorded_scenario_is_compared() -> None:
    recorded = {
        line["correlationId"] for line in RECORDED if "request" in line and line["member"] != "cancelInteractiveFlow"
    }
    assert recorded == SCENARIOS.keys()


@pytest.mark.parametrize("correlation_id", SCENARIOS)
async def test_the_client_asks_as_the_runtime_does(fake_broker: RunningFake, correlation_id: str) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = (await client.get_accounts())[0]
        fake_broker.clear_calls()
        await SCENARIOS[correlation_id](client, account, fake_broker)
    asked = [(call.member, _comparable(call.request)) for call in fake_broker.calls]
    assert asked == _recorded(correlation_id)


async def test_the_calls_of_one_operation_share_a_correlation_id(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_silent(GRAPH, correlation_id="AAAAAAAA-0000-4000-8000-000000000002")
    assert {call.correlation_id for call in fake_broker.calls} == {"aaaaaaaa-0000-4000-8000-000000000002"}
    assert {(call.signature, call.protocol_version) for call in fake_broker.calls} == {("sss", "0.0")}


async def test_a_cancellation_has_a_correlation_id_of_its_own(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = (await client.get_accounts())[0]
        await _cancelled(client, account, fake_broker)
    (sign_in,) = fake_broker.calls_of("acquireTokenInteractively")
    (cancellation,) = fake_broker.calls_of("cancelInteractiveFlow")
    assert cancellation.correlation_id != sign_in.correlation_id


async def test_availability_is_asked_as_the_runtime_does(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.is_available()
    (ping,) = fake_broker.calls
    recorded = RECORDED[0]
    assert (ping.path, ping.interface, ping.member, ping.signature) == tuple(
        recorded[key] for key in ("path", "interface", "member", "signature")
    )
