"""Results of successful calls, made from the reply models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from linuxbroker import jwt_claims, models, texts
from linuxbroker.authority import preferred_host
from linuxbroker.redaction import HiddenText

# From this number on, a time is in milliseconds (the year 1973), below it in seconds (until the year 5138).
_MIN_MILLISECONDS = 100_000_000_000
# In seconds. Entra's longest, for clients that handle claims challenges, is 28 hours.
_MAX_LIFETIME = 110_000
# The end of the year 9999, the last that datetime supports.
_MAX_MILLISECONDS = 253_402_300_799_999
_TOKEN_TYPES = {0: "Bearer", 1: "pop"}


@dataclass(frozen=True)
class UnusableToken:
    """A reply without an error and without a usable token.

    Attributes:
        reason: what is wrong with the reply; it quotes nothing from it.
    """

    reason: str


@dataclass(frozen=True)
class TokenResult:
    """A token and what the broker returned with it.

    Attributes:
        access_token: the token; for proof of possession the signed HTTP request.
        token_type: ``Bearer`` or ``pop``, the scheme of the ``Authorization`` header.
        expires_on: the time at which the access token expires, timezone-aware, in UTC.
        scopes: the scopes that were granted.
        id_token: the raw ID token, or the empty string.
        id_token_claims: the claims of the ID token, not verified: the broker received it from Entra over TLS.
        account: the account that the token is for; None if neither the request nor the reply names one.
        client_info: Entra's ``client_info``, base64url, or the empty string.
        telemetry: the broker's telemetry for the call.
        correlation_id: the ID of the call in the broker's and Entra's logs.
    """

    access_token: str = field(repr=False)
    token_type: str
    expires_on: datetime
    scopes: tuple[str, ...]
    id_token: str = field(repr=False)
    id_token_claims: Mapping[str, Any] = field(repr=False)
    account: models.Account | None
    client_info: str = field(repr=False)
    telemetry: Mapping[str, Any] = field(repr=False)
    correlation_id: str

    def __repr__(self) -> str:
        return texts.brief_fields(self)

    @property
    def authorization_header(self) -> str:
        """The value of the ``Authorization`` header of an HTTP request, a string whose ``repr`` is hidden."""
        return HiddenText(f"{self.token_type} {self.access_token}")


@dataclass(frozen=True)
class PrtSsoCookie:
    """A cookie that signs the user in to a page of the login host.

    Attributes:
        name: the name of the HTTP request header (and cookie), such as ``x-ms-RefreshTokenCredential``.
        content: the value of the header.
    """

    name: str
    content: str = field(repr=False)

    def __repr__(self) -> str:
        return texts.brief_fields(self)


def token_result(
    response: models.BrokerTokenResponse | None,
    *,
    requested_scopes: Sequence[str],
    account: models.Account | None,
    login_host: str,
    telemetry: Mapping[str, Any],
    correlation_id: str,
) -> TokenResult | UnusableToken:
    """Make the result of a token reply without an error.

    Args:
        response: the token part of the reply.
        requested_scopes: the scopes of the result if the reply names none.
        account: the requested account, used if the reply names none.
        login_host: the host of the request's authority, used if the account names none.
        telemetry: the reply's telemetry, without secrets.
        correlation_id: the correlation ID of the call.

    Returns:
        The result, or the reason why there is none: no access token, an unknown token type, or no valid expiry time.
    """
    if response is None or not response.access_token:
        return UnusableToken("success without an access token")
    token_type = _TOKEN_TYPES.get(response.access_token_type)
    if token_type is None:
        return UnusableToken("accessTokenType is neither 0 nor 1")
    expires_on = _expiry(response)
    if expires_on is None:
        return UnusableToken("token without an expiry time")
    id_token_claims = jwt_claims.peek(response.id_token)
    granted = requested_scopes if response.granted_scopes is None else response.granted_scopes
    return TokenResult(
        access_token=response.access_token,
        token_type=token_type,
        expires_on=expires_on,
        scopes=tuple(granted),
        id_token=response.id_token,
        id_token_claims=id_token_claims,
        account=_with_preferred_host(
            response.account or account or account_from_claims(id_token_claims, response.client_info), login_host
        ),
        client_info=response.client_info,
        telemetry=telemetry,
        correlation_id=correlation_id,
    )


def _expiry(response: models.BrokerTokenResponse) -> datetime | None:
    seconds = jwt_claims.expiry(response.access_token) or _stated_expiry(response)
    if seconds is None or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _stated_expiry(response: models.BrokerTokenResponse) -> float | None:
    """The expiry time in the reply, in seconds, for a token that does not contain its own."""
    stated, extended = response.expires_on, response.extended_expires_on
    if stated is None or stated < _MIN_MILLISECONDS:
        return stated
    # Himmelblau up to 3.1 adds the lifetime in seconds to the time in milliseconds; its extendedExpiresOn is correct
    # and in seconds (PROTOCOL.md, EX-09).
    if extended is not None and 1 < extended - stated // 1000 <= _MAX_LIFETIME:
        return extended
    return stated // 1000 if stated > _MAX_MILLISECONDS else stated / 1000


def _with_preferred_host(account: models.Account | None, login_host: str) -> models.Account | None:
    return account and account.in_environment(preferred_host(account.environment or login_host))


def account_from_claims(claims: Mapping[str, Any], client_info: str) -> models.Account | None:
    """Make the account that an ID token is for: some brokers return no other.

    Args:
        claims: the claims of the ID token.
        client_info: Entra's ``client_info``, base64url, or the empty string.

    Returns:
        The account, without an environment; None if the claims name no user or no tenant.
        Source: PROTOCOL.md, "Tokens".
    """
    object_id, realm = claims.get("oid"), claims.get("tid")
    if not isinstance(object_id, str) or not isinstance(realm, str):
        return None
    home = jwt_claims.decode_segment(client_info)
    uid, utid = home.get("uid"), home.get("utid")
    home_id = f"{uid}.{utid}" if isinstance(uid, str) and isinstance(utid, str) else f"{object_id}.{realm}"
    names = {key: claims[key] for key in ("name", "given_name", "family_name") if isinstance(claims.get(key), str)}
    username = claims.get("preferred_username") or claims.get("upn")
    return models.Account(
        home_account_id=home_id,
        local_account_id=object_id,
        realm=realm,
        username=username if isinstance(username, str) else "",
        client_info=client_info,
        **names,
    )
