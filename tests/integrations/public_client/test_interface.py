"""The interface is MSAL's, and making an application does no I/O."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from typing import Any

import msal
import pytest

from linuxbroker import BrokerDisconnectedError, PublicClientApplication
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID

OWN = {"bus_address", "timeouts", "trust", "trusted_programs", "allow_bus_of_other_user", "aclose"}


def _arguments(function: Any) -> dict[str, Any]:
    """Names and defaults, without ``self`` and ``kwargs``."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.name not in ("self", "kwargs")}


def _methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


def test_constructor_takes_what_msals_takes() -> None:
    msals = {
        **_arguments(msal.PublicClientApplication.__init__),
        **_arguments(msal.ClientApplication.__init__),
    }
    own = {name: default for name, default in _arguments(PublicClientApplication.__init__).items() if name not in OWN}
    assert own == msals


def test_there_are_msals_methods_and_they_are_coroutines() -> None:
    methods = _methods(msal.PublicClientApplication)
    assert _methods(PublicClientApplication) - OWN == methods
    assert all(inspect.iscoroutinefunction(getattr(PublicClientApplication, name)) for name in methods)


@pytest.mark.parametrize("name", sorted(_methods(msal.PublicClientApplication)))
def test_methods_take_what_msals_take(name: str) -> None:
    msals = inspect.signature(getattr(msal.PublicClientApplication, name))
    own = inspect.signature(getattr(PublicClientApplication, name))
    assert _arguments(getattr(PublicClientApplication, name)) == _arguments(getattr(msal.PublicClientApplication, name))
    assert [each.kind for each in own.parameters.values()] == [each.kind for each in msals.parameters.values()]


def test_constants_are_msals() -> None:
    assert PublicClientApplication.CONSOLE_WINDOW_HANDLE is msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE
    assert PublicClientApplication.DEVICE_FLOW_CORRELATION_ID == msal.PublicClientApplication.DEVICE_FLOW_CORRELATION_ID


@pytest.mark.parametrize("flag", [True, False])
def test_making_one_does_no_io(flag: bool) -> None:
    program = (
        "import json, sys\n"
        "from linuxbroker import PublicClientApplication\n"
        "events = []\n"
        "sys.addaudithook(lambda event, args: events.append(event))\n"
        f"PublicClientApplication('{CLIENT_ID}', authority='https://login.example.org/common', enable_broker_on_linux="
        f"{flag})\n"
        "print(json.dumps(events))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    events: list[str] = json.loads(done.stdout)
    assert [event for event in events if event.startswith(("socket", "open", "subprocess", "os.", "urllib"))] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"client_credential": "a-secret"}, "client_credential"),
        (
            {"authority": "https://login.example.org/common", "oidc_authority": "https://login.example.org/x"},
            "cannot be used together",
        ),
        ({"exclude_scopes": ["openid"]}, "exclude_scopes"),
        ({"client_capabilities": "CP1"}, "client_capabilities"),
        ({"client_capabilities": 1}, "client_capabilities"),
        ({"client_capabilities": ["CP1", 1]}, "client_capabilities"),
        ({"client_capabilities": [""], "enable_broker_on_linux": True}, "client_capabilities"),
        ({"authority": "login.microsoftonline.com/common", "enable_broker_on_linux": True}, "authority"),
    ],
    ids=str,
)
def test_arguments_that_can_not_be_right_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        PublicClientApplication(CLIENT_ID, **arguments)
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"authority": ""},
        {"oidc_authority": ""},
        {"authority": "https://login.microsoftonline.com/organizations", "oidc_authority": ""},
    ],
    ids=str,
)
async def test_an_empty_authority_is_none(arguments: dict[str, Any], fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, **arguments) as application:
        assert await application.is_pop_supported() is True


async def test_an_application_works_again_after_it_was_closed(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        before = await application.get_accounts()
    assert await application.get_accounts() == before != []
    await application.aclose()


async def test_closing_under_the_first_call_does_not_switch_the_broker_off(
    fake_broker: RunningFake, caplog: pytest.LogCaptureFixture
) -> None:
    application = PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True)
    asking = asyncio.ensure_future(application.is_pop_supported())
    await asyncio.sleep(0)  # it begins
    await application.aclose()
    with pytest.raises(BrokerDisconnectedError):
        await asking
    assert await application.is_pop_supported() is True
    await application.aclose()
    assert caplog.records == []


def test_an_application_serves_one_loop_after_another(fake_broker: RunningFake) -> None:
    application = PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True)

    async def count() -> int:
        async with application:
            return len(await application.get_accounts())

    assert [asyncio.run(count()) for _ in range(2)] == [3, 3]
