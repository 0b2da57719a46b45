"""A connection to a message bus: calls, their replies, signals.

It reads and writes a non-blocking socket on the running loop. Calls wait while the send buffer is full. A call in
flight is a future, which is dropped when its caller is cancelled. When the connection ends, so do the calls in flight.
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
# New calls are queued while more than this is unsent, so that a slow peer does not cost memory.
_UNSENT_LIMIT_BYTES = 1024 * 1024
_MAX_SERIAL = 0xFFFFFFFF
_MAX_READS = 16
# The signatures of the bus's replies. Source: D-Bus specification, "Message Bus Messages".
_BUS_REPLY_SIGNATURES = {
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
_MAX_NAME_LENGTH = 255
_UCRED = struct.Struct("@iII")  # struct ucred: pid, uid, gid


@dataclass
class _Call:
    """A call in flight; ``serial`` is 0 until it is written."""

    message: Message
    write_body: Callable[[], Sequence[Any]] | None
    max_reply_bytes: int
    on_send: Callable[[], None] | None
    only_from: str
    descriptors: Descriptors | None
    reply: asyncio.Future[Message]
    serial: int = 0

    def accepts(self, reply: Message, frame: bytes) -> bool:
        """Whether a message with the call's serial number comes from a sender whose reply is accepted."""
        if not self.only_from or reply.sender == self.only_from:
            return True
        if not reply.sender:
            # A bus adds the sender to every message it forwards: one without a sender is from the peer of the socket,
            # the bus or a proxy in front of it. Neither sends file descriptors.
            return not unix_fds(frame)
        return reply.kind is MessageKind.ERROR and reply.sender == BUS_NAME

    def is_oversized(self, length: int) -> bool:
        """Fail the call if a reply of this length exceeds its limit; whether it does."""
        if length <= self.max_reply_bytes:
            return False
        if not self.reply.done():
            self.reply.set_exception(ReplyTooLargeError(length, self.max_reply_bytes))
        return True


