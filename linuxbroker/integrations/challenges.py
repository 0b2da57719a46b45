"""Parser of WWW-Authenticate headers, and the claims and nonces that they request; pure code, no I/O.

Syntax: RFC 9110, sections 5.6 and 11.6.1. Claims challenges belong to Entra's continuous access evaluation,
`PoP nonce="…"` to MSAL's signed HTTP requests.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from linuxbroker.errors import InvalidArgumentError
from linuxbroker.tokens import validation

_ALPHANUMERIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_TOKEN = _ALPHANUMERIC | frozenset("!#$%&'*+-.^_`|~")
_TOKEN68 = _ALPHANUMERIC | frozenset("-._~+/")
_BLANK = " \t"
_STANDARD_BASE64 = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Challenge:
    """A challenge from a resource.

    Attributes:
        scheme: the authentication scheme in lower case, such as ``bearer``.
        parameters: the parameters, their names in lower case.
        token68: the value that some schemes have instead of parameters (``Negotiate YII=``), or the empty string.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    token68: str = field(default="", repr=False)


class _Malformed(Exception):
    """The header does not follow the grammar."""


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Parse the challenges of a response.

    Args:
        headers: the values of its ``WWW-Authenticate`` headers, unchanged.

    Returns:
        The challenges, in order; a header with a syntax error has none.
    """
    found: list[Challenge] = []
    for header in headers:
        try:
            found += _parse_header(header)
        except _Malformed:
            continue
    return tuple(found)


def claims_in(challenges: Iterable[Challenge], *schemes: str) -> str | None:
    """Find the claims challenge: the first readable one with ``error="insufficient_claims"``.

    Args:
        challenges: the challenges of a response.
        schemes: the schemes to search, in lower case; default ``bearer``.

    Returns:
        A JSON object as text, for ``claims_challenge``; None if there is none.
    """
    for challenge in challenges:
        if challenge.scheme in (schemes or ("bearer",)) and challenge.parameters.get("error") == "insufficient_claims":
            claims = _decode_claims(challenge.parameters.get("claims", ""))
            if claims is not None:
                return claims
    return None


def nonce_in(challenges: Iterable[Challenge]) -> str | None:
    """Find the nonce to sign a proof of possession with.

    Args:
        challenges: the challenges of a response.

    Returns:
        The nonce of the first ``PoP`` challenge, for ``PopAuthScheme``; None if there is none.
    """
    for challenge in challenges:
        nonce = challenge.parameters.get("nonce")
        if challenge.scheme == "pop" and nonce:
            return nonce
    return None


def _decode_claims(encoded: str) -> str | None:
    """Decode base64, as Entra's own resources send it, or base64url, as others do, padded or not."""
    digits = encoded.rstrip("=").translate(_STANDARD_BASE64)
    try:
        text = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode("utf-8")
        return validation.claims_challenge(text) or None
    except (ValueError, InvalidArgumentError):
        return None


def _parse_header(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    parameters: dict[str, str] | None = None  # those of the last challenge; None while it accepts none
    for element in _split_list(header):
        name, rest = _split_token(element)
        if rest.lstrip(_BLANK).startswith("="):
            if parameters is None:
                raise _Malformed
            _add_parameter(parameters, element)
            continue
        parameters, token68 = {}, ""
        if rest:
            if rest[0] != " ":  # 1*SP follows a scheme
                raise _Malformed
            rest = rest.lstrip(_BLANK)
            if _is_token68(rest):
                parameters, token68 = None, rest
            else:
                _add_parameter(parameters, rest)
        found.append(Challenge(name.lower(), {} if parameters is None else parameters, token68))
    return found


def _split_list(header: str) -> Iterator[str]:
    """Split a comma-separated list, dropping empty elements; commas in quoted strings do not separate."""
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


def _split_token(text: str) -> tuple[str, str]:
    """Split a text into its leading token and the rest."""
    end = next((index for index, character in enumerate(text) if character not in _TOKEN), len(text))
    if end == 0:
        raise _Malformed
    return text[:end], text[end:]


def _is_token68(text: str) -> bool:
    """Whether a text is a token68 rather than a parameter: ``abc=`` is, ``abc=d`` is not."""
    digits = text.rstrip("=")
    return bool(digits) and all(character in _TOKEN68 for character in digits)


def _add_parameter(parameters: dict[str, str], text: str) -> None:
    name, rest = _split_token(text)
    rest = rest.lstrip(_BLANK)
    if not rest.startswith("=") or name.lower() in parameters:  # RFC 9110, 11.2: each name once
        raise _Malformed
    parameters[name.lower()] = _parse_value(rest[1:].lstrip(_BLANK))


def _parse_value(text: str) -> str:
    if not text.startswith('"'):
        value, rest = _split_token(text)
        if rest:
            raise _Malformed
        return value
    characters: list[str] = []
    remaining = iter(text[1:])
    for character in remaining:
        if character == '"':
            break
        characters.append(next(remaining, "") if character == "\\" else character)
    if next(remaining, None) is not None:  # text after the closing quote
        raise _Malformed
    return "".join(characters)
