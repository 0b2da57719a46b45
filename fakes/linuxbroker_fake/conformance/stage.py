"""The environment of a case: a private bus, a monitor on it, and the fake broker in the state that a vector needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from linuxbroker.bus import Connection, Message, RemoteError
from linuxbroker.bus.connection import BUS_NAME
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.config import FakeConfig, InteractiveUser, UserAction
from linuxbroker_fake.conformance.wire import Wire
from linuxbroker_fake.faults import FaultKind
from linuxbroker_fake.private_bus import PrivateBus
from linuxbroker_fake.service import FakeService, serve
from linuxbroker_fake.signing_key import Keys

_NAME_CHANGES = (
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',"
    f"arg0='{BROKER_BUS_NAME}'"
)
_TIMEOUT_SECONDS = 60.0


class Stage:
    """A private bus with the fake broker and a monitor, until the end of the ``async with`` block.

    Attributes:
        address: the D-Bus address.
        wire: the monitor.
    """

    def __init__(self) -> None:
        self._bus = PrivateBus()
        self._keys = Keys()
        self._brokers: dict[str, FakeBroker] = {}
        self._on_bus: FakeBroker | None = None
        self._serving: AsyncExitStack | None = None
        self._service: FakeService | None = None
        self._has_owner = False
        self._owner_changed = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Stage:
        await self._bus.__aenter__()
        self.address = self._bus.address
        self._stack = AsyncExitStack()
        self.wire = await self._stack.enter_async_context(Wire(self.address))
        self._watch = await Connection.open(self.address)
        self._watch.on_signal(self._on_signal)
        await self._watch.call_bus("AddMatch", "s", _NAME_CHANGES)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._clear()
        self._watch.close()
        await asyncio.gather(*self._wakers, return_exceptions=True)
        await self._stack.aclose()
        await self._bus.__aexit__(None, None, None)

    async def prepare(self, state: Mapping[str, Any]) -> None:
        """Put the broker into the initial state of a vector.

        Args:
            state: the vector's ``broker``.
        """
        config = FakeConfig.model_validate(
            {
                key: state[json_key]
                for json_key, key in (("persona", "persona"), ("signedIn", "signed_in"))
                if json_key in state
            }
        )
        state_name = state.get("state", "running")
        broker = self._brokers.setdefault(config.model_dump_json(), FakeBroker(config, keys=self._keys))
        if state_name != "running" or self._on_bus is not broker or not self._is_serving:
            await self._clear()
        broker.reset()
        broker.screen.user = InteractiveUser.model_validate(state.get("user", {}))
        if state_name == "running":
            await self._put_on_bus(broker)
        elif state_name == "activatable":
            await self._write_service(config)
        elif state_name == "failing":
            await self._write_service(None)

    async def event(self, name: str) -> None:
        """Carry out an event.

        Args:
            name: the vector's ``event``.
        """
        if name == "presence":  # an event without an action: the driver reports it
            return
        assert self._on_bus is not None, f"the event {name} requires a running broker"
        broker = self._on_bus
        if name in ("stopBroker", "restartBroker"):
            await self._take_off_bus()
        if name in ("startBroker", "restartBroker"):
            await self._put_on_bus(broker)
        if name in ("userApproves", "userCancels"):
            # The monitor sees a call before the broker receives it.
            await asyncio.wait_for(broker.screen.wait_for_window(), _TIMEOUT_SECONDS)
            broker.screen.answer(UserAction.APPROVE if name == "userApproves" else UserAction.CANCEL)

    def plant(self, replies: Sequence[Mapping[str, Any]]) -> None:
        """Plant the replies of a vector for the next calls.

        Args:
            replies: the vector's ``replies``.
        """
        if self._on_bus is None:
            return
        for reply in replies:
            kind, details = _fault_for(reply)
            self._on_bus.plant(kind, method=reply["method"], times=1, **details)

    @property
    def _is_serving(self) -> bool:
        """Whether this process serves the broker; false after a scripted crash."""
        return self._service is not None and not self._service.stopped.is_set()

    async def _put_on_bus(self, broker: FakeBroker) -> None:
        if self._is_serving:
            return
        await self._take_off_bus()
        async with AsyncExitStack() as stack:
            self._service = await stack.enter_async_context(serve(broker, self.address))
            self._serving = stack.pop_all()
        self._on_bus = broker
        await self._wait_for_owner(True)

    async def _take_off_bus(self) -> None:
        if self._serving is not None:
            serving, self._serving, self._service = self._serving, None, None
            await serving.aclose()
        await self._wait_for_owner(False)

    async def _clear(self) -> None:
        """Remove all activation files, and take any broker off the bus."""
        for file in self._bus.services.iterdir():
            file.unlink()
            await self._watch.call_bus("ReloadConfig")
        if self._serving is None and self._has_owner:  # a broker that the bus activated
            with contextlib.suppress(RemoteError, ProcessLookupError):
                (process,) = await self._watch.call_bus("GetConnectionUnixProcessID", "s", BROKER_BUS_NAME)
                os.kill(int(process), signal.SIGTERM)
        await self._take_off_bus()
        self._on_bus = None

    async def _write_service(self, config: FakeConfig | None) -> None:
        command = ["/bin/false"]
        if config is not None:
            path = self._bus.services.parent / "broker.json"
            path.write_text(config.model_dump_json(include={"persona", "signed_in"}), encoding="utf-8")
            command = [sys.executable, "-m", "linuxbroker_fake", "run", "--config", str(path)]
        text = f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={shlex.join(command)}\n"
        (self._bus.services / f"{BROKER_BUS_NAME}.service").write_text(text, encoding="utf-8")
        await self._watch.call_bus("ReloadConfig")  # some buses do not notice the file

    async def _wait_for_owner(self, has_owner: bool) -> None:
        async with self._owner_changed:
            await asyncio.wait_for(self._owner_changed.wait_for(lambda: self._has_owner is has_owner), _TIMEOUT_SECONDS)

    def _on_signal(self, message: Message) -> None:
        if (message.sender, message.member) == (BUS_NAME, "NameOwnerChanged") and message.body[0] == BROKER_BUS_NAME:
            self._has_owner = bool(message.body[2])
            waker = asyncio.ensure_future(self._wake())
            self._wakers.add(waker)
            waker.add_done_callback(self._wakers.discard)

    async def _wake(self) -> None:
        async with self._owner_changed:
            self._owner_changed.notify_all()


def _fault_for(reply: Mapping[str, Any]) -> tuple[FaultKind, dict[str, Any]]:
    """Return the fault, and its fields, that gives a reply of a vector."""
    delay = {"delay": float(reply["delay"])} if "delay" in reply else {}
    if "json" in reply:
        return FaultKind.RAW_REPLY, {"reply": json.dumps(reply["json"]), **delay}
    if "text" in reply:
        return FaultKind.RAW_REPLY, {"reply": reply["text"], **delay}
    if "dbusError" in reply:
        error = reply["dbusError"]
        return FaultKind.DBUS_ERROR, {"name": error["name"], "context": error["text"], **delay}
    if "fails" in reply:
        return FaultKind.STATUS, {"status": reply["fails"], **delay}
    kinds = {"number": FaultKind.REPLY_NOT_TEXT, "hang": FaultKind.HANG, "crash": FaultKind.CRASH}
    for key, kind in kinds.items():
        if reply.get(key):
            return kind, delay
    return FaultKind.SLOW, delay
