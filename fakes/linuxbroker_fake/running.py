"""The fake broker on a private bus in a separate thread, for sync and async tests."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from linuxbroker.bus import Connection
from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.config import FakeConfig, InteractiveUser, UserAction
from linuxbroker_fake.directory import Directory
from linuxbroker_fake.faults import FaultKind
from linuxbroker_fake.journal import Call
from linuxbroker_fake.running_bus import PATIENCE_SECONDS, RunningBus
from linuxbroker_fake.service import FakeService, serve


class RunningFake:
    """A private bus with the fake broker, until the end of the ``with`` block.

    Args:
        config: the configuration of the broker; default ``FakeConfig()``.
        start: whether the broker is on the bus from the start; else call ``start_broker``.
        start_timeout: time limit for services that the bus activates, seconds.
        on: a running bus, which keeps running after the block; default a new one.

    Attributes:
        address: the D-Bus address, for ``BrokerClient(bus_address=…)`` or ``DBUS_SESSION_BUS_ADDRESS``.
        broker: the broker, for reading; change it with the methods of this class, which are thread-safe.
    """

    def __init__(
        self,
        config: FakeConfig | None = None,
        *,
        start: bool = True,
        start_timeout: float = 120.0,
        on: RunningBus | None = None,
    ) -> None:
        self._is_own_bus = on is None
        self._running_bus = on or RunningBus(start_timeout=start_timeout)
        self.broker = FakeBroker(config, keys=self._running_bus.keys)
        self.address = ""
        self._start = start
        self._on_bus: AsyncExitStack | None = None
        self._service: FakeService | None = None

    def __enter__(self) -> RunningFake:
        if self._is_own_bus:
            self._running_bus.start()
        self.address = self._running_bus.bus.address
        try:
            if self._start:
                self.start_broker()
        except BaseException:
            self._end_own_bus()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop_broker()
            self._running_bus.cancel_tasks()
        finally:
            self._end_own_bus()

    @property
    def directory(self) -> Directory:
        """The fake Entra's tenants, users and apps."""
        return self.broker.directory

    @property
    def services(self) -> str:
        """The folder of the bus's activation files (``.service``)."""
        return str(self._running_bus.bus.services)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that the broker received, in order."""
        return self._running_bus.do(lambda: self.broker.journal.calls)

    def calls_of(self, *members: str) -> list[Call]:
        """Return the calls of some methods.

        Args:
            members: the methods.

        Returns:
            The calls, in order.
        """
        return [call for call in self.calls if call.member in members]

    def wait_for_call(self, member: str, count: int = 1) -> list[Call]:
        """Block until a method was called ``count`` times; in async tests use ``called``.

        Args:
            member: the method.
            count: the number of calls.

        Returns:
            The calls of the method so far.

        Raises:
            TimeoutError: there were fewer calls within 30 seconds (``concurrent.futures.TimeoutError`` before
                Python 3.11).
        """
        return self._running_bus.run(self.broker.journal.wait_for(member, count))

    async def called(self, member: str, count: int = 1) -> list[Call]:
        """Wait until a method was called ``count`` times.

        Args:
            member: the method.
            count: the number of calls.

        Returns:
            The calls of the method so far.

        Raises:
            TimeoutError: there were fewer calls within 30 seconds (``asyncio.TimeoutError`` before Python 3.11).
        """
        waiting = asyncio.run_coroutine_threadsafe(self.broker.journal.wait_for(member, count), self._running_bus.loop)
        return await asyncio.wait_for(asyncio.wrap_future(waiting), PATIENCE_SECONDS)

    async def asked(self) -> None:
        """Wait until a sign-in window is open.

        Raises:
            TimeoutError: no window opened within 30 seconds (``asyncio.TimeoutError`` before Python 3.11).
        """
        waiting = asyncio.run_coroutine_threadsafe(self.broker.screen.wait_for_window(), self._running_bus.loop)
        await asyncio.wait_for(asyncio.wrap_future(waiting), PATIENCE_SECONDS)

    def plant(self, kind: FaultKind | str, **details: Any) -> None:
        """Plant a fault.

        Args:
            kind: a ``FaultKind`` or its value.
            details: the other fields of ``Fault``.

        Raises:
            ValueError: the kind is unknown, or a field is invalid.
        """
        self._running_bus.do(lambda: self.broker.plant(kind, **details))

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._running_bus.do(lambda: self.broker.faults.clear())

    def clear_calls(self) -> None:
        """Remove all calls from the journal."""
        self._running_bus.do(lambda: self.broker.journal.clear())

    def set_user(self, action: UserAction | str, *, delay: float = 0.0, upn: str | None = None) -> None:
        """Set what the user does in a sign-in window.

        Args:
            action: ``approve``, ``cancel`` or ``never``.
            delay: seconds before the user acts.
            upn: the user who signs in if the request has no account and no hint; default the directory's first user.
        """
        user = InteractiveUser(action=UserAction(action), delay=delay, upn=upn)
        self._running_bus.do(lambda: setattr(self.broker.screen, "user", user))

    def answer(self, action: UserAction | str) -> int:
        """Answer all open sign-in windows now.

        Args:
            action: ``approve`` or ``cancel``.

        Returns:
            The number of windows.
        """
        return self._running_bus.do(lambda: self.broker.screen.answer(UserAction(action)))

    def revoke(self, upn: str, *, sign_in_again: bool = False) -> str:
        """Revoke the tokens that a user has now, as continuous access evaluation does.

        Args:
            upn: the user.
            sign_in_again: whether a new token requires an interactive sign-in.

        Returns:
            The claims challenge, JSON text, that a resource sends to a client with the capability ``cp1``.
        """
        return self._running_bus.do(lambda: self.broker.revoke(upn, sign_in_again=sign_in_again))

    def reset(self) -> None:
        """Restore the initial faults, sessions, user and empty journal."""
        self._running_bus.do(self.broker.reset)

    def start_broker(self) -> None:
        """Put the broker on the bus, or back on it after ``stop_broker``."""
        self._running_bus.run(self._put_on_bus())

    def stop_broker(self) -> None:
        """Take the broker off the bus; pending calls get no reply, and its state is kept."""
        self._running_bus.run(self._take_off_bus())

    def restart_broker(self) -> None:
        """Stop the broker and start it again."""
        self.stop_broker()
        self.start_broker()

    def stop_bus(self) -> None:
        """Stop the bus daemon, which closes all connections."""
        self._running_bus.run(self._running_bus.bus.stop())

    def start_bus(self) -> None:
        """Restart the bus daemon on the same address, with the broker on it."""
        self._running_bus.run(self._running_bus.bus.start())
        self.restart_broker()

    def reload_services(self) -> None:
        """Make the bus read its activation files; some buses do so automatically, but with a delay."""
        self._running_bus.run(self._reload_services())

    async def _reload_services(self) -> None:
        connection = await Connection.open(self.address)
        try:
            await connection.call_bus("ReloadConfig")
        finally:
            connection.close()

    async def _put_on_bus(self) -> None:
        await self._take_off_bus()
        async with AsyncExitStack() as stack:
            self._service = await stack.enter_async_context(serve(self.broker, self.address))
            self._on_bus = stack.pop_all()

    async def _take_off_bus(self) -> None:
        if self._on_bus is not None:
            stack, self._on_bus = self._on_bus, None
            await stack.aclose()

    def _end_own_bus(self) -> None:
        if self._is_own_bus:
            self._running_bus.end()
