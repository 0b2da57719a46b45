"""Import of the replacement runtime with and without a broker, and arguments that it takes or refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from linuxbroker_fake import RunningFake
from linuxbroker_fake.cli import main as fake_command
from tests.runtime.conftest import Run

IMPORT = "import linuxbroker.runtime.pymsalruntime"
TRY_IMPORT = f"""
try:
    {IMPORT}
except RuntimeError as error:
    print(error)
"""


def test_importing_it_asks_once_whether_there_is_a_broker(run: Run, fake_broker: RunningFake) -> None:
    run(f"{IMPORT}\n{IMPORT}", prelude=False)
    assert [call.member for call in fake_broker.calls] == ["Ping"]


def test_importing_it_starts_a_broker_that_is_installed(run: Run) -> None:
    with RunningFake(start=False) as bus:
        assert fake_command(["write-service", bus.services, "--persona", "microsoft-2.0.1"]) == 0
        bus.reload_services()
        seen = run(
            "import json\n"
            "result = call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
            "print(json.dumps([account.get_user_name() for account in result.get_accounts()]))",
            environment={"DBUS_SESSION_BUS_ADDRESS": bus.address},
        )
    assert sorted(seen.json) == ["ada@contoso.example", "grace@fabrikam.example"]


def test_without_a_broker_importing_it_raises_what_makes_msal_do_without(run: Run) -> None:
    with RunningFake(start=False) as bus:
        seen = run(TRY_IMPORT, prelude=False, environment={"DBUS_SESSION_BUS_ADDRESS": bus.address})
    assert seen.out.startswith(
        "ErrorTag: 507897694, ErrorCode: 0, ErrorContext: Broker cannot be initialized for MSALRuntime: "
    )
    assert "no identity broker is installed" in seen.out
    assert seen.out.rstrip().endswith("ErrorStatus: Response_Status.Status_ApiContractViolation")


def test_without_a_bus_importing_it_raises_the_same(run: Run, tmp_path: Path) -> None:
    nowhere = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"}
    seen = run(TRY_IMPORT, prelude=False, environment=nowhere)
    assert "Broker cannot be initialized for MSALRuntime" in seen.out
    assert "cannot connect to the bus" in seen.out


def test_a_later_import_asks_again(run: Run) -> None:
    with RunningFake(start=False) as bus:
        seen = run(
            TRY_IMPORT + TRY_IMPORT,
            prelude=False,
            environment={"DBUS_SESSION_BUS_ADDRESS": bus.address},
        )
    assert seen.out.count("ErrorTag: 507897694") == 2


def test_importing_it_loads_neither_msal_nor_an_http_client(run: Run, fake_broker: RunningFake) -> None:
    heavy = "('msal', 'requests', 'httpx', 'azure.core', 'cryptography')"
    seen = run(
        f"{IMPORT}\nimport json, sys\nprint(json.dumps([name for name in {heavy} if name in sys.modules]))",
        prelude=False,
    )
    assert seen.json == []


def test_importing_the_library_does_not_import_it() -> None:
    program = (
        "import sys, linuxbroker, linuxbroker.client\n"
        "print([name for name in sys.modules if name.startswith('linuxbroker.runtime')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("runtime.MSALRuntimeAuthParameters(1, AUTHORITY)", "TypeError: Argument 'clientid' has incorrect type"),
        ("parameters().set_requested_scopes('User.Read')", "TypeError: scopes must be an list type"),
        ("parameters().set_requested_scopes(None)", "TypeError: Argument 'scopes' must not be None"),
        ("parameters().set_requested_scopes([1])", "TypeError: sequence item 0: expected str instance, int found"),
        ("parameters().set_redirect_uri(None)", "TypeError: Argument 'redirect_uri' has incorrect type"),
        ("parameters().set_decoded_claims({})", "TypeError: Argument 'claims' has incorrect type"),
        ("parameters().set_access_token_to_renew(b'x')", "TypeError: Argument 'access_token' has incorrect type"),
        ("parameters().set_pop_params('GET', None, '/', '')", "TypeError: Argument 'uri_host' has incorrect type"),
        ("parameters().set_additional_parameter('k', 1)", "TypeError: Argument 'value' has incorrect type"),
        ("runtime.discover_accounts(CLIENT_ID, new_id(), None)", "TypeError: Argument 'callback' must not be None"),
        ("runtime.discover_accounts(CLIENT_ID, new_id(), 1)", "TypeError: Argument 'callback' has incorrect type"),
        ("runtime.discover_accounts(None, new_id(), print)", "TypeError: Argument 'clientId' has incorrect type"),
        ("runtime.signin_silently('x', new_id(), print)", "TypeError: Argument 'auth_params' has incorrect type"),
        (
            "runtime.acquire_token_silently(parameters(), new_id(), None, print)",
            "TypeError: Argument 'account' has incorrect type (expected MSALRuntimeAccount, got NoneType)",
        ),
        ("runtime.signin_interactively('1', parameters(), new_id(), None, print)", "TypeError: an integer is required"),
        ("runtime.signin_interactively(0, parameters(), new_id(), None, print)", "RuntimeError: ErrorTag: 540870081"),
        ("runtime.MSALRuntimeAsyncHandle().cancel_async_operation()", "RuntimeError: ErrorTag: 540656075"),
        ("runtime.register_logging_callback(None)", "TypeError: Argument 'callback' must not be None"),
        ("runtime.set_is_pii_enabled('yes')", "TypeError: Argument 'enabled' has incorrect type"),
        ("runtime.MSALRuntimeAccount()", "TypeError: "),
    ],
)
def test_a_wrong_argument_is_refused_at_once(run: Run, fake_broker: RunningFake, expression: str, error: str) -> None:
    seen = run(
        f"\ntry:\n    {expression}\nexcept Exception as error:\n    print(f'{{type(error).__name__}}: {{error}}')"
    )
    assert seen.out.startswith(error)
    assert [call.member for call in fake_broker.calls] == ["Ping"]


def test_windows_and_the_sign_on_policy_are_as_microsofts_runtime_has_them_on_linux(
    run: Run, fake_broker: RunningFake
) -> None:
    seen = run("print(runtime.get_console_window(), runtime.get_desktop_window(), runtime.get_sso_policy())")
    assert seen.out == "1 1 SsoPolicyType.AlwaysAllowed\n"
