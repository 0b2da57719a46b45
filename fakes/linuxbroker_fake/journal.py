"""The record of the calls that the fake broker got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

_HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Call:
    """A call that arrived; where a password was in it, ``(hidden)`` stands.

    Attributes:
        path, interface, member, signature: where it went.
        protocol_version: the first argument of a broker method, else the empty string.
        correlation_id: the second.
        request: the third, decoded; None where it is not JSON or too deep, or the call is of another interface.
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

    def __post_init__(self) -> None:
        try:
            request = _without_passwords(self.request)
        except RecursionError:
            request = None
        object.__setattr__(self, "request", request)
        object.__setattr__(self, "body", tuple(map(_text_without_passwords, self.body)))

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


def _without_passwords(value: Any) -> Any:
    """A value of JSON, the passwords in it hidden: one that a person types in can be one that opens something."""
    if isinstance(value, list):
        return list(map(_without_passwords, cast("Iterable[Any]", value)))
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {
            key: _HIDDEN if key.casefold() == "password" and item else _without_passwords(item)
            for key, item in fields.items()
        }
    return value


def _text_without_passwords(argument: Any) -> Any:
    """An argument of a call that went elsewhere: it may be a request all the same."""
    if not isinstance(argument, str) or "password" not in argument.casefold():
        return argument
    try:
        return json.dumps(_without_passwords(json.loads(argument)))
    except (ValueError, RecursionError):
        return _HIDDEN
