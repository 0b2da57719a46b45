"""No secret in logs, reprs, exceptions, tracebacks, warnings and output, whatever a call leads to.

Marked secrets go through every operation, with everything logged that anyone logs, asyncio's debug mode included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import httpx
import pytest

from linuxbroker import (
    BrokerClient,
    BrokerError,
    InvalidArgumentError,
    PopAuthScheme,
    PrtSsoCookie,
    Timeouts,
    TokenResult,
    UntrustedBrokerError,
)
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.integrations.httpx_auth import BrokerAuth
from linuxbroker.redaction.secrets import redact
from linuxbroker_fake import Directory, FakeConfig, RunningFake
from tests.constants import CLIENT_ID
from tests.secrets.marks import (
    ADA,
    CLAIM,
    CLAIMS,
    CLIENT_CLAIM,
    CLIENT_CLAIMS,
    HINT,
    NONCE,
    PASSWORD,
    RECEIVED,
    RENEW,
    SENT,
    SSO_NONCE,
    SSO_URL,
    UNKNOWN,
    Seen,
    seen,
    spellings,
    texts_in,
)

__all__ = ["seen"]

SCOPES = ["https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read"]
REQUEST = PopAuthScheme("GET", "https://graph.microsoft.com/v1.0/me", nonce=NONCE, client_claims=CLIENT_CLAIMS)
KEY = PopAuthScheme(kid="a-key", nonce=NONCE, client_claims=CLIENT_CLAIMS)
QUERY = {"id_token_hint": HINT, "max_age": "0"}


async def _with_httpx(client: BrokerClient) -> Any:
    async with httpx.AsyncClient(auth=BrokerAuth(client, SCOPES, ADA)) as http:
        return await http.get("https://127.0.0.1:1/", headers={"x-mark": "none"})


@dataclass(frozen=True)
class Operation:
    """One way to send secrets.

    Attributes:
        method: the broker's method that gets them.
        call: what the application does.
        sent: the marks that are sent with it.
    """

    method: str
    call: Callable[[BrokerClient], Awaitable[Any]]
    sent: tuple[str, ...] = ()

    @property
    def quotations(self) -> list[str]:
        """What a talkative broker says: all that it was sent, and secrets of its own; short enough to be shown."""
        quoted = [f"AADSTS50058: no {spelling}; no" for secret in self.sent for spelling in spellings(secret)]
        return quoted + [f"AADSTS50058: refused {secret} for it" for secret in RECEIVED]


OPERATIONS = {
    "silent": Operation(
        "acquireTokenSilently",
        lambda client: client.acquire_token_silent(
            SCOPES,
            ADA,
            claims_challenge=CLAIMS,
            auth_scheme=KEY,
            access_token_to_renew=RENEW,
            extra_query_parameters=QUERY,
        ),
        (CLAIM, CLAIMS, NONCE, CLIENT_CLAIM, CLIENT_CLAIMS, RENEW, HINT, UNKNOWN),
    ),
    "interactive": Operation(
        "acquireTokenInteractively",
        lambda client: client.acquire_token_interactive(
            SCOPES,
            account=ADA,
            claims_challenge=CLAIMS,
            auth_scheme=REQUEST,
            access_token_to_renew=RENEW,
            extra_query_parameters=QUERY,
        ),
        (CLAIM, CLAIMS, NONCE, CLIENT_CLAIM, CLIENT_CLAIMS, RENEW, HINT, UNKNOWN),
    ),
    "password": Operation(
        "acquireTokenSilently",
        lambda client: client.acquire_token_by_username_password(
            ADA.username, PASSWORD, SCOPES, claims_challenge=CLAIMS, auth_scheme=REQUEST, extra_query_parameters=QUERY
        ),
        (PASSWORD, CLAIM, CLAIMS, NONCE, CLIENT_CLAIM, CLIENT_CLAIMS, HINT),
    ),
    "cookie": Operation(
        "acquirePrtSsoCookie", lambda client: client.acquire_prt_sso_cookie(ADA, SSO_URL), (SSO_NONCE, SSO_URL, UNKNOWN)
    ),
    "signed request": Operation(
        "generateSignedHttpRequest",
        lambda client: client.generate_signed_http_request(ADA, REQUEST),
        (NONCE, CLIENT_CLAIM, CLIENT_CLAIMS),
    ),
    "sign-out": Operation("removeAccount", lambda client: client.remove_account(ADA), (UNKNOWN,)),
    "accounts": Operation("getAccounts", lambda client: client.get_accounts()),
    "version": Operation("getLinuxBrokerVersion", lambda client: client.get_linux_broker_version()),
    "header": Operation(
        "acquireTokenSilently",
        lambda client: authorization_header(client, SCOPES, ADA, claims_challenge=CLAIMS, access_token_to_renew=RENEW),
        (CLAIM, CLAIMS, RENEW, UNKNOWN),
    ),
    "signed header": Operation(
        "acquireTokenSilently",
        lambda client: authorization_header(
            client, SCOPES, ADA, method="GET", url="https://graph.microsoft.com/v1.0/me", nonce=NONCE
        ),
        (NONCE, UNKNOWN),
    ),
    "httpx": Operation("acquireTokenSilently", _with_httpx, (UNKNOWN,)),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


@pytest.fixture
def fake_broker_config() -> FakeConfig:
    """The password that is sent is Ada's."""
    directory = Directory.default()
    users = [user.model_copy(update={"password": PASSWORD}) for user in directory.users]
    return FakeConfig(directory=directory.model_copy(update={"users": tuple(users)}))


