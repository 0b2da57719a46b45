"""The fake broker on a bus: broker interface, control interface and standard D-Bus interfaces."""

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
from linuxbroker.resources import interface_xml
from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker_fake.arguments import check_arguments
from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.control import CONTROL_INTERFACE, CONTROL_PATH, CONTROL_XML, Control, ControlError
from linuxbroker_fake.faults import FAILED, PING, CrashRequested, DBusFailure, RawReply
from linuxbroker_fake.introspection import introspection_xml
from linuxbroker_fake.journal import Call
from linuxbroker_fake.log_control import property_reply

_log = logging.getLogger("linuxbroker_fake")

_PEER = "org.freedesktop.DBus.Peer"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DO_NOT_QUEUE = 4
_PRIMARY_OWNER = 1
_UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
_INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_DISCONNECT_RULE = (
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"
)
_METHOD_NAMES = frozenset(re.findall(r'<method name="(\w+)"', interface_xml()))


class NameTakenError(Exception):
    """The broker's bus name is already owned on this bus."""


class FakeService:
    """A fake broker on a bus connection.

    Args:
        broker: the broker.
        connection: an open connection, used by this service only.
        control: whether to add the control interface, through which any process on the bus can control the broker and
            read its journal.
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
        """Take the broker's bus name, after the configuration's ``start_delay``.

        Raises:
            NameTakenError: the name is already owned.
        """
        await asyncio.sleep(self.broker.config.start_delay)
        await self._connection.call_bus("AddMatch", "s", _DISCONNECT_RULE)
        (outcome,) = await self._connection.call_bus("RequestName", "su", BROKER_BUS_NAME, _DO_NOT_QUEUE)
        if outcome != _PRIMARY_OWNER:
            raise NameTakenError(f"{BROKER_BUS_NAME} is already owned on this bus; stop the other broker first")

    async def stop(self) -> None:
        """Leave the bus; pending calls get no reply."""
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
            with contextlib.suppress(BusError):  # the bus may have stopped in the meantime
                self._connection.send(reply)

    async def _reply_to(self, call: Message) -> Message:
        if self._control is not None and (call.path, call.interface) == (CONTROL_PATH, CONTROL_INTERFACE):
            return method_return(call, "s", await self._control.handle(call.member, call.body))
        interfaces = (BROKER_INTERFACE,) if self.broker.persona.bus.requires_interface else (BROKER_INTERFACE, "")
        if call.path == BROKER_OBJECT_PATH and call.interface in interfaces and call.member in _METHOD_NAMES:
            return await self._broker_reply(call)
        self.broker.journal.record(
            Call(call.path, call.interface, call.member, call.signature, body=tuple(call.body), sender=call.sender)
        )
        async with self.broker.turn():
            if (call.interface, call.member) == (_PEER, PING):
                await self.broker.apply_fault(PING, None)
            return self._standard_reply(call)

    async def _broker_reply(self, call: Message) -> Message:
        version, correlation_id, request = check_arguments(
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
                request=_parse_json(request),
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
        handlers: dict[tuple[str, str], Callable[[Message], Message]] = {
            (_PEER, PING): method_return,
            ("org.freedesktop.DBus.Introspectable", "Introspect"): self._introspect,
        }
        if bus.properties or call.path != BROKER_OBJECT_PATH:
            handlers[_PEER, "GetMachineId"] = lambda request: method_return(request, "s", "0" * 32)
        if bus.properties:
            handlers[_PROPERTIES, "GetAll"] = lambda request: method_return(request, "a{sv}", {})
        if call.path in bus.paths and call.interface == _PROPERTIES:
            return property_reply(call)
        return handlers.get((call.interface, call.member), self._unknown_error)(call)

    def _introspect(self, call: Message) -> Message:
        if self._control is not None and call.path == CONTROL_PATH:
            return method_return(call, "s", CONTROL_XML)
        xml = introspection_xml(self.broker.persona.bus, call.path, _METHOD_NAMES)
        return self._unknown_error(call, is_known=False) if xml is None else method_return(call, "s", xml)

    def _unknown_error(self, call: Message, *, is_known: bool | None = None) -> Message:
        """Return the error for an unknown object, interface or method."""
        bus = self.broker.persona.bus
        if is_known is None:
            is_known = call.path == BROKER_OBJECT_PATH and call.interface in (BROKER_INTERFACE, _PEER)
        text = bus.unknown_method if is_known else bus.unknown_interface
        return error_reply(
            call, _UNKNOWN_METHOD, text.format(interface=call.interface, path=call.path, method=call.member)
        )


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@contextlib.asynccontextmanager
async def serve(
    broker: FakeBroker, address: str | None = None, *, control: bool = True
) -> AsyncGenerator[FakeService, None]:
    """Put a fake broker on a bus until the end of the ``async with`` block.

    Args:
        broker: the broker.
        address: a D-Bus address; default the session bus.
        control: whether to add the control interface, through which any process on the bus can control the broker and
            read its journal.

    Yields:
        The service.

    Raises:
        BusError: the bus is unavailable.
        NameTakenError: the broker's bus name is already owned.
    """
    connection = await Connection.open(address)
    service = FakeService(broker, connection, control=control)
    try:
        await service.take_name()
        yield service
    finally:
        await service.stop()
