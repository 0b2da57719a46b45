"""Control of the fake broker from Python, over D-Bus, from pytest and from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from linuxbroker import BrokerClient, BrokerError, InteractionRequiredError, Presence, Status, UserCanceledError
from linuxbroker.bus import Connection, Message, MessageKind, RemoteError
from linuxbroker.bus.address import unix_sockets
from linuxbroker_fake import FakeBroker, FakeConfig, FaultKind, NameTakenError, PrivateBus, RunningFake, serve
from linuxbroker_fake.cli import main as fake_command
from tests.constants import CLIENT_ID, GRAPH


async def _control(fake: RunningFake, member: str, *arguments: str) -> Any:
    connection = await Connection.open(fake.address)
    call = Message(
        MessageKind.CALL,
        destination="com.microsoft.identity.broker1",
        path="/org/linuxbroker/Fake",
        interface="org.linuxbroker.Fake1",
        member=member,
        signature="s" * len(arguments),
        body=arguments,
    )
    try:
        return json.loads((await connection.call(call, limit=10)).body[0])
    finally:
        connection.close()


async def test_the_control_interface_plants_and_clears_faults(fake_broker: RunningFake) -> None:
    await _control(fake_broker, "Plant", '{"kind": "status", "status": 3, "method": "acquireTokenSilently"}')
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerError) as caught:
            await client.acquire_token_silent(GRAPH)
        assert getattr(caught.value, "status", None) is Status.NO_NETWORK
        await _control(fake_broker, "ClearFaults")
        assert await client.acquire_token_silent(GRAPH)


async def test_the_control_interface_sets_and_answers_the_sign_in_window(fake_broker: RunningFake) -> None:
    await _control(fake_broker, "SetUser", '{"action": "never"}')
    async with BrokerClient(CLIENT_ID) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        calls = await _control(fake_broker, "WaitForCall", "acquireTokenInteractively")
        assert calls[0]["request"]["authParameters"]["clientId"] == CLIENT_ID
        assert await _control(fake_broker, "Answer", "cancel") == 1
        with pytest.raises(UserCanceledError):
            await sign_in


async def test_the_control_interface_revokes_tokens_and_returns_the_journal(fake_broker: RunningFake) -> None:
    challenge = await _control(fake_broker, "Revoke", "ada@contoso.example")
    assert challenge["access_token"]["nbf"]["essential"] is True
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH, claims_challenge=json.dumps(challenge))
        assert fake_broker.broker.verify_access_token(token.access_token)
    assert [call["member"] for call in await _control(fake_broker, "Journal")] == [
        "getAccounts",
        "acquireTokenSilently",
    ]
    assert (await _control(fake_broker, "Jwks"))["keys"][0]["kty"] == "RSA"
    await _control(fake_broker, "Reset")
    assert await _control(fake_broker, "Journal") == []


@pytest.mark.parametrize(
    ("member", "arguments"),
    [("Plant", ('{"kind": "no such fault"}',)), ("Plant", ()), ("Answer", ("maybe",)), ("NoSuchMethod", ())],
)
async def test_the_control_interface_rejects_invalid_calls(
    fake_broker: RunningFake, member: str, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(RemoteError, match="InvalidArgs"):
        await _control(fake_broker, member, *arguments)


def test_the_old_name_of_a_fault_is_accepted() -> None:
    config = FakeConfig.model_validate_json('{"faults": [{"kind": "client_secret_wanted"}]}')
    assert config.faults[0].kind is FaultKind.CLIENT_SECRET_REQUIRED is FaultKind("client_secret_wanted")
    assert FaultKind["CLIENT_SECRET_WANTED"] is FaultKind.CLIENT_SECRET_REQUIRED


@pytest.mark.fake_broker(persona="microsoft-2.0.1")
async def test_a_fault_affects_only_the_calls_that_it_selects(fake_broker: RunningFake) -> None:
    fake_broker.plant(
        "consent_missing", account="grace@fabrikam.example", method="acquireTokenSilently", skip=1, times=1
    )
    async with BrokerClient(CLIENT_ID) as client:
        ada, grace = await client.get_account("ada@contoso.example"), await client.get_account("grace@fabrikam.example")
        assert await client.acquire_token_silent(GRAPH, grace)
        assert await client.acquire_token_silent(GRAPH, ada)
        with pytest.raises(InteractionRequiredError, match="AADSTS65001"):
            await client.acquire_token_silent(GRAPH, grace)
        assert await client.acquire_token_silent(GRAPH, grace)


@pytest.mark.fake_broker(persona="microsoft-2.0.1")
async def test_a_revocation_can_require_an_interactive_sign_in(fake_broker: RunningFake) -> None:
    challenge = fake_broker.revoke("ada@contoso.example", sign_in_again=True)
    async with BrokerClient(CLIENT_ID) as client:
        account = await client.get_account("ada@contoso.example")
        with pytest.raises(InteractionRequiredError, match="AADSTS50173"):
            await client.acquire_token_silent(GRAPH, account, claims_challenge=challenge)
        await client.acquire_token_interactive(GRAPH, account=account, claims_challenge=challenge)
        token = await client.acquire_token_silent(GRAPH, account, claims_challenge=challenge)
    assert fake_broker.broker.verify_access_token(token.access_token)


async def test_fault_slow_delays_the_reply(fake_broker: RunningFake) -> None:
    fake_broker.plant("slow", method="getAccounts", delay=0.05)
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_accounts()


async def test_start_delay_delays_the_bus_name(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    slow = FakeBroker(FakeConfig(start_delay=0.05))
    async with BrokerClient(CLIENT_ID) as client:
        watch = client.watch()
        assert await anext(watch) is Presence.OFFLINE
        async with serve(slow, fake_broker.address):
            assert await anext(watch) is Presence.ONLINE
            assert await client.get_accounts()
        await watch.aclose()


async def test_a_second_broker_on_the_same_bus_raises_name_taken_error(fake_broker: RunningFake) -> None:
    with pytest.raises(NameTakenError, match="already owned"):
        async with serve(FakeBroker(), fake_broker.address):
            pass


async def test_an_unregistered_app_is_rejected_if_the_directory_forbids_it() -> None:
    config = FakeConfig.model_validate(
        {
            "persona": "microsoft-2.0.1",
            "directory": {**FakeConfig().directory.model_dump(), "allow_unregistered_apps": False},
        }
    )
    async with (
        PrivateBus() as bus,
        serve(FakeBroker(config), bus.address),
        BrokerClient(CLIENT_ID, bus_address=bus.address) as client,
    ):
        with pytest.raises(BrokerError, match="AADSTS700016"):
            await client.acquire_token_silent(GRAPH)


def _fake(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "linuxbroker_fake", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_exec_runs_a_command_on_a_private_bus_with_the_fake_broker(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"persona": "microsoft-2.0.1", "signed_in": []}')
    program = (
        "import asyncio, linuxbroker\n"
        f"client = linuxbroker.BrokerClient({CLIENT_ID!r})\n"
        "print(asyncio.run(client.get_linux_broker_version()), asyncio.run(client.get_accounts()))"
    )
    done = _fake("exec", "--config", str(config), "--", sys.executable, "-c", program)
    assert (done.returncode, done.stdout) == (0, "2.0.1 []\n"), done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [(["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137), (["/nowhere/x"], 127), (["/etc"], 126)],
)
def test_exec_exits_with_the_exit_code_of_its_command(command: list[str], code: int) -> None:
    assert _fake("exec", "--", *command).returncode == code


# Runs a command as a terminal does; who runs the tests may have these signals ignored.
AS_A_TERMINAL = [
    sys.executable,
    "-c",
    "import os, signal, sys\n"
    "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
    "    signal.signal(number, signal.SIG_DFL)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
]


@contextlib.contextmanager
def _executing(*words: str) -> Generator[tuple[subprocess.Popen[str], Path]]:
    """The command at work, with a command of its own that waits; and the folder of its bus."""
    command = [*AS_A_TERMINAL, *words, sys.executable, "-m", "linuxbroker_fake", "exec", "--", "sh", "-c"]
    script = 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec sleep 600'
    with subprocess.Popen([*command, script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            (socket,) = unix_sockets(process.stdout.readline().strip())
            yield process, Path(os.fsdecode(socket)).parent
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_exec_stops_its_command_and_bus_on_a_signal(number: signal.Signals) -> None:
    with _executing() as (process, folder):
        assert folder.exists()
        process.send_signal(number)
        # The command holds standard output open as long as it runs.
        assert process.communicate(timeout=60)[0] == ""
        assert process.returncode == 128 + number
        assert not folder.exists()


def test_exec_ignores_a_hangup_if_it_was_started_with_nohup() -> None:
    with _executing("sh", "-c", 'trap "" HUP; exec "$0" "$@"') as (process, _):
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_exec_cleans_up_if_a_signal_arrives_while_the_bus_starts(tmp_path: Path, number: signal.Signals) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    silent = tmp_path / "dbus-daemon"
    silent.write_text(f'#!/bin/sh\necho $$ >"{started}"\nexec sleep 600\n')
    silent.chmod(0o755)
    folders = tmp_path / "tmp"
    folders.mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(folders)}
    command = [*AS_A_TERMINAL, sys.executable, "-m", "linuxbroker_fake", "exec", "--", "true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            daemon = int(started.read_text())
            process.send_signal(number)
            process.communicate(timeout=60)
            assert process.returncode == 128 + number
        finally:
            process.kill()
    assert not list(folders.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["a b", "a&b", "a,b", "a%b", "a%20b", "a<b>", "a;b=c", "é漢", "a'b\"c", "a#b*", "a\\b"]
)
def test_exec_accepts_any_name_of_the_temporary_folder(tmp_path: Path, name: str) -> None:
    # Below /tmp: a socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix=name, dir="/tmp") as folder:
        program = (
            "import asyncio, linuxbroker\n"
            f"client = linuxbroker.BrokerClient({CLIENT_ID!r})\n"
            "print(asyncio.run(client.get_linux_broker_version()))"
        )
        environment = {**os.environ, "TMPDIR": folder}
        done = _fake("exec", "--", sys.executable, "-c", program, env=environment)
        assert (done.returncode, done.stdout) == (0, "3.0.2\n"), done.stderr
        assert not list(Path(folder).iterdir())


def test_a_private_bus_activates_services_from_a_folder_of_any_name() -> None:
    program = f"""
