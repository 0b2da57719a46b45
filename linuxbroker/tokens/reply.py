"""Tokens read from a reply: their type, their expiry, and the result that an application gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from linuxbroker.results import TokenResult
from linuxbroker.tokens import jwt_claims
from linuxbroker.tokens.authority import preferred_host
from linuxbroker.wire import models

# From this number on, a time is in milliseconds (the year 1973), below it in seconds (until the year 5138).
_MIN_MILLISECONDS = 100_000_000_000
# In seconds. Entra's longest, for clients that handle claims challenges, is 28 hours.
_MAX_LIFETIME = 110_000
# The end of the year 9999, the last that datetime supports.
_MAX_MILLISECONDS = 253_402_300_799_999
_TOKEN_TYPES = {0: "Bearer", 1: "pop"}


def token_type_of(response: models.BrokerTokenResponse) -> str | None:
    """Name the type of a token.

    Args:
        response: the token part of the reply.

    Returns:
        ``Bearer`` or ``pop``; None if the reply's type is neither.
    """
    return _TOKEN_TYPES.get(response.access_token_type)


def expiry_of(response: models.BrokerTokenResponse) -> datetime | None:
    """Get the expiry time of a token: its own ``exp``, else the one in the reply.

    Args:
        response: the token part of the reply.

    Returns:
        The time, in UTC; None if there is none, or it is out of range. Source: PROTOCOL.md, "Tokens".
    """
    seconds = jwt_claims.expiry(response.access_token) or _stated_expiry(response)
    if seconds is None or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def token_result(
    response: models.BrokerTokenResponse,
    *,
    token_type: str,
    expires_on: datetime,
    requested_scopes: Sequence[str],
    account: models.Account | None,
    login_host: str,
    telemetry: Mapping[str, Any],
    correlation_id: str,
) -> TokenResult:
    """Make the result of a token reply without an error.

    Args:
        response: the token part of the reply.
        token_type: its type, from ``token_type_of``.
        expires_on: the time at which it expires, from ``expiry_of``.
        requested_scopes: the scopes of the result if the reply names none.
        account: the requested account, used if the reply names none.
        login_host: the host of the request's authority, used if the account names none.
        telemetry: the reply's telemetry, without secrets.
        correlation_id: the correlation ID of the call.

    Returns:
        The result.
    """
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
    """Make an account from the claims of an ID token, as some brokers return no account.

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
