"""No frame of the library shows a secret in a traceback with local variables, whichever call failed."""

from __future__ import annotations

import asyncio
import base64
import json
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest

from linuxbroker import BrokerClient, PopAuthScheme, PublicClientApplication, Timeouts
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.integrations.httpx_auth import BrokerAuth
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID
from tests.runtime.conftest import Run, run
from tests.secrets.marks import PACKAGE

__all__ = ["run"]

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


AppCall = Callable[[PublicClientApplication], Awaitable[Any]]
OF_APPLICATION: dict[str, AppCall] = {
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


@dataclass(frozen=True)
class Faces:
    """What an application can have of this library.

    Attributes:
        app, client, credential: one of each.
    """

    app: PublicClientApplication
    client: BrokerClient
    credential: BrokerCredential


def _challenge(request: httpx.Request) -> httpx.Response:
    """Refuse each token with a claims challenge."""
    claims = base64.b64encode(CLAIMS.encode()).decode()
    header = f'Bearer error="insufficient_claims", claims="{claims}"'
    return httpx.Response(401, headers={"WWW-Authenticate": header})


async def _with_httpx(faces: Faces, *, proof_of_possession: bool = False, url: str = "https://api.example/") -> None:
    auth = BrokerAuth(faces.client, SCOPES, proof_of_possession=proof_of_possession)
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(_challenge)) as http:
        await http.get(url)


AZURE_POP = {
    "resource_request_method": "GET",
    "resource_request_url": "https://graph.microsoft.com/v1.0/me",
    "nonce": SECRET,
}
Call = Callable[[Faces], Awaitable[Any]]
EVERY_WAY: dict[str, Call] = {
    **{f"application, {name}": (lambda faces, call=call: call(faces.app)) for name, call in OF_APPLICATION.items()},  # type: ignore[misc]
    "header": lambda faces: authorization_header(
        faces.client, SCOPES, claims_challenge=CLAIMS, access_token_to_renew=SECRET
    ),
    "header, signed": lambda faces: authorization_header(
        faces.client, SCOPES, method="GET", url="https://x.example/", nonce=SECRET, claims_challenge=CLAIMS
    ),
    "header, wrong scopes": lambda faces: authorization_header(
        faces.client, ["openid"], claims_challenge=CLAIMS, access_token_to_renew=SECRET
    ),
    "header, wrong claims": lambda faces: authorization_header(
        faces.client, SCOPES, claims_challenge=CLAIMS[:-1], access_token_to_renew=SECRET
    ),
    "header, half a request": lambda faces: authorization_header(
        faces.client, SCOPES, nonce=SECRET, claims_challenge=CLAIMS, access_token_to_renew=SECRET
    ),
    "httpx": _with_httpx,
    "httpx, signed": lambda faces: _with_httpx(faces, proof_of_possession=True),
    "httpx, wrong URL": lambda faces: _with_httpx(faces, url="http://api.example/"),
    "azure": lambda faces: faces.credential.get_token(*SCOPES, claims=CLAIMS, pop=AZURE_POP),
    "azure, no scope": lambda faces: faces.credential.get_token(claims=CLAIMS, pop=AZURE_POP),
    "azure, wrong claims": lambda faces: faces.credential.get_token(*SCOPES, claims=CLAIMS[:-1], pop=AZURE_POP),
    "azure, wrong tenant": lambda faces: faces.credential.get_token(*SCOPES, claims=CLAIMS, tenant_id="x y"),
    "azure, wrong pop": lambda faces: faces.credential.get_token(
        *SCOPES, claims=CLAIMS, pop={**AZURE_POP, "resource_request_method": "G T"}
    ),
    "azure, pop of another kind": lambda faces: faces.credential.get_token(*SCOPES, claims=CLAIMS, pop=SECRET),
    "azure, with its type": lambda faces: faces.credential.get_token_info(
        *SCOPES, options=cast("Any", {"claims": CLAIMS, "pop": AZURE_POP})
    ),
    "azure, with its type, wrong tenant": lambda faces: faces.credential.get_token_info(
        *SCOPES, options=cast("Any", {"claims": CLAIMS, "tenant_id": "x y", "pop": AZURE_POP})
    ),
    "azure, authenticate": lambda faces: faces.credential.authenticate(scopes=SCOPES, claims=CLAIMS, pop=AZURE_POP),
    "azure, authenticate, wrong claims": lambda faces: faces.credential.authenticate(claims=CLAIMS[1:], pop=AZURE_POP),
}
FAULTS: dict[str, dict[str, Any]] = {
    "redirect URI": {"kind": "status", "status": 9, "context": "AADSTS50011 bad"},
    "interaction": {"kind": "status", "status": 2, "context": "no"},
    "malformed": {"kind": "raw_reply", "reply": "[]"},
    "D-Bus error": {"kind": "dbus_error", "name": "org.freedesktop.DBus.Error.InvalidArgs", "context": "x"},
    "no answer": {"kind": "hang"},
    "the second call is refused": {"kind": "status", "status": 2, "context": "no", "skip": 1},
    "crash": {"kind": "crash"},
    "cancelled": {"kind": "hang"},
}
NO_BUS = "unix:path=/nonexistent/bus"
# What differs from an application on the fake broker's bus whose other flows reach nobody.
SURROUNDINGS: dict[str, dict[str, Any]] = {
    "no bus": {"bus_address": NO_BUS},
    "no broker": {},
    "no broker, no login host": {"http_client": None, "authority": "https://127.0.0.1:9/contoso.example"},
    "no trust": {"trust": "strict"},
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
        found += [f"{name}={value}" for name, value in _local_variables(link) if SECRET in value or "eyJ" in value]
    return found


@asynccontextmanager
async def _faces(**options: Any) -> AsyncIterator[Faces]:
    on_bus = {key: options[key] for key in ("bus_address", "trust") if key in options}
    limits = Timeouts(call=5, interactive=5, cancel=0.1)
    if options.pop("is_short", False):
        limits = Timeouts(call=0.2, interactive=0.2, cancel=0.1)
    of_flows = {"http_client": Unreachable(), "instance_discovery": False, **options}
    async with AsyncExitStack() as stack:
        yield Faces(
            await stack.enter_async_context(
                PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, timeouts=limits, **of_flows)
            ),
            await stack.enter_async_context(BrokerClient(CLIENT_ID, timeouts=limits, **on_bus)),
            await stack.enter_async_context(
                BrokerCredential(login_hint="ada@contoso.example", timeout=limits.interactive, **on_bus)
            ),
        )