@pytest.fixture
async def client(fake_broker: RunningFake) -> AsyncIterator[BrokerClient]:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0  # everything is slow: each callback and task is logged with its repr
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(call=30)) as made:
        yield made


def _show_result(seen: Seen, result: Any) -> None:
    """What an application could print of a result without asking for a secret by name."""
    seen.show("repr of a result", f"{result!r} {[result]!r} {result!s}" if not isinstance(result, str) else "")
    if is_dataclass(result) and not isinstance(result, type):
        shown = {field.name: getattr(result, field.name) for field in fields(result) if field.repr}
        seen.show("fields of a result", repr(shown))


def _secrets_of(result: Any) -> set[str]:
    if isinstance(result, str):
        return {result}
    if isinstance(result, TokenResult):
        return {result.access_token, result.id_token, result.client_info}
    if isinstance(result, list):
        return {text for item in result for text in _secrets_of(item)}
    return {result.content} if isinstance(result, PrtSsoCookie) else set()


async def _fails(seen: Seen, client: BrokerClient, operation: Operation) -> BaseException:
    try:
        await operation.call(client)
    except Exception as error:
        seen.show_error(error)
        return error
    raise AssertionError("it did not fail")


@every_operation
async def test_a_success_shows_nothing(
    client: BrokerClient, seen: Seen, fake_broker: RunningFake, operation: Operation, capfd: pytest.CaptureFixture[str]
) -> None:
    seen.show("repr of the client", f"{client!r} {vars(client)!r}")
    try:
        result = await operation.call(client)
    except httpx.ConnectError as error:  # nothing listens there: the token was got, and put into the request
        result = error.request.headers["Authorization"]
        seen.show_error(error)
    _show_result(seen, result)
    seen.received |= {text for text in _secrets_of(result) if len(text) > 40}
    output = capfd.readouterr()
    seen.show("output", output.out + output.err)
    assert fake_broker.calls_of(operation.method)
    assert {"log", "repr of a result"} <= seen.places


