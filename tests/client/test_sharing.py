"""Equal silent requests that are in flight at once share one call of the broker; other requests do not."""

from __future__ import annotations

import asyncio
import json
import traceback
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linuxbroker import (
    Account,
    BrokerClient,
    BrokerDisconnectedError,
    InteractionRequiredError,
    PopAuthScheme,
    TokenResult,
)
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, GRAPH

ME = PopAuthScheme("GET", "https://graph.microsoft.com/v1.0/me", nonce="nonce-from-server")
CHALLENGE = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
CONTOSO = "https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000f1"
FABRIKAM = "https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000f2"


@pytest.fixture
async def client(fake_broker: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID) as made:
        yield made


@pytest.fixture
async def accounts(client: BrokerClient, fake_broker: RunningFake) -> list[Account]:
    listed = await client.get_accounts()
    fake_broker.clear_calls()
    return listed


def _pending_calls(client: BrokerClient) -> int:
    connection = client._transport.bus()._connection
    assert connection is not None
    return len(connection._pending)


async def test_a_thousand_equal_requests_at_once_are_one_call(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    tokens = await asyncio.gather(*(client.acquire_token_silent(GRAPH, accounts[0]) for _ in range(1000)))
    assert [call.member for call in fake_broker.calls] == ["acquireTokenSilently"]
    assert {token.access_token for token in tokens} == {tokens[0].access_token}
    assert {token.correlation_id for token in tokens} == {fake_broker.calls[0].correlation_id}


async def test_a_thousand_equal_requests_without_an_account_are_two_calls(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    tokens = await asyncio.gather(*(client.acquire_token_silent(GRAPH) for _ in range(1000)))
    assert [call.member for call in fake_broker.calls] == ["getAccounts", "acquireTokenSilently"]
    assert len({token.access_token for token in tokens}) == 1


async def test_a_request_after_the_call_has_ended_is_a_call_of_its_own(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    for _ in range(3):
        await client.acquire_token_silent(GRAPH, accounts[0])
    assert len(fake_broker.calls) == 3
    assert client._shared_tokens._calls_by_loop == {}


@pytest.mark.parametrize(
    "options",
    [
        {"claims_challenge": CHALLENGE},
        {"access_token_to_renew": "the-token-that-was-refused"},
        {"auth_scheme": ME},
        {"correlation_id": uuid.UUID(int=4711)},
        {"extra_query_parameters": {"token_type": "ssh-cert", "key_id": "key", "req_cnf": '{"kid":"key"}'}},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_these_share_with_nobody_not_even_their_equals(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake, options: dict[str, Any]
) -> None:
    requests = [client.acquire_token_silent(GRAPH, accounts[0], **options) for _ in range(3)]
    await asyncio.gather(client.acquire_token_silent(GRAPH, accounts[0]), *requests, return_exceptions=True)
    assert len(fake_broker.calls_of("acquireTokenSilently")) == 4


async def test_what_is_asked_for_tells_requests_apart(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    ada, other = accounts[0], next(account for account in accounts if account.username != accounts[0].username)
    requests: list[tuple[list[str], Account, dict[str, Any]]] = [
        (GRAPH, ada, {}),
        (GRAPH, other, {}),
        (GRAPH, ada.in_environment("login.windows.net"), {}),
        (GRAPH, ada, {"authority": FABRIKAM}),
        (["https://graph.microsoft.com/User.Read"], ada, {}),
        (GRAPH, ada, {"extra_query_parameters": {"max_age": "0"}}),
    ]
    await asyncio.gather(
        *(client.acquire_token_silent(scopes, account, **options) for scopes, account, options in requests * 3),
        return_exceptions=True,
    )
    calls = fake_broker.calls_of("acquireTokenSilently")
    assert len({json.dumps(call.request) for call in calls}) == len(calls) == len(requests)


async def test_a_client_of_another_tenant_shares_with_nobody(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    async with BrokerClient(CLIENT_ID, authority=FABRIKAM) as other:
        requests = [asker.acquire_token_silent(GRAPH, accounts[0]) for asker in (client, other)]
        await asyncio.gather(*requests, return_exceptions=True)
    calls = fake_broker.calls_of("acquireTokenSilently")
    assert {call.request["authParameters"]["authority"] for call in calls} == {CONTOSO, FABRIKAM}


async def test_an_error_reaches_everyone_as_an_exception_of_its_own(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    waiting = [client.acquire_token_silent(GRAPH, accounts[0]) for _ in range(100)]
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert len(fake_broker.calls) == 1
    assert len({id(error) for error in errors}) == 100
    for error in errors:
        assert isinstance(error, InteractionRequiredError)
        assert "Code: 'invalid_grant'" in str(error)
        assert error.correlation_id == fake_broker.calls[0].correlation_id
        assert (error.__cause__, error.__context__) == (None, None)
    traces = [tuple(traceback.extract_tb(error.__traceback__)) for error in errors if isinstance(error, BaseException)]
    assert len({len(trace) for trace in traces[1:]}) == 1
    first, second = (error for error in errors[:2] if isinstance(error, InteractionRequiredError))
    first.telemetry["seen"] = True
    assert "seen" not in second.telemetry
    assert str(first) == str(second)


async def test_an_unreachable_broker_is_told_to_everyone(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently")
    waiting = [asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0])) for _ in range(5)]
    (call,) = await fake_broker.called("acquireTokenSilently")
    await client.aclose()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert len({id(error) for error in errors}) == 5
    for error in errors:
        assert isinstance(error, BrokerDisconnectedError)
        assert (error.method, error.correlation_id) == ("acquireTokenSilently", call.correlation_id)


async def test_a_caller_that_is_cancelled_leaves_the_call_to_the_others(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    fake_broker.plant("slow", method="acquireTokenSilently", delay=0.3)
    waiting = [asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0])) for _ in range(4)]
    await fake_broker.called("acquireTokenSilently")
    waiting[1].cancel()
    waiting[2].cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        TokenResult,
        asyncio.CancelledError,
        asyncio.CancelledError,
        TokenResult,
    ]
    assert len(fake_broker.calls) == 1


async def test_when_the_caller_who_made_the_call_is_cancelled_the_others_share_another(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently", times=1)
    waiting = [asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0])) for _ in range(1_000)]
    await fake_broker.called("acquireTokenSilently")
    waiting[0].cancel()
    cancelled, *outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert {type(outcome) for outcome in outcomes} == {TokenResult}
    assert len(fake_broker.calls) == 2
    assert _pending_calls(client) == 0


async def test_the_last_caller_to_be_cancelled_ends_the_call(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently", times=1)
    waiting = [asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0])) for _ in range(3)]
    await fake_broker.called("acquireTokenSilently")
    assert _pending_calls(client) == 1
    for caller in waiting:
        caller.cancel()
    late = asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0]))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    assert isinstance(await late, TokenResult)
    assert len(fake_broker.calls) <= 2
    assert _pending_calls(client) == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_request_that_comes_after_the_last_was_cancelled_is_a_new_call(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently", times=1)
    only = asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0]))
    await fake_broker.called("acquireTokenSilently")
    only.cancel()
    await asyncio.wait({only})
    assert _pending_calls(client) == 0
    assert isinstance(await client.acquire_token_silent(GRAPH, accounts[0]), TokenResult)
    assert len(fake_broker.calls) == 2


async def test_a_cancel_at_once_leaves_nothing(
    client: BrokerClient, accounts: list[Account], fake_broker: RunningFake
) -> None:
    only = asyncio.ensure_future(client.acquire_token_silent(GRAPH, accounts[0]))
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.wait({only})
    assert client._shared_tokens._calls_by_loop == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert _pending_calls(client) == 0


def test_loops_do_not_share(fake_broker: RunningFake) -> None:
    client = BrokerClient(CLIENT_ID)

    async def once() -> str:
        async with client:
            return (await client.acquire_token_silent(GRAPH)).access_token

    for _ in range(2):
        assert asyncio.run(once())
    assert len(fake_broker.calls_of("acquireTokenSilently")) == 2


def test_a_loop_that_was_closed_under_a_call_is_forgotten_by_the_next(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="getAccounts", times=1)
    client = BrokerClient(CLIENT_ID)
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(client.acquire_token_silent(GRAPH))
    loop.run_until_complete(fake_broker.called("getAccounts"))
    abandoned._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()

    async def once() -> int:
        async with client:
            await client.acquire_token_silent(GRAPH)
            return len(client._shared_tokens._calls_by_loop)

    assert asyncio.run(once()) == 0