class Connection:
    """An open connection to a message bus, bound to the loop that opened it. Made by ``Connection.open``.

    Attributes:
        unique_name: the unique name that the bus assigned to the connection.
        peer_uid: the user ID of the process that listens on the bus's socket, as reported by the kernel; None if the
            system does not report it. Source: unix(7), "SO_PEERCRED".
        on_call: called with each method call that arrives; if None, each is answered with an error.
    """

    def __init__(self, sock: socket.socket, max_message_bytes: int, passes_descriptors: bool = False) -> None:
        self.unique_name = ""
        self.peer_uid = _peer_uid(sock)
        self.on_call: Callable[[Message], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._descriptors = DescriptorReader(sock, self._should_discard) if passes_descriptors else None
        self._frames = self._descriptors or FrameReader(skips=self._should_discard)
        self._receive = self._descriptors.receive if self._descriptors else sock.recv
        self._max_message_bytes = max_message_bytes
        self._pending: dict[int, _Call] = {}
        # The calls that wait for room in the send buffer, in order, by the future of the reply.
        self._queued_calls: OrderedDict[asyncio.Future[Message], _Call] = OrderedDict()
        self._signal_handlers: list[Callable[[Message], None]] = []
        self._close_handlers: list[Callable[[BusError], None]] = []
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._serial = 0
        self._close_reason: BusError | None = None
        # Closes the socket, without a warning, if the loop was closed before the connection.
        weakref.finalize(self, _close_unless_in_use, sock, weakref.ref(self._loop))
        self._loop.add_reader(sock, self._on_readable)

    @classmethod
    async def open(
        cls,
        address: str | None = None,
        *,
        limit: float | None = 5.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        pass_descriptors: bool = False,
    ) -> Connection:
        """Connect to a bus, authenticate and say Hello.

        Args:
            address: a D-Bus address; default the session bus's.
            limit: seconds in total, for all alternatives of the address; None for no limit. Default 5.0.
            max_message_bytes: a longer message is discarded, unless it is the reply to a call with its own limit;
                default 128 MiB, the limit of D-Bus.
            pass_descriptors: whether to request file descriptor passing, which the bus may refuse.

        Returns:
            The connection, ready for calls.

        Raises:
            AddressError: the address is missing or invalid.
            ConnectError: no alternative led to a bus within the limit.
        """

        async def attempt(candidate: bytes) -> Connection:
            return await cls._open(candidate, max_message_bytes, pass_descriptors)

        return await open_first(address or session_address(), attempt, limit=limit)

    @classmethod
    async def _open(cls, address: bytes, max_message_bytes: int, pass_descriptors: bool) -> Connection:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection: Connection | None = None
        try:
            sock.setblocking(False)
            await connect(sock, address)
            passes_descriptors = await authenticate(sock, pass_descriptors=pass_descriptors)
            connection = cls(sock, max_message_bytes, passes_descriptors)
            (name,) = await connection.call_bus("Hello", limit=None)
            connection.unique_name = check_unique_name(name)
            return connection
        except BaseException:
            if connection is not None:
                connection.close()
            sock.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._close_reason is None

    def check_open(self) -> bool:
        """Check whether calls can be made, after reading what has arrived, such as the end of the connection.

        Returns:
            Whether the connection is open.
        """
        for _ in range(_MAX_READS):
            if self._close_reason is not None or not self._on_readable():
                break
        return self._close_reason is None

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
            limit: seconds to wait for the reply; None for no limit.
            write_body: returns the arguments when they can be sent, instead of the message's own, so that a queued
                call needs no memory for them.
            max_reply_bytes: the maximum size of the reply message in bytes; default the connection's limit.
            on_send: called when the call is written; not called if it ends before.
            only_from: the unique name (for the bus, its own name) whose reply is accepted, besides errors of the bus or
                of a proxy in front of it. Some buses forward unsolicited replies from any connection. Empty for any
                sender.
            descriptors: receives the file descriptors of the reply, if the bus passes any; default: they are closed.

        Returns:
            The reply message.

        Raises:
            RemoteError: the reply is a D-Bus error.
            ReplyTooLargeError: the reply exceeds the size limit.
            CallTimeoutError: no reply within the limit.
            DisconnectedError: the connection is closed, or ended before the reply.
            BadMessageError: the call is invalid, the peer sent invalid data, or a descriptor is missing.
        """
        if self._close_reason is not None:
            raise self._closed_error()
        call = _Call(
            message,
            write_body,
            max_reply_bytes or self._max_message_bytes,
            on_send,
            only_from,
            descriptors,
            self._loop.create_future(),
        )
        fd_receiver = self._descriptors if descriptors is not None else None
        timer = None if limit is None else self._loop.call_later(limit, _expire, call.reply, limit)
        try:
            if fd_receiver is not None:
                fd_receiver.allow()
            if self._queued_calls or not self._has_room:
                self._queued_calls[call.reply] = call
            else:
                self._write_call(call)
            reply = await call.reply
        finally:
            self._pending.pop(call.serial, None)
            self._queued_calls.pop(call.reply, None)
            if fd_receiver is not None:
                fd_receiver.disallow()
            if timer is not None:
                timer.cancel()
            if call.reply.done() and not call.reply.cancelled():
                call.reply.exception()  # marks it as retrieved, if the caller was cancelled at the same moment
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
        """Call a method of the bus itself; replies of other senders are ignored.

        Args:
            member: the method of ``org.freedesktop.DBus``.
            signature: the signature of the arguments.
            body: the arguments.
            limit: seconds to wait for the reply; None for no limit. Default 60.0.
            on_send: called when the call is written; not called if it ends before.

        Returns:
            The values of the reply, of the types that the D-Bus specification defines for the method.

        Raises:
            BadMessageError: the reply has another signature.
            BusError: as ``call`` does.
        """
        call = bus_call(member, signature, *body)
        reply = await self.call(call, limit=limit, on_send=on_send, only_from=BUS_NAME)
        expected = _BUS_REPLY_SIGNATURES.get(member, reply.signature)
        if reply.signature != expected:
            raise BadMessageError(
                f"invalid reply from the bus to {member}: signature {reply.signature!r} instead of {expected!r}"
            )
        return tuple(reply.body)

    def send(self, message: Message) -> None:
        """Send a message that has no reply: a signal, a return or an error.

        Args:
            message: what to send.

        Raises:
            DisconnectedError: the connection is closed.
            BadMessageError: the message is invalid.
        """
        if self._close_reason is not None:
            raise self._closed_error()
        self._write(encode(replace(message, reply_expected=False), self._next_serial()))

    def on_signal(self, handler: Callable[[Message], None]) -> Callable[[], None]:
        """Add a handler that is called with each signal.

        Args:
            handler: called on the loop, in the order of arrival.

        Returns:
            A function that removes it.
        """
        self._signal_handlers.append(handler)
        return lambda: self._signal_handlers.remove(handler)

    def on_close(self, handler: Callable[[BusError], None]) -> Callable[[], None]:
        """Add a handler that is called once, with the reason, when the connection ends.

        Args:
            handler: called on the loop.

        Returns:
            A function that removes it.
        """
        self._close_handlers.append(handler)
        return lambda: self._close_handlers.remove(handler) if handler in self._close_handlers else None

    def close(self) -> None:
        """Close the connection; calls in flight raise ``ClosedHereError``. Closing again has no effect."""
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
        """Send until the socket's buffer is full; whether everything was sent."""
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
            self._end(DisconnectedError(f"connection to the bus lost ({error.strerror or error})"))
        return True

    def _on_writable(self) -> None:
        """Continue sending, and write queued calls while there is room."""
        flushed = self._flush()
        while self._queued_calls and self._has_room:
            _, call = self._queued_calls.popitem(last=False)
            if call.reply.done():
                continue
            try:
                self._write_call(call)
            except Exception as error:  # from write_body or encode: raised to the caller
                call.reply.set_exception(error)
        if flushed and not self._unsent and self._close_reason is None:
            self._loop.remove_writer(self._sock)

    def _on_readable(self) -> bool:
        """Read once and handle what was read; whether there was anything."""
        try:
            data = self._receive(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(DisconnectedError(f"connection to the bus lost ({error.strerror or error})"))
            return False
        if not data:
            self._end(DisconnectedError("the bus closed the connection"))
            return False
        try:
            for frame in self._frames.feed(data):
                if self._close_reason is not None:  # by a message before this one
                    break
                self._dispatch(decode(frame), frame)
        except BadMessageError as error:
            self._end(error)
        return True

    def _should_discard(self, length: int, reply_serial: int) -> bool:
        """Whether a long message is discarded; if so, the call that it replies to fails."""
        call = self._pending.get(reply_serial)
        if call is None:
            return reply_serial != 0 or length > self._max_message_bytes
        return call.is_oversized(length)

    def _dispatch(self, message: Message, frame: bytes) -> None:
        if message.kind is MessageKind.CALL:
            self._answer(message)
        elif message.kind is MessageKind.SIGNAL:
            for handler in tuple(self._signal_handlers):
                handler(message)
        else:
            call = self._pending.get(message.reply_serial)
            if call is None or not call.accepts(message, frame) or call.is_oversized(len(frame)) or call.reply.done():
                return
            try:
                if call.descriptors is not None and self._descriptors is not None:
                    self._descriptors.take(frame, call.descriptors)
                call.reply.set_result(message)
            except BadMessageError as error:  # only this call fails: the stream is intact
                call.reply.set_exception(error)

    def _answer(self, call: Message) -> None:
        if self.on_call is not None:
            self.on_call(call)
        elif call.reply_expected and self._has_room:  # no answer to a peer that does not read
            self.send(
                error_reply(call, "org.freedesktop.DBus.Error.UnknownMethod", "this connection offers no methods")
            )

    def _closed_error(self) -> BusError:
        assert self._close_reason is not None
        return type(self._close_reason)(*self._close_reason.args)

    def _end(self, reason: BusError) -> None:
        if self._close_reason is not None:
            return
        self._close_reason = reason
        if self._descriptors is not None:
            self._descriptors.close()
        _log.debug("connection %s ended: %s", self.unique_name, reason)
        if self._loop.is_closed():  # handlers can no longer run
            self._sock.close()
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._unsent.clear()
        for reply in (*(call.reply for call in self._pending.values()), *self._queued_calls):
            if not reply.done():
                reply.set_exception(self._closed_error())
        for handler in tuple(self._close_handlers):
            handler(reason)


def bus_call(member: str, signature: str = "", *body: Any) -> Message:
    """Make a call of a method of the bus itself.

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


def check_unique_name(name: str) -> str:
    """Check a unique connection name from the bus.

    Args:
        name: the name in the reply of the bus.

    Returns:
        The same name.

    Raises:
        BadMessageError: it is not a unique name.
    """
    if len(name) > _MAX_NAME_LENGTH or not _UNIQUE_NAME.fullmatch(name):
        raise BadMessageError("invalid reply from the bus: not a unique connection name")
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


def _close_unless_in_use(sock: socket.socket, loop: weakref.ref[asyncio.AbstractEventLoop]) -> None:
    """Close a socket unless a running loop reads from it, such as one of another thread when the process exits."""
    running = loop()
    if running is None or not running.is_running():
        sock.close()


def _expire(future: asyncio.Future[Message], limit: float) -> None:
    if not future.done():
        future.set_exception(CallTimeoutError(limit))
