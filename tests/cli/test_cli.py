"""Output and exit code of each subcommand, against the fake broker on a real bus."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from tests.constants import ADA, CLIENT_ID, CONTOSO, FABRIKAM, GRACE, SCOPE

REQUEST = ("--method", "GET", "--url", "https://graph.microsoft.com/v1.0/me")

Shown = subprocess.CompletedProcess[str]


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with RunningFake() as running:
        yield running


def start(fake: RunningFake, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": fake.address, "LINUXBROKER_CLIENT_ID": CLIENT_ID}
    return subprocess.Popen(
        [sys.executable, "-m", "linuxbroker", *arguments],
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Shown:
    with process:
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def linuxbroker(fake: RunningFake, *arguments: str) -> Shown:
    return ended(start(fake, *arguments))


def on_a_terminal(fake: RunningFake, *arguments: str) -> Shown:
    ours, theirs = pty.openpty()
    try:
        return ended(start(fake, *arguments, stdin=theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def error_of(shown: Shown) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(shown.stdout)["error"]
    assert shown.stderr == f"linuxbroker: {error['message']}\n"
    return error


def test_accounts_prints_a_table_that_marks_the_home_tenant(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "accounts")
    assert shown.returncode == 0
    heading, *rows = [line.split() for line in shown.stdout.splitlines()]
    assert heading == ["UPN", "NAME", "TENANT", "HOME"]
    assert rows == [
        [ADA, "Ada", "Lovelace", CONTOSO, "yes"],
        [ADA, "Ada", "Lovelace", FABRIKAM],
        [GRACE, "Grace", "Hopper", FABRIKAM, "yes"],
    ]


def test_accounts_as_json_can_be_narrowed_to_a_user_and_a_tenant(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "accounts", "--json", "--account", ADA.upper(), "--tenant", FABRIKAM)
    assert shown.returncode == 0
    (account,) = json.loads(shown.stdout)
    assert account["username"] == ADA
    assert account["tenant"] == FABRIKAM
    assert account["is_home_tenant"] is False
    assert account["environment"] == "login.microsoftonline.com"


def test_accounts_without_any_says_so_on_standard_error() -> None:
    with RunningFake(FakeConfig(signed_in=())) as fake:
        shown = linuxbroker(fake, "accounts")
        as_json = linuxbroker(fake, "accounts", "--json")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert shown.stderr.startswith("linuxbroker: ")
    assert (as_json.returncode, json.loads(as_json.stdout)) == (0, [])


def test_token_prints_just_the_token(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--scope", SCOPE)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.count("\n") == 1
    claims = fake.broker.verify_access_token(shown.stdout.rstrip("\n"))
    assert (claims["upn"], claims["tid"]) == (ADA, CONTOSO)


def test_token_as_json_tells_all_about_it(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--json", "--scope", SCOPE, "--account", ADA, "--tenant", FABRIKAM)
    assert shown.returncode == 0
    token = json.loads(shown.stdout)
    assert claims_of(token["access_token"])["tid"] == FABRIKAM
    assert token["token_type"] == "Bearer"
    assert 3500 < token["expires_in"] <= 3600
    expires_on = datetime.strptime(token["expires_on"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert expires_on.timestamp() == claims_of(token["access_token"])["exp"]
    assert token["scopes"] == [SCOPE]
    assert token["account"]["username"] == ADA
    assert token["tenant"] == FABRIKAM
    assert token["correlation_id"] == fake.calls_of("acquireTokenSilently")[0].correlation_id
    assert token["id_token_claims"]["preferred_username"] == ADA


def test_scopes_can_be_listed_and_repeated(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--json", "--scope", SCOPE, "Mail.Read", "--scope", "Files.Read")
    assert json.loads(shown.stdout)["scopes"] == [SCOPE, "Mail.Read", "Files.Read"]


def test_tenant_alone_means_the_first_account_in_it(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--json", "--scope", SCOPE, "--tenant", FABRIKAM)
    assert json.loads(shown.stdout)["account"] == {
        "username": ADA,
        "name": "Ada Lovelace",
        "tenant": FABRIKAM,
        "is_home_tenant": False,
        "home_account_id": f"00000000-0000-0000-0000-0000000000a1.{CONTOSO}",
        "local_account_id": "00000000-0000-0000-0000-0000000000a2",
        "environment": "login.microsoftonline.com",
    }


def test_renew_asks_with_the_token_that_was_refused_and_the_challenge(fake: RunningFake) -> None:
    old = linuxbroker(fake, "token", "--scope", SCOPE).stdout.strip()
    challenge = fake.revoke(ADA)
    new = linuxbroker(fake, "token", "--scope", SCOPE, "--renew", "--claims", challenge)
    assert new.returncode == 0
    parameters = fake.calls_of("acquireTokenSilently")[-1].request["authParameters"]
    assert (parameters["accessTokenToRenew"], parameters["decodedClaims"]) == (old, challenge)
    assert fake.broker.verify_access_token(new.stdout.strip())["upn"] == ADA


def test_a_pop_token_is_bound_to_the_request(fake: RunningFake) -> None:
    pop = ("--pop-method", "POST", "--pop-url", "https://graph.microsoft.com/v1.0/me", "--pop-nonce", "a-nonce")
    shown = linuxbroker(fake, "token", "--json", "--scope", SCOPE, *pop)
    token = json.loads(shown.stdout)
    assert token["token_type"] == "pop"
    signed = fake.broker.entra.verify_signed_http_request(token["access_token"])
    assert (signed["m"], signed["u"], signed["p"]) == ("POST", "graph.microsoft.com", "/v1.0/me")
    assert signed["nonce"] == "a-nonce"


def test_interactive_goes_straight_to_the_user(fake: RunningFake) -> None:
    fake.set_user("approve", upn=GRACE)
    shown = linuxbroker(fake, "token", "--interactive", "--prompt", "select_account", "--scope", SCOPE)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert claims_of(shown.stdout)["upn"] == GRACE
    (call,) = fake.calls_of("acquireTokenInteractively")
    assert call.request["authParameters"]["prompt"] == "select_account"
    assert not fake.calls_of("acquireTokenSilently", "getAccounts")


def test_interactive_for_an_account_asks_for_that_one(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--interactive", "--scope", SCOPE, "--account", GRACE.upper())
    assert claims_of(shown.stdout)["upn"] == GRACE
    (call,) = fake.calls_of("acquireTokenInteractively")
    assert call.request["authParameters"]["account"]["username"] == GRACE


def test_interactive_in_a_tenant_signs_in_there(fake: RunningFake) -> None:
    where = ("--tenant", FABRIKAM, "--authority", "https://login.microsoftonline.us/common")
    shown = linuxbroker(fake, "token", "--interactive", *where, "--login-hint", ADA, "--scope", SCOPE)
    assert claims_of(shown.stdout)["tid"] == FABRIKAM
    (call,) = fake.calls_of("acquireTokenInteractively")
    assert call.request["authParameters"]["authority"] == f"https://login.microsoftonline.us/{FABRIKAM}"


@pytest.mark.parametrize("how", [(), ("--no-interactive",)])
def test_off_a_terminal_a_sign_in_that_is_needed_exits_with_4(fake: RunningFake, how: Sequence[str]) -> None:
    fake.plant("mfa_expired", method="acquireTokenSilently")
    shown = linuxbroker(fake, "token", "--json", "--scope", SCOPE, *how)
    assert shown.returncode == 4
    error = error_of(shown)
    assert error["type"] == "InteractionRequiredError"
    assert error["status"] == "InteractionRequired"
    assert error["correlation_id"] == fake.calls_of("acquireTokenSilently")[0].correlation_id
    assert "token --interactive" in error["message"]
    assert not fake.calls_of("acquireTokenInteractively")


def test_on_a_terminal_the_user_is_asked_when_need_be(fake: RunningFake) -> None:
    fake.plant("mfa_expired", method="acquireTokenSilently")
    shown = on_a_terminal(fake, "token", "--scope", SCOPE)
    assert shown.returncode == 0
    assert claims_of(shown.stdout)["upn"] == ADA
    assert "sign-in required" in shown.stderr
    (call,) = fake.calls_of("acquireTokenInteractively")
    assert call.request["authParameters"]["account"]["username"] == ADA


def test_no_interactive_does_not_ask_on_a_terminal_either(fake: RunningFake) -> None:
    fake.plant("mfa_expired", method="acquireTokenSilently")
    assert on_a_terminal(fake, "token", "--no-interactive", "--scope", SCOPE).returncode == 4
    assert not fake.calls_of("acquireTokenInteractively")


@pytest.mark.parametrize("arguments", [["token", "--scope", SCOPE], ["cookie"], ["sign-request", *REQUEST]])
def test_without_any_account_it_exits_with_4_and_says_how_to_sign_in(arguments: Sequence[str]) -> None:
    with RunningFake(FakeConfig(signed_in=())) as fake:
        shown = linuxbroker(fake, *arguments)
    assert (shown.returncode, shown.stdout) == (4, "")
    assert "linuxbroker token --interactive" in shown.stderr


def test_a_login_hint_never_gives_another_users_token(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--scope", SCOPE, "--login-hint", GRACE)
    assert claims_of(shown.stdout)["upn"] == GRACE
    unknown = linuxbroker(fake, "token", "--scope", SCOPE, "--login-hint", "nobody@contoso.example")
    assert (unknown.returncode, unknown.stdout) == (4, "")


@pytest.mark.parametrize("command", [["token", "--scope", SCOPE], ["cookie"], ["sign-request", *REQUEST], ["sign-out"]])
def test_an_unknown_account_exits_with_1_and_lists_the_known_ones(fake: RunningFake, command: Sequence[str]) -> None:
    shown = linuxbroker(fake, *command, "--json", "--account", "nobody@contoso.example")
    assert shown.returncode == 1
    error = error_of(shown)
    assert error["type"] == "UnknownAccountError"
    assert f"{ADA}, {GRACE}" in error["message"]


def test_a_user_who_closes_the_window_is_exit_code_5(fake: RunningFake) -> None:
    fake.set_user("cancel")
    shown = linuxbroker(fake, "token", "--json", "--interactive", "--scope", SCOPE)
    assert shown.returncode == 5
    assert error_of(shown)["type"] == "UserCanceledError"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_close_the_brokers_window_and_exit_with_5(fake: RunningFake, number: signal.Signals) -> None:
    fake.set_user("never")
    process = start(fake, "token", "--interactive", "--scope", SCOPE)
    fake.wait_for_call("acquireTokenInteractively")
    process.send_signal(number)
    shown = ended(process)
    assert (shown.returncode, shown.stdout) == (5, "")
    assert shown.stderr == "linuxbroker: canceled\n"
    assert len(fake.calls_of("cancelInteractiveFlow")) == 1
    assert fake.broker.screen.open_windows == 0


def test_cookie_prints_header_lines(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "cookie", "--url", "https://login.microsoftonline.com/?sso_nonce=abc")
    assert (shown.returncode, shown.stderr) == (0, "")
    cookies = dict(line.split(": ") for line in shown.stdout.splitlines())
    assert list(cookies) == ["x-ms-RefreshTokenCredential", "x-ms-DeviceCredential"]
    assert fake.broker.entra.verify_prt_cookie(cookies["x-ms-RefreshTokenCredential"])["request_nonce"] == "abc"


def test_cookie_as_json_names_the_account(fake: RunningFake) -> None:
    shown = json.loads(linuxbroker(fake, "cookie", "--json", "--account", GRACE).stdout)
    assert [cookie["name"] for cookie in shown["cookies"]] == ["x-ms-RefreshTokenCredential", "x-ms-DeviceCredential"]
    assert fake.broker.entra.verify_prt_cookie(shown["cookies"][0]["value"])
    assert shown["account"]["username"] == GRACE


def test_sign_request_prints_the_signed_request(fake: RunningFake) -> None:
    extras = ("--nonce", "a-nonce", "--client-claims", '{"a":1}')
    shown = linuxbroker(fake, "sign-request", *REQUEST, *extras)
    assert (shown.returncode, shown.stderr) == (0, "")
    signed = fake.broker.entra.verify_signed_http_request(shown.stdout.rstrip("\n"))
    assert (signed["m"], signed["nonce"], signed["client_claims"]) == ("GET", "a-nonce", '{"a":1}')
    as_json = json.loads(linuxbroker(fake, "sign-request", "--json", *REQUEST).stdout)
    assert fake.broker.entra.verify_signed_http_request(as_json["signed_http_request"])["m"] == "GET"


def test_sign_out_says_who_was_signed_out(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "sign-out", "--account", GRACE)
    assert shown.returncode == 0
    assert GRACE in shown.stdout
    assert GRACE not in linuxbroker(fake, "accounts").stdout
    as_json = linuxbroker(fake, "sign-out", "--json", "--account", ADA, "--tenant", FABRIKAM)
    assert json.loads(as_json.stdout)["signed_out"]["tenant"] == FABRIKAM


def test_version_prints_the_librarys_and_the_brokers(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "version")
    assert shown.returncode == 0
    library, broker = shown.stdout.splitlines()
    assert library.startswith("linuxbroker ")
    assert broker == "broker 3.0.2"
    assert json.loads(linuxbroker(fake, "version", "--json").stdout) == {
        "linuxbroker": library.removeprefix("linuxbroker "),
        "broker": "3.0.2",
    }


def test_monitor_follows_the_broker_until_the_count_is_reached(fake: RunningFake) -> None:
    process = start(fake, "monitor", "--count", "3")
    assert process.stdout is not None
    assert process.stdout.readline() == "online\n"
    fake.stop_broker()
    assert process.stdout.readline() == "offline\n"
    fake.start_broker()
    shown = ended(process)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "online\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_monitor_ends_well_with_ctrl_c(fake: RunningFake, number: signal.Signals) -> None:
    process = start(fake, "monitor", "--json")
    assert process.stdout is not None
    event = json.loads(process.stdout.readline())
    assert event["presence"] == "online"
    assert event["time"].endswith("Z")
    process.send_signal(number)
    shown = ended(process)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")


def test_monitor_exits_with_3_when_the_bus_ends(fake: RunningFake) -> None:
    process = start(fake, "monitor")
    assert process.stdout is not None
    assert process.stdout.readline() == "online\n"
    fake.stop_bus()
    shown = ended(process)
    assert (shown.returncode, shown.stdout) == (3, "offline\n")


def test_a_bus_without_a_broker_exits_with_3_and_says_what_to_install() -> None:
    with RunningFake(start=False) as fake:
        shown = linuxbroker(fake, "accounts", "--json")
    assert shown.returncode == 3
    error = error_of(shown)
    assert error["type"] == "BrokerNotInstalledError"
    assert "microsoft-identity-broker" in error["message"]


def test_the_timeout_limits_ordinary_calls(fake: RunningFake) -> None:
    fake.plant("hang", method="getAccounts")
    shown = linuxbroker(fake, "accounts", "--json", "--timeout", "0.3")
    assert shown.returncode == 3
    assert error_of(shown)["type"] == "BrokerTimeoutError"


def test_another_failure_exits_with_1_and_tells_its_details(fake: RunningFake) -> None:
    fake.plant("device_not_registered", method="acquireTokenSilently")
    shown = linuxbroker(fake, "token", "--json", "--scope", SCOPE)
    assert shown.returncode == 1
    error = error_of(shown)
    assert (error["type"], error["status"]) == ("DeviceNotRegisteredError", "DeviceNotRegistered")
    assert (error["tag_name"], error["method"]) == ("", "acquireTokenSilently")


def test_a_reader_that_went_away_gets_no_traceback(fake: RunningFake) -> None:
    process = start(fake, "token", "--scope", SCOPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), said) == (1, "")


def test_a_full_disk_is_told(fake: RunningFake) -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        shown = subprocess.run(
            [sys.executable, "-m", "linuxbroker", "version", "--bus-address", fake.address],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert shown.returncode == 1
    assert "No space left" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("redirections", "exit_code", "said"),
    [(">&-", 1, "linuxbroker: standard output is closed\n"), ("2>&- --timeout 0", 2, ""), ("<&-", 0, "")],
)
def test_a_closed_standard_stream_is_not_mistaken_for_another(
    fake: RunningFake, redirections: str, exit_code: int, said: str
) -> None:
    options = ["token", "--scope", SCOPE, "--client-id", CLIENT_ID, "--bus-address", fake.address]
    shown = subprocess.run(
        ["sh", "-c", f'"$@" {redirections}', "sh", sys.executable, "-m", "linuxbroker", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (exit_code, said)
    assert shown.stdout.startswith("eyJ") is (exit_code == 0)


def test_a_name_that_the_terminal_cant_write_is_escaped() -> None:
    directory = FakeConfig().directory
    ada = directory.users[0].model_copy(update={"name": "Ad\u00e4\x1b[31m"})
    config = FakeConfig(directory=directory.model_copy(update={"users": (ada,)}))
    with RunningFake(config) as fake:
        shown = subprocess.run(
            [sys.executable, "-m", "linuxbroker", "accounts", "--client-id", CLIENT_ID, "--bus-address", fake.address],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert shown.returncode == 0
    assert "Ad\\xe4 [31m" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_verbose_writes_no_secret_to_the_log(fake: RunningFake) -> None:
    shown = linuxbroker(fake, "token", "--verbose", "--scope", SCOPE)
    assert shown.returncode == 0
    assert "linuxbroker.bus" in shown.stderr
    assert shown.stdout.strip() not in shown.stderr
    assert "eyJ" not in shown.stderr


def test_a_program_can_call_the_command_from_any_thread(fake: RunningFake) -> None:
    program = (
        "import sys, threading\n"
        "from linuxbroker.cli.main import main\n"
        "codes = []\n"
        "in_a_thread = threading.Thread(target=lambda: codes.append(main(['version'])))\n"
        "in_a_thread.start()\n"
        "in_a_thread.join()\n"
        "sys.exit(0 if codes == [0] and main(['version']) == 0 else 1)"
    )
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": fake.address}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(fake.calls_of("getLinuxBrokerVersion")) == 2
