"""What a resource, such as Microsoft Graph, answers to a revoked token: continuous access evaluation."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

# A client that declares this can meet a claims challenge; the value of the token's claim `xms_cc`, in any case.
_CLAIMS_CHALLENGES = "cp1"


class RevokedTokenError(ValueError):
    """An access token was revoked.

    Attributes:
        challenge: the claims that a new token has to meet, JSON text; None where the token's claim ``xms_cc`` does not
            have ``cp1``, because a resource challenges only a client that has declared that it understands challenges.
    """

    def __init__(self, challenge: str | None) -> None:
        super().__init__("the access token was revoked")
        self.challenge = challenge

    @property
    def www_authenticate(self) -> str:
        """The header ``WWW-Authenticate`` of the 401: a claims challenge, or the plain one."""
        if self.challenge is None:
            return 'Bearer realm="", error="invalid_token"'
        encoded = base64.b64encode(self.challenge.encode()).decode()
        return f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'


def claims_challenge(not_before: int) -> str:
    """Write the claims challenge of a resource that takes only tokens from a time on.

    Args:
        not_before: epoch seconds.

    Returns:
        JSON text.
    """
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(not_before)}}}
    return json.dumps(wanted, separators=(",", ":"))


def check_not_revoked(claims: Mapping[str, Any], not_before: int) -> None:
    """Check an access token against the time of its user's last revocation.

    Args:
        claims: the token's.
        not_before: the time before which tokens are invalid, epoch seconds; 0 where none are.

    Raises:
        RevokedTokenError: it was revoked.
    """
    if int(claims["nbf"]) >= not_before:
        return
    declared = {str(capability).casefold() for capability in claims.get("xms_cc", ())}
    raise RevokedTokenError(claims_challenge(not_before) if _CLAIMS_CHALLENGES in declared else None)
