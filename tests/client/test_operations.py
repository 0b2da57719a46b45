"""Each operation of the client, with each persona of the fake broker."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import pytest

from linuxbroker import (
    NATIVE_CLIENT_REDIRECT_URI,
    Account,
    AccountUnusableError,
    BrokerClient,
    BrokerError,
    DeclinedScopesError,
    InteractionRequiredError,
    InvalidArgumentError,
    PopAuthScheme,
    RedirectUriError,
    Timeouts,
    UnsupportedOperationError,
    UserCanceledError,
)
from linuxbroker_fake import RevokedTokenError, RunningFake
from tests.constants import CLIENT_ID, CONTOSO, FABRIKAM, GRAPH

ME = PopAuthScheme(
    "GET", "https://graph.microsoft.com/v1.0/me", nonce="nonce-from-server", client_claims='{"at_use":"x"}'
)
PERSONAS = ["microsoft-2.0.1", "microsoft-2.5.2", "microsoft-3.0.2", "himmelblau-3.1", "himmelblau-4.0"]
MICROSOFT, HIMMELBLAU = PERSONAS[:3], PERSONAS[3:]


def _with(*personas: str) -> pytest.MarkDecorator:
    """Run a test once for each of some brokers."""
    return pytest.mark.parametrize("persona", personas)


@pytest.fixture
def persona() -> str:
    return "microsoft-2.5.2"


@pytest.fixture
def fake_broker_config(persona: str) -> Any:
    from linuxbroker_fake import FakeConfig

    return FakeConfig.model_validate({"persona": persona})


async def _ada(client: BrokerClient) -> Account:
    account = await client.get_account("ada@contoso.example")
    assert account is not None
    return account


@_with(*HIMMELBLAU)
async def test_himmelblau_lists_the_callers_account(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        (account,) = await client.get_accounts()
    assert (account.username, account.realm, account.environment) == (
        "ada@contoso.example",
        CONTOSO,
        "login.microsoftonline.com",
    )


@_with(*MICROSOFT)
async def test_accounts_are_listed(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        accounts = await client.get_accounts()
    assert [(account.username, account.realm) for account in accounts] == [
        ("ada@contoso.example", CONTOSO),
        ("ada@contoso.example", FABRIKAM),
        ("grace@fabrikam.example", FABRIKAM),
    ]
    assert {account.environment for account in accounts} == {"login.microsoftonline.com"}


async def test_an_account_is_found_by_upn_in_any_case_and_by_tenant(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        home = await client.get_account("ADA@contoso.example")
        guest = await client.get_account("ada@contoso.example", FABRIKAM)
        nobody = await client.get_account("ada@contoso.example", "00000000-0000-0000-0000-00000000dead")
    assert home is not None and home.realm == CONTOSO
    assert guest is not None and guest.realm == FABRIKAM
    assert nobody is None


@_with(*PERSONAS)
async def test_a_silent_token_has_all_that_came_with_it(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = await _ada(client)
        token = await client.acquire_token_silent(GRAPH, account, correlation_id="aaaaaaaa-0000-4000-8000-000000000001")
    claims = fake_broker.broker.verify_access_token(token.access_token)
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["tid"] == CONTOSO
    assert token.token_type == "Bearer"
    assert token.authorization_header == f"Bearer {token.access_token}"
    assert token.expires_on == datetime.fromtimestamp(claims["exp"], tz=timezone.utc)
    assert token.expires_on.utcoffset() == timedelta(0)
    assert "https://graph.microsoft.com/.default" in token.scopes
    assert token.id_token_claims["preferred_username"] == "ada@contoso.example"
    assert token.account is not None
    assert (token.account.home_account_id, token.account.realm) == (account.home_account_id, CONTOSO)
    assert token.account.environment == "login.microsoftonline.com"
    assert token.client_info == account.client_info or not account.client_info
    assert token.correlation_id == "aaaaaaaa-0000-4000-8000-000000000001"


@_with(*MICROSOFT)
async def test_a_token_result_has_the_brokers_telemetry(fake_broker: RunningFake, persona: str) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH)
    assert token.telemetry["broker_version"] == persona.removeprefix("microsoft-")


async def test_a_guest_gets_a_token_of_the_guest_tenant(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        guest = await client.get_account("ada@contoso.example", FABRIKAM)
        token = await client.acquire_token_silent(GRAPH, guest)
    assert fake_broker.broker.verify_access_token(token.access_token)["tid"] == FABRIKAM
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["authority"] == f"https://login.microsoftonline.com/{FABRIKAM}"


@pytest.mark.parametrize("realm", [CONTOSO, FABRIKAM])
async def test_an_authority_that_names_a_tenant_is_kept(fake_broker: RunningFake, realm: str) -> None:
    authority = f"https://login.microsoftonline.com/{FABRIKAM}"
    async with BrokerClient(CLIENT_ID, authority=authority) as client:
        account = await client.get_account("ada@contoso.example", realm)
        await client.acquire_token_silent(GRAPH, account)
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["authority"] == authority


async def test_with_several_users_the_broker_chooses(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH)
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["account"] is None
    assert call.request["authParameters"]["isSignIn"] is True
    assert token.account is not None and token.account.username == "ada@contoso.example"


@pytest.mark.parametrize(
    "query",
    [
        {"token_type": "ssh-cert", "req_cnf": '{"kty": "RSA", "kid": "from-the-key"}'},
        {"req_cnf": base64.urlsafe_b64encode(b'{"kid": "from-the-key"}').decode().rstrip("=")},
        {"token_type": "ssh-cert", "key_id": "from-the-key", "req_cnf": "[]"},
    ],
    ids=["json", "base64url", "key id"],
)
async def test_an_ssh_certificate_names_its_key(fake_broker: RunningFake, query: dict[str, str]) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_silent(GRAPH, await _ada(client), extra_query_parameters=query)
        with pytest.raises(InvalidArgumentError, match="key_id"):
            await client.acquire_token_silent(GRAPH, extra_query_parameters={"token_type": "ssh-cert"})
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    parameters = call.request["authParameters"]
    assert parameters["popParams"] == {"kid": "from-the-key"}
    assert "req_cnf" not in parameters["additionalQueryParametersForAuthorization"]


async def test_the_brokers_error_wins_over_a_token_part_that_makes_no_sense(fake_broker: RunningFake) -> None:
    error = {"context": "AADSTS50078: expired", "status": 2, "subStatus": 0, "errorCode": 0, "tag": 0}
    reply = {"brokerTokenResponse": {"error": error, "account": {}, "expiresOn": []}, "telemetry": {}}
    fake_broker.plant("raw_reply", method="acquireTokenSilently", reply=json.dumps(reply))
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(InteractionRequiredError, match="AADSTS50078"):
            await client.acquire_token_silent(GRAPH)


async def test_a_silent_request_with_nobody_signed_in_needs_the_user(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        for account in await client.get_accounts():
            await client.remove_account(account)
        with pytest.raises(InteractionRequiredError, match="no account is signed in"):
            await client.acquire_token_silent(GRAPH)


@_with(*MICROSOFT)
async def test_the_user_signs_in_interactively(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_interactive(GRAPH, login_hint="grace@fabrikam.example")
    assert token.account is not None
    assert token.account.username == "grace@fabrikam.example"
    assert token.account.environment == "login.microsoftonline.com"


async def test_a_sign_in_waits_for_the_user_past_the_limit_of_other_calls(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(call=0.05)) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        await fake_broker.asked()
        fake_broker.plant("hang", method="getAccounts")
        with pytest.raises(TimeoutError):
            await client.get_accounts()
        assert not sign_in.done()
        assert fake_broker.answer("approve") == 1
        assert (await sign_in).access_token


async def test_the_user_can_cancel(fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(UserCanceledError):
            await client.acquire_token_interactive(GRAPH)


async def test_cancelling_the_task_closes_the_brokers_window(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        await fake_broker.called("acquireTokenInteractively")
        sign_in.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sign_in
        assert len(fake_broker.calls_of("cancelInteractiveFlow")) == 1
        assert fake_broker.broker.screen.open_windows == 0


@pytest.mark.parametrize("answer", ["approve", "cancel"])
async def test_a_cancelled_sign_in_takes_the_reply_that_comes_after_the_cancels(
    fake_broker: RunningFake, answer: Literal["approve", "cancel"]
) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("raw_reply", method="cancelInteractiveFlow", reply="{}")
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(cancel=60)) as client:
        connection = await client._transport.bus().connection(client._transport, limit=5)
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        await fake_broker.asked()
        sign_in.cancel()
        await fake_broker.called("cancelInteractiveFlow")
        assert await client.get_accounts()  # so that the cancel's own reply has come
        assert (sign_in.done(), len(connection._pending)) == (False, 1)
        assert fake_broker.answer(answer) == 1
        with pytest.raises(asyncio.CancelledError):
            await sign_in
        assert len(connection._pending) == 0
        assert len(await client.get_accounts()) > 1


async def test_a_cancelled_sign_in_waits_no_longer_for_its_reply_than_is_allowed(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("raw_reply", method="cancelInteractiveFlow", reply="{}")
    async with BrokerClient(CLIENT_ID, timeouts=Timeouts(cancel=0.1)) as client:
        connection = await client._transport.bus().connection(client._transport, limit=5)
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        await fake_broker.asked()
        sign_in.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sign_in
        assert len(connection._pending) == 0
        assert fake_broker.answer("approve") == 1  # a reply that nobody waits for
        assert await client.get_accounts()


@_with("himmelblau-3.1")
async def test_cancelling_works_with_a_broker_that_cannot_cancel(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as client:
        sign_in = asyncio.ensure_future(client.acquire_token_interactive(GRAPH))
        await fake_broker.called("acquireTokenInteractively")
        sign_in.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sign_in
        assert await client.get_accounts()


@pytest.mark.parametrize("prompt", ["select_account", "login", "consent", "none"])
async def test_a_prompt_is_passed_on(fake_broker: RunningFake, prompt: str) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_interactive(
            GRAPH, account=await _ada(client), prompt=prompt, parent_window_handle=77
        )
    (call,) = fake_broker.calls_of("acquireTokenInteractively")
    parameters = call.request["authParameters"]
    assert parameters["prompt"] == prompt
    assert parameters["parentWindow"] == {"handle": 77}
    assert call.request["parentWindowHandle"] == 77
    assert ("account" in parameters, "username" in parameters) == ((prompt != "select_account"),) * 2


@_with(*MICROSOFT)
async def test_a_user_name_and_password_get_a_token(fake_broker: RunningFake) -> None:
    user = fake_broker.directory.users[1]
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_by_username_password(user.upn, user.password, GRAPH)
    assert token.account is not None and token.account.username == user.upn


@_with("microsoft-2.0.1")
async def test_a_wrong_password_is_an_error_that_does_not_show_it(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(InteractionRequiredError, match="AADSTS50126") as caught:
            await client.acquire_token_by_username_password("ada@contoso.example", "wrong-Secret-42", GRAPH)
    assert "wrong-Secret-42" not in f"{caught.value!r} {caught.value}"


async def test_a_password_that_the_broker_quotes_back_as_json_is_not_shown(fake_broker: RunningFake) -> None:
    password = 'pa"ss\\wörd'
    for spelling in (json.dumps(password), json.dumps(password, ensure_ascii=False), password):
        fake_broker.plant("dbus_error", method="acquireTokenSilently", context=f"bad: {spelling}", times=1)
        async with BrokerClient(CLIENT_ID) as client:
            with pytest.raises(BrokerError, match="hidden") as caught:
                await client.acquire_token_by_username_password("ada@contoso.example", password, GRAPH)
        assert "ss" not in str(caught.value).partition("bad:")[2].partition("(org.")[0]


async def test_a_claims_challenge_renews_a_revoked_token(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, client_capabilities=["CP1"]) as client:
        account = await _ada(client)
        refused = await client.acquire_token_silent(GRAPH, account)
        fake_broker.revoke(account.username)
        with pytest.raises(RevokedTokenError) as revoked:
            fake_broker.broker.verify_access_token(refused.access_token)
        challenge = revoked.value.challenge
        assert challenge is not None
        again = await client.acquire_token_silent(GRAPH, account)
        renewed = await client.acquire_token_silent(
            GRAPH, account, claims_challenge=challenge, access_token_to_renew=refused.access_token
        )
    assert again.access_token == refused.access_token
    assert fake_broker.broker.verify_access_token(renewed.access_token)
    request = fake_broker.calls_of("acquireTokenSilently")[-1].request
    assert request["authParameters"]["accessTokenToRenew"] == refused.access_token
    claims = json.loads(request["authParameters"]["decodedClaims"])
    assert claims["access_token"].pop("xms_cc") == {"values": ["CP1"]}
    assert claims == json.loads(challenge)


@_with(*MICROSOFT)
async def test_a_proof_of_possession_token_is_bound_to_the_request(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH, await _ada(client), auth_scheme=ME)
    assert token.token_type == "pop"
    signed = fake_broker.broker.entra.verify_signed_http_request(token.access_token)
    assert (signed["m"], signed["u"], signed["p"]) == ("GET", "graph.microsoft.com", "/v1.0/me")
    assert signed["nonce"] == "nonce-from-server"
    inner = fake_broker.broker.verify_access_token(signed["at"])
    assert token.expires_on == datetime.fromtimestamp(inner["exp"], tz=timezone.utc)


async def test_a_token_can_be_bound_to_a_key_of_the_callers(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_silent(GRAPH, await _ada(client), auth_scheme=PopAuthScheme(kid="my-key"))
    assert fake_broker.broker.verify_access_token(token.access_token)["cnf"] == {"kid": "my-key"}
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["popParams"]["authenticationScheme"] == "pop"


@_with(*PERSONAS)
async def test_all_sso_cookies_come_with_their_header_names(fake_broker: RunningFake, persona: str) -> None:
    url = "https://login.microsoftonline.com/common/oauth2/authorize?sso_nonce=AwABAAEAAAAC"
    async with BrokerClient(CLIENT_ID) as client:
        cookies = await client.acquire_prt_sso_cookie(await _ada(client), url)
    names = [cookie.name for cookie in cookies]
    assert names[0] == "x-ms-RefreshTokenCredential"
    assert names[1:] == (["x-ms-DeviceCredential"] if persona in MICROSOFT[1:] else [])
    assert fake_broker.broker.entra.verify_prt_cookie(cookies[0].content)["request_nonce"] == "AwABAAEAAAAC"


@_with(*MICROSOFT)
async def test_an_http_request_is_signed(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        signed = await client.generate_signed_http_request(await _ada(client), ME)
    payload = fake_broker.broker.entra.verify_signed_http_request(signed)
    assert (payload["m"], payload["u"], payload["p"]) == ("GET", "graph.microsoft.com", "/v1.0/me")


@_with(*MICROSOFT)
async def test_signing_out_takes_the_account_away_from_this_app_only(fake_broker: RunningFake) -> None:
    other_app = "22222222-2222-4333-8444-555555555555"
    async with BrokerClient(CLIENT_ID) as client, BrokerClient(other_app) as other:
        account = await _ada(client)
        await client.remove_account(account)
        assert account.realm not in [
            known.realm for known in await client.get_accounts() if known.username == account.username
        ]
        with pytest.raises(AccountUnusableError):
            await client.acquire_token_silent(GRAPH, account)
        assert await other.acquire_token_silent(GRAPH, await _ada(other))
        assert await client.acquire_token_interactive(GRAPH, login_hint=account.username)
        assert await client.acquire_token_silent(GRAPH, account)


@_with(*HIMMELBLAU)
async def test_what_a_broker_lacks_is_said_to_be_unsupported(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = await _ada(client)
        with pytest.raises(UnsupportedOperationError, match="removeAccount"):
            await client.remove_account(account)
        with pytest.raises(UnsupportedOperationError, match="generateSignedHttpRequest"):
            await client.generate_signed_http_request(account, ME)


async def test_a_token_without_a_scope_that_was_asked_for_is_an_error(fake_broker: RunningFake) -> None:
    scopes = ["https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read"]
    fake_broker.plant("scopes_declined", scopes=["https://graph.microsoft.com/mail.read"])
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(DeclinedScopesError) as caught:
            await client.acquire_token_silent(scopes)
    assert caught.value.declined_scopes == ("https://graph.microsoft.com/Mail.Read",)
    assert caught.value.granted_scopes == ("https://graph.microsoft.com/User.Read",)


@_with(*PERSONAS)
async def test_the_broker_says_its_version(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_linux_broker_version() == fake_broker.broker.persona.version


@_with("microsoft-2.0.1")
async def test_an_app_without_the_brokers_redirect_uri_is_told_which_to_register(fake_broker: RunningFake) -> None:
    fake_broker.plant("redirect_uri_unknown")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(RedirectUriError, match=re.escape(NATIVE_CLIENT_REDIRECT_URI)):
            await client.acquire_token_silent(GRAPH)


@pytest.mark.parametrize(
    ("signed_in", "hint", "named"),
    [
        (("grace@fabrikam.example",), None, "grace@fabrikam.example"),
        (("ada@contoso.example",), None, None),  # two records of one user: the broker chooses
        (None, None, None),
        ((), None, None),
        (None, "grace@fabrikam.example", "grace@fabrikam.example"),
    ],
)
async def test_a_silent_sign_in_names_the_only_record_or_the_hint_and_nobody_else(
    fake_broker: Any, signed_in: Any, hint: str | None, named: str | None
) -> None:
    fake_broker.broker.config = fake_broker.broker.config.model_copy(update={"signed_in": signed_in})
    fake_broker.reset()
    async with BrokerClient(CLIENT_ID) as client:
        outcome = await asyncio.gather(
            client.sign_in_silent(GRAPH, login_hint=hint, parent_window_handle=7), return_exceptions=True
        )
    assert isinstance(outcome[0], InteractionRequiredError) == (signed_in == ())
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    asked = call.request["authParameters"]
    assert (asked["username"], asked["authority"]) == (named or "", "https://login.microsoftonline.com/common")
    assert (asked["account"] is None) == asked.get("isSignIn", False) == (hint is not None or named is None)
    assert asked["parentWindow"] == {"handle": 7}
    assert len(fake_broker.calls_of("getAccounts")) == (0 if hint else 1)


async def test_a_silent_sign_in_goes_on_where_no_accounts_can_be_listed(fake_broker: RunningFake) -> None:
    fake_broker.plant("no_network", method="getAccounts")
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.sign_in_silent(GRAPH)
    assert token.account is not None and token.account.username == "ada@contoso.example"


async def test_scopes_may_be_a_set(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        names = ["Files.Read", "Mail.Read", "User.Read"]
        scopes: Any = {f"https://graph.microsoft.com/{name}" for name in names}  # each process has an order of its own
        await client.acquire_token_silent(scopes)
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["requestedScopes"] == [
        f"https://graph.microsoft.com/{name}" for name in names
    ]
