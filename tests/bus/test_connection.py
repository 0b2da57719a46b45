"""One connection with a peer that is slow, leaves, or sends nonsense. The peer is a hand-made bus."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from linuxbroker.bus import (
    BadMessageError,
    CallTimeoutError,
    Connection,
    DisconnectedError,
    Message,
    MessageKind,
    RemoteError,
    ReplyTooLargeError,
)
from linuxbroker.bus.codec import decode, encode
from linuxbroker.bus.connection import error_reply, method_return
from linuxbroker.bus.frames import MAX_MESSAGE_BYTES, FrameReader
from linuxbroker_fake import RunningFake

MEBIBYTE = 1024 * 1024


class Peer:
    """The bus's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._frames = FrameReader()
        self._received: list[Message] = []

    async def shake_hands(self) -> None:
        await self._reader.readuntil(b"\r\n")
        self.writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
        await self._reader.readuntil(b"BEGIN\r\n")
        self.send(method_return(await self.receive(), "s", ":1.1"))

    async def receive(self) -> Message:
        while not self._received:
            self._received += [decode(frame) for frame in self._frames.feed(await self._reader.read(MEBIBYTE))]
        return self._received.pop(0)

    def send(self, message: Message, serial: int = 1) -> None:
        self.writer.write(encode(message, serial))


@contextlib.asynccontextmanager
async def _connected(
    tmp_path: Path, max_message_bytes: int = MAX_MESSAGE_BYTES
) -> AsyncIterator[tuple[Connection, Peer]]:
    arrived: asyncio.Queue[Peer] = asyncio.Queue()
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        await peer.shake_hands()
        arrived.put_nowait(peer)
        await done.wait()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_unix_server(serve, tmp_path / "bus", limit=4096):
        connection = await Connection.open(f"unix:path={tmp_path / 'bus'}", max_message_bytes=max_message_bytes)
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        try:
            yield connection, await arrived.get()
        finally:
            connection.close()
            done.set()


def _call(text: str = "") -> Message:
    return Message(
        MessageKind.CALL, destination="a.b", path="/", interface="a.b", member="C", signature="s", body=(text,)
    )


