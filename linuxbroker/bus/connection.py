"""How does a call travel over one bus connection, and its reply come back?

A non-blocking socket with its own writer and reader on the running loop: a full socket buffer waits for room, each
pending call is a future that is forgotten as soon as its caller is, and the end of the connection ends every call in
flight.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from linuxbroker.bus import address as addresses
from linuxbroker.bus.errors import (
    BadMessageError,
    BusError,
    CallTimeoutError,
    ClosedHereError,
    ConnectError,
    DisconnectedError,
    RemoteError,
)
from linuxbroker.bus.frames import MAX_MESSAGE_BYTES, FrameReader
from linuxbroker.bus.handshake import authenticate
from linuxbroker.bus.messages import Message, MessageKind, decode, encode

_log = logging.getLogger("linuxbroker.bus")

BUS_NAME = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
_READ_BYTES = 256 * 1024
# New calls wait while more than this is unsent, so that memory follows the peer's pace and not the caller's.
_UNSENT_LIMIT_BYTES = 1024 * 1024
_MAX_SERIAL = 0xFFFFFFFF
_READS_IN_A_ROW = 16
_BACKLOG_PAUSE_SECONDS = 0.01


class Connection:
    """An open connection to a message bus, bound to the loop that opened it. Made by ``Connection.open``."""

    def __init__(self, sock: socket.socket, max_message_bytes: int) -> None:
        self.unique_name = ""
        self.on_call: Callable[[Message], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._frames = FrameReader(max_message_bytes)
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._signal_handlers: list[Callable[[Message], None]] = []
        self._close_handlers: list[Callable[[BusError], None]] = []
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._serial = 0
        self._ended: BusError | None = None
        # A loop that is closed with the connection open leaves it to the garbage collector: no warning, no descriptor.
        # Not at the end of the process, when a loop on another thread may still be reading.
        weakref.finalize(self, sock.close).atexit = False
        self._loop.add_reader(sock, self._on_readable)

    @classmethod
    async def open(
        cls, address: str | None = None, *, limit: float | None = 5.0, max_message_bytes: int = MAX_MESSAGE_BYTES
    ) -> Connection:
        """Connect to a bus, authenticate and say Hello.

        Args:
            address: a D-Bus address; the session bus's unless given.
            limit: seconds for all of it, every alternative of the address included; None for no limit.
            max_message_bytes: the largest message that will be read.

        Returns:
            The connection, ready for calls.

        Raises:
            AddressError: there is no address, or none that can be used.
            ConnectError: no alternative led to a bus in time.
        """
        text = address or addresses.session_address()
        candidates = addresses.unix_sockets(text)
        failures: list[str] = []
        try:
            return await asyncio.wait_for(cls._open_first(candidates, failures, max_message_bytes), limit)
        except asyncio.TimeoutError:
            failures.append(f"no answer within {limit:g} s")
        except ConnectError:
            pass
        raise ConnectError(f"can't connect to the bus at {text!r}: {'; '.join(failures)}")

    @classmethod
    async def _open_first(cls, candidates: list[bytes], failures: list[str], max_message_bytes: int) -> Connection:
        for candidate in candidates:
            try:
                return await cls._open_one(candidate, max_message_bytes)
            except (BusError, OSError) as error:
                failures.append(error.strerror or str(error) if isinstance(error, OSError) else str(error))
        raise ConnectError("no alternative of the address led to a bus")

    @classmethod
    async def _open_one(cls, candidate: bytes, max_message_bytes: int) -> Connection:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection: Connection | None = None
        try:
            sock.setblocking(False)
            await _connect(sock, candidate)
            await authenticate(sock)
            connection = cls(sock, max_message_bytes)
            (connection.unique_name,) = await connection.call_bus("Hello", limit=None)
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

    @property
    def pending_calls(self) -> int:
        """How many calls wait for a reply."""
        return len(self._pending)

    async def call(self, message: Message, *, limit: float | None) -> Message:
        """Send a method call and wait for its reply.

        Args:
            message: the call.
            limit: seconds to wait for the reply; None to wait for ever.

        Returns:
            The reply message.

        Raises:
            RemoteError: a D-Bus error came back.
            CallTimeoutError: no reply within the limit.
            DisconnectedError: the connection is closed, or ended before the reply came.
            BadMessageError: the call can't be written, or the peer stopped speaking D-Bus.
        """
        serial, future = 0, self._loop.create_future()
        timer = None if limit is None else self._loop.call_later(limit, _expire, future, message.member, limit)
        try:
            while not self._room.is_set() and self._ended is None:
                await _first(self._room.wait(), future)
            if self._ended is not None:
                raise self._end_reason()
            serial = self._next_serial()
            self._pending[serial] = future
            self._write(encode(message, serial))
            reply: Message = await future
        finally:
            self._pending.pop(serial, None)
            if timer is not None:
                timer.cancel()
            if future.done() and not future.cancelled():
                future.exception()  # looked at: no complaint when the caller was cancelled at the same moment
        if reply.kind is MessageKind.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise RemoteError(reply.error_name, text)
        return reply

    async def call_bus(
        self, member: str, signature: str = "", *body: Any, limit: float | None = 60.0
    ) -> tuple[Any, ...]:
        """Call a method of the bus daemon itself.

        Args:
            member: the method of ``org.freedesktop.DBus``.
            signature: the signature of the arguments.
            body: the arguments.
            limit: seconds to wait; None to wait for ever.

        Returns:
            The values that came back.

        Raises:
            BusError: as ``call`` does.
        """
        return tuple((await self.call(bus_call(member, signature, *body), limit=limit)).body)

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

    def _write(self, data: bytes) -> None:
        if not self._unsent:
            self._loop.add_writer(self._sock, self._on_writable)
        self._unsent.append(memoryview(data))
        self._unsent_bytes += len(data)
        if self._unsent_bytes > _UNSENT_LIMIT_BYTES:
            self._room.clear()
        if len(self._unsent) == 1:
            self._on_writable()

    def _on_writable(self) -> None:
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent[0])
                self._unsent_bytes -= sent
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                    return
                self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(DisconnectedError(f"the connection to the bus ended ({error.strerror or error})"))
            return
        finally:
            if self._unsent_bytes <= _UNSENT_LIMIT_BYTES:
                self._room.set()
        self._loop.remove_writer(self._sock)

    def _on_readable(self) -> bool:
        """Read once; whether there was something."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end(DisconnectedError(f"the connection to the bus ended ({error.strerror or error})"))
            return False
        if not data:
            self._end(DisconnectedError("the bus closed the connection"))
            return False
        try:
            for frame in self._frames.feed(data):
                self._dispatch(decode(frame))
        except BadMessageError as error:
            self._end(error)
        return True

    def _dispatch(self, message: Message) -> None:
        if message.kind is MessageKind.CALL:
            self._answer(message)
        elif message.kind is MessageKind.SIGNAL:
            for handler in tuple(self._signal_handlers):
                handler(message)
        else:
            future = self._pending.get(message.reply_serial)
            if future is not None and not future.done():
                future.set_result(message)

    def _answer(self, call: Message) -> None:
        if self.on_call is not None:
            self.on_call(call)
        elif call.reply_expected:
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
        _log.debug("connection %s ended: %s", self.unique_name, reason)
        if self._loop.is_closed():  # nobody is left to tell
            self._sock.close()
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._unsent.clear()
        self._room.set()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(self._end_reason())
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


async def _connect(sock: socket.socket, address: bytes) -> None:
    """Connect a non-blocking socket; while the listener's queue is full the kernel offers nothing to wait for."""
    while True:
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            await asyncio.sleep(_BACKLOG_PAUSE_SECONDS)


def _expire(future: asyncio.Future[Message], member: str, limit: float) -> None:
    if not future.done():
        future.set_exception(CallTimeoutError(member, limit))


async def _first(waiting: Any, future: asyncio.Future[Message]) -> None:
    """Wait until there is room to write; raise what ended the call's future if that came first."""
    room = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({room, future}, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            future.result()
    finally:
        room.cancel()
