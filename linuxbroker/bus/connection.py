"""How does a call travel over one bus connection, and its reply come back?

A non-blocking socket with its own writer and reader on the running loop: a full socket buffer waits for room, each
pending call is a future that is forgotten as soon as its caller is, and the end of the connection ends every call in
flight.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from linuxbroker.bus.address import session_address
from linuxbroker.bus.codec import decode, encode
from linuxbroker.bus.descriptors import DescriptorReader, Descriptors
from linuxbroker.bus.errors import (
    BadMessageError,
    BusError,
    CallTimeoutError,
    ClosedHereError,
    DisconnectedError,
    RemoteError,
    ReplyTooLargeError,
)
from linuxbroker.bus.frames import MAX_MESSAGE_BYTES, FrameReader, unix_fds
from linuxbroker.bus.message import Message, MessageKind
from linuxbroker.bus.opening import authenticate, connect, open_first

_log = logging.getLogger("linuxbroker.bus")

BUS_NAME = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
_READ_BYTES = 256 * 1024
# New calls wait while more than this is unsent, so that memory follows the peer's pace and not the caller's.
_UNSENT_LIMIT_BYTES = 1024 * 1024
_MAX_SERIAL = 0xFFFFFFFF
_READS_IN_A_ROW = 16
# The signature of what the bus answers. Source: D-Bus specification, "Message Bus Messages".
_BUS_ANSWERS = {
    "AddMatch": "",
    "GetConnectionUnixProcessID": "u",
    "GetId": "s",
    "GetNameOwner": "s",
    "Hello": "s",
    "ListNames": "as",
    "NameHasOwner": "b",
    "ReleaseName": "u",
    "RemoveMatch": "",
    "RequestName": "u",
    "StartServiceByName": "u",
}
# D-Bus specification, "Bus names".
_UNIQUE_NAME = re.compile(r":[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_LONGEST_NAME = 255
_UCRED = struct.Struct("@iII")  # struct ucred: pid, uid, gid


@dataclass
class _Call:
    """A call on its way out; ``serial`` is 0 until it is written."""

    message: Message
    write_body: Callable[[], Sequence[Any]] | None
    max_reply_bytes: int
    on_send: Callable[[], None] | None
    only_from: str
    descriptors: Descriptors | None
    reply: asyncio.Future[Message]
    serial: int = 0

    def takes(self, reply: Message, frame: bytes) -> bool:
        """Whether a message that says that it is the reply comes from whom the reply is taken."""
        if not self.only_from or reply.sender == self.only_from:
            return True
        if not reply.sender:
            # A bus says of each message whose it is: one without a sender is from who holds the socket's other end, the
            # bus or a proxy in front of it. Neither makes up descriptors.
            return not unix_fds(frame)
        return reply.kind is MessageKind.ERROR and reply.sender == BUS_NAME

    def is_too_long(self, length: int) -> bool:
        """Whether a reply of this length is refused, which ends the call here and now."""
        if length <= self.max_reply_bytes:
            return False
        if not self.reply.done():
            self.reply.set_exception(ReplyTooLargeError(length, self.max_reply_bytes))
        return True


class Connection:
    """An open connection to a message bus, bound to the loop that opened it. Made by ``Connection.open``.

    Attributes:
        unique_name: the name that the bus gave to the connection.
        peer_uid: the user id of the process that listens on the bus's socket, as the kernel tells it; None where the
            system tells none. Source: unix(7), "SO_PEERCRED".
        on_call: called with each method call that arrives; without one, each is answered with an error.
    """

    def __init__(self, sock: socket.socket, max_message_bytes: int, passes_descriptors: bool = False) -> None:
        self.unique_name = ""
        self.peer_uid = _peer_uid(sock)
        self.on_call: Callable[[Message], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._descriptors = DescriptorReader(sock, self._skips) if passes_descriptors else None
        self._frames = self._descriptors or FrameReader(skips=self._skips)
        self._receive = self._descriptors.receive if self._descriptors else sock.recv
        self._max_message_bytes = max_message_bytes
        self._pending: dict[int, _Call] = {}
        # The calls that wait for room, in order, each under the future of its reply.
        self._waiting: OrderedDict[asyncio.Future[Message], _Call] = OrderedDict()
        self._signal_handlers: list[Callable[[Message], None]] = []
        self._close_handlers: list[Callable[[BusError], None]] = []
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._serial = 0
        self._ended: BusError | None = None
        # A loop that is closed with the connection open leaves it to the garbage collector: no warning, no descriptor.
        weakref.finalize(self, _close_unless_read, sock, weakref.ref(self._loop))
        self._loop.add_reader(sock, self._on_readable)

    @classmethod
    async def open(
        cls,
        address: str | None = None,
        *,
        limit: float | None = 5.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        wants_descriptors: bool = False,
    ) -> Connection:
        """Connect to a bus, authenticate and say Hello.

        Args:
            address: a D-Bus address; the session bus's unless given.
            limit: seconds for all of it, every alternative of the address included; None for no limit.
            max_message_bytes: a longer message is passed over, unless it is the reply to a call with a limit of its
                own.
            wants_descriptors: whether to ask the bus for the passing of file descriptors, which it may refuse.

        Returns:
            The connection, ready for calls.

        Raises:
            AddressError: there is no address, or none that can be used.
            ConnectError: no alternative led to a bus in time.
        """

        async def attempt(candidate: bytes) -> Connection:
            return await cls._open(candidate, max_message_bytes, wants_descriptors)

        return await open_first(address or session_address(), attempt, limit=limit)

    @classmethod
    async def _open(cls, address: bytes, max_message_bytes: int, wants_descriptors: bool) -> Connection:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection: Connection | None = None
        try:
            sock.setblocking(False)
            await connect(sock, address)
            passes_descriptors = await authenticate(sock, wants_descriptors=wants_descriptors)
            connection = cls(sock, max_message_bytes, passes_descriptors)
            (name,) = await connection.call_bus("Hello", limit=None)
            connection.unique_name = checked_unique_name(name)
            return connection
        except BaseException:
            if connection is not None:
                connection.close()
            sock.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._ended is None

    def check_open(self) -> bool:
        """Find out whether calls can be made, having read what has arrived, the end of the connection perhaps.

        Returns:
            Whether the connection is open.
        """
        for _ in range(_READS_IN_A_ROW):
            if self._ended is not None or not self._on_readable():
                break
        return self._ended is None

    async def call(
        self,
        message: Message,
        *,
        limit: float | None,
        write_body: Callable[[], Sequence[Any]] | None = None,
        max_reply_bytes: int | None = None,
        on_send: Callable[[], None] | None = None,
        only_from: str = "",
        descriptors: Descriptors | None = None,
    ) -> Message:
        """Send a method call and wait for its reply.

        Args:
            message: the call.
            limit: seconds to wait for the reply; None to wait for ever.
            write_body: gives the arguments once there is room to send them, in place of the message's own: a call that
                waits for room holds none.
            max_reply_bytes: the longest message that is taken for the reply; the connection's limit unless given.
            on_send: called when the call is written; never, if it ends before.
            only_from: the unique name (the bus's own name for the bus) whose reply is taken, or the error of the bus or
                of a proxy in front of it in its place. Some buses pass on replies that were not asked for, from anyone.
                Empty takes any.
            descriptors: gets those that come with the reply; none, where the bus passes none. They are closed unseen
                unless given.

        Returns:
            The reply message.

        Raises:
            RemoteError: a D-Bus error came back.
            ReplyTooLargeError: the reply is longer than allowed.
            CallTimeoutError: no reply within the limit.
            DisconnectedError: the connection is closed, or ended before the reply came.
            BadMessageError: the call can't be written, the peer stopped speaking D-Bus, or a descriptor is missing.
        """
        if self._ended is not None:
            raise self._end_reason()
        call = _Call(
            message,
            write_body,
            max_reply_bytes or self._max_message_bytes,
            on_send,
            only_from,
            descriptors,
            self._loop.create_future(),
        )
        letting_in = self._descriptors if descriptors is not None else None
        timer = None if limit is None else self._loop.call_later(limit, _expire, call.reply, message.member, limit)
        try:
            if letting_in is not None:
                letting_in.begin()
            if self._waiting or not self._has_room:
                self._waiting[call.reply] = call
            else:
                self._write_call(call)
            reply = await call.reply
        finally:
            self._pending.pop(call.serial, None)
            self._waiting.pop(call.reply, None)
            if letting_in is not None:
                letting_in.end()
            if timer is not None:
                timer.cancel()
            if call.reply.done() and not call.reply.cancelled():
                call.reply.exception()  # looked at: no complaint when the caller was cancelled at the same moment
        if reply.kind is MessageKind.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise RemoteError(reply.error_name, text, reply.sender)
        return reply

    async def call_bus(
        self,
        member: str,
        signature: str = "",
        *body: Any,
        limit: float | None = 60.0,
        on_send: Callable[[], None] | None = None,
    ) -> tuple[Any, ...]:
        """Call a method of the bus daemon itself; nobody else's answer is taken.

        Args:
            member: the method of ``org.freedesktop.DBus``.
            signature: the signature of the arguments.
            body: the arguments.
            limit: seconds to wait; None to wait for ever.
            on_send: called when the call is written; never, if it ends before.

        Returns:
            The values that came back, of the types that the D-Bus specification has for the method.

        Raises:
            BadMessageError: other values came back.
            BusError: as ``call`` does.
        """
        call = bus_call(member, signature, *body)
        reply = await self.call(call, limit=limit, on_send=on_send, only_from=BUS_NAME)
        expected = _BUS_ANSWERS.get(member, reply.signature)
        if reply.signature != expected:
            raise BadMessageError(f"the bus answered {member} with {reply.signature!r}, not with {expected!r}")
        return tuple(reply.body)

    def send(self, message: Message) -> None:
        """Send a message that has no reply: a signal, a return or an error.

        Args:
            message: what to send.

        Raises:
            DisconnectedError: the connection is closed.
            BadMessageError: it can't be written.
        """
        if self._ended is not None:
            raise self._end_reason()
        self._write(encode(replace(message, reply_expected=False), self._next_serial()))

    def on_signal(self, handler: Callable[[Message], None]) -> Callable[[], None]:
        """Have a function called with each signal that arrives.

        Args:
            handler: called on the loop, in the order of arrival.

        Returns:
            A function that ends it.
        """
        self._signal_handlers.append(handler)
        return lambda: self._signal_handlers.remove(handler)

    def on_close(self, handler: Callable[[BusError], None]) -> Callable[[], None]:
        """Have a function called once, with the reason, when the connection ends.

        Args:
            handler: called on the loop.

        Returns:
            A function that ends it.
        """
        self._close_handlers.append(handler)
        return lambda: self._close_handlers.remove(handler) if handler in self._close_handlers else None

    def close(self) -> None:
        """Close the connection; calls in flight end with ``ClosedHereError``. A second call does nothing."""
        self._end(ClosedHereError("the connection to the bus was closed by this process"))

    def _next_serial(self) -> int:
        self._serial = self._serial % _MAX_SERIAL + 1
        while self._serial in self._pending:
            self._serial = self._serial % _MAX_SERIAL + 1
        return self._serial

    @property
    def _has_room(self) -> bool:
        return self._unsent_bytes <= _UNSENT_LIMIT_BYTES

    def _write_call(self, call: _Call) -> None:
        body = None if call.write_body is None else call.write_body()
        call.serial = self._next_serial()
        data = encode(call.message, call.serial, body)
        self._pending[call.serial] = call
        if call.on_send is not None:
            call.on_send()
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._unsent.append(memoryview(data))
        self._unsent_bytes += len(data)
        if len(self._unsent) == 1 and not self._flush():
            self._loop.add_writer(self._sock, self._on_writable)

    def _flush(self) -> bool:
        """Send what the socket takes; whether nothing is left to send."""
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent[0])
                self._unsent_bytes -= sent
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                    return False
                self._unsent.popleft()
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(DisconnectedError(f"the connection to the bus ended ({error.strerror or error})"))
        return True

    def _on_writable(self) -> None:
        """Send on, and let in the calls that wait: each writes itself, so that nothing of theirs wakes in vain."""
        flushed = self._flush()
        while self._waiting and self._has_room:
            _, call = self._waiting.popitem(last=False)
            if call.reply.done():
                continue
            try:
                self._write_call(call)
            except Exception as error:  # whatever it is, it is the caller's
                call.reply.set_exception(error)
        if flushed and not self._unsent and self._ended is None:
            self._loop.remove_writer(self._sock)

    def _on_readable(self) -> bool:
        """Read once; whether there was something."""
        try:
            data = self._receive(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(DisconnectedError(f"the connection to the bus ended ({error.strerror or error})"))
            return False
        if not data:
            self._end(DisconnectedError("the bus closed the connection"))
            return False
        try:
            for frame in self._frames.feed(data):
                if self._ended is not None:  # by what came before
                    break
                self._dispatch(decode(frame), frame)
        except BadMessageError as error:
            self._end(error)
        return True

    def _skips(self, length: int, reply_serial: int) -> bool:
        """Whether a long message is passed over; the call that it replies to ends here and now."""
        call = self._pending.get(reply_serial)
        if call is None:
            return reply_serial != 0 or length > self._max_message_bytes
        return call.is_too_long(length)

    def _dispatch(self, message: Message, frame: bytes) -> None:
        if message.kind is MessageKind.CALL:
            self._answer(message)
        elif message.kind is MessageKind.SIGNAL:
            for handler in tuple(self._signal_handlers):
                handler(message)
        else:
            call = self._pending.get(message.reply_serial)
            if call is None or not call.takes(message, frame) or call.is_too_long(len(frame)) or call.reply.done():
                return
            try:
                if call.descriptors is not None and self._descriptors is not None:
                    self._descriptors.hand_over(frame, call.descriptors)
                call.reply.set_result(message)
            except BadMessageError as error:  # the stream is in order: other calls go on
                call.reply.set_exception(error)

    def _answer(self, call: Message) -> None:
        if self.on_call is not None:
            self.on_call(call)
        elif call.reply_expected and self._has_room:  # a peer that asks on and on, and reads nothing, gets no answers
            self.send(
                error_reply(call, "org.freedesktop.DBus.Error.UnknownMethod", "this connection offers no methods")
            )

    def _end_reason(self) -> BusError:
        assert self._ended is not None
        return type(self._ended)(*self._ended.args)

    def _end(self, reason: BusError) -> None:
        if self._ended is not None:
            return
        self._ended = reason
        if self._descriptors is not None:
            self._descriptors.close()
        _log.debug("connection %s ended: %s", self.unique_name, reason)
        if self._loop.is_closed():  # nobody is left to tell
            self._sock.close()
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._unsent.clear()
        for reply in (*(call.reply for call in self._pending.values()), *self._waiting):
            if not reply.done():
                reply.set_exception(self._end_reason())
        for handler in tuple(self._close_handlers):
            handler(reason)


def bus_call(member: str, signature: str = "", *body: Any) -> Message:
    """Make a call of the bus daemon itself.

    Args:
        member: the method of ``org.freedesktop.DBus``.
        signature: the signature of the arguments.
        body: the arguments.

    Returns:
        The message to ``call`` or ``send``.
    """
    return Message(
        MessageKind.CALL,
        destination=BUS_NAME,
        path=BUS_PATH,
        interface=BUS_NAME,
        member=member,
        signature=signature,
        body=body,
    )


def checked_unique_name(name: str) -> str:
    """Refuse a bus's answer that is no connection's name.

    Args:
        name: what the bus answered.

    Returns:
        The same.

    Raises:
        BadMessageError: it is no unique name.
    """
    if len(name) > _LONGEST_NAME or not _UNIQUE_NAME.fullmatch(name):
        raise BadMessageError("the bus answered with a name that no connection can have")
    return name


def error_reply(call: Message, name: str, text: str) -> Message:
    """Make the D-Bus error that answers a call.

    Args:
        call: the call to answer.
        name: the D-Bus error name.
        text: its human-readable text.

    Returns:
        The message to ``send``.
    """
    return Message(
        MessageKind.ERROR,
        destination=call.sender,
        reply_serial=call.serial,
        error_name=name,
        signature="s",
        body=(text,),
    )


def method_return(call: Message, signature: str = "", *body: Any) -> Message:
    """Make the reply that answers a call.

    Args:
        call: the call to answer.
        signature: the signature of the values.
        body: the values.

    Returns:
        The message to ``send``.
    """
    return Message(
        MessageKind.RETURN, destination=call.sender, reply_serial=call.serial, signature=signature, body=body
    )


def _peer_uid(sock: socket.socket) -> int | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(credentials)
    return int(uid)


def _close_unless_read(sock: socket.socket, loop: weakref.ref[asyncio.AbstractEventLoop]) -> None:
    """At the end of the process, a loop on another thread may still be reading."""
    running = loop()
    if running is None or not running.is_running():
        sock.close()


def _expire(future: asyncio.Future[Message], member: str, limit: float) -> None:
    if not future.done():
        future.set_exception(CallTimeoutError(member, limit))
