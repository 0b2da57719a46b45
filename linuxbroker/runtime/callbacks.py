"""Threads for callbacks, one for each that is running: a callback may block, or make a call and wait for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("linuxbroker.runtime")

# The number of idle threads that are kept for further callbacks.
_MAX_IDLE_THREADS = 8

_Job = tuple[Callable[[Any], object], object]


class CallbackThreads:
    """A thread pool without an upper limit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle = 0
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    def submit(self, callback: Callable[[Any], object], result: object) -> None:
        """Call a callback on one of the threads.

        Args:
            callback: the application's callback; its exceptions are logged.
            result: its argument.
        """
        with self._lock:
            is_idle = self._idle > 0
            self._idle -= is_idle
        if is_idle:
            self._jobs.put((callback, result))
            return
        thread = threading.Thread(
            target=self._serve, args=((callback, result),), name="linuxbroker-callback", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            _run_job((callback, result))

    def _serve(self, job: _Job) -> None:
        while True:
            _run_job(job)
            del job  # an idle thread must not keep the result or the callback alive
            with self._lock:
                if self._idle >= _MAX_IDLE_THREADS:
                    return
                self._idle += 1
            job = self._jobs.get()


def _run_job(job: _Job) -> None:
    callback, result = job
    try:
        callback(result)
    except Exception:
        _log.exception("exception in application callback")
