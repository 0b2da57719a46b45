"""In which state does a case find the broker? A private bus, and the fake broker on it or ready to be started."""

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
from linuxbroker.names import BROKER_BUS_NAME
from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.config import FakeConfig, InteractiveUser, UserAction
from linuxbroker_fake.conformance.wire import Wire
from linuxbroker_fake.faults import FaultKind
from linuxbroker_fake.private_bus import PrivateBus
from linuxbroker_fake.service import FakeService, serve

_NAME_CHANGES = (
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',"
    f"arg0='{BROKER_BUS_NAME}'"
)
_START_SECONDS = 60.0


class Stage:
    """A private bus with what a case needs on it, for the length of an ``async with`` block.

    Attributes:
        address: the bus's D-Bus address.
        wire: what goes over the bus.
    """

    def __init__(self) -> None:
        self._bus = PrivateBus()
        self._brokers: dict[str, FakeBroker] = {}
        self._on_bus: FakeBroker | None = None
        self._serving: AsyncExitStack | None = None
        self._service: FakeService | None = None
        self._owned = False
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
        """Put the broker into the state that a vector names.

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
        started = state.get("state", "running")
        broker = self._brokers.setdefault(config.model_dump_json(), FakeBroker(config))
        if started != "running" or self._on_bus is not broker or not self._is_serving:
            await self._clear()
        broker.reset()
        broker.screen.user = InteractiveUser.model_validate(state.get("user", {}))
        if started == "running":
            await self._put_on_bus(broker)
        elif started == "activatable":
            await self._write_service(config)
        elif started == "failing":
            await self._write_service(None)

    async def event(self, name: str) -> None:
        """Have something happen to the broker.

        Args:
            name: the vector's ``event``.
        """
        if name == "presence":  # nothing happens but what the driver says
            return
        assert self._on_bus is not None, f"the event {name} needs a broker that was running"
        broker = self._on_bus
        if name in ("stopBroker", "restartBroker"):
            await self._take_off_bus()
        if name in ("startBroker", "restartBroker"):
            await self._put_on_bus(broker)
        if name in ("userApproves", "userCancels"):
            # A monitor sees a call before the broker does.
            await asyncio.wait_for(broker.screen.asked(), _START_SECONDS)
            broker.screen.answer(UserAction.APPROVE if name == "userApproves" else UserAction.CANCEL)

    def plant(self, replies: Sequence[Mapping[str, Any]]) -> None:
        """Have the broker answer the next calls as a vector says.

        Args:
            replies: the vector's ``replies``.
        """
        if self._on_bus is None:
            return
        for reply in replies:
            kind, details = _fault_of(reply)
            self._on_bus.plant(kind, method=reply["method"], times=1, **details)

    @property
    def _is_serving(self) -> bool:
        """Whether our broker is on the bus; it is not once a scripted crash has struck."""
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
        """Leave no broker behind: not on the bus, and none that could be started."""
        for file in self._bus.services.iterdir():
            file.unlink()
            await self._watch.call_bus("ReloadConfig")
        if self._serving is None and self._owned:  # one that the bus started
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
        await self._watch.call_bus("ReloadConfig")  # not every bus sees the file by itself

    async def _wait_for_owner(self, owned: bool) -> None:
        async with self._owner_changed:
            await asyncio.wait_for(self._owner_changed.wait_for(lambda: self._owned is owned), _START_SECONDS)

    def _on_signal(self, message: Message) -> None:
        if (message.sender, message.member) == (BUS_NAME, "NameOwnerChanged") and message.body[0] == BROKER_BUS_NAME:
            self._owned = bool(message.body[2])
            waker = asyncio.ensure_future(self._wake())
            self._wakers.add(waker)
            waker.add_done_callback(self._wakers.discard)

    async def _wake(self) -> None:
        async with self._owner_changed:
            self._owner_changed.notify_all()


def _fault_of(reply: Mapping[str, Any]) -> tuple[FaultKind, dict[str, Any]]:
    """The fault of the fake broker that gives one reply of a vector."""
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
