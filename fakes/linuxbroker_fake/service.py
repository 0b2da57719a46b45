"""The fake broker on a bus: calls to the broker, to its control interface, and the standard ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any

from linuxbroker.bus import BusError, Connection, Message
from linuxbroker.bus.connection import BUS_NAME, error_reply, method_return
from linuxbroker.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker.resources import interface_xml
from linuxbroker_fake.arguments import broker_arguments
from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.control import CONTROL_INTERFACE, CONTROL_PATH, CONTROL_XML, Control, ControlError
from linuxbroker_fake.faults import FAILED, PING, CrashRequested, DBusFailure, RawReply
from linuxbroker_fake.introspection import introspection
from linuxbroker_fake.journal import Call
from linuxbroker_fake.log_control import log_property

_log = logging.getLogger("linuxbroker_fake")

_PEER = "org.freedesktop.DBus.Peer"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DO_NOT_QUEUE = 4
_PRIMARY_OWNER = 1
_UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
_INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_CALLER_GONE = (
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"
)
_METHOD_NAMES = frozenset(re.findall(r'<method name="(\w+)"', interface_xml()))


class NameTakenError(Exception):
    """Something else on the bus owns the broker's name."""


class FakeService:
    """A fake broker on a bus connection.

    Args:
        broker: what answers.
        connection: an open connection of its own.
        control: whether it has the control interface: any process on the bus can then drive it and read its journal.
    """

    def __init__(self, broker: FakeBroker, connection: Connection, *, control: bool = True) -> None:
        self.broker = broker
        self.stopped = asyncio.Event()
        self.crashed = False
        self._connection = connection
        self._control = Control(broker) if control else None
        self._answers: set[asyncio.Task[None]] = set()
        connection.on_call = self._on_call
        connection.on_signal(self._on_signal)
        connection.on_close(lambda _reason: self.stopped.set())

    async def take_name(self) -> None:
        """Take the broker's bus name.

        Raises:
            NameTakenError: something else has it.
        """
        await asyncio.sleep(self.broker.config.start_delay)
        await self._connection.call_bus("AddMatch", "s", _CALLER_GONE)
        (outcome,) = await self._connection.call_bus("RequestName", "su", BROKER_BUS_NAME, _DO_NOT_QUEUE)
        if outcome != _PRIMARY_OWNER:
            raise NameTakenError(f"{BROKER_BUS_NAME} is taken on this bus: is a real broker, or another fake, running?")

    async def stop(self) -> None:
        """Leave the bus; calls in flight get no answer."""
        self._connection.close()
        for answer in tuple(self._answers):
            answer.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    def _on_signal(self, message: Message) -> None:
        if (message.sender, message.member, message.signature) == (BUS_NAME, "NameOwnerChanged", "sss"):
            self.broker.screen.close_windows_of(str(message.body[0]))

    def _on_call(self, call: Message) -> None:
        answer = asyncio.ensure_future(self._answer(call))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _answer(self, call: Message) -> None:
        try:
            reply = await self._reply_to(call)
        except CrashRequested:
            self.crashed = True
            self._connection.close()
            return
        except DBusFailure as error:
            reply = error_reply(call, error.name, error.text)
        except ControlError as error:
            reply = error_reply(call, _INVALID_ARGS, str(error))
        except Exception as error:
            _log.exception("the fake broker could not answer %s", call.member)
            reply = error_reply(call, FAILED, f"the fake broker could not answer: {type(error).__name__}")
        if call.reply_expected and self._connection.is_open:
            with contextlib.suppress(BusError):  # the bus may have ended under the answer
                self._connection.send(reply)

    async def _reply_to(self, call: Message) -> Message:
        if self._control is not None and (call.path, call.interface) == (CONTROL_PATH, CONTROL_INTERFACE):
            return method_return(call, "s", await self._control.handle(call.member, call.body))
        interfaces = (BROKER_INTERFACE,) if self.broker.persona.bus.needs_interface else (BROKER_INTERFACE, "")
        if call.path == BROKER_OBJECT_PATH and call.interface in interfaces and call.member in _METHOD_NAMES:
            return await self._broker_reply(call)
        self.broker.journal.record(
            Call(call.path, call.interface, call.member, call.signature, body=tuple(call.body), sender=call.sender)
        )
        async with self.broker.turn():
            if (call.interface, call.member) == (_PEER, PING):
                await self.broker.strike(PING, None)
            return self._standard_reply(call)

    async def _broker_reply(self, call: Message) -> Message:
        version, correlation_id, request = broker_arguments(
            self.broker.persona.bus, call.member, call.signature, call.body
        )
        self.broker.journal.record(
            Call(
                call.path,
                call.interface,
                call.member,
                call.signature,
                protocol_version=version,
                correlation_id=correlation_id,
                request=_json_or_none(request),
                sender=call.sender,
            )
        )
        try:
            async with self.broker.turn():
                reply = await self.broker.handle(call.member, correlation_id, request, sender=call.sender)
        except RawReply as raw:
            return method_return(call, raw.signature, raw.value)
        return method_return(call, "s", reply)

    def _standard_reply(self, call: Message) -> Message:
        bus = self.broker.persona.bus
        standard: dict[tuple[str, str], Callable[[Message], Message]] = {
            (_PEER, PING): method_return,
            ("org.freedesktop.DBus.Introspectable", "Introspect"): self._introspect,
        }
        if bus.properties or call.path != BROKER_OBJECT_PATH:
            standard[_PEER, "GetMachineId"] = lambda asked: method_return(asked, "s", "0" * 32)
        if bus.properties:
            standard[_PROPERTIES, "GetAll"] = lambda asked: method_return(asked, "a{sv}", {})
        if call.path in bus.paths and call.interface == _PROPERTIES:
            return log_property(call)
        return standard.get((call.interface, call.member), self._not_there)(call)

    def _introspect(self, call: Message) -> Message:
        if self._control is not None and call.path == CONTROL_PATH:
            return method_return(call, "s", CONTROL_XML)
        xml = introspection(self.broker.persona.bus, call.path, _METHOD_NAMES)
        return self._not_there(call, is_known=False) if xml is None else method_return(call, "s", xml)

    def _not_there(self, call: Message, *, is_known: bool | None = None) -> Message:
        """The error of an object, an interface or a method that is not there."""
        bus = self.broker.persona.bus
        if is_known is None:
            is_known = call.path == BROKER_OBJECT_PATH and call.interface in (BROKER_INTERFACE, _PEER)
        text = bus.unknown_method if is_known else bus.unknown_interface
        return error_reply(
            call, _UNKNOWN_METHOD, text.format(interface=call.interface, path=call.path, method=call.member)
        )


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@contextlib.asynccontextmanager
async def serve(
    broker: FakeBroker, address: str | None = None, *, control: bool = True
) -> AsyncGenerator[FakeService, None]:
    """Put a fake broker on a bus for the length of a block.

    Args:
        broker: what answers.
        address: a D-Bus address; default the session bus's.
        control: whether it has the control interface: any process on the bus can then drive it and read its journal.

    Yields:
        The service.

    Raises:
        BusError: the bus can't be reached.
        NameTakenError: something else on it owns the broker's name.
    """
    connection = await Connection.open(address)
    service = FakeService(broker, connection, control=control)
    try:
        await service.take_name()
        yield service
    finally:
        await service.stop()
