"""Calls of the replacement runtime: what callbacks get, the thread they run on, and what is logged."""

from __future__ import annotations

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run

ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
ADA_ID = "00000000-0000-0000-0000-0000000000a1"
SIGN_IN = "result = call(runtime.signin_silently, parameters(), new_id())\n"


def test_a_silent_sign_in_gives_a_token_and_whose_it_is(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        SIGN_IN + "assert result.get_error() is None\n"
        "print(json.dumps({'token': result.get_access_token(), 'expires': result.get_access_token_expiry_time(),\n"
        "    'upn': result.get_account().get_user_name(), 'scopes': result.get_granted_scopes(),\n"
        "    'claims': json.loads(result.get_id_token()), 'raw': result.get_raw_id_token(),\n"
        "    'pop': result.is_pop_authorization(), 'header': result.get_authorization_header(),\n"
        "    'info': result.get_account().get_client_info()}))"
    ).json
    claims = fake_broker.broker.verify_access_token(seen["token"])
    assert (claims["upn"], claims["exp"]) == (ADA, seen["expires"])
    assert (seen["upn"], seen["claims"]["preferred_username"]) == (ADA, ADA)
    assert "https://graph.microsoft.com/.default" in seen["scopes"]
    assert (seen["pop"], seen["header"]) == (0, None)
    assert seen["raw"].count(".") == 2 and seen["info"]


def test_a_proof_of_possession_comes_as_an_authorization_header(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "asked = parameters()\n"
        "asked.set_pop_params('POST', 'graph.microsoft.com', '/v1.0/me', 'from-server')\n"
        "result = call(runtime.signin_silently, asked, new_id())\n"
        "print(json.dumps([result.is_pop_authorization(), result.get_authorization_header()]))"
    ).json
    scheme, _, signed = seen[1].partition(" ")
    payload = fake_broker.broker.entra.verify_signed_http_request(signed)
    assert (seen[0], scheme) == (1, "pop")
    assert (payload["m"], payload["u"], payload["p"], payload["nonce"]) == (
        "POST",
        "graph.microsoft.com",
        "/v1.0/me",
        "from-server",
    )


def test_a_broker_that_gives_no_proof_of_possession_is_not_believed(run: Run, fake_broker: RunningFake) -> None:
    reply = '{"brokerTokenResponse": {"accessToken": "opaque", "accessTokenType": 0, "expiresOn": 1900000000000}}'
    fake_broker.plant("raw_reply", method="acquireTokenSilently", reply=reply)
    seen = run(
        "asked = parameters()\n"
        "asked.set_pop_params('GET', 'graph.microsoft.com', '/', None)\n"
        "result = call(runtime.signin_silently, asked, new_id())\n"
        "print(json.dumps([status(result), result.get_error().get_context()]))"
    )
    assert seen.json == ["Status_Unexpected", "PoP is not available"]


def test_callbacks_come_on_another_thread(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "threads = []\n"
        "done = threading.Event()\n"
        "def callback(result):\n"
        "    threads.append(threading.current_thread())\n"
        "    done.set()\n"
        "runtime.discover_accounts(CLIENT_ID, new_id(), callback)\n"
        "assert done.wait(50)\n"
        "loops = [thread.name for thread in threading.enumerate() if thread.name == 'linuxbroker-runtime']\n"
        "print(json.dumps([threads[0] is threading.main_thread(), threads[0].name, loops]))"
    )
    assert seen.json == [False, "linuxbroker-callback", ["linuxbroker-runtime"]]


def test_a_call_can_be_made_beside_a_running_event_loop(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "import asyncio\n"
        "async def main():\n"
        "    loop, done = asyncio.get_running_loop(), asyncio.Event()\n"
        "    results = []\n"
        "    def callback(result):\n"
        "        results.append(result)\n"
        "        loop.call_soon_threadsafe(done.set)\n"
        "    runtime.signin_silently(parameters(), new_id(), callback)\n"
        "    await done.wait()\n"
        "    blocked = call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "    return [results[0].get_account().get_user_name(), len(blocked.get_accounts())]\n"
        "print(json.dumps(asyncio.run(main())))"
    )
    assert seen.json == [ADA, 2]


def test_an_account_is_found_by_its_id_in_a_process_that_has_not_seen_it(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        f"found = call(runtime.read_account_by_id, '{ADA_ID}', new_id())\n"
        "token = call(runtime.acquire_token_silently, parameters(), new_id(), found.get_account())\n"
        "lost = call(runtime.read_account_by_id, 'nobody', new_id())\n"
        "print(json.dumps([found.get_account().get_user_name(), token.get_access_token(), status(lost)]))"
    ).json
    assert (seen[0], seen[2]) == (ADA, "Status_AccountNotFound")
    assert fake_broker.broker.verify_access_token(seen[1])["upn"] == ADA


