"""Which requests are one call? Equal ones that are in flight at the same time, each caller with its own way out."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from linuxbroker.errors import BrokerError

T = TypeVar("T")


@dataclass
class _Call(Generic[T]):
    """A call in flight, and how many wait for it. A failure is its result: nobody may be left to raise it to."""

    task: asyncio.Task[T | BrokerError]
    waiting: int = 0


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
        call = self._join(key, operation)
        call.waiting += 1
        try:
            outcome = await asyncio.shield(call.task)
        except asyncio.CancelledError:
            call.waiting -= 1
            if not call.waiting and not call.task.done():
                self._forget(key, call)
                call.task.cancel()
                await asyncio.wait({call.task})
            raise
        if isinstance(outcome, BrokerError):
            raise copy.deepcopy(outcome)
        return outcome

    def _join(self, key: Hashable, operation: Callable[[], Awaitable[T]]) -> _Call[T]:
        loop = asyncio.get_running_loop()
        if loop not in self._of_loop:
            for closed in [known for known in tuple(self._of_loop) if known.is_closed()]:
                self._of_loop.pop(closed, None)
        calls = self._of_loop.setdefault(loop, {})
        call = calls.get(key)
        if call is None or call.task.done():
            call = calls[key] = _Call(asyncio.ensure_future(_outcome(operation)))
            call.task.add_done_callback(partial(self._ended, key, call))
        return call

    def _ended(self, key: Hashable, call: _Call[T], _task: asyncio.Task[T | BrokerError]) -> None:
        self._forget(key, call)

    def _forget(self, key: Hashable, call: _Call[T]) -> None:
        loop = call.task.get_loop()
        calls = self._of_loop.get(loop, {})
        if calls.get(key) is call:
            del calls[key]
        if not calls:
            self._of_loop.pop(loop, None)


async def _outcome(operation: Callable[[], Awaitable[T]]) -> T | BrokerError:
    try:
        return await operation()
    except BrokerError as error:
        return error
