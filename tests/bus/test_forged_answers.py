"""Messages of another process in the bus's place, on a real bus: any process can send them on dbus-daemon.

The policy of the private bus is that of a session's, as dbus-daemon comes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from linuxbroker import BrokerClient, BrokerError, BrokerNotInstalledError, Presence, Timeouts
from linuxbroker.bus import Connection, Message, MessageKind
from linuxbroker.bus.codec import encode
from linuxbroker.bus.connection import BUS_NAME, BUS_PATH
from linuxbroker.call.trust.policy import TrustPolicy
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake import PrivateBus
from tests.constants import CLIENT_ID
from tests.trust.buses import from_sender

TRIES = 100
LIMITS = Timeouts(connect=60, call=60, ping=60)
ANSWERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "nothing": ("", ()),
    "a truth": ("b", (True,)),
    "two": ("bb", (True, True)),
    "a text": ("s", ("x",)),
    "a number": ("u", (1,)),
    "a list": ("as", (["x"],)),
    "credentials": ("a{sv}", ({},)),
}
NAME_CHANGED = Message(
    MessageKind.SIGNAL,
    path=BUS_PATH,
    interface=BUS_NAME,
    member="NameOwnerChanged",
    signature="sss",
    body=(BROKER_BUS_NAME, "", ":1.1"),
)


@pytest.fixture
async def bus() -> AsyncGenerator[PrivateBus, None]:
    async with PrivateBus() as private:
        yield private


def _forgeries(forger: Connection) -> list[Message]:
    """One of each kind, in reply to each of a client's first calls, and the signal that nobody asked for."""
    owner = Message(MessageKind.RETURN, signature="s", body=(forger.unique_name,))
    returns = [Message(MessageKind.RETURN, signature=signature, body=body) for signature, body in ANSWERS.values()]
    error = Message(MessageKind.ERROR, error_name=BUS_NAME + ".Error.Forged", signature="s", body=("forged",))
    answers = (*returns, owner, error)
    return [NAME_CHANGED, *(replace(answer, reply_serial=serial) for serial in range(1, 6) for answer in answers)]


@contextlib.asynccontextmanager
async def _forging(bus: PrivateBus) -> AsyncGenerator[Connection, None]:
    """Flood whoever joins the bus, and who is about to, with answers that are not the bus's."""
    forger = await Connection.open(bus.address)
    newest = own = int(forger.unique_name.partition(".")[2])

    def on_signal(signal: Message) -> None:
        nonlocal newest
        if signal.member == "NameOwnerChanged" and signal.body[2].startswith(":1."):
            newest = max(newest, int(signal.body[2].partition(".")[2]))

    async def flood() -> None:
        while True:
            for number in {max(newest, own + 1), newest + 1}:
                forger._write(burst(f":1.{number}"))
            await forger.call_bus("GetId")  # the bus has passed them on by then

    @functools.lru_cache(4)
    def burst(victim: str) -> bytes:
        written = (encode(replace(forged, destination=victim), serial=1) for forged in _forgeries(forger))
        return b"".join(written)

    forger.on_signal(on_signal)
    await forger.call_bus("AddMatch", "s", "member='NameOwnerChanged'")
    flooding = asyncio.ensure_future(flood())
    try:
        yield forger
    finally:
        assert not flooding.done(), flooding
        flooding.cancel()
        await asyncio.wait({flooding})
        forger.close()


@pytest.mark.parametrize("trust", ["off", "warn"])
async def test_nobody_makes_a_broker_appear_that_is_not_there(bus: PrivateBus, trust: TrustPolicy) -> None:
    async with _forging(bus):
        for _ in range(TRIES):
            async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust=trust, timeouts=LIMITS) as client:
                watch = client.watch()
                assert await anext(watch) is Presence.OFFLINE
                change = asyncio.ensure_future(anext(watch))
                connection = await client._transport.connection()
                await connection.call_bus("GetId")  # what was forged for the watch has come by then
                assert not change.done()
                change.cancel()
                await asyncio.wait({change})


async def test_nobody_makes_a_call_go_to_itself(bus: PrivateBus) -> None:
    async with _forging(bus) as forger:
        called: list[Message] = []
        forger.on_call = called.append
        for _ in range(TRIES):
            async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust="warn", timeouts=LIMITS) as client:
                with pytest.raises(BrokerNotInstalledError):
                    await client.get_linux_broker_version()
        assert called == []


async def test_forged_answers_raise_none_but_the_librarys_errors(bus: PrivateBus) -> None:
    """With ``off`` the call goes to the name, and a reply of anybody's is taken for the broker's."""
    async with _forging(bus):
        for _ in range(TRIES):
            async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=LIMITS) as client:
                assert await client.is_available() in (True, False)
                with pytest.raises(BrokerError):
                    await client.get_accounts()


@pytest.mark.parametrize("claimed", ["", BUS_NAME, ":1.0"])
async def test_a_bus_says_itself_whose_each_message_is(bus: PrivateBus, claimed: str) -> None:
    """So one without a sender is of the bus, or of a proxy that stands in front of it."""
    forger, victim = await Connection.open(bus.address), await Connection.open(bus.address)
    try:
        seen: list[Message] = []
        victim.on_signal(seen.append)
        victim.on_call = seen.append
        for number, kind in enumerate((NAME_CHANGED, replace(NAME_CHANGED, kind=MessageKind.CALL)), start=100):
            data = encode(replace(kind, destination=victim.unique_name), serial=number)
            forger._write(from_sender(data, claimed) if claimed else data)
        await forger.call_bus("GetId")
        await victim.call_bus("GetId")
        assert [message.sender for message in seen if message.body[:1] == (BROKER_BUS_NAME,)] == [
            forger.unique_name
        ] * 2
    finally:
        forger.close()
        victim.close()
