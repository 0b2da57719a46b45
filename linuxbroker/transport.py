"""How does a call of the broker's interface reach the broker? Names, arguments and options on a shared connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from linuxbroker import validation
from linuxbroker.bus import (
    CallTimeoutError,
    ClosedHereError,
    Connection,
    DisconnectedError,
    Message,
    MessageKind,
    NameOwner,
    RemoteError,
    SharedBus,
    name_owner,
    shared_bus,
)
from linuxbroker.codec import MalformedReplyError
from linuxbroker.redaction import HiddenText
from linuxbroker.trust import Doubt, TrustPolicy, UntrustedOwnerError, doubt

_log = logging.getLogger("linuxbroker.trust")

BROKER_BUS_NAME = "com.microsoft.identity.broker1"
BROKER_OBJECT_PATH = "/com/microsoft/identity/broker1"
BROKER_INTERFACE = "com.microsoft.identity.Broker1"

# The broker died under the call; the bus starts it again for the next one.
_BROKER_WENT_AWAY = {"org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected"}
# The bus's answer to a call of a connection that is gone.
_CONNECTION_UNKNOWN = {"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"}


@dataclass(frozen=True)
class Timeouts:
    """Time limits in seconds; None means no limit.

    Attributes:
        connect: connecting to the bus.
        call: any call that waits for no person.
        interactive: a sign-in, which waits for a person.
        ping: how long ``is_available`` waits for an answer.
        cancel: how long the broker has to hear of a cancelled sign-in, and then to end it.

    Raises:
        InvalidArgumentError: one is not a number, or below 0.
    """

    connect: float | None = 5.0
    call: float | None = 60.0
    interactive: float | None = None
    ping: float | None = 5.0
    cancel: float | None = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            validation.time_limit(field.name, getattr(self, field.name))


@dataclass(frozen=True)
class CallOptions:
    """How one call is made.

    Attributes:
        limit: seconds to wait for the reply; None for no limit.
        repeatable: whether the call may be sent a second time when the bus or the broker went away under the first.
        on_send: called when the bus is reached and the call is about to be written.
    """

    limit: float | None
    repeatable: bool = False
    on_send: Callable[[], None] | None = None


class BrokerTransport:
    """Calls the broker over the running loop's shared connection to a bus.

    Args:
        bus_address: a D-Bus address; None for the session bus.
        timeouts: the time limits.
        max_reply_bytes: a longer reply is refused.
        trust: what is done about an owner of the broker's name that is not to be trusted.
    """

    def __init__(
        self, bus_address: str | None, timeouts: Timeouts, max_reply_bytes: int, trust: TrustPolicy = "off"
    ) -> None:
        self._bus_address = bus_address
        self._timeouts = timeouts
        self._max_reply_bytes = max_reply_bytes
        self._trust = trust
        self._warned_of: tuple[NameOwner, Doubt] | None = None

    async def call(self, member: str, arguments: tuple[str, ...], options: CallOptions) -> str:
        """Call a method of the broker's interface.

        Args:
            member: the method.
            arguments: its arguments, all texts.
            options: how to call it.

        Returns:
            The reply, a text that no ``repr`` shows.

        Raises:
            BusError: no reply was to be had.
            UntrustedOwnerError: it was not sent, as the trust policy is strict.
            MalformedReplyError: the reply is not a text.
        """
        message = Message(
            MessageKind.CALL,
            destination=BROKER_BUS_NAME,
            path=BROKER_OBJECT_PATH,
            interface=BROKER_INTERFACE,
            member=member,
            signature="s" * len(arguments),
            body=arguments,
        )
        reply = await self._send(message, options)
        if reply.signature != "s":
            raise MalformedReplyError("it is not a text")
        return HiddenText(reply.body[0])

    async def ping(self) -> None:
        """Ask the broker for a sign of life, which starts it if it is not running.

        Raises:
            BusError: there was none.
            UntrustedOwnerError: it was not asked, as the trust policy is strict.
        """
        message = Message(
            MessageKind.CALL,
            destination=BROKER_BUS_NAME,
            path=BROKER_OBJECT_PATH,
            interface="org.freedesktop.DBus.Peer",
            member="Ping",
        )
        await self._send(message, CallOptions(limit=self._timeouts.ping, repeatable=True))

    def bus(self) -> SharedBus:
        """Give the running loop's shared bus, with nothing sent over it yet."""
        return shared_bus(self._bus_address, self._max_reply_bytes)

    def close(self) -> None:
        """Give the running loop's connection back; it is closed when nobody else uses it."""
        self.bus().release(self)

    async def _send(self, message: Message, options: CallOptions) -> Message:
        try:
            return await self._send_once(message, options)
        except DisconnectedError as error:
            if not options.repeatable or isinstance(error, ClosedHereError):
                raise
        except RemoteError as error:
            if not options.repeatable or error.name not in _BROKER_WENT_AWAY:
                raise
        return await self._send_once(message, options)

    async def _send_once(self, message: Message, options: CallOptions) -> Message:
        connection = await self.bus().connection(self, limit=self._timeouts.connect)
        if self._trust == "off":
            return await self._call(connection, message, options)
        return await self._send_to_owner(connection, message, options)

    async def _send_to_owner(self, connection: Connection, message: Message, options: CallOptions) -> Message:
        """Send to the connection that owns the name now, by its unique name: who takes the name later gets nothing."""
        clock = asyncio.get_running_loop().time
        start = clock()
        timed_out = CallTimeoutError(message.member, options.limit or 0.0)
        try:
            owner = await name_owner(connection, message.destination, limit=options.limit)
        except CallTimeoutError:
            raise timed_out from None
        self._look_at(owner)
        left = None if options.limit is None else max(0.0, options.limit - (clock() - start))
        addressed = replace(message, destination=owner.unique_name)
        try:
            return await self._call(connection, addressed, replace(options, limit=left), only_from=owner.unique_name)
        except CallTimeoutError:
            raise timed_out from None
        except RemoteError as error:
            if error.name not in _CONNECTION_UNKNOWN:
                raise
        raise DisconnectedError(f"the owner of {message.destination} left the bus")

    async def _call(
        self, connection: Connection, message: Message, options: CallOptions, *, only_from: str = ""
    ) -> Message:
        if options.on_send is not None:
            options.on_send()
        return await connection.call(message, limit=options.limit, only_from=only_from)

    def _look_at(self, owner: NameOwner) -> None:
        found = doubt(owner)
        if found is None:
            self._warned_of = None
            return
        failure = UntrustedOwnerError(owner, found)
        if self._trust == "strict":
            raise failure
        if self._warned_of != (owner, found):
            self._warned_of = (owner, found)
            _log.warning("%s", failure)
