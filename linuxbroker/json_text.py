"""The text of a JSON value, read strictly: half a surrogate pair, which no bus would carry, is refused."""

from __future__ import annotations

import pydantic_core

# The limit of pydantic_core.from_json.
DEEPEST_READ = 200


class TooDeepError(ValueError):
    """Objects and arrays are nested more deeply than can be read."""


def read_json(text: str | bytes, *, allow_inf_nan: bool = True) -> object:
    """Read the text of a JSON value.

    Args:
        text: the text.
        allow_inf_nan: whether ``NaN`` and ``Infinity`` are numbers, as JavaScript has them and JSON has not.

    Returns:
        The value, as ``json.loads`` gives it.

    Raises:
        TooDeepError: it is nested more deeply than can be read: 200 levels can.
        ValueError: it is not JSON, or holds half a surrogate pair, which can't be sent.
    """
    try:
        value: object = pydantic_core.from_json(text, allow_inf_nan=allow_inf_nan)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise TooDeepError from None
        raise
    return value
