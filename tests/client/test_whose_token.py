"""Tokens for another account, tenant or purpose than was asked for, which are errors."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from linuxbroker import Account, BrokerClient, BrokerProtocolError, MismatchedTokenError, PopAuthScheme
from linuxbroker.errors import UnsupportedOperationError
from linuxbroker.tokens.accounts import PERSONAL_TENANT
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, SCOPES

HOME, GUEST_IN = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
ADA_ID, GRACE_ID = "00000000-0000-0000-0000-0000000000a1", "00000000-0000-0000-0000-0000000000a2"
ADA = Account(home_account_id=f"{ADA_ID}.{HOME}", local_account_id=ADA_ID, realm=HOME, username="ada@contoso.example")
ADA_AS_GUEST = ADA.model_copy(update={"realm": GUEST_IN, "local_account_id": "00000000-0000-0000-0000-0000000000b1"})
WITHOUT_TENANT = ADA.model_copy(update={"home_account_id": f"{ADA_ID}.", "realm": ""})
POP = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")


def segment(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def id_token(**claims: str) -> str:
    """Ada's ID token, with other claims."""
    ada = {"oid": ADA_ID, "tid": HOME, "preferred_username": "ada@contoso.example"}
    return f"e30.{segment({key: value for key, value in {**ada, **claims}.items() if value})}.x"


def reply(**changes: Any) -> str:
    response = {
        "accessToken": "opaque",
        "accessTokenType": 0,
        "clientInfo": segment({"uid": ADA_ID, "utid": HOME}),
        "expiresOn": 4_102_444_800_000,
        "grantedScopes": SCOPES[0],
        "idToken": id_token(),
        **changes,
    }
    return json.dumps({"brokerTokenResponse": response})


@pytest.fixture
async def client(fake_broker: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID) as client:
        yield client


