"""Cancellation of a task at each of its awaits: every task of a loop is counted through its suspensions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Stepper:
    """Counts the awaits of a task and of the tasks that it starts, and does something at one of them.

    Args:
        at: the number of the await, from 1; None to count only.
        act: what is done just before the task is suspended there.
    """

    def __init__(self, at: int | None, act: Callable[[], object]) -> None:
        self.awaits = 0
        self._at = at
        self._act = act

    def task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        """Make a task, for ``loop.set_task_factory``."""
        return asyncio.Task(_Stepped(work, self), loop=loop, **options)

    def step(self) -> None:
        """Count an await."""
        self.awaits += 1
        if self.awaits == self._at:
            self._act()


class _Stepped(Coroutine[Any, Any, Any]):
    def __init__(self, work: Coroutine[Any, Any, Any], stepper: Stepper) -> None:
        self._work = work
        self._stepper = stepper

    def send(self, value: Any) -> Any:
        awaited = self._work.send(value)
        self._stepper.step()
        return awaited

    def throw(self, *error: Any) -> Any:
        awaited = self._work.throw(*error)
        self._stepper.step()
        return awaited

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()
