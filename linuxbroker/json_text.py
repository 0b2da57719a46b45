"""How is the text of a JSON value read? Strictly: half a surrogate pair, which no bus would carry, is refused."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from linuxbroker import short_lived

# The limit of pydantic_core.from_json.
DEEPEST_READ = 200
# Found one by one, each in no time: what is between them may be of any length, and any shape.
_MARKS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}


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
    if short_lived.is_declared():
        return _with_standard_library(text, allow_inf_nan)
    import pydantic_core

    try:
        value: object = pydantic_core.from_json(text, allow_inf_nan=allow_inf_nan)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise TooDeepError from None
        raise
    return value


def _with_standard_library(text: str | bytes, allow_inf_nan: bool) -> object:
    text = text.decode() if isinstance(text, bytes) else text
    too_deep_at = _too_deep_at(text)
    try:
        value: object = json.loads(text, parse_constant=None if allow_inf_nan else _refuse_constant)
    except json.JSONDecodeError as error:
        if too_deep_at is None or error.pos < too_deep_at:
            raise
    except RecursionError:
        pass
    else:
        if too_deep_at is None:
            if "\\ud" in text.lower():
                json.dumps(value, ensure_ascii=False).encode()
            return value
    raise TooDeepError


def _too_deep_at(text: str) -> int | None:
    """Where a text is nested more deeply than can be read; None where it nowhere is."""
    if text.count("[") + text.count("{") > DEEPEST_READ:
        depth, in_string = 0, False
        for found in _MARKS.finditer(text):
            mark = found[0]
            if mark == '"':
                in_string = not in_string
            elif not in_string:
                depth += _DEEPER.get(mark, 0)
                if depth > DEEPEST_READ:
                    return found.start()
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
