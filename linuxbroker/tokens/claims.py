"""Claims of a token request: claims challenges and client capabilities, merged into one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from linuxbroker.redaction.secrets import hidden
from linuxbroker.tokens import validation

# Entra's name for a client that handles claims challenges (continuous access evaluation).
_CP1 = "CP1"


def add_cp1(capabilities: Sequence[str] = ()) -> tuple[str, ...]:
    """Add ``CP1``, the capability of handling claims challenges, unless it is there in any case."""
    if _CP1.casefold() in (capability.casefold() for capability in capabilities):
        return tuple(capabilities)
    return (*capabilities, _CP1)


def merge_claims(*claims: str | None, capabilities: Sequence[str] | None = None, name: str = "claims_challenge") -> str:
    """Merge claims into the JSON text of a token request.

    Args:
        claims: JSON objects as text, a later one taking precedence. None and the empty text are ignored.
        capabilities: the application's, such as ``("CP1",)``; with that one, Entra sends claims challenges.
        name: the name of the argument that the claims came in, for the error message.

    Returns:
        A JSON object as text, a single one unchanged; the empty text if there are no claims.

    Raises:
        InvalidArgumentError: one of the texts is not a JSON object.
    """
    texts = [text for text in (validation.claims_challenge(text, name) for text in claims) if text]
    if not capabilities and len(texts) < 2:
        return texts[0] if texts else ""
    merged: dict[str, Any] = {}
    for text in texts:
        merged = _merge_objects(merged, json.loads(text))
    if capabilities:
        merged = _merge_objects(merged, {"access_token": {"xms_cc": {"values": list(capabilities)}}})
    return hidden(json.dumps(merged))


def _merge_objects(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for key, value in other.items():
        present: object = merged.get(key)
        if isinstance(present, dict) and isinstance(value, dict) and key != "xms_cc":
            value = _merge_objects(cast("dict[str, Any]", present), cast("dict[str, Any]", value))
        merged[key] = value
    return merged