Ask = Callable[[BrokerClient], Awaitable[Any]]
ASKED_FOR_ADA: dict[str, Ask] = {
    "silent": lambda client: client.acquire_token_silent(SCOPES, ADA),
    "interactive": lambda client: client.acquire_token_interactive(SCOPES, account=ADA),
}
OTHERS: dict[str, dict[str, Any]] = {
    "another user by client info": {"clientInfo": segment({"uid": GRACE_ID, "utid": HOME})},
    "another tenant's user by client info": {"clientInfo": segment({"uid": ADA_ID, "utid": GUEST_IN})},
    "another user by ID token": {"idToken": id_token(oid=GRACE_ID)},
    "another user by account": {"account": {"homeAccountId": f"{GRACE_ID}.{HOME}", "username": "grace@x.example"}},
    "another user by the account alone": {
        "account": {"homeAccountId": f"{GRACE_ID}.{HOME}"},
        "idToken": "",
        "clientInfo": "",
    },
    "another user by ID token, whose home it is": {"idToken": id_token(oid=GRACE_ID), "clientInfo": ""},
    "another tenant": {"idToken": id_token(tid=GUEST_IN)},
    "another tenant by the access token": {
        "idToken": "",
        "accessToken": f"e30.{segment({'tid': GUEST_IN, 'exp': 4_102_444_800})}.x",
    },
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("operation", ASKED_FOR_ADA)
async def test_a_token_of_another_account_or_tenant_is_an_error(
    fake_broker: RunningFake, client: BrokerClient, operation: str, changes: dict[str, Any]
) -> None:
    fake_broker.plant("raw_reply", reply=reply(**changes))
    with pytest.raises(MismatchedTokenError, match="the broker returned a token of") as caught:
        await ASKED_FOR_ADA[operation](client)
    assert "opaque" not in repr(vars(caught.value))


SAME: dict[str, tuple[Account, dict[str, Any]]] = {
    "all of it": (ADA, {"account": ADA.model_dump(by_alias=True)}),
    "in other letters": (ADA, {"clientInfo": segment({"uid": ADA_ID.upper(), "utid": HOME.upper()})}),
    "nothing tells": (ADA, {"idToken": "", "clientInfo": ""}),
    "a new UPN": (ADA, {"idToken": id_token(preferred_username="ada.lovelace@contoso.example")}),
    "a guest, who has another id there": (
        ADA_AS_GUEST,
        {"idToken": id_token(tid=GUEST_IN, oid="00000000-0000-0000-0000-0000000000b1")},
    ),
    "an account without a tenant": (WITHOUT_TENANT, {}),
}


@pytest.mark.parametrize(("account", "changes"), SAME.values(), ids=SAME)
async def test_a_token_of_the_same_account_is_taken(
    fake_broker: RunningFake, client: BrokerClient, account: Account, changes: dict[str, Any]
) -> None:
    fake_broker.plant("raw_reply", reply=reply(**changes))
    assert (await client.acquire_token_silent(SCOPES, account)).access_token == "opaque"


async def test_the_sole_account_is_asked_for_as_one_that_is_given(
    fake_broker: RunningFake, client: BrokerClient
) -> None:
    listed = json.dumps({"accounts": [ADA.model_dump(by_alias=True)]})
    fake_broker.plant("raw_reply", method="getAccounts", reply=listed)
    fake_broker.plant("raw_reply", reply=reply(clientInfo=segment({"uid": GRACE_ID, "utid": HOME})))
    with pytest.raises(MismatchedTokenError):
        await client.acquire_token_silent(SCOPES)


async def test_a_user_who_is_named_by_upn_gets_no_other_users_token(
    fake_broker: RunningFake, client: BrokerClient
) -> None:
    fake_broker.plant("raw_reply", reply=reply())
    for ask in (
        client.sign_in_silent(SCOPES, login_hint="grace@contoso.example"),
        client.acquire_token_by_username_password("grace@contoso.example", "a password", SCOPES),
    ):
        with pytest.raises(MismatchedTokenError, match=r"ada@contoso\.example"):
            await ask
    token = await client.sign_in_silent(SCOPES, login_hint="ADA@contoso.example")
    assert token.access_token == "opaque"


async def test_the_user_may_choose_another_than_the_hint_says(fake_broker: RunningFake, client: BrokerClient) -> None:
    fake_broker.plant("raw_reply", reply=reply())
    token = await client.acquire_token_interactive(SCOPES, login_hint="grace@contoso.example")
    assert token.account is not None
    assert token.account.username == "ada@contoso.example"


@pytest.mark.parametrize(
    ("tenant", "found", "is_right"),
    [
        (HOME, HOME, True),
        (HOME, GUEST_IN, False),
        ("contoso.example", HOME, True),
        ("CONTOSO.example", GUEST_IN, False),
        ("fabrikam.example", GUEST_IN, True),  # nobody tells its id
        ("common", GUEST_IN, False),  # the account's realm is asked for
        ("consumers", GUEST_IN, True),
    ],
)
async def test_the_tenant_that_the_authority_names_is_compared(
    fake_broker: RunningFake, client: BrokerClient, tenant: str, found: str, is_right: bool
) -> None:
    fake_broker.plant("raw_reply", reply=reply(idToken=id_token(tid=found, oid="")))
    asking = client.acquire_token_silent(SCOPES, ADA, authority=f"https://login.microsoftonline.com/{tenant}")
    if is_right:
        assert (await asking).access_token == "opaque"
    else:
        with pytest.raises(MismatchedTokenError, match=f"of tenant {found}"):
            await asking


async def test_an_account_that_tells_little_is_compared_by_what_it_tells(
    fake_broker: RunningFake, client: BrokerClient
) -> None:
    fake_broker.plant("raw_reply", reply=reply(idToken=id_token(oid=GRACE_ID), clientInfo=""))
    without_local_id = ADA.model_copy(update={"local_account_id": ""})
    for account in (without_local_id, WITHOUT_TENANT.model_copy(update={"local_account_id": ""})):
        with pytest.raises(MismatchedTokenError):
            await client.acquire_token_silent(SCOPES, account)


async def test_a_personal_account_may_get_a_token_of_the_tenant_for_such_applications(
    fake_broker: RunningFake, client: BrokerClient
) -> None:
    personal = ADA.model_copy(update={"home_account_id": f"{ADA_ID}.{PERSONAL_TENANT}", "realm": PERSONAL_TENANT})
    changes = {"idToken": id_token(tid="f8cdef31-a31e-4b4a-93e4-5f571e91255a"), "clientInfo": ""}
    fake_broker.plant("raw_reply", reply=reply(**changes))
    assert (await client.acquire_token_silent(SCOPES, personal)).access_token == "opaque"


ASKED_WITH_POP: dict[str, Ask] = {
    "silent": lambda client: client.acquire_token_silent(SCOPES, ADA, auth_scheme=POP),
    "interactive": lambda client: client.acquire_token_interactive(SCOPES, account=ADA, auth_scheme=POP),
}


@pytest.mark.parametrize("kind", [0, "Bearer", None])
@pytest.mark.parametrize("operation", ASKED_WITH_POP)
async def test_a_bearer_token_in_place_of_a_proof_of_possession_is_an_error(
    fake_broker: RunningFake, client: BrokerClient, operation: str, kind: object
) -> None:
    fake_broker.plant("raw_reply", reply=reply(accessTokenType=kind))
    with pytest.raises(UnsupportedOperationError, match="bearer token instead of a proof-of-possession"):
        await ASKED_WITH_POP[operation](client)


@pytest.mark.parametrize("kind", [0, 1])
async def test_a_token_that_is_bound_to_a_key_may_be_of_either_kind(
    fake_broker: RunningFake, client: BrokerClient, kind: int
) -> None:
    fake_broker.plant("raw_reply", reply=reply(accessTokenType=kind))
    token = await client.acquire_token_silent(SCOPES, ADA, auth_scheme=PopAuthScheme(kid="a-key"))
    assert token.token_type == ("pop" if kind else "Bearer")


async def test_a_proof_of_possession_that_nobody_asked_for_is_an_error(
    fake_broker: RunningFake, client: BrokerClient
) -> None:
    fake_broker.plant("raw_reply", reply=reply(accessTokenType=1))
    with pytest.raises(BrokerProtocolError, match="a bearer token was requested"):
        await client.acquire_token_silent(SCOPES, ADA)


@pytest.mark.parametrize("realm", ["../x?y=z#@evil.example/", "a b", "\x1b[31m", "evil.example/x", ".", "-"])
async def test_a_realm_that_is_neither_an_id_nor_a_domain_is_no_part_of_an_authority(
    fake_broker: RunningFake, client: BrokerClient, realm: str
) -> None:
    fake_broker.plant("raw_reply", reply=reply())
    await client.acquire_token_silent(SCOPES, ADA.model_copy(update={"realm": realm}))
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["authority"] == "https://login.microsoftonline.com/common"


@pytest.mark.parametrize("lifetime", [3600, 5400, 86_399])
async def test_himmelblau_3_1_adds_seconds_to_milliseconds_and_an_opaque_tokens_lifetime_is_right_all_the_same(
    fake_broker: RunningFake, client: BrokerClient, lifetime: int
) -> None:
    minted = 1_800_000_000
    stated = {"expiresOn": minted * 1000 + 220 + lifetime, "extendedExpiresOn": minted + lifetime}
    fake_broker.plant("raw_reply", reply=reply(**stated))
    assert (await client.acquire_token_silent(SCOPES, ADA)).expires_on.timestamp() == minted + lifetime


@pytest.mark.parametrize("extended", [0, 1_800_003_600, 1_800_262_800, 1_800_003_600_000, 1_800_262_800_000])
async def test_where_expires_on_is_right_an_extended_expiry_changes_nothing(
    fake_broker: RunningFake, client: BrokerClient, extended: int
) -> None:
    fake_broker.plant("raw_reply", reply=reply(expiresOn=1_800_003_600_000, extendedExpiresOn=extended))
    assert (await client.acquire_token_silent(SCOPES, ADA)).expires_on.timestamp() == 1_800_003_600
