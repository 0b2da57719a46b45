"""The four documented rules of when an application goes on without a broker, and when it does not."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msal
import pytest
from dbus_next.aio import MessageBus
from dbus_next.constants import MessageType

from linuxbroker import PopAuthScheme, PublicClientApplication, Timeouts
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID
from tests.integrations.public_client.login_host import ACCESS_TOKEN, LoginHost

SCOPE = "https://storage.azure.com/.default"
CONSOLE = PublicClientApplication.CONSOLE_WINDOW_HANDLE
NO_BUS = "unix:path=/nonexistent/bus"
ALL_FLAGS: dict[str, Any] = {
    "enable_broker_on_windows": True,
    "enable_broker_on_mac": True,
    "enable_broker_on_linux": True,
    "enable_broker_on_wsl": True,
}

# A machine of another kind, as far as a program can see. What asks for the platform while it is imported comes first.
ELSEWHERE = """
import sys, os, asyncio, dbus_next.aio, msal, platform, requests, webbrowser, zoneinfo
from pydantic import BaseModel, TypeAdapter
sys.platform, release, machine, arguments = sys.argv[1], sys.argv[2], sys.argv[3], eval(sys.argv[4])
uname = platform.uname()._replace(release=release)
platform.uname = lambda: uname
platform.machine = lambda: machine
if sys.platform == "win32":
    del os.register_at_fork
from linuxbroker import PublicClientApplication
try:
    PublicClientApplication("00000000-0000-0000-0000-0000000000c1", **arguments)
except ImportError as error:
    print(type(error).__name__, error)
else:
    print("made")
