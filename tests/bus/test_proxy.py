"""Calls behind xdg-dbus-proxy, as in a Flatpak sandbox, with the real program: replies and immediate errors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerError,
    BrokerNotInstalledError,
    BrokerUnreachableError,
    Presence,
    Timeouts,
    UntrustedBrokerError,
)
from linuxbroker.call.trust.policy import TRUST_POLICIES, TrustPolicy
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID
from tests.faults.operations import OPERATIONS, Operation

# A call that waited for its time limit would take 60 s.
AT_ONCE = 20.0

pytestmark = pytest.mark.skipif(shutil.which("xdg-dbus-proxy") is None, reason="xdg-dbus-proxy is not installed")
every_policy = pytest.mark.parametrize("trust", TRUST_POLICIES)
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@contextlib.asynccontextmanager
async def _proxy(bus_address: str, folder: Path, *options: str) -> AsyncGenerator[str, None]:
    """Run a proxy in front of a bus."""
    reading, writing = os.pipe()
    path = folder / "proxy"
    process = await asyncio.create_subprocess_exec(
        *("xdg-dbus-proxy", f"--fd={writing}", bus_address, str(path), *options), pass_fds=[writing]
    )
    os.close(writing)
    try:
        # It says so when it listens, and ends with the pipe.
        assert await asyncio.to_thread(os.read, reading, 1)
        yield f"unix:path={path}"
    finally:
        os.close(reading)
        await process.wait()


async def _outcome(address: str, trust: TrustPolicy, operation: Operation) -> Any:
    """What comes of a call: its result, or the class of its error."""
    async with BrokerClient(CLIENT_ID, bus_address=address, trust=trust) as client:
        try:
            return await asyncio.wait_for(operation.call(client), AT_ONCE)
        except BrokerUnreachableError as error:
            return error


@every_policy
@every_operation
async def test_a_broker_that_may_be_talked_to_answers(
    fake_broker: RunningFake, tmp_path: Path, trust: TrustPolicy, operation: Operation
) -> None:
    async with _proxy(fake_broker.address, tmp_path, "--filter", f"--talk={BROKER_BUS_NAME}") as address:
        outcome = await _outcome(address, trust, operation)
    if trust == "strict":  # the bus tells of the proxy's process, not of this one
        assert isinstance(outcome, UntrustedBrokerError)
    else:
        assert not isinstance(outcome, BrokerUnreachableError)
        assert [call.member for call in fake_broker.calls] == [operation.method]


@every_policy
@every_operation
async def test_a_broker_that_may_only_be_seen_is_refused_at_once(
    fake_broker: RunningFake, tmp_path: Path, trust: TrustPolicy, operation: Operation
) -> None:
    async with _proxy(fake_broker.address, tmp_path, "--filter", f"--see={BROKER_BUS_NAME}") as address:
        outcome = await _outcome(address, trust, operation)
    if trust == "strict":
        assert isinstance(outcome, UntrustedBrokerError)
    else:
        assert type(outcome) is BrokerUnreachableError
        assert "the bus refused the call" in str(outcome)
        assert "AccessDenied" in str(outcome)
    assert not fake_broker.calls


@every_policy
@every_operation
async def test_a_broker_that_may_not_be_seen_is_not_there_at_once(
    fake_broker: RunningFake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trust: TrustPolicy,
    operation: Operation,
) -> None:
    monkeypatch.setenv("FLATPAK_ID", "org.example.App")
    async with _proxy(fake_broker.address, tmp_path, "--filter") as address:
        outcome = await _outcome(address, trust, operation)
    assert isinstance(outcome, BrokerNotInstalledError)
    assert f"flatpak override --user --talk-name={BROKER_BUS_NAME} org.example.App" in str(outcome)
    assert not fake_broker.calls


@pytest.mark.parametrize(
    ("option", "presence"),
    [
        (f"--talk={BROKER_BUS_NAME}", Presence.ONLINE),
        (f"--see={BROKER_BUS_NAME}", Presence.ONLINE),
        ("--filter", Presence.OFFLINE),
    ],
)
@every_policy
async def test_presence_is_told_behind_a_proxy(
    fake_broker: RunningFake, tmp_path: Path, option: str, presence: Presence, trust: TrustPolicy
) -> None:
    async with (
        _proxy(fake_broker.address, tmp_path, "--filter", option) as address,
        BrokerClient(CLIENT_ID, bus_address=address, trust=trust) as client,
    ):
        watch = client.watch()
        assert await asyncio.wait_for(anext(watch), AT_ONCE) is presence
        if presence is Presence.ONLINE:
            fake_broker.stop_broker()
            assert await asyncio.wait_for(anext(watch), AT_ONCE) is Presence.OFFLINE
        await watch.aclose()


@pytest.mark.parametrize("option", [f"--see={BROKER_BUS_NAME}", "--filter"])
@every_policy
async def test_a_broker_that_can_not_be_asked_is_not_available(
    fake_broker: RunningFake, tmp_path: Path, option: str, trust: TrustPolicy
) -> None:
    async with (
        _proxy(fake_broker.address, tmp_path, "--filter", option) as address,
        BrokerClient(CLIENT_ID, bus_address=address, trust=trust) as client,
    ):
        assert await asyncio.wait_for(client.is_available(), AT_ONCE) is False


@pytest.mark.parametrize(
    ("option", "error"), [(f"--see={BROKER_BUS_NAME}", "AccessDenied"), ("--filter", "ServiceUnknown")]
)
async def test_a_ping_is_refused_at_once(fake_broker: RunningFake, tmp_path: Path, option: str, error: str) -> None:
    async with (
        _proxy(fake_broker.address, tmp_path, "--filter", option) as address,
        BrokerClient(CLIENT_ID, bus_address=address, timeouts=Timeouts(ping=AT_ONCE)) as client,
    ):
        with pytest.raises(BrokerError, match=error):
            await client.ping()
