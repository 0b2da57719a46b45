"""How does a call of the broker's interface reach the broker? Names, arguments and options on a shared connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from linuxbroker import validation
from linuxbroker.bus import (
    ClosedHereError,
    DisconnectedError,
    Message,
    MessageKind,
    RemoteError,
    SharedBus,
    shared_bus,
)
from linuxbroker.codec import MalformedReplyError
from linuxbroker.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH

# The broker died under the call; the bus starts it again for the next one.
_BROKER_WENT_AWAY = {"org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected"}


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
    """

    def __init__(self, bus_address: str | None, timeouts: Timeouts, max_reply_bytes: int) -> None:
        self._bus_address = bus_address
        self._timeouts = timeouts
        self._max_reply_bytes = max_reply_bytes

    async def call(self, member: str, arguments: tuple[str, ...], options: CallOptions) -> str:
        """Call a method of the broker's interface.

        Args:
            member: the method.
            arguments: its arguments, all texts.
            options: how to call it.

        Returns:
            The reply, a text.

        Raises:
            BusError: no reply was to be had.
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
        return str(reply.body[0])

    async def ping(self) -> None:
        """Ask the broker for a sign of life, which starts it if it is not running.

        Raises:
            BusError: there was none.
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
        if options.on_send is not None:
            options.on_send()
        return await connection.call(message, limit=options.limit)
