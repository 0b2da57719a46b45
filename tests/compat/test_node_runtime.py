"""MSAL for Node.js on Microsoft's runtime: what it sends to a broker, and what its application gets.

Where brokers differ, a test runs against each persona of the fake broker that it concerns; else against the default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from linuxbroker import Status
from linuxbroker_fake import FakeConfig, RunningFake
from linuxbroker_fake.personas import PersonaName
from tests.compat.desktop import CLIENT_ID
from tests.compat.node_application import NodeApplication
from tests.compat.runtime_scenarios import (
    ADA,
    ADA_ID,
    CLAIMS,
    CONTOSO,
    FABRIKAM,
    GRACE,
    GRAPH,
    HOST,
    STORAGE,
    reply,
)

SILENT, INTERACTIVE = "acquireTokenSilent", "acquireTokenInteractive"
SILENTLY, INTERACTIVELY = "acquireTokenSilently", "acquireTokenInteractively"
READ, MAIL = f"{GRAPH}/User.Read", f"{GRAPH}/Mail.Read"
WINDOW = 77
# Of every token request that names nothing else.
CONSTANTS: dict[str, Any] = {
    "accessTokenToRenew": "",
    "additionalQueryParametersForAuthorization": {"x-client-xtra-sku": "|,|0.20.7,|,|,|12.0.2"},
    "clientId": CLIENT_ID,
    "decodedClaims": "",
    "enrollmentId": "",
    "isTestMode": False,
    "password": "",
    "redirectUri": "https://login.microsoftonline.com/common/oauth2/nativeclient",
    "uxContextHandle": -1,
}
# What the application asks MSAL for, and what MSAL makes of it.
BOUND: dict[str, Any] = {
    "authenticationScheme": "pop",
    "resourceRequestMethod": "GET",
    "resourceRequestUri": "https://graph.microsoft.com/v1.0/me?$select=mail#top",
    "shrNonce": "from-server",
}
POP_PARAMS = {
    "clientClaims": "",
    "homeAccountId": "",
    "httpMethod": "GET",
    "nonce": "from-server",
    "uriHost": "graph.microsoft.com",
    "uriPath": "/v1.0/me",
}
on_microsofts_brokers = pytest.mark.parametrize(
    "persona", [name.value for name in PersonaName if name.value.startswith("microsoft-")]
)
on_himmelblau = pytest.mark.parametrize(
    "persona", [name.value for name in PersonaName if name.value.startswith("himmelblau-")]
)


@pytest.fixture
def persona() -> str:
    """The broker of a test that says nothing of it."""
    return FakeConfig().persona.value


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


@pytest.fixture
def node(start_node: Callable[..., NodeApplication]) -> NodeApplication:
    """An application that has just started."""
    return start_node()


def _sent(fake: RunningFake) -> list[tuple[str, dict[str, Any]]]:
    """The methods that were called, with what each token request holds but for telemetry and the constants."""
    return [
        (call.member, _without_constants((call.request or {}).get("authParameters", {})))
        for call in fake.calls
        if call.member != "Ping"
    ]


def _without_constants(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in parameters.items()
        if key != "onboardingBlob" and (key not in CONSTANTS or value != CONSTANTS[key])
    }


def _parameters(account: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """What a token request holds but for telemetry and constants, for an account or for whom the broker chooses."""
    of_account = {"authority": f"{HOST}/{CONTOSO}", "username": ADA}
    of_none = {"authority": f"{HOST}/common", "username": "", "isSignIn": True}
    return {
        "account": account,
        "popParams": None,
        "requestedScopes": [READ],
        **(of_account if account else of_none),
        **others,
    }


def _claims(fake: RunningFake, result: dict[str, Any]) -> dict[str, Any]:
    """The claims of a result's access token, which the fake Entra signed."""
    assert result["tokenType"] == "Bearer"
    claims: dict[str, Any] = fake.broker.verify_access_token(result["accessToken"])
    return claims


def _signed_request(fake: RunningFake, result: dict[str, Any]) -> dict[str, Any]:
    """What was signed as proof of possession: the token in it is the fake Entra's, and the key is the token's."""
    assert result["tokenType"] == "pop"
    payload: dict[str, Any] = fake.broker.entra.verify_signed_http_request(result["accessToken"])
    return payload


