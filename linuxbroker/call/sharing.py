"""Equal requests in flight at the same time, sent as one call; each caller can be cancelled separately."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from linuxbroker.errors import BrokerError

T = TypeVar("T")


class SharedCalls(Generic[T]):
    """Calls in flight that can be joined; a call is dropped when it ends."""

    def __init__(self) -> None:
        # The futures that joined callers wait for: the outcome, or None if the first caller was cancelled.
        self._calls_by_loop: dict[
            asyncio.AbstractEventLoop, dict[Hashable, asyncio.Future[T | BrokerError | None]]
        ] = {}

    async def run(self, key: Hashable, operation: Callable[[], Awaitable[T]]) -> T:
        """Join the call in flight for a key, or start one.

        If a joined caller is cancelled, the call continues. If the first caller is cancelled, the next one starts the
        call again.

        Args:
            key: equal for equal requests.
            operation: makes the call.

        Returns:
            Its result; the same object for all callers.

        Raises:
            BrokerError: it failed; a separate exception for each caller.
        """
        loop = asyncio.get_running_loop()
        while (call := self._calls_of(loop).get(key)) is not None:
            outcome = await asyncio.shield(call)
            if isinstance(outcome, BrokerError):
                raise copy.deepcopy(outcome)
            if outcome is not None:
                return outcome
        call = self._calls_by_loop.setdefault(loop, {})[key] = loop.create_future()
        outcome_of_call: T | BrokerError | None = None
        try:
            outcome_of_call = result = await operation()
        except BrokerError as error:
            outcome_of_call = copy.deepcopy(error)
            raise
        finally:
            self._forget(loop, key)
            if not loop.is_closed():
                call.set_result(outcome_of_call)
        return result

    def _calls_of(self, loop: asyncio.AbstractEventLoop) -> dict[Hashable, asyncio.Future[T | BrokerError | None]]:
        if loop not in self._calls_by_loop:
            for closed in [known for known in tuple(self._calls_by_loop) if known.is_closed()]:
                self._calls_by_loop.pop(closed, None)
        return self._calls_by_loop.get(loop, {})

    def _forget(self, loop: asyncio.AbstractEventLoop, key: Hashable) -> None:
        calls = self._calls_by_loop.get(loop, {})
        calls.pop(key, None)
        if not calls:
            self._calls_by_loop.pop(loop, None)
