"""Failures at the broker, on the bus or in the application's own code, as the replacement runtime reports them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run

OUTCOME = """
def outcome(result):
    error = result.get_error()
    return [error.get_status().name, error.get_error_code(), error.get_tag(), error.get_context()]
"""
SIGN_IN = OUTCOME + "print(json.dumps(outcome(call(runtime.signin_silently, parameters(), new_id()))))"
TOKEN = {"accessToken": "an-opaque-token", "accessTokenType": 0, "expiresOn": 1900000000000}


def test_a_failure_has_the_brokers_own_status_code_tag_and_text(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("status", method="acquireTokenSilently", status=15, context="planted", tag=7, error_code=6)
    assert run(SIGN_IN).json == ["Status_TransientError", 6, 7, "planted"]


@pytest.mark.parametrize(
    ("diagnostics", "tag", "oauth_error"),
    [
        (None, 529117665, ""),
        ({}, 529117665, ""),
        ({"raw_error_code": "invalid_grant", "exception_type": ""}, 529117662, "invalid_grant"),
        ({"raw_error_code": "interaction_required"}, 526767490, "interaction_required"),
        ({"raw_error_code": "something_else"}, 529117664, "something_else"),
    ],
)
def test_a_failure_without_a_tag_has_entras_error_behind_its_text(
    run: Run, fake_broker: RunningFake, diagnostics: dict[str, str] | None, tag: int, oauth_error: str
) -> None:
    error = {"context": "planted", "diagnostics": diagnostics, "errorCode": 1, "status": 2, "subStatus": 0, "tag": 0}
    fake_broker.plant("raw_reply", method="acquireTokenSilently", reply=json.dumps({"error": error}))
    assert run(SIGN_IN).json == ["Status_InteractionRequired", 1, tag, f"planted|{oauth_error}"]


def test_scopes_that_are_declined_show_where_what_is_personal_does(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("scopes_declined")
    seen = run(
        OUTCOME
        + "asked = parameters('https://graph.microsoft.com/User.Read', 'https://graph.microsoft.com/Mail.Read')\n"
        "seen = []\n"
        "for shown in (0, 1):\n"
        "    runtime.set_is_pii_enabled(shown)\n"
        "    seen.append(outcome(call(runtime.signin_silently, asked, new_id())))\n"
        "print(json.dumps(seen))"
    )
    text = "Token response failed because declined scopes are present:'{}'"
    assert seen.json == [
        ["Status_ApiContractViolation", 0, 593794722, text.format("(pii)")],
        ["Status_ApiContractViolation", 0, 593794722, text.format("https://graph.microsoft.com/Mail.Read")],
    ]


@pytest.mark.parametrize("reply", ["nonsense", "null", "{}"])
def test_a_reply_that_makes_no_sense_is_an_unexpected_failure(run: Run, fake_broker: RunningFake, reply: str) -> None:
    fake_broker.plant("raw_reply", method="acquireTokenSilently", reply=reply)
    outcome, code, tag, context = run(SIGN_IN).json
    assert (outcome, code, tag) == ("Status_Unexpected", 0, 507316096)
    assert "invalid reply from the broker" in context


def test_a_broker_that_dies_under_a_call_is_told_as_a_failure_of_d_bus(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("crash", method="acquireTokenSilently")
    outcome, code, tag, context = run(SIGN_IN).json
    assert (outcome, code, tag) == ("Status_Unexpected", 0, 508605727)
    assert context.startswith("DBUS failed to send a message. Error: acquireTokenSilently: the identity broker exited")


def test_a_bus_that_is_gone_since_the_import_is_told_as_a_failure_of_d_bus(run: Run, fake_broker: RunningFake) -> None:
    outcome, code, tag, context = run("os.environ['DBUS_SESSION_BUS_ADDRESS'] = 'unix:path=/no/bus'\n" + SIGN_IN).json
    assert (outcome, code, tag) == ("Status_Unexpected", 0, 508605725)
    assert context.startswith("DBUS failed to send a message. Error: acquireTokenSilently: cannot connect to the bus")


@pytest.mark.parametrize(
    ("fault", "details", "why"),
    [
        ("status", {"status": 3, "context": "planted"}, "planted"),
        ("dbus_error", {"context": "planted"}, "org.freedesktop.DBus.Error.Failed (planted)"),
        ("raw_reply", {"reply": "nonsense"}, "not JSON"),
    ],
)
def test_accounts_that_cannot_be_listed_are_none_and_the_log_says_why(
    run: Run, fake_broker: RunningFake, fault: str, details: dict[str, Any], why: str
) -> None:
    fake_broker.plant(fault, method="getAccounts", **details)
    seen = run(
        "heard = []\n"
        "runtime.register_logging_callback(lambda message, level: heard.append([level.name, message]))\n"
        "listed = call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "found = call(runtime.read_account_by_id, '00000000-0000-0000-0000-0000000000a1', new_id())\n"
        "print(json.dumps([status(listed), listed.get_accounts(), status(found), heard[0]]))"
    ).json
    assert seen[:3] == [None, [], "Status_AccountNotFound"]
    level, message = seen[3]
    assert level == "WARNING"
    assert "could not list accounts: " in message and why in message


def test_whoever_was_not_found_cannot_be_got_at(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "found = call(runtime.read_account_by_id, 'nobody', new_id())\n"
        "try:\n"
        "    found.get_account()\n"
        "except RuntimeError as error:\n"
        "    print(json.dumps([str(error), str(found.get_error())]))"
    )
    text = (
        "ErrorTag: 525678464, ErrorCode: 0, ErrorContext: Account with id '(pii)' not found, "
        "ErrorStatus: Response_Status.Status_AccountNotFound"
    )
    assert seen.json == [text, text]


@pytest.mark.fake_broker(signed_in=())
def test_a_token_that_nobody_owns_is_none(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("raw_reply", method="acquireTokenSilently", reply=json.dumps({"brokerTokenResponse": TOKEN}))
    assert run(SIGN_IN).json == ["Status_Unexpected", 0, 544879267, "No error and no account in the result"]


def test_what_an_applications_own_code_raises_is_told_by_its_kind_alone(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        OUTCOME + "import logging\n"
        "logged, heard = [], []\n"
        "class Kept(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        logged.append([record.levelname, record.getMessage(), record.exc_info])\n"
        "logging.getLogger('linuxbroker.runtime').addHandler(Kept())\n"
        "runtime.register_logging_callback(lambda message, level: heard.append(message))\n"
        "class Odd(str):\n"
        "    def split(self, *_):\n"
        "        raise LookupError('hunter2')\n"
        "bad = outcome(call(runtime.signin_silently, parameters(Odd('scope')), new_id()))\n"
        "good = status(call(runtime.signin_silently, parameters(), new_id()))\n"
        "print(json.dumps([bad, good, logged, heard]))"
    )
    bad, good, logged, heard = seen.json
    assert bad == ["Status_Unexpected", 0, 0, "linuxbroker failed: LookupError"]
    assert logged == [["ERROR", "SignInSilently failed: LookupError", None]]
    assert good is None
    assert "hunter2" not in str(heard)
