"""A bus monitor that records calls to the broker and queries about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from linuxbroker.bus import Connection, Message, MessageKind
from linuxbroker.bus.connection import BUS_NAME, BUS_PATH
from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH

# Queries to the bus about the broker, which a client must not send before its first call (PROTOCOL.md, CL-02).
_LOOKUPS = frozenset({"GetNameOwner", "NameHasOwner", "StartServiceByName"})
_LISTINGS = frozenset({"ListNames", "ListActivatableNames"})


@dataclass(frozen=True)
class SentCall:
    """A method call that the program under test sent.

    Attributes:
        destination, path, interface, member, signature: as on the bus.
        body: the arguments.
        sender: the caller's unique bus name.
    """

    destination: str
    path: str
    interface: str
    member: str
    signature: str
    body: tuple[Any, ...]
    sender: str

    @property
    def is_broker_call(self) -> bool:
        """Whether it is a call to the broker's interface."""
        return self.interface == BROKER_INTERFACE

    @property
    def is_lookup(self) -> bool:
        """Whether it is a query to the bus about the broker."""
        if self.destination != BUS_NAME:
            return False
        return self.member in _LISTINGS or (self.member in _LOOKUPS and self.body[:1] == (BROKER_BUS_NAME,))

    @property
    def request(self) -> Any:
        """The request, decoded; None if there is none, or it is not JSON."""
        try:
            return json.loads(self.body[2])
        except (IndexError, TypeError, ValueError, RecursionError):
            return None

    @property
    def correlation_id(self) -> str:
        """The second argument, or ``""``."""
        return str(self.body[1]) if len(self.body) > 1 else ""


class Wire:
    """A bus monitor, until the end of the ``async with`` block.

    Args:
        address: the D-Bus address.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._calls: list[SentCall] = []
        self._changed = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()
        self._own_names: set[str] = set()
        self._marks = 0
        self._marks_seen = 0

    async def __aenter__(self) -> Wire:
        self._marker = await Connection.open(self._address)
        self._own_names.add(self._marker.unique_name)
        self._monitor = await Connection.open(self._address)
        self._monitor.on_call = self._on_call
        await self._monitor.call(_become_monitor(), limit=30.0)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._monitor.close()
        self._marker.close()
        await asyncio.gather(*self._wakers, return_exceptions=True)

    def clear(self) -> None:
        """Remove all recorded calls."""
        self._calls.clear()

    def calls(self, since: int = 0) -> list[SentCall]:
        """Return the calls to the broker and the queries about it, in order.

        Args:
            since: the number of calls to skip, counted from the last ``clear``.

        Returns:
            The other calls.
        """
        return self._calls[since:]

    async def settle(self) -> None:
        """Wait until all calls that are on the bus now are recorded."""
        await self._marker.call_bus("GetId", limit=30.0)
        self._marks += 1
        async with self._changed:
            await self._changed.wait_for(lambda: self._marks_seen >= self._marks)

    async def wait_for(self, enough: Callable[[list[SentCall]], bool]) -> None:
        """Wait for a condition on the recorded calls.

        Args:
            enough: the condition.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: enough(self._calls))

    def _on_call(self, message: Message) -> None:
        if message.sender in self._own_names:
            self._marks_seen += message.member == "GetId"
        else:
            call = SentCall(
                message.destination,
                message.path,
                message.interface,
                message.member,
                message.signature,
                tuple(message.body),
                message.sender,
            )
            to_broker = message.path == BROKER_OBJECT_PATH or message.destination == BROKER_BUS_NAME
            if to_broker or call.is_broker_call or call.is_lookup:
                self._calls.append(call)
        waker = asyncio.ensure_future(self._wake())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _become_monitor() -> Message:
    return Message(
        MessageKind.CALL,
        destination=BUS_NAME,
        path=BUS_PATH,
        interface="org.freedesktop.DBus.Monitoring",
        member="BecomeMonitor",
        signature="asu",
        body=([], 0),
    )
