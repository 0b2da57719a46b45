"""The brokers beside the fake one: one whose answers the test writes, and one that waits in line for the name."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from linuxbroker.bus import Connection, Message, MessageKind, RemoteError
from linuxbroker.bus.connection import error_reply, method_return
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake import FakeBroker
from linuxbroker_fake.control import CONTROL_INTERFACE, CONTROL_PATH
from linuxbroker_fake.service import FakeService

# Flags of org.freedesktop.DBus.RequestName.
ALLOW_REPLACEMENT, REPLACE, DO_NOT_QUEUE = 1, 2, 4
NAME_OWNER_CHANGED = (
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',"
    f"arg0='{BROKER_BUS_NAME}'"
)


class ScriptedBroker:
    """A broker that does with each call what the test tells it to."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._calls: asyncio.Queue[Message] = asyncio.Queue()
        connection.on_call = self._calls.put_nowait

    async def next_call(self) -> Message:
        """The next call that arrives."""
        return await self._calls.get()

    @property
    def unread(self) -> int:
        """How many calls arrived and were not looked at."""
        return self._calls.qsize()

    def answer(self, call: Message, **reply: Any) -> None:
        """Answer with a JSON object."""
        self.connection.send(method_return(call, "s", json.dumps(reply)))

    def answer_version(self, call: Message, version: str) -> None:
        """Answer getLinuxBrokerVersion."""
        self.answer(call, linuxBrokerVersion=version)

    def fail(self, call: Message, name: str, text: str) -> None:
        """Answer with a D-Bus error."""
        self.connection.send(error_reply(call, name, text))

    def leave(self) -> None:
        """Leave the bus at once."""
        self.connection.close()


@contextlib.asynccontextmanager
async def scripted_broker(address: str, flags: int = DO_NOT_QUEUE) -> AsyncIterator[ScriptedBroker]:
    """Put a broker on a bus that the test speaks for; without ``DO_NOT_QUEUE`` it waits for its turn."""
    broker = ScriptedBroker(await Connection.open(address))
    try:
        await broker.connection.call_bus("RequestName", "su", BROKER_BUS_NAME, flags)
        yield broker
    finally:
        broker.leave()


@contextlib.asynccontextmanager
async def successor(address: str) -> AsyncIterator[FakeBroker]:
    """Have a second fake broker wait in line: the bus gives it the name at the moment at which the first one dies."""
    service = FakeService(FakeBroker(), await Connection.open(address))
    try:
        await service._connection.call_bus("RequestName", "su", BROKER_BUS_NAME, 0)
        yield service.broker
    finally:
        await service.stop()


class Observer:
    """A connection of the test's own, to ask the bus with, and a fake broker in another process."""

    def __init__(self, connection: Connection) -> None:
        self.unique_name = connection.unique_name
        self._connection = connection
        self._owners: asyncio.Queue[str] = asyncio.Queue()
        connection.on_signal(self._on_signal)

    def _on_signal(self, message: Message) -> None:
        if message.member == "NameOwnerChanged" and message.body[0] == BROKER_BUS_NAME:
            self._owners.put_nowait(message.body[2])

    async def name_is_free(self) -> None:
        """Wait until the broker's name has lost an owner."""
        while await self._owners.get():
            pass

    async def broker_pid(self) -> int:
        """The process that owns the broker's name."""
        (pid,) = await self._connection.call_bus("GetConnectionUnixProcessID", "s", BROKER_BUS_NAME)
        return int(pid)

    async def control(self, member: str, *arguments: str) -> Any:
        """Call the control interface of the fake broker on the bus."""
        call = Message(
            MessageKind.CALL,
            destination=BROKER_BUS_NAME,
            path=CONTROL_PATH,
            interface=CONTROL_INTERFACE,
            member=member,
            signature="s" * len(arguments),
            body=arguments,
        )
        return json.loads((await self._connection.call(call, limit=30)).body[0])

    async def match_rules(self, unique_name: str) -> int:
        """How many match rules the bus holds for a connection, by its own count; each kind of bus tells in its way."""
        try:
            (held,) = await self._stats("GetConnectionStats", unique_name)
            return int(held["MatchRules"].value)
        except RemoteError:
            (held,) = await self._stats("GetStats")
            peers = held["org.bus1.DBus.Debug.Stats.PeerAccounting"].value
            (counts,) = (counts for name, _, counts in peers if name == unique_name)
            return int(counts["Matches"])

    async def _stats(self, member: str, *arguments: str) -> Sequence[Any]:
        call = Message(
            MessageKind.CALL,
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus.Debug.Stats",
            member=member,
            signature="s" * len(arguments),
            body=arguments,
        )
        return (await self._connection.call(call, limit=30)).body

    async def connections(self) -> int:
        """How many connections the bus has."""
        (names,) = await self._connection.call_bus("ListNames")
        return sum(name.startswith(":") for name in names)


@contextlib.asynccontextmanager
async def observer(address: str) -> AsyncIterator[Observer]:
    """A connection to watch the bus from."""
    connection = await Connection.open(address)
    try:
        watching = Observer(connection)
        await connection.call_bus("AddMatch", "s", NAME_OWNER_CHANGED)
        yield watching
    finally:
        connection.close()
