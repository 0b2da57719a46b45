"""The marked secrets of these tests, the ways in which a broker may spell them, and where they would show."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import logging
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

import linuxbroker
from linuxbroker import Account

PACKAGE = str(Path(linuxbroker.__file__).parent)

# What goes to the broker. None of these looks like a token: only that they were sent tells that they are secret.
PASSWORD = 'pass"word \\mark-pä%+'
RENEW = "renew.mark/old token"
CLAIM = "claim mark; välue"
CLAIMS = json.dumps({"access_token": {"acrs": {"essential": True, "value": CLAIM}}}, ensure_ascii=False)
NONCE = 'nonce, "mark"'
CLIENT_CLAIM = "client claim/mark"
CLIENT_CLAIMS = json.dumps({"at_use": {"deep": [CLIENT_CLAIM]}})
SSO_NONCE = "sso.nonce!mark"
SSO_URL = f"https://login.microsoftonline.com/common?sso_nonce={SSO_NONCE}&x=1"
HINT = "id.token.hint mark"
UNKNOWN = "unknown; mark of the account"
SENT = (
    PASSWORD, RENEW, CLAIM, CLAIMS, NONCE, CLIENT_CLAIM, CLIENT_CLAIMS, SSO_NONCE, SSO_URL, HINT, UNKNOWN,
)  # fmt: skip
ADA = Account.model_validate(
    {
        "homeAccountId": "00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
        "realm": "00000000-0000-0000-0000-0000000000f1",
        "username": "ada@contoso.example",
        "environment": "login.windows.net",
        "brokersOwn": {"deep": [UNKNOWN]},
    }
)


def _digits(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


# What comes from the broker, unasked: of the shapes that tokens, cookies and keys have.
_BINARY = _digits("standard", 300)
RECEIVED = (
    "eyJhbGciOiJSUzI1NiJ9." + base64.urlsafe_b64encode(_digits("jwt", 200)).decode() + ".c2lnbmF0dXJl",
    base64.b64encode(_BINARY).decode(),
    base64.b64encode(_digits("short", 33)).decode(),
    base64.b64encode(_digits("padded", 31)).decode(),
    base64.urlsafe_b64encode(_digits("refresh", 120)).decode(),
    quote(base64.b64encode(_digits("percent", 120)).decode(), safe=""),
    _digits("hex", 32).hex(),
    _digits("capital hex", 32).hex().upper(),
    "0.A" + base64.urlsafe_b64encode(_digits("entra", 90)).decode(),
)
assert "/" in RECEIVED[1]
_PIECE = 24


def spellings(secret: str) -> set[str]:
    """How a broker that quotes a request may spell what was in it."""
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        found |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    # System.Text.Json's way, HTML's, and base64 behind a user's name.
    found.add("".join(f"\\u{ord(c):04X}" if c in "<>&'+\"`" or ord(c) > 126 else c for c in secret))
    found |= {html.escape(secret), base64.b64encode(f"ada:{secret}".encode()).decode()}
    return found


SPELLINGS = {spelling for secret in SENT for spelling in spellings(secret)}


class Seen:
    """Everything that was shown so far, by whatever way.

    Args:
        received: more secrets that came from the broker: tokens and cookies.
    """

    def __init__(self, received: tuple[str, ...] = ()) -> None:
        self.received = set(RECEIVED) | set(received)
        self._texts: list[tuple[str, str]] = []

    def show(self, where: str, text: str) -> None:
        self._texts.append((where, text))

    def show_error(self, error: BaseException) -> None:
        """An exception, its chain and attributes, and the local variables of the library's own frames."""
        self.show("traceback", "".join(traceback.format_exception(error)))
        for link in _chain(error):
            self.show(f"attributes of {type(link).__name__}", f"{link} {link!r} {link.args!r} {vars(link)!r}")
            captured = traceback.TracebackException.from_exception(link, capture_locals=True)
            for frame in captured.stack:
                if frame.filename.startswith(PACKAGE):
                    self.show(f"local variables of {frame.name}", repr(frame.locals))

    def check(self) -> None:
        """Fail where a secret is seen."""
        pieces = {text[at : at + _PIECE] for text in self.received for at in range(len(text) - _PIECE + 1)}
        for where, text in self._texts:
            for spelling in SPELLINGS:
                assert spelling not in text, f"{where} shows {spelling!r}: {text}"
            seen = {text[at : at + _PIECE] for at in range(len(text) - _PIECE + 1)}
            assert not seen & pieces, f"{where} shows {seen & pieces}: {text}"

    @property
    def places(self) -> set[str]:
        return {where for where, _ in self._texts}


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


class Everything(logging.Handler):
    """Shows what is logged anywhere, at any level, and each warning."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(logging.NOTSET)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.show("log", self.format(record))


@pytest.fixture
def seen() -> Iterator[Seen]:
    """What is shown in a test, checked at its end."""
    shown = Seen()
    root, handler = logging.getLogger(), Everything(shown)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield shown
        for warning in caught:
            shown.show("warning", str(warning))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    shown.check()


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
