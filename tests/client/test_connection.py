"""How a client finds, shares, loses and regains the bus."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerDisconnectedError,
    BrokerNotInstalledError,
    BrokerTimeoutError,
    NoSessionBusError,
    Presence,
    Timeouts,
)
from linuxbroker.bus import Connection, Message, MessageKind
from linuxbroker_fake import RunningFake
from linuxbroker_fake.cli import main as fake_command
from tests.constants import CLIENT_ID, GRAPH


async def _connections(fake: RunningFake) -> int:
    """How many connections the bus has, this question's own aside."""
    connection = await Connection.open(fake.address)
    names: list[str] = (await connection.call_bus("ListNames"))[0]
    connection.close()
    return sum(name.startswith(":") for name in names) - 1


async def test_making_a_client_sends_nothing(fake_broker: RunningFake) -> None:
    before = await _connections(fake_broker)
    client = BrokerClient(CLIENT_ID)
    assert await _connections(fake_broker) == before
    await client.aclose()
    assert fake_broker.calls == ()


async def test_making_a_client_needs_no_bus_and_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert BrokerClient(CLIENT_ID).client_id == CLIENT_ID


async def test_clients_on_one_loop_share_a_connection_until_the_last_is_closed(fake_broker: RunningFake) -> None:
    before = await _connections(fake_broker)
    first, second = BrokerClient(CLIENT_ID), BrokerClient(CLIENT_ID)
    await asyncio.gather(first.get_accounts(), second.get_accounts(), first.is_available())
    assert await _connections(fake_broker) == before + 1
    await first.aclose()
    assert await second.get_accounts()
    assert await _connections(fake_broker) == before + 1
    await second.aclose()
    assert await _connections(fake_broker) == before


async def test_a_closed_client_works_again(fake_broker: RunningFake) -> None:
    client = BrokerClient(CLIENT_ID)
    await client.get_accounts()
    await client.aclose()
    assert await client.get_accounts()
    await client.aclose()


def test_a_client_works_again_after_its_loop_was_replaced(fake_broker: RunningFake) -> None:
    client = BrokerClient(CLIENT_ID)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert asyncio.run(client.get_accounts())
        gc.collect()


