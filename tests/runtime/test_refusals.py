"""What the replacement runtime refuses before it asks the broker, in the words of Microsoft's runtime."""

from __future__ import annotations

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run

ADA_ID = "00000000-0000-0000-0000-0000000000a1"
CONTRACT = "Status_ApiContractViolation"
HOW_AN_AUTHORITY_LOOKS = (
    "authority must be https://HOST/TENANT, such as https://login.microsoftonline.com/organizations"
)
# What each function that asks for a token makes of the parameters that a test has set. Those that take an account get
# one whose reading the broker answers first.
ASK = f"""
def outcome(result):
    error = result.get_error()
    assert (result.get_access_token(), result.get_account(), result.get_id_token()) == (None, None, None)
    used = result.get_telemetry_data()["broker_app_used"]
    return [error.get_status().name, error.get_tag(), error.get_context(), error.get_error_code(), used]

account = call(runtime.read_account_by_id, "{ADA_ID}", new_id()).get_account()

def ask(asked):
    return [
        outcome(call(runtime.signin_silently, asked, new_id())),
        outcome(call(runtime.acquire_token_silently, asked, new_id(), account)),
        outcome(call(runtime.signin, 1, asked, new_id(), None)),
        outcome(call(runtime.signin_interactively, 1, asked, new_id(), None)),
        outcome(call(runtime.acquire_token_interactively, 1, asked, new_id(), account)),
    ]
"""


@pytest.mark.parametrize(
    ("asked", "tag", "context"),
    [
        ("authority='nope'", 507605313, "Authority cannot be null."),
        ("authority=''", 507605313, "Authority cannot be null."),
        ("authority='ftp://login.microsoftonline.com/common'", 507605313, "Authority cannot be null."),
        ("authority='https://[::1/common'", 507605313, "Authority cannot be null."),
        ("authority='https://login.microsoftonline.com'", 0, HOW_AN_AUTHORITY_LOOKS),
        (
            "'openid', 'Profile', 'offline_access'",
            504698626,
            "Scopes are a required authentication parameter in token acquisition flow",
        ),
        ("' '", 504698626, "Scopes are a required authentication parameter in token acquisition flow"),
    ],
)
def test_an_authority_that_is_none_and_scopes_that_ask_for_nothing(
    run: Run, fake_broker: RunningFake, asked: str, tag: int, context: str
) -> None:
    seen = run(f"{ASK}print(json.dumps(ask(parameters({asked}))))")
    assert seen.json == [[CONTRACT, tag, context, 0, "false"]] * 5
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]


@pytest.mark.parametrize(
    ("setting", "tag", "context"),
    [
        (
            "set_decoded_claims('nope')",
            591975578,
            "Failed to parse non-empty claims challenge '(pii)' to Json due to invalid format.",
        ),
        (
            "set_decoded_claims('[]')",
            591975578,
            "Failed to parse non-empty claims challenge '(pii)' to Json due to invalid format.",
        ),
        (
            "set_additional_parameter('domain_hint', 'contoso.example')",
            590899090,
            "Disallowed additional query parameter was used: 'domain_hint'",
        ),
        (
            "set_additional_parameter('req_cnf', 'nope')",
            521203746,
            "req_cnf parameter should contain a key id (kid)",
        ),
        (
            "set_pop_params('GET', 'graph.microsoft.com/v1.0', '/me', None)",
            0,
            "proof of possession requires uri_host to be a host and uri_path to be a path only",
        ),
        (
            "set_pop_params('GET', 'graph.microsoft.com', '/me?x=1', None)",
            0,
            "proof of possession requires uri_host to be a host and uri_path to be a path only",
        ),
    ],
)
def test_what_a_setter_takes_and_no_request_can_have(
    run: Run, fake_broker: RunningFake, setting: str, tag: int, context: str
) -> None:
    seen = run(f"{ASK}asked = parameters()\nasked.{setting}\nprint(json.dumps(ask(asked)))")
    assert seen.json == [[CONTRACT, tag, context, 0, "false"]] * 5
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]


