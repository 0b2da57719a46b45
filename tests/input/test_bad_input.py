"""Arguments that can't be right are refused by name, before anything is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from linuxbroker import Account, BrokerClient, BrokerError, InvalidArgumentError, PopAuthScheme, Timeouts
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, SCOPES

UPN = "ada@contoso.example"
ADA = Account(
    home_account_id="00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
    realm="00000000-0000-0000-0000-0000000000f1",
    username=UPN,
)
SIGNED_REQUEST = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")

# What makes each operation succeed; a test below puts one wrong value into it.
GOOD: dict[str, dict[str, Any]] = {
    "get_accounts": {},
    "get_account": {"username": UPN},
    "acquire_token_silent": {"scopes": SCOPES, "account": ADA},
    "acquire_token_interactive": {"scopes": SCOPES},
    "acquire_token_by_username_password": {
        "username": UPN,
        "password": "not-a-real-password-ada",
        "scopes": SCOPES,
    },
    "acquire_prt_sso_cookie": {"account": ADA},
    "generate_signed_http_request": {"account": ADA, "auth_scheme": SIGNED_REQUEST},
    "remove_account": {"account": ADA},
    "get_linux_broker_version": {},
}
TOKEN_TEXTS = ("authority", "claims_challenge", "correlation_id")
# The arguments that are texts, each of which goes over the wire.
TEXTS: dict[str, tuple[str, ...]] = {
    "get_accounts": ("correlation_id",),
    "get_account": ("username", "tenant", "correlation_id"),
    "acquire_token_silent": (*TOKEN_TEXTS, "access_token_to_renew"),
    "acquire_token_interactive": (*TOKEN_TEXTS, "access_token_to_renew", "login_hint", "prompt"),
    "acquire_token_by_username_password": (*TOKEN_TEXTS, "username", "password"),
    "acquire_prt_sso_cookie": ("sso_url", "authority", "correlation_id"),
    "generate_signed_http_request": ("correlation_id",),
    "remove_account": ("correlation_id",),
    "get_linux_broker_version": ("correlation_id",),
}
TAKE_SCOPES = [name for name, texts in TEXTS.items() if "authority" in texts]
TAKE_TOKEN_OPTIONS = [name for name, texts in TEXTS.items() if "claims_challenge" in texts]
NEED_AN_ACCOUNT = ["acquire_prt_sso_cookie", "generate_signed_http_request", "remove_account"]
TAKE_AN_ACCOUNT = [*NEED_AN_ACCOUNT, "acquire_token_silent", "acquire_token_interactive"]

NO_TEXT: dict[str, Any] = {
    "NUL": "a\0b",
    "half a surrogate pair": "a\ud800b",
    "10 MB": "a" * 10_000_000,
    "int": 7,
    "zero": 0,
    "False": False,
    "bytes": b"bytes",
    "no bytes": b"",
    "list": ["a"],
    "empty list": [],
    "dict": {"a": "b"},
    "object": object(),
}
TEXT_CASES = [
    pytest.param(operation, argument, wrong, id=f"{operation}-{argument}-{what}")
    for operation, arguments in TEXTS.items()
    for argument in arguments
    for what, wrong in NO_TEXT.items()
]
# An argument that must be given is no better for being None or empty.
REQUIRED_TEXT_CASES = [
    pytest.param(operation, argument, wrong, id=f"{operation}-{argument}-{what}")
    for operation, argument in (
        ("get_account", "username"),
        ("acquire_token_by_username_password", "username"),
        ("acquire_token_by_username_password", "password"),
    )
    for what, wrong in (("None", None), ("empty", ""))
]
REQUIRED_TEXT_CASES.append(
    pytest.param("acquire_prt_sso_cookie", "sso_url", "", id="acquire_prt_sso_cookie-sso_url-empty")
)
BAD_SCOPES: dict[str, Any] = {
    "none at all": [],
    "a str": "https://graph.microsoft.com/User.Read",
    "bytes": b"https://graph.microsoft.com/User.Read",
    "None": None,
    "an int": 7,
    "a dict": {"https://graph.microsoft.com/User.Read": "x"},
    "an iterator": iter(SCOPES),
    "openid": ["openid"],
    "profile, among good ones": [*SCOPES, "profile"],
    "offline_access, in capitals": ["OFFLINE_ACCESS"],
    "two in one text": ["https://graph.microsoft.com/User.Read https://graph.microsoft.com/Mail.Read"],
    "a line break": ["https://graph.microsoft.com/User.Read\n"],
    "an empty item": [""],
    "an int as item": [*SCOPES, 7],
    "None as item": [None],
    "bytes as item": [b"https://graph.microsoft.com/User.Read"],
    "a set of unlike items": {"https://graph.microsoft.com/User.Read", 7},
    "NUL": ["User.Read\0"],
    "half a surrogate pair": ["User.Read\udfff"],
    "10 MB": ["a" * 10_000_000],
}
BAD_AUTHORITIES = {
    "http": "http://login.microsoftonline.com/common",
    "no scheme": "login.microsoftonline.com/common",
    "no tenant": "https://login.microsoftonline.com",
    "no tenant but a slash": "https://login.microsoftonline.com/",
    "no host": "https:///common",
    "user": "https://ada@login.microsoftonline.com/common",
    "user and password": "https://ada:pw@login.microsoftonline.com/common",
    "password alone": "https://:pw@login.microsoftonline.com/common",
    "empty user": "https://@login.microsoftonline.com/common",
    "port that is none": "https://login.microsoftonline.com:port/common",
    "port too high": "https://login.microsoftonline.com:65536/common",
    "half an IPv6 address": "https://[::1/common",
    "white space": "https://login.microsoftonline.com/com mon",
    "line break": "https://login.microsoftonline.com/common\n",
    "empty": "",
}
BAD_CLAIMS = {
    "not JSON": "access_token",
    "base64, as in the header": "eyJhY2Nlc3NfdG9rZW4iOnt9fQ==",
    "a JSON array": '["access_token"]',
    "a JSON text": '"access_token"',
    "null": "null",
    "cut short": '{"access_token":',
    "100,000 brackets": '{"a":' + "[" * 100_000,
    "10 MB of good JSON": json.dumps({"access_token": {"nbf": {"value": "1" * 10_000_000}}}),
}
BAD_CORRELATION_IDS = {
    "empty": "",
    "no UUID": "correlation",
    "no hyphens": "0" * 32,
    "braces": "{00000000-0000-0000-0000-000000000000}",
    "line break behind": "00000000-0000-0000-0000-000000000000\n",
    "digits of another script": "٠٠٠٠٠٠٠٠-0000-0000-0000-000000000000",
}
BAD_PROMPTS = {"empty": "", "unknown": "always", "capitals": "LOGIN", "two": "login consent"}
BAD_WINDOW_HANDLES: dict[str, Any] = {
    "negative": -1,
    "too large": 2**63,
    "True": True,
    "float": 1.0,
    "text": "1",
    "bytes": b"1",
    "list": [1],
}
RESERVED_PARAMETERS = (
    *("domain_hint", "client_id", "redirect_uri", "response_type", "scope"),
    *("prompt", "nonce", "username", "password", "refresh_token", "request", "dc", "itver", "Domain_Hint"),
)
BAD_QUERIES: dict[str, Any] = {
    **{name: {name: "x"} for name in RESERVED_PARAMETERS},
    "text": "max_age=1",
    "list of pairs": [("max_age", "1")],
    "int": 7,
    "empty list": [],
    "int as value": {"max_age": 1},
    "None as value": {"max_age": None},
    "bytes as value": {"max_age": b"1"},
    "int as key": {1: "max_age"},
    "empty key": {"": "1"},
    "bytes as key": {b"max_age": "1"},
    "NUL in a value": {"max_age": "1\0"},
    "NUL in a key": {"max_age\0": "1"},
    "half a surrogate pair in a value": {"max_age": "\ud800"},
    "half a surrogate pair in a key": {"\ud800": "1"},
    "10 MB": {"max_age": "1" * 10_000_000},
    "SSH certificate without key": {"token_type": "ssh-cert"},
}
NO_ACCOUNTS: dict[str, Any] = {
    "dict": {"homeAccountId": ADA.home_account_id, "username": UPN},
    "UPN": UPN,
    "empty text": "",
    "int": 7,
    "zero": 0,
    "list": [ADA],
    "what JSON can't carry": Account.model_validate({"homeAccountId": "x", "unknown": object()}),
    "half a surrogate pair in an unknown key": Account.model_validate({"homeAccountId": "x", "unknown": "\ud800"}),
}
NO_SCHEMES: dict[str, Any] = {
    "dict": {"http_method": "GET", "url": "https://graph.microsoft.com/v1.0/me"},
    "empty dict": {},
    "text": "pop",
    "empty text": "",
    "int": 7,
    "class": PopAuthScheme,
}
NO_CAPABILITIES: dict[str, Any] = {
    "a str": "CP1",
    "an empty str": "",
    "bytes": b"CP1",
    "an int": 1,
    "zero": 0,
    "False": False,
    "a dict": {"CP1": True},
    "a set": {"CP1"},
    "an iterator": iter(["CP1"]),
    "an int as item": ["CP1", 1],
    "None as item": [None],
    "an empty item": [""],
    "bytes as item": [b"CP1"],
    "a list as item": [["CP1"]],
    "NUL": ["CP1\0"],
    "half a surrogate pair": ["\ud800"],
    "10 MB": ["C" * 10_000_000],
}
Refused = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningFake]:
    with RunningFake() as running:
        yield running


@pytest.fixture
def refused(broker: RunningFake) -> Refused:
    """Calls an operation with one wrong argument: it must raise, name the argument, quote nothing, and send nothing."""
    broker.clear_calls()

    async def call(operation: str, argument: str, wrong: object, **others: object) -> None:
        async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
            method: Callable[..., Awaitable[object]] = getattr(client, operation)
            with pytest.raises(InvalidArgumentError) as caught:
                await method(**{**GOOD[operation], **others, argument: wrong})
        assert argument in str(caught.value)
        assert len(str(caught.value)) < 300
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, BrokerError)
        assert broker.calls == ()

    return call


@pytest.mark.parametrize("operation", GOOD)
async def test_good_arguments_are_sent(broker: RunningFake, operation: str) -> None:
    broker.reset()
    async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
        method: Callable[..., Awaitable[object]] = getattr(client, operation)
        await method(**GOOD[operation])
    assert len(broker.calls) == 1


@pytest.mark.parametrize(("operation", "argument", "wrong"), [*TEXT_CASES, *REQUIRED_TEXT_CASES])
async def test_what_is_no_text_that_can_be_sent_is_refused(
    refused: Refused, operation: str, argument: str, wrong: object
) -> None:
    await refused(operation, argument, wrong)


@pytest.mark.parametrize("wrong", BAD_SCOPES.values(), ids=BAD_SCOPES)
@pytest.mark.parametrize("operation", TAKE_SCOPES)
async def test_scopes_that_ask_for_no_token_are_refused(refused: Refused, operation: str, wrong: object) -> None:
    await refused(operation, "scopes", wrong)


@pytest.mark.parametrize("wrong", BAD_AUTHORITIES.values(), ids=BAD_AUTHORITIES)
@pytest.mark.parametrize("operation", TAKE_SCOPES)
async def test_an_authority_that_is_not_https_host_tenant_is_refused(
    refused: Refused, operation: str, wrong: str
) -> None:
    await refused(operation, "authority", wrong)


@pytest.mark.parametrize("wrong", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
@pytest.mark.parametrize("operation", TAKE_TOKEN_OPTIONS)
async def test_a_claims_challenge_that_is_no_json_object_is_refused(
    refused: Refused, operation: str, wrong: str
) -> None:
    await refused(operation, "claims_challenge", wrong)


@pytest.mark.parametrize("wrong", BAD_CORRELATION_IDS.values(), ids=BAD_CORRELATION_IDS)
@pytest.mark.parametrize("operation", GOOD)
async def test_a_correlation_id_that_is_no_uuid_is_refused(refused: Refused, operation: str, wrong: str) -> None:
    await refused(operation, "correlation_id", wrong)


@pytest.mark.parametrize("wrong", BAD_PROMPTS.values(), ids=BAD_PROMPTS)
async def test_a_prompt_that_entra_does_not_know_is_refused(refused: Refused, wrong: str) -> None:
    await refused("acquire_token_interactive", "prompt", wrong)


@pytest.mark.parametrize("wrong", BAD_WINDOW_HANDLES.values(), ids=BAD_WINDOW_HANDLES)
async def test_a_window_handle_that_is_no_window_is_refused(refused: Refused, wrong: object) -> None:
    await refused("acquire_token_interactive", "parent_window_handle", wrong)


@pytest.mark.parametrize("wrong", BAD_QUERIES.values(), ids=BAD_QUERIES)
@pytest.mark.parametrize("operation", TAKE_TOKEN_OPTIONS)
async def test_query_parameters_that_are_reserved_or_no_texts_are_refused(
    refused: Refused, operation: str, wrong: object
) -> None:
    await refused(operation, "extra_query_parameters", wrong)


@pytest.mark.parametrize("wrong", NO_ACCOUNTS.values(), ids=NO_ACCOUNTS)
@pytest.mark.parametrize("operation", TAKE_AN_ACCOUNT)
async def test_an_account_that_is_none_of_get_accounts_is_refused(
    refused: Refused, operation: str, wrong: object
) -> None:
    await refused(operation, "account", wrong)


@pytest.mark.parametrize("operation", NEED_AN_ACCOUNT)
async def test_no_account_is_refused_where_there_must_be_one(refused: Refused, operation: str) -> None:
    await refused(operation, "account", None)


@pytest.mark.parametrize("wrong", NO_SCHEMES.values(), ids=NO_SCHEMES)
@pytest.mark.parametrize("operation", [*TAKE_TOKEN_OPTIONS, "generate_signed_http_request"])
async def test_an_auth_scheme_that_is_none_is_refused(refused: Refused, operation: str, wrong: object) -> None:
    await refused(operation, "auth_scheme", wrong)


@pytest.mark.parametrize("wrong", [None, PopAuthScheme(kid="a key")], ids=["None", "a key and no request"])
async def test_signing_needs_a_request_to_sign(refused: Refused, wrong: object) -> None:
    await refused("generate_signed_http_request", "auth_scheme", wrong)


@pytest.mark.parametrize("wrong", NO_CAPABILITIES.values(), ids=NO_CAPABILITIES)
@pytest.mark.parametrize("operation", ["acquire_token_silent", "acquire_token_interactive"])
async def test_capabilities_that_are_no_list_of_texts_are_refused(
    refused: Refused, operation: str, wrong: object
) -> None:
    await refused(operation, "client_capabilities", wrong)


@pytest.mark.parametrize("wrong", ["http://login.microsoftonline.com/", "login.microsoftonline.com", "https://a:b@c/"])
async def test_an_sso_url_that_is_not_https_is_refused(refused: Refused, wrong: str) -> None:
    await refused("acquire_prt_sso_cookie", "sso_url", wrong)


async def test_a_silent_call_without_account_is_checked_before_the_accounts_are_listed(refused: Refused) -> None:
    await refused("acquire_token_silent", "scopes", [], account=None)


async def test_the_message_does_not_quote_a_password(broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
        with pytest.raises(InvalidArgumentError, match="password contains a NUL") as caught:
            await client.acquire_token_by_username_password(UPN, "hunter2\0", SCOPES)
    assert "hunter2" not in str(caught.value)


async def test_a_uuid_object_is_a_correlation_id(broker: RunningFake) -> None:
    broker.reset()
    wanted = uuid4()
    async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
        await client.get_accounts(correlation_id=wanted)
    assert [call.correlation_id for call in broker.calls] == [str(wanted)]


BAD_CLIENTS: list[tuple[str, str, Any]] = [
    *(("client_id", what, wrong) for what, wrong in (*NO_TEXT.items(), ("None", None), ("empty", ""))),
    ("client_id", "no UUID", "my-app"),
    ("client_id", "no hyphens", "0" * 32),
    ("client_id", "line break behind", CLIENT_ID + "\n"),
    *(("authority", what, wrong) for what, wrong in (*NO_TEXT.items(), ("None", None), *BAD_AUTHORITIES.items())),
    *(("redirect_uri", what, wrong) for what, wrong in (*NO_TEXT.items(), ("None", None), ("empty", ""))),
    *(("client_capabilities", what, wrong) for what, wrong in NO_CAPABILITIES.items()),
    *(("bus_address", what, wrong) for what, wrong in NO_TEXT.items()),
    *(("timeouts", what, wrong) for what, wrong in (("a number", 5.0), ("zero", 0), ("a dict", {"call": 5.0}))),
    *(
        ("max_reply_bytes", what, wrong)
        for what, wrong in (
            ("zero", 0),
            ("negative", -1),
            ("None", None),
            ("True", True),
            ("float", 1e6),
            ("text", "9"),
        )
    ),
]


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [pytest.param(argument, wrong, id=f"{argument}-{what}") for argument, what, wrong in BAD_CLIENTS],
)
def test_a_client_is_not_made_with_a_wrong_argument(argument: str, wrong: Any) -> None:
    arguments: dict[str, Any] = {"client_id": CLIENT_ID, argument: wrong}
    with pytest.raises(InvalidArgumentError, match=argument):
        BrokerClient(**arguments)


BAD_SCHEMES: list[tuple[str, str, dict[str, Any]]] = [
    ("http_method", "url alone", {"http_method": None}),
    ("url", "http_method alone", {"url": None}),
    ("kid", "nothing", {"http_method": None, "url": None}),
    *(("http_method", what, {"http_method": wrong}) for what, wrong in NO_TEXT.items()),
    ("http_method", "empty", {"http_method": ""}),
    ("http_method", "two", {"http_method": "GET POST"}),
    ("http_method", "line break", {"http_method": "GET\n"}),
    ("http_method", "digits", {"http_method": "GET2"}),
    *(("url", what, {"url": wrong}) for what, wrong in NO_TEXT.items()),
    ("url", "empty", {"url": ""}),
    ("url", "http", {"url": "http://graph.microsoft.com/v1.0/me"}),
    ("url", "no scheme", {"url": "graph.microsoft.com/v1.0/me"}),
    ("url", "user info", {"url": "https://ada:pw@graph.microsoft.com/v1.0/me"}),
    ("url", "white space", {"url": "https://graph.microsoft.com/v1.0/m e"}),
    *(("nonce", what, {"nonce": wrong}) for what, wrong in NO_TEXT.items()),
    *(("kid", what, {"kid": wrong}) for what, wrong in NO_TEXT.items()),
    ("kid", "empty", {"kid": ""}),
    *(("client_claims", what, {"client_claims": wrong}) for what, wrong in (*NO_TEXT.items(), *BAD_CLAIMS.items())),
]


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [pytest.param(argument, wrong, id=f"{argument}-{what}") for argument, what, wrong in BAD_SCHEMES],
)
def test_an_auth_scheme_is_not_made_with_a_wrong_argument(argument: str, wrong: dict[str, Any]) -> None:
    good = {"http_method": "GET", "url": "https://graph.microsoft.com/v1.0/me"}
    with pytest.raises(InvalidArgumentError, match=argument):
        PopAuthScheme(**{**good, **wrong})


@pytest.mark.parametrize("name", ["connect", "call", "interactive", "ping", "cancel", "start_up"])
@pytest.mark.parametrize("wrong", [-1, -0.5, math.nan, True, "5", b"5", [5], 10**400, -(10**400), -math.inf], ids=str)
def test_a_time_limit_that_is_no_number_of_seconds_is_refused(name: str, wrong: Any) -> None:
    arguments: dict[str, Any] = {name: wrong}
    with pytest.raises(InvalidArgumentError, match=name):
        Timeouts(**arguments)


@pytest.mark.parametrize("long", [10**308, 1e308, math.inf], ids=["int", "float", "inf"])
async def test_a_time_limit_may_be_longer_than_anybody_lives(fake_broker: RunningFake, long: float) -> None:
    limits = Timeouts(connect=long, call=long, interactive=long, ping=long, cancel=long, start_up=long)
    async with BrokerClient(CLIENT_ID, timeouts=limits) as client:
        assert await client.is_available()
        assert (await client.acquire_token_interactive(SCOPES)).access_token
