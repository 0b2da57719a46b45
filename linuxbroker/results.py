"""What does a successful call give? The values that an application works with, made from the reply models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from linuxbroker import jwt_claims, models, texts
from linuxbroker.authority import preferred_host
from linuxbroker.redaction import HiddenText

# Above it a number counts milliseconds, below it seconds: the year 5138 in one, 1973 in the other.
_MILLISECONDS_FROM = 100_000_000_000
# In seconds. Entra's longest, for clients that are challenged, is 28 hours.
_LONGEST_LIFETIME = 110_000
# The year 9999 ends with it, and with it Python's calendar.
_LAST_MILLISECOND = 253_402_300_799_999
_TOKEN_TYPES = {0: "Bearer", 1: "pop"}


@dataclass(frozen=True)
class UnusableToken:
    """A reply without an error that holds no token that can be used.

    Attributes:
        reason: what is wrong with it; nothing that it holds.
    """

    reason: str


@dataclass(frozen=True)
class TokenResult:
    """A token, and all that came with it.

    Attributes:
        access_token: the token; for proof of possession the finished signed HTTP request.
        token_type: ``Bearer`` or ``pop``, the scheme of the ``Authorization`` header.
        expires_on: when the access token expires, aware, UTC.
        scopes: the scopes that were granted.
        id_token: the raw ID token, or the empty string.
        id_token_claims: its claims, unverified: the broker got it from Entra over TLS.
        account: whose token it is; None only where the reply gave no hint at all.
        client_info: Entra's ``client_info``, base64url, or the empty string.
        telemetry: the broker's telemetry for the call.
        correlation_id: the id that the broker's and Entra's logs have for the call.
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
        """The value for an HTTP request's ``Authorization`` header, a text that no ``repr`` shows."""
        return HiddenText(f"{self.token_type} {self.access_token}")


@dataclass(frozen=True)
class PrtSsoCookie:
    """A cookie that signs the user in to a page of the login host.

    Attributes:
        name: the name of the HTTP request header (and cookie), such as ``x-ms-RefreshTokenCredential``.
        content: its value.
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
    """Make the result of a token reply that holds no error.

    Args:
        response: the token part of the reply.
        requested_scopes: what stands where the reply names no scopes.
        account: the account that was asked for, where the reply names none.
        login_host: the host of the request's authority, where the account names none.
        telemetry: the reply's telemetry, fit to be shown.
        correlation_id: the call's.

    Returns:
        The result; unusable where there is no access token, of no known type, or with no expiry that a calendar has.
    """
    if response is None or not response.access_token:
        return UnusableToken("it reports success, but holds no access token")
    token_type = _TOKEN_TYPES.get(response.access_token_type)
    if token_type is None:
        return UnusableToken("its accessTokenType is neither 0 nor 1")
    expires_on = _expiry(response)
    if expires_on is None:
        return UnusableToken("it does not say when the token expires")
    id_token_claims = jwt_claims.peek(response.id_token)
    granted = requested_scopes if response.granted_scopes is None else response.granted_scopes
    return TokenResult(
        access_token=response.access_token,
        token_type=token_type,
        expires_on=expires_on,
        scopes=tuple(granted),
        id_token=response.id_token,
        id_token_claims=id_token_claims,
        account=_shown(response.account or account or account_of(id_token_claims, response.client_info), login_host),
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
    """What a reply says of a token that does not tell by itself when it expires."""
    stated, extended = response.expires_on, response.extended_expires_on
    if stated is None or stated < _MILLISECONDS_FROM:
        return stated
    # Himmelblau up to 3.1 adds the lifetime in seconds to the time in milliseconds; its extendedExpiresOn is right, and
    # in seconds (PROTOCOL.md, EX-09).
    if extended is not None and 1 < extended - stated // 1000 <= _LONGEST_LIFETIME:
        return extended
    return stated // 1000 if stated > _LAST_MILLISECOND else stated / 1000


def _shown(account: models.Account | None, login_host: str) -> models.Account | None:
    return account and account.in_environment(preferred_host(account.environment or login_host))


def account_of(claims: Mapping[str, Any], client_info: str) -> models.Account | None:
    """Make the account of an ID token and client info: some brokers name it in no other way.

    Args:
        claims: of the ID token.
        client_info: Entra's ``client_info``, base64url, or the empty string.

    Returns:
        The account, in no environment; None where the claims name no user or no tenant.
        Source: PROTOCOL.md, "Tokens".
    """
    object_id, realm = claims.get("oid"), claims.get("tid")
    if not isinstance(object_id, str) or not isinstance(realm, str):
        return None
    home = jwt_claims.decode_segment(client_info)
    uid, utid = home.get("uid"), home.get("utid")
    home_id = f"{uid}.{utid}" if isinstance(uid, str) and isinstance(utid, str) else f"{object_id}.{realm}"
    shown = {key: claims[key] for key in ("name", "given_name", "family_name") if isinstance(claims.get(key), str)}
    username = claims.get("preferred_username") or claims.get("upn")
    return models.Account(
        home_account_id=home_id,
        local_account_id=object_id,
        realm=realm,
        username=username if isinstance(username, str) else "",
        client_info=client_info,
        **shown,
    )