def test_a_loop_that_ends_with_its_client_open_leaves_no_descriptor(fake_broker: RunningFake) -> None:
    client = BrokerClient(CLIENT_ID)
    asyncio.run(client.get_accounts())
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        asyncio.run(client.get_accounts())
        gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_restart_of_the_broker_is_survived_by_the_next_call(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_accounts()
        fake_broker.restart_broker()
        assert await client.get_accounts()


async def test_a_restart_of_the_bus_is_survived_by_the_next_call(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_accounts()
        fake_broker.stop_bus()
        fake_broker.start_bus()
        assert await client.get_accounts()


async def test_with_the_bus_gone_the_error_says_what_sets_one_up(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_accounts()
        fake_broker.stop_bus()
        with pytest.raises(NoSessionBusError, match=r"XDG_RUNTIME_DIR.*dbus-run-session"):
            await client.get_accounts()
        fake_broker.start_bus()
        assert await client.get_accounts()


async def test_with_no_broker_the_error_says_how_one_is_installed(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    async with BrokerClient(CLIENT_ID) as client:
        assert not await client.is_available()
        with pytest.raises(BrokerNotInstalledError) as caught:
            await client.get_accounts()
        for advice in (
            "sudo apt install microsoft-identity-broker",
            "sudo dnf install microsoft-identity-broker",
            "Himmelblau",
            "Company Portal",
        ):
            assert advice in str(caught.value)
        fake_broker.start_broker()
        assert await client.get_accounts()


@contextlib.asynccontextmanager
async def _silent_bus(tmp_path: Path) -> AsyncIterator[str]:
    """A bus that accepts connections and says nothing."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "silent"):
        yield f"unix:path={tmp_path / 'silent'}"
        done.set()


async def test_a_call_that_starts_as_another_gives_up_connecting_is_not_cancelled_with_it(tmp_path: Path) -> None:
    async with _silent_bus(tmp_path) as address:
        first = BrokerClient(CLIENT_ID, bus_address=address)
        second = BrokerClient(CLIENT_ID, bus_address=address, timeouts=Timeouts(connect=0.05))
        call = asyncio.ensure_future(first.get_accounts())
        await asyncio.wait({call}, timeout=0.01)
        call.cancel()
        other = asyncio.ensure_future(second.get_accounts())
        outcomes = await asyncio.gather(call, other, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, NoSessionBusError]


async def test_each_client_has_its_own_limit_for_the_connection_that_they_share(tmp_path: Path) -> None:
    async with _silent_bus(tmp_path) as address:
        patient = BrokerClient(CLIENT_ID, bus_address=address, timeouts=Timeouts(connect=None))
        hasty = BrokerClient(CLIENT_ID, bus_address=address, timeouts=Timeouts(connect=0.05))
        waiting = asyncio.ensure_future(patient.get_accounts())
        await asyncio.wait({waiting}, timeout=0.01)
        with pytest.raises(NoSessionBusError, match=r"no reply from .* within 0\.05 s"):
            await hasty.get_accounts()
        assert not waiting.done()
        await hasty.aclose()
        await patient.aclose()
        with pytest.raises(BrokerDisconnectedError, match="closed while connecting"):
            await waiting


async def test_closing_a_client_ends_its_calls_for_good(fake_broker: RunningFake) -> None:
    before = await _connections(fake_broker)
    fake_broker.plant("hang", method="getAccounts")
    client = BrokerClient(CLIENT_ID)
    call = asyncio.ensure_future(client.get_accounts())
    await fake_broker.called("getAccounts")
    await client.aclose()
    with pytest.raises(BrokerDisconnectedError, match="closed by this process"):
        await call
    assert len(fake_broker.calls_of("getAccounts")) == 1
    assert await _connections(fake_broker) == before


async def test_a_restart_of_the_bus_is_survived_by_a_sign_in_that_comes_next(fake_broker: RunningFake) -> None:
    user = fake_broker.directory.users[0]
    async with BrokerClient(CLIENT_ID) as client:
        account = (await client.get_accounts())[0]
        fake_broker.stop_bus()
        fake_broker.start_bus()
        assert await client.acquire_token_interactive(GRAPH)
        fake_broker.stop_bus()
        fake_broker.start_bus()
        assert await client.acquire_token_by_username_password(user.upn, user.password, GRAPH)
        fake_broker.stop_bus()
        fake_broker.start_bus()
        await client.remove_account(account)


async def test_a_sign_in_that_is_cancelled_before_the_bus_answers_sends_nothing(tmp_path: Path) -> None:
    async with _silent_bus(tmp_path) as address, BrokerClient(CLIENT_ID, bus_address=address) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        await asyncio.wait({sign_in}, timeout=0.01)
        sign_in.cancel()
        await asyncio.wait({sign_in})
        assert sign_in.cancelled()
        assert not client._sign_ins._cancellations


async def test_a_sign_in_that_takes_too_long_closes_the_brokers_window(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(interactive=0.05)) as client:
        with pytest.raises(BrokerTimeoutError, match=r"not completed within 0\.05 s"):
            await client.acquire_token_interactive(GRAPH)
    assert len(fake_broker.calls_of("cancelInteractiveFlow")) == 1
    assert fake_broker.broker.screen.open_windows == 0


async def _cancelled_twice(client: BrokerClient, fake_broker: RunningFake) -> None:
    """A sign-in whose caller does not even wait for the broker's window to close."""
    sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
    await fake_broker.asked()
    sign_in.cancel()
    await fake_broker.called("cancelInteractiveFlow")
    sign_in.cancel()
    await asyncio.wait({sign_in})
    assert sign_in.cancelled()


async def test_closing_the_client_waits_until_the_brokers_window_is_closed(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("slow", method="cancelInteractiveFlow", delay=0.2)
    client = BrokerClient(CLIENT_ID)
    await _cancelled_twice(client, fake_broker)
    assert fake_broker.broker.screen.open_windows == 1
    await client.aclose()
    assert not client._sign_ins._cancellations
    assert fake_broker.broker.screen.open_windows == 0
    assert len(fake_broker.calls_of("cancelInteractiveFlow")) == 1


async def test_closing_the_client_does_not_wait_for_a_broker_that_closes_no_window(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("hang", method="cancelInteractiveFlow")
    client = BrokerClient(CLIENT_ID, timeouts=Timeouts(cancel=0.05))
    await _cancelled_twice(client, fake_broker)
    await asyncio.wait_for(client.aclose(), 30)
    assert not client._sign_ins._cancellations


def test_a_sign_in_that_is_left_when_the_loop_ends_closes_the_brokers_window(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")

    async def leave() -> asyncio.Task[object]:
        sign_in = asyncio.ensure_future(BrokerClient(CLIENT_ID).acquire_token_interactive(GRAPH))
        await fake_broker.called("acquireTokenInteractively")
        return sign_in

    assert asyncio.run(leave()).cancelled()
    assert len(fake_broker.wait_for_call("cancelInteractiveFlow")) == 1
    assert fake_broker.broker.screen.open_windows == 0


@pytest.fixture
def activated(monkeypatch: pytest.MonkeyPatch) -> RunningFake:
    """A bus without a broker on it; the tests put an activation file there."""
    return RunningFake(start=False)


def test_the_first_call_has_the_bus_start_the_broker(activated: RunningFake) -> None:
    async def first_call(address: str) -> str:
        async with BrokerClient(CLIENT_ID, bus_address=address) as client:
            return await client.get_linux_broker_version()

    with activated as running:
        assert fake_command(["write-service", running.services, "--persona", "microsoft-2.0.1"]) == 0
        running.reload_services()
        assert asyncio.run(first_call(running.address)) == "2.0.1"


async def test_the_brokers_coming_and_going_can_be_watched_without_starting_it(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        fake_broker.stop_broker()
        assert await anext(watch) is Presence.OFFLINE
        fake_broker.start_broker()
        assert await anext(watch) is Presence.ONLINE
        fake_broker.stop_bus()
        assert await anext(watch) is Presence.OFFLINE
        with pytest.raises(BrokerDisconnectedError):
            await anext(watch)
    assert fake_broker.calls == ()


async def test_a_watch_tells_no_state_twice(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    name, (allow, replace) = "com.microsoft.identity.broker1", (1, 2)
    old, new = await Connection.open(fake_broker.address), await Connection.open(fake_broker.address)
    async with BrokerClient(CLIENT_ID) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.OFFLINE
        await old.call_bus("RequestName", "su", name, allow)
        assert await anext(watch) is Presence.ONLINE
        await new.call_bus("RequestName", "su", name, replace)  # it has another owner now, and is there as before
        old.close()
        new.close()
        assert await anext(watch) is Presence.OFFLINE
        fake_broker.stop_bus()
        with pytest.raises(BrokerDisconnectedError):
            await anext(watch)


async def test_a_change_while_the_app_is_busy_is_not_missed_by_a_watch(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    async with BrokerClient(CLIENT_ID) as client:
        assert not await client.is_available()  # connected
        watch = client.watch()
        first = asyncio.ensure_future(anext(watch))
        await asyncio.wait({first}, timeout=0)
        fake_broker.start_broker()  # the loop stands still meanwhile
        seen = await first
        if seen is Presence.OFFLINE:
            seen = await anext(watch)
        assert seen is Presence.ONLINE
        await watch.aclose()


async def test_only_the_bus_is_believed_about_the_brokers_presence(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        connection = await client._transport.bus().connection(client._transport, limit=5)
        liar = await Connection.open(fake_broker.address)
        liar.send(
            Message(
                MessageKind.SIGNAL,
                destination=connection.unique_name,
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="NameOwnerChanged",
                signature="sss",
                body=("com.microsoft.identity.broker1", ":1.1", ""),
            )
        )
        liar.close()
        fake_broker.restart_broker()
        assert [await anext(watch), await anext(watch)] == [Presence.OFFLINE, Presence.ONLINE]
        pending = asyncio.ensure_future(anext(watch))
        await asyncio.wait({pending}, timeout=0)
        assert not pending.done()
        pending.cancel()


async def test_the_reply_size_can_be_limited(fake_broker: RunningFake) -> None:
    from linuxbroker import BrokerProtocolError

    async with BrokerClient(CLIENT_ID, max_reply_bytes=2000) as client:
        assert await client.get_linux_broker_version()
        with pytest.raises(BrokerProtocolError, match="exceeds the limit of 2,000 bytes"):
            await client.acquire_token_silent(GRAPH)
        assert await client.get_linux_broker_version()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_client_works_in_a_forked_child(fake_broker: RunningFake) -> None:
    program = (
        "import asyncio, os\nfrom linuxbroker import BrokerClient\n"
        f"client = BrokerClient({CLIENT_ID!r})\n"
        "assert asyncio.run(client.get_accounts())\n"
        "child = os.fork()\n"
        "if child == 0:\n    os._exit(0 if asyncio.run(client.get_accounts()) else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\nassert asyncio.run(client.get_accounts())\n"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