@pytest.mark.thorough
@every_operation
@pytest.mark.parametrize("shape", ["nested", "top level", "D-Bus error", "everywhere"])
async def test_a_failure_in_which_the_broker_quotes_everything_shows_nothing(
    client: BrokerClient, seen: Seen, fake_broker: RunningFake, operation: Operation, shape: str
) -> None:
    for text in operation.quotations:
        fake_broker.clear_faults()
        if shape == "D-Bus error":
            fake_broker.plant("dbus_error", method=operation.method, context=text)
        elif shape == "everywhere":
            fake_broker.plant("raw_reply", method=operation.method, reply=json.dumps(_error_full_of(text)))
        else:
            fake_broker.plant("status", method=operation.method, context=text, status=6, top_level=shape == "top level")
        error = await _fails(seen, client, operation)
        assert isinstance(error, BrokerError)
        assert "(hidden)" in str(error)
        seen.show("a copy of the error", repr(vars(pickle.loads(pickle.dumps(error)))))


def _error_full_of(text: str) -> dict[str, Any]:
    return {
        "error": {"context": text, "diagnostics": {"raw": text, text: 1}, "status": 6, "unknown": text},
        "brokerTokenResponse": {"subError": text, "accessToken": text, "unknown": text},
        "telemetry": {"said": text, text: "said", "deep": {"said": text}},
        "unknown": text,
    }


@every_operation
@pytest.mark.parametrize(
    "nonsense",
    [
        lambda text: text,
        lambda text: json.dumps(text),
        lambda text: json.dumps([text]),
        lambda text: json.dumps({"brokerTokenResponse": text, "accounts": text, "cookieItems": text}),
        lambda text: json.dumps({"brokerTokenResponse": {"accessToken": text, "expiresOn": text, text: text}}),
        lambda text: json.dumps({"accounts": [{"homeAccountId": 1, "username": text, text: text}]}),
        lambda text: json.dumps({"cookieItems": [{"cookieName": "x", "cookieContent": [text]}]}),
        lambda text: json.dumps({"signedHttpRequest": [text], "linuxBrokerVersion": {"x": text}}),
        lambda text: json.dumps({"error": {"status": text, "context": [text]}}),
    ],
)
async def test_a_reply_that_cannot_be_used_shows_nothing(
    client: BrokerClient,
    seen: Seen,
    fake_broker: RunningFake,
    operation: Operation,
    nonsense: Callable[[str], str],
) -> None:
    fake_broker.plant("raw_reply", method=operation.method, reply=nonsense(" ".join(operation.quotations)))
    if operation.method == "removeAccount":  # whatever is no error is success (PROTOCOL.md, "removeAccount")
        try:
            await operation.call(client)
        except BrokerError as error:
            seen.show_error(error)
    else:
        await _fails(seen, client, operation)


@pytest.mark.thorough
@every_operation
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "hang"},
        {"kind": "crash"},
        {"kind": "reply_not_text"},
        {"kind": "starting"},
        {"kind": "no_network"},
        {"kind": "status", "status": 7},
        {"kind": "dbus_error", "name": "org.freedesktop.DBus.Error.ServiceUnknown"},
        {"kind": "dbus_error", "name": "org.freedesktop.DBus.Error.Spawn.Failed"},
        {"kind": "dbus_error", "name": "org.freedesktop.DBus.Error.Timeout"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('name', '')}",
)
async def test_a_broker_that_is_not_reached_shows_nothing(
    fake_broker: RunningFake, seen: Seen, operation: Operation, fault: dict[str, Any]
) -> None:
    if fault["kind"] == "keyring_locked" and operation.method in ("getAccounts", "getLinuxBrokerVersion"):
        pytest.skip("a broker whose keyring is locked lists no account, and knows its version")
    for context in operation.quotations if "name" in fault else [""]:
        await _not_reached(fake_broker, seen, operation, {**fault, "context": context})


async def _not_reached(fake_broker: RunningFake, seen: Seen, operation: Operation, fault: dict[str, Any]) -> None:
    fake_broker.clear_faults()
    fake_broker.plant(method=operation.method, **fault)
    asyncio.get_running_loop().set_debug(True)
    limits = Timeouts(call=0.2, interactive=0.2, cancel=0.2)
    async with BrokerClient(CLIENT_ID, timeouts=limits) as client:
        await _fails(seen, client, operation)


