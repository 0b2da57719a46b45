"""Hostile peers: valid messages of every harmful shape, and the memory and time that they may cost."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from linuxbroker.bus import Connection, DisconnectedError, Message, MessageKind, codec
from linuxbroker.bus.codec import decode, encode
from linuxbroker.bus.connection import method_return
from linuxbroker_fake import RunningFake
from tests.bus.test_connection import _connected

MEBIBYTE = 1024 * 1024


def _call(signature: str, *body: object, path: str = "/a", destination: str = "") -> Message:
    return Message(
        MessageKind.CALL,
        destination=destination,
        path=path,
        interface="a.b",
        member="C",
        signature=signature,
        body=body,
    )


def _with_body(signature: str, body: bytes) -> bytes:
    """A call whose body is given as bytes, which is quicker than to make it of values."""
    values = {"y": 0, "b": False, "a": {} if signature.startswith("a{") else []}
    header = encode(_call(signature, *(values[kind] for kind in (signature if signature[0] != "a" else "a"))), serial=1)
    (empty,) = struct.unpack_from("<I", header, 4)
    return header[:4] + struct.pack("<I", len(body)) + header[8 : len(header) - empty] + body


HARMFUL: dict[str, Callable[[], bytes]] = {
    "variants": lambda: _with_body("av", struct.pack("<I", 4 * MEBIBYTE) + b"\x01y\0\x05" * MEBIBYTE),
    "texts": lambda: _with_body("as", struct.pack("<I", 8 * MEBIBYTE) + bytes(8 * MEBIBYTE)),
    "numbers": lambda: _with_body("ai", struct.pack("<I", 4 * MEBIBYTE) + bytes(4 * MEBIBYTE)),
    "an array without an end": lambda: _with_body("ai", struct.pack("<I", 2**32 - 1) + bytes(4 * MEBIBYTE)),
    "arrays": lambda: _with_body("aai", struct.pack("<I", 4 * MEBIBYTE) + bytes(4 * MEBIBYTE)),
    "structs": lambda: _with_body("a(yy)", struct.pack("<II", 8 * MEBIBYTE, 0) + bytes(8 * MEBIBYTE)),
    "dictionary": lambda: _with_body(
        "a{yy}", struct.pack("<II", 8 * MEBIBYTE, 0) + b"".join(struct.pack("<Q", n) for n in range(MEBIBYTE))
    ),
}


@pytest.mark.parametrize("make", HARMFUL.values(), ids=list(HARMFUL))
def test_a_message_of_a_million_values_is_read_without_them(make: Callable[[], bytes]) -> None:
    frame = make()
    tracemalloc.start()
    try:
        message = decode(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (message.kind, message.member, message.signature, message.body) == (MessageKind.CALL, "C", "", ())
    assert peak < 32 * MEBIBYTE


def test_a_message_of_few_values_is_read_with_them() -> None:
    values = [True] * 10_000
    assert decode(encode(_call("ab", values), serial=1)).body == (values,)


def test_a_header_of_a_million_bytes_is_not_read() -> None:
    message = decode(encode(_call("", path="/" + "a" * MEBIBYTE), serial=1))
    assert message == Message(MessageKind.SIGNAL)


def test_signatures_that_are_made_up_are_not_kept() -> None:
    before = len(codec._signature_cache)
    for number in range(5000):
        signature = format(number, "b").replace("0", "y").replace("1", "b")
        frame = _with_body(signature, bytes(200))
        codec._signature_cache.pop(signature, None)  # another process wrote it
        decode(frame)
    assert len(codec._signature_cache) <= before + codec._MAX_PEER_SIGNATURES


async def test_any_process_can_send_them_and_none_ends_the_connection(fake_broker: RunningFake) -> None:
    victim, other = await Connection.open(fake_broker.address), await Connection.open(fake_broker.address)
    try:
        for message in (
            _call("ab", [True] * 200_000, destination=victim.unique_name),
            _call("", path="/" + "a" * 100_000, destination=victim.unique_name),
        ):
            other.send(message)
            await other.call_bus("GetId")  # the bus has passed it on by then
            assert await victim.call_bus("GetId")
    finally:
        victim.close()
        other.close()


async def test_a_peer_that_asks_on_and_on_and_reads_nothing_gets_answers_up_to_a_limit(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        all_came = asyncio.Event()
        connection.on_signal(lambda signal: all_came.set())
        for _ in range(40):
            peer.writer.write(encode(_call("s", "x"), serial=7) * 1000)
            await peer.writer.drain()
        peer.send(Message(MessageKind.SIGNAL, path="/", interface="a.b", member="Done"))
        await all_came.wait()
        assert MEBIBYTE < connection._unsent_bytes < 1.2 * MEBIBYTE


async def test_what_follows_the_end_of_a_connection_is_not_looked_at(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        seen: list[str] = []

        def on_signal(signal: Message) -> None:
            seen.append(signal.member)
            connection.close()

        ended = asyncio.Event()
        connection.on_close(lambda reason: ended.set())
        connection.on_signal(on_signal)
        signal = encode(Message(MessageKind.SIGNAL, path="/", interface="a.b", member="First"), serial=1)
        peer.writer.write(signal + encode(_call("s", "a call"), serial=2) + signal)
        await ended.wait()
        assert seen == ["First"]


async def test_a_peer_that_leaves_with_a_call_unread_is_a_lost_connection(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        call = asyncio.ensure_future(connection.call(_call("s", "unread"), limit=None))
        await asyncio.wait({call}, timeout=0)
        peer.writer.transport.abort()
        with pytest.raises(DisconnectedError, match="reset by peer"):
            await call
        assert not connection.is_open


async def test_a_connection_with_nothing_left_to_send_does_not_ask_to_send(tmp_path: Path) -> None:
    """Else the loop would turn without rest, as there is always room to send in."""
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call("s", "x" * MEBIBYTE), limit=None))
        await asyncio.wait({call}, timeout=0)
        assert connection._unsent_bytes > 0
        peer.send(method_return(await peer.receive(), "s", "done"))
        await call
        assert connection._unsent_bytes == 0
        assert not asyncio.get_running_loop().remove_writer(connection._sock)
