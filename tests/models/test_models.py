"""The wire types: frozen, nothing lost, quirks normalized, and in accordance with the schemas."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import FrozenInstanceError
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from linuxbroker import (
    Account,
    BrokerClient,
    BrokerProtocolError,
    BrokerResponseError,
    PopAuthScheme,
    Status,
    Timeouts,
    UnsupportedOperationError,
)
from linuxbroker.bus import RemoteError
from linuxbroker.call.transport import BrokerTransport
from linuxbroker.resources import interface_xml, interfaces_folder
from linuxbroker.tokens.accounts import pick_account
from linuxbroker.wire import models
from linuxbroker.wire.calls import CallOptions
from linuxbroker.wire.models import BrokerErrorBody, tag_name
from linuxbroker_fake import Call, FakeConfig, PersonaName, RunningFake
from tests.constants import CLIENT_ID, CONTOSO, FABRIKAM, SCOPES

UPN = "ada@contoso.example"
PASSWORD = "not-a-real-password-ada"
ADA_ID = f"00000000-0000-0000-0000-0000000000a1.{CONTOSO}"
SIGNED_REQUEST = PopAuthScheme(
    http_method="GET", url="https://graph.microsoft.com/v1.0/me", nonce="n", client_claims='{"a": 1}'
)
RECORDING = Path(__file__).parents[1] / "client" / "recordings" / "msalruntime.jsonl"


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


# Frozen


async def test_an_account_can_not_be_changed(client: BrokerClient) -> None:
    account = (await client.get_accounts())[0]
    with pytest.raises(ValidationError, match="frozen"):
        setattr(account, "username", "grace@fabrikam.example")  # noqa: B010 - the type checkers refuse the plain way
    assert account.username == UPN


def test_an_account_that_is_refused_is_not_quoted() -> None:
    with pytest.raises(ValidationError, match="clientInfo") as caught:
        Account.model_validate({"homeAccountId": ADA_ID, "clientInfo": ["a secret"]})
    assert "a secret" not in str(caught.value)


async def test_results_can_not_be_changed(client: BrokerClient) -> None:
    account = (await client.get_accounts())[0]
    token = await client.acquire_token_silent(SCOPES, account)
    cookie = (await client.acquire_prt_sso_cookie(account))[0]
    for result, name in ((token, "access_token"), (cookie, "content"), (SIGNED_REQUEST, "nonce"), (Timeouts(), "call")):
        with pytest.raises(FrozenInstanceError):
            setattr(result, name, None)


@pytest.mark.parametrize("name", [name for name in models.__all__ if name.endswith(("Request", "Reply", "Body"))])
def test_every_wire_type_is_frozen_and_keeps_unknown_keys(name: str) -> None:
    kind: type[models.WireModel] = getattr(models, name)
    assert kind.model_config.get("frozen") is True
    assert kind.model_config.get("extra") == "allow"


# Accounts

UNKNOWN_KEYS: dict[str, Any] = {
    "brokerSecret": "opaque",
    "nested": {"deep": [1, 2.5, None, {"true": True}]},
    "snake_case": "kept",
    "model_config": "a name that pydantic uses",
    "copy": "a name that pydantic uses",
    "username2": "ﬀ\u0000🙂",
    "bigNumber": 2**70,
    "homeTenant": "a name that Account uses",
    "": "no name at all",
}


async def test_unknown_keys_of_an_account_go_back_to_the_broker_as_they_came(
    broker: RunningFake, client: BrokerClient
) -> None:
    account = {"homeAccountId": ADA_ID, "username": UPN, "realm": CONTOSO, **UNKNOWN_KEYS}
    broker.plant("raw_reply", method="getAccounts", reply=json.dumps({"accounts": [account]}))
    (listed,) = await client.get_accounts()
    await client.acquire_token_silent(SCOPES, listed)
    (call,) = broker.calls_of("acquireTokenSilently")
    sent = call.request["authParameters"]["account"]
    assert {key: sent[key] for key in account} == account


@pytest.mark.parametrize("key", ["home_account_id", "client_info"])
async def test_an_unknown_key_that_looks_like_a_python_name_does_not_take_the_place_of_the_known_one(
    broker: RunningFake, client: BrokerClient, key: str
) -> None:
    account = {"homeAccountId": ADA_ID, "clientInfo": "e30", key: "another"}
    broker.plant("raw_reply", method="getAccounts", reply=json.dumps({"accounts": [account]}))
    (listed,) = await client.get_accounts()
    assert (listed.home_account_id, listed.client_info) == (ADA_ID, "e30")
    await client.acquire_token_silent(SCOPES, listed)
    (call,) = broker.calls_of("acquireTokenSilently")
    sent = call.request["authParameters"]["account"]
    assert {name: sent[name] for name in account} == account


async def test_an_account_shows_the_preferred_login_host_and_no_client_info(client: BrokerClient) -> None:
    account = (await client.get_accounts())[0]
    assert account.environment == "login.microsoftonline.com"
    assert account.client_info
    assert account.client_info not in repr(account) + str(account)
    assert "username='ada@contoso.example'" in repr(account)


def test_a_reply_does_not_show_its_telemetry() -> None:
    reply = models.GetAccountsReply.model_validate({"accounts": [], "telemetry": {"key": "of the broker's"}})
    assert repr(reply) == "GetAccountsReply(error=None, accounts=[])"


async def test_an_account_survives_being_stored_as_json(broker: RunningFake, client: BrokerClient) -> None:
    account = (await client.get_accounts())[0]
    again = Account.model_validate_json(account.to_json())
    await client.acquire_token_silent(SCOPES, account)
    await client.acquire_token_silent(SCOPES, again)
    first, second = broker.calls_of("acquireTokenSilently")
    assert first.request["authParameters"]["account"] == second.request["authParameters"]["account"]


async def test_a_upn_means_the_record_of_its_home_tenant(client: BrokerClient) -> None:
    account = await client.get_account(UPN)
    assert account is not None
    assert (account.username, account.realm, account.home_tenant) == (UPN, CONTOSO, CONTOSO)


async def test_a_upn_and_a_tenant_mean_that_tenants_record(client: BrokerClient) -> None:
    account = await client.get_account(UPN, FABRIKAM)
    assert account is not None
    assert (account.username, account.realm, account.home_tenant) == (UPN, FABRIKAM, CONTOSO)


async def test_upns_and_tenants_compare_case_insensitively(client: BrokerClient) -> None:
    assert await client.get_account("ADA@Contoso.Example") == await client.get_account(UPN)
    assert await client.get_account(UPN.upper(), FABRIKAM.upper()) == await client.get_account(UPN, FABRIKAM)


async def test_nobody_is_found_by_an_unknown_upn_or_tenant(client: BrokerClient) -> None:
    assert await client.get_account("nobody@contoso.example") is None
    assert await client.get_account("grace@fabrikam.example", CONTOSO) is None


def record(realm: str, home_tenant: str = CONTOSO) -> Account:
    return Account(home_account_id=f"oid.{home_tenant}", realm=realm, username=UPN)


def test_the_home_tenants_record_is_picked_wherever_it_stands_in_the_list() -> None:
    assert pick_account([record(FABRIKAM), record(CONTOSO)], UPN) == record(CONTOSO)
    assert pick_account([record(CONTOSO), record(FABRIKAM)], UPN) == record(CONTOSO)


def test_the_home_tenant_is_known_in_any_case_of_its_letters() -> None:
    tenant = "00000000-0000-0000-0000-00000000ABCD"
    assert pick_account([record(FABRIKAM, tenant), record(tenant.lower(), tenant)], UPN) == record(
        tenant.lower(), tenant
    )


def test_the_first_record_is_picked_where_no_tenant_is_home() -> None:
    assert pick_account([record("other"), record(FABRIKAM)], UPN) == record("other")
    assert pick_account([record("", ""), record(FABRIKAM)], UPN) == record("", "")


# Cookies


async def cookies_of(persona: PersonaName) -> list[str]:
    with RunningFake(FakeConfig(persona=persona)) as broker:
        async with BrokerClient(CLIENT_ID, bus_address=broker.address) as client:
            account = (await client.get_accounts())[0]
            return [cookie.name for cookie in await client.acquire_prt_sso_cookie(account)]


async def test_a_flat_cookie_reply_is_a_list_of_one() -> None:
    assert await cookies_of(PersonaName.MICROSOFT_JAVA) == ["x-ms-RefreshTokenCredential"]
    assert await cookies_of(PersonaName.HIMMELBLAU) == ["x-ms-RefreshTokenCredential"]


async def test_a_list_of_cookies_is_given_whole() -> None:
    assert await cookies_of(PersonaName.MICROSOFT_CPP) == ["x-ms-RefreshTokenCredential", "x-ms-DeviceCredential"]


FLAT = {"cookieName": "x-ms-RefreshTokenCredential", "cookieContent": "flat"}
ITEMS = {
    "cookieItems": [{"cookieName": "x-ms-RefreshTokenCredential", "cookieContent": "item", "new": 1}],
    "telemetry": {},
}


@pytest.mark.parametrize(
    ("reply", "content"),
    [
        (FLAT, "flat"),
        ({**FLAT, "account": {"homeAccountId": ADA_ID}}, "flat"),
        (ITEMS, "item"),
        ({**FLAT, **ITEMS}, "item"),
    ],
    ids=["flat", "flat with account", "list", "both"],
)
async def test_both_shapes_of_cookie_are_read(
    broker: RunningFake, client: BrokerClient, reply: dict[str, Any], content: str
) -> None:
    broker.plant("raw_reply", reply=json.dumps(reply))
    (cookie,) = await client.acquire_prt_sso_cookie(Account(home_account_id=ADA_ID))
    assert (cookie.name, cookie.content) == ("x-ms-RefreshTokenCredential", content)
    assert content not in repr(cookie) + str(cookie)


# Expiry


def jwt(**claims: Any) -> str:
    segments = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in segments), "signature"])


YEAR_2100 = 4_102_444_800
YEAR_2000 = 946_684_800
OPAQUE = "an-opaque-token"
EXPIRIES: dict[str, tuple[str, Any, int]] = {
    "milliseconds": (OPAQUE, YEAR_2100 * 1000, YEAR_2100),
    "milliseconds in a text": (OPAQUE, f"{YEAR_2100}000", YEAR_2100),
    "seconds": (OPAQUE, YEAR_2100, YEAR_2100),
    "seconds in a text": (OPAQUE, str(YEAR_2100), YEAR_2100),
    "the largest number of seconds": (OPAQUE, 99_999_999_999, 99_999_999_999),
    "the smallest number of milliseconds": (OPAQUE, 100_000_000_000, 100_000_000),
    "the past": (OPAQUE, YEAR_2000 * 1000, YEAR_2000),
    "a JWT that says otherwise": (jwt(exp=YEAR_2000), YEAR_2100 * 1000, YEAR_2000),
    "a JWT that agrees": (jwt(exp=YEAR_2100), YEAR_2100 * 1000, YEAR_2100),
    "a JWT alone": (jwt(exp=YEAR_2100), None, YEAR_2100),
    "a JWT and an absurd number": (jwt(exp=YEAR_2100), 10**30, YEAR_2100),
    "a JWT and a negative number": (jwt(exp=YEAR_2100), -1, YEAR_2100),
    "a JWT and Himmelblau's mixture": (jwt(exp=YEAR_2100), YEAR_2000 * 1000 + 3600, YEAR_2100),
    "a JWT without exp": (jwt(sub="x"), YEAR_2100 * 1000, YEAR_2100),
    "a JWT whose exp is a text": (jwt(exp="soon"), YEAR_2100 * 1000, YEAR_2100),
    "a JWT whose exp is true": (jwt(exp=True), YEAR_2100 * 1000, YEAR_2100),
    "a JWT whose exp is negative": (jwt(exp=-1), YEAR_2100 * 1000, YEAR_2100),
    "a JWT whose exp is huge": (jwt(exp=10**400), YEAR_2100 * 1000, YEAR_2100),
    "a signed request around a JWT": (jwt(at=jwt(exp=YEAR_2100), exp=YEAR_2000), YEAR_2000 * 1000, YEAR_2100),
    "no JWT for all its dots": ("a.b.c", YEAR_2100 * 1000, YEAR_2100),
    "five segments": ("eyJ.a.b.c.d", YEAR_2100 * 1000, YEAR_2100),
}


@pytest.mark.parametrize(("token", "on_wire", "expected"), EXPIRIES.values(), ids=EXPIRIES)
async def test_the_expiry_is_an_aware_time_and_the_jwts_own_wins(
    broker: RunningFake, client: BrokerClient, token: str, on_wire: Any, expected: int
) -> None:
    reply = {"brokerTokenResponse": {"accessToken": token, "accessTokenType": 0, "expiresOn": on_wire}}
    broker.plant("raw_reply", reply=json.dumps(reply))
    result = await client.acquire_token_silent(SCOPES, Account(home_account_id=ADA_ID))
    assert result.expires_on == datetime.fromtimestamp(expected, tz=timezone.utc)
    assert result.expires_on.tzinfo is timezone.utc


@pytest.mark.parametrize("on_wire", [None, "", 0, -1, -YEAR_2100 * 1000, 10**18, 10**400])
async def test_an_opaque_token_without_a_sensible_expiry_is_refused(
    broker: RunningFake, client: BrokerClient, on_wire: Any
) -> None:
    reply = {"brokerTokenResponse": {"accessToken": OPAQUE, "accessTokenType": 0, "expiresOn": on_wire}}
    broker.plant("raw_reply", reply=json.dumps(reply))
    with pytest.raises(BrokerProtocolError):
        await client.acquire_token_silent(SCOPES, Account(home_account_id=ADA_ID))


@pytest.mark.parametrize("kind", [{}, {"accessTokenType": None}], ids=["missing", "null"])
async def test_a_token_without_a_type_is_a_bearer_token(
    broker: RunningFake, client: BrokerClient, kind: dict[str, None]
) -> None:
    token = {"accessToken": OPAQUE, "expiresOn": 4_102_444_800_000, **kind}
    broker.plant("raw_reply", reply=json.dumps({"brokerTokenResponse": token}))
    result = await client.acquire_token_silent(SCOPES, Account(home_account_id=ADA_ID))
    assert result.token_type == "Bearer"


# Tags and statuses


@pytest.mark.parametrize("error", [{}, dict.fromkeys(("context", "errorCode", "status", "subStatus", "tag"))])
async def test_an_error_that_says_nothing_has_zeros(
    broker: RunningFake, client: BrokerClient, error: dict[str, None]
) -> None:
    broker.plant("raw_reply", reply=json.dumps({"error": error}))
    with pytest.raises(BrokerResponseError) as caught:
        await client.acquire_token_silent(SCOPES, Account(home_account_id=ADA_ID))
    failure = caught.value
    assert (failure.context, failure.error_code, failure.status, failure.sub_status, failure.tag) == ("", 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (595719680, "965ya"),
        (579379414, "88kdw"),
        (0b000000_000000_000000_000000_000001, "aaaab"),
        (0b100011_100011_100011_100011_100011, "99999"),
        (0b011001_011010_000000_000000_000000, "z0aaa"),
        (0, ""),
        (-1, ""),
        (1 << 30, ""),
        (0b100100, ""),
        (10**400, ""),
    ],
)
def test_a_tag_is_spelt_as_microsofts_logs_spell_it(tag: int, name: str) -> None:
    assert tag_name(tag) == name


WIRE_NAMES = [
    "Unexpected",
    "Reserved",
    "InteractionRequired",
    "NoNetwork",
    "NetworkTemporarilyUnavailable",
    "ServerTemporarilyUnavailable",
    "ApiContractViolation",
    "UserCanceled",
    "ApplicationCanceled",
    "IncorrectConfiguration",
    "InsufficientBuffer",
    "AuthorityUntrusted",
    "UserSwitch",
    "AccountUnusable",
    "UserDataRemovalRequired",
    "TransientError",
    "AccountSwitch",
    "DeviceNotRegistered",
    "KeyNotFound",
    "AccountNotFound",
    "RequiredBrokerMissing",
    "FallbackToNativeMsal",
]


def test_the_statuses_are_those_of_the_wire_in_their_order() -> None:
    assert [status.wire_name for status in Status] == WIRE_NAMES
    assert [int(status) for status in Status] == list(range(22))


@pytest.mark.parametrize("number", [22, 99, -1, 2**31, 10**400])
def test_an_unknown_status_reads_as_unexpected(number: int) -> None:
    assert Status(number) is Status.UNEXPECTED
    assert BrokerErrorBody.model_validate({"status": number}).status == number


# Schemas


def annotated(kind: str) -> dict[str, str]:
    """The type that the interface XML names for each method's request or reply."""
    return {
        method.attrib["name"]: annotation.attrib["value"]
        for method in ElementTree.fromstring(interface_xml()).iter("method")
        for annotation in method.iter("annotation")
        if annotation.attrib["name"].endswith(f".{kind}Type")
    }


