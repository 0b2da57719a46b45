"""How is a secret kept out of sight? Texts that no repr shows, and texts from outside with their secrets cut out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

# Runs of base64, base64url, hex or their percent-encoding that are longer than any name, code or UUID of the protocol;
# JWTs and PRTs are made of these.
_OPAQUE = re.compile(r"eyJ[A-Za-z0-9_\-.+/=%]*|[A-Za-z0-9_\-+/=%]{40,}")
_HIDDEN = "(hidden)"
_LONGEST_TEXT = 2000
# Shorter texts inside a secret (a claim's value, a query parameter) are names and numbers that others share.
_SHORTEST_PART = 12
_MOST_PARTS = 1000

T = TypeVar("T")


class HiddenText(str):
    """A text whose ``repr`` does not show it: neither in a traceback with local variables nor in a debugger's list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


class Concealed(Generic[T]):
    """Something that its own ``repr`` does not show; unlike ``hidden`` it makes no copy of a text, which may be large.

    Args:
        value: what is concealed.
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return _HIDDEN


class HiddenFields(dict[str, Any]):
    """Fields by their names, of which ``repr`` shows nothing; the texts in it are not copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


def hidden(value: T) -> T:
    """Keep a text out of every ``repr``, and so out of tracebacks that show local variables.

    Args:
        value: a text, or a mapping with texts in it; anything else is given back as it is.

    Returns:
        The same, to be bound to the name that the text had.
    """
    made: object = value
    if isinstance(value, str):
        made = HiddenText(value)
    elif isinstance(value, Mapping):
        made = {key: hidden(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    return cast("T", made)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Make a text from the broker or the bus fit for a log or an error message.

    Args:
        text: anything.
        secrets: texts that must not be shown whatever they look like, such as the password that was sent.

    Returns:
        The text, at most 2,000 characters of it, with what could be a secret replaced by ``(hidden)`` and control
        characters by spaces.
    """
    present = {spelling for secret in secrets if len(secret) <= len(text) for spelling in _spellings(secret)}
    for spelling in sorted(present, key=len, reverse=True):
        text = text.replace(spelling, _HIDDEN)
    text = _OPAQUE.sub(_hide_unless_path, text)
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def secrets_in(values: Iterable[object]) -> Iterator[str]:
    """Find the texts that must not be shown where these values were sent.

    Args:
        values: texts, or objects and lists as JSON has them.

    Returns:
        Each text that is a value itself; of what is inside one (a claim's value, a parameter of a URL), the longer
        texts.
    """
    for value in values:
        if isinstance(value, str) and value:
            yield str(value)
        for count, part in enumerate(_parts(value)):
            if count == _MOST_PARTS:
                break
            yield part


def _hide_unless_path(run: re.Match[str]) -> str:
    """Base64 with a slash in it looks like a file's path; in forty digits of it there is a capital letter."""
    text = run[0]
    return text if "/" in text and text == text.lower() else _HIDDEN


def _spellings(secret: str) -> set[str]:
    """A secret as it is, and as JSON, JSON in JSON, and URLs spell it: a broker may quote the request back."""
    spellings = {str(secret), quote_plus(secret, errors="replace")}
    spellings |= {quote(secret, safe, errors="replace") for safe in ("", "/")}
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        spellings |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    return spellings - {""}


def _parts(value: object) -> Iterator[str]:
    for part in _texts_inside(value):
        if len(part) >= _SHORTEST_PART:
            yield part


def _texts_inside(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("{"):
            yield from _leaves(_json_object(value))
        elif value.startswith("https:"):
            parts = urlsplit(value)
            yield parts.query
            yield from (item for _, item in parse_qsl(parts.query))
    else:
        yield from _leaves(value)


def _leaves(value: object) -> Iterator[str]:
    """The texts in a JSON value, however deep; not by recursion, as the depth is the caller's."""
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