@on_microsofts_brokers
def test_the_runtime_pings_once_and_lists_the_accounts(node: NodeApplication, fake_broker: RunningFake) -> None:
    assert node.ready == {"isBrokerAvailable": True, "startupError": None}
    accounts = node.succeed("getAllAccounts")
    # As from Python: one account for each home account id.
    assert {(account["username"], account["tenantId"]) for account in accounts} == {(ADA, CONTOSO), (GRACE, FABRIKAM)}
    assert {account["environment"] for account in accounts} == {"login.microsoftonline.com"}
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]
    assert fake_broker.calls[1].request == {"clientId": CLIENT_ID, "redirectUri": CLIENT_ID}


@on_microsofts_brokers
def test_it_signs_a_user_in(node: NodeApplication, fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    result = node.succeed(INTERACTIVE, {"scopes": [READ], "prompt": "select_account"}, windowHandle=WINDOW)
    assert _claims(fake_broker, result)["upn"] == result["account"]["username"] == GRACE
    assert (result["scopes"], result["tenantId"], result["fromPlatformBroker"]) == ([READ], FABRIKAM, True)
    window: dict[str, Any] = {"parentWindow": {"handle": WINDOW}}
    assert _sent(fake_broker) == [(INTERACTIVELY, _parameters(authorizationType=6, **window))]
    (call,) = fake_broker.calls_of(INTERACTIVELY)
    assert call.request["parentWindowHandle"] == WINDOW
    assert call.correlation_id == result["correlationId"]


@on_microsofts_brokers
def test_it_signs_in_without_a_window_where_the_broker_can(node: NodeApplication, fake_broker: RunningFake) -> None:
    result = node.succeed(INTERACTIVE, {"scopes": [READ]}, windowHandle=WINDOW)
    _claims(fake_broker, result)
    silent = _parameters(authorizationType=1, parentWindow={"handle": WINDOW})
    assert _sent(fake_broker) == [("getAccounts", {}), (SILENTLY, silent)]


@on_microsofts_brokers
def test_it_asks_the_user_where_a_sign_in_needs_that(node: NodeApplication, fake_broker: RunningFake) -> None:
    fake_broker.plant("mfa_expired", method=SILENTLY)
    result = node.succeed(INTERACTIVE, {"scopes": [READ]}, windowHandle=WINDOW)
    _claims(fake_broker, result)
    window: dict[str, Any] = {"parentWindow": {"handle": WINDOW}}
    assert _sent(fake_broker) == [
        ("getAccounts", {}),
        (SILENTLY, _parameters(authorizationType=1, **window)),
        (INTERACTIVELY, _parameters(authorizationType=6, **window)),
    ]
    assert len({call.correlation_id for call in fake_broker.calls_of(SILENTLY, INTERACTIVELY, "getAccounts")}) == 1


@on_microsofts_brokers
def test_it_takes_a_hint_of_the_user(node: NodeApplication, fake_broker: RunningFake) -> None:
    result = node.succeed(INTERACTIVE, {"scopes": [READ], "loginHint": GRACE}, windowHandle=WINDOW)
    assert _claims(fake_broker, result)["upn"] == GRACE
    silent = _parameters(authorizationType=1, parentWindow={"handle": WINDOW}, username=GRACE)
    assert _sent(fake_broker) == [(SILENTLY, silent)]


@dataclass(frozen=True)
class Prompt:
    """What becomes of MSAL's ``prompt``: methods, and whether the account that the application named goes out."""

    name: str
    methods: tuple[str, ...]
    names_account: bool


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("select_account", (INTERACTIVELY,), names_account=False),
        Prompt("login", (INTERACTIVELY,), names_account=False),
        Prompt("create", (INTERACTIVELY,), names_account=False),
        Prompt("consent", (INTERACTIVELY,), names_account=True),
        Prompt("none", (SILENTLY,), names_account=True),
    ],
    ids=lambda prompt: prompt.name,
)
def test_a_prompt_chooses_the_call_and_does_not_reach_the_broker(
    node: NodeApplication, fake_broker: RunningFake, prompt: Prompt
) -> None:
    ada = node.account(ADA)
    fake_broker.clear_calls()
    _claims(fake_broker, node.succeed(INTERACTIVE, {"scopes": [READ], "prompt": prompt.name, "account": ada}))
    sent = _sent(fake_broker)
    assert tuple(method for method, _ in sent) == prompt.methods
    for _, parameters in sent:
        assert "prompt" not in parameters
        assert (parameters["account"] is not None) == prompt.names_account
        assert parameters["username"] == (ADA if prompt.names_account else "")


