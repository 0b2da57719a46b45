"""On which thread does a callback run? On one that runs no other: it may block, or make a call and wait for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("linuxbroker.runtime")

# So many threads are kept for the next callbacks.
_KEPT_THREADS = 8

_Telling = tuple[Callable[[Any], object], object]


class CallbackThreads:
    """As many threads as there are callbacks running at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle = 0
        self._tellings: queue.SimpleQueue[_Telling] = queue.SimpleQueue()

    def tell(self, callback: Callable[[Any], object], result: object) -> None:
        """Have a callback called.

        Args:
            callback: of the application; what it raises is logged.
            result: what it gets.
        """
        with self._lock:
            is_idle = self._idle > 0
            self._idle -= is_idle
        if is_idle:
            self._tellings.put((callback, result))
            return
        thread = threading.Thread(
            target=self._serve, args=((callback, result),), name="linuxbroker-callback", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads are to be had
            _tell((callback, result))

    def _serve(self, telling: _Telling) -> None:
        while True:
            _tell(telling)
            del telling  # a result, and what the callback holds, are not kept until the next
            with self._lock:
                if self._idle >= _KEPT_THREADS:
                    return
                self._idle += 1
            telling = self._tellings.get()


def _tell(telling: _Telling) -> None:
    callback, result = telling
    try:
        callback(result)
    except Exception:
        _log.exception("a callback of the application raised")
