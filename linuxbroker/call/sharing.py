"""Which requests are one call? Equal ones that are in flight at the same time, each caller with its own way out."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from linuxbroker.errors import BrokerError

T = TypeVar("T")


class SharedCalls(Generic[T]):
    """Calls in flight, to be joined. Nothing is kept of a call that has ended."""

    def __init__(self) -> None:
        # What those wait for who joined: the outcome, or None where whoever made the call gave it up.
        self._of_loop: dict[asyncio.AbstractEventLoop, dict[Hashable, asyncio.Future[T | BrokerError | None]]] = {}

    async def run(self, key: Hashable, operation: Callable[[], Awaitable[T]]) -> T:
        """Join the call in flight under a key, or make it.

        A caller who joined and is cancelled leaves the call alone. When the one who made it is cancelled, the next
        makes it again.

        Args:
            key: what makes two requests the same.
            operation: makes the call.

        Returns:
            What it gives; the same object for everyone who waits.

        Raises:
            BrokerError: it failed; an exception of its own for everyone who waits.
        """
        loop = asyncio.get_running_loop()
        while (call := self._calls_of(loop).get(key)) is not None:
            outcome = await asyncio.shield(call)
            if isinstance(outcome, BrokerError):
                raise copy.deepcopy(outcome)
            if outcome is not None:
                return outcome
        call = self._of_loop.setdefault(loop, {})[key] = loop.create_future()
        made: T | BrokerError | None = None
        try:
            made = result = await operation()
        except BrokerError as error:
            made = copy.deepcopy(error)
            raise
        finally:
            self._forget(loop, key)
            if not loop.is_closed():
                call.set_result(made)
        return result

    def _calls_of(self, loop: asyncio.AbstractEventLoop) -> dict[Hashable, asyncio.Future[T | BrokerError | None]]:
        if loop not in self._of_loop:
            for closed in [known for known in tuple(self._of_loop) if known.is_closed()]:
                self._of_loop.pop(closed, None)
        return self._of_loop.get(loop, {})

    def _forget(self, loop: asyncio.AbstractEventLoop, key: Hashable) -> None:
        calls = self._of_loop.get(loop, {})
        calls.pop(key, None)
        if not calls:
            self._of_loop.pop(loop, None)
