"""How does a blocking call of MSAL's run beside the event loop? On a thread of its own, which no exit waits for.

MSAL's browser and device-code flows can wait for a person for as long as they like. A thread of asyncio's executor
would keep the program from ending after such a call was cancelled.
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
        function: what to call; it sees the caller's context variables. It is not stopped when the task is cancelled.

    Returns:
        What it returns.

    Raises:
        Exception: what it raises.
    """
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            result = context.run(function)
        except BaseException as error:  # raised where it is waited for
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=work, name="linuxbroker-msal", daemon=True).start()
    return await asyncio.wrap_future(outcome)


def on_loop(function: Callable[P, T]) -> Callable[P, T]:
    """Have a callback called on the event loop's thread, from wherever it is called.

    Args:
        function: the callback of an application, which expects to be called where the application runs.

    Returns:
        A function for another thread: it waits for the callback, and returns or raises what that does.
    """
    loop = asyncio.get_running_loop()

    def from_another_thread(*args: P.args, **kwargs: P.kwargs) -> T:
        outcome: Future[T] = Future()

        def call() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # raised where it is waited for
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        loop.call_soon_threadsafe(call)
        return outcome.result()

    return from_another_thread
