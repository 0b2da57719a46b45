"""Messages in every valid form, which are taken, and invalid ones, which are refused."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_next.signature import Variant

from linuxbroker import BrokerClient, BrokerProtocolError
from linuxbroker.bus import BadMessageError, Connection, Message, MessageKind
from linuxbroker.bus.codec import encode
from linuxbroker.bus.connection import method_return
from linuxbroker_fake import RunningFake
from tests.bus.test_connection import Peer, _call, _connected
from tests.constants import CLIENT_ID

MEBIBYTE = 1024 * 1024
SIGNAL = Message(MessageKind.SIGNAL, path="/", interface="a.b", member="S", signature="s", body=("text",))
# Header fields: the code, the signature and the bytes of a value.
TEXT_VALUE = struct.pack("<I", 1) + b"x\0"
FIELDS: dict[str, tuple[int, bytes, bytes]] = {
    "a number of descriptors": (9, b"u", bytes(4)),
    "a path": (1, b"o", struct.pack("<I", 2) + b"/a\0"),
    "one that is not known yet": (200, b"s", TEXT_VALUE),
    "two numbers that are not known yet": (200, b"(yy)", bytes(2)),
}


def _with_field(frame: bytes, code: int, kind: bytes, value: bytes) -> bytes:
    """A message that has one header field more, which comes first."""
    (length,) = struct.unpack_from("<I", frame, 12)
    end = 16 + length
    start = bytes((code, len(kind))) + kind + b"\0"
    added = start + bytes(-len(start) & (7 if kind.startswith(b"(") else 3)) + value
    fields = added + bytes(-len(added) & 7) + frame[16:end]
    return frame[:12] + struct.pack("<I", len(fields)) + fields + bytes(-len(fields) & 7) + frame[end + (-end & 7) :]


@pytest.mark.parametrize("field", FIELDS.values(), ids=list(FIELDS))
async def test_a_reply_with_a_header_field_that_replies_need_not_have_is_taken(
    tmp_path: Path, field: tuple[int, bytes, bytes]
) -> None:
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        peer.writer.write(_with_field(encode(method_return(await peer.receive(), "s", "done"), 9), *field))
        assert (await call).body == ("done",)


async def test_a_long_reply_is_known_for_one_behind_other_header_fields(tmp_path: Path) -> None:
    async with _connected(tmp_path, max_message_bytes=MEBIBYTE) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None, max_reply_bytes=5 * MEBIBYTE))
        reply = method_return(await peer.receive(), "s", "y" * 4 * MEBIBYTE)
        peer.writer.write(_with_field(encode(reply, 9), *FIELDS["a number of descriptors"]))
        assert len((await call).body[0]) == 4 * MEBIBYTE


async def test_a_long_reply_whose_header_makes_no_sense_is_nobodys(tmp_path: Path) -> None:
    async with _connected(tmp_path, max_message_bytes=MEBIBYTE) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None, max_reply_bytes=5 * MEBIBYTE))
        received = await peer.receive()
        long = encode(method_return(received, "s", "y" * 2 * MEBIBYTE), 9)
        peer.writer.write(_with_field(long, 9, b"uu", bytes(8)))
        peer.send(method_return(received, "s", "done"))
        assert (await call).body == ("done",)


async def test_a_long_message_is_judged_once_its_header_is_there(tmp_path: Path) -> None:
    async with _connected(tmp_path, max_message_bytes=MEBIBYTE) as (connection, peer):
        seen: list[str] = []
        first = asyncio.Event()

        def on_signal(signal: Message) -> None:
            seen.append(signal.member)
            first.set()

        connection.on_signal(on_signal)
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        received = await peer.receive()
        frame = encode(replace(SIGNAL, path="/" + "a" * 100_000, body=("x" * 2 * MEBIBYTE,)), 9)
        peer.writer.write(encode(replace(SIGNAL, member="Short"), 8) + frame[:50_000])  # the middle of the header
        await first.wait()
        peer.writer.write(frame[50_000:])
        peer.send(method_return(received, "s", "done"))
        assert (await call).body == ("done",)
        assert seen == ["Short"]


def _deep(levels: int) -> bytes:
    """A signal whose value is a variant in a variant in a variant."""
    body = b"\x01v\0" * (levels - 1) + b"\x01y\0\x05"
    header = encode(replace(SIGNAL, signature="v", body=(Variant("y", 5),)), 9)[: -len(b"\x01y\0\x05")]
    return header[:4] + struct.pack("<I", len(body)) + header[8:] + body


async def test_a_value_may_be_nested_as_deeply_as_d_bus_has_it(tmp_path: Path) -> None:
    async with _connected(tmp_path) as (connection, peer):
        seen: asyncio.Queue[Message] = asyncio.Queue()
        connection.on_signal(seen.put_nowait)
        peer.writer.write(_deep(64))
        assert (await seen.get()).signature == "v"


def _without_end(frame: bytes, body_bytes: int) -> bytes:
    """A message that says that its body ends there, and does."""
    (length,) = struct.unpack_from("<I", frame, 4)
    return frame[:4] + struct.pack("<I", body_bytes) + frame[8 : len(frame) - length + body_bytes]


INVALID: dict[str, Callable[[Message], bytes]] = {
    "a value nested too deeply": lambda call: _deep(70),
    "a text that is longer than its message": lambda call: (
        encode(method_return(call, "s", "text"), 9)[:-9] + struct.pack("<I", 99) + b"text\0"
    ),
    "a text that is missing": lambda call: _without_end(encode(method_return(call, "ss", "abc", "d"), 9), 8),
    "a sender that is a number": lambda call: _with_field(
        encode(method_return(call, "s", "text"), 9), 7, b"u", bytes(4)
    ),
    "a header field of no kind": lambda call: _with_field(
        encode(method_return(call, "s", "text"), 9), 0, b"s", TEXT_VALUE
    ),
    "a signature of no type": lambda call: encode(method_return(call, "s", "text"), 9).replace(
        b"g\0\1s\0", b"g\0\1?\0"
    ),
    "a kind that there is not": lambda call: b"l\x09" + encode(method_return(call, "s", "text"), 9)[2:],
}


@pytest.mark.parametrize("write", INVALID.values(), ids=list(INVALID))
async def test_a_message_that_is_not_valid_ends_the_connection(
    tmp_path: Path, write: Callable[[Message], bytes]
) -> None:
    async with _connected(tmp_path) as (connection, peer):
        call = asyncio.ensure_future(connection.call(_call(), limit=None))
        peer.writer.write(write(await peer.receive()))
        with pytest.raises(BadMessageError):
            await call
        assert not connection.is_open


async def test_an_application_is_told_of_a_bus_that_speaks_nonsense(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        await peer.shake_hands()
        await peer.receive()
        writer.write(b"nonsense" * 4)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async with (
        await asyncio.start_unix_server(serve, tmp_path / "bus"),
        BrokerClient(CLIENT_ID, bus_address=f"unix:path={tmp_path}/bus") as client,
    ):
        with pytest.raises(
            BrokerProtocolError, match="getLinuxBrokerVersion: the peer sent bytes that are not a D-Bus"
        ):
            await client.get_linux_broker_version()


@pytest.mark.parametrize("field", [FIELDS[name] for name in FIELDS if "not known" in name], ids=["text", "numbers"])
async def test_no_process_ends_a_clients_connection_with_a_header_field_that_is_not_known(
    fake_broker: RunningFake, field: tuple[int, bytes, bytes]
) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        await client.get_linux_broker_version()
        (call,) = fake_broker.calls_of("getLinuxBrokerVersion")
        other = await Connection.open(fake_broker.address)
        try:
            other._sock.sendall(_with_field(encode(replace(SIGNAL, destination=call.sender), 9), *field))
            await other.call_bus("GetId")  # the bus has passed it on by then
        finally:
            other.close()
        await client.get_linux_broker_version()
    assert {each.sender for each in fake_broker.calls_of("getLinuxBrokerVersion")} == {call.sender}
