"""Sign-ins of the replacement runtime: whose token comes, who is asked, and what is sent to the broker."""

from __future__ import annotations

from typing import Any

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run

ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
ADA_ID = "00000000-0000-0000-0000-0000000000a1"
HOST = "https://login.microsoftonline.com"
READ_ADA = f"account = call(runtime.read_account_by_id, '{ADA_ID}', new_id()).get_account()\n"


def _asked(fake: RunningFake, member: str) -> dict[str, Any]:
    """What the broker was last asked for a token with."""
    parameters: dict[str, Any] = fake.calls_of(member)[-1].request["authParameters"]
    return parameters


@pytest.mark.parametrize(
    ("hint", "asked"),
    [("None", 0), ("''", 0), (f"'{ADA}'", 0), (f"'{ADA.upper()}'", 0), ("'nobody@contoso.example'", 1)],
)
@pytest.mark.fake_broker(signed_in=(ADA,))
def test_the_user_is_asked_where_another_than_the_hinted_would_be_signed_in(
    run: Run, fake_broker: RunningFake, hint: str, asked: int
) -> None:
    fake_broker.set_user("cancel")
    seen = run(
        f"result = call(runtime.signin, 1, parameters(), new_id(), {hint})\n"
        "print(json.dumps([status(result), result.get_account() and result.get_account().get_user_name()]))"
    )
    assert seen.json == (["Status_UserCanceled", None] if asked else [None, ADA])
    windows = fake_broker.calls_of("acquireTokenInteractively")
    assert [call.request["authParameters"]["username"] for call in windows] == ["nobody@contoso.example"] * asked


