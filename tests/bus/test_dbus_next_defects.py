"""The defects of dbus-next 0.2.3: what this library does, beside what plain dbus-next does in its place.

The tests named ``test_plain_…`` show the defect; should one fail, the library has mended it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dbus_next import Message as PlainMessage
from dbus_next import introspection
from dbus_next.aio import MessageBus

from linuxbroker import BrokerClient, Timeouts
from linuxbroker.bus import ConnectError, Connection
from linuxbroker.resources import interface_xml
from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_OBJECT_PATH
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID

PADDING = "x" * 1500
SCOPES = ["https://graph.microsoft.com/.default"]


# A full socket buffer kills the connection (upstream issue 153).


async def test_five_hundred_calls_at_once_all_succeed(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = (await client.get_accounts())[0]
        calls = [
            client.acquire_token_silent(SCOPES, account, extra_query_parameters={"padding": PADDING + str(number)})
            for number in range(500)
        ]
        tokens = await asyncio.gather(*calls)
    assert len(tokens) == len(fake_broker.calls_of("acquireTokenSilently")) == 500


async def test_a_call_larger_than_the_socket_buffer_succeeds(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = (await client.get_accounts())[0]
        assert await client.acquire_token_silent(SCOPES, account, extra_query_parameters={"padding": "x" * 1_000_000})


def test_plain_dbus_next_loses_the_connection_on_a_full_socket_buffer(fake_broker: RunningFake) -> None:
    outcome = _run_plain(
        """
        async def main():
            bus = await MessageBus().connect()
            bus_name = "org.freedesktop.DBus"
            calls = [bus.call(Message(bus_name, "/", bus_name, "x" * 200)) for _ in range(5000)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            print(sum(isinstance(outcome, BlockingIOError) for outcome in outcomes) > 0)
        """
    )
    assert outcome.stdout.split() == ["True"]


def _plain(main: str) -> list[str]:
    """The command that runs a coroutine function ``main`` on plain dbus-next."""
    imports = "import asyncio\nfrom dbus_next import Message\nfrom dbus_next.aio import MessageBus\n"
    return [sys.executable, "-c", imports + textwrap.dedent(main) + "\nasyncio.run(main())"]


def _run_plain(main: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_plain(main), timeout=60, check=False, capture_output=True, text=True)


def _plain_hangs(main: str) -> bool:
    """Whether ``main`` is not over in half a second, many times what it should take, after its first line of output."""
    with subprocess.Popen(_plain(main), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        return False


def _version_call(padding: str = "") -> PlainMessage:
    return PlainMessage(
        destination=BROKER_BUS_NAME,
        path=BROKER_OBJECT_PATH,
        interface="com.microsoft.identity.Broker1",
        member="getLinuxBrokerVersion",
        signature="sss",
        body=["0.0", "c", json.dumps({"msalCppVersion": padding})],
    )


# A peer that closes in the handshake leaves the whole event loop spinning.


@contextlib.asynccontextmanager
async def _peer(tmp_path: Path, answer: bytes | None) -> AsyncIterator[str]:
    """A socket that reads, then answers and closes; without an answer it stays silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    path = tmp_path / "peer"
    async with await asyncio.start_unix_server(serve, path):
        yield f"unix:path={path}"


@pytest.mark.parametrize(
    "answer", [b"", b"OK 12", b"OK 1234deadbeef\r\n", b"REJECTED EXTERNAL\r\n", b"HTTP/1.0 400\r\n\r\n"]
)
async def test_a_peer_that_closes_in_the_handshake_is_an_error(tmp_path: Path, answer: bytes) -> None:
    async with _peer(tmp_path, answer) as address:
        with pytest.raises(ConnectError):
            await Connection.open(address)


async def test_a_peer_that_says_nothing_is_given_up_on(tmp_path: Path) -> None:
    async with _peer(tmp_path, None) as address:
        with pytest.raises(ConnectError, match=r"no reply within 0\.05 s"):
            await Connection.open(address, limit=0.05)


async def test_a_peer_that_never_ends_its_line_is_given_up_on(tmp_path: Path) -> None:
    async with _peer(tmp_path, b"x" * 100_000) as address:
        with pytest.raises(ConnectError, match="does not implement D-Bus"):
            await Connection.open(address)


def test_plain_dbus_next_hangs_its_loop_when_the_peer_closes_in_the_handshake(tmp_path: Path) -> None:
    path = str(tmp_path / "peer")
    with _closing_server(path):
        assert _plain_hangs(
            f"""
            async def main():
                print(flush=True)
                await asyncio.wait_for(MessageBus(bus_address="unix:path={path}").connect(), 0.1)
            """
        )


@contextlib.contextmanager
def _closing_server(path: str) -> Iterator[None]:
    def accept_and_close(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        received = b""
        while b"\r\n" not in received:
            received += peer.recv(1024)
        peer.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=accept_and_close, args=(listener,))
        thread.start()
        yield
        thread.join()


# Connecting blocks, in the constructor.


async def test_the_loop_runs_on_while_the_bus_does_not_accept(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as queued:
        listener.bind(str(tmp_path / "full"))
        listener.listen(0)
        waiting = queued.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(str(tmp_path / "full"))
        with pytest.raises(ConnectError):  # not a hang: the limit could fire
            await Connection.open(f"unix:path={tmp_path / 'full'}", limit=0.05)


def test_plain_dbus_next_blocks_in_its_constructor_while_the_bus_does_not_accept(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(tmp_path / "full"))
        listener.listen(0)
        waiting.connect(str(tmp_path / "full"))
        assert _plain_hangs(
            f"""
            async def main():
                print(flush=True)
                MessageBus(bus_address="unix:path={tmp_path / "full"}")
            """
        )


# No time limits on calls; a cancelled call's reply handler stays for ever.


async def test_a_call_without_a_reply_ends_at_its_limit_and_leaves_nothing_behind(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="getAccounts")
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(call=0.05)) as client:
        with pytest.raises(TimeoutError, match=r"getAccounts: no reply within 0\.05 s"):
            await client.get_accounts()
        assert len((await _connection(client))._pending) == 0


async def test_a_cancelled_call_leaves_nothing_behind(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="getAccounts")
    async with BrokerClient(CLIENT_ID) as client:
        task = asyncio.ensure_future(client.get_accounts())
        await fake_broker.called("getAccounts")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len((await _connection(client))._pending) == 0
        fake_broker.clear_faults()
        assert await client.get_accounts()


async def test_plain_dbus_next_keeps_the_handler_of_a_cancelled_call(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="getLinuxBrokerVersion")
    bus = await MessageBus(bus_address=fake_broker.address).connect()
    task = asyncio.ensure_future(bus.call(_version_call()))
    await fake_broker.called("getLinuxBrokerVersion")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(bus._method_return_handlers) == 1
    await _close(bus)


async def _connection(client: BrokerClient) -> Connection:
    return await client._transport.bus().connection(client._transport, limit=5)


async def _close(bus: MessageBus) -> None:
    bus.disconnect()
    await bus.wait_for_disconnect()
    bus._sock.close()
    bus._stream.close()


# An interface look-up sends GetNameOwner and logs on the root logger.


async def test_a_client_asks_the_bus_for_nothing_but_the_call(fake_broker: RunningFake) -> None:
    async with _monitored(fake_broker) as seen:
        async with BrokerClient(CLIENT_ID) as client:
            await client.get_linux_broker_version()
        await _settled(fake_broker)
    assert "GetNameOwner" not in seen
    assert [call.member for call in fake_broker.calls_of("Introspect", "Ping", "GetAll")] == []


async def test_plain_dbus_next_asks_for_the_owner_when_an_interface_is_made(fake_broker: RunningFake) -> None:
    async with _monitored(fake_broker) as seen:
        bus = await MessageBus(bus_address=fake_broker.address).connect()
        node = introspection.Node.parse(interface_xml())
        bus.get_proxy_object(BROKER_BUS_NAME, BROKER_OBJECT_PATH, node).get_interface("com.microsoft.identity.Broker1")
        await bus.call(_version_call())
        await _close(bus)
        await _settled(fake_broker)
    assert "GetNameOwner" in seen


@contextlib.asynccontextmanager
async def _monitored(fake_broker: RunningFake) -> AsyncIterator[list[str]]:
    """The members of all calls on the bus, as a monitor sees them."""
    seen: list[str] = []
    process = await asyncio.create_subprocess_exec(
        "dbus-monitor", "--address", fake_broker.address, "type='method_call'", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    done = asyncio.Event()

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            if b"member=" in line:
                seen.append(line.rpartition(b"member=")[2].strip().decode())
                if seen[-1] == "GetMachineId":
                    done.set()

    reader = asyncio.ensure_future(read(process.stdout))
    while not seen:  # the monitor is there once it sees a call of ours
        connection = await Connection.open(fake_broker.address)
        await connection.call_bus("GetId")
        connection.close()
    try:
        yield seen
        await done.wait()
    finally:
        process.kill()
        await process.wait()
        await reader


async def _settled(fake_broker: RunningFake) -> None:
    """Mark the end of what the monitor has to see."""
    connection = await Connection.open(fake_broker.address)
    with contextlib.suppress(Exception):
        await connection.call_bus("GetMachineId")
    connection.close()


async def test_nothing_is_logged_on_the_root_logger(fake_broker: RunningFake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with BrokerClient(CLIENT_ID) as client:
        await client.get_accounts()
        fake_broker.stop_bus()
        with pytest.raises(Exception, match="cannot connect to the bus"):
            await client.get_accounts()
    assert [record for record in caplog.records if record.name == "root"] == []


# No fallback to $XDG_RUNTIME_DIR/bus: ours is in test_address.py.


def test_plain_dbus_next_does_not_look_in_the_runtime_directory(
    monkeypatch: pytest.MonkeyPatch, fake_broker: RunningFake, tmp_path: Path
) -> None:
    (tmp_path / "bus").symlink_to(fake_broker.address.removeprefix("unix:path="))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    async def construct() -> None:
        MessageBus()

    with pytest.raises(Exception, match=r"DBUS_SESSION_BUS_ADDRESS|DISPLAY"):
        asyncio.run(construct())
