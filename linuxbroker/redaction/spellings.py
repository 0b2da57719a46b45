"""How else may a text be spelled? As JSON, HTML, URLs, other languages and base64 have it, found where it stands.

A text is decoded whole, again and again, with a record of where each character stood: whoever wrote it, and however
many times over, what is looked for then stands in it as it is.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote, quote_plus

_MOST_LAYERS = 8
# A letter behind a backslash, in JSON, C and Python.
_CONTROLS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# The bytes of one character of UTF-8, as those of ``_bytes_of_one_character``.
_OCTAL = (
    r"\\[01][0-7]{2}",
    r"\\3[0-3][0-7]\\2[0-7]{2}",
    r"\\3[45][0-7](?:\\2[0-7]{2}){2}",
    r"\\36[0-7](?:\\2[0-7]{2}){3}",
    r"\\[23][0-7]{2}",
)
_MARKS = re.compile(r"[\\&%]")
_HEX = "[0-9a-fA-F]"
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
# Shorter ones are found anywhere.
_SHORTEST_ENCODED = 4
# Base64 of longer ones is taken for a token.
_LONGEST_ENCODED = 256
_DIGITS_OF_BYTES = frozenset("x0123")


class Layer:
    """A text, decoded so many times.

    Args:
        text: the text.
        below: what it was decoded from; None for a text as it came.
        starts: where pieces of it begin that were taken over as they stand below, in order.
        origins: where each of these begins below.
    """

    def __init__(
        self, text: str, below: Layer | None = None, starts: tuple[int, ...] = (), origins: tuple[int, ...] = ()
    ) -> None:
        self.text = text
        self._below = below
        self._starts = starts
        self._origins = origins

    def origin(self, position: int) -> int:
        """Find where a position in this text lies in the text as it came.

        Args:
            position: from 0 to the length of the text.

        Returns:
            The position there.
        """
        layer: Layer = self
        while layer._below is not None:
            piece = bisect_right(layer._starts, position) - 1
            position = layer._origins[piece] + position - layer._starts[piece]
            layer = layer._below
        return position


def layers(text: str) -> Iterator[Layer]:
    """Decode a text as often as there is something to decode.

    Args:
        text: the text.

    Yields:
        The text as it is, then decoded once, twice, and so on.
    """
    layer: Layer | None = Layer(text)
    for _ in range(_MOST_LAYERS):
        if layer is None:
            break
        yield layer
        layer = _decoded(layer)


def encoded(text: str) -> set[str]:
    """Spell a text as the usual writers do.

    Args:
        text: the text.

    Returns:
        The text, and how JSON, JSON in JSON and URLs spell it. Where such a spelling stands right behind half of an
        escape, ``layers`` can't find it.
    """
    spellings = {str(text), quote_plus(text, errors="replace")}
    spellings |= {quote(text, safe, errors="replace") for safe in ("", "/")}
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        spellings |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    return spellings - {""}


def in_base64(text: str) -> set[str]:
    """Find what base64 of anything that has a text in it can't be without.

    Args:
        text: the text.

    Returns:
        The digits that depend on the text alone: wherever it begins, and of the bytes of UTF-8, of Latin-1 and of JSON
        in ASCII. And the same as hexadecimal digits. None of a long text, whose digits are as many as a token's.
    """
    if len(text) > _LONGEST_ENCODED:
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
    return {digits for digits in found if len(digits) >= _SHORTEST_ENCODED}


def base64_run(text: str, start: int, end: int, floor: int = 0) -> tuple[int, int]:
    """Widen a piece of base64 to all of it.

    Args:
        text: where it stands.
        start: where the piece begins.
        end: where it ends.
        floor: where it can't have begun before.

    Returns:
        Where all of it begins and ends.
    """
    while start > floor and text[start - 1] in _BASE64:
        start -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    while end < len(text) and text[end] == "=":
        end += 1
    return start, end


def _decoded(layer: Layer) -> Layer | None:
    """The next layer; None where nothing is left to decode."""
    if _MARKS.search(layer.text) is None:
        return None
    pieces: list[str] = []
    starts, origins = [0], [0]
    at, length = 0, 0
    for escape in _escapes().finditer(layer.text):
        start, end = escape.span()
        character = _character(escape[0])
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
    """Each way to write one character; compiled when it is first needed."""
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
    """UTF-8, byte by byte, each behind a mark; last, a byte that is none: of Latin-1 then."""
    more = f"{mark}[89abAB]{_HEX}"
    return (
        f"{mark}[0-7]{_HEX}",
        f"{mark}[cdCD]{_HEX}{more}",
        f"{mark}[eE]{_HEX}{more}{more}",
        f"{mark}[fF][0-7]{more}{more}{more}",
        f"{mark}{_HEX}{{2}}",
    )


def _character(escape: str) -> str:
    """What one escape stands for; itself where it stands for nothing."""
    if escape[0] == "&" and escape[1] != "#":
        from html import unescape  # a table of two thousand names

        return unescape(escape)
    try:
        if escape[0] == "&":  # not as browsers read it, who take some numbers for others and drop control characters
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
