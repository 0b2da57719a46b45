"""What the claims of a request ask of an access token: a resource's challenge, and the client's capabilities."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from .entra_error import REQUEST_MALFORMED


class _Wanted(BaseModel):
    """One claim of a claims request (OpenID Connect Core 1.0, section 5.5.1)."""

    value: str | int | None = None
    values: tuple[str | int, ...] = ()

    def all(self) -> tuple[str, ...]:
        return tuple(str(value) for value in (*(() if self.value is None else (self.value,)), *self.values))


class _AccessToken(BaseModel):
    model_config = ConfigDict(extra="allow")

    nbf: _Wanted | None = None
    acrs: _Wanted | None = None
    xms_cc: _Wanted | None = None


class _Challenge(BaseModel):
    model_config = ConfigDict(extra="allow")

    access_token: _AccessToken | None = None


@dataclass(frozen=True)
class ClaimsChallenge:
    """What is asked for: a token valid from ``not_before`` (epoch seconds), with these claims.

    Attributes:
        not_before, acrs: what a resource asks for.
        xms_cc: the capabilities that the client declares.
        wants_new_token: whether anything but capabilities is asked for, so that a cached token will not do.
    """

    not_before: int = 0
    acrs: tuple[str, ...] = ()
    xms_cc: tuple[str, ...] = ()
    wants_new_token: bool = False


def parse_claims_challenge(text: str | None) -> ClaimsChallenge:
    """Read a claims challenge, as an API's 401 gives it after base64 decoding.

    Args:
        text: JSON such as ``{"access_token":{"nbf":{"value":"1700000000"}}}``; None or ``""`` asks nothing.

    Returns:
        What is asked for; claims that the fake does not know are passed over.

    Raises:
        EntraError: it is not a JSON object of that form (9002313).
    """
    if not text:
        return ClaimsChallenge()
    try:
        challenge = _Challenge.model_validate_json(text)
        wanted = challenge.access_token or _AccessToken()
        return ClaimsChallenge(
            not_before=max((int(value) for value in _values(wanted.nbf)), default=0),
            acrs=_values(wanted.acrs),
            xms_cc=_values(wanted.xms_cc),
            wants_new_token=bool(
                (wanted.model_fields_set - {"xms_cc"}) or (challenge.model_fields_set - {"access_token"})
            ),
        )
    except (ValidationError, ValueError):
        raise REQUEST_MALFORMED.error(reason="the claims parameter is not a claims request") from None


def _values(wanted: _Wanted | None) -> tuple[str, ...]:
    return () if wanted is None else wanted.all()