async def test_calls_wait_for_a_peer_that_is_slow_to_read_and_memory_stays_bounded(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        calls = [asyncio.ensure_future(connection.call(_call("x" * 100_000), limit=None)) for _ in range(100)]
        await asyncio.wait(calls, timeout=0)
        assert connection._queued_calls
        assert MEBIBYTE < connection._unsent_bytes < 1.2 * MEBIBYTE
        for _ in calls:
            peer.send(method_return(await peer.receive(), "s", "done"))
        replies = await asyncio.gather(*calls)
        assert [reply.body for reply in replies] == [("done",)] * 100
        assert (connection._unsent_bytes, len(connection._pending)) == (0, 0)


async def test_small_calls_to_a_full_socket_wait_as_well(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        calls = [asyncio.ensure_future(connection.call(_call("x" * size), limit=None)) for size in range(2000)]
        for _ in calls:
            call = await peer.receive()
            peer.send(method_return(call, "s", call.body[0]))
        replies = await asyncio.gather(*calls)
        assert [len(reply.body[0]) for reply in replies] == list(range(2000))


async def test_calls_that_wait_for_room_write_their_arguments_when_it_is_their_turn(tmp_path: Path) -> None:
    written: list[int] = []

    def arguments(number: int) -> tuple[str]:
        written.append(number)
        return ("x" * MEBIBYTE,)

    async with _connected(tmp_path) as (connection, peer):
        calls = [
            asyncio.ensure_future(connection.call(_call(), limit=None, write_body=partial(arguments, number)))
            for number in range(20)
        ]
        await asyncio.wait(calls, timeout=0)
        assert len(written) < 4
        for answered, _ in enumerate(calls, start=1):
            peer.send(method_return(await peer.receive(), "s", "done"))
            assert len(written) < answered + 4
        await asyncio.gather(*calls)
        assert written == list(range(20))


async def test_a_call_that_can_not_be_written_once_there_is_room_fails_alone(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        first, bad, last = (
            asyncio.ensure_future(connection.call(_call(), limit=None, write_body=lambda body=body: (body,)))  # type: ignore[misc]
            for body in ("x" * 2 * MEBIBYTE, 4711, "last")
        )
        await asyncio.wait({first}, timeout=0)
        for _ in range(2):
            peer.send(method_return(await peer.receive(), "s", "done"))
        with pytest.raises(BadMessageError):
            await bad
        assert [reply.body for reply in await asyncio.gather(first, last)] == [("done",), ("done",)]


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what it was given to do."""

    steps = 0

    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        self.steps += 1
        return super().call_soon(*args, **options)


def test_a_call_that_waits_for_room_costs_no_more_among_many_that_do(tmp_path: Path) -> None:
    async def steps_of(count: int) -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        folder = tmp_path / str(count)
        folder.mkdir()
        async with _connected(folder) as (connection, peer):
            calls = [asyncio.ensure_future(connection.call(_call("x" * 20_000), limit=None)) for _ in range(count)]
            await asyncio.wait(calls, timeout=0)
            assert len(connection._queued_calls) > count - 100
            before = loop.steps
            for _ in calls:
                peer.send(method_return(await peer.receive(), "s", "done"))
            await asyncio.gather(*calls)
            return loop.steps - before

    loop = CountingLoop()
    try:
        few, many = loop.run_until_complete(steps_of(200)), loop.run_until_complete(steps_of(2000))
        for task in asyncio.all_tasks(loop):
            loop.run_until_complete(task)
    finally:
        loop.close()
    assert many / 2000 < 2 * few / 200


async def test_a_call_that_waits_for_room_ends_at_its_limit(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, _):
        first = asyncio.ensure_future(connection.call(_call("x" * 2 * MEBIBYTE), limit=None))
        await asyncio.wait({first}, timeout=0)
        with pytest.raises(CallTimeoutError):
            await connection.call(_call(), limit=0.02)
        assert len(connection._pending) == 1
        first.cancel()


async def test_a_call_that_waits_for_room_ends_with_the_connection(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        calls = [asyncio.ensure_future(connection.call(_call("x" * MEBIBYTE), limit=None)) for _ in range(4)]
        await asyncio.wait(calls, timeout=0)
        peer.writer.transport.abort()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DisconnectedError] * 4
        with pytest.raises(DisconnectedError):
            await connection.call(_call(), limit=1)
        with pytest.raises(DisconnectedError):
            connection.send(_call())


async def test_a_call_that_is_cancelled_while_it_waits_for_room_is_never_sent(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        first = asyncio.ensure_future(connection.call(_call("x" * 2 * MEBIBYTE), limit=None))
        await asyncio.wait({first}, timeout=0)
        second = asyncio.ensure_future(connection.call(_call("second"), limit=None))
        await asyncio.wait({second}, timeout=0)
        second.cancel()
        third = asyncio.ensure_future(connection.call(_call("third"), limit=None))
        peer.send(method_return(await peer.receive(), "s", "first"))
        call = await peer.receive()
        assert call.body == ("third",)
        peer.send(method_return(call, "s", "third"))
        assert (await first).body == ("first",)
        assert (await third).body == ("third",)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"l\x02\x01\x02" + bytes(12),
        b"l\x02\x01\x01" + b"\xff" * 12,
        b"l\x09\x01\x01" + bytes(4) + b"\x01\0\0\0" + bytes(4),
        b"l\x02\x01\x01\x04\0\0\0\x01\0\0\0" + bytes(4) + b"abcd",
    ],
    ids=["text", "version", "length", "kind", "no reply serial"],
)
async def test_a_peer_that_speaks_nonsense_ends_the_calls_in_flight(tmp_path: Path, nonsense: bytes) -> None:
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        await peer.receive()
        peer.writer.write(nonsense)
        with pytest.raises(BadMessageError):
            await call
        assert not connection.is_open


async def test_a_message_cut_short_by_the_end_is_a_lost_connection(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        whole = encode(method_return(await peer.receive(), "s", "done"), 1)
        peer.writer.write(whole[:-3])
        await peer.writer.drain()
        peer.writer.close()
        with pytest.raises(DisconnectedError, match="closed the connection"):
            await call


async def test_the_end_is_found_behind_all_that_has_arrived() -> None:
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MEBIBYTE)
    connection = Connection(ours, MAX_MESSAGE_BYTES)
    assert connection.check_open()
    said = Message(MessageKind.SIGNAL, path="/", interface="a.b", member="C", signature="s", body=("x" * 100_000,))
    for serial in range(1, 9):
        peer.sendall(encode(said, serial))
    peer.close()
    assert not connection.check_open()


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
async def test_a_reply_may_be_as_long_as_the_limit_and_no_longer(tmp_path: Path, more: int, fits: bool) -> None:
    async with _connected(tmp_path) as (connection, peer):
        allowed = len(encode(method_return(Message(MessageKind.CALL, serial=1), "s", "x" * 1000), 1))
        call = asyncio.ensure_future(connection.call(_call(), limit=None, max_reply_bytes=allowed))
        peer.send(method_return(await peer.receive(), "s", "x" * (1000 + more)))
        if fits:
            assert (await call).body == ("x" * 1000,)
        else:
            with pytest.raises(ReplyTooLargeError):
                await call


async def test_a_reply_that_is_too_long_is_not_taken_in() -> None:
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    connection = Connection(ours, MAX_MESSAGE_BYTES)
    call = asyncio.ensure_future(connection.call(_call(), limit=None, max_reply_bytes=1000))
    await asyncio.sleep(0)
    text = "x" * (20 * MEBIBYTE)
    reply = memoryview(encode(method_return(Message(MessageKind.CALL, serial=1), "s", text), 1))
    tracemalloc.start()
    try:
        for start in range(0, len(reply), 65536):
            peer.sendall(reply[start : start + 65536])
            assert connection.check_open()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        connection.close()
        peer.close()
    with pytest.raises(ReplyTooLargeError):
        await call
    assert peak < 2 * MEBIBYTE


async def test_answers_to_calls_that_nobody_waits_for_are_dropped(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        received = await peer.receive()
        stray = Message(MessageKind.CALL, serial=999, sender="a.b")
        for answer in (method_return(stray, "s", "stray"), error_reply(stray, "a.b.Error", "stray")):
            peer.send(answer)
        for text in ("first", "second"):
            peer.send(method_return(received, "s", text))
        assert (await call).body == ("first",)


@pytest.mark.parametrize("body", [(), (7,), ("text", 7)])
async def test_an_error_without_a_text_is_an_error_all_the_same(tmp_path: Path, body: tuple[object, ...]) -> None:
    signature = "".join("s" if isinstance(item, str) else "u" for item in body)
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        serial = (await peer.receive()).serial
        peer.send(
            Message(MessageKind.ERROR, reply_serial=serial, error_name="a.b.Error", signature=signature, body=body)
        )
        with pytest.raises(RemoteError) as caught:
            await call
        assert (caught.value.name, caught.value.text) == ("a.b.Error", "text" if len(body) == 2 else "")


async def test_a_connection_without_methods_says_so_to_whoever_calls_it(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (_, peer):
        peer.send(_call("to the client"), serial=77)
        answer = await peer.receive()
        assert (answer.error_name, answer.reply_serial) == ("org.freedesktop.DBus.Error.UnknownMethod", 77)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: Message(MessageKind.CALL, path="not a path", member="C"),
        lambda: Message(MessageKind.CALL, path="/", member="not a member"),
        lambda: Message(MessageKind.CALL, path="/", member="C", signature="s", body=(7,)),
        lambda: Message(MessageKind.CALL, path="/", member="C", signature="s", body=("\ud800",)),
    ],
)
async def test_a_call_that_cannot_be_written_leaves_the_connection_as_it_was(
    fake_broker: RunningFake, spoil: Callable[[], Message]
) -> None:
    connection = await Connection.open(fake_broker.address)
    with pytest.raises(BadMessageError):
        await connection.call(spoil(), limit=5)
    assert len(connection._pending) == 0
    assert await connection.call_bus("GetId")
    connection.close()


async def test_serial_numbers_start_over_and_pass_over_those_in_use(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        waiting = asyncio.ensure_future(connection.call(_call("waiting"), limit=None))
        in_use = await peer.receive()
        connection._serial = 0xFFFFFFFE
        calls = [asyncio.ensure_future(connection.call(_call(), limit=None)) for _ in range(3)]
        received = [await peer.receive() for _ in calls]
        assert [call.serial for call in received] == [0xFFFFFFFF, 1, in_use.serial + 1]
        for call in [in_use, *received]:
            peer.send(method_return(call, "s", "done"))
        await asyncio.gather(waiting, *calls)


def test_messages_are_found_however_the_stream_is_cut() -> None:
    whole = [encode(_call("x" * size), serial=size + 1) for size in (0, 1, 100, 5000)]
    stream = b"".join(whole)
    for step in (1, 7, 16, 17, 4096, len(stream)):
        reader = FrameReader()
        found = [frame for start in range(0, len(stream), step) for frame in reader.feed(stream[start : start + step])]
        assert found == whole


@pytest.mark.parametrize(
    "unasked",
    [
        Message(MessageKind.SIGNAL, path="/", interface="a.b", member="S", signature="s", body=("x" * 3 * MEBIBYTE,)),
        Message(
            MessageKind.CALL, path="/", member="C", signature="s", body=("x" * 3 * MEBIBYTE,), reply_expected=False
        ),
        Message(MessageKind.RETURN, reply_serial=999, signature="s", body=("x" * 3 * MEBIBYTE,)),
        Message(MessageKind.SIGNAL, path="/" + "x" * MEBIBYTE, interface="a.b", member="S"),
    ],
    ids=["signal", "call", "reply to nothing", "header"],
)
async def test_a_long_message_that_nobody_asked_for_is_passed_over(tmp_path: Path, unasked: Message) -> None:
    async with _connected(tmp_path, max_message_bytes=MEBIBYTE) as (connection, peer):
        seen: list[Message] = []
        connection.on_signal(seen.append)
        call = asyncio.ensure_future(connection.call(_call(), limit=None, max_reply_bytes=5 * MEBIBYTE))
        received = await peer.receive()
        peer.send(unasked, serial=5)
        peer.send(method_return(received, "s", "y" * 4 * MEBIBYTE))
        assert len((await call).body[0]) == 4 * MEBIBYTE
        assert not seen


async def test_a_message_longer_than_dbus_allows_ends_the_connection(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        await peer.receive()
        peer.writer.write(b"l\x02\x01\x01" + (128 * MEBIBYTE).to_bytes(4, "little") + b"\x01\0\0\0" + bytes(4))
        with pytest.raises(BadMessageError, match="exceeds the limit of 134,217,728 bytes"):
            await call
