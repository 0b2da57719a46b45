"""Which requests are one call? Equal ones that are in flight at the same time, each caller with its own way out."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from linuxbroker.errors import BrokerError

T = TypeVar("T")


class SharedCalls(Generic[T]):
    """Calls in flight, to be joined. Nothing is kept of a call that has ended."""

    def __init__(self) -> None:
        self._of_loop: dict[asyncio.AbstractEventLoop, dict[Hashable, _Call[T]]] = {}

    async def run(self, key: Hashable, operation: Callable[[], Awaitable[T]]) -> T:
        """Join the call in flight under a key, or make it.

        A caller that is cancelled leaves the others' call alone; the last one ends it.

        Args:
            key: what makes two requests the same.
            operation: makes the call, in a task of its own.

        Returns:
            What it gives; the same object for everyone who waits.

        Raises:
            BrokerError: it failed; an exception of its own for everyone who waits.
        """
        loop = asyncio.get_running_loop()
        calls = self._calls_of(loop)
        call = calls.get(key)
        if call is None:
            call = calls[key] = _Call(operation, partial(self._forget, loop, key))
        try:
            outcome = await call.outcome()
        except asyncio.CancelledError:
            if call.is_unwanted:
                await call.cancel()
            raise
        if isinstance(outcome, BrokerError):
            raise copy.deepcopy(outcome)
        return outcome

    def _calls_of(self, loop: asyncio.AbstractEventLoop) -> dict[Hashable, _Call[T]]:
        if loop not in self._of_loop:
            for closed in [known for known in tuple(self._of_loop) if known.is_closed()]:
                self._of_loop.pop(closed, None)
        return self._of_loop.setdefault(loop, {})

    def _forget(self, loop: asyncio.AbstractEventLoop, key: Hashable) -> None:
        calls = self._of_loop[loop]
        del calls[key]
        if not calls:
            del self._of_loop[loop]


class _Call(Generic[T]):
    """A call in flight, and those who wait for it.

    Args:
        operation: makes the call.
        forget: called once, when nobody is to join any more.
    """

    def __init__(self, operation: Callable[[], Awaitable[T]], forget: Callable[[], None]) -> None:
        self._waiters: set[asyncio.Future[T | BrokerError]] = set()
        self._forget: Callable[[], None] | None = forget
        self._task = asyncio.ensure_future(self._run(operation))
        self._task.add_done_callback(self._ended)

    async def outcome(self) -> T | BrokerError:
        """Wait for the end of the call; a failure of the broker's is returned."""
        waiter: asyncio.Future[T | BrokerError] = self._task.get_loop().create_future()
        self._waiters.add(waiter)
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)

    @property
    def is_unwanted(self) -> bool:
        """Whether it goes on though nobody waits for it."""
        return not self._waiters and not self._task.done()

    async def cancel(self) -> None:
        """End it, and wait until it has."""
        self._close()
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self, operation: Callable[[], Awaitable[T]]) -> None:
        outcome: T | BrokerError
        try:
            outcome = await operation()
        except BrokerError as error:
            outcome = error
        self._close()
        for waiter in self._waiters:  # told here: a callback of the task would be a turn of the loop later
            if not waiter.done():
                waiter.set_result(outcome)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Pass on an end that is no outcome: cancelled from outside, or a mistake of this library's."""
        self._close()
        mistake = None if task.cancelled() else task.exception()
        for waiter in self._waiters:
            if waiter.done():
                continue
            if mistake is None:
                waiter.cancel()
            else:
                waiter.set_exception(mistake)

    def _close(self) -> None:
        if self._forget is not None:
            forget, self._forget = self._forget, None
            forget()
