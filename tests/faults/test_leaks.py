"""What 10,000 clients leave behind: descriptors, tasks, match rules and pending replies are counted.

The descriptors by the kernel's list, the match rules and connections by the bus's own count. A warning is an error,
and ``conftest.py`` looks for what asyncio says, and for the root logger.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable
from itertools import cycle, islice, repeat

import pytest

from linuxbroker import BrokerClient, BrokerTimeoutError, Presence, Timeouts
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, GRAPH
from tests.faults.brokers import Observer, observer
from tests.faults.conftest import descriptors
from tests.faults.operations import ADA

MANY, FEW = 10_000, 100
Visit = Callable[[RunningFake], Awaitable[None]]


async def _call(_fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version()


async def _watch(_fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        await watch.aclose()


async def _abandoned_watch(_fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        async for presence in client.watch():
            assert presence is Presence.ONLINE
            break


async def _cancelled(fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        call = asyncio.ensure_future(client.get_accounts())
        await fake.called("getAccounts")
        fake.clear_calls()
        call.cancel()
        await asyncio.wait({call})


async def _timed_out(_fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(call=0.001)) as client:
        with pytest.raises(BrokerTimeoutError):
            await client.acquire_prt_sso_cookie(ADA)


async def _cancelled_sign_in(_fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        assert await client.get_linux_broker_version()
        sign_in.cancel()
        await asyncio.wait({sign_in})


async def _dropped(_fake: RunningFake) -> None:
    assert await BrokerClient(CLIENT_ID).get_linux_broker_version()


async def _looked_at(_fake: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, trust="warn") as client:
        assert await client.get_linux_broker_version()


VISITS: dict[str, Visit] = {
    "call": _call,
    "watch": _watch,
    "abandoned watch": _abandoned_watch,
    "cancelled call": _cancelled,
    "timed-out call": _timed_out,
    "cancelled sign-in": _cancelled_sign_in,
    "dropped client": _dropped,
    "owner looked at": _looked_at,
}


async def _held(watching: Observer, unique_name: str) -> dict[str, int]:
    """What is held for a connection, here and by the bus."""
    return {
        "descriptors": len(descriptors()),
        "tasks": len(asyncio.all_tasks()),
        "connections": await watching.connections(),
        "match rules": await watching.match_rules(unique_name),
    }


async def _until(watching: Observer, connections: int) -> None:
    """Ask the bus until it has seen the last connection close."""
    while await watching.connections() > connections:
        pass


async def _nothing_stays_behind(fake: RunningFake, visits: Iterable[Visit], shared: bool) -> None:
    """Have clients come and go, beside one that stays and so shares its connection with them, or each alone."""
    fake.plant("slow", method="getAccounts", delay=0.001)
    fake.plant("hang", method="acquirePrtSsoCookie")
    fake.set_user("never")
    async with observer(fake.address) as watching, BrokerClient(CLIENT_ID) as staying:
        connections = await watching.connections() + int(shared)
        assert await staying.get_linux_broker_version()
        connection = await staying._transport.bus().connection(staying._transport, limit=5)
        if not shared:
            await staying.aclose()
        name = connection.unique_name if shared else watching.unique_name
        await _until(watching, connections)
        before = await _held(watching, name)
        for visit in visits:
            await visit(fake)
        gc.collect()
        await _until(watching, connections)
        assert await _held(watching, name) == before
        if shared:
            assert (len(connection._pending), connection._queued_calls) == (0, {})
            assert connection.is_open
        assert await staying.get_accounts()


@pytest.mark.parametrize("shared", [True, False], ids=["shared connection", "own connection"])
@pytest.mark.parametrize("visit", VISITS.values(), ids=VISITS)
async def test_clients_that_come_and_go_leave_nothing(fake_broker: RunningFake, visit: Visit, shared: bool) -> None:
    await _nothing_stays_behind(fake_broker, repeat(visit, FEW), shared)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False], ids=["shared connection", "own connection"])
async def test_ten_thousand_clients_leave_nothing(fake_broker: RunningFake, shared: bool) -> None:
    await _nothing_stays_behind(fake_broker, islice(cycle(VISITS.values()), MANY), shared)
