"""The record of the calls that the fake broker got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A call that arrived.

    Attributes:
        path, interface, member, signature: where it went.
        protocol_version: the first argument of a broker method, else the empty string.
        correlation_id: the second.
        request: the third, decoded; None where it is not JSON, or the call is of another interface.
        body: the raw arguments of a call of another interface.
        sender: the caller's unique bus name.
    """

    path: str
    interface: str
    member: str
    signature: str
    protocol_version: str = ""
    correlation_id: str = ""
    request: Any = field(default=None, repr=False)
    body: tuple[Any, ...] = field(default=(), repr=False)
    sender: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The call as JSON-ready values."""
        return asdict(self)


class Journal:
    """The calls in the order in which they arrived."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._arrived = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()

    def record(self, call: Call) -> None:
        """Add a call and wake whoever waits for it."""
        self._calls.append(call)
        waker = asyncio.ensure_future(self._wake())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    def clear(self) -> None:
        """Forget the calls so far."""
        self._calls.clear()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls since the start or the last ``clear``, other interfaces' included."""
        return tuple(self._calls)

    def of(self, *members: str) -> list[Call]:
        """The calls of some methods."""
        return [call for call in self._calls if call.member in members]

    @property
    def members(self) -> list[str]:
        """The names of the methods that were called."""
        return [call.member for call in self._calls]

    async def wait_for(self, member: str, count: int = 1) -> list[Call]:
        """Wait until a method was called.

        Args:
            member: the method.
            count: how many calls to wait for.

        Returns:
            Its calls so far.
        """
        reached: Callable[[], bool] = lambda: len(self.of(member)) >= count  # noqa: E731 - a name for the reader
        async with self._arrived:
            await self._arrived.wait_for(reached)
        return self.of(member)

    async def _wake(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()