def test_a_sign_in_for_personal_accounts_asks_the_user_at_once(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("status", method="acquireTokenInteractively", status=7)
    seen = run(
        f"asked = parameters(authority='{HOST}/consumers')\n"
        "print(json.dumps(status(call(runtime.signin, 1, asked, new_id(), None))))"
    )
    assert seen.json == "Status_UserCanceled"
    assert [call.member for call in fake_broker.calls] == ["Ping", "acquireTokenInteractively"]


@pytest.mark.parametrize(
    ("fault", "outcome", "asked"),
    [
        ({"kind": "mfa_expired"}, None, 1),
        ({"kind": "status", "status": 13}, None, 1),
        ({"kind": "no_network"}, "Status_NoNetwork", 0),
        ({"kind": "raw_reply", "reply": "nonsense"}, "Status_Unexpected", 0),
    ],
    ids=["interaction required", "account unusable", "no network", "nonsense"],
)
def test_the_user_is_asked_where_that_mends_the_silent_attempt(
    run: Run, fake_broker: RunningFake, fault: dict[str, Any], outcome: str | None, asked: int
) -> None:
    fake_broker.plant(**fault, method="acquireTokenSilently")
    seen = run("print(json.dumps(status(call(runtime.signin, 1, parameters(), new_id(), None))))")
    assert seen.json == outcome
    assert len(fake_broker.calls_of("acquireTokenInteractively")) == asked


def test_a_token_for_an_account_with_the_user(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        READ_ADA + "asked = parameters()\n"
        "asked.set_access_token_to_renew('refused')\n"
        "result = call(runtime.acquire_token_interactively, 77, asked, new_id(), account)\n"
        "print(json.dumps([status(result), result.get_access_token(), result.get_telemetry_data()['api_name']]))"
    )
    outcome, token, api_name = seen.json
    assert (outcome, api_name) == (None, "AcquireTokenInteractively")
    assert fake_broker.broker.verify_access_token(token)["upn"] == ADA
    (window,) = fake_broker.calls_of("acquireTokenInteractively")
    assert window.request["parentWindowHandle"] == 77
    assert window.request["authParameters"]["account"]["localAccountId"] == ADA_ID
    assert window.request["authParameters"]["accessTokenToRenew"] == "refused"


def test_a_signed_out_account_gets_tokens_again_once_the_user_was_asked_for_it(
    run: Run, fake_broker: RunningFake
) -> None:
    seen = run(
        READ_ADA + "call(runtime.signout_silently, CLIENT_ID, new_id(), account)\n"
        "token = lambda: status(call(runtime.acquire_token_silently, parameters(), new_id(), account))\n"
        "print(json.dumps([token(),\n"
        "    status(call(runtime.acquire_token_interactively, 1, parameters(), new_id(), account)), token()]))"
    )
    assert seen.json == ["Status_AccountUnusable", None, None]


@pytest.mark.parametrize(
    ("hint", "error"), [(f"'{GRACE}'", ""), ("None", ""), ("7", "TypeError: Argument 'accountHint'")]
)
def test_a_hint_for_a_sign_in_with_the_user_is_checked_and_not_sent(
    run: Run, fake_broker: RunningFake, hint: str, error: str
) -> None:
    seen = run(
        "try:\n"
        f"    print(status(call(runtime.signin_interactively, 1, parameters(), new_id(), {hint})) or '')\n"
        "except TypeError as error:\n"
        "    print(f'TypeError: {error}')"
    )
    assert (seen.out.startswith(error), seen.err) == (True, "")
    windows = fake_broker.calls_of("acquireTokenInteractively")
    assert [call.request["authParameters"]["username"] for call in windows] == ([] if error else [""])


@pytest.mark.parametrize(
    ("authority", "sent"),
    [
        (f"{HOST}/organizations/", f"{HOST}/organizations"),
        ("https://login.windows.net/common", f"{HOST}/common"),
        ("http://login.microsoftonline.com/common", f"{HOST}/common"),
        ("https://login.contoso.example/common", "https://login.contoso.example/common"),
    ],
)
@pytest.mark.fake_broker(signed_in=())
def test_an_authority_goes_out_under_its_clouds_own_name(
    run: Run, fake_broker: RunningFake, authority: str, sent: str
) -> None:
    run(f"call(runtime.signin_silently, parameters(authority='{authority}'), new_id())")
    assert _asked(fake_broker, "acquireTokenSilently")["authority"] == sent


def test_each_scope_goes_out_once_and_the_reserved_ones_do_not(run: Run, fake_broker: RunningFake) -> None:
    run("call(runtime.signin_silently, parameters('a/b c/d', 'openid', 'a/b', 'e/f OFFLINE_ACCESS'), new_id())")
    assert _asked(fake_broker, "acquireTokenSilently")["requestedScopes"] == ["a/b", "c/d", "e/f"]


def test_additional_parameters_go_out_but_for_one_without_a_name(run: Run, fake_broker: RunningFake) -> None:
    run(
        "asked = parameters()\n"
        "for key, value in {'max_age': '5', '': 'dropped', 'hsu': 'kept'}.items():\n"
        "    asked.set_additional_parameter(key, value)\n"
        "call(runtime.signin_silently, asked, new_id())"
    )
    query = _asked(fake_broker, "acquireTokenSilently")["additionalQueryParametersForAuthorization"]
    assert (query["max_age"], query["hsu"], "" in query) == ("5", "kept", False)


def test_parameters_that_are_changed_after_a_call_change_nothing_of_it(run: Run, fake_broker: RunningFake) -> None:
    run(
        "asked, data = parameters('a/b'), runtime.CallbackData()\n"
        "asked.set_additional_parameter('hsu', 'before')\n"
        "runtime.signin_silently(asked, new_id(), data.complete)\n"
        "asked.set_requested_scopes(['c/d'])\n"
        "asked.set_additional_parameter('hsu', 'after')\n"
        "wait(data)"
    )
    sent = _asked(fake_broker, "acquireTokenSilently")
    assert sent["requestedScopes"] == ["a/b"]
    assert sent["additionalQueryParametersForAuthorization"]["hsu"] == "before"


@pytest.mark.parametrize(
    ("function", "member"),
    [
        ("call(runtime.signin_silently, asked, new_id())", "acquireTokenSilently"),
        ("call(runtime.acquire_token_silently, asked, new_id(), account)", "acquireTokenSilently"),
        ("call(runtime.signin_interactively, 1, asked, new_id(), None)", "acquireTokenInteractively"),
    ],
)
def test_the_brokers_version_is_asked_for_before_a_token_that_is_bound_to_a_key(
    run: Run, fake_broker: RunningFake, function: str, member: str
) -> None:
    run(
        READ_ADA + "asked = parameters()\n"
        "asked.set_additional_parameter('req_cnf', json.dumps({'kid': 'the-key'}))\n"
        f"asked.set_additional_parameter('token_type', 'ssh-cert')\n{function}"
    )
    (version,) = fake_broker.calls_of("getLinuxBrokerVersion")
    (token,) = fake_broker.calls_of(member)
    assert fake_broker.calls.index(version) < fake_broker.calls.index(token)
    assert version.correlation_id == token.correlation_id


@pytest.mark.fake_broker(signed_in=(ADA,), persona="microsoft-2.0.1")
def test_a_user_with_a_record_in_each_of_several_tenants_is_listed_once(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "(account,) = call(runtime.discover_accounts, CLIENT_ID, new_id()).get_accounts()\n"
        "print(json.dumps([account.get_account_id(), account.get_home_account_id(), account.get_realm()]))"
    )
    local, home, realm = seen.json
    assert local == ADA_ID
    assert home == f"{local}.{realm}"
    assert len(fake_broker.directory.accounts()) > 2


def test_an_account_is_shown_with_what_the_broker_knows_of_it(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        READ_ADA + "print(json.dumps([account.get_user_name(), account.get_display_name(), account.get_given_name(),\n"
        "    account.get_family_name(), account.get_middle_name(), account.get_home_environment(),\n"
        "    account.get_local_account_id(), account.get_additional_fields_json()]))"
    )
    assert seen.json == [ADA, "Ada Lovelace", "Ada", "Lovelace", None, None, ADA_ID, "{}"]
