"""File descriptors that a peer passes: all are closed but those that a call asked for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from linuxbroker.bus import (
    BadMessageError,
    CallTimeoutError,
    ClosedHereError,
    Connection,
    DisconnectedError,
    Message,
    MessageKind,
    RemoteError,
    name_owner,
)
from linuxbroker.bus.codec import encode
from linuxbroker.bus.connection import bus_call
from linuxbroker.bus.descriptors import Descriptors
from linuxbroker.bus.opening import authenticate
from linuxbroker_fake import RunningFake
from tests.trust.buses import from_sender, with_descriptors

MEBIBYTE = 1024 * 1024
QUESTION = Message(MessageKind.CALL, destination="a.b", path="/", interface="a.b", member="Question")
SIGNAL = Message(MessageKind.SIGNAL, path="/", interface="a.b", member="Signal", signature="s", body=("x",))
LONG = Message(MessageKind.SIGNAL, path="/", interface="a.b", member="S", signature="s", body=("x" * 3 * MEBIBYTE,))
LONG_HEADER = Message(MessageKind.SIGNAL, path="/" + "x" * 20_000, interface="a.b", member="Signal")
REPLY_TO_NOTHING = Message(MessageKind.RETURN, reply_serial=999)


def _open_here() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Gift:
    """A descriptor to pass, of which it shows when the last copy of it is closed."""

    def __init__(self) -> None:
        self._reading_end, self.number = os.pipe()
        os.set_blocking(self._reading_end, False)

    def is_gone(self) -> bool:
        """Whether nothing has it any more, the kernel's queue of a socket included."""
        if self.number >= 0:
            os.close(self.number)
            self.number = -1
        try:
            return os.read(self._reading_end, 1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self.is_gone()
        os.close(self._reading_end)


@pytest.fixture
def gift() -> Iterator[Gift]:
    with contextlib.closing(Gift()) as made:
        yield made


class Peer:
    """The other end of a connection on which descriptors are passed."""

    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        self.sock = sock
        self.connection = connection

    def passes(self, message: Message, descriptors: Sequence[int], announced: int | None = None) -> None:
        """Send a message with descriptors, and have the connection read as far as it can."""
        count = len(descriptors) if announced is None else announced
        self.sends(with_descriptors(encode(message, serial=1), count), descriptors)

    def sends(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        while data:
            sent = self.sock.sendmsg([data[:65536]], _control(descriptors))
            data, descriptors = data[sent:], ()
            self.reads()

    def reads(self) -> None:
        while self.connection.is_open and self.connection._on_readable():
            pass

    def answers(self, descriptors: Sequence[int], announced: int | None = None) -> None:
        """Reply to the one call that is under way."""
        self.passes(Message(MessageKind.RETURN, reply_serial=_serial(self.connection)), descriptors, announced)


def _control(descriptors: Sequence[int]) -> list[tuple[int, int, bytes]]:
    content = b"".join(number.to_bytes(4, "little") for number in descriptors)
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, content)] if descriptors else []


def _serial(connection: Connection) -> int:
    (serial,) = connection._pending
    return serial


@pytest.fixture
async def peer() -> AsyncGenerator[Peer, None]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = Connection(ours, MEBIBYTE, passes_descriptors=True)
    with theirs:
        yield Peer(theirs, connection)
        connection.close()


@contextlib.asynccontextmanager
async def _asking(peer: Peer) -> AsyncGenerator[tuple[asyncio.Future[Message], Descriptors], None]:
    """A call that waits for descriptors."""
    with Descriptors() as taken:
        call = asyncio.ensure_future(peer.connection.call(QUESTION, limit=None, descriptors=taken))
        await asyncio.wait({call}, timeout=0)
        yield call, taken
        call.cancel()
        await asyncio.wait({call})


async def test_a_call_gets_what_comes_with_its_reply_and_closes_it(peer: Peer, gift: Gift) -> None:
    async with _asking(peer) as (call, taken):
        peer.answers([gift.number] * 3)
        await call
        assert len(taken.numbers) == 3
        assert not any(os.get_inheritable(number) for number in taken.numbers)
        assert not gift.is_gone()
    assert gift.is_gone()