def test_a_signed_out_account_gets_no_token_until_it_signs_in_with_the_user(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        f"account = call(runtime.read_account_by_id, '{ADA_ID}', new_id()).get_account()\n"
        "token = lambda: status(call(runtime.acquire_token_silently, parameters(), new_id(), account))\n"
        "seen = [token()]\n"
        "call(runtime.signout_silently, CLIENT_ID, new_id(), account)\n"
        "seen.append(token())\n"
        "call(runtime.signin_silently, parameters(), new_id())\n"
        "seen.append(token())\n"
        "call(runtime.signin_interactively, 1, parameters(), new_id(), None)\n"
        "seen.append(token())\n"
        "print(json.dumps(seen))"
    )
    assert seen.json == [None, "Status_AccountUnusable", "Status_AccountUnusable", None]


def test_a_sign_out_holds_for_one_client_id_and_one_account(run: Run, fake_broker: RunningFake) -> None:
    other = "22222222-2222-4333-8444-555555555555"
    seen = run(
        "def of(client_id):\n"
        "    made = runtime.MSALRuntimeAuthParameters(client_id, AUTHORITY)\n"
        "    made.set_requested_scopes([GRAPH])\n"
        "    made.set_redirect_uri(REDIRECT_URI)\n"
        "    return made\n"
        f"OTHER = '{other}'\n"
        "listed = call(runtime.discover_accounts, CLIENT_ID, new_id()).get_accounts()\n"
        "ada, grace = (next(a for a in listed if a.get_user_name().startswith(name)) for name in ('ada', 'grace'))\n"
        "token = lambda client_id, whose: status(\n"
        "    call(runtime.acquire_token_silently, of(client_id), new_id(), whose))\n"
        "def all_tokens():\n"
        "    return [token(client_id, whose) for client_id in (CLIENT_ID, OTHER) for whose in (ada, grace)]\n"
        "seen = []\n"
        "call(runtime.signout_silently, CLIENT_ID, new_id(), ada)\n"
        "seen.append(all_tokens())\n"
        "call(runtime.signout_silently, OTHER, new_id(), ada)\n"
        "seen.append(all_tokens())\n"
        "call(runtime.acquire_token_interactively, 1, of(CLIENT_ID), new_id(), ada)\n"
        "seen.append(all_tokens())\n"
        "print(json.dumps(seen))"
    )
    out = "Status_AccountUnusable"
    assert seen.json == [[out, None, None, None], [out, None, out, None], [None, None, out, None]]