def test_without_a_client_id_nothing_can_be_asked_for(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        f"{ASK}asked = runtime.MSALRuntimeAuthParameters('', AUTHORITY)\n"
        "listing = call(runtime.discover_accounts, '', new_id())\n"
        "print(json.dumps([ask(asked), listing.get_error().get_context(), status(listing), listing.get_accounts(),\n"
        "    listing.get_telemetry_data().get('client_id')]))"
    )
    assert seen.json == [
        [[CONTRACT, 590899092, "Client ID is a required authentication parameter", 0, "false"]] * 5,
        "ClientID cannot be empty while discovering accounts",
        CONTRACT,
        [],
        None,
    ]
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]


def test_the_user_is_not_asked_without_a_redirect_uri(run: Run, fake_broker: RunningFake) -> None:
    seen = run(f"{ASK}print(json.dumps(ask(parameters(redirect_uri=''))))")
    asking = [CONTRACT, 590899094, "Called AcquireTokenInteractively but no redirect URI was provided", 0, "false"]
    assert seen.json == [[CONTRACT, 0, "redirect_uri must not be empty", 0, "false"]] * 2 + [asking] * 3
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]


@pytest.mark.parametrize(
    ("name", "password", "tag", "context"),
    [
        (None, "x", 590899099, "Username cannot be empty in UsernamePassword flow"),
        ("", "x", 590899099, "Username cannot be empty in UsernamePassword flow"),
        ("grace@fabrikam.example", "", 590899100, "Password cannot be empty in UsernamePassword flow"),
    ],
)
def test_a_password_goes_with_a_user_name(
    run: Run, fake_broker: RunningFake, name: str | None, password: str, tag: int, context: str
) -> None:
    seen = run(
        f"asked = parameters()\nasked.set_additional_parameter('MSALRuntime_Password', '{password}')\n"
        + ("" if name is None else f"asked.set_additional_parameter('MSALRuntime_Username', '{name}')\n")
        + "result = call(runtime.signin_silently, asked, new_id())\n"
        "print(json.dumps([status(result), result.get_error().get_tag(), result.get_error().get_context(),\n"
        "    result.get_telemetry_data()['api_name']]))"
    )
    assert seen.json == [CONTRACT, tag, context, "AcquireTokenUsernamePassword"]
    assert [call.member for call in fake_broker.calls] == ["Ping"]


@pytest.mark.parametrize("tenant", ["consumers", "Consumers/"])
def test_a_work_account_gets_no_silent_token_of_a_personal_one(run: Run, fake_broker: RunningFake, tenant: str) -> None:
    seen = run(
        f"{ASK}asked = parameters(authority='https://login.microsoftonline.com/{tenant}')\n"
        "print(json.dumps([outcome(call(runtime.signin_silently, asked, new_id())),\n"
        "    outcome(call(runtime.acquire_token_silently, asked, new_id(), account))]))"
    )
    assert seen.json == [
        ["Status_InteractionRequired", 527512645, "Default account could not be found", 0, "false"],
        ["Status_InteractionRequired", 592585054, "No valid refresh tokens available in the cache.", 0, "false"],
    ]
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]


@pytest.mark.parametrize("client_id", ["my-app", "11111111-2222-4333-8444-55555555555"])
def test_a_client_id_that_is_no_uuid(run: Run, fake_broker: RunningFake, client_id: str) -> None:
    seen = run(
        f"asked = runtime.MSALRuntimeAuthParameters('{client_id}', AUTHORITY)\n"
        "asked.set_requested_scopes([GRAPH])\nasked.set_redirect_uri(REDIRECT_URI)\n"
        f"results = [call(runtime.discover_accounts, '{client_id}', new_id()),\n"
        "    call(runtime.signin_silently, asked, new_id()),\n"
        "    call(runtime.signin, 1, asked, new_id(), None)]\n"
        "print(json.dumps([[status(result), result.get_error().get_context()] for result in results]))"
    )
    for outcome, context in seen.json:
        assert outcome == CONTRACT
        assert context.startswith("client_id must be a UUID: the 'Application (client) ID'")
    assert [call.member for call in fake_broker.calls] == ["Ping"]