UNASKED: dict[str, Callable[[Peer, Sequence[int]], None]] = {
    "signal": lambda peer, passed: peer.passes(SIGNAL, passed),
    "call": lambda peer, passed: peer.passes(QUESTION, passed),
    "reply to nothing": lambda peer, passed: peer.passes(REPLY_TO_NOTHING, passed),
    "long message": lambda peer, passed: peer.passes(LONG, passed),
    "long header": lambda peer, passed: peer.passes(LONG_HEADER, passed),
    "none announced": lambda peer, passed: peer.passes(SIGNAL, passed, announced=0),
    "more announced": lambda peer, passed: peer.passes(SIGNAL, passed, announced=200),
    "with every byte": lambda peer, passed: _with_every_byte(peer, passed),
}


def _with_every_byte(peer: Peer, passed: Sequence[int]) -> None:
    for byte in encode(SIGNAL, serial=1):
        peer.sends(bytes((byte,)), passed)


@pytest.mark.parametrize("asked", [False, True], ids=["no call waits", "a call waits for others"])
@pytest.mark.parametrize("passes", UNASKED.values(), ids=UNASKED)
async def test_descriptors_that_nobody_asked_for_are_closed_at_once(
    peer: Peer, gift: Gift, passes: Callable[[Peer, Sequence[int]], None], asked: bool
) -> None:
    async with _asking(peer) if asked else contextlib.nullcontext((None, None)) as (call, taken):
        before = _open_here()
        for _ in range(40):
            passes(peer, [gift.number] * 10)
        passes(peer, [gift.number] * 253)  # as many as the kernel lets through at once
        assert _open_here() == before
        assert gift.is_gone()
        assert peer.connection.is_open
        if call is not None and taken is not None:
            with contextlib.closing(Gift()) as other:
                peer.answers([other.number])
                await call
                assert len(taken.numbers) == 1


async def test_descriptors_that_nobody_waits_for_are_not_even_let_in(peer: Peer, gift: Gift) -> None:
    before = _open_here()
    peer.sends(with_descriptors(encode(SIGNAL, serial=1), 10)[:-1], [gift.number] * 10)
    assert _open_here() == before
    assert gift.is_gone()


async def test_with_one_message_few_descriptors_are_let_in(peer: Peer, gift: Gift) -> None:
    async with _asking(peer):
        before = _open_here()
        for byte in encode(SIGNAL, serial=1)[:-1]:
            peer.sends(bytes((byte,)), [gift.number] * 7)
            assert _open_here() <= before + 16


async def test_what_follows_a_long_message_keeps_its_descriptors(peer: Peer, gift: Gift) -> None:
    async with _asking(peer) as (call, taken):
        passed_over = encode(LONG, serial=1)
        peer.sends(passed_over[:-100])
        peer.sock.sendall(passed_over[-100:])
        peer.answers([gift.number])
        await call
        assert len(taken.numbers) == 1


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 40])
async def test_descriptors_belong_to_their_message_however_it_is_cut(peer: Peer, gift: Gift, size: int) -> None:
    async with _asking(peer) as (call, taken):
        unasked = with_descriptors(encode(SIGNAL, serial=1), 2)
        asked = with_descriptors(encode(Message(MessageKind.RETURN, reply_serial=_serial(peer.connection)), 2), 1)
        with contextlib.closing(Gift()) as other:
            for data, descriptors in ((unasked, [other.number] * 2), (asked, [gift.number]), (unasked, [other.number])):
                for start in range(0, len(data), size):
                    peer.sock.sendmsg([data[start : start + size]], _control(descriptors if start == 0 else ()))
            peer.reads()
            assert other.is_gone()
        await call
        assert [os.fstat(number) for number in taken.numbers] == [os.fstat(gift.number)]


async def test_descriptors_may_come_with_any_byte_of_their_message(peer: Peer, gift: Gift) -> None:
    whole = len(with_descriptors(encode(Message(MessageKind.RETURN, reply_serial=1), 1), 1))
    for place in range(whole):
        async with _asking(peer) as (call, taken):
            reply = Message(MessageKind.RETURN, reply_serial=_serial(peer.connection))
            data = with_descriptors(encode(reply, 1), 1)
            peer.sends(data[:place])
            peer.sends(data[place : place + 1], [gift.number])
            peer.sends(data[place + 1 :])
            await call
            assert len(taken.numbers) == 1


