"""Brokers that can't start or take their time: the right error or the answer, and calls that work afterwards."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerNotInstalledError,
    BrokerStartError,
    BrokerTimeoutError,
    ServerUnavailableError,
    Timeouts,
)
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake import RunningFake
from linuxbroker_fake.cli import main as fake_command
from tests.constants import CLIENT_ID, GRAPH
from tests.faults.operations import NOT_REPEATABLE, OPERATIONS, REPEATABLE, Operation

FAKE = [sys.executable, "-m", "linuxbroker_fake", "run"]


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningFake]:
    """A bus with no broker on it."""
    with RunningFake(start=False) as running:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", running.address)
        yield running


def install(bus: RunningFake, command: list[str]) -> None:
    """Have the bus start the broker with a command."""
    path = Path(bus.services) / f"{BROKER_BUS_NAME}.service"
    path.write_text(f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={shlex.join(command)}\n")
    bus.reload_services()  # which may not notice a second change within one second


async def test_a_broker_that_is_not_installed_is_found_once_it_is(bus: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        for operation in OPERATIONS.values():
            with pytest.raises(BrokerNotInstalledError, match="microsoft-identity-broker"):
                await operation.call(client)
        assert not await client.is_available()
        install(bus, FAKE)
        assert await client.get_accounts()


@pytest.mark.parametrize(
    "command",
    [["/nowhere/broker"], ["/bin/false"], ["/bin/sleep", "60"]],
    ids=["program missing", "exits 1", "never takes the name"],
)
async def test_a_broker_that_does_not_start_is_an_error_that_says_so(command: list[str]) -> None:
    with RunningFake(start=False, start_timeout=0.5) as bus:
        install(bus, command)
        await _does_not_start(bus)


async def _does_not_start(bus: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        failures = await asyncio.gather(
            *(operation.call(client) for operation in OPERATIONS.values()), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [BrokerStartError] * len(OPERATIONS)
        assert "journalctl" in str(failures[0])
        bus.start_broker()
        assert await client.get_accounts()


@pytest.mark.parametrize("reason", ["unit failed", "startup job failed", "activation request failed: unknown unit"])
async def test_what_dbus_broker_says_of_a_failed_start_is_told_from_a_broker_that_is_not_installed(
    fake_broker: RunningFake, reason: str
) -> None:
    said = f"Could not activate remote peer '{BROKER_BUS_NAME}': {reason}"
    fake_broker.plant("dbus_error", name="org.freedesktop.DBus.Error.NameHasNoOwner", context=said, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerStartError, match=reason):
            await client.get_accounts()
        assert await client.get_accounts()


async def test_calls_wait_for_a_broker_that_takes_long_to_start(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with RunningFake(start=False) as bus:
        install(bus, ["/bin/sh", "-c", f"read line < {gate}; exec {shlex.join(FAKE)}"])
        hasty = BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=Timeouts(call=0.1))
        async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client, hasty:
            calls = [asyncio.ensure_future(operation.call(client)) for operation in REPEATABLE.values()]
            with pytest.raises(BrokerTimeoutError, match="may be starting"):
                await hasty.get_accounts()
            assert not any(call.done() for call in calls)
            # Opens once the program that was started has opened it for reading.
            await asyncio.to_thread(gate.write_text, "go\n")
            assert all(await asyncio.gather(*calls))
            assert await hasty.acquire_token_interactive(GRAPH)


@pytest.mark.slow
async def test_a_broker_that_starts_in_twenty_seconds_is_waited_for(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"start_delay": 20}')
    with RunningFake(start=False) as bus:
        assert fake_command(["write-service", bus.services, "--config", str(config)]) == 0
        bus.reload_services()
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
            outcomes = await asyncio.gather(*(operation.call(client) for operation in REPEATABLE.values()))
            assert all(outcomes)
            assert loop.time() - began >= 20
            assert await client.get_accounts()


@pytest.mark.fake_broker(persona="himmelblau-4.0")
@pytest.mark.parametrize("name", ["accounts", "version", "silent", "cookie"])
async def test_a_broker_whose_daemon_starts_is_asked_until_it_has(fake_broker: RunningFake, name: str) -> None:
    operation = REPEATABLE[name]
    fake_broker.plant("starting", times=3)
    async with BrokerClient(CLIENT_ID) as client:
        assert await operation.call(client)
        assert len(fake_broker.calls_of(operation.method)) == 4


@pytest.mark.parametrize("operation", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
async def test_what_must_not_be_repeated_is_not_even_while_a_daemon_starts(
    fake_broker: RunningFake, operation: Operation
) -> None:
    fake_broker.plant("starting", times=1)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(ServerUnavailableError, match="broker socket connect"):
            await operation.call(client)
        assert len(fake_broker.calls_of(operation.method)) == 1
        await operation.call(client)


@pytest.mark.parametrize(
    "timeouts", [Timeouts(start_up=0.12), Timeouts(start_up=None, call=0.12)], ids=["start", "call"]
)
async def test_a_daemon_that_does_not_start_is_given_up_on(fake_broker: RunningFake, timeouts: Timeouts) -> None:
    fake_broker.plant("starting")
    async with BrokerClient(CLIENT_ID, timeouts=timeouts) as client:
        with pytest.raises((ServerUnavailableError, BrokerTimeoutError)):
            await client.get_accounts()
        assert 2 <= len(fake_broker.calls_of("getAccounts")) <= 3
        fake_broker.clear_faults()
        assert await client.get_accounts()


async def test_no_time_for_a_start_is_one_attempt(fake_broker: RunningFake) -> None:
    fake_broker.plant("starting")
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(start_up=0)) as client:
        with pytest.raises(ServerUnavailableError):
            await client.get_accounts()
    assert len(fake_broker.calls_of("getAccounts")) == 1
