"""Texts from outside (a broker, a bus, an environment variable), made fit for a terminal, a log or an exception."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from dataclasses import fields
from itertools import islice
from typing import Any

# A UPN has at most 113 characters, a display name 256, a domain name 255.
LONGEST_NAME = 256
LONGEST_MESSAGE = 4000
_MOST_ITEMS = 20
_CUT = "…"


def shown(text: str, longest: int = LONGEST_NAME) -> str:
    """Make a text from outside fit to be shown.

    Args:
        text: anything.
        longest: how many characters of it are kept, default 256.

    Returns:
        The text, cut behind that many, with a space for each character that is not printable: control characters, line
        ends, and what turns the direction of writing or takes no room.
    """
    if len(text) > longest:
        text = text[:longest] + _CUT
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def shown_list(items: Iterable[str]) -> str:
    """Make a list of texts from outside fit to be shown.

    Args:
        items: the texts.

    Returns:
        The first twenty, each as ``shown`` gives it, with commas between.
    """
    few = list(islice(items, _MOST_ITEMS + 1))
    return ", ".join([*map(shown, few[:_MOST_ITEMS]), *(_CUT for _ in few[_MOST_ITEMS:])])


class _Brief(reprlib.Repr):
    """``repr`` of texts and lists that may be as long as a broker likes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = LONGEST_NAME
        self.maxother = LONGEST_MESSAGE
        self.maxlist = self.maxtuple = self.maxdict = _MOST_ITEMS


brief = _Brief().repr


def brief_fields(value: Any) -> str:
    """Write the ``repr`` of a dataclass whose fields may be as long as a broker likes.

    Args:
        value: an instance of a dataclass.

    Returns:
        What ``repr`` of a dataclass gives, its fields cut.
    """
    shown_fields = ", ".join(
        f"{field.name}={brief(getattr(value, field.name))}" for field in fields(value) if field.repr
    )
    return f"{type(value).__qualname__}({shown_fields})"
