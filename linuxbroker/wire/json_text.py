"""The text of a JSON value, read strictly: half a surrogate pair, which no bus would carry, is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pydantic_core

# The limit of pydantic_core.from_json.
DEEPEST_READ = 200
# The longest list of accounts that is read has 10,000, each of which can have 28 keys.
MOST_VALUES = 300_000
# What begins a value that is not the first in its object or array, and an object or array itself.
_MARKS = ",{["
_PIECE = 64 * 1024


class TooDeepError(ValueError):
    """Objects and arrays are nested more deeply than can be read."""


class TooManyValuesError(ValueError):
    """There are more values than are read."""


def read_json(text: str, *, allow_inf_nan: bool = True) -> object:
    """Read the text of a JSON value.

    Args:
        text: the text.
        allow_inf_nan: whether ``NaN`` and ``Infinity`` are numbers, as JavaScript has them and JSON has not.

    Returns:
        The value, as ``json.loads`` gives it.

    Raises:
        TooManyValuesError: it holds more than 300,000 values; nothing was made of them.
        TooDeepError: it is nested more deeply than can be read: 200 levels can.
        ValueError: it is not JSON, or holds half a surrogate pair, which can't be sent.
    """
    if _has_more_values(text, MOST_VALUES):
        raise TooManyValuesError
    try:
        value: object = pydantic_core.from_json(text, allow_inf_nan=allow_inf_nan)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise TooDeepError from None
        raise
    return value


def _has_more_values(text: str, most: int) -> bool:
    """Whether a JSON text holds more values than that; each object and array that is not empty counts twice.

    What is counted is in the text, as the values would take up to thirty times its size.
    """
    if len(text) <= most or sum(map(text.count, _MARKS)) <= most:
        return False
    marks = quotes = 0
    in_string = False
    for piece in _pieces(text):
        # What stands in strings begins nothing: they are every second part.
        parts = piece.replace("\\\\", "").replace('\\"', "").split('"')
        marks += sum(part.count(mark) for part in parts[in_string::2] for mark in _MARKS)
        quotes += len(parts) - 1
        if marks > most or quotes > 4 * (most + 1):  # two for each key and each text
            return True
        in_string ^= len(parts) % 2 == 0
    return False


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces, none of which ends within an escape: no copy of all of it is made."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        piece = text[start:end]
        if (len(piece) - len(piece.rstrip("\\"))) % 2:
            end += 1
            piece = text[start:end]
        yield piece
        start = end
