"""Which connection does a client use? One a loop and address, shared by its clients, opened anew when it ended.

Clients that want file descriptors passed have one of their own: what the others send and read is the same with and
without them.
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

# What is no reply to a call of the broker: signals about bus names, and answers of the bus itself.
_MAX_MESSAGE_BYTES = 1024 * 1024

# Weak on both sides: an open connection is kept by its loop, which reads from it, and goes with the loop.
_Key: TypeAlias = "tuple[str | None, bool]"
_registry: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.WeakValueDictionary[_Key, SharedBus]]
_registry = weakref.WeakKeyDictionary()
_registry_lock = threading.Lock()


def shared_bus(address: str | None, *, wants_descriptors: bool = False) -> SharedBus:
    """Find or make the running loop's shared connection to a bus. Nothing is connected yet.

    Args:
        address: a D-Bus address; None for the session bus.
        wants_descriptors: whether file descriptors are to be passed, which is agreed when the connection is opened:
            those who want none share another one.

    Returns:
        The same object for the same loop and arguments.

    Raises:
        RuntimeError: no loop is running.
    """
    loop, key = asyncio.get_running_loop(), (address, wants_descriptors)
    with _registry_lock:
        buses = _registry.get(loop)
        if buses is None:
            buses = _registry[loop] = weakref.WeakValueDictionary()
        bus = buses.get(key)
        if bus is None:
            bus = buses[key] = SharedBus(*key)
        return bus


def _forget_after_fork() -> None:
    """A child must not use its parent's sockets: it starts with none."""
    global _registry, _registry_lock
    _registry = weakref.WeakKeyDictionary()
    _registry_lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_after_fork)


class SharedBus:
    """A bus connection that is opened by the first call, shared by its users, and closed with the last of them.

    A user that is dropped without ``release`` counts as done once it is collected.
    """

    def __init__(self, address: str | None, wants_descriptors: bool) -> None:
        self._address = address
        self._wants_descriptors = wants_descriptors
        self._loop = weakref.ref(asyncio.get_running_loop())
        self._users: set[weakref.ref[object]] = set()
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._waiting = 0
        self._sign_in = asyncio.Lock()
        self._sign_ins = 0
        self._ending: asyncio.Future[None] | None = None

    @property
    def waiting_sign_ins(self) -> int:
        """How many calls wait in ``sign_in_turn`` for one that has it, or is about to."""
        return max(0, self._sign_ins - 1)

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
        self._users.add(weakref.ref(user, self._dropped))
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

    @contextlib.asynccontextmanager
    async def sign_in_turn(self, limit: float | None) -> AsyncGenerator[bool, None]:
        """Wait for the turn to ask a person, which one call of the connection has at a time.

        Args:
            limit: seconds to wait; None for no limit.

        Yields:
            Whether it is this call's turn, until the end of the block; False where the limit came first.
        """
        turn = asyncio.ensure_future(self._sign_in.acquire())
        self._sign_ins += 1
        try:
            await asyncio.wait({turn}, timeout=limit)
            yield turn.done()
        finally:
            if not turn.done() or turn.cancelled():
                self._sign_ins -= 1
            elif self._ending is None or self._ending.done():
                self._end_turn()
            else:
                self._ending.add_done_callback(self._end_turn)
            turn.cancel()

    def keep_turn(self, ending: asyncio.Future[None]) -> None:
        """Have the turn of ``sign_in_turn`` last, beyond the end of the block if need be, until its sign-in has ended.

        Args:
            ending: what ends the sign-in.
        """
        self._ending = ending

    def _end_turn(self, _ended: object = None) -> None:
        self._ending = None
        self._sign_ins -= 1
        self._sign_in.release()

    def release(self, user: object) -> None:
        """Note that a user is done; the connection is closed with its last user.

        Args:
            user: what was given to ``connection``.
        """
        self._forget(weakref.ref(user))

    def _dropped(self, user: weakref.ref[object]) -> None:
        """Runs in whichever thread collects the user."""
        loop = self._loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the connection with it
                loop.call_soon_threadsafe(self._forget, user)

    def _forget(self, user: weakref.ref[object]) -> None:
        self._users.discard(user)
        if not self._users:
            self._give_up()
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _ended(self, _reason: BusError) -> None:
        self._connection = None

    def _open(self) -> asyncio.Task[Connection]:
        # Each waiter has a limit of its own; the attempt ends with the last of them.
        attempt = Connection.open(
            self._address,
            limit=None,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            wants_descriptors=self._wants_descriptors,
        )
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
            self._connection.on_close(self._ended)
        else:
            opening.result().close()
