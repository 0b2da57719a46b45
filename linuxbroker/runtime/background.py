"""The event loop on which the runtime's calls run, on a thread of its own; callbacks run on other threads.

The loop starts with the first call and ends with the process. A forked child has no loop until its own first call; the
parent's calls continue in the parent only.
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

# How many seconds the process waits at exit for pending sign-ins to be canceled at the broker.
_SHUTDOWN_TIMEOUT = 2.0


class Call:
    """A pending call.

    Args:
        loop: the loop that it runs on.
        work: makes the coroutine, which returns the result for the callback.
        canceled: makes the result if the call is canceled.
        failed: makes the result if ``work`` raises an exception.
        callback: receives the result, on another thread.
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
        """Start the call; must be called on the loop."""
        self.task = self._loop.create_task(self._work())
        self.task.add_done_callback(self._end)
        self._loop.calls.add(self)

    def cancel(self) -> None:
        """Cancel the call, from any thread; does nothing if it has ended."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, so the call has ended
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _end(self, task: asyncio.Task[object]) -> None:
        self._loop.calls.discard(self)
        if self._loop.is_shutting_down:
            if not task.cancelled():
                task.exception()
            return
        if task.cancelled():
            result = self._canceled()
        elif (error := task.exception()) is not None:
            result = self._failed(error)
        else:
            result = task.result()
        self._loop.callback_threads.submit(self._callback, result)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that a forked child does not close: that would affect the parent's."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: set[Call] = set()
        self.callback_threads = CallbackThreads()
        self.is_shutting_down = False
        self._owner = os.getpid()

    def __del__(self) -> None:
        if os.getpid() == self._owner:
            super().__del__()

    async def shutdown(self) -> None:
        """Cancel the calls and wait until they have ended."""
        self.is_shutting_down = True
        tasks = [task for call in self.calls if (task := call.task) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class _Background:
    """The loop and its thread, started when they are first needed."""

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
                except BaseException:  # the system has no more threads; the next call tries again
                    loop.close()
                    raise
                self._loop, self._thread = loop, thread
            return self._loop

    def end(self) -> None:
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(loop.shutdown(), loop).add_done_callback(
            lambda _: loop.call_soon_threadsafe(loop.stop)
        )
        thread.join(_SHUTDOWN_TIMEOUT)

    def silence_after_fork(self) -> None:
        """Suppress messages about the parent's tasks, which a forked child cannot finish."""
        if self._loop is not None:
            self._loop.set_exception_handler(lambda _loop, _context: None)


def _serve(loop: _Loop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


_background = _Background()


def _reset_after_fork() -> None:
    """Start without a loop in a forked child, which lacks the thread and may have a lock that is never released."""
    global _background
    _background.silence_after_fork()
    _background = _Background()


atexit.register(lambda: _background.end())
os.register_at_fork(after_in_child=_reset_after_fork)


def start(
    work: Callable[[], Coroutine[Any, Any, object]],
    canceled: Callable[[], object],
    failed: Callable[[BaseException], object],
    callback: Callable[[Any], object],
) -> Call:
    """Start a call on the background loop, from any thread.

    Args:
        work: makes the coroutine, which returns the result for the callback.
        canceled: makes the result if the call is canceled.
        failed: makes the result if ``work`` raises an exception.
        callback: receives the result, on another thread.

    Returns:
        The call.

    Raises:
        RuntimeError: the interpreter is exiting, or the system has no more threads.
    """
    loop = _background.loop()
    call = Call(loop, work, canceled, failed, callback)
    loop.call_soon_threadsafe(call.begin)
    return call


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the background loop and wait for it, from any thread except the loop's own.

    Args:
        work: makes the coroutine.

    Returns:
        The result of the coroutine.

    Raises:
        RuntimeError: the interpreter is exiting, or the system has no more threads.
        Exception: an exception of the coroutine.
    """
    loop = _background.loop()
    future = asyncio.run_coroutine_threadsafe(work(), loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
