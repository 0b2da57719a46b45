"""What does the check make of a bus that tells less, or nonsense? The bus is hand-made."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dbus_next.signature import Variant

from linuxbroker import (
    BrokerClient,
    BrokerDisconnectedError,
    BrokerError,
    BrokerNotInstalledError,
    BrokerStartError,
    BrokerTimeoutError,
    Timeouts,
    UntrustedBrokerError,
)
from linuxbroker.bus import Message
from linuxbroker.bus.connection import BUS_NAME, error_reply, method_return
from linuxbroker.bus.frames import FrameReader
from linuxbroker.bus.messages import decode, encode

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
ERROR = BUS_NAME + ".Error."
VERSION = '{"linuxBrokerVersion": "2.5.2"}'
HERE = {"UnixUserID": Variant("u", os.geteuid()), "ProcessID": Variant("u", os.getpid())}


def _stamped(message: bytes, sender: str) -> bytes:
    """Add the header field that a bus adds to each message that it passes on (little-endian; field 7, a string)."""
    (length,) = struct.unpack_from("<I", message, 12)
    body_at = 16 + length + (-length & 7)
    added = b"\x07\x01s\0" + struct.pack("<I", len(sender)) + sender.encode() + b"\0"
    fields = message[16:body_at] + added
    header = message[:12] + struct.pack("<I", len(fields))
    return header + fields + bytes(-len(fields) & 7) + message[body_at:]


def _answers(signature: str, *body: Any) -> Callable[[Message], Message]:
    return lambda call: method_return(call, signature, *body)


def _fails(name: str) -> Callable[[Message], Message]:
    return lambda call: error_reply(call, ERROR + name, "as told")


@dataclass
class Bus:
    """A bus that answers as it is told, and on which nothing is.

    Attributes:
        address: its address.
        answers: the answer to each method, the next one first; the last one stays. None is no answer.
        received: the calls, the handshake's aside.
    """

    address: str
    answers: dict[str, list[Callable[[Message], Message] | None]] = field(default_factory=dict)
    received: list[Message] = field(default_factory=list)

    def tells(self, member: str, *answers: Callable[[Message], Message] | None) -> None:
        self.answers[member] = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.readuntil(b"\r\n")
            writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
            await reader.readuntil(b"BEGIN\r\n")
            frames = FrameReader()
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    self._answer(decode(frame), writer)

    def _answer(self, call: Message, writer: asyncio.StreamWriter) -> None:
        if call.member != "Hello":
            self.received.append(call)
        answers = self.answers[call.member]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is not None:
            sender = call.destination if call.destination.startswith(":") else BUS_NAME
            writer.write(_stamped(encode(answer(call), serial=1), sender))


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[Bus, None]:
    """On it a process that has the broker's name is this one, and the version is all that the broker tells."""
    made = Bus(f"unix:path={tmp_path / 'bus'}")
    made.tells("Hello", _answers("s", ":1.1"))
    made.tells("GetNameOwner", _answers("s", ":1.7"))
    made.tells("GetConnectionCredentials", _answers("a{sv}", HERE))
    made.tells("getLinuxBrokerVersion", _answers("s", VERSION))
    async with await asyncio.start_unix_server(made.serve, tmp_path / "bus"):
        yield made


async def _version(bus: Bus, policy: Any = "warn", limit: float | None = 60.0) -> str:
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=Timeouts(call=limit), trust=policy) as client:
        return await client.get_linux_broker_version()


async def test_the_call_goes_to_the_connection_that_was_looked_at(bus: Bus) -> None:
    assert await _version(bus) == "2.5.2"
    assert [(call.member, call.destination, tuple(call.body)[:1]) for call in bus.received[:3]] == [
        ("GetNameOwner", BUS_NAME, ("com.microsoft.identity.broker1",)),
        ("GetConnectionCredentials", BUS_NAME, (":1.7",)),
        ("GetConnectionCredentials", BUS_NAME, (":1.1",)),
    ]
    assert [(call.member, call.destination) for call in bus.received[3:]] == [("getLinuxBrokerVersion", ":1.7")]


async def test_without_a_policy_the_bus_is_asked_nothing(bus: Bus) -> None:
    assert await _version(bus, "off") == "2.5.2"
    assert [(call.member, call.destination) for call in bus.received] == [
        ("getLinuxBrokerVersion", "com.microsoft.identity.broker1")
    ]


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (_answers("a{sv}", {}), "the bus does not tell which process it is"),
        (_answers("a{sv}", {"UnixUserID": HERE["UnixUserID"]}), "the bus does not tell which process it is"),
        (_answers("a{sv}", {**HERE, "ProcessID": Variant("s", "1")}), "the bus does not tell which process it is"),
        (_answers("a{sv}", {**HERE, "ProcessID": Variant("b", True)}), "the bus does not tell which process it is"),
        (_answers("a{ss}", {"UnixUserID": "0", "ProcessID": "1"}), "the bus does not tell which process it is"),
        (_answers("s", "nobody"), "the bus does not tell which process it is"),
        (_answers(""), "the bus does not tell which process it is"),
        (_answers("a{sv}", {**HERE, "UnixUserID": Variant("u", 64000)}), "it runs as user id 64000"),
        (_answers("a{sv}", {**HERE, "ProcessID": Variant("u", 2**31)}), "it has ended"),
    ],
)
async def test_credentials_that_say_too_little_are_not_enough(
    bus: Bus, theirs: Callable[[Message], Message], reason: str
) -> None:
    bus.tells("GetConnectionCredentials", theirs, _answers("a{sv}", HERE))
    with pytest.raises(UntrustedBrokerError, match=reason):
        await _version(bus, "strict")
    assert "getLinuxBrokerVersion" not in [call.member for call in bus.received]