def schema(name: str) -> Draft202012Validator:
    document = json.loads((interfaces_folder() / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


REQUEST_SCHEMAS = {method: schema(name) for method, name in annotated("Request").items()}
REPLY_SCHEMAS = {method: schema(name) for method, name in annotated("Reply").items()}


async def every_operation(broker: RunningFake) -> None:
    """Make each kind of call there is; what a persona refuses was sent nonetheless."""
    async with BrokerClient(CLIENT_ID, bus_address=broker.address, timeouts=Timeouts(cancel=0.1)) as client:
        account = (await client.get_accounts())[0]
        calls = [
            client.get_linux_broker_version(),
            client.acquire_token_silent(SCOPES, account),
            client.acquire_token_silent(SCOPES, account, auth_scheme=SIGNED_REQUEST),
            client.acquire_token_silent(SCOPES, account, auth_scheme=PopAuthScheme(kid="a key")),
            client.acquire_token_silent(
                SCOPES,
                account,
                claims_challenge='{"access_token":{"nbf":{"essential":true,"value":"1"}}}',
                access_token_to_renew="the refused token",
                extra_query_parameters={"max_age": "1"},
            ),
            client.acquire_token_by_username_password(UPN, PASSWORD, SCOPES),
            client.acquire_token_interactive(SCOPES),
            client.acquire_token_interactive(SCOPES, account=account, parent_window_handle=7),
            client.acquire_token_interactive(SCOPES, prompt="select_account", login_hint=UPN),
            client.acquire_prt_sso_cookie(account, "https://login.microsoftonline.com/?sso_nonce=n"),
            client.generate_signed_http_request(account, SIGNED_REQUEST),
        ]
        await asyncio.gather(*calls, return_exceptions=True)
        shown = len(broker.calls_of("acquireTokenInteractively"))
        broker.set_user("never")
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(SCOPES, account=account))
        await broker.called("acquireTokenInteractively", shown + 1)
        sign_in.cancel()
        broker.answer("approve")  # Himmelblau's dialog is not closed by a cancel
        await asyncio.gather(sign_in, return_exceptions=True)
        broker.set_user("approve")
        with contextlib.suppress(UnsupportedOperationError):  # Himmelblau lacks it
            await client.remove_account(account)


def _arguments(call: Call) -> tuple[str, str, str]:
    """The arguments as they were, the password included, which the journal does not keep."""
    request = json.dumps(call.request).replace('"(hidden)"', json.dumps(PASSWORD))
    return call.protocol_version, call.correlation_id, request


async def replies_to(broker: RunningFake, calls: list[Call]) -> list[tuple[str, Any]]:
    """Make the calls again, and give what was answered as JSON; a D-Bus error is no reply."""
    transport = BrokerTransport(broker.address, Timeouts(), 1_000_000)
    replies: list[tuple[str, Any]] = []
    for call in calls:
        with contextlib.suppress(RemoteError):
            reply = await transport.call(call.member, partial(_arguments, call), CallOptions(limit=60.0))
            if reply:  # Himmelblau 3.1's failures are empty texts
                replies.append((call.member, json.loads(reply)))
    transport.close()
    return replies


@pytest.mark.parametrize("persona", list(PersonaName), ids=str)
async def test_real_requests_and_replies_are_as_the_schemas_say(persona: PersonaName) -> None:
    with RunningFake(FakeConfig(persona=persona)) as broker:
        await every_operation(broker)
        calls = list(broker.calls)
        broker.reset()
        replies = await replies_to(broker, calls)
    # Himmelblau 3.1 asks nobody: its sign-in has ended before it can be cancelled.
    may_lack = {"cancelInteractiveFlow"} if persona is PersonaName.HIMMELBLAU_3_1 else set[str]()
    assert {call.member for call in calls} | may_lack == set(REQUEST_SCHEMAS)
    for call in calls:
        REQUEST_SCHEMAS[call.member].validate(call.request)
    answered = set(REPLY_SCHEMAS)
    if persona in (PersonaName.HIMMELBLAU_3_1, PersonaName.HIMMELBLAU_4_0):
        for member, reply in replies:
            REPLY_SCHEMAS[member].validate(reply)
        replies = [
            (member, reply) for member, reply in replies if "error" not in reply.get("brokerTokenResponse", reply)
        ]
        answered -= {"removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow"}
    assert {member for member, _ in replies} == answered
    for member, reply in replies:
        assert "error" not in reply and "error" not in reply.get("brokerTokenResponse", {})
        REPLY_SCHEMAS[member].validate(reply)


@pytest.mark.parametrize("persona", [PersonaName.MICROSOFT_JAVA, PersonaName.MICROSOFT_CPP], ids=str)
@pytest.mark.parametrize("top_level", [False, True], ids=["nested", "top level"])
async def test_real_failures_are_as_the_schemas_say(persona: PersonaName, top_level: bool) -> None:
    with RunningFake(FakeConfig(persona=persona)) as broker:
        await every_operation(broker)
        calls = list(broker.calls)
        broker.plant("status", status=2, sub_error="basic_action", top_level=top_level)
        replies = await replies_to(broker, calls)
    assert {member for member, _ in replies} == set(REPLY_SCHEMAS)
    for member, reply in replies:
        assert {"error", "Error"} & set(reply) or "error" in reply["brokerTokenResponse"]
        REPLY_SCHEMAS[member].validate(reply)


QUIRKS: dict[str, dict[str, Any]] = {
    "scopes as array": {"grantedScopes": ["a", "b"]},
    "digits in a text": {"expiresOn": "4102444800000", "extendedExpiresOn": "4102444800"},
    "the type by name": {"accessTokenType": "Bearer"},
    "no account": {"account": None},
    "nothing": {},
}


@pytest.mark.parametrize("response", QUIRKS.values(), ids=QUIRKS)
def test_the_schema_allows_the_quirks_that_the_client_takes(response: dict[str, Any]) -> None:
    reply = {"brokerTokenResponse": response}
    REPLY_SCHEMAS["acquireTokenSilently"].validate(reply)
    models.AcquireTokenReply.model_validate(reply)


@pytest.mark.parametrize(
    "response", [{"accessToken": 7}, {"grantedScopes": [7]}, {"expiresOn": "soon"}, {"idToken": 5}]
)
def test_the_schema_refuses_what_the_client_refuses(response: dict[str, Any]) -> None:
    reply = {"brokerTokenResponse": response}
    assert not REPLY_SCHEMAS["acquireTokenSilently"].is_valid(reply)
    with pytest.raises(ValidationError):
        models.AcquireTokenReply.model_validate(reply)


@pytest.mark.parametrize("method", REQUEST_SCHEMAS)
def test_an_empty_request_is_not_as_the_schemas_say(method: str) -> None:
    assert not REQUEST_SCHEMAS[method].is_valid({})
    assert not REQUEST_SCHEMAS[method].is_valid([])


def recorded_requests() -> Iterator[tuple[str, Any]]:
    """What Microsoft's own runtime sent to the broker, from the recording."""
    for line in RECORDING.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if call["interface"] == "com.microsoft.identity.Broker1":
            yield call["member"], call["request"]


def test_what_microsofts_runtime_sends_is_as_the_schemas_say() -> None:
    requests = list(recorded_requests())
    assert {"acquireTokenSilently", "acquireTokenInteractively", "cancelInteractiveFlow"} <= {
        name for name, _ in requests
    }
    for member, request in requests:
        REQUEST_SCHEMAS[member].validate(request)