"""
WINDOWS, MAC, INTEL_MAC = ("win32", "10", "AMD64"), ("darwin", "24.0.0", "arm64"), ("darwin", "24.0.0", "x86_64")
WSL, LINUX = ("linux", "5.15.0-microsoft-standard-WSL2", "x86_64"), ("linux", "6.1.0", "x86_64")


def _flag(*names: str) -> dict[str, Any]:
    return {f"enable_broker_on_{name}": True for name in names}


def _outcome(place: tuple[str, str, str], arguments: dict[str, Any]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *place, repr(arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout


# Rule 1: what no broker serves


@pytest.mark.parametrize(
    "options",
    [
        {"authority": "https://adfs.contoso.example/adfs"},
        {"authority": "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_sign_in"},
        {"authority": "https://login.contoso.example/contoso.onmicrosoft.com/B2C_1_sign_in"},
        {"authority": "https://login.microsoftonline.com/contoso.onmicrosoft.com/B2C_1_sign_in/"},
        {"authority": "https://login.microsoftonline.com/tfp/contoso.onmicrosoft.com/b2c_1_sign_in"},
        {"authority": "https://contoso.ciamlogin.com"},
        {"authority": "https://contoso.ciamlogin.com/contoso.onmicrosoft.com"},
        {"authority": "https://some.dsts.example/dstsv2/common"},
        {"oidc_authority": "https://login.contoso.example/oidc"},
    ],
    ids=lambda options: next(iter(options.values())),
)
async def test_an_authority_that_no_broker_serves_bypasses_it(
    options: dict[str, Any], fake_broker: RunningFake, caplog: pytest.LogCaptureFixture
) -> None:
    async with PublicClientApplication(CLIENT_ID, **options, **ALL_FLAGS) as application:
        assert await application.is_pop_supported() is False
    assert list(fake_broker.calls) == []
    assert caplog.records == []


@pytest.mark.parametrize("authority", ["https://adfs.contoso.example/adfs", "https://contoso.ciamlogin.com"])
@pytest.mark.parametrize("place", [WINDOWS, MAC, WSL, LINUX], ids=str)
def test_an_authority_that_no_broker_serves_needs_no_package(place: tuple[str, str, str], authority: str) -> None:
    assert _outcome(place, {"authority": authority, **ALL_FLAGS}) == "made\n"


async def test_device_code_bypasses_the_broker(fake_broker: RunningFake, tmp_path: Path) -> None:
    async with (
        LoginHost().running(tmp_path) as host,
        host.application(**ALL_FLAGS) as application,
    ):
        flow = await application.initiate_device_flow([SCOPE])
        result = await application.acquire_token_by_device_flow(flow)
    assert result["access_token"] == ACCESS_TOKEN
    assert list(fake_broker.calls) == []


async def test_flows_without_a_broker_declare_the_capabilities_once(tmp_path: Path) -> None:
    async with (
        LoginHost().running(tmp_path) as host,
        host.application(client_capabilities=("CP1",), **ALL_FLAGS) as application,
    ):
        flow = await application.initiate_device_flow([SCOPE])
        await application.acquire_token_by_device_flow(flow)
    claims = [json.loads(form["claims"]) for form in host.forms if "claims" in form]
    assert claims == [{"access_token": {"xms_cc": {"values": ["CP1"]}}}] * len(host.forms)


async def test_auth_code_bypasses_the_broker(fake_broker: RunningFake, tmp_path: Path) -> None:
    async with (
        LoginHost().running(tmp_path) as host,
        host.application(**ALL_FLAGS) as application,
    ):
        flow = await application.initiate_auth_code_flow(
            [SCOPE], redirect_uri="http://localhost", response_mode="form_post"
        )
        answer = {"code": "a-code", "state": flow["state"]}
        result = await application.acquire_token_by_auth_code_flow(flow, answer)
        with pytest.raises(ValueError, match="state"):
            await application.acquire_token_by_auth_code_flow(flow, {**answer, "state": "another"})
    assert flow["auth_uri"].startswith(host.authority)
    assert result["access_token"] == ACCESS_TOKEN
    assert host.forms[-1]["code"] == "a-code"
    assert list(fake_broker.calls) == []


@pytest.mark.parametrize("scopes", ["User.Read", b"User.Read", 1], ids=str)
async def test_scopes_that_are_no_list_are_refused_without_a_broker_too(scopes: Any, tmp_path: Path) -> None:
    async with (
        LoginHost().running(tmp_path) as host,
        host.application() as application,
    ):
        with pytest.raises(ValueError, match="scopes must be a list"):
            await application.initiate_device_flow(scopes)
        with pytest.raises(ValueError, match="scopes must be a list"):
            await application.initiate_auth_code_flow(scopes, redirect_uri="http://localhost")
        with pytest.raises(ValueError, match="scopes must be a list"):
            await application.acquire_token_interactive(scopes)
        with pytest.raises(ValueError, match="scopes must be a list"):
            await application.acquire_token_by_refresh_token("a-refresh-token", scopes)
    assert host.forms == []


# Rule 2: a package is missing


@pytest.mark.parametrize(
    ("place", "flags"),
    [
        (WINDOWS, _flag("windows")),
        (MAC, _flag("mac")),
        (WSL, _flag("wsl")),
        (WSL, _flag("linux")),
        (WINDOWS, ALL_FLAGS),
        (WINDOWS, {"allow_broker": True}),
    ],
    ids=str,
)
@pytest.mark.skipif("pymsalruntime" in sys.modules, reason="the package is there")
def test_a_flag_whose_package_is_missing_says_what_to_install(
    place: tuple[str, str, str], flags: dict[str, Any]
) -> None:
    outcome = _outcome(place, flags)
    assert outcome.startswith("ImportError") and 'pip install "msal[broker]' in outcome


@pytest.mark.parametrize(
    ("place", "flags"),
    [
        (WINDOWS, _flag("mac", "linux", "wsl")),
        (MAC, _flag("windows", "linux", "wsl")),
        (INTEL_MAC, ALL_FLAGS),
        (WSL, _flag("windows", "mac")),
        (LINUX, ALL_FLAGS),
        (LINUX, {}),
        (MAC, {"allow_broker": True}),
        (("freebsd14", "14.0", "amd64"), ALL_FLAGS),
    ],
    ids=str,
)
def test_a_flag_of_another_platform_needs_nothing(place: tuple[str, str, str], flags: dict[str, Any]) -> None:
    assert _outcome(place, flags) == "made\n"


# Rule 3: no broker


@asynccontextmanager
async def _mute_broker(fake: RunningFake) -> AsyncIterator[None]:
    """Put a program in the broker's place that takes every call and answers none."""
    fake.stop_broker()
    bus = await MessageBus(bus_address=fake.address).connect()
    bus.add_message_handler(lambda message: message.message_type is MessageType.METHOD_CALL)
    await bus.request_name("com.microsoft.identity.broker1")
    try:
        yield
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()
        bus._stream.close()
        bus._sock.close()


async def _signed_in_by_device_code(application: PublicClientApplication, host: LoginHost) -> None:
    flow = await application.initiate_device_flow([SCOPE])
    assert flow["user_code"] == "ABC-DEF"
    result = await application.acquire_token_by_device_flow(flow)
    assert (result["access_token"], result["token_source"]) == (ACCESS_TOKEN, "identity_provider")
    assert host.forms[-1]["device_code"] == "a-device-code"


