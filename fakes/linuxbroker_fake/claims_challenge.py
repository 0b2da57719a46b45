"""Parser for the claims of a token request: a resource's claims challenge and the client's capabilities."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from .entra_error import REQUEST_MALFORMED


class _RequestedClaim(BaseModel):
    """A claim in a claims request (OpenID Connect Core 1.0, section 5.5.1)."""

    value: str | int | None = None
    values: tuple[str | int, ...] = ()

    def all_values(self) -> tuple[str, ...]:
        return tuple(str(value) for value in (*(() if self.value is None else (self.value,)), *self.values))


class _AccessTokenClaims(BaseModel):
    model_config = ConfigDict(extra="allow")

    nbf: _RequestedClaim | None = None
    acrs: _RequestedClaim | None = None
    xms_cc: _RequestedClaim | None = None


class _Challenge(BaseModel):
    model_config = ConfigDict(extra="allow")

    access_token: _AccessTokenClaims | None = None


@dataclass(frozen=True)
class ClaimsChallenge:
    """The requested claims of an access token.

    Attributes:
        not_before: the earliest ``nbf``, epoch seconds; 0 if the resource requests none.
        acrs: the authentication contexts that the resource requests.
        xms_cc: the capabilities that the client declares.
        requires_new_token: whether a cached token is insufficient: anything but capabilities is requested.
    """

    not_before: int = 0
    acrs: tuple[str, ...] = ()
    xms_cc: tuple[str, ...] = ()
    requires_new_token: bool = False


def parse_claims_challenge(text: str | None) -> ClaimsChallenge:
    """Parse a claims challenge, base64-decoded, as in ``WWW-Authenticate`` of a 401.

    Args:
        text: JSON such as ``{"access_token":{"nbf":{"value":"1700000000"}}}``; None or ``""``: no claims.

    Returns:
        The requested claims; unknown claims are ignored.

    Raises:
        EntraError: the text is not a JSON object of that form (9002313).
    """
    if not text:
        return ClaimsChallenge()
    try:
        challenge = _Challenge.model_validate_json(text)
        requested = challenge.access_token or _AccessTokenClaims()
        return ClaimsChallenge(
            not_before=max((int(value) for value in _values(requested.nbf)), default=0),
            acrs=_values(requested.acrs),
            xms_cc=_values(requested.xms_cc),
            requires_new_token=bool(
                (requested.model_fields_set - {"xms_cc"}) or (challenge.model_fields_set - {"access_token"})
            ),
        )
    except (ValidationError, ValueError):
        raise REQUEST_MALFORMED.error(reason="the claims parameter is not a claims request") from None


def _values(claim: _RequestedClaim | None) -> tuple[str, ...]:
    return () if claim is None else claim.all_values()
