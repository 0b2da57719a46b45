"""Untrusted texts (from a broker, a bus, the environment) made safe for a terminal, a log or an exception."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from dataclasses import fields
from itertools import islice
from typing import Any

# A UPN has at most 113 characters, a display name 256, a domain name 255.
MAX_NAME_CHARACTERS = 256
MAX_MESSAGE_CHARACTERS = 4000
_MAX_ITEMS = 20
_ELLIPSIS = "…"


def shown(text: str, max_characters: int = MAX_NAME_CHARACTERS) -> str:
    """Make an untrusted text safe for display.

    Args:
        text: any text.
        max_characters: the maximum number of characters to keep; default 256.

    Returns:
        The text, shortened, with a space for each character that is not printable: control characters, line ends, and
        those that have no width or change the writing direction.
    """
    if len(text) > max_characters:
        text = text[:max_characters] + _ELLIPSIS
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def shown_list(items: Iterable[str]) -> str:
    """Make a list of untrusted texts safe for display.

    Args:
        items: the texts.

    Returns:
        The first twenty, each as returned by ``shown``, separated by commas.
    """
    few = list(islice(items, _MAX_ITEMS + 1))
    return ", ".join([*map(shown, few[:_MAX_ITEMS]), *(_ELLIPSIS for _ in few[_MAX_ITEMS:])])


class _Brief(reprlib.Repr):
    """``repr`` of texts and lists of any length, shortened."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = MAX_NAME_CHARACTERS
        self.maxother = MAX_MESSAGE_CHARACTERS
        self.maxlist = self.maxtuple = self.maxdict = _MAX_ITEMS


brief = _Brief().repr


def brief_fields(value: Any) -> str:
    """Write the ``repr`` of a dataclass whose fields can have any length.

    Args:
        value: an instance of a dataclass.

    Returns:
        The usual ``repr`` of a dataclass, with its fields shortened.
    """
    shown_fields = ", ".join(
        f"{field.name}={brief(getattr(value, field.name))}" for field in fields(value) if field.repr
    )
    return f"{type(value).__qualname__}({shown_fields})"
