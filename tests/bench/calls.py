"""The cost of one call: silent tokens through the client, in turn with bare dbus-next calls of the same bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from linuxbroker import Account, BrokerClient
from linuxbroker.bus import Connection, Message, MessageKind
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake import FakeBroker, PrivateBus, serve
from linuxbroker_fake.control import CONTROL_INTERFACE, CONTROL_PATH
from tests.bench.bare import Bare
from tests.bench.figures import (
    GROWTH_WITH_ACCOUNTS,
    GROWTH_WITH_CALLS,
    SHARED,
    SHARED_WITHOUT_ACCOUNT,
    Figure,
    Promise,
    in_milliseconds,
    of_medians,
)
from tests.bench.service import CONTROL_MEMBER

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SCOPES = ["https://graph.microsoft.com/User.Read"]
SILENTLY = "acquireTokenSilently"


async def timed(operation: Callable[[], Awaitable[object]]) -> float:
    """How many seconds an operation takes."""
    start = time.perf_counter()
    await operation()
    return time.perf_counter() - start


async def in_turn(count: int, *operations: Callable[[], Awaitable[object]]) -> Sequence[list[float]]:
    """Time operations in turn, each first as often as the others."""
    times: list[list[float]] = [[] for _ in operations]
    for number in range(count):
        for step in range(len(operations)):
            which = (number + step) % len(operations)
            times[which].append(await timed(operations[which]))
    return times


async def silent_token(address: str, request: str, count: int, promise: Promise) -> Figure:
    """Compare a silent token with a bare call.

    Args:
        address: the bus's.
        request: the text that the client sends for such a token.
        count: how many calls of each side.
        promise: which service answers both.
    """
    async with BrokerClient(CLIENT_ID, bus_address=address) as client, Bare(address) as bare:
        account = (await client.get_accounts())[0]
        operations = (lambda: client.acquire_token_silent(SCOPES, account), lambda: bare.call(SILENTLY, request))
        await in_turn(20, *operations)
        ours, other = await in_turn(count, *operations)
    return Figure(
        promise,
        of_medians(ours, other),
        in_milliseconds(ours),
        in_milliseconds(other),
        f"a bare dbus-next call with the same bytes; median of {count:,}",
    )


async def request_of(address: str, scopes: Sequence[str], **options: str) -> str:
    """The text that the client sends for a silent token, as the minimal service got it."""
    async with BrokerClient(CLIENT_ID, bus_address=address) as client, Bare(address) as bare:
        await client.acquire_token_silent(scopes, (await client.get_accounts())[0], **options)  # type: ignore[arg-type]
        request: str = await bare.call(CONTROL_MEMBER, "")
        return request


async def request_to_fake(address: str) -> str:
    """The same, as the fake broker's journal has it."""
    journal = Message(
        MessageKind.CALL, destination=BROKER_BUS_NAME, path=CONTROL_PATH, interface=CONTROL_INTERFACE, member="Journal"
    )
    connection = await Connection.open(address)
    async with BrokerClient(CLIENT_ID, bus_address=address) as client:
        await client.acquire_token_silent(SCOPES, (await client.get_accounts())[0])
    calls: list[dict[str, Any]] = json.loads((await connection.call(journal, limit=None)).body[0])
    connection.close()
    (request,) = (call["request"] for call in calls if call["member"] == SILENTLY)
    return json.dumps(request, separators=(",", ":"))


async def shared_calls() -> Sequence[Figure]:
    """Count the broker calls of a thousand equal silent requests at once, with an account and without."""
    figures: list[Figure] = []
    broker = FakeBroker()
    async with (
        PrivateBus() as bus,
        serve(broker, bus.address),
        BrokerClient(CLIENT_ID, bus_address=bus.address) as client,
    ):
        account = (await client.get_accounts())[0]
        for promise, chosen in ((SHARED, account), (SHARED_WITHOUT_ACCOUNT, None)):
            broker.journal.clear()
            await asyncio.gather(*(client.acquire_token_silent(SCOPES, chosen) for _ in range(1000)))
            made = len(broker.journal.calls)
            figures.append(Figure(promise, made, str(made), "", "counted by the fake broker"))
    return figures


async def growth_with_calls(address: str, count: int) -> Figure:
    """Compare the last hundred calls of a client with the first hundred of another, made in turn.

    Each client has a connection of its own: clients whose limits differ share none.
    """
    async with (
        BrokerClient(CLIENT_ID, bus_address=address) as old,
        BrokerClient(CLIENT_ID, bus_address=address, max_reply_bytes=1_000_000) as new,
    ):
        account = (await old.get_accounts())[0]
        for _ in range(count - 100):
            await old.acquire_token_silent(SCOPES, account)
        last, first = await in_turn(
            100, lambda: old.acquire_token_silent(SCOPES, account), lambda: new.acquire_token_silent(SCOPES, account)
        )
    return Figure(
        GROWTH_WITH_CALLS,
        of_medians(last, first),
        in_milliseconds(last),
        in_milliseconds(first),
        f"the first hundred of another client, in turn with the last hundred of {count:,}",
    )


async def growth_with_accounts(one: str, many: str, count: int) -> Figure:
    """Compare calls where the broker has 1 account and where it has 1,000.

    Args:
        one, many: the addresses of two buses, with the minimal service on each.
        count: how many calls of each.
    """
    async with BrokerClient(CLIENT_ID, bus_address=one) as few, BrokerClient(CLIENT_ID, bus_address=many) as full:
        accounts: list[Account] = [(await client.get_accounts())[0] for client in (few, full)]
        operations = (
            lambda: full.acquire_token_silent(SCOPES, accounts[1]),
            lambda: few.acquire_token_silent(SCOPES, accounts[0]),
        )
        await in_turn(20, *operations)
        ours, other = await in_turn(count, *operations)
    return Figure(
        GROWTH_WITH_ACCOUNTS,
        of_medians(ours, other),
        in_milliseconds(ours),
        in_milliseconds(other),
        f"1 account; median of {count:,}",
    )
