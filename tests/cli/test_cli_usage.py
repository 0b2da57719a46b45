"""The command line where nothing can be sent: help, usage errors, no bus, and what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from linuxbroker.wire.names import PROMPTS
from tests.constants import CLIENT_ID, SCOPE

COMMANDS = ("demo", "accounts", "token", "cookie", "sign-request", "sign-out", "version", "monitor")
HEAVY = ("msal", "requests", "cryptography", "httpx", "azure", "linuxbroker_fake")
# The bus does not exist: whoever gets as far as connecting exits with 3.
NO_BUS = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/linuxbroker-test-bus"}


def linuxbroker(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "LINUXBROKER_CLIENT_ID"}
    return subprocess.run(
        [sys.executable, "-m", "linuxbroker", *arguments],
        env={**inherited, **NO_BUS, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported_by(code: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in shown.stdout.split()}


def test_the_help_lists_every_command_and_exit_code() -> None:
    shown = linuxbroker("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in COMMANDS)
    assert all(f"\n  {code}  " in shown.stdout for code in range(6))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_mentions_json(command: str) -> None:
    shown = linuxbroker(command, "--help")
    assert shown.returncode == 0
    assert "--json" in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["no-such-command"], "no-such-command"),
        (["accounts", "--client-id", "not-a-uuid"], "linuxbroker: --client-id "),
        (["accounts", "--client-id", CLIENT_ID, "--authority", "http://login.example/t"], "linuxbroker: --authority "),
        (["accounts", "--client-id", CLIENT_ID, "--timeout", "0"], "seconds greater than 0"),
        (["accounts", "--client-id", CLIENT_ID, "--timeout", "nan"], "seconds greater than 0"),
        (["accounts", "--client-id", CLIENT_ID, "--no-such-option"], "--no-such-option"),
        (["accounts", "--client-id", CLIENT_ID, "--tenant", "a/b"], "invalid tenant ID: 'a/b'"),
        (["token", "--client-id", CLIENT_ID], "--scope"),
        (["token", "--client-id", CLIENT_ID, "--scope", "openid"], "openid"),
        (["token", "--client-id", CLIENT_ID, "--scope", "a b"], "linuxbroker: --scope "),
        (["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--claims", "no json"], "linuxbroker: --claims "),
        (
            [
                "token",
                "--client-id",
                CLIENT_ID,
                "--scope",
                SCOPE,
                "--pop-method",
                "GET",
                "--pop-url",
                "http://a.example/",
            ],
            "linuxbroker: --pop-url ",
        ),
        (
            [
                "token",
                "--client-id",
                CLIENT_ID,
                "--scope",
                SCOPE,
                "--pop-method",
                "a b",
                "--pop-url",
                "https://a.example/",
            ],
            "linuxbroker: --pop-method ",
        ),
        (["version", "--trusted-program", "broker"], "linuxbroker: --trusted-program "),
        (
            ["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--interactive", "--no-interactive"],
            "not allowed with",
        ),
        (["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--prompt", "perhaps"], "perhaps"),
        (["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--pop-method", "GET"], "--pop-url"),
        (["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--pop-nonce", "n"], "--pop-nonce requires"),
        (["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--interactive", "--renew"], "--renew"),
        (["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--no-interactive", "--prompt", "login"], "--prompt"),
        (
            ["token", "--client-id", CLIENT_ID, "--scope", SCOPE, "--account", "a@b", "--login-hint", "c@d"],
            "--login-hint",
        ),
        (["cookie", "--client-id", CLIENT_ID, "--url", "http://login.example/"], "linuxbroker: --url "),
        (["sign-request", "--client-id", CLIENT_ID, "--url", "https://a.example/"], "--method"),
        (
            ["sign-request", "--client-id", CLIENT_ID, "--method", "GET", "--url", "ftp://a.example/"],
            "linuxbroker: --url ",
        ),
        (["sign-out", "--client-id", CLIENT_ID], "--account"),
        (["sign-out", "--client-id", CLIENT_ID, "--account", ""], "empty"),
        (["monitor", "--count", "0"], "greater than 0"),
        (["demo", "--persona", "nobody"], "microsoft-2.5.2"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_says_why(arguments: Sequence[str], said: str) -> None:
    shown = linuxbroker(*arguments)
    assert shown.returncode == 2
    assert shown.stderr.startswith("linuxbroker: ")
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""


def test_a_usage_error_is_also_told_as_json() -> None:
    shown = linuxbroker("token", "--json", "--client-id", CLIENT_ID)
    assert shown.returncode == 2
    error = json.loads(shown.stdout)["error"]
    assert error["type"] == "UsageError"
    assert "--scope" in error["message"]
    assert (error["status"], error["correlation_id"], error["aadsts_codes"]) == (None, None, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["accounts"],
        ["token", "--scope", SCOPE],
        ["cookie"],
        ["sign-request", "--method", "GET", "--url", "https://a.example/"],
        ["sign-out", "--account", "ada@contoso.example"],
    ],
)
def test_without_a_client_id_it_says_where_to_take_one_from(arguments: Sequence[str]) -> None:
    shown = linuxbroker(*arguments)
    assert shown.returncode == 2
    assert "--client-id" in shown.stderr
    assert "LINUXBROKER_CLIENT_ID" in shown.stderr


def test_the_client_id_can_come_from_the_environment() -> None:
    shown = linuxbroker("accounts", LINUXBROKER_CLIENT_ID=CLIENT_ID)
    assert shown.returncode == 3
    assert linuxbroker("accounts", LINUXBROKER_CLIENT_ID="wrong").returncode == 2


@pytest.mark.parametrize("command", ["version", "monitor"])
def test_version_and_monitor_need_no_client_id(command: str) -> None:
    assert linuxbroker(command).returncode == 3


@pytest.mark.parametrize("command", ["accounts", "version", "monitor"])
def test_a_dead_session_bus_exits_with_3_and_advises(command: str) -> None:
    shown = linuxbroker(command, "--json", LINUXBROKER_CLIENT_ID=CLIENT_ID)
    assert shown.returncode == 3
    assert shown.stderr.startswith("linuxbroker: ")
    assert "dbus-run-session" in shown.stderr
    assert json.loads(shown.stdout)["error"]["type"] == "NoSessionBusError"


def test_the_bus_address_option_goes_before_the_environment() -> None:
    shown = linuxbroker("version", "--bus-address", "unix:path=/nonexistent/another-bus")
    assert shown.returncode == 3
    assert "another-bus" in shown.stderr


def test_the_demo_without_dbus_daemon_names_the_package_to_install(tmp_path: Path) -> None:
    shown = linuxbroker("demo", PATH=str(tmp_path))
    assert shown.returncode == 3
    assert "sudo apt install dbus" in shown.stderr
    assert "sudo dnf install dbus-daemon" in shown.stderr


def test_start_up_imports_no_heavy_package() -> None:
    modules = imported_by("import linuxbroker.cli.main, linuxbroker.cli.operations, linuxbroker.cli.demo")
    assert modules.isdisjoint(HEAVY)
    assert imported_by("import linuxbroker.cli.main").isdisjoint({*HEAVY, "pydantic", "dbus_next"})


def test_the_prompts_that_can_be_typed_are_those_of_the_client() -> None:
    shown = linuxbroker("token", "--help")
    assert f"--prompt {{{','.join(PROMPTS)}}}" in shown.stdout
