"""Applications that cancel, end their loop, use threads or fork at any moment, and go on with the same client."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from linuxbroker import BrokerClient, BrokerTimeoutError, Timeouts
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, GRAPH
from tests.faults.brokers import Observer, observer
from tests.faults.operations import OPERATIONS, REPEATABLE, Operation
from tests.faults.stepping import Stepper
from tests.output import without_slow_callbacks


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    """An unclosed socket or a coroutine that nobody awaited is a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


async def _idle(client: BrokerClient) -> None:
    """Check that nothing is left of the calls so far, and that the client works."""
    connection = await client._transport.bus().connection(client._transport, limit=5)
    assert (len(connection._pending), connection._queued_calls) == (0, {})
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert await client.get_linux_broker_version()


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected"])
async def test_a_call_can_be_cancelled_at_each_await(
    fake_broker: RunningFake, operation: Operation, connected: bool
) -> None:
    loop = asyncio.get_running_loop()
    at, cancelled = 0, 0
    async with BrokerClient(CLIENT_ID) as client:
        while True:
            at += 1
            fake_broker.reset()
            if connected:
                assert await client.get_linux_broker_version()
            else:
                await client.aclose()
            stepper = Stepper(at, lambda: call.cancel())  # noqa: B023 - called before the next round
            loop.set_task_factory(stepper.task)
            call = asyncio.ensure_future(operation.call(client))
            await asyncio.wait({call})
            loop.set_task_factory(None)
            await _idle(client)
            assert fake_broker.broker.screen.open_windows == 0
            if stepper.awaits < at:
                break
            cancelled += call.cancelled()
    # The awaits at which a call is cancelled after its answer has come aside, every one ends in a cancellation.
    assert not call.cancelled()
    assert cancelled >= (1 if connected else 3)


async def test_a_cancelled_sign_in_can_be_cancelled_again_at_each_await(fake_broker: RunningFake) -> None:
    loop = asyncio.get_running_loop()
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version()
        at = 0
        while True:
            at += 1
            fake_broker.clear_calls()
            sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
            await fake_broker.called("acquireTokenInteractively")
            stepper = Stepper(at, lambda: sign_in.cancel())  # noqa: B023 - called before the next round
            loop.set_task_factory(stepper.task)
            tidying = asyncio.ensure_future(_cancel(sign_in))
            await asyncio.wait({tidying})
            await asyncio.gather(*client._sign_ins._cancellations)
            loop.set_task_factory(None)
            assert sign_in.cancelled()
            await _idle(client)
            assert len(fake_broker.calls_of("cancelInteractiveFlow")) == 1
            assert fake_broker.broker.screen.open_windows == 0
            if stepper.awaits < at:
                break
    assert at > 3


async def _cancel(call: asyncio.Future[Any]) -> None:
    call.cancel()
    await asyncio.wait({call})


async def test_a_watch_can_be_cancelled_at_each_await(fake_broker: RunningFake) -> None:
    loop = asyncio.get_running_loop()

    async def first_of(client: BrokerClient) -> None:
        watch = client.watch()
        try:
            await anext(watch)
            await anext(watch)
        finally:
            await watch.aclose()

    async with observer(fake_broker.address) as watching, BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version()
        connection = await client._transport.bus().connection(client._transport, limit=5)
        handlers = (list(connection._signal_handlers), list(connection._close_handlers))
        for at in range(1, 4):
            stepper = Stepper(at, lambda: watch.cancel())  # noqa: B023 - called before the next round
            loop.set_task_factory(stepper.task)
            watch = asyncio.ensure_future(first_of(client))
            await asyncio.wait({watch})
            loop.set_task_factory(None)
            assert watch.cancelled()
            await _idle(client)
            assert await watching.match_rules(connection.unique_name) == 0
            assert (connection._signal_handlers, connection._close_handlers) == handlers


