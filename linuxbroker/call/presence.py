"""The presence of the broker: changes of its bus name's owner, watched without starting the broker."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator

from linuxbroker.bus import BusError, Message
from linuxbroker.bus.connection import BUS_NAME, bus_call
from linuxbroker.call.transport import BrokerTransport, Timeouts
from linuxbroker.wire.names import BROKER_BUS_NAME

_MATCH_RULE = (
    "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
    f"member='NameOwnerChanged',arg0='{BROKER_BUS_NAME}'"
)


class Presence(enum.Enum):
    """Whether the broker owns its bus name."""

    ONLINE = "online"
    OFFLINE = "offline"


async def watch_presence(transport: BrokerTransport, timeouts: Timeouts) -> AsyncGenerator[Presence, None]:
    """Watch the broker's bus name.

    Args:
        transport: the transport whose bus to watch.
        timeouts: the time limits for the calls to the bus.

    Yields:
        The current state, then each change; ``OFFLINE`` before raising if the connection to the bus ends.

    Raises:
        BusError: the bus is unavailable, or the connection ended. Source: PROTOCOL.md, "Transport".
        UntrustedError: nothing was sent, as the bus is not trusted.
    """
    connection = await transport.connection()
    events: asyncio.Queue[Presence | BusError] = asyncio.Queue()

    def on_signal(message: Message) -> None:
        is_from_bus = message.sender in (BUS_NAME, "")  # without a sender: a proxy in front of the bus
        is_change = (message.interface, message.member) == (BUS_NAME, "NameOwnerChanged")
        if is_from_bus and is_change and message.signature == "sss" and message.body[0] == BROKER_BUS_NAME:
            events.put_nowait(Presence.ONLINE if message.body[2] else Presence.OFFLINE)

    remove_signal_handler = connection.on_signal(on_signal)
    remove_close_handler = connection.on_close(events.put_nowait)
    match_added = asyncio.Event()
    try:
        await connection.call_bus("AddMatch", "s", _MATCH_RULE, limit=timeouts.call, on_send=match_added.set)
        (owned,) = await connection.call_bus("NameHasOwner", "s", BROKER_BUS_NAME, limit=timeouts.call)
        last = Presence.ONLINE if owned else Presence.OFFLINE
        yield last
        while True:
            event = await events.get()
            if isinstance(event, BusError):
                if last is not Presence.OFFLINE:
                    yield Presence.OFFLINE
                raise event
            if event is not last:
                last = event
                yield event
    finally:
        remove_signal_handler()
        remove_close_handler()
        if match_added.is_set() and connection.is_open:
            connection.send(bus_call("RemoveMatch", "s", _MATCH_RULE))
