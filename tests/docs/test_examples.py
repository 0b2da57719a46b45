"""Every example of every page, run as it stands there."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from tests.docs.examples import (
    EXAMPLES,
    README,
    ROOT,
    SCRIPTS,
    SHELL,
    STORAGE,
    TEST_SUITES,
    Example,
    example_with,
    moved,
)

CI_SCRIPT = ROOT / ".ci" / "run"
CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SCOPE = "https://graph.microsoft.com/User.Read"
# A guard against an example that hangs; nothing is measured with it.
_PATIENCE_SECONDS = 120

SIGN_IN = SCRIPTS[0]
DEMO_SETUP, TEST_SETUP = (example for example in SHELL if "apt-get" in example.code)
HTTPX = example_with("httpx.AsyncClient")
MSAL_PROGRAM = example_with('app = msal.PublicClientApplication("')
# Each has a test of its own.
RUN_ON_SESSION_BUS = example_with("linuxbroker-fake run")
RUN_MSAL_PROGRAM = example_with("linuxbroker run msal_signin.py")
RUN_TESTS = example_with("-m pytest")


@dataclass(frozen=True)
class Shell:
    """A folder with ``signin.py`` in it, as the README has its reader create one, to run commands in."""

    folder: Path

    def environment(self, bus_address: str | None = None) -> dict[str, str]:
        """The environment of a command: the commands next to this interpreter, and the given session bus, if any."""
        environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
        environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        if bus_address is not None:
            environment["DBUS_SESSION_BUS_ADDRESS"] = bus_address
        return environment

    def run(self, *command: str, bus_address: str | None = None, folder: Path | None = None, **variables: str) -> str:
        """Run a command, which must end with 0; returns its standard output."""
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env={**self.environment(bus_address), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run_script(self, example: Example, bus_address: str) -> str:
        """Run an example in Python, warnings being errors."""
        script = self.folder / "pasted.py"
        script.write_text(example.code, encoding="utf-8")
        return self.run(sys.executable, "-X", "dev", "-W", "error", str(script), bus_address=bus_address)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "signin.py").write_text(SIGN_IN.code, encoding="utf-8")
    return Shell(tmp_path)


# Python


# The last one is run by tests/azurite.
_WITH_TESTS_OF_THEIR_OWN = (SIGN_IN, HTTPX, MSAL_PROGRAM, STORAGE)


@pytest.mark.parametrize("example", [item for item in SCRIPTS if item not in _WITH_TESTS_OF_THEIR_OWN], ids=str)
def test_python_example_runs(example: Example, shell: Shell, fake_broker: RunningFake) -> None:
    assert shell.run_script(example, fake_broker.address)


def test_first_example_gets_a_token_in_ten_lines(shell: Shell, fake_broker: RunningFake) -> None:
    assert "## A token in ten lines\n" in README
    assert sum(1 for line in SIGN_IN.code.splitlines() if line.strip()) == 10
    printed = shell.run(sys.executable, "-X", "dev", "-W", "error", "signin.py", bus_address=fake_broker.address)
    assert "ada@contoso.example" in printed
    assert "eyJ" not in printed
    assert [call.member for call in fake_broker.calls] == ["getAccounts", "acquireTokenSilently"]


def test_first_example_asks_the_user_if_it_must(shell: Shell, fake_broker: RunningFake) -> None:
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    assert "ada@contoso.example" in shell.run(sys.executable, "signin.py", bus_address=fake_broker.address)
    assert fake_broker.calls_of("acquireTokenInteractively")


_CLAIMS = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}').decode()


async def test_httpx_example_answers_a_challenge(shell: Shell, fake_broker: RunningFake) -> None:
    """The API refuses the first token: with a challenge if the token declares CP1, as a real one does."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        payload = request.partition(b"Authorization: Bearer ")[2].split(b".")[1]
        capabilities = json.loads(base64.urlsafe_b64decode(payload + b"==")).get("xms_cc", [])
        challenge = f'error="insufficient_claims", claims="{_CLAIMS}"' if "CP1" in capabilities else ""
        refusal = f"401 Unauthorized\r\nWWW-Authenticate: Bearer {challenge}"
        requests.append(request)
        status = refusal if len(requests) == 1 else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    (shell.folder / "me.py").write_text(HTTPX.code, encoding="utf-8")
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "me.py", f"http://127.0.0.1:{port}/v1.0/me"),
            cwd=shell.folder,
            env={**shell.environment(fake_broker.address), "no_proxy": "*"},
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    assert (process.returncode, printed, len(requests)) == (0, b"200\n", 2)


def test_headers_example_prints_what_its_comment_says(shell: Shell, fake_broker: RunningFake) -> None:
    example = example_with("parse_challenges(HEADERS)")
    printed = shell.run_script(example, fake_broker.address)
    assert f"# {printed}" in example.code
    assert printed == "Bearer pop\n"