@every_operation
async def test_a_call_that_is_cancelled_shows_nothing(
    client: BrokerClient, seen: Seen, fake_broker: RunningFake, operation: Operation
) -> None:
    fake_broker.plant("hang", method=operation.method)
    fake_broker.set_user("never")
    call = asyncio.ensure_future(operation.call(client))
    await fake_broker.called(operation.method)
    seen.show("repr of the task", f"{call!r} {call.get_stack()!r}")
    call.cancel()
    try:
        await call
    except asyncio.CancelledError as error:
        seen.show_error(error)
    assert any(where.startswith("local variables of") for where in seen.places)


@every_operation
async def test_a_bus_that_ends_shows_nothing(
    client: BrokerClient, seen: Seen, fake_broker: RunningFake, operation: Operation
) -> None:
    fake_broker.plant("hang", method=operation.method)
    call = asyncio.ensure_future(_fails(seen, client, operation))
    await fake_broker.called(operation.method)
    fake_broker.stop_bus()
    await call
    await _fails(seen, client, operation)


@every_operation
async def test_a_refused_owner_shows_nothing(fake_broker: RunningFake, seen: Seen, operation: Operation) -> None:
    async with BrokerClient(CLIENT_ID, trust="strict") as client:  # the fake runs in an interpreter
        assert isinstance(await _fails(seen, client, operation), UntrustedBrokerError)


@pytest.mark.parametrize("fault", ["mfa_expired", "scopes_declined", "no_network", None])
async def test_a_credential_shows_nothing(fake_broker: RunningFake, seen: Seen, fault: str | None) -> None:
    if fault is not None:
        fake_broker.plant(fault, method="acquireTokenSilently")
    fake_broker.plant("status", method="acquireTokenInteractively", context=f"no {NONCE} and {CLAIM}", status=6)
    pop = {
        "resource_request_method": "GET",
        "resource_request_url": "https://graph.microsoft.com/v1.0/me",
        "nonce": NONCE,
    }
    options: Any = {"claims": CLAIMS, "pop": pop}
    async with BrokerCredential(use_default_broker_account=True, timeout=5) as credential:
        for call in (
            lambda: credential.get_token(*SCOPES, claims=CLAIMS, enable_cae=True, pop=pop),
            lambda: credential.get_token_info(*SCOPES, options=options),
            lambda: credential.authenticate(scopes=SCOPES, claims=CLAIMS, pop=pop),
        ):
            try:
                result = await call()
            except Exception as error:
                claims = vars(error).pop("_claims", None)  # azure-identity's own, for `authenticate`
                assert claims in (None, CLAIMS)
                seen.show_error(error)
            else:
                seen.received.add(result.token)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["openid"]},
        {"claims_challenge": json.dumps([CLAIMS])},
        {"claims_challenge": CLAIMS + "\0"},
        {"claims_challenge": CLAIMS[:-1]},
        {"access_token_to_renew": RENEW + "\ud800"},
        {"extra_query_parameters": {**QUERY, "nonce": NONCE}},
        {"extra_query_parameters": {**QUERY, "x": 1}},
        {"extra_query_parameters": {**QUERY, "token_type": "ssh-cert", "req_cnf": CLIENT_CLAIMS}},
        {"auth_scheme": "pop"},
        {"authority": "http://login.microsoftonline.com/common"},
        {"correlation_id": "1"},
    ],
    ids=str,
)
async def test_a_wrong_argument_shows_none_of_the_others(
    client: BrokerClient, seen: Seen, fake_broker: RunningFake, wrong: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {
        "scopes": SCOPES,
        "claims_challenge": CLAIMS,
        "access_token_to_renew": RENEW,
        "extra_query_parameters": QUERY,
        "auth_scheme": KEY,
        **wrong,
    }
    silent = Operation("", lambda client: client.acquire_token_silent(account=ADA, **arguments))
    interactive = Operation("", lambda client: client.acquire_token_interactive(account=ADA, **arguments))
    arguments_of_password = {key: value for key, value in arguments.items() if key != "access_token_to_renew"}
    password = Operation(
        "",
        lambda client: client.acquire_token_by_username_password(
            ADA.username, PASSWORD + ("\0" if "access_token_to_renew" in wrong else ""), **arguments_of_password
        ),
    )
    for operation in (silent, interactive, password):
        assert isinstance(await _fails(seen, client, operation), InvalidArgumentError)
    assert fake_broker.calls == ()


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"client_capabilities": ["CP1", 1]}, None),
        ({"claims_challenge": CLAIMS[:-1]}, None),
        ({"scopes": []}, None),
        ({"correlation_id": "1"}, None),
        ({}, "mfa_expired"),
    ],
    ids=str,
)
async def test_claims_beside_client_capabilities_are_not_shown(
    seen: Seen, fake_broker: RunningFake, wrong: dict[str, Any], fault: str | None
) -> None:
    if fault is not None:
        fake_broker.plant(fault)
    arguments = {"scopes": SCOPES, "claims_challenge": CLAIMS, "access_token_to_renew": RENEW, **wrong}
    silent = Operation("", lambda client: client.acquire_token_silent(account=ADA, **arguments))
    interactive = Operation("", lambda client: client.acquire_token_interactive(account=ADA, **arguments))
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        for operation in (silent, interactive):
            await _fails(seen, client, operation)


