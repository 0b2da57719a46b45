"""Himmelblau's personas: failures, required keys and ignored keys (PROTOCOL.md, "Himmelblau")."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from linuxbroker_fake.cli import main as fake_command
from tests.constants import CLIENT_ID
from tests.fake.asking import (
    CONTOSO,
    FABRIKAM,
    FAILED,
    GRACE,
    HIMMELBLAU,
    NEW_HIMMELBLAU,
    OLD_HIMMELBLAU,
    Asker,
    asker,
    bare_error,
    error,
    parameters,
    response,
)

each_himmelblau = pytest.mark.parametrize("persona", HIMMELBLAU)
old_himmelblau = pytest.mark.parametrize("persona", [OLD_HIMMELBLAU])
new_himmelblau = pytest.mark.parametrize("persona", [NEW_HIMMELBLAU])


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


# Himmelblau 3.1: an empty text


@old_himmelblau
async def test_himmelblau_3_1_answers_every_failure_with_an_empty_text(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    for method in ("removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow"):
        assert await ask(method, {"clientId": CLIENT_ID, "account": account}) == ""
    assert await ask.silently(None, isSignIn=True) == ""
    assert await ask.silently({**account, "username": GRACE}) == ""
    assert await ask.silently(account, requestedScopes="x") == ""
    assert await ask.interactively(None, isSignIn=True) == ""
    assert await ask.interactively(None, username=account["username"]) == ""
    assert await ask("acquirePrtSsoCookie", {"authParameters": parameters(account)}) == ""
    for fault in ("mfa_expired", "no_network", "status"):
        fake_broker.plant(fault, times=1)
        assert await ask("getAccounts", "") == ""


@each_himmelblau
async def test_himmelblau_fails_to_list_accounts_if_no_user_is_signed_in(persona: str) -> None:
    with RunningFake(FakeConfig.model_validate({"persona": persona, "signed_in": ()})) as running:
        async with asker(running.address) as ask:
            reply = await ask("getAccounts", {"clientId": CLIENT_ID})
    assert reply == ("" if persona == OLD_HIMMELBLAU else bare_error("Unable to find account"))


def test_empty_reply_pause_is_short_by_default_and_can_be_set() -> None:
    assert FakeConfig().empty_reply_pause <= 0.05
    assert FakeConfig.model_validate({"empty_reply_pause": 30}).empty_reply_pause == 30
    assert fake_command(["exec", "--empty-reply-pause", "0.5", "--", "true"]) == 0
    with pytest.raises(SystemExit):
        fake_command(["exec", "--empty-reply-pause", "long", "--", "true"])
    assert fake_command(["exec", "--empty-reply-pause", "-1", "--", "true"]) == 2


async def test_the_next_call_waits_for_the_empty_reply_pause() -> None:
    config = FakeConfig.model_validate({"persona": "himmelblau", "empty_reply_pause": 0.3})
    with RunningFake(config) as running:
        async with asker(running.address) as ask:
            begin = time.monotonic()
            failing = asyncio.ensure_future(ask("removeAccount", {}))
            await running.called("removeAccount")
            assert await ask("getLinuxBrokerVersion", "") == {"linuxBrokerVersion": "3.1.12"}
            assert failing.done() and await failing == ""
            assert time.monotonic() - begin >= 0.3


# Himmelblau 4.0: bare errors


@new_himmelblau
async def test_himmelblau_4_0_answers_failures_with_bare_error_objects(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()

    async def refused(text: str, reply: Any) -> None:
        assert reply == {"brokerTokenResponse": bare_error(text)}

    await refused("Missing account", await ask.silently(None, isSignIn=True))
    await refused("Missing account", await ask.silently(None, authorizationType=3, username="u", password="p"))
    await refused("Invalid request for user!", await ask.silently({**account, "username": GRACE}))
    await refused("Failed to authenticate user", await ask.silently(account, requestedScopes=["a b"]))
    await refused("Invalid redirectUri", await ask.silently(account, redirectUri="x"))
    await refused(
        "Invalid redirectUri: fragment not allowed", await ask.silently(account, redirectUri="https://x.example/#y")
    )
    for method in ("removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow"):
        assert await ask(method, {"clientId": CLIENT_ID, "account": account}) == bare_error("Not implemented")
    for fault in ("mfa_expired", "no_network", "device_not_registered", "silent_refused", "scopes_refused"):
        fake_broker.plant(fault, method="acquireTokenSilently", times=1)
        await refused("Failed to authenticate user", await ask.silently(account))
    fake_broker.plant("mfa_expired", method="acquirePrtSsoCookie")
    assert await ask.cookie(account) == bare_error("Failed to fetch prt sso cookie")
    fake_broker.plant("status", status=2, context="Unable to load account")
    await refused("Unable to load account", await ask.silently(account))
    assert await ask("getAccounts", "") == bare_error("Unable to load account")


@new_himmelblau
@pytest.mark.parametrize(
    ("method", "request_text", "said"),
    [
        ("acquireTokenSilently", "", "EOF while parsing a value"),
        ("acquireTokenSilently", "{}", "missing field `authParameters`"),
        ("acquireTokenSilently", '{"authParameters": {}}', "missing field `requestedScopes`"),
        ("acquireTokenSilently", '{"authParameters": null}', "invalid type: null, expected struct AuthParametersReq"),
        ("acquireTokenSilently", '{"account": 5}', "invalid type: integer `5`, expected struct AccountReq"),
        ("acquireTokenSilently", '{"account": {}}', "missing field `username`"),
        ("acquireTokenSilently", "[]", "invalid length 0, expected struct TokenReq with 2 elements"),
        ("acquireTokenSilently", "nope", "expected ident"),
        ("acquireTokenSilently", '{"a": 1} x', "missing field `authParameters`"),
        ("acquirePrtSsoCookie", "{}", "missing field `account`"),
        ("acquirePrtSsoCookie", '{"account": null}', "invalid type: null, expected struct AccountReq"),
    ],
)
async def test_himmelblau_4_0_answers_malformed_requests_with_the_error_of_serde(
    ask: Asker, method: str, request_text: str, said: str
) -> None:
    assert error(await ask(method, request_text))["context"].startswith(f'Error("{said}", line: 1, column: ')


@new_himmelblau
async def test_serde_errors_have_the_line_and_column(ask: Asker) -> None:
    request = '{"authParameters":{"requestedScopes":["é"],\n"account":3}}'
    expected = 'Error("invalid type: integer `3`, expected struct AccountReq", line: 2, column: 11)'
    assert error(await ask("acquireTokenSilently", request))["context"] == expected
    quoted = 'Error("invalid type: string \\"x\\", expected a sequence", line: 1, column: 40)'
    assert error(await ask("acquireTokenSilently", '{"authParameters":{"requestedScopes":"x"}}'))["context"] == quoted


@new_himmelblau
async def test_himmelblau_4_0_reads_the_account_of_a_cookie_request_at_the_root(ask: Asker) -> None:
    account = await ask.account()
    inside = {"authParameters": parameters(account, ssoUrl="https://x/")}
    assert "missing field `account`" in error(await ask("acquirePrtSsoCookie", inside))["context"]
    assert (await ask("acquirePrtSsoCookie", {"account": {"username": account["username"]}}))["cookieContent"]


# Himmelblau: what is ignored


@each_himmelblau
async def test_himmelblau_ignores_home_account_id_authority_type_and_claims(ask: Asker) -> None:
    account = await ask.account()
    claims = json.dumps({"access_token": {"xms_cc": {"values": ["CP1"]}}})
    token = response(
        await ask.silently(
            {**account, "homeAccountId": "wrong", "realm": FABRIKAM, "username": account["username"].upper()},
            authority=f"https://login.microsoftonline.com/{FABRIKAM}",
            authorizationType="a text",
            decodedClaims=claims,
        )
    )
    assert _claims(token)["tid"] == account["realm"]
    assert "xms_cc" not in _claims(token)


@each_himmelblau
async def test_himmelblau_needs_only_scopes_and_username(ask: Asker) -> None:
    account = await ask.account()
    few = {"requestedScopes": [], "account": {"username": account["username"]}}
    assert response(await ask("acquireTokenSilently", {"authParameters": few}))


@each_himmelblau
@pytest.mark.parametrize("method", ["acquireTokenSilently", "acquireTokenInteractively"])
async def test_himmelblau_returns_a_bearer_token_for_proof_of_possession_with_a_url(ask: Asker, method: str) -> None:
    pop = {"authenticationScheme": "pop", "httpMethod": "GET", "uriHost": "graph.microsoft.com", "uriPath": "/v1.0/me"}
    asked = parameters(await ask.account(), popParams=pop)
    token = response(await ask(method, {"authParameters": asked}))
    assert token["accessTokenType"] == 0
    assert "cnf" not in _claims(token)


@each_himmelblau
async def test_himmelblau_binds_a_token_to_a_kid_and_keeps_the_type_bearer(ask: Asker) -> None:
    pop = {"authenticationScheme": "PoP", "kid": "key"}
    token = response(await ask.silently(await ask.account(), popParams=pop))
    assert token["accessTokenType"] == 0
    assert _claims(token)["cnf"] == {"kid": "key"}


def _claims(token: Any) -> Any:
    payload = token["accessToken"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


# Cookies


@new_himmelblau
async def test_a_cookie_request_opens_the_dialog_of_himmelblau_4_0_if_silent_calls_are_refused(
    ask: Asker, fake_broker: RunningFake
) -> None:
    account = await ask.account()
    fake_broker.plant("silent_refused")
    fake_broker.set_user("cancel")
    assert await ask.cookie(account) == (FAILED, "Interactive authentication failed: PAM_ABORT")
    fake_broker.set_user("approve")
    assert (await ask.cookie(account))["cookieContent"]
    assert response(await ask.silently(account)), "the dialog has renewed the session"


@pytest.mark.parametrize("persona", HIMMELBLAU)
async def test_himmelblau_gives_a_personal_account_tokens_but_no_cookie(persona: str) -> None:
    directory = FakeConfig().directory.model_dump(mode="json")
    text = json.dumps(directory).replace(CONTOSO, "9188040d-6c67-4c5b-b112-36a304b66dad")
    config = FakeConfig.model_validate({"persona": persona, "directory": json.loads(text)})
    with RunningFake(config) as running:
        async with asker(running.address) as ask:
            account = await ask.account()
            assert response(await ask.silently(account))
            refused = bare_error("Failed to fetch prt sso cookie")
            assert await ask.cookie(account) == ("" if persona == OLD_HIMMELBLAU else refused)
