"""The address of the bus: environment variables, parsing, alternatives and errors, as in other D-Bus libraries."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from linuxbroker import BrokerClient, NoSessionBusError, Timeouts
from linuxbroker.bus import AddressError, ConnectError, Connection
from linuxbroker.bus.address import escape, session_address, unix_sockets
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID


def test_the_variable_for_the_address_comes_first() -> None:
    environ = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/a", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert session_address(environ) == "unix:path=/a"


def test_the_runtime_directory_stands_in_for_it() -> None:
    assert session_address({"XDG_RUNTIME_DIR": "/run/user/1 000"}) == "unix:path=/run/user/1%20000/bus"


def test_with_neither_variable_the_error_names_both() -> None:
    with pytest.raises(AddressError, match=r"DBUS_SESSION_BUS_ADDRESS.*XDG_RUNTIME_DIR"):
        session_address({})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("unix:path=/run/bus", [b"/run/bus"]),
        ("unix:path=/run/bus,guid=0123", [b"/run/bus"]),
        ("unix:abstract=/tmp/x,guid=1", [b"\0/tmp/x"]),
        ("unix:path=/a%20b%2cc", [b"/a b,c"]),
        ("unix:path=/a;unix:abstract=b", [b"/a", b"\0b"]),
        ("tcp:host=localhost,port=1;unix:path=/a;", [b"/a"]),
        ("nonsense;unix:path=/a", [b"/a"]),
        ("unix:;unix:path=%zz;unix:path;unix:path=/a b;unix:dir=/x;unix:path=/a;unix:", [b"/a"]),
        ("unix:path=\ud800;unix:path=%00;autolaunch:;unix:path=/a", [b"/a"]),
        (":path=/b;=;unix:path=/a,=;unix:abstract=,path=;unix:path=/a", [b"/a"]),
    ],
)
def test_addresses_are_read_as_the_specification_says(address: str, expected: list[bytes]) -> None:
    assert unix_sockets(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        ";",
        "nonsense",
        "unix:",
        "unix:path",
        "unix:path=/a b",
        "unix:path=%zz",
        "tcp:host=localhost,port=1",
        "unix:dir=/x",
        "unix:path=\ud800",
        "unix:path=/\udcff",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        unix_sockets(address)


def test_escaping_a_path_is_undone_by_reading_it() -> None:
    path = "/tmp/ü %,;=\n".encode()
    assert unix_sockets("unix:path=" + escape(path)) == [path]


async def test_a_client_finds_the_bus_in_the_runtime_directory(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bus").symlink_to(fake_broker.address.removeprefix("unix:path="))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version() == "3.0.2"


async def test_a_client_finds_the_bus_that_the_address_says_is_in_the_runtime_directory(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bus").symlink_to(fake_broker.address.removeprefix("unix:path="))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with BrokerClient(CLIENT_ID, bus_address="unix:runtime=yes") as client:
        assert await client.is_available()
        await client.aclose()
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        with pytest.raises(NoSessionBusError, match="requires XDG_RUNTIME_DIR, which is not set"):
            await client.get_accounts()


@pytest.mark.parametrize("address", ["unix:", "unix:tmpdir=/tmp", "unix:abstract=,path=", "unix:runtime=no"])
async def test_an_address_that_names_no_socket_says_so(fake_broker: RunningFake, address: str) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=address) as client:
        with pytest.raises(NoSessionBusError, match="no usable path= or abstract="):
            await client.get_accounts()
    assert fake_broker.calls == ()


async def test_the_argument_wins_over_the_environment(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    async with BrokerClient(CLIENT_ID, bus_address=fake_broker.address) as client:
        assert await client.is_available()


async def test_a_later_alternative_is_used_when_the_first_is_dead(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=f"unix:path=/nowhere;{fake_broker.address}") as client:
        assert await client.is_available()


async def test_an_abstract_socket_is_connected_to() -> None:
    listening = f"unix:abstract=linuxbroker-test-{os.getpid()}"
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon",
        "--session",
        "--nofork",
        "--print-address",
        f"--address={listening}",
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout is not None
    await daemon.stdout.readline()
    try:
        connection = await Connection.open(listening)
        assert connection.unique_name.startswith(":")
        connection.close()
    finally:
        daemon.kill()
        await daemon.communicate()


async def test_an_alternative_that_cannot_be_used_does_not_hide_the_next(
    fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    for unusable in (
        "nonsense",
        "tcp:host=localhost,port=1",
        "unix:",
        "unix:path=%zz",
        "unix:runtime=yes",
        "unix:path=%00",
    ):
        address = f"{unusable};{fake_broker.address}"
        async with BrokerClient(CLIENT_ID, bus_address=address) as client:
            assert await client.is_available()


async def test_an_alternative_that_is_silent_does_not_hide_the_next(fake_broker: RunningFake, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        address = f"unix:path={tmp_path}/silent;{fake_broker.address}"
        async with BrokerClient(CLIENT_ID, bus_address=address, timeouts=Timeouts(connect=60.0)) as client:
            assert await client.get_linux_broker_version()


async def test_an_error_names_those_that_cannot_be_used_too() -> None:
    address = "nonsense;tcp:host=x,port=1;unix:path=/nowhere/1;unix:"
    reasons = r"no transport.*only unix: is supported.*no usable path= or abstract="
    with pytest.raises(ConnectError, match=rf"{reasons}.*No such file"):
        await Connection.open(address)
    with pytest.raises(AddressError, match=reasons):
        await Connection.open("nonsense;tcp:host=x,port=1;unix:")


async def test_an_error_names_every_alternative_that_failed() -> None:
    with pytest.raises(ConnectError, match=r"No such file.*No such file"):
        await Connection.open("unix:path=/nowhere/1;unix:path=/nowhere/2")


async def test_a_malformed_address_is_said_to_be_one() -> None:
    async with BrokerClient(CLIENT_ID, bus_address="tcp:host=127.0.0.1,port=1") as client:
        with pytest.raises(NoSessionBusError, match="only unix: is supported"):
            await client.get_accounts()
