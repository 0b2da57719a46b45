"""The response of a resource, such as Microsoft Graph, to a revoked token (continuous access evaluation)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

# The capability, in the token's claim `xms_cc` (case-insensitive), of clients that handle claims challenges.
_CHALLENGE_CAPABILITY = "cp1"


class RevokedTokenError(ValueError):
    """An access token was revoked.

    Attributes:
        challenge: the claims challenge, JSON text; None if the token's claim ``xms_cc`` lacks ``cp1``, as a resource
            challenges only clients that declare this capability.
    """

    def __init__(self, challenge: str | None) -> None:
        super().__init__("the access token was revoked")
        self.challenge = challenge

    @property
    def www_authenticate(self) -> str:
        """The header ``WWW-Authenticate`` of the 401, with the claims challenge if there is one."""
        if self.challenge is None:
            return 'Bearer realm="", error="invalid_token"'
        encoded = base64.b64encode(self.challenge.encode()).decode()
        return f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'


def claims_challenge(not_before: int) -> str:
    """Return a claims challenge for a token issued at or after a time.

    Args:
        not_before: epoch seconds.

    Returns:
        JSON text.
    """
    claims = {"access_token": {"nbf": {"essential": True, "value": str(not_before)}}}
    return json.dumps(claims, separators=(",", ":"))


def check_not_revoked(claims: Mapping[str, Any], not_before: int) -> None:
    """Check that an access token was issued after its user's last revocation.

    Args:
        claims: the token's claims.
        not_before: the time before which tokens are revoked, epoch seconds; 0 if none are.

    Raises:
        RevokedTokenError: the token was revoked.
    """
    if int(claims["nbf"]) >= not_before:
        return
    capabilities = {str(capability).casefold() for capability in claims.get("xms_cc", ())}
    raise RevokedTokenError(claims_challenge(not_before) if _CHALLENGE_CAPABILITY in capabilities else None)
