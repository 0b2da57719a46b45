"""Which connection does a client use? One a loop and address, shared by its clients, opened anew when it ended."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref

from linuxbroker.bus.connection import Connection
from linuxbroker.bus.errors import ClosedHereError, ConnectError
from linuxbroker.bus.frames import MAX_MESSAGE_BYTES

_registry: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str | None, int], SharedBus]]
_registry = weakref.WeakKeyDictionary()
_registry_lock = threading.Lock()


def shared_bus(address: str | None, max_message_bytes: int = MAX_MESSAGE_BYTES) -> SharedBus:
    """Find or make the running loop's shared connection to a bus. Nothing is connected yet.

    Args:
        address: a D-Bus address; None for the session bus.
        max_message_bytes: the largest message that will be read.

    Returns:
        The same object for the same loop and arguments.

    Raises:
        RuntimeError: no loop is running.
    """
    loop = asyncio.get_running_loop()
    key = (address, max_message_bytes)
    with _registry_lock:
        if loop not in _registry:
            _forget_closed_loops()
            _registry[loop] = {}
        buses = _registry[loop]
        if key not in buses:
            buses[key] = SharedBus(address, max_message_bytes)
        return buses[key]


def _forget_closed_loops() -> None:
    """A loop that was closed with connections open can't close them any more: the next loop does it."""
    for loop in [loop for loop in _registry if loop.is_closed()]:
        for bus in _registry.pop(loop).values():
            bus.abandon()


def _forget_after_fork() -> None:
    """A child must not use its parent's sockets: it starts with none."""
    global _registry, _registry_lock
    _registry = weakref.WeakKeyDictionary()
    _registry_lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_after_fork)


class SharedBus:
    """A bus connection that is opened by the first call, shared by its users, and closed with the last of them."""

    def __init__(self, address: str | None, max_message_bytes: int) -> None:
        self._address = address
        self._max_message_bytes = max_message_bytes
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._waiting = 0

    async def connection(self, user: object, *, limit: float | None) -> Connection:
        """Give the open connection, opening one if there is none.

        Args:
            user: who uses it; it stays open until every user has called ``release``.
            limit: seconds for connecting, if that is needed; None for no limit.

        Returns:
            An open connection.

        Raises:
            AddressError: there is no usable address.
            ConnectError: the bus can't be reached, or not within the limit.
            ClosedHereError: ``release`` was called meanwhile.
        """
        self._users.add(user)
        if self._connection is not None and self._connection.check_open():
            return self._connection
        opening = self._opening or self._open()
        self._waiting += 1
        try:
            await asyncio.wait({opening}, timeout=limit)
        finally:
            if opening is self._opening:
                self._waiting -= 1
                if not self._waiting:
                    self._give_up()
        if opening.cancelled():
            raise ClosedHereError("the client was closed while it connected")
        if not opening.done():
            raise ConnectError(f"{self._address or 'the session bus'} gave no answer within {limit:g} s")
        return opening.result()

    def release(self, user: object) -> None:
        """Note that a user is done; the connection is closed with its last user.

        Args:
            user: what was given to ``connection``.
        """
        self._users.discard(user)
        if not self._users:
            self._give_up()
            self.abandon()

    def abandon(self) -> None:
        """Close what is open, even after the loop itself was closed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> asyncio.Task[Connection]:
        # Each waiter has a limit of its own; the attempt ends with the last of them.
        attempt = Connection.open(self._address, limit=None, max_message_bytes=self._max_message_bytes)
        self._opening = asyncio.ensure_future(attempt)
        self._opening.add_done_callback(self._opened)
        self._waiting = 0
        return self._opening

    def _give_up(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _opened(self, opening: asyncio.Task[Connection]) -> None:
        wanted = opening is self._opening
        if wanted:
            self._opening = None
        if opening.cancelled() or opening.exception() is not None:
            return
        if wanted and self._users:
            self._connection = opening.result()
        else:
            opening.result().close()
