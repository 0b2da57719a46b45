"""Strict JSON parsing: lone surrogates, deep nesting and too many values are errors."""

from __future__ import annotations

from collections.abc import Iterator

import pydantic_core

# The limit of pydantic_core.from_json.
MAX_JSON_DEPTH = 200
# A list of accounts may have 10,000 items, each of which can have 28 keys.
MAX_JSON_VALUES = 300_000
# Characters that begin an object, an array, or a value that is not the first of one.
_VALUE_STARTS = ",{["
_PIECE_CHARACTERS = 64 * 1024


class TooDeepError(ValueError):
    """Objects and arrays are nested too deeply."""


class TooManyValuesError(ValueError):
    """The text contains too many values."""


def read_json(text: str, *, allow_inf_nan: bool = True) -> object:
    """Parse a JSON text.

    Args:
        text: the text.
        allow_inf_nan: whether to accept ``NaN`` and ``Infinity``, which are not JSON.

    Returns:
        The value, as from ``json.loads``.

    Raises:
        TooManyValuesError: it contains more than 300,000 values; none was created.
        TooDeepError: it is nested more than 200 levels deep.
        ValueError: it is not JSON, or contains a lone surrogate, which D-Bus cannot carry.
    """
    if _exceeds_values(text, MAX_JSON_VALUES):
        raise TooManyValuesError
    try:
        value: object = pydantic_core.from_json(text, allow_inf_nan=allow_inf_nan)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise TooDeepError from None
        raise
    return value


def _exceeds_values(text: str, max_values: int) -> bool:
    """Whether a JSON text contains more than ``max_values`` values; objects and arrays that are not empty count twice.

    Counts in the text, as the values would take up to thirty times its size.
    """
    if len(text) <= max_values or sum(map(text.count, _VALUE_STARTS)) <= max_values:
        return False
    values = quotes = 0
    in_string = False
    for piece in _pieces(text):
        # Every second part is a string, in which nothing is counted.
        parts = piece.replace("\\\\", "").replace('\\"', "").split('"')
        values += sum(part.count(start_character) for part in parts[in_string::2] for start_character in _VALUE_STARTS)
        quotes += len(parts) - 1
        if values > max_values or quotes > 4 * (max_values + 1):  # two for each key and each string
            return True
        in_string ^= len(parts) % 2 == 0
    return False


def _pieces(text: str) -> Iterator[str]:
    """Split a text into pieces, none of which ends within an escape sequence, without copying all of it."""
    start = 0
    while start < len(text):
        end = start + _PIECE_CHARACTERS
        piece = text[start:end]
        if (len(piece) - len(piece.rstrip("\\"))) % 2:
            end += 1
            piece = text[start:end]
        yield piece
        start = end