def test_moving_from_msal_leads_to_the_example() -> None:
    assert moved("+") == example_with("app.get_accounts()").code
    assert compile(moved("-"), "before.py", "exec").co_names[0] == "msal"


@pytest.mark.parametrize("example", TEST_SUITES, ids=str)
def test_pytest_example_passes(example: Example, shell: Shell) -> None:
    (shell.folder / "test_pasted.py").write_text(example.code, encoding="utf-8")
    (shell.folder / "pytest.ini").touch()  # else one further up would count
    printed = shell.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_pasted.py")
    assert f"{example.code.count('def test_')} passed" in printed


# The shell


@pytest.mark.parametrize("example", [example for example in SHELL if example.is_run], ids=str)
def test_shell_example_runs(example: Example, shell: Shell) -> None:
    for tool in ("gdbus", "busctl"):
        if f"{tool} " in example.code and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    assert shell.run("sh", "-ec", example.code)


def test_every_other_shell_example_has_a_test_here() -> None:
    not_marked = {str(example) for example in SHELL if not example.is_run}
    with_tests = {DEMO_SETUP, TEST_SETUP, RUN_ON_SESSION_BUS, RUN_MSAL_PROGRAM, RUN_TESTS}
    assert not_marked == {str(example) for example in with_tests}


def test_no_example_is_left_out() -> None:
    others = [example for example in EXAMPLES if example.language not in ("python", "sh")]
    assert [example.language for example in others] == ["json"]  # the configuration of the fake broker, below


def test_run_example_serves_until_it_is_told_to_end(shell: Shell) -> None:
    command = shlex.split(RUN_ON_SESSION_BUS.code)
    with RunningFake(start=False) as bus:
        environment = shell.environment(bus.address)
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
            try:
                assert service.stdout is not None
                assert service.stdout.readline().endswith("is ready\n")
                assert "broker 2.0.1" in shell.run("linuxbroker", "version", bus_address=bus.address)
            finally:
                service.terminate()
            assert service.wait(_PATIENCE_SECONDS) == 0


def test_msal_program_runs_unchanged(shell: Shell) -> None:
    """But for the HTTP client: MSAL reads the login host's endpoints over the network."""
    flag = "enable_broker_on_linux=True"
    assert MSAL_PROGRAM.code.count(flag) == 1
    program = MSAL_PROGRAM.code.replace(flag, f"{flag}, http_client=__import__('msal_driver').LoginHost()")
    (shell.folder / "msal_signin.py").write_text(program, encoding="utf-8")
    folder = str(ROOT / "tests" / "compat")
    printed = shell.run("sh", "-ec", RUN_MSAL_PROGRAM.code.replace("run ", "run --force ", 1), PYTHONPATH=folder)
    assert printed == "token from the broker\n"


def test_tests_run_as_the_page_says(shell: Shell) -> None:
    assert " passed" in shell.run("sh", "-ec", RUN_TESTS.code, folder=ROOT)


def test_configuration_example_is_valid(shell: Shell) -> None:
    (example,) = (example for example in EXAMPLES if example.language == "json")
    config = shell.folder / "config.json"
    config.write_text(example.code, encoding="utf-8")
    assert set(FakeConfig.load(config).model_fields_set) == set(FakeConfig.model_fields) - {"directory"}
    accounts = ("linuxbroker", "accounts", "--client-id", CLIENT_ID)
    printed = shell.run("linuxbroker-fake", "exec", "--config", "config.json", "--", *accounts)
    assert "grace@fabrikam.example" in printed
    assert "ada@contoso.example" not in printed


# The two commands that set everything up


def _commands(example: Example) -> list[str]:
    joined = example.code.replace("\\\n", " ").replace("sudo ", "")
    return [" ".join(command.split()) for command in joined.split("&&")]


def test_first_command_ends_in_the_demo_and_the_readme_quotes_its_end(shell: Shell) -> None:
    last = _commands(DEMO_SETUP)[-1]
    assert last == ".venv/bin/linuxbroker demo"
    printed = shell.run("sh", "-ec", last.removeprefix(".venv/bin/"))
    (quoted,) = (line for line in printed.splitlines() if line.endswith("steps succeeded."))
    assert f"`{quoted}`" in README


def test_both_commands_need_the_same_three_packages() -> None:
    installations = {_commands(example)[0] for example in (DEMO_SETUP, TEST_SETUP)}
    assert installations == {"apt-get install -y dbus git python3-venv"}


def test_continuous_integration_calls_the_test_command_of_the_readme() -> None:
    script = " ".join(CI_SCRIPT.read_text(encoding="utf-8").split())
    _install, *test_commands = _commands(TEST_SETUP)
    assert [command for command in test_commands if command not in script] == []
