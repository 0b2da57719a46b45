"""Values for HTTP headers that would end or change the header are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from linuxbroker.wire.models import (
    AcquirePrtSsoCookieReply,
    AcquireTokenReply,
    GenerateSignedHttpRequestReply,
    Reply,
)
from linuxbroker.wire.reading import MalformedReplyError, read_reply

Make = Callable[[str], tuple[type[Reply], dict[str, Any]]]
# What an Authorization header holds, and so every character that can be seen.
TOKENS: dict[str, Make] = {
    "access token": lambda text: (AcquireTokenReply, {"brokerTokenResponse": {"accessToken": text}}),
    "ID token": lambda text: (AcquireTokenReply, {"brokerTokenResponse": {"idToken": text}}),
    "client info": lambda text: (AcquireTokenReply, {"brokerTokenResponse": {"clientInfo": text}}),
    "signed request": lambda text: (GenerateSignedHttpRequestReply, {"signedHttpRequest": text}),
}
COOKIES: dict[str, Make] = {
    "content": lambda text: (
        AcquirePrtSsoCookieReply,
        {"cookieItems": [{"cookieName": "a", "cookieContent": "b"}, {"cookieName": "a", "cookieContent": text}]},
    ),
    "content, alone": lambda text: (AcquirePrtSsoCookieReply, {"cookieName": "a", "cookieContent": text}),
}
NAMES: dict[str, Make] = {
    "name": lambda text: (AcquirePrtSsoCookieReply, {"cookieItems": [{"cookieName": text, "cookieContent": "b"}]}),
    "name, alone": lambda text: (AcquirePrtSsoCookieReply, {"cookieName": text, "cookieContent": "b"}),
}
SECRET = "fictional-secret"
# All control characters and the blank; what is not ASCII, a digit, a letter and a line separator among it.
NO_VALUE = [chr(code) for code in (*range(0x21), 0x7F, 0x85, 0xA0, 0xE9, 0x660, 0x212A, 0x2028, 0xFEFF, 0x1F600)]


def refused(make: Make, text: str) -> str:
    reply_type, reply = make(text)
    with pytest.raises(MalformedReplyError) as caught:
        read_reply(reply_type, json.dumps(reply))
    return str(caught.value)


@pytest.mark.parametrize("make", [*TOKENS.values(), *COOKIES.values(), *NAMES.values()])
@pytest.mark.parametrize("character", NO_VALUE, ids=ascii)
def test_what_a_header_can_not_carry_is_refused_and_not_quoted(make: Make, character: str) -> None:
    for text in (SECRET + character, character + SECRET, f"{SECRET}{character}{SECRET}"):
        assert SECRET not in refused(make, text)


@pytest.mark.parametrize("make", COOKIES.values(), ids=COOKIES)
@pytest.mark.parametrize("character", '",;\\')
def test_what_ends_a_cookie_is_refused(make: Make, character: str) -> None:
    assert SECRET not in refused(make, f"{SECRET}{character} path=/".replace(" ", ""))


@pytest.mark.parametrize("make", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("character", '()<>@,;:\\"/[]?={}')
def test_what_ends_the_name_of_a_header_is_refused(make: Make, character: str) -> None:
    assert SECRET not in refused(make, SECRET + character)


@pytest.mark.parametrize("make", [*COOKIES.values(), *NAMES.values()])
def test_a_cookie_without_a_name_or_a_content_is_refused(make: Make) -> None:
    refused(make, "")


def test_every_other_character_is_taken() -> None:
    visible = "".join(map(chr, range(0x21, 0x7F)))
    for make in TOKENS.values():
        reply_type, reply = make(visible)
        read_reply(reply_type, json.dumps(reply))
    for make, without in ((COOKIES["content"], '",;\\'), (NAMES["name"], '()<>@,;:\\"/[]?={}')):
        reply_type, reply = make("".join(character for character in visible if character not in without))
        read_reply(reply_type, json.dumps(reply))


def test_the_place_is_told() -> None:
    assert refused(TOKENS["access token"], "a b") == (
        "invalid values for keys: brokerTokenResponse.accessToken (no_header_value)"
    )
    assert "cookieItems.1.cookieContent (no_header_value)" in refused(COOKIES["content"], "a b")


@pytest.mark.parametrize("odd", ["a b", "a\r\nb", "\u00e9"])
def test_an_error_beside_it_has_the_word(odd: str) -> None:
    reply = {"brokerTokenResponse": {"accessToken": odd, "error": {"status": 2, "context": "sign in"}}}
    failure = read_reply(AcquireTokenReply, json.dumps(reply)).failure
    assert failure is not None
    assert failure.context == "sign in"
