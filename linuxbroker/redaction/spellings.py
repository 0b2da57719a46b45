"""Encodings of a text in JSON, HTML, URLs, C, Python and base64, and where they stand in another text.

A text is decoded repeatedly, with a record of where each character stood. So a secret is found in it however it
is encoded, and however many times.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote, quote_plus

_MAX_LAYERS = 8
# The letter after a backslash, in JSON, C and Python.
_CONTROLS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# The bytes of one UTF-8 character in octal; see ``_bytes_of_one_character``.
_OCTAL = (
    r"\\[01][0-7]{2}",
    r"\\3[0-3][0-7]\\2[0-7]{2}",
    r"\\3[45][0-7](?:\\2[0-7]{2}){2}",
    r"\\36[0-7](?:\\2[0-7]{2}){3}",
    r"\\[23][0-7]{2}",
)
_ESCAPE_START = re.compile(r"[\\&%]")
_HEX = "[0-9a-fA-F]"
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
# Shorter ones would match anywhere.
_MIN_ENCODED = 4
# Base64 of longer texts is recognized as a token.
_MAX_ENCODED = 256
_DIGITS_OF_BYTES = frozenset("x0123")


class Layer:
    """A text at one level of decoding.

    Args:
        text: the text.
        below: the layer it was decoded from; None for the original text.
        starts: where the pieces begin that were copied from the layer below, in order.
        origins: where each piece begins in the layer below.
    """

    def __init__(
        self, text: str, below: Layer | None = None, starts: tuple[int, ...] = (), origins: tuple[int, ...] = ()
    ) -> None:
        self.text = text
        self._below = below
        self._starts = starts
        self._origins = origins

    def origin(self, position: int) -> int:
        """Find the position in the original text.

        Args:
            position: from 0 to the length of the text.

        Returns:
            The position in the original text.
        """
        layer: Layer = self
        while layer._below is not None:
            piece = bisect_right(layer._starts, position) - 1
            position = layer._origins[piece] + position - layer._starts[piece]
            layer = layer._below
        return position


def layers(text: str) -> Iterator[Layer]:
    """Decode a text repeatedly, until nothing is left to decode, at most seven times.

    Args:
        text: the text.

    Yields:
        The text unchanged, then decoded once, twice, and so on.
    """
    layer: Layer | None = Layer(text)
    for _ in range(_MAX_LAYERS):
        if layer is None:
            break
        yield layer
        layer = _decode(layer)


def encoded(text: str) -> set[str]:
    """Encode a text in the usual ways.

    Args:
        text: the text.

    Returns:
        The text itself, and encoded as JSON, as JSON in JSON and in URLs. ``layers`` misses such an encoding if it
        directly follows half of an escape sequence.
    """
    spellings = {str(text), quote_plus(text, errors="replace")}
    spellings |= {quote(text, safe, errors="replace") for safe in ("", "/")}
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        spellings |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    return spellings - {""}


def in_base64(text: str) -> set[str]:
    """Find the digits that any base64 text contains if a text is in it.

    Args:
        text: the text.

    Returns:
        The digits that depend on the text alone, for each alignment, encoded as UTF-8, Latin-1 and ASCII JSON; and the
        hexadecimal digits. Empty for a text longer than 256 characters, whose digits are recognized as a token.
    """
    if len(text) > _MAX_ENCODED:
        return set()
    found: set[str] = set()
    written = {text.encode(errors="replace"), json.dumps(text)[1:-1].encode()}
    if not text.isascii():
        written.add(text.encode("latin-1", errors="replace"))
    for content in written:
        for before in range(3):
            digits = b2a_base64(bytes(before) + content, newline=False).decode()
            found.add(digits[-(-8 * before // 6) : 8 * (before + len(content)) // 6])
        found |= {content.hex(), content.hex().upper()}
    return {digits for digits in found if len(digits) >= _MIN_ENCODED}


def base64_run(text: str, start: int, end: int, floor: int = 0) -> tuple[int, int]:
    """Extend a piece of base64 to the whole run.

    Args:
        text: the text that contains it.
        start: where the piece begins.
        end: where it ends.
        floor: the earliest possible start.

    Returns:
        The start and the end of the run.
    """
    while start > floor and text[start - 1] in _BASE64:
        start -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    while end < len(text) and text[end] == "=":
        end += 1
    return start, end


def _decode(layer: Layer) -> Layer | None:
    """Decode a layer; None if nothing is left to decode."""
    if _ESCAPE_START.search(layer.text) is None:
        return None
    pieces: list[str] = []
    starts, origins = [0], [0]
    at, length = 0, 0
    for escape in _escapes().finditer(layer.text):
        start, end = escape.span()
        character = _decode_escape(escape[0])
        if character == escape[0]:
            continue
        pieces += (layer.text[at:start], character)
        length += start - at + len(character)
        at = end
        starts.append(length)
        origins.append(end)
    if not pieces:
        return None
    pieces.append(layer.text[at:])
    return Layer("".join(pieces), layer, tuple(starts), tuple(origins))


@cache
def _escapes() -> re.Pattern[str]:
    """The pattern of all escape sequences of one character, compiled when first used."""
    pair = rf"u[dD][89abAB]{_HEX}{{2}}%su[dD][c-fC-F]{_HEX}{{2}}"
    of_json = (
        r"\\" + pair % r"\\",
        rf"\\u{_HEX}{{4}}",
        rf"\\u\{{{_HEX}{{1,6}}\}}",
        rf"\\U{_HEX}{{8}}",
        r"\\[^A-Za-z0-9]",
        r"\\[abefnrtv]",
    )
    of_html = (r"&#[0-9]{1,7};", rf"&#[xX]{_HEX}{{1,6}};", r"&[A-Za-z][A-Za-z0-9]{1,31};")
    of_url = ("%" + pair % "%", rf"%u{_HEX}{{4}}", *_bytes_of_one_character("%"))
    of_c = (*_bytes_of_one_character(r"\\x"), *_OCTAL)
    return re.compile("|".join((*of_json, *of_html, *of_url, *of_c)))


def _bytes_of_one_character(mark: str) -> tuple[str, ...]:
    """Patterns of a UTF-8 character with a mark before each byte; the last is any byte, read as Latin-1."""
    more = f"{mark}[89abAB]{_HEX}"
    return (
        f"{mark}[0-7]{_HEX}",
        f"{mark}[cdCD]{_HEX}{more}",
        f"{mark}[eE]{_HEX}{more}{more}",
        f"{mark}[fF][0-7]{more}{more}{more}",
        f"{mark}{_HEX}{{2}}",
    )


def _decode_escape(escape: str) -> str:
    """The character of an escape sequence; the sequence itself if it is invalid."""
    if escape[0] == "&" and escape[1] != "#":
        from html import unescape  # a table of two thousand names

        return unescape(escape)
    try:
        if escape[0] == "&":  # not as browsers do, which replace some code points and drop control characters
            return chr(int(escape[3:-1], 16) if escape[2] in "xX" else int(escape[2:-1]))
        if escape[:2] in ("\\u", "%u", "\\U"):
            units = [int(unit.strip("{}"), 16) for unit in re.split(r"[\\%][uU]", escape)[1:]]
            if len(units) == 2:
                return chr(0x10000 + ((units[0] - 0xD800) << 10) + units[1] - 0xDC00)
            return chr(units[0])
    except ValueError:  # beyond Unicode
        return escape
    if escape[0] == "%" or escape[1] in _DIGITS_OF_BYTES:
        base = 16 if escape[0] == "%" or escape[1] == "x" else 8
        content = bytes(int(digits, base) for digits in re.split(r"%|\\x?", escape)[1:])
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")
    return _CONTROLS.get(escape[1], escape[1])