@on_microsofts_brokers
def test_it_gets_tokens_silently_and_keeps_them(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    fake_broker.clear_calls()
    first, again, other = (node.succeed(SILENT, {"scopes": [scope], "account": ada}) for scope in (READ, READ, STORAGE))
    assert _claims(fake_broker, first)["upn"] == ADA
    assert again["accessToken"] == first["accessToken"]
    assert _claims(fake_broker, other)["aud"].rstrip("/") == "https://storage.azure.com"
    methods, sent = zip(*_sent(fake_broker), strict=True)
    assert methods == (SILENTLY, SILENTLY)
    account = sent[0]["account"]
    assert (account["localAccountId"], account["environment"]) == (ADA_ID, "login.microsoftonline.com")
    assert sent[0] == _parameters(account, authorizationType=1)


@on_microsofts_brokers
def test_a_claims_challenge_gets_it_a_token_that_holds(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    challenge = fake_broker.revoke(ADA)
    _claims(fake_broker, node.succeed(SILENT, {"scopes": [READ], "account": ada, "claims": challenge}))
    (call,) = fake_broker.calls_of(SILENTLY)
    assert call.request["authParameters"]["decodedClaims"] == challenge


def test_client_capabilities_do_not_reach_the_broker(
    start_node: Callable[..., NodeApplication], fake_broker: RunningFake
) -> None:
    node = start_node(capabilities="CP1")
    ada = node.account(ADA)
    for request in ({}, {"claims": CLAIMS}):
        node.succeed(SILENT, {"scopes": [READ], "account": ada, **request})
    plain, challenged = (call.request["authParameters"]["decodedClaims"] for call in fake_broker.calls_of(SILENTLY))
    assert (plain, json.loads(challenged)) == ("", json.loads(CLAIMS))


@on_microsofts_brokers
def test_it_has_a_request_signed_silently(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    fake_broker.clear_calls()
    results = [node.succeed(SILENT, {"scopes": [READ], "account": ada, **BOUND}) for _ in range(2)]
    for result in results:
        payload = _signed_request(fake_broker, result)
        assert (payload["m"], payload["u"], payload["p"], payload["nonce"]) == (
            "GET",
            "graph.microsoft.com",
            "/v1.0/me",
            "from-server",
        )
    # It keeps no token that is bound to a request.
    sent = _sent(fake_broker)
    assert len(sent) == 2
    for method, parameters in sent:
        expected = _parameters(parameters["account"], authorizationType=1, popParams=POP_PARAMS)
        assert (method, parameters) == (SILENTLY, expected)
    # From a token on, an account has the names that the ID token has.
    assert [parameters["account"]["familyName"] for _, parameters in sent] == ["Lovelace", ""]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"resourceRequestMethod": "post"}, {"httpMethod": "post"}),
        ({"resourceRequestMethod": "BREW"}, {"httpMethod": "BREW"}),
        ({"shrNonce": ""}, {"nonce": ""}),
        (
            {"resourceRequestUri": "https://Api.Fabrikam.example:8443"},
            {"uriHost": "api.fabrikam.example:8443", "uriPath": "/"},
        ),
        ({"resourceRequestUri": f"{GRAPH}:443/v1.0/drafts/é%2F/"}, {"uriPath": "/v1.0/drafts/%C3%A9%2F/"}),
        ({"shrClaims": '{"key":"value"}', "popKid": "key"}, {}),
    ],
    ids=["method in small letters", "unknown method", "no nonce", "host alone", "path", "claims and key"],
)
def test_what_is_signed_goes_out_as(
    node: NodeApplication, fake_broker: RunningFake, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    ada = node.account(ADA)
    result = node.succeed(SILENT, {"scopes": [READ], "account": ada, **BOUND, **asked})
    (call,) = fake_broker.calls_of(SILENTLY)
    assert call.request["authParameters"]["popParams"] == {**POP_PARAMS, **sent}
    payload = _signed_request(fake_broker, result)
    assert payload["m"] == asked.get("resourceRequestMethod", "GET").upper()
    assert "client_claims" not in payload


@on_microsofts_brokers
def test_it_has_a_request_signed_interactively(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    fake_broker.clear_calls()
    for request in ({"account": ada}, {"prompt": "select_account"}):
        result = node.succeed(INTERACTIVE, {"scopes": [READ], **request, **BOUND}, windowHandle=WINDOW)
        assert _signed_request(fake_broker, result)["p"] == "/v1.0/me"
    (_, with_account), (_, without) = _sent(fake_broker)
    of_interactive: dict[str, Any] = {
        "authorizationType": 6,
        "popParams": POP_PARAMS,
        "parentWindow": {"handle": WINDOW},
    }
    sku = CONSTANTS["additionalQueryParametersForAuthorization"]
    assert with_account == _parameters(
        with_account["account"],
        additionalQueryParametersForAuthorization={"hsu": "1", **sku},
        **of_interactive,
    )
    assert without == _parameters(**of_interactive)


@pytest.mark.parametrize("method", [SILENT, INTERACTIVE])
def test_a_bearer_token_in_place_of_a_signed_request_is_a_failure(
    node: NodeApplication, fake_broker: RunningFake, method: str
) -> None:
    ada = node.account(ADA)
    fake_broker.plant("raw_reply", reply=reply({"accessTokenType": 0}))
    error = node.fail(method, {"scopes": [f"{GRAPH}/.default"], "account": ada, **BOUND})
    assert error["broker"]["message"] == "Unexpected: PoP is not available (Error Code: 0, Tag: 9k933)"


@on_himmelblau
def test_himmelblau_signs_nothing(node: NodeApplication, fake_broker: RunningFake) -> None:
    account = node.succeed("getAllAccounts")[0]
    node.succeed(SILENT, {"scopes": [READ], "account": account})
    for method in (SILENT, INTERACTIVE):
        error = node.fail(method, {"scopes": [READ], "account": account, **BOUND})
        assert error["broker"]["message"] == "Unexpected: PoP is not available (Error Code: 0, Tag: 9k933)"


@dataclass(frozen=True)
class Failure:
    """A fault, and what the application sees of it: MSAL's class, its code, and the runtime's status."""

    name: str
    fault: dict[str, Any]
    seen: tuple[str, str, str]


FAILURES = [
    Failure(
        "interaction required",
        {"kind": "mfa_expired"},
        ("InteractionRequiredAuthError", "interaction_required", "InteractionRequired"),
    ),
    Failure(
        "account unusable",
        {"kind": "status", "status": Status.ACCOUNT_UNUSABLE},
        ("InteractionRequiredAuthError", "interaction_required", "AccountUnusable"),
    ),
    Failure("no network", {"kind": "no_network"}, ("ClientAuthError", "no_network_connectivity", "NoNetwork")),
    Failure(
        "account unknown",
        {"kind": "status", "status": Status.ACCOUNT_NOT_FOUND},
        ("ClientAuthError", "no_account_found", "AccountNotFound"),
    ),
    Failure(
        "server away",
        {"kind": "status", "status": Status.SERVER_TEMPORARILY_UNAVAILABLE},
        ("ServerError", "server_unavailable", "ServerTemporarilyUnavailable"),
    ),
    Failure(
        "scopes declined",
        {"kind": "scopes_declined", "scopes": [MAIL]},
        ("ClientAuthError", "platform_broker_error", "ApiContractViolation"),
    ),
    Failure("a D-Bus error", {"kind": "dbus_error"}, ("ClientAuthError", "platform_broker_error", "Unexpected")),
    Failure(
        "an empty reply",
        {"kind": "raw_reply", "reply": ""},
        ("ClientAuthError", "platform_broker_error", "Unexpected"),
    ),
]


@on_microsofts_brokers
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_a_failure_is_seen_as(node: NodeApplication, fake_broker: RunningFake, failure: Failure) -> None:
    ada = node.account(ADA)
    fake_broker.plant(**{"method": SILENTLY, **failure.fault})
    error = node.fail(SILENT, {"scopes": [READ, MAIL], "account": ada})
    assert (error["name"], error["code"], error["broker"]["errorCode"]) == failure.seen
    assert len(fake_broker.calls_of(SILENTLY)) == 1


@on_microsofts_brokers
def test_it_hears_that_the_user_cancelled(node: NodeApplication, fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    error = node.fail(INTERACTIVE, {"scopes": [READ], "prompt": "select_account"})
    assert (error["code"], error["broker"]["errorCode"]) == ("user_canceled", "UserCanceled")


def test_a_prompt_of_none_asks_nobody(node: NodeApplication, fake_broker: RunningFake) -> None:
    fake_broker.plant("mfa_expired", method=SILENTLY)
    error = node.fail(INTERACTIVE, {"scopes": [READ], "prompt": "none"})
    assert error["code"] == "interaction_required"
    assert fake_broker.calls_of(INTERACTIVELY) == []


@pytest.mark.parametrize("odd", [{"homeAccountId": None}, {"username": 7}, {"realm": ""}, "text", None], ids=str)
def test_an_odd_account_in_a_list_costs_only_itself(
    node: NodeApplication, fake_broker: RunningFake, odd: dict[str, Any] | str | None
) -> None:
    ada, grace = (next(a.wire() for a in fake_broker.directory.accounts() if a.username == upn) for upn in (ADA, GRACE))
    accounts = [{**ada, **odd} if isinstance(odd, dict) else odd, grace]
    fake_broker.plant("raw_reply", method="getAccounts", reply=json.dumps({"accounts": accounts}))
    assert [account["username"] for account in node.succeed("getAllAccounts")] == [GRACE]


def test_reserved_scopes_are_not_sent(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    node.succeed(SILENT, {"scopes": [READ, "openid", "profile", "offline_access"], "account": ada})
    (call,) = fake_broker.calls_of(SILENTLY)
    assert call.request["authParameters"]["requestedScopes"] == [READ]


def test_an_account_that_it_has_not_seen_is_looked_for_nowhere(node: NodeApplication, fake_broker: RunningFake) -> None:
    error = node.fail(SILENT, {"scopes": [READ], "account": {"nativeAccountId": ADA_ID, "username": ADA}})
    assert (error["code"], error["broker"]["tag"]) == ("no_account_found", "5vt4a")
    assert [call.member for call in fake_broker.calls] == ["Ping"]


@on_microsofts_brokers
def test_signing_out_reaches_no_broker_and_ends_with_the_next_sign_in(
    node: NodeApplication, fake_broker: RunningFake
) -> None:
    ada = node.account(ADA)
    assert node.succeed("signOut", {"account": ada}) is None
    error = node.fail(SILENT, {"scopes": [READ], "account": ada})
    assert (error["code"], error["broker"]["errorCode"]) == ("interaction_required", "AccountUnusable")
    assert "signed out of this application" in error["message"]
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]
    node.succeed(INTERACTIVE, {"scopes": [READ], "account": ada})
    _claims(fake_broker, node.succeed(SILENT, {"scopes": [STORAGE], "account": ada}))


def test_without_a_broker_msal_opens_a_browser(
    start_node: Callable[..., NodeApplication], fake_broker: RunningFake
) -> None:
    fake_broker.stop_broker()
    node = start_node()
    assert not node.ready["isBrokerAvailable"]
    assert node.ready["startupError"]["errorContext"] == "Broker cannot be initialized for MSALRuntime"
    assert node.fail(INTERACTIVE, {"scopes": [READ]})["message"] == "the browser would be opened"
    assert node.succeed("getAllAccounts") == []


def test_a_broker_that_goes_is_a_failure_of_each_call(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    fake_broker.stop_broker()
    error = node.fail(SILENT, {"scopes": [READ], "account": ada})
    assert (error["code"], error["broker"]["errorCode"]) == ("platform_broker_error", "Unexpected")
    fake_broker.start_broker()
    _claims(fake_broker, node.succeed(SILENT, {"scopes": [READ], "account": ada}))


# MSAL's own list of the runtime's statuses is shorter, and makes "" of the others. A switched user is no failure to it:
# it goes on to read the token that is not there, and its call never ends.
UNNAMED = {
    Status.TRANSIENT_ERROR,
    Status.ACCOUNT_SWITCH,
    Status.DEVICE_NOT_REGISTERED,
    Status.REQUIRED_BROKER_MISSING,
    Status.FALLBACK_TO_NATIVE_MSAL,
}


def test_a_status_reads_as_itself_where_msal_has_a_name_for_it(node: NodeApplication, fake_broker: RunningFake) -> None:
    ada = node.account(ADA)
    for status in Status:
        if status is not Status.USER_SWITCH:
            fake_broker.clear_faults()
            fake_broker.plant("status", method=SILENTLY, status=int(status), context="planted")
            error = node.fail(SILENT, {"scopes": [READ], "account": ada})
            assert error["broker"]["errorCode"] == ("" if status in UNNAMED else status.wire_name)
            assert "planted" in error["broker"]["message"]