import asyncio
from linuxbroker import BrokerClient
from linuxbroker_fake import RunningFake
from linuxbroker_fake.cli import main

with RunningFake(start=False) as bus:
    assert main(["write-service", str(bus.services)]) == 0
    bus.reload_services()
    client = BrokerClient({CLIENT_ID!r}, bus_address=bus.address)
    assert asyncio.run(client.get_linux_broker_version()) == "3.0.2"
"""
    with tempfile.TemporaryDirectory(prefix="a &<%,é b", dir="/tmp") as folder:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("text", ["", "{", '{"persona": "no such"}', '{"no_such_key": 1}'])
def test_an_invalid_configuration_is_a_usage_error(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(text)
    done = _fake("run", "--config", str(config))
    assert done.returncode == 2
    assert "invalid configuration" in done.stderr


def test_error_messages_are_one_printable_line(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"\\u001b[2J\\u202e": 1}')
    for words in (["run", "--config", str(config)], ["run", "--bus-address", "unix:" + "\x1b[2J\u202e" * 2000]):
        done = _fake(*words)
        assert done.returncode in (2, 3)
        assert done.stderr.rstrip("\n").isprintable()
        assert len(done.stderr) < 4100


def test_run_without_a_bus_exits_with_3() -> None:
    done = _fake("run", "--bus-address", "unix:path=/nowhere")
    assert done.returncode == 3
    assert "cannot connect to the bus" in done.stderr


def test_run_serves_until_sigterm(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    command = [sys.executable, "-m", "linuxbroker_fake", "run", "--persona", "microsoft-2.0.1"]
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": fake_broker.address}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert "microsoft-2.0.1 is ready" in process.stdout.readline()

        async def ask() -> str:
            async with BrokerClient(CLIENT_ID) as client:
                return await client.get_linux_broker_version()

        assert asyncio.run(ask()) == "2.0.1"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_write_service_writes_an_activation_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fake_command(["write-service", str(tmp_path / "services"), "--persona", "himmelblau"]) == 0
    path = tmp_path / "services" / "com.microsoft.identity.broker1.service"
    assert capsys.readouterr().out.strip() == str(path)
    assert path.read_text().splitlines()[:2] == ["[D-BUS Service]", "Name=com.microsoft.identity.broker1"]


SERVICE = "com.microsoft.identity.broker1.service"


def _write_service(folder: Path, *options: str) -> int:
    return fake_command(["write-service", str(folder), *options])


def test_write_service_overwrites_neither_symbolic_links_nor_foreign_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, elsewhere = tmp_path / "theirs", tmp_path / "elsewhere"
    theirs.write_text("theirs")
    for target in (theirs, elsewhere):
        folder = tmp_path / "links"
        folder.mkdir(exist_ok=True)
        (folder / SERVICE).symlink_to(target)
        assert _write_service(folder) == 1
        assert "pass --force to replace it" in capsys.readouterr().err
        assert (folder / SERVICE).is_symlink()
        assert _write_service(folder, "--force") == 0
        assert not (folder / SERVICE).is_symlink()
        (folder / SERVICE).unlink()
    assert theirs.read_text() == "theirs"
    assert not elsewhere.exists()

    (folder / SERVICE).write_text("[D-BUS Service]\nName=com.microsoft.identity.broker1\nExec=/usr/bin/broker\n")
    assert _write_service(folder) == 1
    assert "Exec=/usr/bin/broker" in (folder / SERVICE).read_text()
    assert _write_service(folder, "--force") == 0
    # Its own it replaces unasked.
    assert _write_service(folder, "--persona", "himmelblau") == 0
    assert "--persona himmelblau" in (folder / SERVICE).read_text()
    assert [path.name for path in folder.iterdir()] == [SERVICE]
    assert (folder / SERVICE).stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("name", ["a\nExec=/bin/false", "a\rb", "a\x1bb", "a\u2028b"])
def test_write_service_rejects_line_breaks_in_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert _write_service(tmp_path / "services", "--config", str(tmp_path / name)) == 2
    assert "control characters" in capsys.readouterr().err
    assert not (tmp_path / "services").exists()


def test_run_has_the_control_interface_only_with_control(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()

    async def ask() -> Any:
        async with BrokerClient(CLIENT_ID) as client:
            assert await client.get_linux_broker_version() == "3.0.2"
        return await _control(fake_broker, "Journal")

    for options, is_there in (([], False), (["--control"], True)):
        command = [sys.executable, "-m", "linuxbroker_fake", "run", "--bus-address", fake_broker.address, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert "is ready" in process.stdout.readline()
                if is_there:
                    assert "getLinuxBrokerVersion" in {call["member"] for call in asyncio.run(ask())}
                else:
                    with pytest.raises(RemoteError, match="UnknownMethod"):
                        asyncio.run(ask())
            finally:
                process.send_signal(signal.SIGTERM)
            assert process.wait() == 0


async def test_the_journal_hides_passwords(fake_broker: RunningFake) -> None:
    password = "not-a-real-password-ada"
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_by_username_password("ada@contoso.example", password, ["User.Read"])
    request = json.dumps(
        {"authParameters": {"Password": password, "deep": [{"password": password}], "username": "ada"}}
    )
    connection = await Connection.open(fake_broker.address)
    try:
        for text in (request, "password=" + password):
            call = Message(
                MessageKind.CALL,
                destination="com.microsoft.identity.broker1",
                path="/elsewhere",
                interface="org.example.Elsewhere",
                member="Elsewhere",
                signature="s",
                body=(text,),
            )
            with pytest.raises(RemoteError):
                await connection.call(call, limit=60)
    finally:
        connection.close()
    (asked,) = fake_broker.calls_of("acquireTokenSilently")
    assert asked.request["authParameters"]["password"] == "(hidden)"
    assert '"username": "ada"' in fake_broker.calls[-2].body[0]
    assert password not in repr([vars(call) for call in fake_broker.calls])
    assert password not in json.dumps(await _control(fake_broker, "Journal"))


def test_the_fixture_works_in_a_sync_test(fake_broker: RunningFake) -> None:
    assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == fake_broker.address
    assert asyncio.run(BrokerClient(CLIENT_ID).get_linux_broker_version()) == "3.0.2"


@pytest.mark.fake_broker(persona="himmelblau", signed_in=("grace@fabrikam.example",))
async def test_the_marker_configures_the_broker_of_the_fixture(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version() == "3.1.12"
        assert [account.username for account in await client.get_accounts()] == ["grace@fabrikam.example"]
