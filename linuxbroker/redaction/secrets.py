"""Secrets: values whose ``repr`` hides them, and untrusted texts with their secrets replaced."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from linuxbroker.redaction import texts
from linuxbroker.redaction.spellings import base64_run, encoded, in_base64, layers

# Runs of base64, base64url, hex or their percent-encoding that are longer than any name, code or UUID of the protocol,
# as JWTs and PRTs are.
_OPAQUE = re.compile(r"eyJ[A-Za-z0-9_\-.+/=%]*|[A-Za-z0-9_\-+/=%]{40,}")
# In a lowercase path, a component that is no file name: a token in hexadecimal or base32.
_OPAQUE_NAME = re.compile(r"[a-z0-9]{40,}")
# A text contains no token in any encoding if it is shorter than this and does not match that.
_MIN_OPAQUE = 40
_TOKEN_OR_ESCAPE = re.compile(r"eyJ|[\\&%]")
_OPAQUE_CHARACTERS = string.ascii_letters + string.digits + "_-.+/=%"
_HIDDEN = "(hidden)"
_MAX_SHOWN = 2000
# Only this much of a text is searched (plus the length of an encoded secret): a broker's can be megabytes.
_MAX_SEARCHED = 64 * 1024
# Encoded characters per character: a surrogate pair takes 12 in JSON, 26 if JSON is nested four times.
_MAX_ENCODED_CHARACTERS = 32
_MIN_DECODED = 4
# Shorter texts inside a secret (a claim's value, a query parameter) are common names and numbers.
_MIN_PART = 12
_MAX_PARTS = 1000

T = TypeVar("T")


class HiddenText(str):
    """A text whose ``repr`` hides it, such as in a traceback with local variables or in a debugger."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


class Concealed(Generic[T]):
    """A holder whose ``repr`` hides its value; unlike ``hidden`` it does not copy a text, which can be large.

    Args:
        value: the value to hide.
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return _HIDDEN


class HiddenFields(dict[str, Any]):
    """A dict of fields whose ``repr`` hides them; texts in it are not copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


class Spellings:
    """The encodings in which a secret is searched for.

    Args:
        secret: the secret.

    Attributes:
        plain: the secret, unchanged and decoded, as the searched texts are decoded; spaces instead of plus signs.
        written: the secret in its usual encodings.
        digits: the digits that any base64 text contains if the secret is in it.
        shortest: the length of the shortest text that can contain it.
    """

    __slots__ = ("digits", "plain", "shortest", "written")

    def __init__(self, secret: str) -> None:
        decoded = [layer.text for layer in layers(secret)]
        # The secret itself is searched for even if it is short; short decoded texts would match anywhere.
        plain = {secret, *(text for text in decoded if len(text) >= _MIN_DECODED)}
        self.plain = {_plus_to_space(text) for text in plain}
        self.written = encoded(secret)
        self.digits = in_base64(secret)
        self.shortest = min(map(len, plain))

    def __repr__(self) -> str:
        return _HIDDEN


class Secrets(tuple[str, ...]):
    """Texts that must not be shown; their encodings are computed once."""

    def __new__(cls, texts: Iterable[str] = ()) -> Secrets:
        """Make a tuple of the texts that are not empty."""
        return super().__new__(cls, (str(text) for text in texts if text))

    def __repr__(self) -> str:
        return _HIDDEN

    @cached_property
    def spellings(self) -> list[Spellings]:
        """The encodings of each text."""
        return [Spellings(text) for text in self]


