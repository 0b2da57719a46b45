"""Which claims does a token request ask for? Challenges, and what the application is capable of, in one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from linuxbroker import validation
from linuxbroker.redaction import hidden

# Answers claims challenges: Entra's name for a client of continuous access evaluation.
_ANSWERS_CHALLENGES = "CP1"


def answering_challenges(capabilities: Sequence[str] = ()) -> tuple[str, ...]:
    """Add ``CP1``, by which a client says that it answers claims challenges, where it is not there in any case."""
    if _ANSWERS_CHALLENGES.casefold() in (capability.casefold() for capability in capabilities):
        return tuple(capabilities)
    return (*capabilities, _ANSWERS_CHALLENGES)


def merge_claims(*claims: str | None, capabilities: Sequence[str] | None = None, name: str = "claims_challenge") -> str:
    """Merge claims into the text that a token request carries.

    Args:
        claims: texts of JSON objects; where two differ, the later one goes before. None and the empty text are none.
        capabilities: the application's, such as ``("CP1",)``: Entra then challenges it with claims.
        name: the argument that the claims came in, for the message.

    Returns:
        The text of a JSON object; a single one as it came; the empty text where there is nothing to ask for.

    Raises:
        InvalidArgumentError: one of the texts is not that of a JSON object.
    """
    texts = [text for text in (validation.claims_challenge(text, name) for text in claims) if text]
    if not capabilities and len(texts) < 2:
        return texts[0] if texts else ""
    merged: dict[str, Any] = {}
    for text in texts:
        merged = _merged(merged, json.loads(text))
    if capabilities:
        merged = _merged(merged, {"access_token": {"xms_cc": {"values": list(capabilities)}}})
    return hidden(json.dumps(merged))


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for key, value in other.items():
        there: object = merged.get(key)
        if isinstance(there, dict) and isinstance(value, dict) and key != "xms_cc":
            value = _merged(cast("dict[str, Any]", there), cast("dict[str, Any]", value))
        merged[key] = value
    return merged
