"""A bus that is not there, says nothing, closes in the middle, or is killed and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linuxbroker import BrokerClient, BrokerDisconnectedError, NoSessionBusError, Timeouts
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, GRAPH
from tests.faults.operations import ADA, NOT_REPEATABLE, OPERATIONS, REPEATABLE, Operation
from tests.faults.relay import dead_socket, relay


async def test_a_bus_whose_address_is_not_known_is_found_once_it_is(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    async with BrokerClient(CLIENT_ID) as client:
        for operation in OPERATIONS.values():
            with pytest.raises(NoSessionBusError, match="neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set"):
                await operation.call(client)
        assert not await client.is_available()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", fake_broker.address)
        assert await client.is_available()
        assert await client.get_accounts()


async def test_a_dead_socket_is_tried_again_at_the_next_call(fake_broker: RunningFake, tmp_path: Path) -> None:
    path = tmp_path / "relay"
    dead_socket(path)
    async with BrokerClient(CLIENT_ID, bus_address=f"unix:path={path}") as client:
        for operation in OPERATIONS.values():
            with pytest.raises(NoSessionBusError, match="Connection refused"):
                await operation.call(client)
        path.unlink()
        with pytest.raises(NoSessionBusError, match="No such file"):
            await client.get_accounts()
        async with relay(fake_broker.address, tmp_path):
            assert await client.get_accounts()
            await client.aclose()


async def test_a_bus_that_accepts_and_says_nothing_is_given_up_on(fake_broker: RunningFake, tmp_path: Path) -> None:
    async with relay(fake_broker.address, tmp_path) as bus:
        bus.silent = True
        client = BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=Timeouts(connect=0.5))
        async with client:
            calls = [operation.call(client) for operation in OPERATIONS.values()]
            outcomes = await asyncio.gather(*calls, client.is_available(), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes[:-1]] == [NoSessionBusError] * len(OPERATIONS)
            assert outcomes[-1] is False
            bus.silent = False
            assert await client.get_accounts()


async def _bytes_for(operation: Operation, fake_broker: RunningFake, folder: Path) -> int:
    """How many bytes the bus says to a client that connects, makes one call and has its answer."""
    async with relay(fake_broker.address, folder) as bus, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        await operation.call(client)
        fake_broker.reset()
        return bus.passed[0]


async def test_a_bus_that_closes_at_any_byte_is_got_over(fake_broker: RunningFake, tmp_path: Path) -> None:
    answered = await _bytes_for(REPEATABLE["version"], fake_broker, tmp_path)
    outcomes: list[str] = []
    async with relay(fake_broker.address, tmp_path) as bus, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        for cut in range(1, answered, 3):
            bus.cuts = [cut]
            try:
                outcomes.append(await client.get_linux_broker_version())
            except NoSessionBusError as error:
                outcomes.append("closed" if "closed" in str(error) or "reset" in str(error) else str(error))
            assert await client.get_linux_broker_version() == "3.0.2"
            await client.aclose()
    # In the handshake, and before the bus has said hello, the call fails; after that it is repeated.
    repeated_from = outcomes.index("3.0.2")
    assert set(outcomes[:repeated_from]) == {"closed"}
    assert set(outcomes[repeated_from:]) == {"3.0.2"}
    assert 20 < repeated_from < len(outcomes) - 20


# The answer is longer than this, so that the cut is in it.
_WITHHELD = 40


@pytest.mark.parametrize("operation", REPEATABLE.values(), ids=REPEATABLE)
async def test_a_bus_that_closes_in_the_middle_of_an_answer_is_asked_again(
    fake_broker: RunningFake, tmp_path: Path, operation: Operation
) -> None:
    cut = await _bytes_for(operation, fake_broker, tmp_path) - _WITHHELD
    async with relay(fake_broker.address, tmp_path) as bus, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        bus.cuts = [cut]
        assert await operation.call(client)
        assert len(fake_broker.calls_of(operation.method)) == len(bus.passed) == 2
        bus.cuts = [cut, cut]
        await client.aclose()
        with pytest.raises(BrokerDisconnectedError, match="The next call reconnects"):
            await operation.call(client)
        assert len(fake_broker.calls_of(operation.method)) == len(bus.passed) == 4
        assert await operation.call(client)


@pytest.mark.parametrize("operation", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
async def test_a_bus_that_closes_in_the_middle_of_an_answer_that_must_not_be_asked_for_again(
    fake_broker: RunningFake, tmp_path: Path, operation: Operation
) -> None:
    cut = await _bytes_for(operation, fake_broker, tmp_path) - _WITHHELD
    async with relay(fake_broker.address, tmp_path) as bus, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        bus.cuts = [cut]
        with pytest.raises(BrokerDisconnectedError, match="The next call reconnects"):
            await operation.call(client)
        assert len(fake_broker.calls_of(operation.method)) == len(bus.passed) == 1
        fake_broker.reset()
        await operation.call(client)


async def test_a_bus_that_closes_before_it_has_read_a_whole_call(fake_broker: RunningFake, tmp_path: Path) -> None:
    padding = {"padding": "x" * 900_000}
    async with relay(fake_broker.address, tmp_path) as bus, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        bus.request_cuts = [100_000]
        assert await client.acquire_token_silent(GRAPH, ADA, extra_query_parameters=padding)
        assert len(fake_broker.calls_of("acquireTokenSilently")) == 1
        assert len(bus.passed) == 2
        await client.aclose()
        bus.request_cuts = [100_000]
        with pytest.raises(BrokerDisconnectedError):
            await client.acquire_token_interactive(GRAPH, extra_query_parameters=padding)
        assert await client.acquire_token_interactive(GRAPH, extra_query_parameters=padding)
        assert len(fake_broker.calls_of("acquireTokenInteractively")) == 1


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_a_bus_that_is_killed_and_restarted_under_a_call(fake_broker: RunningFake, operation: Operation) -> None:
    fake_broker.plant("hang", method=operation.method, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        call = asyncio.ensure_future(operation.call(client))
        await fake_broker.called(operation.method)
        # The loop stands still meanwhile: the client learns of it when the new bus and the broker are there.
        fake_broker.stop_bus()
        fake_broker.start_bus()
        if operation in NOT_REPEATABLE.values():
            with pytest.raises(BrokerDisconnectedError):
                await call
        else:
            assert await call
        assert len(fake_broker.calls_of(operation.method)) == (1 if operation in NOT_REPEATABLE.values() else 2)
        assert await client.get_accounts()


async def test_a_bus_that_is_killed_and_stays_away(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", times=len(OPERATIONS))
    async with BrokerClient(CLIENT_ID) as client:
        calls = {name: asyncio.ensure_future(operation.call(client)) for name, operation in OPERATIONS.items()}
        for operation in OPERATIONS.values():
            await fake_broker.called(operation.method)
        fake_broker.stop_bus()
        await asyncio.wait(calls.values())
        kinds = {name: type(call.exception()) for name, call in calls.items()}
        expected = {name: NoSessionBusError if name in REPEATABLE else BrokerDisconnectedError for name in OPERATIONS}
        assert kinds == expected
        fake_broker.start_bus()
        assert await client.acquire_token_interactive(GRAPH)


async def test_a_bus_that_is_killed_while_it_is_connected_to(fake_broker: RunningFake, tmp_path: Path) -> None:
    async with relay(fake_broker.address, tmp_path) as bus, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        fake_broker.stop_bus()
        outcomes = await asyncio.gather(
            *(operation.call(client) for operation in OPERATIONS.values()), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {NoSessionBusError}
        fake_broker.start_bus()
        assert await client.get_accounts()
