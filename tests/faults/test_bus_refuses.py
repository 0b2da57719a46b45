"""Answers of the bus itself, or of a proxy in front of it, told apart from the broker's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from azure.identity import CredentialUnavailableError

from linuxbroker import (
    BrokerClient,
    BrokerDisconnectedError,
    BrokerNotInstalledError,
    BrokerStartError,
    BrokerUnreachableError,
    NoSessionBusError,
    PublicClientApplication,
    Timeouts,
    UnsupportedOperationError,
)
from linuxbroker.bus.connection import error_reply, method_return
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, GRAPH
from tests.faults.brokers import scripted_broker, successor
from tests.faults.operations import NOT_REPEATABLE, OPERATIONS, REPEATABLE, Operation
from tests.trust.buses import VERSION, Answer, Bus, answers, hand_made

ERROR = "org.freedesktop.DBus.Error."
REFUSALS = ("AccessDenied", "LimitsExceeded", "NoMemory", "NoServer", "IOError", "AuthFailed", "Disconnected")
WHERE_TO_LOOK = ("systemctl --user", "journalctl --user -t microsoft-identity-broker", "dsreg --status")
NO_OBJECT = ("org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.dbus.errors.UnknownObject")


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[Bus, None]:
    async with hand_made(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNAP", "SNAP_NAME", "FLATPAK_ID", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)


def _fails(name: str, text: str) -> Answer:
    return lambda call: error_reply(call, name, text)


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_a_refusal_of_the_bus_is_no_answer_of_the_broker(bus: Bus, name: str, operation: Operation) -> None:
    bus.tells(operation.method, _fails(ERROR + name, "the bus's own words"))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        with pytest.raises(BrokerUnreachableError) as caught:
            await operation.call(client)
    assert type(caught.value) is BrokerUnreachableError
    assert f"the bus refused the call: the bus's own words ({ERROR}{name})" in str(caught.value)
    assert [call.member for call in bus.received] == [operation.method]


@pytest.mark.parametrize("name", REFUSALS)
async def test_the_same_from_the_broker_is_said_to_be_the_brokers(fake_broker: RunningFake, name: str) -> None:
    fake_broker.plant("dbus_error", name=ERROR + name, context="not you")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerUnreachableError, match="the identity broker refused the call: not you"):
            await client.get_accounts()


@pytest.mark.parametrize("name", [*(ERROR + name for name in REFUSALS), "org.freedesktop.systemd1.UnitMasked"])
async def test_nobody_is_asked_to_sign_in_then(fake_broker: RunningFake, name: str) -> None:
    fake_broker.plant("dbus_error", name=name, context="no")
    async with BrokerCredential() as credential:
        with pytest.raises(CredentialUnavailableError, match="not available"):
            await credential.authenticate(scopes=GRAPH)
    fake_broker.clear_faults()
    fake_broker.clear_calls()
    fake_broker.plant("dbus_error", name=name, context="no", method="acquireTokenSilently")
    async with BrokerCredential(use_default_broker_account=True) as credential:
        with pytest.raises(CredentialUnavailableError, match="not available"):
            await credential.get_token(*GRAPH)
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as app:
        result = await app.acquire_token_interactive(GRAPH, parent_window_handle=app.CONSOLE_WINDOW_HANDLE)
        assert "access_token" not in result
    assert fake_broker.calls_of("acquireTokenSilently")
    assert not fake_broker.calls_of("acquireTokenInteractively")


async def test_a_password_in_the_buss_words_is_not_shown(fake_broker: RunningFake) -> None:
    fake_broker.plant("dbus_error", name=ERROR + "AccessDenied", context="refused: not-a-real-password-ada")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerUnreachableError, match=r"refused: \(hidden\) \("):
            await NOT_REPEATABLE["password"].call(client)


@pytest.mark.parametrize(
    ("name", "text", "unit"),
    [
        ("UnitMasked", "Unit dbus-broker1.service is masked.", "dbus-broker1.service"),
        ("UnitMasked", "masked", "microsoft-identity-broker.service"),
        ("NoSuchUnit", "Unit himmelblaud.service not found.", ""),
        ("LoadFailed", "", ""),
        ("ShuttingDown", "", ""),
    ],
)
async def test_what_systemd_could_not_start_did_not_start(bus: Bus, name: str, text: str, unit: str) -> None:
    bus.tells("getLinuxBrokerVersion", _fails("org.freedesktop.systemd1." + name, text))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        with pytest.raises(BrokerStartError) as caught:
            await client.get_linux_broker_version()
    said = str(caught.value)
    assert text in said
    assert name in said
    assert all(hint in said for hint in WHERE_TO_LOOK)
    assert (f"systemctl --user unmask {unit}'" in said) is bool(unit)


@pytest.mark.parametrize(
    ("variables", "name", "advice"),
    [
        ({"FLATPAK_ID": "a.b.App"}, "AccessDenied", "--talk-name=com.microsoft.identity.broker1 a.b.App'"),
        ({"FLATPAK_ID": "org.example.App"}, "ServiceUnknown", "flatpak override --user --talk-name="),
        ({"SNAP": "/snap/app/1", "SNAP_NAME": "app"}, "AccessDenied", "runs in a snap (app)"),
        ({"SNAP": "/snap/app/1"}, "ServiceUnknown", "classic"),
        ({"SUDO_UID": "64000"}, "AccessDenied", "the session bus of user ID 64000"),
        ({"SUDO_UID": "64000"}, "ServiceUnknown", "Start it without sudo"),
    ],
)
async def test_who_is_confined_is_told_what_lets_them_out(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str, advice: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    bus.tells("getLinuxBrokerVersion", _fails(ERROR + name, "the bus's own words"))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        with pytest.raises(BrokerUnreachableError) as caught:
            await client.get_linux_broker_version()
    assert isinstance(caught.value, BrokerNotInstalledError) is (name == "ServiceUnknown")
    assert advice in str(caught.value)
    assert "the bus's own words" in str(caught.value)


@pytest.mark.parametrize("address", ["unix:path=/nowhere", None])
async def test_with_sudo_there_is_no_bus_of_ones_own(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.setenv("SUDO_UID", "64000")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    async with BrokerClient(CLIENT_ID, bus_address=address) as client:
        with pytest.raises(NoSessionBusError, match="user ID 64000, which other users cannot use"):
            await client.get_accounts()
        monkeypatch.setenv("SUDO_UID", str(os.geteuid()))
        with pytest.raises(NoSessionBusError) as caught:
            await client.get_accounts()
    assert "sudo" not in str(caught.value)


async def test_a_bus_that_refuses_the_first_word_is_quoted(bus: Bus) -> None:
    bus.tells("Hello", _fails(ERROR + "AccessDenied", "not from\x1b there"))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
        with pytest.raises(NoSessionBusError, match=r"AccessDenied: not from  there"):
            await client.get_accounts()


@pytest.mark.parametrize("operation", REPEATABLE.values(), ids=REPEATABLE)
async def test_a_broker_that_ends_twice_may_have_no_display(fake_broker: RunningFake, operation: Operation) -> None:
    fake_broker.plant("crash", method=operation.method)
    async with successor(fake_broker.address) as second, BrokerClient(CLIENT_ID) as client:
        second.plant("crash", method=operation.method)
        with pytest.raises(BrokerDisconnectedError) as caught:
            await operation.call(client)
    said = str(caught.value)
    assert "So did the one that the bus started next" in said
    assert all(hint in said for hint in ("display", "locked keyring", *WHERE_TO_LOOK))


async def test_a_sign_in_that_ends_the_broker_may_be_one_without_a_display(fake_broker: RunningFake) -> None:
    fake_broker.plant("crash", method="acquireTokenInteractively")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerDisconnectedError, match=r"The next call restarts it.*without a display"):
            await client.acquire_token_interactive(GRAPH)


@pytest.mark.parametrize("name", NO_OBJECT)
@pytest.mark.parametrize("trust", ["off", "warn"])
async def test_an_object_that_comes_later_than_the_name_is_waited_for(bus: Bus, name: str, trust: str) -> None:
    gone = _fails(name, "no such object")
    bus.tells("getLinuxBrokerVersion", gone, gone, answers("s", VERSION))
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust=trust) as client:  # type: ignore[arg-type]
        assert await client.get_linux_broker_version() == "2.5.2"
    assert [call.member for call in bus.received].count("getLinuxBrokerVersion") == 3


@pytest.mark.parametrize("name", NO_OBJECT)
async def test_an_object_that_never_comes_is_a_method_that_is_lacking(bus: Bus, name: str) -> None:
    bus.tells("getLinuxBrokerVersion", _fails(name, "no such object"))
    limits = Timeouts(start_up=0.12)
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, timeouts=limits) as client:
        with pytest.raises(UnsupportedOperationError, match="no such object"):
            await client.get_linux_broker_version()
    assert len(bus.received) in (2, 3)


@pytest.mark.parametrize("name", NO_OBJECT)
@pytest.mark.parametrize("operation", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
async def test_what_is_not_repeated_is_for_a_missing_object_which_did_nothing_with_it_but_a_password_never(
    fake_broker: RunningFake, name: str, operation: Operation
) -> None:
    fake_broker.plant("dbus_error", name=name, context="no such object", method=operation.method, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        if operation is NOT_REPEATABLE["password"]:
            with pytest.raises(UnsupportedOperationError):
                await operation.call(client)
        else:
            await operation.call(client)
    expected = 1 if operation is NOT_REPEATABLE["password"] else 2
    assert len(fake_broker.calls_of(operation.method)) == expected


async def test_a_bus_that_answers_in_between_is_the_bus(fake_broker: RunningFake) -> None:
    """The broker's own words and the bus's, in one client, one after the other."""
    fake_broker.stop_broker()
    async with scripted_broker(fake_broker.address) as broker, BrokerClient(CLIENT_ID) as client:
        version = asyncio.ensure_future(client.get_linux_broker_version())
        broker.fail(await broker.next_call(), ERROR + "AccessDenied", "from the broker")
        with pytest.raises(BrokerUnreachableError, match="the identity broker refused the call: from the broker"):
            await version
        version = asyncio.ensure_future(client.get_linux_broker_version())
        call = await broker.next_call()
        broker.connection.send(method_return(call, "s", VERSION))
        assert await version == "2.5.2"
