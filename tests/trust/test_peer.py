"""A bus of another user is recognized, and what is worth protecting is not sent over it."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from linuxbroker import (
    BrokerClient,
    BrokerError,
    InvalidArgumentError,
    Presence,
    PublicClientApplication,
    UntrustedBrokerError,
)
from linuxbroker.bus import Connection
from linuxbroker.call.trust.peer import check_peer
from linuxbroker.call.trust.policy import TRUST_POLICIES, TrustPolicy
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import PrivateBus
from tests.bus.test_handshake import USER, dbus_daemon, folder, namespace, users_bus
from tests.constants import CLIENT_ID, SCOPES
from tests.trust.buses import Bus, acting_as, answers, hand_made
from tests.trust.programs import SERVE, running
from tests.trust.test_owner import OPERATIONS

__all__ = ["folder", "namespace", "users_bus"]  # fixtures

OVERFLOW = 65534
PROTECTED = ("password", "token to renew", "interactive")
OPTION = r"allow_bus_of_other_user=True \(--allow-bus-of-other-user\)"
OF_USER = f"it belongs to user ID {USER}, which is neither yours (0) nor root's"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a bus of another user")
every_policy = pytest.mark.parametrize("policy", TRUST_POLICIES)
# Says, for a password and for the version, what becomes of the call.
PROGRAM = """
import asyncio, os, sys
from linuxbroker import BrokerClient, BrokerError

async def main():
    async with BrokerClient("00000000-0000-0000-0000-0000000000c1", bus_address=sys.argv[1]) as client:
        for call in (
            client.acquire_token_by_username_password("ada@contoso.example", "hunter2", ["User.Read"]),
            client.get_linux_broker_version(),
        ):
            try:
                await call
            except BrokerError as error:
                print(os.geteuid(), type(error).__name__, getattr(error, "uid", ""), getattr(error, "reason", ""))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("peer", "own", "overflow", "reason"),
    [
        (0, 1000, OVERFLOW, None),
        (0, 0, OVERFLOW, None),
        (1000, 1000, OVERFLOW, None),
        (1000, 0, OVERFLOW, "it belongs to user ID 1000, which is neither yours (0) nor root's"),
        (1001, 1000, OVERFLOW, "it belongs to user ID 1001, which is neither yours (1000) nor root's"),
        (OVERFLOW, 1000, OVERFLOW, "its owner is unknown: user ID 65534 stands for every user"),
        (OVERFLOW, 0, OVERFLOW, "its owner is unknown"),
        (OVERFLOW, OVERFLOW, OVERFLOW, "its owner is unknown"),
        (OVERFLOW, OVERFLOW, 65533, None),
        (65533, 65533, 65533, "its owner is unknown: user ID 65533"),
        (2**32 - 2, 1000, OVERFLOW, "it belongs to user ID 4294967294"),
        (None, 1000, OVERFLOW, "the system does not report"),
    ],
)
def test_the_peer_is_root_or_the_caller(peer: int | None, own: int, overflow: int, reason: str | None) -> None:
    found = check_peer(peer, own, overflow)
    assert found is None if reason is None else found is not None and found.startswith(reason)


async def test_the_kernel_is_asked_for_the_peer_of_a_real_bus() -> None:
    async with PrivateBus() as bus:
        connection = await Connection.open(bus.address)
        assert connection.peer_uid == os.geteuid()
        connection.close()


@pytest.fixture(params=["path", "abstract"])
async def theirs(request: pytest.FixtureRequest, folder: Path) -> AsyncGenerator[Bus, None]:
    """Another user's bus."""
    async with hand_made(folder, user=USER, is_abstract=request.param == "abstract") as made:
        made.tells("AddMatch", answers(""))
        made.tells("RemoveMatch", None)
        made.tells("NameHasOwner", answers("b", True))
        made.tells("Ping", answers(""))
        for member in ("acquireTokenSilently", "acquireTokenInteractively", "getAccounts", "acquirePrtSsoCookie"):
            made.tells(member, answers("s", "{}"))
        for member in ("generateSignedHttpRequest", "removeAccount"):
            made.tells(member, answers("s", "{}"))
        yield made


