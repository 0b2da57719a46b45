"""What is shown of a broker's texts, which may be of any length and hold what a terminal obeys."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from linuxbroker import Account, BrokerClient, BrokerError, BrokerTimeoutError, InvalidArgumentError
from linuxbroker.redaction import texts
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, SCOPES

OBEYED = "\x1b]0;title\x07\x1b[31m\r\n\x00\x9b\u2028\u202e\u2066\u200f\u061c\ufeff\U000e0041"
HOSTILE = OBEYED + "wo rd " * 20_000 + OBEYED
TENANT = "00000000-0000-0000-0000-0000000000f1"
ADA = {
    "homeAccountId": f"00000000-0000-0000-0000-0000000000a1.{TENANT}",
    "localAccountId": "00000000-0000-0000-0000-0000000000a1",
    "environment": "login.microsoftonline.com",
    "realm": TENANT,
    "username": "ada@contoso.example",
    "name": "Ada",
}
ACCOUNTS = [{**ADA, key: HOSTILE} for key in (*ADA, "givenName", "familyName", "passwordChangeUrl", "unknownKey")]
FAILURES: list[dict[str, Any]] = [
    {"error": {"status": 2, "context": HOSTILE}},
    {"error": {"status": 2, "context": "AADSTS50078", "diagnostics": {HOSTILE: HOSTILE}}, "telemetry": {"x": HOSTILE}},
    {"error": {"status": 9, "context": f"declined scopes are present: '{HOSTILE}'"}},
    {"error": HOSTILE},
    {"brokerTokenResponse": {"error": {"status": 2, "context": HOSTILE}, "subError": HOSTILE}},
    {HOSTILE: HOSTILE},
]
MORE_KEYS: list[dict[str, Any]] = [
    *({"account": account} for account in ACCOUNTS),
    {"grantedScopes": HOSTILE},
    {"grantedScopes": [SCOPES[0], *[HOSTILE] * 100]},
    {"grantedScopes": [*SCOPES, HOSTILE], "account": ADA},
    {"accessToken": HOSTILE},
    {"accessTokenType": HOSTILE},
    {"expiresOn": HOSTILE},
]
TOKENS: list[dict[str, Any]] = [
    {"accessToken": "opaque", "expiresOn": 4102444800000, "grantedScopes": SCOPES[0], **more} for more in MORE_KEYS
]
COOKIES: list[dict[str, Any]] = [
    {"cookieItems": [{"cookieName": HOSTILE, "cookieContent": "c"}], "account": ADA},
    {"cookieItems": [{"cookieName": "n", "cookieContent": HOSTILE}], "account": ADA},
    *({"cookieItems": [{"cookieName": "n", "cookieContent": "c"}], "account": account} for account in ACCOUNTS),
]
Call = Callable[[BrokerClient], Awaitable[object]]


async def _listed(client: BrokerClient) -> object:
    accounts = await client.get_accounts()
    return [await client.get_account(account.username[:1000] or "nobody") for account in accounts], accounts


async def _silent(client: BrokerClient) -> object:
    return await client.acquire_token_silent(SCOPES, Account.model_validate(ADA))


async def _silent_for_a_hostile_account(client: BrokerClient) -> object:
    return await client.acquire_token_silent(SCOPES, Account.model_validate({**ADA, "username": HOSTILE[:60_000]}))


async def _interactive(client: BrokerClient) -> object:
    return await client.acquire_token_interactive(SCOPES)


async def _cookies(client: BrokerClient) -> object:
    return await client.acquire_prt_sso_cookie(Account.model_validate(ADA), "https://login.microsoftonline.com/x")


async def _sign_out(client: BrokerClient) -> object:
    await client.remove_account(Account.model_validate(ADA))
    return None


async def _version(client: BrokerClient) -> object:
    return await client.get_linux_broker_version()


def planted(method: str, replies: list[Any], call: Call) -> list[Any]:
    return [
        pytest.param(
            method, {"kind": "raw_reply", "reply": json.dumps(reply)}, call, id=f"{call.__name__[1:]}-{number}"
        )
        for number, reply in enumerate(replies)
    ]


CASES = [
    *planted("getAccounts", [{"accounts": [account]} for account in ACCOUNTS], _listed),
    *planted("getAccounts", [{"accounts": ACCOUNTS * 50}, *FAILURES, HOSTILE], _listed),
    *planted("acquireTokenSilently", [*FAILURES, *({"brokerTokenResponse": token} for token in TOKENS)], _silent),
    *planted("acquireTokenSilently", FAILURES, _silent_for_a_hostile_account),
    *planted(
        "acquireTokenInteractively", [*FAILURES, *({"brokerTokenResponse": token} for token in TOKENS)], _interactive
    ),
    *planted("acquirePrtSsoCookie", [*FAILURES, *COOKIES], _cookies),
    *planted("removeAccount", FAILURES, _sign_out),
    *planted("getLinuxBrokerVersion", FAILURES, _version),
    *(
        pytest.param(method, {"kind": "dbus_error", "name": name, "context": HOSTILE}, call, id=f"{method}-{name}")
        for method, call in (("acquireTokenSilently", _silent), ("removeAccount", _sign_out))
        for name in (
            "org.freedesktop.DBus.Error.Failed",
            "org.freedesktop.DBus.Error.InvalidArgs",
            "org.freedesktop.DBus.Error.AccessDenied",
            "org.freedesktop.DBus.Error.Spawn.ChildExited",
            "org.freedesktop.DBus.Error." + "W" * 200,
        )
    ),
]


def check(text: str, longest: int) -> None:
    assert text.isprintable(), ascii(text[:200])
    assert len(text) <= longest, f"{len(text):,} characters: {text[:200]!r}"


def check_error(error: BaseException) -> None:
    check(str(error), texts.MAX_MESSAGE_CHARACTERS + 1)
    for attribute in vars(error).values():
        for text in attribute if isinstance(attribute, (list, tuple)) else [attribute]:
            if isinstance(text, str):
                check(text, 2001)


@pytest.mark.parametrize(("method", "fault", "call"), CASES)
async def test_what_is_shown_of_a_reply_is_printable_and_short(
    fake_broker: RunningFake, caplog: pytest.LogCaptureFixture, method: str, fault: dict[str, Any], call: Call
) -> None:
    caplog.set_level(logging.DEBUG)
    fake_broker.plant(**fault, method=method)
    async with BrokerClient(CLIENT_ID) as client:
        try:
            result = await call(client)
        except BrokerError as error:
            check_error(error)
        else:
            for item in result if isinstance(result, (list, tuple)) else [result]:
                for value in item if isinstance(item, list) else [item]:
                    check(repr(value), 10_000)
                    check(str(value), 10_000) if not isinstance(value, str) else None
    check(caplog.text.replace("\n", " "), 20_000)


COMMANDS = [
    ("getAccounts", {"accounts": ACCOUNTS}, ["accounts"]),
    (
        "getAccounts",
        {"accounts": ACCOUNTS * 50},
        ["token", "--scope", SCOPES[0], "--account", "nobody@contoso.example"],
    ),
    ("getAccounts", {"accounts": [{**ADA, "username": HOSTILE[:60_000]}]}, ["sign-out"]),
    ("getAccounts", {"error": {"status": 2, "context": HOSTILE}}, ["accounts"]),
    ("getLinuxBrokerVersion", {"linuxBrokerVersion": HOSTILE}, ["version"]),
    ("acquireTokenSilently", {"error": {"status": 2, "context": HOSTILE}}, ["token", "--scope", SCOPES[0]]),
    ("acquirePrtSsoCookie", COOKIES[0], ["cookie"]),
    ("acquirePrtSsoCookie", COOKIES[1], ["cookie"]),
    ("acquireTokenSilently", {"brokerTokenResponse": TOKENS[-3]}, ["token", "--scope", SCOPES[0], "--verbose"]),
]


@pytest.mark.parametrize(("method", "reply", "command"), COMMANDS)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_reaches_a_terminal_is_printable_and_short(
    fake_broker: RunningFake, method: str, reply: dict[str, Any], command: list[str], as_json: bool
) -> None:
    fake_broker.plant("raw_reply", method=method, reply=json.dumps(reply))
    process = subprocess.run(
        [sys.executable, "-m", "linuxbroker", *command, *(["--json"] if as_json else [])],
        capture_output=True,
        text=True,
        env={**os.environ, "LINUXBROKER_CLIENT_ID": CLIENT_ID, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=False,
    )
    lines = process.stderr.splitlines() + ([] if as_json else process.stdout.splitlines())
    for line in lines:
        check(line, 5000)
    assert len(lines) < 50
    # JSON is for a program, which gets all of it; a terminal obeys nothing in it.
    assert process.stdout.replace("\n", " ").isascii() or not as_json
    check(process.stdout.replace("\n", " "), 10_000_000 if as_json else 20_000)


def test_five_million_characters_of_upn_do_not_become_a_text_of_as_many() -> None:
    account = Account.model_validate({**ADA, "username": "ada" * 1_700_000})
    assert len(repr(account)) < 1500
    assert len(repr([account] * 3)) < 4500


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\n",
        "\r",
        "\x1b",
        "\x7f",
        "\x85",
        "\x9b",
        "\xad",
        *"\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u2028\u2029\u200b\ufeff",
        "\ud800",
        "\ue000",
    ],
)
def test_no_character_is_shown_that_a_terminal_obeys(character: str) -> None:
    assert texts.shown(f"a{character}b") == "a b"


def test_what_is_printable_is_shown_as_it_is() -> None:
    for text in ("ada@contoso.example", "Ada Lovelace", "Žluťoučký kůň", "מירי", "山田太郎", "☕ café", ""):
        assert texts.shown(text) == text


@pytest.mark.parametrize(("length", "kept"), [(255, 255), (256, 256), (257, 256), (5_000_000, 256)])
def test_a_text_is_cut_and_says_so(length: int, kept: int) -> None:
    assert texts.shown("x" * length) == "x" * kept + ("…" if length > kept else "")


def test_a_list_is_cut_and_says_so() -> None:
    assert texts.shown_list(["a", "b\n"]) == "a, b "
    assert texts.shown_list(str(number) for number in range(10_000)).endswith("18, 19, …")


def test_no_exception_has_a_longer_text_whatever_it_quotes() -> None:
    for error in (BrokerError(HOSTILE), InvalidArgumentError(HOSTILE), BrokerTimeoutError(HOSTILE)):
        check_error(error)
        assert str(error).startswith(" ]0;title")