@pytest.mark.parametrize("lacking", ["a bus", "a broker", "an answer"])
async def test_without_a_broker_other_flows_are_used(
    lacking: str, fake_broker: RunningFake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if lacking == "a broker":
        fake_broker.stop_broker()
    async with (
        _mute_broker(fake_broker) if lacking == "an answer" else nullcontext(),
        LoginHost(pending=2).running(tmp_path) as host,
        host.application(
            enable_broker_on_linux=True, bus_address=NO_BUS if lacking == "a bus" else None, timeouts=Timeouts(ping=0.2)
        ) as application,
    ):
        assert await application.get_accounts() == []
        assert await application.is_pop_supported() is False
        await _signed_in_by_device_code(application, host)
        assert len([request for request in host.requests if request == "token"]) == 3
        result = await application.acquire_token_by_refresh_token("a-refresh-token", [SCOPE])
        assert result["access_token"] == ACCESS_TOKEN
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([text for text in warnings if text.startswith("No trusted identity broker")]) == 1


async def test_a_broker_that_is_not_to_be_trusted_counts_as_none(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, trust="strict") as application:
        assert await application.is_pop_supported() is False
    assert list(fake_broker.calls) == []


async def test_a_broker_that_is_off_stays_off(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        assert await application.is_pop_supported() is False
        fake_broker.start_broker()
        assert await application.is_pop_supported() is False
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as another:
        assert await another.is_pop_supported() is True


async def test_calls_at_once_warn_once(fake_broker: RunningFake, caplog: pytest.LogCaptureFixture) -> None:
    fake_broker.stop_broker()
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        assert await asyncio.gather(*(application.is_pop_supported() for _ in range(20))) == [False] * 20
    assert len(caplog.records) == 1


async def test_without_opting_in_the_broker_is_never_asked(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, **_flag("windows", "mac", "wsl")) as application:
        assert await application.is_pop_supported() is False
    assert list(fake_broker.calls) == []


# Rule 4: a failure is a failure


@pytest.mark.parametrize("fault", ["no_network", "keyring_locked", "device_not_registered", "crash"])
async def test_a_request_that_fails_is_not_tried_elsewhere(
    fault: str, fake_broker: RunningFake, tmp_path: Path
) -> None:
    async with (
        LoginHost().running(tmp_path) as host,
        host.application(enable_broker_on_linux=True) as application,
    ):
        account = (await application.get_accounts())[0]
        for method in ("acquireTokenSilently", "acquireTokenInteractively"):
            fake_broker.plant(fault, method=method)
        interactive = await application.acquire_token_interactive([SCOPE], parent_window_handle=CONSOLE)
        silent = await application.acquire_token_silent_with_error([SCOPE], account)
    assert silent is not None
    assert [result["error"] for result in (interactive, silent)] == ["broker_error"] * 2
    assert host.requests == []


def _cache_with_token_of(account: dict[str, Any], authority: str) -> Any:
    """MSAL's token cache of an application that has got a token for an account by a flow of its own."""
    uid, _dot, utid = account["home_account_id"].partition(".")
    client_info = base64.urlsafe_b64encode(json.dumps({"uid": uid, "utid": utid}).encode()).decode().rstrip("=")
    cache = msal.TokenCache()
    cache.add(
        {
            "client_id": CLIENT_ID,
            "scope": [SCOPE],
            "token_endpoint": f"{authority}/oauth2/v2.0/token",
            "response": {
                "access_token": ACCESS_TOKEN,
                "token_type": "Bearer",
                "expires_in": 3600,
                "client_info": client_info,
                "id_token_claims": {"preferred_username": account["username"], "oid": uid, "tid": utid},
            },
        }
    )
    return cache


@pytest.mark.parametrize("source", ["broker", None])
@pytest.mark.parametrize(
    ("method", "fault"),
    [
        *(("acquireTokenSilently", fault) for fault in ("no_network", "mfa_expired", "crash", "raw_reply")),
        *(("getAccounts", fault) for fault in ("no_network", "crash")),
    ],
)
async def test_a_silent_request_that_fails_is_not_made_up_for_from_msals_cache(
    method: str, fault: str, source: str | None, fake_broker: RunningFake, tmp_path: Path
) -> None:
    async with LoginHost().running(tmp_path) as host:
        async with host.application(enable_broker_on_linux=True) as first:
            account = (await first.get_accounts())[0]
        cache = _cache_with_token_of(account, host.authority)
        async with host.application(enable_broker_on_linux=True, token_cache=cache) as application:
            other = await application.acquire_token_silent([SCOPE], {**account, "account_source": "password"})
            assert other is not None
            assert other["access_token"] == ACCESS_TOKEN  # it is there to be had
            host.requests.clear()
            fake_broker.plant(fault, method=method)
            asked = {**account, "account_source": source}
            failed = await application.acquire_token_silent_with_error([SCOPE], asked)
            assert await application.acquire_token_silent([SCOPE], asked) is None
    assert failed is not None
    assert failed["error"] == "broker_error"
    assert host.requests == []


# MSAL's calls beside the loop


async def test_blocking_calls_leave_the_loop_free(tmp_path: Path) -> None:
    """The login host answers on the very loop that waits for its answers."""
    async with (
        LoginHost(pending=5).running(tmp_path) as host,
        host.application() as application,
    ):
        await _signed_in_by_device_code(application, host)
        await asyncio.gather(*(application.initiate_device_flow([SCOPE]) for _ in range(5)))
    assert host.requests.count("openid-configuration") == 1


async def test_cancelling_ends_the_polling_of_a_device_code(tmp_path: Path) -> None:
    async with (
        LoginHost(pending=1_000_000, interval=1).running(tmp_path) as host,
        host.application() as application,
    ):
        flow = await application.initiate_device_flow([SCOPE])
        polling = asyncio.ensure_future(application.acquire_token_by_device_flow(flow))
        await host.polled.wait()
        (thread,) = (each for each in threading.enumerate() if each.name == "linuxbroker-msal")
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling
        await asyncio.to_thread(thread.join)
    assert not thread.is_alive()


class _LoginHostThatTakesItsTime:
    """An HTTP client whose first answer comes when the test says."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()

    def get(self, url: str, **_: Any) -> SimpleNamespace:
        self.asked.set()
        self.answers.wait()
        endpoints = {f"{name}_endpoint": "https://127.0.0.1:1/contoso.example" for name in ("token", "authorization")}
        return SimpleNamespace(status_code=200, headers={}, text=json.dumps(endpoints))


async def test_no_browser_opens_after_the_task_was_cancelled() -> None:
    host, launched = _LoginHostThatTakesItsTime(), list[str]()
    async with PublicClientApplication(
        CLIENT_ID, authority="https://127.0.0.1:1/contoso.example", instance_discovery=False, http_client=host
    ) as application:
        signing_in = asyncio.ensure_future(
            application.acquire_token_interactive(
                [SCOPE], timeout=1, on_before_launching_ui=lambda ui, **_: launched.append(ui)
            )
        )
        await asyncio.to_thread(host.asked.wait)
        (thread,) = (each for each in threading.enumerate() if each.name == "linuxbroker-msal")
        signing_in.cancel()
        with pytest.raises(asyncio.CancelledError):
            await signing_in
        host.answers.set()
        await asyncio.to_thread(thread.join)
    assert launched == []


class _HttpClientWithoutAnswers:
    def get(self, url: str, **_: Any) -> SimpleNamespace:
        return next(iter(list[SimpleNamespace]()))


async def test_a_stop_iteration_of_an_http_client_is_raised_on() -> None:
    application = PublicClientApplication(CLIENT_ID, http_client=_HttpClientWithoutAnswers())
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await asyncio.wait_for(application.initiate_device_flow([SCOPE]), 30)
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_a_scheme_of_this_library_is_msals_where_msal_is_asked(tmp_path: Path) -> None:
    scheme = PopAuthScheme(http_method="get", url="https://graph.microsoft.com/v1.0/me", nonce="a-nonce")
    async with (
        LoginHost().running(tmp_path) as host,
        host.application() as application,
    ):
        with pytest.raises(ValueError, match="POP is not supported on Linux"):
            await application.acquire_token_interactive([SCOPE], auth_scheme=scheme)


async def test_an_exit_condition_of_the_applications_own_is_kept(tmp_path: Path) -> None:
    async with (
        LoginHost(pending=1_000_000, interval=1).running(tmp_path) as host,
        host.application() as application,
    ):
        flow = await application.initiate_device_flow([SCOPE])
        result = await application.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    assert result["error"] == "authorization_pending"


def test_a_call_that_nobody_waits_for_does_not_keep_the_program(tmp_path: Path) -> None:
    program = (
        "import asyncio\n"
        "from linuxbroker.integrations.public_client.blocking import run_blocking\n"
        "import threading\n"
        "begun = threading.Event()\n"
        "async def main():\n"
        "    task = asyncio.ensure_future(run_blocking(lambda: begun.set() or threading.Event().wait()))\n"
        "    await asyncio.to_thread(begun.wait)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
        "print('ended')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env={**os.environ}
    )
    assert (done.stdout, done.stderr) == ("ended\n", "")
