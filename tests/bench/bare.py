"""Calls of the broker through dbus-next alone: texts that are ready, and nothing done with the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import TracebackType

from dbus_next.aio import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message

from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH

CORRELATION_ID = "7c0a9f60-6a4a-4fd5-9a02-6a8f1d1f7b52"


class Bare:
    """A dbus-next connection for the length of an ``async with`` block.

    Args:
        address: the bus's D-Bus address.
    """

    def __init__(self, address: str) -> None:
        self._bus = MessageBus(bus_address=address)

    async def __aenter__(self) -> Bare:
        await self._bus.connect()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bus.disconnect()

    async def call(self, member: str, request: str) -> str:
        """Call a method of the broker with a request that is ready; gives the reply as it came."""
        reply = await self._bus.call(
            Message(
                destination=BROKER_BUS_NAME,
                path=BROKER_OBJECT_PATH,
                interface=BROKER_INTERFACE,
                member=member,
                signature="sss",
                body=["0.0", CORRELATION_ID, request],
            )
        )
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            raise RuntimeError(f"{member} failed")
        text: str = reply.body[0]
        return text

    async def call_all(self, member: str, requests: Iterator[str], window: int) -> None:
        """Make calls, at most ``window`` of them at once: more than it bears, and dbus-next loses the connection."""

        async def work() -> None:
            for request in requests:
                await self.call(member, request)

        workers = [asyncio.ensure_future(work()) for _ in range(window)]
        done, pending = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        for worker in pending:
            worker.cancel()
        if pending:
            await asyncio.wait(pending)
        for worker in done:
            worker.result()
