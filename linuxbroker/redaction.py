"""How is a text from outside made safe to show? Whatever could be a token, cookie, password or nonce is cut out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

# Base64url and hex runs longer than any name, code or UUID of the protocol; JWTs and PRTs are made of these.
_OPAQUE = re.compile(r"[A-Za-z0-9_\-+=]{40,}|eyJ[A-Za-z0-9_\-.+/=]*")
_HIDDEN = "(hidden)"
_LONGEST_TEXT = 2000


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Make a text from the broker or the bus fit for a log or an error message.

    Args:
        text: anything.
        secrets: texts that must not be shown whatever they look like, such as the password that was sent.

    Returns:
        The text, at most 2,000 characters of it, with what could be a secret replaced by ``(hidden)`` and control
        characters by spaces.
    """
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, _HIDDEN)
    text = _OPAQUE.sub(_HIDDEN, text)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _spellings(secret: str) -> set[str]:
    """A secret as it is, and as JSON spells it: a broker may quote the request back."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
