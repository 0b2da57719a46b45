"""Do frames of ``PublicClientApplication`` show a secret in a traceback with local variables? Whatever went wrong."""

from __future__ import annotations

import json
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from linuxbroker import PopAuthScheme, PublicClientApplication, Timeouts
from linuxbroker_fake import RunningFake
from tests.secrets.marks import PACKAGE

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SECRET = "s3cr3t-Hunter2-value"
CLAIMS = json.dumps({"access_token": {"x": {"value": SECRET}}})
ACCOUNT = {
    "home_account_id": "00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
    "environment": "login.microsoftonline.com",
    "username": "ada@contoso.example",
    "account_source": "broker",
}
POP = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me", nonce=SECRET, client_claims=CLAIMS)
SCOPES = ["https://graph.microsoft.com/.default"]
CONSOLE: dict[str, Any] = {"parent_window_handle": PublicClientApplication.CONSOLE_WINDOW_HANDLE}


class Mistake(Exception):
    """What an application's own code raises."""


class Unreachable:
    """An application's HTTP client that reaches nobody."""

    def get(self, *_: Any, **__: Any) -> Any:
        raise Mistake("no network")

    def post(self, *_: Any, **__: Any) -> Any:
        raise Mistake("no network")

    def close(self) -> None:
        """Nothing is open."""


def _mistake(*_: Any, **__: Any) -> Any:
    raise Mistake("a callback")


Call = Callable[[PublicClientApplication], Awaitable[Any]]
EVERY_WAY: dict[str, Call] = {
    "password": lambda app: app.acquire_token_by_username_password("ada@contoso.example", SECRET, SCOPES),
    "password, wrong scopes": lambda app: app.acquire_token_by_username_password("u", SECRET, ["openid"]),
    "password, wrong claims": lambda app: app.acquire_token_by_username_password(
        "u", SECRET, SCOPES, claims_challenge="x" + SECRET
    ),
    "password, wrong data": lambda app: app.acquire_token_by_username_password("u", SECRET, SCOPES, data=[SECRET]),
    "password, wrong scheme": lambda app: app.acquire_token_by_username_password(
        "u", SECRET, SCOPES, auth_scheme="pop"
    ),
    "interactive": lambda app: app.acquire_token_interactive(
        SCOPES, claims_challenge=CLAIMS, data={"a": SECRET}, auth_scheme=POP, **CONSOLE
    ),
    "interactive, wrong scopes": lambda app: app.acquire_token_interactive(
        ["openid"], claims_challenge=CLAIMS, data={"a": SECRET}, **CONSOLE
    ),
    "interactive, no handle": lambda app: app.acquire_token_interactive(
        SCOPES, claims_challenge=CLAIMS, data={"a": SECRET}
    ),
    "interactive, wrong handle": lambda app: app.acquire_token_interactive(
        SCOPES, claims_challenge=CLAIMS, data={"a": SECRET}, parent_window_handle="x"
    ),
    "interactive, wrong data": lambda app: app.acquire_token_interactive(SCOPES, data=SECRET, **CONSOLE),
    "interactive, reserved data": lambda app: app.acquire_token_interactive(
        SCOPES, data={"client_id": SECRET}, **CONSOLE
    ),
    "interactive, wrong claims": lambda app: app.acquire_token_interactive(
        SCOPES, claims_challenge=json.dumps([SECRET]), data={"a": SECRET}, **CONSOLE
    ),
    "interactive, a callback raises": lambda app: app.acquire_token_interactive(
        SCOPES,
        prompt="login",
        claims_challenge=CLAIMS,
        data={"a": SECRET},
        on_before_launching_ui=_mistake,
        **CONSOLE,
    ),
    "silent": lambda app: app.acquire_token_silent(
        SCOPES, ACCOUNT, claims_challenge=CLAIMS, forwarded_client_claims=CLAIMS, data={"a": SECRET}
    ),
    "silent, wrong account": lambda app: app.acquire_token_silent(
        SCOPES,
        cast("Any", "x"),
        claims_challenge=CLAIMS,
        forwarded_client_claims=CLAIMS,
        data={"a": SECRET},
    ),
    "silent, wrong claims": lambda app: app.acquire_token_silent_with_error(
        SCOPES, ACCOUNT, forwarded_client_claims="x" + SECRET, data={"a": SECRET}
    ),
    "silent, of MSAL's own": lambda app: app.acquire_token_silent_with_error(
        SCOPES, {**ACCOUNT, "account_source": "password"}, claims_challenge=CLAIMS, data={"a": SECRET}
    ),
    "ssh certificate": lambda app: app.acquire_token_interactive(
        SCOPES, data={"token_type": "ssh-cert", "req_cnf": SECRET}, claims_challenge=CLAIMS, **CONSOLE
    ),
    "device flow": lambda app: app.initiate_device_flow(SCOPES, claims_challenge=CLAIMS, data={"a": SECRET}),
    "device flow, second half": lambda app: app.acquire_token_by_device_flow(
        {"device_code": SECRET, "expires_at": 4e9, "interval": 0}, claims_challenge=CLAIMS, data={"a": SECRET}
    ),
    "device flow, wrong": lambda app: app.acquire_token_by_device_flow(
        {"device_code": SECRET, "expires_at": "x", "interval": 0}, claims_challenge=CLAIMS
    ),
    "device flow, a callback raises": lambda app: app.acquire_token_by_device_flow(
        {"device_code": SECRET, "expires_at": 4e9, "interval": 0}, exit_condition=_mistake
    ),
    "code flow": lambda app: app.initiate_auth_code_flow(SCOPES, state=SECRET, claims_challenge=CLAIMS),
    "code flow, second half": lambda app: app.acquire_token_by_auth_code_flow(
        {"state": SECRET, "nonce": SECRET, "code_verifier": SECRET}, {"code": SECRET, "state": "x"}, data={"a": SECRET}
    ),
    "code flow, wrong scopes": lambda app: app.acquire_token_by_auth_code_flow(
        {"code_verifier": SECRET}, {"code": SECRET}, scopes="x", data={"a": SECRET}
    ),
    "code": lambda app: app.acquire_token_by_authorization_code(
        SECRET, SCOPES, nonce=SECRET, claims_challenge=CLAIMS, forwarded_client_claims=CLAIMS, data={"a": SECRET}
    ),
    "code, wrong scopes": lambda app: app.acquire_token_by_authorization_code(
        SECRET, "x", nonce=SECRET, claims_challenge=CLAIMS, data={"a": SECRET}
    ),
    "address": lambda app: app.get_authorization_request_url(
        SCOPES, state=SECRET, nonce=SECRET, claims_challenge="x" + SECRET, x=SECRET
    ),
    "refresh token": lambda app: app.acquire_token_by_refresh_token(SECRET, SCOPES, data={"a": SECRET}),
    "refresh token, wrong scopes": lambda app: app.acquire_token_by_refresh_token(SECRET, "x", data={"a": SECRET}),
}
TROUBLES: dict[str, dict[str, Any]] = {
    "redirect URI": {"kind": "status", "status": 9, "context": "AADSTS50011 bad"},
    "interaction": {"kind": "status", "status": 2, "context": "no"},
    "malformed": {"kind": "raw_reply", "reply": "[]"},
    "D-Bus error": {"kind": "dbus_error", "name": "org.freedesktop.DBus.Error.InvalidArgs", "context": "x"},
    "no answer": {"kind": "hang"},
}
METHODS = ("acquireTokenSilently", "acquireTokenInteractively")


