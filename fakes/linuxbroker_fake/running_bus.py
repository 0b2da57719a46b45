"""A private bus with an event loop in a separate thread, for several fake brokers in succession."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from linuxbroker.bus import Connection
from linuxbroker_fake.private_bus import PrivateBus
from linuxbroker_fake.signing_key import Keys

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
_MAX_LOOKS = 10


class RunningBus:
    """A private bus, and the event loop of its fake brokers.

    Args:
        start_timeout: time limit for an activated service to take its name, seconds.

    Attributes:
        bus: the bus.
        keys: the signing keys of the fake brokers; generating them is the slowest part of a start.
        loop: the event loop; use the bus and the brokers only in its thread.
    """

    def __init__(self, *, start_timeout: float = 120.0) -> None:
        self.bus = PrivateBus(start_timeout=start_timeout)
        self.keys = Keys()
        self.loop = asyncio.new_event_loop()
        self._thread = _new_thread(self.loop)
        self._at_start: _BusState | None = None

    def start(self) -> None:
        """Start the bus."""
        self._thread.start()
        try:
            self.run(self.bus.__aenter__())
        except BaseException:
            self._end_loop()
            raise

    def end(self) -> None:
        """Stop the bus, which closes all connections."""
        if not self._thread.is_alive():  # a test stopped the loop
            self._thread = _new_thread(self.loop)
            self._thread.start()
        try:
            self.run(self.bus.__aexit__(None, None, None))
        finally:
            self._end_loop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and block until it has finished.

        Args:
            work: the coroutine.

        Returns:
            Its result.

        Raises:
            TimeoutError: it did not finish within 30 seconds (``concurrent.futures.TimeoutError`` before Python 3.11).
        """
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(PATIENCE_SECONDS)
        except TimeoutError:
            future.cancel()
            raise

    def do(self, action: Callable[[], T]) -> T:
        """Call a function in the loop's thread, and block until it has returned.

        Args:
            action: the function.

        Returns:
            Its result.
        """

        async def on_loop() -> T:
            return action()

        return self.run(on_loop())

    def cancel_tasks(self) -> None:
        """Cancel the tasks that are still running, such as one that waits for a call."""
        self.run(_cancel_other_tasks())

    def remember(self) -> None:
        """Store the current state of the bus for ``is_as_remembered``."""
        self._at_start = self.run(_read_state(self.bus))

    def is_as_remembered(self) -> bool:
        """Whether the same daemon runs without new connections, names, activation files and monitors."""
        if not self._thread.is_alive():
            return False
        try:
            # A bus can close the descriptor of a connection after it has answered another one.
            return any(self.run(_read_state(self.bus)) == self._at_start for _ in range(_MAX_LOOKS))
        except Exception:
            return False

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def _new_thread(loop: asyncio.AbstractEventLoop) -> threading.Thread:
    return threading.Thread(target=loop.run_forever, name="linuxbroker-fake", daemon=True)


@dataclass(frozen=True)
class _BusState:
    process: int | None
    names: frozenset[str]
    activatable: frozenset[str]
    files: frozenset[str]
    descriptors: int  # a monitor has no name, but a descriptor


async def _read_state(bus: PrivateBus) -> _BusState:
    connection = await Connection.open(bus.address)
    try:
        (names,) = await connection.call_bus("ListNames")
        (activatable,) = await connection.call_bus("ListActivatableNames")
        return _BusState(
            bus.process_id,
            frozenset(names) - {connection.unique_name},
            frozenset(activatable),
            _entry_names(bus.services),
            len(_entry_names(Path(f"/proc/{bus.process_id}/fd"))),
        )
    finally:
        connection.close()


def _entry_names(folder: Path) -> frozenset[str]:
    return frozenset(entry.name for entry in folder.iterdir())


async def _cancel_other_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class SessionBus:
    """The bus that the tests of a session share; replaced after a test that left something on it."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._running: RunningBus | None = None

    @property
    def is_here(self) -> bool:
        """Whether this is the process in which the session started, and not a fork of it."""
        return os.getpid() == self._process

    def clean(self) -> RunningBus:
        """Return the running bus, without anything left by earlier tests."""
        if self._running is not None and not self._running.is_as_remembered():
            self.end()
        if self._running is None:
            running = RunningBus()
            running.start()
            self._running = running
            running.remember()
        return self._running

    def end(self) -> None:
        """Stop the bus, if there is one."""
        if self._running is not None and self.is_here:
            running, self._running = self._running, None
            with contextlib.suppress(TimeoutError):
                running.end()
