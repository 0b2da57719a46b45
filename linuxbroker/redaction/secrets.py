"""How is a secret kept out of sight? Texts that no repr shows, and texts from outside with their secrets cut out."""

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

# Runs of base64, base64url, hex or their percent-encoding that are longer than any name, code or UUID of the protocol;
# JWTs and PRTs are made of these.
_OPAQUE = re.compile(r"eyJ[A-Za-z0-9_\-.+/=%]*|[A-Za-z0-9_\-+/=%]{40,}")
# Among the names of a path in small letters, one that no file has: a token in hexadecimal digits, or in base32.
_OPAQUE_NAME = re.compile(r"[a-z0-9]{40,}")
# What a text without a token, spelled in any way, is shorter than, or lacks.
_SHORTEST_OPAQUE = 40
_TOKEN_OR_SPELLING = re.compile(r"eyJ|[\\&%]")
_OPAQUE_CHARACTERS = string.ascii_letters + string.digits + "_-.+/=%"
_HIDDEN = "(hidden)"
_LONGEST_TEXT = 2000
# No more of a text is looked at, and what is spelled as long as secrets may be: a broker's can be megabytes.
_LONGEST_LOOKED_AT = 64 * 1024
# Characters for one: a pair of surrogates has twelve in JSON, 26 in JSON in JSON in JSON in that.
_LONGEST_SPELLING = 32
_SHORTEST_DECODED = 4
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


class Spellings:
    """How a secret may be spelled.

    Args:
        secret: the secret.

    Attributes:
        plain: as it is, and as it would be after it was decoded, as texts are in which it is looked for; blanks for
            pluses.
        written: as the usual writers spell it.
        digits: what base64 of anything with the secret in it has in it.
        shortest: the length of the shortest text in which it can stand.
    """

    __slots__ = ("digits", "plain", "shortest", "written")

    def __init__(self, secret: str) -> None:
        decoded = [layer.text for layer in layers(secret)]
        # As it is a secret is looked for however short; decoded, short ones are found anywhere.
        plain = {secret, *(text for text in decoded if len(text) >= _SHORTEST_DECODED)}
        self.plain = {_without_plus(text) for text in plain}
        self.written = encoded(secret)
        self.digits = in_base64(secret)
        self.shortest = min(map(len, plain))

    def __repr__(self) -> str:
        return _HIDDEN


class Secrets(tuple[str, ...]):
    """Texts that must not be shown; how they may be spelled is worked out once."""

    def __new__(cls, texts: Iterable[str] = ()) -> Secrets:
        """Keep the texts that are not empty."""
        return super().__new__(cls, (str(text) for text in texts if text))

    def __repr__(self) -> str:
        return _HIDDEN

    @cached_property
    def spellings(self) -> list[Spellings]:
        """The spellings of each."""
        return [Spellings(text) for text in self]


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
        secrets: texts that must not be shown whatever they look like, such as the password that was sent; nor as JSON,
            HTML, URLs and base64 spell them, once or several times over, each character for itself.

    Returns:
        The text, at most 2,000 characters of it, with what could be a secret replaced by ``(hidden)`` and control
        characters by spaces.
    """
    secrets = secrets if isinstance(secrets, Secrets) else Secrets(secrets)
    if not secrets and len(text) < _SHORTEST_OPAQUE and not _TOKEN_OR_SPELLING.search(text):
        return texts.shown(text)
    # What is spelled at greater length than this stands where nothing is shown any more.
    longest = _LONGEST_SPELLING * max(map(len, secrets), default=0)
    end = _LONGEST_LOOKED_AT + longest
    is_cut = len(text) > end
    shown: list[str] = []
    at = 0
    for start, stop in _merged(_places(text[: end + longest], secrets)):
        if start >= end:
            break
        shown += (_OPAQUE.sub(_without_token, text[at:start]), _HIDDEN)
        at = stop
    rest = text[at : max(at, end)]
    rest = rest.rstrip(_OPAQUE_CHARACTERS) if is_cut else rest  # the beginning of a token does not look like one
    text = "".join((*shown, _OPAQUE.sub(_without_token, rest)))
    return texts.shown(text + "…" if is_cut else text, _LONGEST_TEXT)


def _places(text: str, secrets: Secrets) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text, and what looks like one in a spelling that hides that."""
    wanted = [spellings for spellings in secrets.spellings if spellings.shortest <= len(text)]
    for spelling in {spelling for spellings in wanted for spelling in spellings.written}:
        yield from _found(text, spelling)
    plain = {spelling for spellings in wanted for spelling in spellings.plain}
    in_digits = {digits for spellings in wanted for digits in spellings.digits}
    for depth, layer in enumerate(layers(text)):
        spaced, digits = _without_plus(layer.text), layer.text.replace("-", "+").replace("_", "/")
        found = [place for spelling in plain for place in _found(spaced, spelling)]
        found += [place for piece in in_digits for place in _found(digits, piece, is_base64=True)]
        if depth:
            found += [place for run in _OPAQUE.finditer(layer.text) for place in _tokens(run)]
        for start, end in found:
            yield layer.origin(start), layer.origin(end)


def _without_plus(text: str) -> str:
    """A text with the blanks that a URL has a plus for."""
    return text.replace("+", " ")


def _found(text: str, wanted: str, *, is_base64: bool = False) -> Iterator[tuple[int, int]]:
    start, end = text.find(wanted), 0
    while start >= 0:
        floor, end = end, start + len(wanted)
        if is_base64:
            start, end = base64_run(text, start, end, floor)
        yield start, end
        start = text.find(wanted, end)


def _merged(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Places in order, those that overlap or touch as one."""
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


def _tokens(run: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Where tokens stand in a run of their characters; base64 with a slash in it looks like a file's path."""
    text = run[0]
    # In forty digits of base64 there is a capital letter.
    if "/" not in text or text != text.lower():
        yield run.span()
        return
    for name in _OPAQUE_NAME.finditer(text):
        yield run.start() + name.start(), run.start() + name.end()


def _without_token(run: re.Match[str]) -> str:
    pieces: list[str] = []
    at = run.start()
    for start, end in _tokens(run):
        pieces += (run.string[at:start], _HIDDEN)
        at = end
    return "".join((*pieces, run.string[at : run.end()]))


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
