"""Broken replies: each ends in an error of this library or in a right result, and no secret is shown."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from copy import deepcopy
from datetime import datetime, timezone
from functools import cache
from typing import Any

import pytest

from linuxbroker import (
    Account,
    AccountNotFoundError,
    AccountRequiredError,
    BrokerClient,
    BrokerDisconnectedError,
    BrokerError,
    BrokerNotInstalledError,
    BrokerProtocolError,
    BrokerResponseError,
    BrokerStartError,
    BrokerTimeoutError,
    BrokerUnreachableError,
    DeclinedScopesError,
    InteractionRequiredError,
    MismatchedTokenError,
    NoAccountError,
    PopAuthScheme,
    Status,
    Timeouts,
    TokenResult,
    UnsupportedOperationError,
    UserCanceledError,
)
from linuxbroker.call.transport import BrokerTransport
from linuxbroker.wire.calls import CallOptions
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from tests.constants import CLIENT_ID, SCOPE

UPN = "ada@contoso.example"
PASSWORD = "not-a-real-password-ada"
ADA = Account(
    home_account_id="00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
    realm="00000000-0000-0000-0000-0000000000f1",
    username=UPN,
    environment="login.windows.net",
)
Call = Callable[[BrokerClient], Awaitable[Any]]
# Each operation: the method that it calls, and how it is called.
OPERATIONS: dict[str, tuple[str, Call]] = {
    "silent": ("acquireTokenSilently", lambda client: client.acquire_token_silent([SCOPE], ADA)),
    "interactive": ("acquireTokenInteractively", lambda client: client.acquire_token_interactive([SCOPE])),
    "password": (
        "acquireTokenSilently",
        lambda client: client.acquire_token_by_username_password(UPN, PASSWORD, [SCOPE]),
    ),
    "accounts": ("getAccounts", lambda client: client.get_accounts()),
    "cookie": ("acquirePrtSsoCookie", lambda client: client.acquire_prt_sso_cookie(ADA)),
    "signed request": (
        "generateSignedHttpRequest",
        lambda client: client.generate_signed_http_request(
            ADA, PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")
        ),
    ),
    "sign-out": ("removeAccount", lambda client: client.remove_account(ADA)),
    "version": ("getLinuxBrokerVersion", lambda client: client.get_linux_broker_version()),
}
TOKEN_OPERATIONS = ["silent", "interactive", "password"]
# For them an empty object is an answer.
WITHOUT_CONTENT = ("sign-out",)

# An opaque token, so that the reply's own expiresOn has the word.
TOKEN = "opaque0Access1Token2" * 20
ID_TOKEN = "opaque0Id1Token2" * 20
COOKIE = "opaque0Cookie1Content2" * 20
SIGNED = "opaque0Signed1Request2" * 20
SECRETS = (TOKEN, ID_TOKEN, COOKIE, SIGNED)
PIECE = 40
EXPIRY = datetime(2100, 1, 1, tzinfo=timezone.utc)
SECONDS = 4_102_444_800
MISSING: Any = object()


def shown_by(error: BaseException) -> str:
    """Everything that a program could print of an error without asking for it by name."""
    texts = ["".join(traceback.format_exception(type(error), error, error.__traceback__))]
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        attributes = {key: value for key, value in vars(link).items() if key != "granted_scopes"}
        texts += [str(link), repr(link), repr(link.args), repr(attributes)]
        link = link.__cause__ or link.__context__
    return "\n".join(texts)


def assert_nothing_secret(text: str, secrets: tuple[str, ...] = SECRETS) -> None:
    """Fail where the text shows 40 characters in a row of a secret."""
    pieces = pieces_of(secrets)
    for start in range(len(text) - PIECE + 1):
        assert text[start : start + PIECE] not in pieces


@cache
def pieces_of(secrets: tuple[str, ...]) -> frozenset[str]:
    return frozenset(secret[start : start + PIECE] for secret in secrets for start in range(len(secret) - PIECE + 1))


def without_missing(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not MISSING}


def token_reply(root: dict[str, Any] | None = None, **changes: Any) -> str:
    """A good token reply with some keys of its token part, or of its root, exchanged or missing."""
    response = {
        "accessToken": TOKEN,
        "accessTokenType": 0,
        "account": ADA.model_dump(by_alias=True),
        "clientInfo": "e30",
        "expiresOn": SECONDS * 1000,
        "extendedExpiresOn": SECONDS * 1000,
        "grantedScopes": SCOPE,
        "idToken": ID_TOKEN,
        **changes,
    }
    return json.dumps(
        without_missing({"brokerTokenResponse": without_missing(response), "telemetry": {}, **(root or {})})
    )


def error_body(**changes: Any) -> dict[str, Any]:
    return without_missing(
        {
            "context": "AADSTS50078: expired",
            "diagnostics": None,
            "errorCode": 5,
            "status": 2,
            "subStatus": 3,
            "tag": 595719680,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def running() -> Iterator[RunningFake]:
    with RunningFake() as running:
        yield running


@pytest.fixture
def broker(running: RunningFake) -> RunningFake:
    running.reset()
    return running


@pytest.fixture
async def client(broker: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
        yield client


@pytest.fixture(autouse=True)
def no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
    assert_nothing_secret(caplog.text)


async def failure_of(operation: str, client: BrokerClient) -> BrokerError:
    """Call the operation, which must fail with an error of ours that shows nothing secret."""
    with pytest.raises(BrokerError) as caught:
        await OPERATIONS[operation][1](client)
    assert_nothing_secret(shown_by(caught.value))
    return caught.value


NO_OBJECTS = {
    "plain text": "an internal error occurred",
    "a token in plain text": TOKEN,
    "cut short": token_reply()[:-20],
    "something behind": token_reply() + "x",
    "null": "null",
    "true": "true",
    "a number": "42",
    "a text": json.dumps(TOKEN),
    "an array": f"[{token_reply()}]",
    "100,000 open brackets": "[" * 100_000,
    "100,000 brackets": "[" * 100_000 + "]" * 100_000,
    "100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "100,000 brackets in the telemetry": token_reply().replace(
        '"telemetry": {}', '"telemetry": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    ),
    "NaN": token_reply().replace(str(SECONDS * 1000), "NaN"),
    "NaN in the telemetry": '{"telemetry": {"took": NaN}}',
    "Infinity": token_reply().replace(str(SECONDS * 1000), "Infinity"),
    "-Infinity": token_reply().replace(str(SECONDS * 1000), "-Infinity"),
    "half a surrogate pair": '{"telemetry": {"a": "\\ud800"}}',
    "single quotes": "{'accounts': []}",
    "a comment": "/* broker */ {}",
}


@pytest.mark.parametrize("reply", NO_OBJECTS.values(), ids=NO_OBJECTS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_reply_that_is_no_json_object_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, operation: str, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply)
    error = await failure_of(operation, client)
    assert type(error) is BrokerProtocolError
    assert OPERATIONS[operation][0] in str(error)


@pytest.mark.parametrize("reply", ["{}", '{"telemetry": {}}', '{"unknown": 1}', '{"error": null}'])
@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if operation not in WITHOUT_CONTENT])
async def test_a_reply_without_what_was_asked_for_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, operation: str, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply)
    assert type(await failure_of(operation, client)) is BrokerProtocolError


SILENCES: dict[str, type[BrokerError]] = {
    "silent": InteractionRequiredError,
    "interactive": AccountRequiredError,  # of several users, where nobody was named
    "password": InteractionRequiredError,
    "accounts": NoAccountError,
    "cookie": InteractionRequiredError,
    "signed request": UnsupportedOperationError,
    "sign-out": UnsupportedOperationError,
    "version": BrokerProtocolError,
}


@pytest.mark.parametrize("reply", ["", " ", "\n"], ids=["nothing", "a blank", "a line"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_empty_reply_becomes_what_it_means_for_the_method(
    broker: RunningFake, client: BrokerClient, operation: str, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply, method=OPERATIONS[operation][0])
    error = await failure_of(operation, client)
    assert type(error) is SILENCES[operation]
    if isinstance(error, BrokerResponseError) and operation != "interactive":
        assert error.empty_reply
        assert "the broker gave no reason" in str(error)


@pytest.mark.parametrize("reply", ["{}", '{"error": null}', '{"success": true}', '{"telemetry": {"error": ""}}'])
async def test_a_sign_out_has_succeeded_where_an_object_without_an_error_is_answered(
    broker: RunningFake, client: BrokerClient, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply, method="removeAccount")
    await client.remove_account(ADA)
    assert len(broker.calls_of("removeAccount")) == 1


NO_SIGN_OUTS = {
    "success false": '{"success": false}',
    "an error in an object": json.dumps({"result": {"error": {"status": 2, "context": "not now"}}}),
    "an error in a list": json.dumps({"results": [{}, {"error": {"status": 2}}]}),
    "an error that is a text": '{"result": {"error": "not now"}}',
    "an error that is a number": '{"result": {"error": 5}}',
    "an error with a capital": '{"Error": {"status": 2}}',
    "in a token's place": json.dumps({"brokerTokenResponse": {"error": {"status": 2}}}),
    "an empty error inside": '{"result": {"error": {}}}',
    "success false inside": '{"result": {"success": false}}',
    "success with a capital": '{"Success": false}',
    "success as a text": '{"success": "false"}',
    "success as a number": '{"success": 0}',
    "Himmelblau 4.0": json.dumps({"error": {"context": "Not implemented", "status": 0, "subStatus": 0}}),
    "nothing": "",
    "false": "false",
    "a list": "[]",
}


@pytest.mark.parametrize("reply", NO_SIGN_OUTS.values(), ids=NO_SIGN_OUTS)
async def test_a_sign_out_that_was_none_says_that_nobody_was_signed_out(
    broker: RunningFake, client: BrokerClient, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply, method="removeAccount")
    assert "Nobody was signed out." in str(await failure_of("sign-out", client))


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_reply_that_is_no_text_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, operation: str
) -> None:
    broker.plant("reply_not_text")
    assert type(await failure_of(operation, client)) is BrokerProtocolError


DBUS = "org.freedesktop.DBus.Error."
DBUS_ERRORS: dict[str, tuple[str, str, type[BrokerError]]] = {
    "Himmelblau's failures": (DBUS + "Failed", "Invalid request for user!", AccountNotFoundError),
    "Himmelblau's missing methods": (DBUS + "Failed", "Not implemented", UnsupportedOperationError),
    "no text": (DBUS + "Failed", "", BrokerResponseError),
    "a token in the text": (DBUS + "Failed", f"bad response: {TOKEN}", BrokerResponseError),
    "100,000 characters": (DBUS + "Failed", "no " * 33_333, BrokerResponseError),
    "control characters": (DBUS + "Failed", "\x1b[31mred\r\n", BrokerResponseError),
    "a name of the broker's own": ("com.example.Odd", "odd", BrokerResponseError),
    "access denied": (DBUS + "AccessDenied", "not you", BrokerUnreachableError),
    "a unit that is masked": ("org.freedesktop.systemd1.UnitMasked", "Unit x.service is masked.", BrokerStartError),
    "unknown method": (DBUS + "UnknownMethod", "no such method", UnsupportedOperationError),
    "unknown interface": (DBUS + "UnknownInterface", "no such interface", UnsupportedOperationError),
    "not on the bus": (DBUS + "ServiceUnknown", "not provided by any .service files", BrokerNotInstalledError),
    "not started": (DBUS + "Spawn.ChildExited", "exited with status 1", BrokerStartError),
    "not started in time": (DBUS + "TimedOut", "timed out", BrokerStartError),
    "gone": (DBUS + "NoReply", "disconnected from message bus without replying", BrokerDisconnectedError),
    "no answer": (DBUS + "Timeout", "timeout", BrokerTimeoutError),
}


@pytest.mark.parametrize(("name", "text", "expected"), DBUS_ERRORS.values(), ids=DBUS_ERRORS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_dbus_error_becomes_the_error_that_it_means(
    broker: RunningFake, client: BrokerClient, operation: str, name: str, text: str, expected: type[BrokerError]
) -> None:
    broker.plant("dbus_error", name=name, context=text)
    error = await failure_of(operation, client)
    assert type(error) is expected
    assert len(str(error)) < 3000
    assert str(error).isprintable()
    if isinstance(error, BrokerResponseError):
        assert error.dbus_error == name
        assert error.username in ("", UPN)


ODD_ACCOUNTS: list[Any] = ["text", 7, True, [], {}, {"homeAccountId": 7}, {"username": UPN}]
# What the token part of a reply may say, and what the application then sees of it.
GOOD_TOKEN_REPLIES: dict[str, tuple[str, dict[str, Any]]] = {
    "as it should be": (token_reply(), {"token_type": "Bearer", "expires_on": EXPIRY, "scopes": (SCOPE,)}),
    "type missing": (token_reply(accessTokenType=MISSING), {"token_type": "Bearer"}),
    "type null": (token_reply(accessTokenType=None), {"token_type": "Bearer"}),
    "type Bearer": (token_reply(accessTokenType="Bearer"), {"token_type": "Bearer"}),
    "type bearer": (token_reply(accessTokenType="bearer"), {"token_type": "Bearer"}),
    "type 0 in a text": (token_reply(accessTokenType="0"), {"token_type": "Bearer"}),
    "milliseconds in a text": (token_reply(expiresOn=f"{SECONDS}000"), {"expires_on": EXPIRY}),
    "seconds": (token_reply(expiresOn=SECONDS), {"expires_on": EXPIRY}),
    "seconds in a text": (token_reply(expiresOn=str(SECONDS)), {"expires_on": EXPIRY}),
    "milliseconds with a point": (token_reply(expiresOn=SECONDS * 1000.0), {"expires_on": EXPIRY}),
    "extended expiry missing": (token_reply(extendedExpiresOn=MISSING), {"expires_on": EXPIRY}),
    "extended expiry empty": (token_reply(extendedExpiresOn=""), {"expires_on": EXPIRY}),
    "scopes as array": (token_reply(grantedScopes=[SCOPE, "openid"]), {"scopes": (SCOPE, "openid")}),
    "scopes as text": (token_reply(grantedScopes=f"{SCOPE}  openid"), {"scopes": (SCOPE, "openid")}),
    "scopes in capitals": (token_reply(grantedScopes=SCOPE.upper()), {"scopes": (SCOPE.upper(),)}),
    "scopes missing": (token_reply(grantedScopes=MISSING), {"scopes": (SCOPE,)}),
    "scopes null": (token_reply(grantedScopes=None), {"scopes": (SCOPE,)}),
    "ID token missing": (token_reply(idToken=MISSING), {"id_token": "", "id_token_claims": {}}),
    "ID token null": (token_reply(idToken=None), {"id_token": "", "id_token_claims": {}}),
    "ID token of nonsense": (token_reply(idToken="a.%%%.c"), {"id_token": "a.%%%.c", "id_token_claims": {}}),
    "ID token whose claims are an array": (token_reply(idToken="a.W10.c"), {"id_token_claims": {}}),
    "client info missing": (token_reply(clientInfo=MISSING), {"client_info": ""}),
    "client info null": (token_reply(clientInfo=None), {"client_info": ""}),
    "error null in the token part": (token_reply(error=None), {"access_token": TOKEN}),
    "error null at the top": (token_reply({"error": None}), {"access_token": TOKEN}),
    "telemetry missing": (token_reply({"telemetry": MISSING}), {"telemetry": {}}),
    "telemetry null": (token_reply({"telemetry": None}), {"telemetry": {}}),
    "telemetry text": (token_reply({"telemetry": "x"}), {"telemetry": {}}),
    "telemetry nested": (token_reply({"telemetry": {"a": {"b": TOKEN}, "c": 1}}), {"telemetry": {"c": 1}}),
    "telemetry with a token": (token_reply({"telemetry": {"a": TOKEN}}), {"telemetry": {"a": "(hidden)"}}),
    "unknown keys": (token_reply({"new": [1]}, newer={"a": 1}), {"access_token": TOKEN}),
    **{f"account {value!r}": (token_reply(account=value), {"access_token": TOKEN}) for value in ODD_ACCOUNTS},
    "huge integer in an unknown key": (token_reply(newer=10**4000), {"access_token": TOKEN}),
    "key given twice: the last counts": (
        token_reply().replace('"accessTokenType": 0', '"accessTokenType": 7, "accessTokenType": 0'),
        {"token_type": "Bearer"},
    ),
}


@pytest.mark.parametrize(("reply", "expected"), GOOD_TOKEN_REPLIES.values(), ids=GOOD_TOKEN_REPLIES)
@pytest.mark.parametrize("operation", TOKEN_OPERATIONS)
async def test_a_token_reply_with_a_known_quirk_gives_the_token(
    broker: RunningFake, client: BrokerClient, operation: str, reply: str, expected: dict[str, Any]
) -> None:
    broker.plant("raw_reply", reply=reply)
    result: TokenResult = await OPERATIONS[operation][1](client)
    assert result.access_token == TOKEN
    assert {name: getattr(result, name) for name in expected} == expected
    assert_nothing_secret(repr(result) + str(result))


ID_TOKEN_CLAIMS = "eyJvaWQiOiJvIiwidGlkIjoidCIsIm5hbWUiOiJcdWQ4MDAifQ"  # {"oid":"o","tid":"t","name":"\ud800"}


def each(what: str, values: Iterable[Any], make: Callable[[Any], Any]) -> dict[str, Any]:
    """A case for each value, under a name of its own."""
    return {f"{what} {value!r:.40}": make(value) for value in values}


NO_TEXTS: list[Any] = [7, True, [TOKEN], {"a": TOKEN}]
# What would end a header, change it, or can't be written in one.
TOKENS_FOR_NO_HEADER = ["a b", " a", "a ", "a\n", "a\r\nX: y", "a\tb", "a\x00", "a\x7f", "\u00e9", "a\u2028"]
BAD_TYPES = [7, -1, 2, 0.5, True, "SAML", "", TOKEN, [0], {}, 10**400]
BAD_EXPIRIES: list[Any] = [
    *(None, "", 0, -1, -SECONDS * 1000, 10**18, 10**30, -(10**30), 10**400),
    *("soon", "१२", TOKEN, True, [], {}, 0.5),
]
BAD_TOKEN_REPLIES: dict[str, str] = {
    **each(
        "token part",
        [None, {}, [], "text", 7, True, [{"accessToken": TOKEN}]],
        lambda part: token_reply({"brokerTokenResponse": part}),
    ),
    "token part missing": token_reply({"brokerTokenResponse": MISSING}),
    "token at the root": json.dumps({"accessToken": TOKEN, "expiresOn": SECONDS}),
    "token missing": token_reply(accessToken=MISSING),
    **each("token", [None, "", *NO_TEXTS], lambda value: token_reply(accessToken=value)),
    **each("type", BAD_TYPES, lambda value: token_reply(accessTokenType=value)),
    "expiry missing": token_reply(expiresOn=MISSING),
    **each("expiry", BAD_EXPIRIES, lambda value: token_reply(expiresOn=value)),
    "expiry 1e999": token_reply().replace(str(SECONDS * 1000), "1e999", 1),
    "expiry of 5,000 digits": token_reply().replace(str(SECONDS * 1000), "1" * 5000, 1),
    "expiry of 5,000 digits in a text": token_reply(expiresOn="1" * 5000),
    **each("extended expiry", ["soon", [], {}, 0.5], lambda value: token_reply(extendedExpiresOn=value)),
    **each("scopes", [7, True, {}, [7], [None], [[SCOPE]]], lambda value: token_reply(grantedScopes=value)),
    **each("token with", TOKENS_FOR_NO_HEADER, lambda value: token_reply(accessToken=value)),
    **each("kind", ["PoP", 1], lambda value: token_reply(accessTokenType=value)),
    **each("ID token", NO_TEXTS, lambda value: token_reply(idToken=value)),
    **each("client info", NO_TEXTS, lambda value: token_reply(clientInfo=value)),
    "key given twice: the last counts": token_reply().replace(
        '"accessTokenType": 0', '"accessTokenType": 0, "accessTokenType": 7'
    ),
}


@pytest.mark.parametrize("reply", BAD_TOKEN_REPLIES.values(), ids=BAD_TOKEN_REPLIES)
@pytest.mark.parametrize("operation", TOKEN_OPERATIONS)
async def test_a_token_reply_that_can_not_be_used_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, operation: str, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply)
    error = await failure_of(operation, client)
    assert type(error) is BrokerProtocolError
    assert len(str(error)) < 1000


@pytest.mark.parametrize("missing", [MISSING, None], ids=["missing", "null"])
async def test_a_token_without_account_is_the_asked_accounts(
    broker: RunningFake, client: BrokerClient, missing: Any
) -> None:
    broker.plant("raw_reply", reply=token_reply(account=missing))
    result = await client.acquire_token_silent([SCOPE], ADA)
    assert result.account is not None
    assert result.account.home_account_id == ADA.home_account_id


async def test_a_sign_in_whose_id_token_names_nobody_has_no_account(broker: RunningFake, client: BrokerClient) -> None:
    broker.plant("raw_reply", reply=token_reply(account=MISSING))
    result = await client.acquire_token_interactive([SCOPE])
    assert result.account is None


async def test_half_a_surrogate_pair_in_an_id_token_does_not_break_the_sign_in(
    broker: RunningFake, client: BrokerClient
) -> None:
    broker.plant("raw_reply", reply=token_reply(account=MISSING, idToken=f"a.{ID_TOKEN_CLAIMS}.c"))
    result = await client.acquire_token_interactive([SCOPE])
    assert result.access_token == TOKEN
    assert (result.account, result.id_token_claims) == (None, {})


PASSWORD_SHOWN: dict[str, dict[str, Any]] = {
    "in a context": {"reply": json.dumps({"error": error_body(context=f"'{PASSWORD}' is wrong")})},
    "in a sub-error": {"reply": token_reply(error=error_body(), subError=f"not {PASSWORD}")},
    "in diagnostics": {"reply": json.dumps({"error": error_body(diagnostics={"tried": PASSWORD})})},
    "as a diagnostic": {"reply": json.dumps({"error": error_body(diagnostics={PASSWORD: 1})})},
    "in telemetry": {"reply": json.dumps({"error": error_body(), "telemetry": {"tried": PASSWORD, PASSWORD: 1}})},
    "in place of a reply": {"reply": PASSWORD},
    "in place of a number": {"reply": token_reply(expiresOn=PASSWORD)},
    "in a D-Bus error": {"kind": "dbus_error", "context": f"wrong password {PASSWORD}!"},
}


@pytest.mark.parametrize("fault", PASSWORD_SHOWN.values(), ids=PASSWORD_SHOWN)
async def test_a_password_that_comes_back_is_not_shown(
    broker: RunningFake, client: BrokerClient, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    broker.plant(**{"kind": "raw_reply", **fault})
    error = await failure_of("password", client)
    assert PASSWORD not in shown_by(error)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("granted", ["", [], "openid", ["https://graph.microsoft.com/Mail.Read"], "User.ReadWrite"])
@pytest.mark.parametrize("operation", TOKEN_OPERATIONS)
async def test_a_scope_that_is_not_granted_is_declined(
    broker: RunningFake, client: BrokerClient, operation: str, granted: str | list[str]
) -> None:
    broker.plant("raw_reply", reply=token_reply(grantedScopes=granted))
    error = await failure_of(operation, client)
    assert isinstance(error, DeclinedScopesError)
    assert error.declined_scopes == (SCOPE,)
    assert error.status is Status.API_CONTRACT_VIOLATION


SAME_SCOPES = {
    "a bare name for a full one": (SCOPE, "User.Read"),
    "a full name for a bare one": ("User.Read", SCOPE),
    "in other letters": (SCOPE, "USER.READ"),
    "Graph of another cloud": ("https://graph.microsoft.us/User.Read", "User.Read"),
    "Graph by its id": ("00000003-0000-0000-c000-000000000000/User.Read", "User.Read"),
    "whatever is granted": ("https://graph.microsoft.com/.default", SCOPE),
    "whatever is granted, elsewhere": (
        "https://vault.azure.net/.DEFAULT",
        "https://vault.azure.net/user_impersonation",
    ),
    "a scope of every sign-in": ("email", SCOPE),
}


@pytest.mark.parametrize(("asked", "granted"), SAME_SCOPES.values(), ids=SAME_SCOPES)
async def test_a_scope_that_is_granted_under_another_name_is_not_declined(
    broker: RunningFake, client: BrokerClient, asked: str, granted: str
) -> None:
    broker.plant("raw_reply", reply=token_reply(grantedScopes=granted))
    assert (await client.acquire_token_silent([asked], ADA)).access_token == TOKEN


@pytest.mark.parametrize("rest", ["", ":'Files.ReadWrite Mail.Read'"])
async def test_scopes_that_the_broker_itself_declines_are_to_be_asked_for_with_full_names(
    broker: RunningFake, client: BrokerClient, rest: str
) -> None:
    said = f"Token response failed because declined scopes are present{rest}"
    broker.plant("status", status=6, context=said)
    with pytest.raises(DeclinedScopesError, match="full names, such as") as caught:
        await client.acquire_token_silent(["Files.ReadWrite"], ADA)
    assert caught.value.declined_scopes == (("Files.ReadWrite", "Mail.Read") if rest else ())


ERROR_WITH_TOKEN = {
    "at the top": token_reply({"error": error_body()}),
    "in the token part": token_reply(error=error_body()),
    "at the top, token part null": token_reply({"error": error_body(), "brokerTokenResponse": None}),
    "at both levels": token_reply({"error": error_body()}, error=error_body(status=7)),
    "at the top, null in the token part": token_reply({"error": error_body()}, error=None),
    "in the token part, null at the top": token_reply({"error": None}, error=error_body()),
}


@pytest.mark.parametrize("reply", ERROR_WITH_TOKEN.values(), ids=ERROR_WITH_TOKEN)
@pytest.mark.parametrize("operation", TOKEN_OPERATIONS)
async def test_an_error_wins_over_a_token(
    broker: RunningFake, client: BrokerClient, operation: str, reply: str
) -> None:
    broker.plant("raw_reply", reply=reply)
    error = await failure_of(operation, client)
    assert isinstance(error, InteractionRequiredError)
    assert error.aadsts_codes == ("AADSTS50078",)


OTHER_REPLIES: dict[str, dict[str, Any]] = {
    "accounts": {"accounts": [ADA.model_dump(by_alias=True)]},
    "cookie": {"cookieName": "x-ms-RefreshTokenCredential", "cookieContent": COOKIE},
    "signed request": {"signedHttpRequest": SIGNED},
    "sign-out": {},
    "version": {"linuxBrokerVersion": "2.5.2"},
}


@pytest.mark.parametrize("operation", OTHER_REPLIES)
async def test_an_error_wins_over_any_other_result(broker: RunningFake, client: BrokerClient, operation: str) -> None:
    broker.plant("raw_reply", reply=json.dumps({**OTHER_REPLIES[operation], "error": error_body(status=7)}))
    assert isinstance(await failure_of(operation, client), UserCanceledError)


# Error objects that are odd, and the status that is still read from them.
ODD_ERRORS: dict[str, tuple[dict[str, Any], Status]] = {
    "empty": ({}, Status.UNEXPECTED),
    "status missing": (error_body(status=MISSING, context="odd"), Status.UNEXPECTED),
    "status null": (error_body(status=None, context="odd"), Status.UNEXPECTED),
    "status 99": (error_body(status=99, context="odd"), Status.UNEXPECTED),
    "status -1": (error_body(status=-1, context="odd"), Status.UNEXPECTED),
    "status huge": (error_body(status=10**400, context="odd"), Status.UNEXPECTED),
    "status missing, and a code": (error_body(status=MISSING), Status.INTERACTION_REQUIRED),
    "status in a text": (error_body(status="2"), Status.INTERACTION_REQUIRED),
    "context missing": (error_body(context=MISSING), Status.INTERACTION_REQUIRED),
    "context null": (error_body(context=None), Status.INTERACTION_REQUIRED),
    "context of 1,000,000 characters": (error_body(context="no " * 333_333), Status.INTERACTION_REQUIRED),
    "context with a token": (error_body(context=f"Bearer {TOKEN} refused"), Status.INTERACTION_REQUIRED),
    "context with the whole reply": (error_body(context=token_reply()), Status.INTERACTION_REQUIRED),
    "diagnostics missing": (error_body(diagnostics=MISSING), Status.INTERACTION_REQUIRED),
    "diagnostics a text": (error_body(diagnostics=TOKEN), Status.INTERACTION_REQUIRED),
    "diagnostics an array": (error_body(diagnostics=[TOKEN]), Status.INTERACTION_REQUIRED),
    "diagnostics with a token": (error_body(diagnostics={"raw": TOKEN, TOKEN: 1}), Status.INTERACTION_REQUIRED),
    "diagnostics nested": (error_body(diagnostics={"a": {"b": TOKEN}}), Status.INTERACTION_REQUIRED),
    "tag missing": (error_body(tag=MISSING), Status.INTERACTION_REQUIRED),
    "tag null": (error_body(tag=None), Status.INTERACTION_REQUIRED),
    "tag negative": (error_body(tag=-1), Status.INTERACTION_REQUIRED),
    "tag huge": (error_body(tag=10**400), Status.INTERACTION_REQUIRED),
    "error code huge": (error_body(errorCode=10**4000), Status.INTERACTION_REQUIRED),
    "error code null": (error_body(errorCode=None), Status.INTERACTION_REQUIRED),
    "sub-status huge": (error_body(subStatus=-(10**4000)), Status.INTERACTION_REQUIRED),
    "unknown keys": (error_body(stack=[TOKEN]), Status.INTERACTION_REQUIRED),
}


@pytest.mark.parametrize(("body", "status"), ODD_ERRORS.values(), ids=ODD_ERRORS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_odd_error_object_is_still_the_brokers_error(
    broker: RunningFake, client: BrokerClient, operation: str, body: dict[str, Any], status: Status
) -> None:
    broker.plant("raw_reply", reply=json.dumps({"error": body, "telemetry": {}}))
    error = await failure_of(operation, client)
    assert isinstance(error, BrokerResponseError)
    assert error.status is status
    assert len(str(error)) < 6500


NO_ERRORS: dict[str, Any] = {
    **each("error", ["text", "", TOKEN, 7, True, False, [], [TOKEN]], lambda value: value),
    **each("context", [7, True, [], {"a": 1}], lambda value: error_body(context=value)),
    **each("status", ["InteractionRequired", "", 2.5, [], {}], lambda value: error_body(status=value)),
    **each("tag", ["965ya", 0.5, []], lambda value: error_body(tag=value)),
    **each("error code", ["AADSTS50078", 0.5, {}], lambda value: error_body(errorCode=value)),
}


@pytest.mark.parametrize("body", NO_ERRORS.values(), ids=NO_ERRORS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_error_of_a_wrong_type_is_never_taken_for_success(
    broker: RunningFake, client: BrokerClient, operation: str, body: Any
) -> None:
    reply: dict[str, Any] = json.loads(token_reply({"error": body}))
    for good in OTHER_REPLIES.values():
        reply |= good
    broker.plant("raw_reply", reply=json.dumps(reply))
    await failure_of(operation, client)


BROKEN_ACCOUNTS: dict[str, Any] = {
    **each("accounts", [None, 7, "text", True, {}, {"0": {}}, [7], [None], ["a"], [[]], [{}]], lambda value: value),
    "no home account id": [{"username": UPN}],
    "home account id a number": [{"homeAccountId": 7}],
    "UPN a number": [{"homeAccountId": "a.b", "username": 7}],
    "realm an array": [{"homeAccountId": "a.b", "realm": []}],
    "password expiry a text": [{"homeAccountId": "a.b", "passwordExpiry": "never"}],
}


@pytest.mark.parametrize("accounts", BROKEN_ACCOUNTS.values(), ids=BROKEN_ACCOUNTS)
async def test_a_broken_list_of_accounts_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, accounts: Any
) -> None:
    broker.plant("raw_reply", reply=json.dumps({"accounts": accounts}), method="getAccounts")
    assert type(await failure_of("accounts", client)) is BrokerProtocolError
    with pytest.raises(BrokerProtocolError):
        await client.acquire_token_silent([SCOPE])
    assert broker.calls_of("acquireTokenSilently") == []


async def test_an_empty_list_of_accounts_is_no_error(broker: RunningFake, client: BrokerClient) -> None:
    broker.plant("raw_reply", reply='{"accounts": []}', method="getAccounts")
    assert await client.get_accounts() == []
    with pytest.raises(InteractionRequiredError, match="no account is signed in"):
        await client.acquire_token_silent([SCOPE])


async def test_nulls_in_an_account_read_as_absent(broker: RunningFake, client: BrokerClient) -> None:
    account = {**dict.fromkeys(ADA.model_dump(by_alias=True)), "homeAccountId": "a.b"}
    broker.plant("raw_reply", reply=json.dumps({"accounts": [account]}), method="getAccounts")
    (listed,) = await client.get_accounts()
    assert (listed.home_account_id, listed.username, listed.realm, listed.password_expiry) == ("a.b", "", "", 0)


BROKEN_COOKIES: dict[str, Any] = {
    "no items": {"cookieItems": []},
    "content missing": {"cookieName": "x-ms-RefreshTokenCredential"},
    "name missing": {"cookieContent": COOKIE},
    "name missing in a list": {"cookieItems": [{"cookieContent": COOKIE}]},
    "content null": {"cookieName": "x-ms-RefreshTokenCredential", "cookieContent": None},
    "content empty": {"cookieName": "x-ms-RefreshTokenCredential", "cookieContent": ""},
    "name empty": {"cookieName": "", "cookieContent": COOKIE},
    "name a number": {"cookieName": 7, "cookieContent": COOKIE},
    "content an array": {"cookieName": "x-ms-RefreshTokenCredential", "cookieContent": [COOKIE]},
    "one of two empty": {
        "cookieItems": [{"cookieName": "a", "cookieContent": COOKIE}, {"cookieName": "b", "cookieContent": ""}]
    },
    **each("items", [None, 7, "text", {}, [7], [None], [[]], [{}]], lambda value: {"cookieItems": value}),
}


@pytest.mark.parametrize("reply", BROKEN_COOKIES.values(), ids=BROKEN_COOKIES)
async def test_a_broken_cookie_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, reply: dict[str, Any]
) -> None:
    broker.plant("raw_reply", reply=json.dumps(reply))
    assert type(await failure_of("cookie", client)) is BrokerProtocolError


@pytest.mark.parametrize("value", [None, "", 7, 2.5, True, [SIGNED], {"a": SIGNED}], ids=repr)
@pytest.mark.parametrize(
    ("operation", "key"), [("signed request", "signedHttpRequest"), ("version", "linuxBrokerVersion")]
)
async def test_a_text_that_is_none_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, operation: str, key: str, value: Any
) -> None:
    broker.plant("raw_reply", reply=json.dumps({key: value}))
    assert type(await failure_of(operation, client)) is BrokerProtocolError


CANCEL_FAULTS: dict[str, dict[str, Any]] = {
    "not JSON": {"kind": "raw_reply", "reply": "cancelled!"},
    "null": {"kind": "raw_reply", "reply": "null"},
    "an error": {"kind": "raw_reply", "reply": json.dumps({"error": error_body()})},
    "not a text": {"kind": "reply_not_text"},
    "Himmelblau": {"kind": "dbus_error", "context": "Not implemented"},
}


@pytest.mark.parametrize("fault", CANCEL_FAULTS.values(), ids=CANCEL_FAULTS)
async def test_a_broken_answer_to_a_cancellation_leaves_the_task_cancelled(
    broker: RunningFake, fault: dict[str, Any]
) -> None:
    broker.set_user("never")
    broker.plant(**fault, method="cancelInteractiveFlow")
    async with BrokerClient(CLIENT_ID, bus_address=broker.address, timeouts=Timeouts(cancel=0.1)) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive([SCOPE]))
        await broker.called("acquireTokenInteractively")
        sign_in.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sign_in
    assert len(broker.calls_of("cancelInteractiveFlow")) == 1


SEED = 20_241_123
MUTATIONS = 200
JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 10**18, 10**400, 0.5, "", " ", "0", "text", "\0", "\u202e", "🙂" * 50),
    *([], {}, [[]], [None], {"": ""}, {"error": {}}, TOKEN, f"Bearer {TOKEN}"),
]
Path = tuple[str | int, ...]


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a JSON document, the root excluded."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def parent_of(document: Any, path: Path) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def mutated(chance: random.Random, good: str) -> str:
    """A good reply with one to three things changed in the document, and sometimes one in its text."""
    document: Any = json.loads(good)
    for _ in range(chance.randint(1, 3)):
        everywhere = list(places(document))
        if not everywhere:
            break
        path, other = chance.choice(everywhere), chance.choice(everywhere)
        parent, key = parent_of(document, path), path[-1]
        match chance.choice(["replace", "replace", "remove", "swap", "wrap", "as text", "rename", "error"]):
            case "replace":
                parent[key] = deepcopy(chance.choice(JUNK))
            case "remove":
                del parent[key]
            case "swap" if path != other[: len(path)] and other != path[: len(other)]:
                elsewhere = parent_of(document, other)
                parent[key], elsewhere[other[-1]] = elsewhere[other[-1]], parent[key]
            case "wrap":
                parent[key] = [parent[key]]
            case "as text":
                parent[key] = json.dumps(parent[key])
            case "rename" if isinstance(parent, dict):
                parent[str(chance.choice(JUNK))] = parent.pop(key)
            case "error":
                part = document.get("brokerTokenResponse")
                target = part if isinstance(part, dict) and chance.random() < 0.5 else document
                target["error"] = error_body(context=f"refused: {json.dumps(parent[key])}")
            case _:
                pass
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.3:
        start = chance.randrange(len(text))
        end = start + chance.choice([0, 0, 1, 2, 30])
        text = text[:start] + chance.choice(["", '"', "}", "\\", "\\ud800", ",", "[", "9" * 20, "é"]) + text[end:]
    return text


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for item in node.values() if isinstance(node, dict) else node:
            yield from strings(item)


@pytest.mark.thorough
@pytest.mark.parametrize("persona", ["microsoft-2.0.1", "microsoft-2.5.2"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_mutated_reply_gives_a_result_or_an_error_of_ours_and_shows_no_secret(
    caplog: pytest.LogCaptureFixture, operation: str, persona: str
) -> None:
    member, call = OPERATIONS[operation]
    chance = random.Random(f"{SEED} {operation} {persona}")
    errors: list[BrokerError] = []
    with RunningFake(FakeConfig(persona=PersonaName(persona))) as broker:
        async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
            good = await good_reply(broker, client, operation)
            secrets = (TOKEN, *(text for text in strings(json.loads(good)) if len(text) > 200))
            for number in range(MUTATIONS):
                reply = mutated(chance, good)
                broker.plant("raw_reply", reply=reply, method=member, times=1)
                print(f"seed {SEED}, mutation {number}: {reply!r:.4000}")
                try:
                    await call(client)
                except BrokerError as error:
                    errors.append(error)
                    assert_nothing_secret(shown_by(error), secrets)
    assert_nothing_secret(caplog.text, secrets)
    assert 0 < len(errors) < MUTATIONS


async def good_reply(broker: RunningFake, client: BrokerClient, operation: str) -> str:
    """What the fake broker really answers to the operation, as text; with some telemetry in every case."""
    member, call = OPERATIONS[operation]
    await call(client)
    (made,) = broker.calls_of(member)
    broker.reset()
    transport = BrokerTransport(broker.address, Timeouts(), 1_000_000)
    request = json.dumps(made.request).replace('"(hidden)"', json.dumps(PASSWORD))  # the journal keeps none
    arguments = (made.protocol_version, made.correlation_id, request)
    try:
        reply = await transport.call(member, lambda: arguments, CallOptions(limit=60.0))
    finally:
        transport.close()
    return json.dumps({"telemetry": {"broker_version": "2.5.2"}, **json.loads(reply)})


@pytest.mark.parametrize("odd", [{}, 7, None, {"homeAccountId": None, "username": "broken@contoso.example"}])
async def test_an_account_that_makes_no_sense_costs_only_itself(
    broker: RunningFake, client: BrokerClient, odd: Any
) -> None:
    ada = ADA.model_dump(by_alias=True)
    broker.plant("raw_reply", method="getAccounts", reply=json.dumps({"accounts": [odd, ada, odd]}))
    assert [account.username for account in await client.get_accounts()] == [UPN]


@pytest.mark.parametrize("odd", [{}, 7, {"username": UPN}])
async def test_an_odd_account_beside_a_cookie_costs_only_itself(
    broker: RunningFake, client: BrokerClient, odd: Any
) -> None:
    cookie = {"account": odd, "cookieName": "x-ms-RefreshTokenCredential", "cookieContent": COOKIE}
    broker.plant("raw_reply", method="acquirePrtSsoCookie", reply=json.dumps(cookie))
    assert [item.content for item in await client.acquire_prt_sso_cookie(ADA)] == [COOKIE]


async def test_a_cookie_of_another_account_is_an_error(broker: RunningFake, client: BrokerClient) -> None:
    other = {"homeAccountId": "b." + ADA.home_tenant, "username": "grace@contoso.example"}
    cookie = {"account": other, "cookieName": "x-ms-RefreshTokenCredential", "cookieContent": COOKIE}
    broker.plant("raw_reply", method="acquirePrtSsoCookie", reply=json.dumps(cookie))
    assert type(await failure_of("cookie", client)) is MismatchedTokenError


async def test_a_sign_out_reply_of_very_many_items_is_read_at_once(broker: RunningFake, client: BrokerClient) -> None:
    broker.plant("raw_reply", method="removeAccount", reply=json.dumps({"items": [[]] * 149_000}))
    await client.remove_account(ADA)  # by moving a list for each of its items it would be an hour


TEXTS_THAT_MEAN_SOMETHING_ELSE = [
    "Unable to find account key in TPM",
    "Missing accounts database",
    "Failed to authenticate userland",
    "Not implemented on Linux platform, but elsewhere",
]


@pytest.mark.parametrize("said", TEXTS_THAT_MEAN_SOMETHING_ELSE)
async def test_a_text_that_merely_begins_like_one_that_is_known_means_nothing(
    broker: RunningFake, client: BrokerClient, said: str
) -> None:
    broker.plant("status", status=0, context=said)
    assert type(await failure_of("silent", client)) is BrokerResponseError


async def test_what_stands_behind_a_long_text_counts_too(broker: RunningFake, client: BrokerClient) -> None:
    said = "word " * 1000 + "AADSTS50058: sign in. suberror: 'token_expired'"
    broker.plant("status", status=0, context=said, tag=0)
    error = await failure_of("silent", client)
    assert isinstance(error, InteractionRequiredError)
    assert error.sub_error == "token_expired"


async def test_a_users_name_is_no_way_to_the_terminal(broker: RunningFake, client: BrokerClient) -> None:
    evil = ADA.model_copy(update={"username": "\x1b[31mevil\x07@x"})
    for fault in ({"kind": "status", "status": 2}, {"kind": "reply_not_text"}):
        broker.clear_faults()
        broker.plant(**fault)
        with pytest.raises(BrokerError) as caught:
            await client.acquire_token_silent([SCOPE], evil)
        assert str(caught.value).isprintable()


NO_COOKIES = [("a b", "c"), ("a:", "c"), ("", "c"), ("a\n", "c"), ("a", ""), ("a", "b\r\nX: y"), ("a", "b c")]


@pytest.mark.parametrize(("name", "content"), NO_COOKIES)
async def test_a_cookie_that_no_header_can_carry_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient, name: str, content: str
) -> None:
    broker.plant("raw_reply", reply=json.dumps({"cookieItems": [{"cookieName": name, "cookieContent": content}]}))
    assert type(await failure_of("cookie", client)) is BrokerProtocolError


async def test_a_signed_request_that_no_header_can_carry_is_a_protocol_error(
    broker: RunningFake, client: BrokerClient
) -> None:
    broker.plant("raw_reply", reply=json.dumps({"signedHttpRequest": "a\r\nX: y"}))
    assert type(await failure_of("signed request", client)) is BrokerProtocolError