def _client(bus: Bus, policy: TrustPolicy, **options: Any) -> BrokerClient:
    return BrokerClient(CLIENT_ID, bus_address=bus.address, trust=policy, **options)


def _brokers_methods(bus: Bus) -> list[str]:
    return [call.member for call in bus.received if call.interface == "com.microsoft.identity.Broker1"]


async def _outcomes(client: BrokerClient) -> dict[str, BrokerError | None]:
    """What each operation fails with, on a bus that answers each with next to nothing."""
    outcomes: dict[str, BrokerError | None] = {}
    for name, operation in OPERATIONS.items():
        try:
            await operation(client)
            outcomes[name] = None
        except BrokerError as error:
            outcomes[name] = error
    return outcomes


def _refused(outcomes: dict[str, BrokerError | None]) -> tuple[str, ...]:
    return tuple(name for name, error in outcomes.items() if isinstance(error, UntrustedBrokerError))


@needs_root
@pytest.mark.parametrize("policy", ["off", "warn"])
async def test_what_is_worth_protecting_is_not_sent_over_anothers_bus(
    theirs: Bus, policy: TrustPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    theirs.tells("GetConnectionCredentials", answers("a{sv}", {}))
    caplog.set_level(logging.INFO)
    async with _client(theirs, policy) as client:
        outcomes = await _outcomes(client)
        assert _refused(outcomes) == PROTECTED
        assert len(_brokers_methods(theirs)) == len(OPERATIONS) - len(PROTECTED)
        assert await client.is_available()
        watch = client.watch()
        assert await anext(watch) is Presence.ONLINE
        await watch.aclose()
    of_the_bus = [message for message in caplog.messages if message.startswith("the bus is")]
    assert of_the_bus == ([f"the bus is not trusted: {OF_USER}"] if policy == "warn" else [])
    if policy == "off":
        assert caplog.messages == []


@needs_root
async def test_strict_sends_nothing_over_anothers_bus(theirs: Bus) -> None:
    async with _client(theirs, "strict") as client:
        assert _refused(await _outcomes(client)) == tuple(OPERATIONS)
        assert not await client.is_available()
        with pytest.raises(UntrustedBrokerError, match=f"watch: nothing was sent: .*{OPTION}"):
            await anext(client.watch())
    assert theirs.received == []


@needs_root
async def test_the_refusal_says_whose_bus_it_is_and_what_allows_it(theirs: Bus) -> None:
    async with _client(theirs, "off") as client:
        with pytest.raises(UntrustedBrokerError, match=OPTION) as caught:
            await OPERATIONS["password"](client)
    error = caught.value
    assert (error.pid, error.uid, error.executable, error.reason) == (None, USER, "", OF_USER)
    assert f"nothing was sent: the bus is not trusted: {OF_USER}. The owner of a bus" in str(error)
    assert "hunter2" not in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.uid, copy.reason, str(copy)) == (USER, OF_USER, str(error))


