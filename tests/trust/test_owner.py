"""The owner of the broker's name: nothing is sent to an impostor, everything to a program of the system."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import re
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linuxbroker import (
    Account,
    BrokerClient,
    BrokerDisconnectedError,
    BrokerNotInstalledError,
    BrokerTimeoutError,
    InvalidArgumentError,
    PopAuthScheme,
    PublicClientApplication,
    Timeouts,
    UntrustedBrokerError,
)
from linuxbroker.bus import Message, MessageKind
from linuxbroker.call.trust.policy import TRUST_POLICIES
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake import PrivateBus
from tests.constants import CLIENT_ID, SCOPES
from tests.trust.programs import NOBODY, SERVE, connected, environment, install, running

REQUEST = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")
ADA = Account(
    home_account_id="00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
    realm="00000000-0000-0000-0000-0000000000f1",
    username="ada@contoso.example",
)
OPERATIONS: dict[str, Callable[[BrokerClient], Awaitable[Any]]] = {
    "password": lambda client: client.acquire_token_by_username_password(ADA.username, "hunter2", SCOPES),
    "token to renew": lambda client: client.acquire_token_silent(SCOPES, ADA, access_token_to_renew="old token"),
    "interactive": lambda client: client.acquire_token_interactive(SCOPES),
    "silent": lambda client: client.acquire_token_silent(SCOPES, ADA),
    "accounts": lambda client: client.get_accounts(),
    "cookie": lambda client: client.acquire_prt_sso_cookie(ADA),
    "signed request": lambda client: client.generate_signed_http_request(ADA, REQUEST),
    "sign-out": lambda client: client.remove_account(ADA),
    "version": lambda client: client.get_linux_broker_version(),
}


def _strict(bus: PrivateBus, **options: Any) -> BrokerClient:
    return BrokerClient(CLIENT_ID, bus_address=bus.address, trust="strict", **options)


def _impostor(folder: Path) -> Path:
    """A program that is the user's own; where the user is root, another user's."""
    program = install(folder)
    if os.geteuid() == 0:
        os.chown(program, NOBODY, NOBODY)
    return program


def _owner_of(program: Path) -> str:
    return f"{program} belongs to user ID {program.stat().st_uid}, not to root"


async def test_nothing_at_all_goes_to_an_impostor(bus: PrivateBus, folder: Path) -> None:
    program = _impostor(folder)
    async with running([program, *SERVE], bus.address) as owner, _strict(bus) as client:
        for operation in OPERATIONS.values():
            with pytest.raises(UntrustedBrokerError, match="nothing was sent"):
                await operation(client)
        assert not await client.is_available()
        assert await owner.received() == []


async def test_the_refusal_says_which_program_and_why_and_what_to_do(bus: PrivateBus, folder: Path) -> None:
    program = _impostor(folder)
    async with running([program, *SERVE], bus.address) as owner, _strict(bus) as client:
        with pytest.raises(UntrustedBrokerError) as caught:
            await OPERATIONS["password"](client)
        error, pid = caught.value, owner.process.pid
        assert (error.pid, error.uid, error.executable) == (pid, os.geteuid(), str(program))
        assert error.reason == _owner_of(program)
        assert error.method == "acquireTokenSilently"
        assert str(error).startswith(
            f"acquireTokenSilently for ada@contoso.example: nothing was sent: process {pid} ({program}) owns the "
            f"broker's bus name and is not trusted: {error.reason}. If this is your broker, set trust='warn' or "
            f"'off' (--trust). Otherwise, stop the process (kill {pid}) and try again."
        )
        assert "hunter2" not in str(error)
        copy = pickle.loads(pickle.dumps(error))
        assert (copy.pid, copy.reason, str(copy)) == (pid, error.reason, str(error))


async def test_everything_goes_to_a_program_of_the_system(bus: PrivateBus, system_folder: Path) -> None:
    program = install(system_folder)
    async with (
        running([program, *SERVE], bus.address) as owner,
        _strict(bus, trusted_programs=[program]) as client,
    ):
        assert await client.is_available()
        accounts = await client.get_accounts()
        token = await client.acquire_token_silent(SCOPES, accounts[0])
        await client.acquire_token_silent(SCOPES, accounts[0], access_token_to_renew=token.access_token)
        await client.acquire_token_interactive(SCOPES)
        assert (await owner.received())[1:] == [
            "getAccounts",
            "acquireTokenSilently",
            "acquireTokenSilently",
            "acquireTokenInteractively",
        ]


async def test_warn_logs_once_for_each_owner_and_sends(
    bus: PrivateBus, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    program = _impostor(folder)
    expected = []
    async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust="warn") as client:
        for _ in range(2):
            async with running([program, *SERVE], bus.address) as owner:
                await client.get_linux_broker_version()
                await client.get_linux_broker_version()
                assert await owner.received() == ["getLinuxBrokerVersion"] * 2
                expected.append(
                    f"process {owner.process.pid} ({program}) owns the broker's bus name and is not trusted: "
                    + _owner_of(program)
                )
                await owner.end()
    assert [(record.name, record.levelname) for record in caplog.records] == [("linuxbroker.trust", "WARNING")] * 2
    assert caplog.messages == expected


async def test_warn_says_nothing_of_a_program_of_the_system(
    bus: PrivateBus, system_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = install(system_folder)
    async with (
        running([program, *SERVE], bus.address),
        BrokerClient(CLIENT_ID, bus_address=bus.address, trust="warn", trusted_programs=[program]) as client,
    ):
        assert await client.get_linux_broker_version()
    assert caplog.messages == []


async def test_off_which_is_the_default_does_not_look(
    bus: PrivateBus, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        running([_impostor(folder), *SERVE], bus.address) as owner,
        BrokerClient(CLIENT_ID, bus_address=bus.address) as client,
    ):
        assert client.trust == "off"
        await client.get_linux_broker_version()
        assert await owner.received() == ["getLinuxBrokerVersion"]
    assert caplog.messages == []


async def test_a_new_owner_is_looked_at_again(bus: PrivateBus, system_folder: Path) -> None:
    genuine = install(system_folder)
    impostor = install(system_folder, "impostor")
    os.chown(impostor, NOBODY, NOBODY)
    async with _strict(bus, trusted_programs=[genuine, impostor]) as client:
        for _ in range(2):
            async with running([genuine, *SERVE], bus.address) as owner:
                await OPERATIONS["token to renew"](client)
                await owner.end()
            async with running([impostor, *SERVE], bus.address) as owner:
                with pytest.raises(UntrustedBrokerError):
                    await OPERATIONS["token to renew"](client)
                assert await owner.received() == []


async def test_a_program_that_becomes_untrustworthy_while_it_runs_is_refused(
    bus: PrivateBus, system_folder: Path
) -> None:
    program = install(system_folder)
    async with running([program, *SERVE], bus.address), _strict(bus, trusted_programs=[program]) as client:
        await client.get_linux_broker_version()
        program.chmod(0o777)
        with pytest.raises(UntrustedBrokerError, match="is writable by users other than root"):
            await client.get_linux_broker_version()
        program.chmod(0o755)
        await client.get_linux_broker_version()


async def _activate(bus: PrivateBus, program: Path) -> None:
    command = shlex.join([str(program), *SERVE])
    service = f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={command}\n"
    (bus.services / "broker.service").write_text(service, encoding="utf-8")
    async with connected(bus.address) as connection:
        await connection.call_bus("ReloadConfig")  # not every bus sees the file by itself


async def _end_whoever_was_started(bus: PrivateBus) -> None:
    async with connected(bus.address) as connection:
        (pid,) = await connection.call_bus("GetConnectionUnixProcessID", "s", BROKER_BUS_NAME)
        gone = asyncio.Event()
        connection.on_signal(lambda signal: gone.set() if signal.member == "NameOwnerChanged" else None)
        await connection.call_bus("AddMatch", "s", f"member='NameOwnerChanged',arg0='{BROKER_BUS_NAME}'")
        os.kill(pid, signal.SIGTERM)
        await gone.wait()


async def test_a_broker_that_does_not_run_yet_is_started_and_looked_at(bus: PrivateBus, folder: Path) -> None:
    await _activate(bus, _impostor(folder))
    async with connected(bus.address) as connection:
        variables = {name: value for name, value in environment(bus.address).items() if name not in os.environ}
        await connection.call_bus("UpdateActivationEnvironment", "a{ss}", variables)
    async with _strict(bus, trusted_programs=[folder / "identity-broker"]) as client:
        with pytest.raises(UntrustedBrokerError):
            await OPERATIONS["interactive"](client)
        await _end_whoever_was_started(bus)
        if os.geteuid() == 0:
            os.chown(folder / "identity-broker", 0, 0)
            await OPERATIONS["interactive"](client)
            await _end_whoever_was_started(bus)


async def test_without_a_broker_the_error_is_as_ever(bus: PrivateBus) -> None:
    async with _strict(bus) as client:
        for operation in OPERATIONS.values():
            with pytest.raises(BrokerNotInstalledError):
                await operation(client)


async def test_the_time_limit_and_a_broker_that_dies_are_told_as_ever(bus: PrivateBus, system_folder: Path) -> None:
    program = install(system_folder)
    async with _strict(bus, timeouts=Timeouts(call=0.5), trusted_programs=[program]) as client:
        async with running([program, *SERVE], bus.address) as owner:
            await owner.ask("Plant", '{"kind": "hang"}')
            with pytest.raises(BrokerTimeoutError, match=r"no reply within 0\.5 s"):
                await client.get_linux_broker_version()
        async with running([program, *SERVE], bus.address) as owner:
            call = asyncio.ensure_future(client.acquire_token_interactive(SCOPES))
            await owner.ask("SetUser", '{"action": "never"}')
            await owner.ask("WaitForCall", "acquireTokenInteractively")
            await owner.end()
            with pytest.raises(BrokerDisconnectedError):
                await call


async def test_a_reply_that_another_process_sends_is_not_taken(bus: PrivateBus, system_folder: Path) -> None:
    """dbus-daemon, as sessions have it set up, passes replies on that nobody asked their sender for."""
    program = install(system_folder)
    async with (
        running([program, *SERVE], bus.address) as owner,
        _strict(bus, trusted_programs=[program]) as client,
        connected(bus.address) as forger,
    ):
        await owner.ask("SetUser", '{"action": "never"}')
        call = asyncio.ensure_future(client.acquire_token_interactive(SCOPES))
        await owner.ask("WaitForCall", "acquireTokenInteractively")
        (received,) = await owner.ask("Journal")
        for serial in range(1, 100):
            for forged in (
                Message(MessageKind.RETURN, signature="s", body=('{"brokerTokenResponse": {}}',)),
                Message(MessageKind.ERROR, error_name="a.b.Forged", signature="s", body=("forged",)),
            ):
                forger.send(replace(forged, destination=received["sender"], reply_serial=serial))
        await forger.call_bus("GetId")  # once it is answered, the bus has passed all of them on
        await owner.ask("Answer", "approve")
        token = await call
        assert token.account is not None
        assert token.account.username == ADA.username


async def test_a_program_that_is_not_listed_is_refused_until_it_is_allowed(
    bus: PrivateBus, system_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = install(system_folder, "python3.13t")
    async with running([program, *SERVE], bus.address) as owner:
        async with _strict(bus) as client:
            with pytest.raises(UntrustedBrokerError) as caught:
                await OPERATIONS["password"](client)
        assert caught.value.reason == "its executable is not a known broker program"
        assert (
            f"If this is your broker, allow it with trusted_programs=['{program}'] (--trusted-program {program})."
        ) in str(caught.value)
        async with BrokerClient(CLIENT_ID, bus_address=bus.address, trust="warn") as client:
            await client.get_linux_broker_version()
        assert caplog.messages == [
            f"process {owner.process.pid} ({program}) owns the broker's bus name and is not trusted: "
            "its executable is not a known broker program"
        ]
        async with _strict(bus, trusted_programs=["/opt/other", str(program)]) as client:
            await client.get_linux_broker_version()
        assert await owner.received() == ["getLinuxBrokerVersion"] * 2


async def test_every_face_of_the_library_takes_the_programs(bus: PrivateBus, system_folder: Path) -> None:
    program = install(system_folder)
    options: dict[str, Any] = {"bus_address": bus.address, "trust": "strict", "trusted_programs": [program]}
    async with running([program, *SERVE], bus.address) as owner:
        async with BrokerCredential(use_default_broker_account=True, **options) as credential:
            assert (await credential.get_token("https://storage.azure.com/.default")).token
        async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, **options) as application:
            assert await application.get_accounts()
        command = ["version", "--bus-address", bus.address, "--trust", "strict", "--trusted-program"]
        for path, code in ((program, 0), ("/opt/other", 3), ("identity-broker", 2)):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "linuxbroker", *command, path, "--trusted-program", "/opt/another"),
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await process.communicate()
            assert process.returncode == code, said
        assert (await owner.received())[-1] == "getLinuxBrokerVersion"


@pytest.mark.parametrize(
    "programs",
    ["/usr/bin/broker", b"/usr/bin/broker", Path("/usr/bin/broker"), None, 1, [1], [b"/usr/bin/broker"], [None]]
    + [[path] for path in ("", "broker", "./broker", "/", "//usr/bin/x", "/usr//x", "/usr/../x", "/usr/./x", "/usr/x/")]
    + [["/usr/bin/x\0"], ["/usr/bin/fine", "../x"]],
)
def test_paths_that_name_no_program_are_refused(programs: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="trusted_programs"):
        BrokerClient(CLIENT_ID, trusted_programs=programs)


async def test_the_credential_and_the_command_line_pass_it_on(bus: PrivateBus, folder: Path) -> None:
    async with running([_impostor(folder), *SERVE], bus.address) as owner:
        async with BrokerCredential(bus_address=bus.address, trust="strict") as credential:
            with pytest.raises(Exception, match="The identity broker is not trusted: ") as caught:
                await credential.get_token("https://storage.azure.com/.default")
            assert isinstance(caught.value.__cause__, UntrustedBrokerError)
        for policy, code in (("strict", 3), ("warn", 0), ("off", 0)):
            command = [sys.executable, "-m", "linuxbroker", "version", "--bus-address", bus.address, "--trust", policy]
            process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
            _, said = await process.communicate()
            assert process.returncode == code
            assert ("is not trusted" in said.decode()) is (policy != "off")
        assert await owner.received() == ["getLinuxBrokerVersion"] * 2


@pytest.mark.parametrize("policy", ["", "Strict", "on", None, True, 1, b"off"])
def test_another_policy_is_refused(policy: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(f"one of {', '.join(TRUST_POLICIES)}")):
        BrokerClient(CLIENT_ID, trust=policy)