def test_one_sign_in_at_a_time_asks_the_user(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    seen = run(
        "first = runtime.CallbackData()\n"
        "handle = runtime.signin_interactively(1, parameters(), new_id(), None, first.complete)\n"
        "refused = call(runtime.signin_interactively, 1, parameters(), new_id(), None)\n"
        "handle.cancel_async_operation()\n"
        "wait(first)\n"
        "print(json.dumps([refused.get_error().get_tag(), status(first.result)]))"
    )
    assert seen.json == [523883728, "Status_UserCanceled"]
    assert len(fake_broker.calls_of("acquireTokenInteractively")) <= 1  # none where the cancellation was quicker


def test_log_callbacks_hear_of_each_call_until_they_are_released(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "heard, after = [], []\n"
        "broken = runtime.register_logging_callback(lambda message, level: 1 / 0)\n"
        "handle = runtime.register_logging_callback(lambda message, level: heard.append([level.name, message]))\n"
        "call(runtime.read_account_by_id, 'nobody', new_id())\n"
        "handle.release_logging_callback()\n"
        "handle.release_logging_callback()\n"
        "call(runtime.read_account_by_id, 'nobody', new_id())\n"
        "print(json.dumps(heard))"
    ).json
    ((level, message),) = seen
    assert level == "ERROR"
    assert "ReadAccountById failed: AccountNotFound" in message and "'(pii)'" in message


def test_a_handle_that_stands_for_no_log_callback_releases_none(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "heard = []\n"
        "runtime.register_logging_callback(lambda message, level: heard.append(level.name))\n"
        "runtime.MSALRuntimeLogCallbackHandle().release_logging_callback()\n"
        "call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "print(json.dumps(heard))"
    )
    assert seen.json == ["INFO"]


def test_what_is_personal_shows_where_that_is_asked_for(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "text = lambda: call(runtime.read_account_by_id, 'nobody-s-id', new_id()).get_error().get_context()\n"
        "hidden = text()\n"
        "runtime.set_is_pii_enabled(1)\n"
        "shown = text()\n"
        "runtime.set_is_pii_enabled(0)\n"
        "print(json.dumps([hidden, shown, text()]))"
    )
    hidden = "Account with id '(pii)' not found"
    assert seen.json == [hidden, "Account with id 'nobody-s-id' not found", hidden]


@pytest.mark.parametrize("missing", ["accessToken", "expiresOn"])
def test_no_token_is_in_an_error_or_a_log(run: Run, fake_broker: RunningFake, missing: str) -> None:
    secret = "s3cret" * 12
    parts = {"accessToken": secret, "accessTokenType": 7, "idToken": secret, "clientInfo": secret, "expiresOn": 1}
    reply = str({"brokerTokenResponse": {key: value for key, value in parts.items() if key != missing}})
    fake_broker.plant("raw_reply", method="acquireTokenSilently", reply=reply.replace("'", '"'))
    seen = run(
        "said = []\n"
        "runtime.set_is_pii_enabled(1)\n"
        "runtime.register_logging_callback(lambda message, level: said.append(message))\n"
        "asked = parameters()\n"
        f"asked.set_access_token_to_renew('{secret}')\n"
        "result = call(runtime.signin_silently, asked, new_id())\n"
        "print(json.dumps([status(result), str(result.get_error()), repr(result), *said]))"
    ).json
    assert seen[0] == "Status_Unexpected"
    assert "s3cret" not in str(seen)


def test_a_password_goes_to_the_broker_and_into_no_error(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("dbus_error", method="acquireTokenSilently", context="could not log in with hunter2-hunter2")
    seen = run(
        "asked = parameters(authority='https://login.microsoftonline.com/organizations')\n"
        f"asked.set_additional_parameter('MSALRuntime_Username', '{GRACE}')\n"
        "asked.set_additional_parameter('MSALRuntime_Password', 'hunter2-hunter2')\n"
        "result = call(runtime.signin_silently, asked, new_id())\n"
        "print(json.dumps(str(result.get_error())))"
    ).json
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    asked = call.request["authParameters"]
    assert (asked["username"], asked["password"]) == (GRACE, "(hidden)")  # the journal keeps none
    assert "MSALRuntime" not in str(asked["additionalQueryParametersForAuthorization"])
    assert "hunter2" not in seen and "could not log in with" in seen


@pytest.mark.fake_broker(persona="himmelblau")
def test_himmelblaus_failures_lead_on_to_the_user_where_their_text_calls_for_that(
    run: Run, fake_broker: RunningFake
) -> None:
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    seen = run(
        "silent = call(runtime.signin_silently, parameters(), new_id())\n"
        "either = call(runtime.signin, 1, parameters(), new_id(), None)\n"
        "print(json.dumps([status(silent), status(either), either.get_account().get_user_name()]))"
    )
    assert seen.json == ["Status_InteractionRequired", None, ADA]


def test_what_is_shown_of_the_user_is_cut_and_free_of_what_a_terminal_obeys(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "heard = []\n"
        "handle = runtime.register_logging_callback(lambda message, level: heard.append(message))\n"
        "runtime.set_is_pii_enabled(1)\n"
        "error = call(runtime.read_account_by_id, '\\x1b[2J\\u202e\\n' + 'x' * 100_000, new_id()).get_error()\n"
        "print(json.dumps([error.get_context(), str(error), *heard]))"
    ).json
    assert len(seen) > 2
    assert all(text.isprintable() and len(text) < 4500 for text in seen)


def test_each_call_is_found_in_the_brokers_log_by_its_correlation_id(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "good, telemetry = new_id(), []\n"
        "for given in (good, good.upper(), 'not-an-id', ''):\n"
        "    result = call(runtime.discover_accounts, CLIENT_ID, given)\n"
        "    telemetry.append(result.get_telemetry_data()['correlation_id'])\n"
        "print(json.dumps([good, telemetry]))"
    ).json
    good, told = seen
    assert told[:2] == [good, good]
    assert [call.correlation_id for call in fake_broker.calls_of("getAccounts")] == told


def test_telemetry_can_be_changed_without_harm(run: Run, fake_broker: RunningFake) -> None:
    seen = run(SIGN_IN + "result.get_telemetry_data().clear()\nprint(json.dumps(sorted(result.get_telemetry_data())))")
    assert {"api_name", "broker_app_used", "client_id", "is_successful"} <= set(seen.json)