@needs_root
@pytest.mark.parametrize("policy", ["off", "warn"])
async def test_an_option_allows_anothers_bus(
    theirs: Bus, policy: TrustPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    theirs.tells("GetConnectionCredentials", answers("a{sv}", {}))
    async with _client(theirs, policy, allow_bus_of_other_user=True) as client:
        assert _refused(await _outcomes(client)) == ()
    assert len(_brokers_methods(theirs)) == len(OPERATIONS)
    assert [message for message in caplog.messages if message.startswith("the bus is")] == []


@needs_root
async def test_where_it_is_allowed_strict_still_looks_at_the_owner(theirs: Bus) -> None:
    theirs.tells("GetConnectionCredentials", answers("a{sv}", {}))
    async with _client(theirs, "strict", allow_bus_of_other_user=True) as client:
        with pytest.raises(UntrustedBrokerError, match="the bus does not report which process it is"):
            await OPERATIONS["version"](client)
    assert _brokers_methods(theirs) == []


@needs_root
@every_policy
async def test_roots_bus_is_anyones(folder: Path, policy: TrustPolicy) -> None:
    async with hand_made(folder) as bus:
        (folder / "bus").chmod(0o777)
        bus.tells("acquireTokenSilently", answers("s", "{}"))
        with acting_as(USER):
            async with _client(bus, policy) as client:
                outcome = (await _outcomes(client))["password"]
        assert "bus is not trusted" not in str(outcome)
        assert ("acquireTokenSilently" in _brokers_methods(bus)) is (policy != "strict")


@pytest.fixture
async def users_open_bus(folder: Path) -> AsyncGenerator[str, None]:
    """The address of a dbus-daemon of that user's which lets root in."""
    address = f"unix:path={folder / 'bus'}"
    config = folder / "bus.conf"
    config.write_text(
        f"<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>'
        '<allow receive_sender="*"/></policy></busconfig>',
        encoding="utf-8",
    )
    async with dbus_daemon(f"--config-file={config}"):
        yield address


@needs_root
async def test_root_with_sudo_on_a_users_bus_of_dbus_daemon(users_open_bus: str) -> None:
    async with running([sys.executable, *SERVE], users_open_bus) as owner:
        command = (sys.executable, "-m", "linuxbroker", "token", "--interactive", "--scope", SCOPES[0])
        told = ("--client-id", CLIENT_ID, "--bus-address", users_open_bus)
        for options, code in (((), 3), (("--allow-bus-of-other-user",), 0)):
            process = await asyncio.create_subprocess_exec(
                *(*command, *told, *options), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            output, said = await process.communicate()
            assert process.returncode == code, said
            assert bool(output) is (code == 0)
            assert (OF_USER in said.decode() and "--allow-bus-of-other-user" in said.decode()) is (code == 3)
        assert (await owner.received()).count("acquireTokenInteractively") == 1


@needs_root
@pytest.mark.parametrize("is_allowed", [False, True])
async def test_every_face_of_the_library_takes_the_option(users_open_bus: str, is_allowed: bool) -> None:
    options: dict[str, Any] = {"bus_address": users_open_bus, "allow_bus_of_other_user": is_allowed}
    async with running([sys.executable, *SERVE], users_open_bus) as owner:
        async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, **options) as application:
            result = await application.acquire_token_interactive(
                SCOPES, prompt="login", parent_window_handle=application.CONSOLE_WINDOW_HANDLE
            )
            assert ("access_token" in result) is is_allowed
            assert is_allowed or "allow_bus_of_other_user=True" in result["error_description"]
        async with BrokerCredential(**options) as credential:
            if is_allowed:
                assert await credential.authenticate(scopes=SCOPES)
            else:
                with pytest.raises(Exception, match=OPTION):
                    await credential.authenticate(scopes=SCOPES)
        assert ("acquireTokenInteractively" in await owner.received()) is is_allowed


async def test_the_id_that_stands_for_everyone_proves_nothing(namespace: Sequence[str | Path], users_bus: str) -> None:
    """In a user namespace that knows nobody, each has that id: this process, and whoever listens on the socket."""
    *before, unshare, option, python = namespace
    assert (unshare, option) == ("unshare", "-r")
    for options, own, of_password in (
        ((), OVERFLOW, f"UntrustedBrokerError {OVERFLOW} its owner is unknown"),
        (("-r",), 0, "BrokerNotInstalledError"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(*before, unshare, "--user", *options, python, "-c", PROGRAM, users_bus),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
        )
        output, errors = await process.communicate()
        password, version = output.decode().splitlines() or [errors.decode(), ""]
        assert password.startswith(f"{own} {of_password}"), password
        assert version.startswith(f"{own} BrokerNotInstalledError")


@pytest.mark.parametrize("value", [None, 1, "yes", 0])
def test_the_option_is_a_truth_value(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="allow_bus_of_other_user"):
        BrokerClient(CLIENT_ID, allow_bus_of_other_user=value)