@pytest.mark.parametrize("key", ["UnixUserID", "ProcessID"])
async def test_a_bus_that_counts_otherwise_is_one_outside_a_container(bus: Bus, key: str) -> None:
    bus.tells("GetConnectionCredentials", _answers("a{sv}", HERE), _answers("a{sv}", {**HERE, key: Variant("u", 4242)}))
    with pytest.raises(UntrustedBrokerError, match="container or a sandbox"):
        await _version(bus, "strict")


async def test_a_broker_that_is_not_running_is_started(bus: Bus) -> None:
    bus.tells("GetNameOwner", _fails("NameHasNoOwner"), _answers("s", ":1.9"))
    bus.tells("StartServiceByName", _answers("u", 1))
    assert await _version(bus) == "2.5.2"
    assert [call.member for call in bus.received[:3]] == ["GetNameOwner", "StartServiceByName", "GetNameOwner"]
    assert tuple(bus.received[1].body) == ("com.microsoft.identity.broker1", 0)
    assert bus.received[-1].destination == ":1.9"


@pytest.mark.parametrize(
    ("member", "answers", "failure"),
    [
        ("StartServiceByName", [_fails("ServiceUnknown")], BrokerNotInstalledError),
        ("StartServiceByName", [_fails("Spawn.ChildExited")], BrokerStartError),
        ("StartServiceByName", [_answers("u", 1)], BrokerDisconnectedError),
        ("StartServiceByName", [None], BrokerTimeoutError),
    ],
    ids=["not installed", "does not start", "left at once", "takes too long"],
)
async def test_a_broker_that_does_not_start_is_told_as_without_a_policy(
    bus: Bus, member: str, answers: list[Callable[[Message], Message] | None], failure: type[BrokerError]
) -> None:
    bus.tells("GetNameOwner", _fails("NameHasNoOwner"))
    bus.tells(member, *answers)
    with pytest.raises(failure) as caught:
        await _version(bus, limit=0.1)
    if failure is BrokerTimeoutError:
        assert "getLinuxBrokerVersion: no reply within 0.1 s" in str(caught.value)


@pytest.mark.parametrize("name", ["ServiceUnknown", "NameHasNoOwner"])
async def test_a_broker_that_leaves_after_it_was_looked_at_is_looked_for_again(bus: Bus, name: str) -> None:
    bus.tells("getLinuxBrokerVersion", _fails(name), _answers("s", VERSION))
    bus.tells("GetNameOwner", _answers("s", ":1.7"), _answers("s", ":1.8"))
    assert await _version(bus) == "2.5.2"
    sent = [call.destination for call in bus.received if call.member == "getLinuxBrokerVersion"]
    assert sent == [":1.7", ":1.8"]


async def test_a_broker_that_leaves_while_it_is_looked_at_is_looked_for_again(bus: Bus) -> None:
    gone, here = _fails("NameHasNoOwner"), _answers("a{sv}", HERE)
    bus.tells("GetConnectionCredentials", gone, here, here, here)
    assert await _version(bus) == "2.5.2"
    assert [call.member for call in bus.received].count("GetNameOwner") == 2


async def test_a_broker_that_keeps_leaving_is_a_broker_that_went_away(bus: Bus) -> None:
    bus.tells("getLinuxBrokerVersion", _fails("ServiceUnknown"))
    with pytest.raises(BrokerDisconnectedError, match=r"left the bus\. Call again"):
        await _version(bus)


@pytest.mark.parametrize("member", ["GetNameOwner", "GetConnectionCredentials"])
async def test_a_bus_that_refuses_to_tell_is_an_error(bus: Bus, member: str) -> None:
    bus.tells(member, _fails("AccessDenied"))
    with pytest.raises(BrokerError, match="AccessDenied"):
        await _version(bus)
    assert "getLinuxBrokerVersion" not in [call.member for call in bus.received]


async def test_a_broker_that_fails_is_told_as_ever(bus: Bus) -> None:
    bus.tells("getLinuxBrokerVersion", _fails("Failed"))
    with pytest.raises(BrokerError, match="as told"):
        await _version(bus)


@pytest.mark.parametrize("limit", [0.1, None])
async def test_one_limit_is_for_all_of_it(bus: Bus, limit: float | None) -> None:
    bus.tells("getLinuxBrokerVersion", _answers("s", VERSION) if limit is None else None)
    if limit is None:
        assert await _version(bus, limit=limit) == "2.5.2"
    else:
        with pytest.raises(BrokerTimeoutError, match=r"no reply within 0\.1 s"):
            await _version(bus, limit=limit)
