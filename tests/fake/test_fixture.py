"""The fixture ``fake_broker``: isolation of tests that share a bus."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from linuxbroker import BrokerClient
from linuxbroker.bus import Connection
from linuxbroker_fake import RunningFake
from linuxbroker_fake.conformance.wire import Wire
from linuxbroker_fake.running_bus import RunningBus, SessionBus
from tests.constants import CLIENT_ID

# Each test changes all that a test can change, and first looks whether another has.
_SUITE = """
import os
import pytest
from linuxbroker import BrokerClient

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
GRAPH = ["https://graph.microsoft.com/.default"]
ADA = "ada@contoso.example"
buses = []

def is_as_at_start(fake):
    broker = fake.broker
    assert fake.calls == () and not broker.faults._entries
    assert broker.screen.user == broker.config.user and broker.screen.answer("approve") == 0
    assert broker.sessions.revoked_before(ADA) == 0
    assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == fake.address
    buses.append(fake.address)

async def make_a_mess(fake):
    fake.plant("status", status=3, method="getLinuxBrokerVersionInfo")
    fake.set_user("never")
    fake.revoke(ADA)
    async with BrokerClient(CLIENT_ID) as client:
        account = await client.get_account(ADA)
        await client.acquire_token_silent(GRAPH, account)
        await client.remove_account(account)

@pytest.mark.parametrize("n", range(4))
async def test_the_initial_state_is_restored(fake_broker, n):
    is_as_at_start(fake_broker)
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version() == "3.0.2"
        assert len(await client.get_accounts()) == 3
    await make_a_mess(fake_broker)

@pytest.mark.fake_broker(persona="himmelblau", signed_in=(ADA,))
async def test_the_marker_sets_the_persona(fake_broker):
    is_as_at_start(fake_broker)
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version() == "3.1.12"
        assert [account.username for account in await client.get_accounts()] == [ADA]

@pytest.mark.parametrize("end", ["stop_broker", "stop_bus", "restart_broker"])
async def test_the_broker_runs_although_an_earlier_test_stopped_it(fake_broker, end):
    is_as_at_start(fake_broker)
    async with BrokerClient(CLIENT_ID) as client:
        assert len(await client.get_accounts()) == 3
    getattr(fake_broker, end)()

async def test_the_broker_runs_after_the_last_stop(fake_broker):
    is_as_at_start(fake_broker)
    async with BrokerClient(CLIENT_ID) as client:
        assert len(await client.get_accounts()) == 3

@pytest.mark.fake_broker(isolated=True)
def test_an_isolated_test_has_a_separate_bus(fake_broker):
    is_as_at_start(fake_broker)
    assert buses.count(fake_broker.address) == 1

def test_a_new_bus_is_started_only_after_a_stop_and_for_isolation(fake_broker):
    is_as_at_start(fake_broker)
    assert len(buses) == 11 and len(set(buses)) == 3
"""


@pytest.fixture
def session() -> Iterator[SessionBus]:
    bus = SessionBus()
    yield bus
    bus.end()


def test_each_test_starts_in_the_initial_state(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(_SUITE, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-W", "error"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "11 passed" in ended.stdout, ended.stdout + ended.stderr


def test_tests_share_the_bus_and_its_keys(session: SessionBus) -> None:
    tokens = []
    for _ in range(2):
        with RunningFake(on=session.clean()) as fake:
            keys = fake.broker.entra.jwks()
            tokens.append((fake.address, fake.broker.entra.pop_key_thumbprint(), keys))
            asyncio.run(_list_accounts(fake.address))
    assert tokens[0] == tokens[1]


async def _list_accounts(address: str) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=address) as client:
        assert await client.get_accounts()


async def _connection(bus: RunningBus, stack: AsyncExitStack) -> None:
    stack.callback((await Connection.open(bus.bus.address)).close)


async def _name_and_match(bus: RunningBus, stack: AsyncExitStack) -> None:
    connection = await Connection.open(bus.bus.address)
    stack.callback(connection.close)
    await connection.call_bus("RequestName", "su", "com.microsoft.identity.broker1", 0)
    await connection.call_bus("AddMatch", "s", "type='signal'")


async def _monitor(bus: RunningBus, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(Wire(bus.bus.address))


async def _activation_file(bus: RunningBus, stack: AsyncExitStack) -> None:
    (bus.bus.services / "org.example.A.service").write_text("[D-BUS Service]\nName=org.example.A\nExec=/bin/false\n")


async def _killed(bus: RunningBus, stack: AsyncExitStack) -> None:
    assert bus.bus.process_id is not None
    os.kill(bus.bus.process_id, signal.SIGKILL)


async def _stopped_and_started(bus: RunningBus, stack: AsyncExitStack) -> None:
    await asyncio.to_thread(bus.run, bus.bus.stop())
    await asyncio.to_thread(bus.run, bus.bus.start())


async def _loop_stopped(bus: RunningBus, stack: AsyncExitStack) -> None:
    bus.loop.call_soon_threadsafe(bus.loop.stop)
    await asyncio.to_thread(bus._thread.join)


@pytest.mark.parametrize(
    "leave",
    [_connection, _name_and_match, _monitor, _activation_file, _killed, _stopped_and_started, _loop_stopped],
)
async def test_a_changed_bus_is_stopped_and_replaced(
    session: SessionBus, leave: Callable[[RunningBus, AsyncExitStack], Awaitable[None]]
) -> None:
    first = await asyncio.to_thread(session.clean)
    process, folder = first.bus.process_id, first.bus.services.parent
    assert await asyncio.to_thread(session.clean) is first
    async with AsyncExitStack() as stack:
        await leave(first, stack)
        second = await asyncio.to_thread(session.clean)
    assert second is not first
    assert second.bus.address != first.bus.address
    assert process is not None
    assert not folder.exists()
    with RunningFake(on=second) as fake:
        await _list_accounts(fake.address)


def test_a_pending_task_is_canceled_at_the_end_of_its_test(session: SessionBus) -> None:
    bus = session.clean()
    with RunningFake(on=bus) as fake:
        waiting = asyncio.run_coroutine_threadsafe(fake.broker.journal.wait_for("never called"), bus.loop)
    assert waiting.cancelled()
    assert session.clean() is bus


def test_a_forked_process_does_not_stop_the_bus(session: SessionBus) -> None:
    bus = session.clean()
    child = os.fork()
    if child == 0:
        code = 1 if session.is_here else 0
        session.end()
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert session.clean() is bus