@pytest.mark.parametrize("url", [SSO_URL.replace("https", "http"), SSO_URL + " ", SSO_URL + "\0"])
async def test_a_wrong_url_is_not_shown(client: BrokerClient, seen: Seen, url: str) -> None:
    operation = Operation("", lambda client: client.acquire_prt_sso_cookie(ADA, url))
    assert isinstance(await _fails(seen, client, operation), InvalidArgumentError)


@pytest.mark.parametrize("text", RECEIVED)
def test_what_looks_like_a_token_is_cut_out_of_a_text(text: str) -> None:
    assert re.fullmatch(r"before (0\.)?\(hidden\) after", redact(f"before {text} after"))


@pytest.mark.parametrize(
    "text",
    [
        "Failed to execute program /opt/microsoft/identity-broker/bin/microsoft-identity-broker: No such file",
        "AADSTS50058: session information is not sufficient for single-sign-on.",
        "correlation id 0d1b6f3a-94c7-4e0e-a2f5-7c3b8e61d950, tag 965ya",
        "https://login.microsoftonline.com/common/oauth2/nativeclient",
        "com.microsoft.identity.common.exception.UiRequiredException",
    ],
)
def test_what_helps_is_left_in_a_text(text: str) -> None:
    assert redact(text) == text


def test_a_huge_text_is_cut_short_and_a_secret_across_the_cut_is_not_shown() -> None:
    assert redact("word " * 1_000_000) == ("word " * 400) + "…"
    assert redact("x " * 995 + PASSWORD, [PASSWORD]) == "x " * 995 + "(hidden)"
    assert PASSWORD[:4] not in redact("x " * 998 + PASSWORD, [PASSWORD])


def test_the_marks_are_sent(fake_broker: RunningFake) -> None:
    """A mark that goes nowhere would prove nothing."""

    sent: list[str] = []

    async def send_all() -> None:
        async with BrokerClient(CLIENT_ID) as client:
            for operation in OPERATIONS.values():
                with contextlib.suppress(httpx.ConnectError):
                    await operation.call(client)
                sent.extend(text for call in fake_broker.calls for text in texts_in(call.request))
                fake_broker.reset()

    asyncio.run(send_all())
    assert [secret for secret in SENT if not any(secret in text for text in sent)] == [PASSWORD]
    assert "(hidden)" in sent  # the journal keeps no password; only the right one gets a token