@pytest.mark.parametrize(("passed", "announced"), [(0, 1), (1, 0), (1, 2), (2, 1), (17, 17), (253, 253)])
async def test_a_reply_without_all_its_descriptors_is_no_reply_and_other_calls_go_on(
    peer: Peer, gift: Gift, passed: int, announced: int
) -> None:
    async with _asking(peer) as (call, taken):
        before = _open_here()
        peer.answers([gift.number] * passed, announced)
        with pytest.raises(BadMessageError, match=f"expected {announced} file descriptors, received"):
            await call
        assert taken.numbers == []
        assert _open_here() == before
        assert gift.is_gone()
        assert peer.connection.is_open


async def test_a_process_that_can_open_no_more_files_is_told_so(peer: Peer, gift: Gift) -> None:
    async with _asking(peer) as (call, taken):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, limits[1]))
        try:
            peer.answers([gift.number] * 2)  # for one there is a place
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        with pytest.raises(BadMessageError, match=r"expected 2 file descriptors, received 1; .*\(ulimit -n\)"):
            await call
        assert taken.numbers == []
        assert gift.is_gone()


async def test_a_call_that_asked_for_none_gets_none(peer: Peer, gift: Gift) -> None:
    call = asyncio.ensure_future(peer.connection.call(QUESTION, limit=None))
    await asyncio.wait({call}, timeout=0)
    peer.answers([gift.number])
    await call
    assert gift.is_gone()


async def test_a_reply_from_someone_else_brings_no_descriptors(peer: Peer, gift: Gift) -> None:
    with Descriptors() as taken:
        asked = peer.connection.call(QUESTION, limit=None, descriptors=taken, only_from=":1.7")
        call = asyncio.ensure_future(asked)
        await asyncio.wait({call}, timeout=0)
        peer.answers([gift.number])
        assert gift.is_gone()
        assert taken.numbers == []
        call.cancel()
        await asyncio.wait({call})


@pytest.mark.parametrize("left", [0, 2], ids=["nothing left unread", "whole messages left unread"])
async def test_a_handler_that_raises_leaves_no_descriptor_and_an_open_connection(
    peer: Peer, gift: Gift, left: int
) -> None:
    def on_signal(signal: Message) -> None:
        raise ZeroDivisionError

    def sends(data: bytes, descriptors: Sequence[int] = ()) -> None:
        peer.sock.sendmsg([data], _control(descriptors))
        raised = True
        while raised:
            raised = False
            try:
                peer.reads()
            except ZeroDivisionError:
                raised = True

    remove = peer.connection.on_signal(on_signal)
    peer.sock.sendall(encode(SIGNAL, serial=1) * (1 + left))
    with pytest.raises(ZeroDivisionError):
        peer.reads()
    async with _asking(peer) as (call, taken):
        sends(with_descriptors(encode(SIGNAL, serial=1), 1), [gift.number])
        assert gift.is_gone()
        remove()
        with contextlib.closing(Gift()) as other:
            peer.answers([other.number])
            await call
            assert len(taken.numbers) == 1


async def test_a_caller_that_has_gone_gets_nothing(peer: Peer, gift: Gift) -> None:
    """Cancelled with half of the reply there; cancelled when it has just come; out of time."""
    before = _open_here()
    async with _asking(peer) as (call, taken):
        data = with_descriptors(encode(Message(MessageKind.RETURN, reply_serial=_serial(peer.connection)), 1), 1)
        peer.sends(data[:-1], [gift.number])
        assert _open_here() == before + 1
        call.cancel()
        await asyncio.wait({call})
        assert _open_here() == before
        peer.sends(data[-1:], [gift.number])
        assert _open_here() == before
        assert taken.numbers == []
    async with _asking(peer) as (call, taken):
        peer.answers([gift.number])
        call.cancel()
        await asyncio.wait({call})
    assert _open_here() == before
    with Descriptors() as taken:
        with pytest.raises(CallTimeoutError):
            await peer.connection.call(QUESTION, limit=0, descriptors=taken)
        peer.passes(Message(MessageKind.RETURN, reply_serial=3), [gift.number])
        assert taken.numbers == []
    assert gift.is_gone()


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (lambda peer: peer.connection.close(), ClosedHereError),
        (lambda peer: (peer.sock.close(), peer.reads()), DisconnectedError),
        (lambda peer: peer.sends(b"no message at all"), BadMessageError),
    ],
    ids=["closed here", "closed there", "nonsense"],
)
async def test_the_end_of_the_connection_closes_what_came_with_half_a_message(
    peer: Peer, gift: Gift, end: Callable[[Peer], object], failure: type[Exception]
) -> None:
    async with _asking(peer) as (call, taken):
        peer.sends(encode(SIGNAL, serial=1)[:-1], [gift.number])
        end(peer)
        assert gift.is_gone()
        with pytest.raises(failure):
            await call
        assert taken.numbers == []