def _local_variables(error: BaseException) -> list[tuple[str, str]]:
    """Of the library's own frames."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    return [(f"{frame.name}: {name}", value) for frame in ours for name, value in (frame.locals or {}).items()]


def _shown(error: BaseException) -> list[str]:
    """Where the secret shows: of the error and all that led to it."""
    found: list[str] = []
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        waiting += [link.__cause__, link.__context__]
        found += [f"{name}={value}" for name, value in _local_variables(link) if SECRET in value]
    return found


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("call", EVERY_WAY.values(), ids=list(EVERY_WAY))
async def test_no_frame_shows_a_secret(fake_broker: RunningFake, trouble: str, call: Call) -> None:
    for method in METHODS:
        fake_broker.plant(method=method, **TROUBLES[trouble])
    limits = Timeouts(call=0.2, interactive=0.2, cancel=0.1)
    app = PublicClientApplication(
        CLIENT_ID, enable_broker_on_linux=True, timeouts=limits, http_client=Unreachable(), instance_discovery=False
    )
    async with app:
        outcome = await _outcome(call, app)
    if isinstance(outcome, Exception):
        assert _shown(outcome) == []
    else:
        assert SECRET not in repr(outcome)


async def _outcome(call: Call, app: PublicClientApplication) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of passwords, and of MSAL's older methods
        try:
            return await call(app)
        except Exception as error:
            return error


async def test_a_token_of_someone_else_is_in_no_frame_when_the_callback_raises(fake_broker: RunningFake) -> None:
    """The silent token is not the hinted user's, so that a window is to open; the application's callback raises."""
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, timeouts=Timeouts()) as app:
        with pytest.raises(Mistake) as caught:
            await app.acquire_token_interactive(
                SCOPES, login_hint="somebody.else@contoso.example", on_before_launching_ui=_mistake, **CONSOLE
            )
    shown = _local_variables(caught.value)
    assert shown
    assert [name for name, value in shown if "eyJ" in value] == []
    assert fake_broker.calls_of("acquireTokenSilently")
