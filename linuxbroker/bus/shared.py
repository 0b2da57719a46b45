"""The connection shared by the clients of a loop that use the same bus; a lost one is reopened.

Clients that request file descriptor passing share a separate connection, so that others are not affected by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator
from typing import TypeAlias

from linuxbroker.bus.connection import Connection
from linuxbroker.bus.errors import BusError, ClosedHereError, ConnectError

# Limit for all but the broker's replies: signals about bus names, and replies of the bus itself.
_MAX_MESSAGE_BYTES = 1024 * 1024

# Weak keys and values: only its loop, which reads from it, keeps an open connection alive.
_Key: TypeAlias = "tuple[str | None, bool]"
_registry: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.WeakValueDictionary[_Key, SharedBus]]
_registry = weakref.WeakKeyDictionary()
_registry_lock = threading.Lock()


def shared_bus(address: str | None, *, pass_descriptors: bool = False) -> SharedBus:
    """Get the running loop's shared connection to a bus, which is not connected yet.

    Args:
        address: a D-Bus address; None for the session bus.
        pass_descriptors: whether to request file descriptor passing, which is negotiated when the connection is opened.

    Returns:
        The same object for the same loop and arguments.

    Raises:
        RuntimeError: no loop is running.
    """
    loop, key = asyncio.get_running_loop(), (address, pass_descriptors)
    with _registry_lock:
        buses = _registry.get(loop)
        if buses is None:
            buses = _registry[loop] = weakref.WeakValueDictionary()
        bus = buses.get(key)
        if bus is None:
            bus = buses[key] = SharedBus(*key)
        return bus


def _forget_after_fork() -> None:
    """Drop the connections in a child process: it must not use its parent's sockets."""
    global _registry, _registry_lock
    _registry = weakref.WeakKeyDictionary()
    _registry_lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_after_fork)


class SharedBus:
    """A bus connection that is opened by the first call, shared by its users, and closed by the last ``release``.

    A user that is garbage-collected counts as released.
    """

    def __init__(self, address: str | None, pass_descriptors: bool) -> None:
        self._address = address
        self._pass_descriptors = pass_descriptors
        self._loop = weakref.ref(asyncio.get_running_loop())
        self._users: set[weakref.ref[object]] = set()
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._waiters = 0
        self._sign_in_lock = asyncio.Lock()
        self._sign_in_count = 0
        self._ending: asyncio.Future[None] | None = None

    @property
    def waiting_sign_ins(self) -> int:
        """The number of calls that wait in ``sign_in_turn``, without the one whose turn it is."""
        return max(0, self._sign_in_count - 1)

    async def connection(self, user: object, *, limit: float | None) -> Connection:
        """Get the open connection; open one if there is none.

        Args:
            user: the object that uses it; the connection stays open until every user is released.
            limit: seconds for connecting, if required; None for no limit.

        Returns:
            An open connection.

        Raises:
            AddressError: the address is missing or invalid.
            ConnectError: the bus is unavailable, or did not answer within the limit.
            ClosedHereError: ``release`` was called while connecting.
        """
        self._users.add(weakref.ref(user, self._on_user_collected))
        if self._connection is not None and self._connection.check_open():
            return self._connection
        opening = self._opening or self._start_opening()
        self._waiters += 1
        try:
            await asyncio.wait({opening}, timeout=limit)
        finally:
            if opening is self._opening:
                self._waiters -= 1
                if not self._waiters:
                    self._cancel_opening()
        if opening.cancelled():
            raise ClosedHereError("the client was closed while connecting")
        if not opening.done():
            raise ConnectError(f"no reply from {self._address or 'the session bus'} within {limit:g} s")
        return opening.result()

    @contextlib.asynccontextmanager
    async def sign_in_turn(self, limit: float | None) -> AsyncGenerator[bool, None]:
        """Wait until no other call of the connection asks the user to sign in.

        Args:
            limit: seconds to wait; None for no limit.

        Yields:
            Whether it is this call's turn, until the end of the block; False if the limit was reached.
        """
        turn = asyncio.ensure_future(self._sign_in_lock.acquire())
        self._sign_in_count += 1
        try:
            await asyncio.wait({turn}, timeout=limit)
            yield turn.done()
        finally:
            if not turn.done() or turn.cancelled():
                self._sign_in_count -= 1
            elif self._ending is None or self._ending.done():
                self._end_turn()
            else:
                self._ending.add_done_callback(self._end_turn)
            turn.cancel()

    def keep_turn(self, ending: asyncio.Future[None]) -> None:
        """Extend the current turn of ``sign_in_turn`` until its cancelled sign-in has ended in the broker.

        Args:
            ending: done when the sign-in has ended.
        """
        self._ending = ending

    def _end_turn(self, _future: object = None) -> None:
        self._ending = None
        self._sign_in_count -= 1
        self._sign_in_lock.release()

    def release(self, user: object) -> None:
        """Remove a user; without users the connection is closed.

        Args:
            user: the object that was passed to ``connection``.
        """
        self._remove_user(weakref.ref(user))

    def _on_user_collected(self, user: weakref.ref[object]) -> None:
        """Remove a garbage-collected user; runs in the thread that collects it."""
        loop = self._loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the connection with it
                loop.call_soon_threadsafe(self._remove_user, user)

    def _remove_user(self, user: weakref.ref[object]) -> None:
        self._users.discard(user)
        if not self._users:
            self._cancel_opening()
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _on_close(self, _reason: BusError) -> None:
        self._connection = None

    def _start_opening(self) -> asyncio.Task[Connection]:
        # Each waiter has its own limit; the attempt is cancelled with the last waiter.
        attempt = Connection.open(
            self._address,
            limit=None,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            pass_descriptors=self._pass_descriptors,
        )
        self._opening = asyncio.ensure_future(attempt)
        self._opening.add_done_callback(self._on_open_done)
        self._waiters = 0
        return self._opening

    def _cancel_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _on_open_done(self, opening: asyncio.Task[Connection]) -> None:
        is_current = opening is self._opening
        if is_current:
            self._opening = None
        if opening.cancelled() or opening.exception() is not None:
            return
        if is_current and self._users:
            self._connection = opening.result()
            self._connection.on_close(self._on_close)
        else:
            opening.result().close()
