"""Odd answers of the bus become errors of this library; answers of others are not taken for the bus's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from linuxbroker import BrokerClient, BrokerError, BrokerProtocolError, NoSessionBusError, Presence, Timeouts
from linuxbroker.bus import BadMessageError, BusError, CallTimeoutError, Connection, Message, MessageKind
from linuxbroker.bus.connection import BUS_NAME
from linuxbroker.call.trust.policy import TrustPolicy
from tests.constants import CLIENT_ID
from tests.trust.buses import Bus, answers, fails, hand_made

# Signature and values: none, two, of another type, nested, and more.
ODD: dict[str, tuple[str, tuple[Any, ...]]] = {
    "none": ("", ()),
    "two texts": ("ss", ("x", "y")),
    "a number": ("u", (7,)),
    "a truth": ("b", (True,)),
    "a list": ("as", (["x"],)),
    "an empty list": ("as", ([],)),
    "a text": ("s", ("x",)),
    "an empty text": ("s", ("",)),
    "a structure": ("(s)", (["x"],)),
    "a path": ("o", ("/",)),
    "a dictionary": ("a{ss}", ({"x": "y"},)),
}
# What is right, where it is among the odd.
RIGHT = {
    "AddMatch": {"none"},
    "NameHasOwner": {"a truth"},
    "StartServiceByName": {"a number"},
    "RequestName": {"a number"},
    "ListNames": {"a list", "an empty list"},
}
every_odd_answer = pytest.mark.parametrize("odd", ODD)
LIMITS = Timeouts(connect=5, call=5, ping=5)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[Bus, None]:
    async with hand_made(tmp_path) as made:
        made.tells("AddMatch", answers(""))
        made.tells("RemoveMatch", None)
        made.tells("NameHasOwner", answers("b", True))
        yield made


def _call(member: str) -> Message:
    return Message(MessageKind.CALL, destination="a.b", path="/", interface="a.b", member=member)


def _oddly(odd: str) -> Any:
    signature, body = ODD[odd]
    return answers(signature, *body)


@every_odd_answer
async def test_a_bus_that_says_hello_oddly_is_none(bus: Bus, odd: str) -> None:
    bus.tells("Hello", _oddly(odd))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=LIMITS) as client:
        with pytest.raises(NoSessionBusError, match="invalid reply from the bus"):
            await client.get_accounts()
        assert not await client.is_available()


@pytest.mark.parametrize("name", [":1.\x1b[31m\n", "com.example.Name", ":1", ":", ":1..2", ":1.é", ":1." + "2" * 300])
async def test_a_name_that_no_connection_can_have_is_not_taken(bus: Bus, name: str) -> None:
    bus.tells("Hello", answers("s", name))
    with pytest.raises(BusError, match="not a unique connection name"):
        await Connection.open(bus.address)
    bus.tells("Hello", answers("s", ":1.1"))
    bus.tells("GetNameOwner", answers("s", name))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust="warn") as client:
        with pytest.raises(BrokerProtocolError, match="not a unique connection name"):
            await client.get_linux_broker_version()
    assert [call.member for call in bus.received] == ["GetNameOwner"]


@every_odd_answer
@pytest.mark.parametrize(
    "member", ["AddMatch", "NameHasOwner", "GetNameOwner", "StartServiceByName", "RequestName", "ListNames"]
)
async def test_an_odd_answer_to_any_method_is_an_error_of_the_bus(bus: Bus, member: str, odd: str) -> None:
    bus.tells(member, _oddly(odd))
    connection = await Connection.open(bus.address)
    with contextlib.closing(connection):
        if odd in RIGHT.get(member, set()) or (member == "GetNameOwner" and "text" in odd and "two" not in odd):
            assert await connection.call_bus(member) == ODD[odd][1]
        else:
            with pytest.raises(BadMessageError, match=f"invalid reply from the bus to {member}"):
                await connection.call_bus(member)


@every_odd_answer
@pytest.mark.parametrize(
    "member", ["AddMatch", "NameHasOwner", "GetNameOwner", "StartServiceByName", "GetConnectionCredentials"]
)
@pytest.mark.parametrize("trust", ["off", "warn", "strict"])
async def test_a_client_has_errors_of_its_own_for_them(bus: Bus, member: str, odd: str, trust: TrustPolicy) -> None:
    if member == "StartServiceByName":
        bus.tells("GetNameOwner", fails("NameHasNoOwner"), answers("s", ":1.9"))
    bus.tells(member, _oddly(odd))
    bus.tells("getAccounts", answers("s", '{"accounts": []}'))
    bus.tells("Ping", answers(""))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust=trust, timeouts=LIMITS) as client:
        assert await client.is_available() in (True, False)
        for _ in range(2):
            with contextlib.suppress(BrokerError):
                await client.get_accounts()
            watch = client.watch()
            with contextlib.suppress(BrokerError):
                assert await anext(watch) is Presence.ONLINE
            await watch.aclose()


@pytest.mark.parametrize("member", ["AddMatch", "NameHasOwner", "GetNameOwner", "Hello"])
async def test_nobody_elses_answer_is_taken_for_the_buss(bus: Bus, member: str) -> None:
    bus.sender[member] = ":1.66"
    if member == "Hello":
        with pytest.raises(BusError, match="no reply within"):
            await Connection.open(bus.address, limit=0.1)
        return
    connection = await Connection.open(bus.address)
    with contextlib.closing(connection), pytest.raises(CallTimeoutError):
        await connection.call_bus(member, limit=0.1)


@pytest.mark.parametrize("trust", ["off", "warn"])
async def test_what_has_no_sender_is_taken(bus: Bus, trust: TrustPolicy) -> None:
    """As a proxy in front of the bus writes it, which the bus itself never does."""
    for member in (*bus.answers, "getAccounts"):
        bus.sender[member] = ""
    bus.tells("getAccounts", fails("AccessDenied"))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust=trust, timeouts=LIMITS) as client:
        assert await client.get_linux_broker_version() == "2.5.2"
        with pytest.raises(BrokerError, match="the bus refused the call"):
            await client.get_accounts()
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        await watch.aclose()


@pytest.mark.parametrize(("sender", "is_told"), [(BUS_NAME, True), ("", True), (":1.66", False)])
async def test_a_change_of_owner_is_told_by_the_bus_alone(bus: Bus, sender: str, is_told: bool) -> None:
    def says(old: str, new: str, member: str = "NameOwnerChanged") -> Any:
        names = ("com.microsoft.identity.broker1", old, new)
        changed = Message(MessageKind.SIGNAL, path="/", interface=BUS_NAME, member=member, signature="sss", body=names)
        return lambda call: changed

    async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=LIMITS) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        connection = await client._transport.connection()
        bus.tells("says", says(":1.7", ""))
        bus.sender["says"] = sender
        bus.tells("then", answers(""))
        connection.send(_call("says"))
        await connection.call(_call("then"), limit=5)  # the bus keeps the order: the signal has been
        change = asyncio.ensure_future(anext(watch))
        done, _ = await asyncio.wait({change}, timeout=5 if is_told else 0)
        assert bool(done) is is_told
        change.cancel()
        await asyncio.wait({change})
        await watch.aclose()


@every_odd_answer
async def test_an_odd_signal_of_the_bus_is_no_change(bus: Bus, odd: str) -> None:
    def signal(signature: str, *body: Any, interface: str = BUS_NAME) -> Any:
        made = Message(
            MessageKind.SIGNAL, path="/", interface=interface, member="NameOwnerChanged", signature=signature, body=body
        )
        return lambda call: made

    name = "com.microsoft.identity.broker1"
    signature, body = ODD[odd]
    told = (
        signal(signature, *body),
        signal("s", name),
        signal("ssu", name, ":1.7", 0),
        signal("sss", "com.example.Other", ":1.7", ""),
        signal("sss", name, ":1.7", "", interface="a.b"),
    )
    bus.tells("says", *told, signal("sss", name, ":1.7", ""))
    bus.tells("then", answers(""))
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=LIMITS) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        connection = await client._transport.connection()
        for _ in told:
            connection.send(_call("says"))
        await connection.call(_call("then"), limit=5)  # the bus keeps the order: the signals have been
        change = asyncio.ensure_future(anext(watch))
        await asyncio.wait({change}, timeout=0)
        assert not change.done()
        connection.send(_call("says"))
        assert await change is Presence.OFFLINE
        await watch.aclose()
    assert raised == []
