"""What does a resource want that refused a request? Its WWW-Authenticate headers, read; pure code, no I/O.

Syntax: RFC 9110, sections 5.6 and 11.6.1. What the parameters mean: claims challenges are Entra's continuous access
evaluation, `PoP nonce="…"` is MSAL's signed HTTP requests.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from linuxbroker import validation
from linuxbroker.errors import InvalidArgumentError

_ALPHANUMERIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_TOKEN = _ALPHANUMERIC | frozenset("!#$%&'*+-.^_`|~")
_TOKEN68 = _ALPHANUMERIC | frozenset("-._~+/")
_BLANK = " \t"
_STANDARD_BASE64 = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Challenge:
    """One challenge of a resource.

    Attributes:
        scheme: such as ``bearer``, in lower case.
        parameters: its parameters, the names in lower case.
        token68: what stands in place of parameters (``Negotiate YII=``), or the empty string.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    token68: str = field(default="", repr=False)


class _Malformed(Exception):
    """The header does not follow the grammar."""


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read the challenges of a response.

    Args:
        headers: the values of its ``WWW-Authenticate`` headers, each as it came.

    Returns:
        The challenges, in order; a header that breaks the grammar anywhere has none.
    """
    found: list[Challenge] = []
    for header in headers:
        try:
            found += _challenges(header)
        except _Malformed:
            continue
    return tuple(found)


def claims_in(challenges: Iterable[Challenge], *schemes: str) -> str | None:
    """Find the claims challenge: the first that is refused with ``error="insufficient_claims"`` and can be read.

    Args:
        challenges: those of a response.
        schemes: in lower case, those that count; ``bearer`` unless given.

    Returns:
        The text of a JSON object, for ``claims_challenge``; None where there is none.
    """
    for challenge in challenges:
        if challenge.scheme in (schemes or ("bearer",)) and challenge.parameters.get("error") == "insufficient_claims":
            claims = _decoded_claims(challenge.parameters.get("claims", ""))
            if claims is not None:
                return claims
    return None


def nonce_in(challenges: Iterable[Challenge]) -> str | None:
    """Find the nonce that a proof of possession is to be signed with.

    Args:
        challenges: those of a response.

    Returns:
        The first ``PoP`` challenge's nonce, for ``PopAuthScheme``; None where there is none.
    """
    for challenge in challenges:
        nonce = challenge.parameters.get("nonce")
        if challenge.scheme == "pop" and nonce:
            return nonce
    return None


def _decoded_claims(encoded: str) -> str | None:
    """Entra's own resources write base64, others base64url, padded or not."""
    digits = encoded.rstrip("=").translate(_STANDARD_BASE64)
    try:
        text = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode("utf-8")
        return validation.claims_challenge(text) or None
    except (ValueError, InvalidArgumentError):
        return None


def _challenges(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    parameters: dict[str, str] | None = None  # those of the last challenge, while it can take more
    for element in _elements(header):
        name, rest = _token(element)
        if rest.lstrip(_BLANK).startswith("="):
            if parameters is None:
                raise _Malformed
            _add(parameters, element)
            continue
        parameters, token68 = {}, ""
        if rest:
            if rest[0] != " ":  # 1*SP follows a scheme
                raise _Malformed
            rest = rest.lstrip(_BLANK)
            if _is_token68(rest):
                parameters, token68 = None, rest
            else:
                _add(parameters, rest)
        found.append(Challenge(name.lower(), {} if parameters is None else parameters, token68))
    return found


def _elements(header: str) -> Iterator[str]:
    """The elements of a comma-separated list, the empty ones left out; commas in quoted strings separate nothing."""
    start, quoted, escaped = 0, False, False
    for index, character in enumerate(header):
        if (character < " " and character != "\t") or character == "\x7f" or "\ud800" <= character <= "\udfff":
            raise _Malformed
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            if element := header[start:index].strip(_BLANK):
                yield element
            start = index + 1
    if quoted:
        raise _Malformed
    if element := header[start:].strip(_BLANK):
        yield element


def _token(text: str) -> tuple[str, str]:
    """The token that a text begins with, and what follows."""
    end = next((index for index, character in enumerate(text) if character not in _TOKEN), len(text))
    if end == 0:
        raise _Malformed
    return text[:end], text[end:]


def _is_token68(text: str) -> bool:
    """Whether it is one, and so no parameter: ``abc=`` is, ``abc=d`` is not."""
    digits = text.rstrip("=")
    return bool(digits) and all(character in _TOKEN68 for character in digits)


def _add(parameters: dict[str, str], text: str) -> None:
    name, rest = _token(text)
    rest = rest.lstrip(_BLANK)
    if not rest.startswith("=") or name.lower() in parameters:  # RFC 9110, 11.2: each name once
        raise _Malformed
    parameters[name.lower()] = _value(rest[1:].lstrip(_BLANK))


def _value(text: str) -> str:
    if not text.startswith('"'):
        value, rest = _token(text)
        if rest:
            raise _Malformed
        return value
    characters: list[str] = []
    inside = iter(text[1:])
    for character in inside:
        if character == '"':
            break
        characters.append(next(inside, "") if character == "\\" else character)
    if next(inside, None) is not None:  # something after the closing quote
        raise _Malformed
    return "".join(characters)