def test_a_loop_that_is_closed_under_a_call_leaves_no_descriptor(gift: Gift) -> None:
    async def leave() -> Coroutine[Any, Any, Message]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            peer = Peer(theirs, Connection(ours, MEBIBYTE, passes_descriptors=True))
            call = peer.connection.call(QUESTION, limit=None, descriptors=Descriptors())
            call.send(None)
            peer.sends(encode(SIGNAL, serial=1)[:-1], [gift.number])
        return call

    gc.collect()
    before = _open_here()
    loop = asyncio.new_event_loop()
    call = loop.run_until_complete(leave())
    loop.close()
    del call, loop
    gc.collect()
    assert _open_here() == before
    assert gift.is_gone()


@pytest.mark.parametrize("refused_first", [False, True])
async def test_an_answer_about_an_owner_beside_one_that_is_refused_leaves_no_descriptor(
    peer: Peer, gift: Gift, refused_first: bool
) -> None:
    def says(message: Message, descriptors: Sequence[int] = ()) -> None:
        data = from_sender(encode(message, serial=1), "org.freedesktop.DBus")
        peer.sends(with_descriptors(data, len(descriptors)), descriptors)

    written = asyncio.Queue[bytes]()
    loop = asyncio.get_running_loop()
    loop.add_reader(peer.sock, lambda: written.put_nowait(peer.sock.recv(4096)))
    finding = asyncio.ensure_future(name_owner(peer.connection, "a.b", limit=None).__aenter__())
    await written.get()
    says(Message(MessageKind.RETURN, reply_serial=1, signature="s", body=(":1.7",)))
    while len(peer.connection._pending) < 2:
        await written.get()
    loop.remove_reader(peer.sock)
    about_owner, about_us = peer.connection._pending
    answers = [
        (Message(MessageKind.RETURN, reply_serial=about_owner), [gift.number]),
        (Message(MessageKind.ERROR, reply_serial=about_us, error_name="a.b.Refused"), []),
    ]
    for message, descriptors in reversed(answers) if refused_first else answers:
        says(message, descriptors)
        await asyncio.wait({finding}, timeout=0)
    with pytest.raises(RemoteError, match="Refused"):
        await finding
    assert gift.is_gone()


async def test_any_process_can_pass_descriptors_over_a_real_bus_and_none_stays(
    fake_broker: RunningFake, gift: Gift
) -> None:
    victim = await Connection.open(fake_broker.address, pass_descriptors=True)
    other = await Connection.open(fake_broker.address, pass_descriptors=True)
    seen: list[Message] = []
    victim.on_signal(seen.append)
    before = _open_here()
    signal = Message(MessageKind.SIGNAL, destination=victim.unique_name, path="/", interface="a.b", member="Signal")
    try:
        for round_ in range(30):
            for _ in range(10):
                data = with_descriptors(encode(signal, other._next_serial()), 10)
                assert socket.send_fds(other._sock, [data], [gift.number] * 10) == len(data)
            with Descriptors() as taken:
                ask = bus_call("GetConnectionCredentials", "s", victim.unique_name)
                await victim.call(ask, limit=60, descriptors=taken)
            await other.call_bus("GetId")  # the bus has passed all of them on by then
            await victim.call_bus("GetId")
            assert len([message for message in seen if message.member == "Signal"]) == 10 * (round_ + 1)
            assert _open_here() == before
        assert gift.is_gone()
    finally:
        victim.close()
        other.close()


@pytest.mark.parametrize(
    ("answer", "agreed"), [(b"AGREE_UNIX_FD\r\n", True), (b"ERROR\r\n", False), (b'ERROR "unknown"\r\n', False)]
)
async def test_descriptors_are_negotiated_before_the_first_message(answer: bytes, agreed: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
        loop = asyncio.get_running_loop()
        agreement = asyncio.ensure_future(authenticate(ours, pass_descriptors=True))
        assert (await loop.sock_recv(theirs, 100)).startswith(b"\0AUTH EXTERNAL ")
        theirs.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        assert await loop.sock_recv(theirs, 100) == b"NEGOTIATE_UNIX_FD\r\n"
        theirs.sendall(answer)
        assert await agreement is agreed
        assert await loop.sock_recv(theirs, 100) == b"BEGIN\r\n"
