"""The trust check with a bus that tells less than usual, or nonsense. The bus is hand-made."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from dbus_next.signature import Variant

from linuxbroker import (
    BrokerClient,
    BrokerDisconnectedError,
    BrokerError,
    BrokerNotInstalledError,
    BrokerStartError,
    BrokerTimeoutError,
    Timeouts,
    UntrustedBrokerError,
)
from linuxbroker.bus.connection import BUS_NAME
from tests.constants import CLIENT_ID
from tests.trust.buses import HERE, VERSION, Answer, Bus, answers, fails, hand_made


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[Bus, None]:
    async with hand_made(tmp_path) as made:
        yield made


async def _version(bus: Bus, policy: Any = "warn", limit: float | None = 60.0) -> str:
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=Timeouts(call=limit), trust=policy) as client:
        return await client.get_linux_broker_version()


async def test_the_call_goes_to_the_connection_that_was_looked_at(bus: Bus) -> None:
    assert await _version(bus) == "2.5.2"
    assert [(call.member, call.destination, tuple(call.body)[:1]) for call in bus.received[:3]] == [
        ("GetNameOwner", BUS_NAME, ("com.microsoft.identity.broker1",)),
        ("GetConnectionCredentials", BUS_NAME, (":1.7",)),
        ("GetConnectionCredentials", BUS_NAME, (":1.1",)),
    ]
    assert [(call.member, call.destination) for call in bus.received[3:]] == [("getLinuxBrokerVersion", ":1.7")]


async def test_without_a_policy_the_bus_is_asked_nothing(bus: Bus) -> None:
    assert await _version(bus, "off") == "2.5.2"
    assert [(call.member, call.destination) for call in bus.received] == [
        ("getLinuxBrokerVersion", "com.microsoft.identity.broker1")
    ]


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (answers("a{sv}", {}), "the bus does not report which process it is"),
        (answers("a{sv}", {"UnixUserID": HERE["UnixUserID"]}), "the bus does not report which process it is"),
        (answers("a{sv}", {**HERE, "ProcessID": Variant("s", "1")}), "the bus does not report which process it is"),
        (answers("a{sv}", {**HERE, "ProcessID": Variant("b", True)}), "the bus does not report which process it is"),
        (answers("a{ss}", {"UnixUserID": "0", "ProcessID": "1"}), "the bus does not report which process it is"),
        (answers("s", "nobody"), "the bus does not report which process it is"),
        (answers(""), "the bus does not report which process it is"),
        (answers("a{sv}", {**HERE, "UnixUserID": Variant("u", 64000)}), "it runs as user ID 64000"),
        (answers("a{sv}", {**HERE, "ProcessID": Variant("u", 2**31)}), "the process exited"),
    ],
)
async def test_credentials_that_say_too_little_are_not_enough(bus: Bus, theirs: Answer, reason: str) -> None:
    bus.tells("GetConnectionCredentials", theirs, answers("a{sv}", HERE))
    with pytest.raises(UntrustedBrokerError, match=reason):
        await _version(bus, "strict")
    assert "getLinuxBrokerVersion" not in [call.member for call in bus.received]


@pytest.mark.parametrize("key", ["UnixUserID", "ProcessID"])
async def test_a_bus_that_counts_otherwise_is_one_outside_a_container(bus: Bus, key: str) -> None:
    bus.tells("GetConnectionCredentials", answers("a{sv}", HERE), answers("a{sv}", {**HERE, key: Variant("u", 4242)}))
    with pytest.raises(UntrustedBrokerError, match="container or sandbox"):
        await _version(bus, "strict")


async def test_a_broker_that_is_not_running_is_started(bus: Bus) -> None:
    bus.tells("GetNameOwner", fails("NameHasNoOwner"), answers("s", ":1.9"))
    bus.tells("StartServiceByName", answers("u", 1))
    assert await _version(bus) == "2.5.2"
    assert [call.member for call in bus.received[:3]] == ["GetNameOwner", "StartServiceByName", "GetNameOwner"]
    assert tuple(bus.received[1].body) == ("com.microsoft.identity.broker1", 0)
    assert bus.received[-1].destination == ":1.9"


@pytest.mark.parametrize(
    ("member", "told", "failure"),
    [
        ("StartServiceByName", [fails("ServiceUnknown")], BrokerNotInstalledError),
        ("StartServiceByName", [fails("Spawn.ChildExited")], BrokerStartError),
        ("StartServiceByName", [answers("u", 1)], BrokerDisconnectedError),
        ("StartServiceByName", [None], BrokerTimeoutError),
    ],
    ids=["not installed", "does not start", "left at once", "takes too long"],
)
async def test_a_broker_that_does_not_start_is_told_as_without_a_policy(
    bus: Bus, member: str, told: list[Answer | None], failure: type[BrokerError]
) -> None:
    bus.tells("GetNameOwner", fails("NameHasNoOwner"))
    bus.tells(member, *told)
    with pytest.raises(failure) as caught:
        await _version(bus, limit=0.1)
    if failure is BrokerTimeoutError:
        assert "getLinuxBrokerVersion: no reply within 0.1 s" in str(caught.value)


@pytest.mark.parametrize("name", ["ServiceUnknown", "NameHasNoOwner"])
async def test_a_broker_that_leaves_after_it_was_looked_at_is_looked_for_again(bus: Bus, name: str) -> None:
    bus.tells("getLinuxBrokerVersion", fails(name), answers("s", VERSION))
    bus.tells("GetNameOwner", answers("s", ":1.7"), answers("s", ":1.8"))
    assert await _version(bus) == "2.5.2"
    sent = [call.destination for call in bus.received if call.member == "getLinuxBrokerVersion"]
    assert sent == [":1.7", ":1.8"]


async def test_a_broker_that_leaves_while_it_is_looked_at_is_looked_for_again(bus: Bus) -> None:
    gone, here = fails("NameHasNoOwner"), answers("a{sv}", HERE)
    bus.tells("GetConnectionCredentials", gone, here, here, here)
    assert await _version(bus) == "2.5.2"
    assert [call.member for call in bus.received].count("GetNameOwner") == 2


async def test_a_broker_that_keeps_leaving_is_a_broker_that_went_away(bus: Bus) -> None:
    bus.tells("getLinuxBrokerVersion", fails("ServiceUnknown"))
    with pytest.raises(BrokerDisconnectedError, match=r"disconnected from the bus\. The next call reconnects"):
        await _version(bus)


@pytest.mark.parametrize("member", ["GetNameOwner", "GetConnectionCredentials"])
async def test_a_bus_that_refuses_to_tell_is_an_error(bus: Bus, member: str) -> None:
    bus.tells(member, fails("AccessDenied"))
    with pytest.raises(BrokerError, match="AccessDenied"):
        await _version(bus)
    assert "getLinuxBrokerVersion" not in [call.member for call in bus.received]


async def test_a_broker_that_fails_is_told_as_ever(bus: Bus) -> None:
    bus.tells("getLinuxBrokerVersion", fails("Failed"))
    with pytest.raises(BrokerError, match="as told"):
        await _version(bus)


@pytest.mark.parametrize("limit", [0.1, None])
async def test_one_limit_is_for_all_of_it(bus: Bus, limit: float | None) -> None:
    bus.tells("getLinuxBrokerVersion", answers("s", VERSION) if limit is None else None)
    if limit is None:
        assert await _version(bus, limit=limit) == "2.5.2"
    else:
        with pytest.raises(BrokerTimeoutError, match=r"no reply within 0\.1 s"):
            await _version(bus, limit=limit)