async def test_a_time_limit_of_the_apps_own_ends_a_call(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as client:
        for name, operation in OPERATIONS.items():
            if name != "interactive":
                fake_broker.plant("hang", method=operation.method, times=1)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(operation.call(client), 0.05)
            await _idle(client)


async def test_a_time_limit_hit_as_the_answer_arrives_leaves_nothing(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version()
        fake_broker.plant("slow", method="getLinuxBrokerVersion", delay=0.002)
        ended = {True: 0, False: 0}
        # From no time at all to more than enough, in steps that are smaller than an answer takes.
        limit = 0.0
        while ended[True] < 20:
            hasty = BrokerClient(CLIENT_ID, timeouts=Timeouts(call=limit))
            try:
                ended[await hasty.get_linux_broker_version() == "3.0.2"] += 1
            except BrokerTimeoutError:
                ended[False] += 1
            limit += 0.0002
            await _idle(client)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_loop_that_is_run_to_its_end_with_a_call_in_flight(fake_broker: RunningFake, operation: Operation) -> None:
    client = BrokerClient(CLIENT_ID, timeouts=Timeouts(cancel=0.2))
    fake_broker.plant("hang", method=operation.method, times=1)

    async def leave() -> asyncio.Future[object]:
        call = asyncio.ensure_future(operation.call(client))
        await fake_broker.called(operation.method)
        return call

    assert asyncio.run(leave()).cancelled()
    gc.collect()
    fake_broker.reset()
    assert asyncio.run(client.get_linux_broker_version())


@pytest.mark.parametrize("operation", REPEATABLE.values(), ids=REPEATABLE)
def test_a_loop_that_is_closed_outright_with_a_call_in_flight(
    fake_broker: RunningFake, operation: Operation, caplog: pytest.LogCaptureFixture
) -> None:
    client = BrokerClient(CLIENT_ID)
    fake_broker.plant("hang", method=operation.method, times=1)
    loop = asyncio.new_event_loop()

    async def application() -> None:
        await operation.call(client)

    call = loop.create_task(application())
    loop.run_until_complete(fake_broker.called(operation.method))
    loop.close()
    del call, loop
    gc.collect()
    # Of the application's own task asyncio complains, and of no other.
    complaints = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert len(complaints) == 1 and "application()" in complaints[0]
    caplog.clear()
    for _ in range(2):
        assert asyncio.run(client.get_linux_broker_version())


def test_one_client_on_two_loops_in_two_threads(fake_broker: RunningFake) -> None:
    client = BrokerClient(CLIENT_ID)
    both_started = threading.Barrier(2, timeout=30)
    outcomes: list[object] = []

    async def work() -> list[object]:
        both_started.wait()
        done: list[object] = []
        for _ in range(20):
            done += await asyncio.gather(*(operation.call(client) for operation in REPEATABLE.values()))
            sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
            await asyncio.wait({sign_in}, timeout=0)
            sign_in.cancel()
            await asyncio.wait({sign_in})
            await client.aclose()
        return done

    def run() -> None:
        try:
            outcomes.append(len(asyncio.run(work())))
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [20 * len(REPEATABLE)] * 2
    assert asyncio.run(client.get_linux_broker_version())


def test_a_loop_that_ends_leaves_the_calls_of_another_thread_alone(fake_broker: RunningFake) -> None:
    client = BrokerClient(CLIENT_ID)
    fake_broker.plant("slow", method="getAccounts", delay=0.3)
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(asyncio.run(client.get_accounts())))
    thread.start()
    fake_broker.wait_for_call("getAccounts")
    for _ in range(5):
        assert asyncio.run(client.get_linux_broker_version())
    thread.join()
    assert len(outcomes) == 1 and outcomes[0]


def test_a_fork_with_a_call_in_flight_is_of_no_concern_to_it(fake_broker: RunningFake) -> None:
    program = """
        import asyncio, gc, os
        from linuxbroker import BrokerClient

        client = BrokerClient("11111111-2222-4333-8444-555555555555")

        def with_time_to_build_the_wire_types():
            asyncio.get_running_loop().slow_callback_duration = 60

        async def in_child():
            with_time_to_build_the_wire_types()
            async with client:
                return bool(await asyncio.gather(*(client.get_accounts() for _ in range(20))))

        async def main():
            with_time_to_build_the_wire_types()
            call = asyncio.ensure_future(client.acquire_token_interactive(["https://graph.microsoft.com/.default"]))
            assert await client.get_accounts()
            child = os.fork()
            if child == 0:
                # As multiprocessing does: what the parent was doing is not carried on here.
                asyncio.events._set_running_loop(None)
                done = asyncio.run(in_child())
                gc.collect()
                os._exit(0 if done else 1)
            pid, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert status == 0, status
            assert await client.get_accounts()
            print("ready", flush=True)
            assert (await call).access_token
            assert await client.get_accounts()
            await client.aclose()

        asyncio.run(main())
    """
    fake_broker.set_user("never")
    with subprocess.Popen(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            textwrap.dedent(program),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        fake_broker.answer("approve")
        out, err = process.communicate(timeout=30)
    assert (process.returncode, said + out, without_slow_callbacks(err)) == (0, "ready\n", "")


async def test_a_client_that_is_dropped_gives_the_connection_back(fake_broker: RunningFake) -> None:
    async with observer(fake_broker.address) as watching:
        before = await watching.connections()
        for _ in range(3):
            assert await BrokerClient(CLIENT_ID).get_accounts()
            gc.collect()
            await _until(watching, before)
        kept, dropped = BrokerClient(CLIENT_ID), BrokerClient(CLIENT_ID)
        assert all(await asyncio.gather(kept.get_accounts(), dropped.get_accounts()))
        del dropped
        gc.collect()
        assert await kept.get_accounts()
        assert await watching.connections() == before + 1
        await kept.aclose()
        await _until(watching, before)


def test_a_loop_that_ends_takes_its_connection_along(fake_broker: RunningFake) -> None:
    async def connections() -> int:
        async with observer(fake_broker.address) as watching:
            return await watching.connections()

    async def back_to(connections: int) -> None:
        async with observer(fake_broker.address) as watching:
            await _until(watching, connections)

    before = asyncio.run(connections())
    client = BrokerClient(CLIENT_ID)
    for _ in range(3):
        assert asyncio.run(client.get_accounts())
        gc.collect()
        asyncio.run(back_to(before))


def test_a_client_that_is_dropped_in_another_thread_gives_the_connection_back(fake_broker: RunningFake) -> None:
    clients: list[BrokerClient] = []

    async def main() -> None:
        async with observer(fake_broker.address) as watching:
            before = await watching.connections()
            clients.append(BrokerClient(CLIENT_ID))
            assert await clients[0].get_accounts()
            await asyncio.to_thread(clients.clear)
            await asyncio.to_thread(gc.collect)
            await _until(watching, before)

    asyncio.run(main())


async def _until(watching: Observer, connections: int) -> None:
    """Ask the bus until it has noticed that a connection was closed."""
    while await watching.connections() != connections:
        pass
