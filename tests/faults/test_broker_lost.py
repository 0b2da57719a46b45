"""Brokers that die, hang, are replaced or answer oddly: only the call that is affected fails or is repeated."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerDisconnectedError,
    BrokerNotInstalledError,
    BrokerResponseError,
    BrokerTimeoutError,
    Timeouts,
)
from linuxbroker_fake import RunningFake
from linuxbroker_fake.cli import main as fake_command
from tests.constants import CLIENT_ID
from tests.faults.brokers import ALLOW_REPLACEMENT, REPLACE, observer, scripted_broker, successor
from tests.faults.operations import NOT_REPEATABLE, OPERATIONS, REPEATABLE, Operation

BRIEF = Timeouts(call=0.5, interactive=0.5, ping=0.5, cancel=0.5)


@pytest.mark.parametrize("operation", REPEATABLE.values(), ids=REPEATABLE)
async def test_what_can_be_repeated_is_asked_of_the_broker_that_takes_over(
    fake_broker: RunningFake, operation: Operation
) -> None:
    fake_broker.plant("crash", method=operation.method)
    async with successor(fake_broker.address) as second, BrokerClient(CLIENT_ID) as client:
        assert await operation.call(client)
        assert [call.member for call in fake_broker.calls] == [operation.method]
        assert second.journal.members == [operation.method]
        assert fake_broker.calls[0].correlation_id == second.journal.calls[0].correlation_id
        assert await client.get_accounts()


@pytest.mark.parametrize("operation", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
async def test_what_must_not_be_repeated_is_not_asked_of_the_broker_that_takes_over(
    fake_broker: RunningFake, operation: Operation
) -> None:
    fake_broker.plant("crash", method=operation.method)
    async with successor(fake_broker.address) as second, BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerDisconnectedError, match="exited before it replied"):
            await operation.call(client)
        assert [call.member for call in fake_broker.calls] == [operation.method]
        assert second.journal.members == []
        assert await client.get_accounts()


@pytest.mark.parametrize("operation", REPEATABLE.values(), ids=REPEATABLE)
async def test_a_call_is_repeated_once_and_no_more(fake_broker: RunningFake, operation: Operation) -> None:
    fake_broker.plant("crash", method=operation.method)
    async with (
        successor(fake_broker.address) as second,
        successor(fake_broker.address) as third,
        BrokerClient(CLIENT_ID) as client,
    ):
        second.plant("crash", method=operation.method)
        with pytest.raises(BrokerDisconnectedError, match="exited before it replied"):
            await operation.call(client)
        assert third.journal.members == []
        assert await client.get_accounts()


async def test_a_broker_that_dies_with_nothing_to_start_it_again_went_away(fake_broker: RunningFake) -> None:
    fake_broker.plant("crash", times=1)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerDisconnectedError, match="exited before it replied"):
            await client.get_accounts()
        with pytest.raises(BrokerNotInstalledError):
            await client.get_accounts()
        fake_broker.restart_broker()
        assert await client.get_accounts()


async def test_a_time_limit_is_for_the_call_and_its_repetition_together(fake_broker: RunningFake) -> None:
    fake_broker.plant("crash", method="getAccounts", delay=0.3)
    async with (
        successor(fake_broker.address) as second,
        BrokerClient(CLIENT_ID, timeouts=Timeouts(call=0.4)) as client,
    ):
        second.plant("hang")
        assert await client.is_available()
        # Between the limit, and what the first wait and a whole second one would come to.
        reference = asyncio.ensure_future(asyncio.sleep(0.55))
        with pytest.raises(BrokerTimeoutError, match=r"no reply within 0\.4 s"):
            await client.get_accounts()
        assert not reference.done()
        assert second.journal.members == ["getAccounts"]
        reference.cancel()


async def test_a_process_that_is_killed_is_started_again_by_the_bus(tmp_path: Path) -> None:
    with RunningFake(start=False) as bus:
        assert fake_command(["write-service", bus.services, "--control"]) == 0
        bus.reload_services()
        async with observer(bus.address) as watching, BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
            assert await client.get_accounts()

            # Between two calls, and noticed by the bus.
            os.kill(await watching.broker_pid(), signal.SIGKILL)
            await watching.name_is_free()
            assert await client.get_accounts()

            # Between two calls, not noticed yet.
            os.kill(await watching.broker_pid(), signal.SIGKILL)
            assert await client.get_accounts()

            # While it works on calls that it has read: what may be repeated is, by the process that comes next.
            await watching.control("Plant", '{"kind": "hang"}')
            calls = {name: asyncio.ensure_future(operation.call(client)) for name, operation in OPERATIONS.items()}
            for operation in OPERATIONS.values():
                await watching.control("WaitForCall", operation.method)
            os.kill(await watching.broker_pid(), signal.SIGKILL)
            outcomes = dict(zip(calls, await asyncio.gather(*calls.values(), return_exceptions=True), strict=True))
            assert {name for name, outcome in outcomes.items() if isinstance(outcome, BaseException)} == set(
                NOT_REPEATABLE
            )
            assert all(type(outcomes[name]) is BrokerDisconnectedError for name in NOT_REPEATABLE)
            journal = {call["member"] for call in await watching.control("Journal")}
            assert journal - {"Journal"} == {operation.method for operation in REPEATABLE.values()}
            assert await client.get_accounts()


async def test_a_broker_that_hangs_is_given_up_on_at_the_time_limit(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang")
    async with BrokerClient(CLIENT_ID, timeouts=BRIEF) as client:
        calls = [operation.call(client) for operation in OPERATIONS.values()]
        outcomes = await asyncio.gather(*calls, client.is_available(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:-1]] == [BrokerTimeoutError] * len(OPERATIONS)
        assert outcomes[-1] is False
        asked = [call.member for call in fake_broker.calls]
        assert sorted(asked) == sorted(
            [*(operation.method for operation in OPERATIONS.values()), "cancelInteractiveFlow", "Ping"]
        )
        connection = await client._transport.bus().connection(client._transport, limit=5)
        assert len(connection._pending) == 0
        fake_broker.clear_faults()
        assert await client.is_available()
        assert await client.get_accounts()


async def test_a_second_answer_to_a_call_is_for_no_other_call(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    async with scripted_broker(fake_broker.address) as broker, BrokerClient(CLIENT_ID) as client:
        first = asyncio.ensure_future(client.get_linux_broker_version())
        call = await broker.next_call()
        broker.answer_version(call, "1")
        broker.answer_version(call, "1 again")
        broker.fail(call, "org.freedesktop.DBus.Error.Failed", "1 after all")
        assert await first == "1"
        for number in ("2", "3"):
            version = asyncio.ensure_future(client.get_linux_broker_version())
            call = await broker.next_call()
            broker.answer_version(call, number)
            broker.answer_version(call, number + " again")
            assert await version == number
        assert broker.unread == 0


async def test_an_answer_after_the_time_limit_is_for_no_other_call(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    async with (
        scripted_broker(fake_broker.address) as broker,
        BrokerClient(CLIENT_ID) as patient,
        BrokerClient(CLIENT_ID, timeouts=BRIEF) as hasty,
    ):
        with pytest.raises(BrokerTimeoutError):
            await hasty.get_linux_broker_version()
        late = await broker.next_call()
        version = asyncio.ensure_future(patient.get_linux_broker_version())
        call = await broker.next_call()
        # The bus keeps the order: once the second answer is here, the first one has been.
        broker.answer_version(late, "late")
        broker.answer_version(call, "in time")
        assert await version == "in time"
        again = asyncio.ensure_future(hasty.get_linux_broker_version())
        broker.answer_version(await broker.next_call(), "again")
        assert await again == "again"


async def test_an_error_from_a_broker_that_is_being_replaced_is_its_own_calls_alone(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    address = fake_broker.address
    async with scripted_broker(address) as old, scripted_broker(address, 0) as new, BrokerClient(CLIENT_ID) as client:
        version = asyncio.ensure_future(client.get_linux_broker_version())
        old.fail(await old.next_call(), "org.freedesktop.DBus.Error.Failed", "shutting down for an upgrade")
        old.leave()
        with pytest.raises(BrokerResponseError, match="shutting down for an upgrade"):
            await version
        version = asyncio.ensure_future(client.get_linux_broker_version())
        new.answer_version(await new.next_call(), "new")
        assert await version == "new"


async def test_a_name_that_is_taken_over_takes_no_answer_away(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    address = fake_broker.address
    async with scripted_broker(address, ALLOW_REPLACEMENT) as old, BrokerClient(CLIENT_ID) as client:
        asked_before = asyncio.ensure_future(client.get_linux_broker_version())
        call = await old.next_call()
        async with scripted_broker(address, REPLACE) as new:
            asked_after = asyncio.ensure_future(client.get_linux_broker_version())
            new.answer_version(await new.next_call(), "new")
            assert await asked_after == "new"
            old.answer_version(call, "old")
            assert await asked_before == "old"
            assert (old.unread, new.unread) == (0, 0)


async def test_who_loses_the_name_and_leaves_with_calls_unanswered_went_away(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    address = fake_broker.address
    async with scripted_broker(address, ALLOW_REPLACEMENT) as old, BrokerClient(CLIENT_ID) as client:
        version = asyncio.ensure_future(client.get_linux_broker_version())
        sign_in = asyncio.ensure_future(NOT_REPEATABLE["interactive"].call(client))
        for _ in range(2):
            await old.next_call()
        async with scripted_broker(address, REPLACE) as new:
            old.leave()
            with pytest.raises(BrokerDisconnectedError):
                await sign_in
            new.answer_version(await new.next_call(), "new")
            assert await version == "new"
            assert new.unread == 0


async def test_who_loses_the_name_and_never_answers_is_given_up_on_at_the_time_limit(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    address = fake_broker.address
    async with (
        scripted_broker(address, ALLOW_REPLACEMENT) as old,
        scripted_broker(address, REPLACE | ALLOW_REPLACEMENT) as new,
        BrokerClient(CLIENT_ID, timeouts=BRIEF) as client,
    ):
        with pytest.raises(BrokerTimeoutError):
            await client.get_linux_broker_version()
        await new.next_call()
        async with scripted_broker(address, REPLACE) as newest:
            version = asyncio.ensure_future(client.get_linux_broker_version())
            newest.answer_version(await newest.next_call(), "newest")
            assert await version == "newest"
        assert old.unread == 0
