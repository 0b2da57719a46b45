"""Where do the runtime's calls run? On one event loop, on a thread of its own; each callback on another.

The loop starts with the first call and ends with the process. In a forked child there is none until the child's own
first call; the parent's calls go on in the parent alone.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from linuxbroker.runtime.callbacks import CallbackThreads

T = TypeVar("T")

# How long the process waits at its end for the broker to hear that a sign-in is not wanted any more.
_PARTING_SECONDS = 2.0


class Call:
    """One call that is under way.

    Args:
        loop: the loop that it runs on.
        work: does it, and gives the result for the callback.
        canceled: gives the result where the call was cancelled.
        failed: gives the result where ``work`` raised.
        callback: gets the result, on another thread.
    """

    def __init__(
        self,
        loop: _Loop,
        work: Callable[[], Coroutine[Any, Any, object]],
        canceled: Callable[[], object],
        failed: Callable[[BaseException], object],
        callback: Callable[[Any], object],
    ) -> None:
        self._loop = loop
        self._work = work
        self._canceled = canceled
        self._failed = failed
        self._callback = callback
        self.task: asyncio.Task[object] | None = None

    def begin(self) -> None:
        """Begin; on the loop."""
        self.task = self._loop.create_task(self._work())
        self.task.add_done_callback(self._end)
        self._loop.calls.add(self)

    def cancel(self) -> None:
        """Cancel the call, from any thread; one that has ended is left as it is."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the call with it
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _end(self, task: asyncio.Task[object]) -> None:
        self._loop.calls.discard(self)
        if self._loop.parting:
            if not task.cancelled():
                task.exception()
            return
        if task.cancelled():
            result = self._canceled()
        elif (error := task.exception()) is not None:
            result = self._failed(error)
        else:
            result = task.result()
        self._loop.callback_threads.tell(self._callback, result)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that a forked child leaves alone: closing its copy would reach into the parent's."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: set[Call] = set()
        self.callback_threads = CallbackThreads()
        self.parting = False
        self._owner = os.getpid()

    def __del__(self) -> None:
        if os.getpid() == self._owner:
            super().__del__()

    async def part(self) -> None:
        """Cancel the calls and wait until they have ended."""
        self.parting = True
        tasks = [task for call in self.calls if (task := call.task) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class _Background:
    """The loop and its thread, of which there is one or none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._thread: threading.Thread | None = None

    def loop(self) -> _Loop:
        with self._lock:
            if self._loop is None:
                loop = _Loop()
                thread = threading.Thread(target=_serve, args=(loop,), name="linuxbroker-runtime", daemon=True)
                try:
                    thread.start()
                except BaseException:  # no thread is to be had; the next call tries again
                    loop.close()
                    raise
                self._loop, self._thread = loop, thread
            return self._loop

    def end(self) -> None:
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(loop.part(), loop).add_done_callback(
            lambda _: loop.call_soon_threadsafe(loop.stop)
        )
        thread.join(_PARTING_SECONDS)

    def abandon(self) -> None:
        """Keep quiet about what the forked child can't bring to an end: its tasks, whose thread is in the parent."""
        if self._loop is not None:
            self._loop.set_exception_handler(lambda _loop, _context: None)


def _serve(loop: _Loop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


_background = _Background()


def _begin_anew() -> None:
    """A forked child has neither the thread nor, perhaps, anyone who would give the lock back."""
    global _background
    _background.abandon()
    _background = _Background()


atexit.register(lambda: _background.end())
os.register_at_fork(after_in_child=_begin_anew)


def start(
    work: Callable[[], Coroutine[Any, Any, object]],
    canceled: Callable[[], object],
    failed: Callable[[BaseException], object],
    callback: Callable[[Any], object],
) -> Call:
    """Begin a call on the background loop; from any thread.

    Args:
        work: does it, and gives the result for the callback.
        canceled: gives the result where the call was cancelled.
        failed: gives the result where ``work`` raised.
        callback: gets the result, on another thread.

    Returns:
        The call.

    Raises:
        RuntimeError: the interpreter is ending, or no thread is to be had.
    """
    loop = _background.loop()
    call = Call(loop, work, canceled, failed, callback)
    loop.call_soon_threadsafe(call.begin)
    return call


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the background loop, and wait for it; from any thread but the loop's own.

    Args:
        work: makes the coroutine.

    Returns:
        What it gives.

    Raises:
        RuntimeError: the interpreter is ending, or no thread is to be had.
        Exception: what it raises.
    """
    loop = _background.loop()
    future = asyncio.run_coroutine_threadsafe(work(), loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