def _check(outcome: object) -> None:
    if isinstance(outcome, BaseException):
        assert _shown(outcome) == []
    else:
        assert SECRET not in repr(outcome)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", EVERY_WAY)
async def test_no_frame_shows_a_secret(fake_broker: RunningFake, fault: str, way: str) -> None:
    call = EVERY_WAY[way]
    for method in METHODS:
        # A credential's silent call has a minute for its answer.
        is_long = fault == "no answer" and method == METHODS[0] and way.startswith("azure")
        fake_broker.plant(method=method, **FAULTS["interaction" if is_long else fault])
    async with _faces(is_short=fault == "no answer") as faces:
        if fault != "cancelled":
            _check(await _outcome(call, faces))
            return
        calling = asyncio.ensure_future(_outcome(call, faces))
        asked = [asyncio.ensure_future(fake_broker.called(method)) for method in METHODS]
        await asyncio.wait([calling, *asked], return_when=asyncio.FIRST_COMPLETED)
        calling.cancel()
        for waiting in asked:
            waiting.cancel()
        _check(await calling)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("call", EVERY_WAY.values(), ids=list(EVERY_WAY))
async def test_no_frame_shows_a_secret_where_no_broker_is_asked(
    fake_broker: RunningFake, surroundings: str, call: Call
) -> None:
    if surroundings.startswith("no broker"):
        fake_broker.stop_broker()
    async with _faces(**SURROUNDINGS[surroundings]) as faces:
        _check(await _outcome(call, faces))


async def _outcome(call: Call, faces: Faces) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of passwords, and of MSAL's older methods
        try:
            return await call(faces)
        except (Exception, asyncio.CancelledError) as error:
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


RUNTIME_PROGRAM = f"""
import traceback
SECRET = "{SECRET}"
PACKAGE = os.path.dirname(os.path.dirname(runtime.__file__))
shown = []

def attempt(name, function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
            if frame.filename.startswith(PACKAGE):
                shown.extend(name + ": " + key for key, value in (frame.locals or {{}}).items() if SECRET in value)
        return type(error).__name__

def with_password(**changes):
    asked = parameters()
    asked.set_additional_parameter("MSALRuntime_Username", "ada@contoso.example")
    asked.set_additional_parameter("MSALRuntime_Password", SECRET)
    asked.set_decoded_claims(json.dumps({{"access_token": {{"x": SECRET}}}}))
    asked.set_access_token_to_renew(SECRET)
    return asked

raised = [
    attempt("parameter", parameters().set_additional_parameter, 7, SECRET),
    attempt("pop", parameters().set_pop_params, "GET", 7, "/", SECRET),
    attempt("silent", runtime.signin_silently, with_password(), 7, print),
    attempt("silent, no callback", runtime.signin_silently, with_password(), new_id(), 7),
    attempt("interactive", runtime.signin_interactively, "x", with_password(), new_id(), None, print),
    attempt("token", runtime.acquire_token_silently, with_password(), new_id(), "an account", print),
]
print(json.dumps([shown, sum(name is not None for name in raised)]))
"""


def test_no_frame_of_the_stand_in_shows_a_secret(run: Run, fake_broker: RunningFake) -> None:
    shown, raised = run(RUNTIME_PROGRAM).json
    assert shown == [], shown
    assert raised == 6
