"""Blocking calls on daemon threads, which do not delay the exit of the program.

MSAL's browser and device code flows can wait for the user without a limit. A thread of asyncio's executor would keep
the program from exiting after such a call was canceled.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run_blocking(function: Callable[[], T]) -> T:
    """Call a function on a daemon thread.

    Args:
        function: the function; it sees the caller's context variables, and goes on if the task is canceled.

    Returns:
        The function's result.

    Raises:
        Exception: the function's exception; ``RuntimeError`` for a ``StopIteration``, as in a coroutine.
    """
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            result = context.run(function)
        except StopIteration as error:  # a future does not accept one, and would never be done
            failure = RuntimeError(f"a blocking call raised StopIteration: {error}")
            failure.__cause__ = error
            outcome.set_exception(failure)
        except BaseException as error:  # raised where the result is awaited
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=work, name="linuxbroker-msal", daemon=True).start()
    return await asyncio.wrap_future(outcome)


def on_loop(function: Callable[P, T], abandoned: threading.Event) -> Callable[P, T]:
    """Wrap a callback so that it runs on the event loop's thread when another thread calls it.

    Args:
        function: the callback of an application.
        abandoned: set on the loop's thread as soon as the result of the other thread is no longer awaited.

    Returns:
        A function for another thread: it waits for the callback, and returns its result or raises its exception. Once
        abandoned, it raises ``concurrent.futures.CancelledError`` instead of calling the callback.
    """
    loop = asyncio.get_running_loop()

    def from_another_thread(*args: P.args, **kwargs: P.kwargs) -> T:
        outcome: Future[T] = Future()

        def call() -> None:
            if abandoned.is_set():
                outcome.cancel()
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # raised in the other thread
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        loop.call_soon_threadsafe(call)
        return outcome.result()

    return from_another_thread
