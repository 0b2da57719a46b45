"""``BrokerClient.ping``: a broker that answers, and what is raised if none does."""

from __future__ import annotations

from pathlib import Path

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerNotInstalledError,
    BrokerTimeoutError,
    NoSessionBusError,
    Timeouts,
)
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID


async def _ping(address: str | None, limit: float = 10.0) -> None:
    timeouts = Timeouts(connect=limit, ping=limit, start_up=limit)
    async with BrokerClient(CLIENT_ID, bus_address=address, timeouts=timeouts) as client:
        await client.ping()


async def test_a_broker_that_is_there_answers(fake_broker: RunningFake) -> None:
    await _ping(fake_broker.address)
    assert [call.member for call in fake_broker.calls] == ["Ping"]


async def test_it_finds_the_session_bus_by_itself(fake_broker: RunningFake) -> None:
    await _ping(None)
    assert len(fake_broker.calls) == 1


async def test_a_bus_without_a_broker_says_that_nobody_has_the_name() -> None:
    with RunningFake(start=False) as bus, pytest.raises(BrokerNotInstalledError):
        await _ping(bus.address)


async def test_there_may_be_no_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSessionBusError, match="No such file or directory"):
        await _ping(f"unix:path={tmp_path}/bus")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(NoSessionBusError):
        await _ping(None)


async def test_the_next_alternative_of_an_address_is_tried(fake_broker: RunningFake, tmp_path: Path) -> None:
    await _ping(f"unix:path={tmp_path}/no-bus;{fake_broker.address}")
    assert len(fake_broker.calls) == 1


async def test_a_broker_that_does_not_answer_is_waited_for_as_long_as_the_limit(fake_broker: RunningFake) -> None:
    fake_broker.plant("hang")
    with pytest.raises(BrokerTimeoutError):
        await _ping(fake_broker.address, limit=0.2)
