"""The journal: the calls that the fake broker received."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

_HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Call:
    """A received call; passwords are replaced by ``(hidden)``.

    Attributes:
        path, interface, member, signature: as on the bus.
        protocol_version: the first argument of a broker method; ``""`` for other interfaces.
        correlation_id: the second argument of a broker method; ``""`` for other interfaces.
        request: the third argument of a broker method, decoded; None if it is not JSON or nested too deep, and for
            other interfaces.
        body: the arguments of a call to another interface.
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

    def __post_init__(self) -> None:
        try:
            request = _hide_passwords(self.request)
        except RecursionError:
            request = None
        object.__setattr__(self, "request", request)
        object.__setattr__(self, "body", tuple(map(_hide_passwords_in_text, self.body)))

    def as_dict(self) -> dict[str, Any]:
        """Return the call as JSON-compatible values."""
        return asdict(self)


class Journal:
    """The received calls in order."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._arrived = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()

    def record(self, call: Call) -> None:
        """Add a call, and wake the tasks that wait for it."""
        self._calls.append(call)
        waker = asyncio.ensure_future(self._wake())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    def clear(self) -> None:
        """Remove all calls."""
        self._calls.clear()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls since the start or the last ``clear``, including those to other interfaces."""
        return tuple(self._calls)

    def of(self, *members: str) -> list[Call]:
        """The calls of some methods."""
        return [call for call in self._calls if call.member in members]

    @property
    def members(self) -> list[str]:
        """The names of the methods that were called."""
        return [call.member for call in self._calls]

    async def wait_for(self, member: str, count: int = 1) -> list[Call]:
        """Wait until a method was called ``count`` times.

        Args:
            member: the method.
            count: the number of calls.

        Returns:
            The calls of the method so far.
        """
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.of(member)) >= count)
        return self.of(member)

    async def _wake(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()


def _hide_passwords(value: Any) -> Any:
    """Return a JSON value with its passwords replaced: a user may have typed a real one."""
    if isinstance(value, list):
        return list(map(_hide_passwords, cast("Iterable[Any]", value)))
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {
            key: _HIDDEN if key.casefold() == "password" and item else _hide_passwords(item)
            for key, item in fields.items()
        }
    return value


def _hide_passwords_in_text(argument: Any) -> Any:
    """Return an argument of a call to another interface with its passwords replaced, as it can be a request too."""
    if not isinstance(argument, str) or "password" not in argument.casefold():
        return argument
    try:
        return json.dumps(_hide_passwords(json.loads(argument)))
    except (ValueError, RecursionError):
        return _HIDDEN