def hidden(value: T) -> T:
    """Hide a text from ``repr``, and so from tracebacks that show local variables.

    Args:
        value: a text, or a mapping that contains texts; other values are returned unchanged.

    Returns:
        An equal value whose ``repr`` hides it, to assign to the same name.
    """
    made: object = value
    if isinstance(value, str):
        made = HiddenText(value)
    elif isinstance(value, Mapping):
        made = {key: hidden(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    return cast("T", made)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Make a text from the broker or the bus safe for a log or an error message.

    Args:
        text: any text.
        secrets: texts that must not be shown, such as the password that was sent: unchanged, or encoded in JSON, HTML,
            URLs or base64, once or several times, even if each character is encoded differently.

    Returns:
        The text, at most 2,000 characters, with possible secrets replaced by ``(hidden)`` and control characters by
        spaces.
    """
    secrets = secrets if isinstance(secrets, Secrets) else Secrets(secrets)
    if not secrets and len(text) < _MIN_OPAQUE and not _TOKEN_OR_ESCAPE.search(text):
        return texts.shown(text)
    # A longer encoding would begin after the last character shown.
    longest = _MAX_ENCODED_CHARACTERS * max(map(len, secrets), default=0)
    end = _MAX_SEARCHED + longest
    is_cut = len(text) > end
    shown: list[str] = []
    at = 0
    for start, stop in _merge(_find_secrets(text[: end + longest], secrets)):
        if start >= end:
            break
        shown += (_OPAQUE.sub(_hide_tokens, text[at:start]), _HIDDEN)
        at = stop
    rest = text[at : max(at, end)]
    rest = rest.rstrip(_OPAQUE_CHARACTERS) if is_cut else rest  # a truncated token might not match
    text = "".join((*shown, _OPAQUE.sub(_hide_tokens, rest)))
    return texts.shown(text + "…" if is_cut else text, _MAX_SHOWN)


def _find_secrets(text: str, secrets: Secrets) -> Iterator[tuple[int, int]]:
    """Find where a text contains secrets, or a token in an encoding."""
    wanted = [spellings for spellings in secrets.spellings if spellings.shortest <= len(text)]
    for spelling in {spelling for spellings in wanted for spelling in spellings.written}:
        yield from _occurrences(text, spelling)
    plain = {spelling for spellings in wanted for spelling in spellings.plain}
    in_digits = {digits for spellings in wanted for digits in spellings.digits}
    for depth, layer in enumerate(layers(text)):
        spaced, digits = _plus_to_space(layer.text), layer.text.replace("-", "+").replace("_", "/")
        found = [place for spelling in plain for place in _occurrences(spaced, spelling)]
        found += [place for piece in in_digits for place in _occurrences(digits, piece, is_base64=True)]
        if depth:
            found += [place for run in _OPAQUE.finditer(layer.text) for place in _find_tokens(run)]
        for start, end in found:
            yield layer.origin(start), layer.origin(end)


def _plus_to_space(text: str) -> str:
    """Replace plus signs by the spaces that they stand for in URLs."""
    return text.replace("+", " ")


def _occurrences(text: str, wanted: str, *, is_base64: bool = False) -> Iterator[tuple[int, int]]:
    """Find where a text contains another one, overlapping places included."""
    found, end = text.find(wanted), 0
    while found >= 0:
        start, floor, end = found, end, found + len(wanted)
        if is_base64:
            start, end = base64_run(text, start, end, floor)
        yield start, end
        found = text.find(wanted, end if is_base64 else found + 1)


def _merge(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sort places and merge those that overlap or touch."""
    begun: tuple[int, int] | None = None
    for start, end in sorted(places):
        if begun is not None and start <= begun[1]:
            begun = begun[0], max(begun[1], end)
            continue
        if begun is not None:
            yield begun
        begun = start, end
    if begun is not None:
        yield begun


def secrets_in(values: Iterable[object]) -> Iterator[str]:
    """Find the texts that must not be shown after these values were sent.

    Args:
        values: texts, or JSON objects and lists.

    Returns:
        Each value that is a text, and the longer texts inside values, such as a claim's value or a URL parameter.
    """
    for value in values:
        if isinstance(value, str) and value:
            yield str(value)
        for count, part in enumerate(_long_texts_inside(value)):
            if count == _MAX_PARTS:
                break
            yield part


def _find_tokens(run: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Find tokens in a run of token characters; a lowercase run with slashes is taken for a file path."""
    text = run[0]
    # Forty digits of base64 contain a capital letter.
    if "/" not in text or text != text.lower():
        yield run.span()
        return
    for name in _OPAQUE_NAME.finditer(text):
        yield run.start() + name.start(), run.start() + name.end()


def _hide_tokens(run: re.Match[str]) -> str:
    pieces: list[str] = []
    at = run.start()
    for start, end in _find_tokens(run):
        pieces += (run.string[at:start], _HIDDEN)
        at = end
    return "".join((*pieces, run.string[at : run.end()]))


def _long_texts_inside(value: object) -> Iterator[str]:
    for part in _texts_inside(value):
        if len(part) >= _MIN_PART:
            yield part


def _texts_inside(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("{"):
            yield from _texts_in_json(_json_object(value))
        elif value.startswith("https:"):
            parts = urlsplit(value)
            yield parts.query
            yield from (item for _, item in parse_qsl(parts.query))
    else:
        yield from _texts_in_json(value)


def _texts_in_json(value: object) -> Iterator[str]:
    """All texts in a JSON value; without recursion, as its depth is not limited."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += cast("Mapping[str, object]", item).values()
        elif isinstance(item, Sequence) and not isinstance(item, (bytes, bytearray)):
            waiting += cast("Sequence[object]", item)


def _json_object(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
