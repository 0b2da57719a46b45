"""The claims of a JWT, decoded without verifying its signature: they prove nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, cast

from linuxbroker.wire.json_text import read_json


def peek(token: str) -> dict[str, Any]:
    """Decode the claims of a JWT.

    Args:
        token: any token.

    Returns:
        The claims; empty if the token is not a JWT.
    """
    parts = token.split(".")
    return decode_segment(parts[1]) if len(parts) == 3 else {}


def decode_segment(segment: str) -> dict[str, Any]:
    """Decode a JSON object in base64url, padded or not, such as a JWT's payload or ``clientInfo``.

    Args:
        segment: the text.

    Returns:
        The object; empty if the text is invalid.
    """
    try:
        decoded = read_json(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode())
    except (ValueError, binascii.Error):
        return {}
    return cast("dict[str, Any]", decoded) if isinstance(decoded, dict) else {}


def expiry(token: str) -> float | None:
    """Get the expiry time that a token contains.

    Args:
        token: an access token, or a signed HTTP request that contains one (claim ``at``).

    Returns:
        Seconds since the epoch; None if it contains no expiry time.
    """
    claims: Mapping[str, Any] = peek(token)
    inner = claims.get("at")
    if isinstance(inner, str):
        claims = peek(inner)
    value = claims.get("exp")
    return (
        float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e11 else None
    )
