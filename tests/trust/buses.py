"""A hand-made bus for the tests of trust, which answers, and passes descriptors, as the test says.

Nothing is on it but the one client.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_next.signature import Variant

from linuxbroker.bus import Message
from linuxbroker.bus.codec import decode, encode
from linuxbroker.bus.connection import BUS_NAME, error_reply, method_return
from linuxbroker.bus.frames import FrameReader

ERROR = BUS_NAME + ".Error."
VERSION = '{"linuxBrokerVersion": "2.5.2"}'
HERE = {"UnixUserID": Variant("u", os.geteuid()), "ProcessID": Variant("u", os.getpid())}


@dataclass(frozen=True)
class Passing:
    """An answer with which file descriptors come.

    Attributes:
        message: the answer.
        descriptors: what comes with it.
        announced: how many its header says that there are; the true number unless given.
    """

    message: Message
    descriptors: Sequence[int]
    announced: int | None = None


Answer = Callable[[Message], "Message | Passing"]


def answers(signature: str, *body: Any) -> Answer:
    """Answer a call with values."""
    return lambda call: method_return(call, signature, *body)


def fails(name: str) -> Answer:
    """Answer a call with an error of D-Bus's own."""
    return lambda call: error_reply(call, ERROR + name, "as told")


def with_field(message: bytes, code: int, signature: str, value: bytes) -> bytes:
    """Add a header field to a message (little-endian)."""
    (length,) = struct.unpack_from("<I", message, 12)
    body_at = 16 + length + (-length & 7)
    fields = message[16:body_at] + bytes((code, 1)) + signature.encode() + b"\0" + value
    header = message[:12] + struct.pack("<I", len(fields))
    return header + fields + bytes(-len(fields) & 7) + message[body_at:]


def from_sender(message: bytes, sender: str) -> bytes:
    """Add the field that a bus adds to each message that it passes on."""
    return with_field(message, 7, "s", struct.pack("<I", len(sender)) + sender.encode() + b"\0")


def with_descriptors(message: bytes, count: int) -> bytes:
    """Say in a message with how many descriptors it comes."""
    return with_field(message, 9, "u", struct.pack("<I", count))


@dataclass
class Bus:
    """A bus that answers as it is told.

    Attributes:
        address: its address.
        answers: the answer to each method, the next one first; the last one stays. None is no answer.
        negotiation: the answer to a client that wants file descriptors passed.
        sender: whose the answers to a method are said to be, the empty string for nobody's; as a bus says it unless
            given.
        received: the calls, the handshake's aside.
        handshakes: what each client said before its first message.
    """

    address: str
    answers: dict[str, list[Answer | None]] = field(default_factory=dict)
    negotiation: bytes = b"AGREE_UNIX_FD\r\n"
    sender: dict[str, str] = field(default_factory=dict)
    received: list[Message] = field(default_factory=list)
    handshakes: list[bytes] = field(default_factory=list)

    def tells(self, member: str, *answers: Answer | None) -> None:
        """Set the answers to a method."""
        self.answers[member] = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        with contextlib.closing(writer), socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
            said = await reader.readuntil(b"\r\n")
            sock.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            while not said.endswith(b"BEGIN\r\n"):
                try:
                    line = await reader.readuntil(b"\r\n")
                except asyncio.IncompleteReadError:  # it did not like the answer
                    return
                said += line
                if line == b"NEGOTIATE_UNIX_FD\r\n":
                    sock.sendall(self.negotiation)
            self.handshakes.append(said)
            frames = FrameReader()
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    self._answer(decode(frame), sock)

    def _answer(self, call: Message, sock: socket.socket) -> None:
        if call.member != "Hello":
            self.received.append(call)
        answers = self.answers[call.member]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            return
        made = answer(call)
        passing = made if isinstance(made, Passing) else Passing(made, ())
        sender = call.destination if call.destination.startswith(":") else BUS_NAME
        sender = self.sender.get(call.member, sender)
        data = encode(passing.message, serial=1)
        if sender:
            data = from_sender(data, sender)
        announced = len(passing.descriptors) if passing.announced is None else passing.announced
        if announced:
            data = with_descriptors(data, announced)
        if passing.descriptors:
            assert socket.send_fds(sock, [data], passing.descriptors) == len(data)
        else:
            sock.sendall(data)


@contextlib.contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Be another user for a moment; only root can."""
    own = os.geteuid()
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(own)


@contextlib.asynccontextmanager
async def hand_made(folder: Path, *, user: int | None = None, is_abstract: bool = False) -> AsyncGenerator[Bus, None]:
    """A bus on which this process has the broker's name, and the version is all that the broker tells.

    Args:
        folder: where its socket is.
        user: whose it is; this process's user unless given.
        is_abstract: whether the socket has a name that is in no folder.
    """
    path = folder / "bus"
    made = Bus(f"unix:abstract={path}" if is_abstract else f"unix:path={path}")
    made.tells("Hello", answers("s", ":1.1"))
    made.tells("GetNameOwner", answers("s", ":1.7"))
    made.tells("GetConnectionCredentials", answers("a{sv}", HERE))
    made.tells("getLinuxBrokerVersion", answers("s", VERSION))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(f"\0{path}" if is_abstract else str(path))
    with acting_as(os.geteuid() if user is None else user):  # what counts is who listens
        server = await asyncio.start_unix_server(made.serve, sock=sock)
    async with server:
        yield made
