"""The writer of successful replies, in the form of a persona."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .directory import AccountRecord, Directory
from .entra import MintedToken
from .persona import AccountShape, Persona
from .telemetry import fill_template


class ReplyWriter:
    """Writer of replies.

    Args:
        persona: the persona whose forms are used.
        directory: has the issuer's host.
        clock: returns the time in epoch seconds.
    """

    def __init__(self, persona: Persona, directory: Directory, clock: Callable[[], float]) -> None:
        self._persona = persona
        self._directory = directory
        self._clock = clock

    def version(self) -> dict[str, Any]:
        """Return the reply of ``getLinuxBrokerVersion``."""
        return {"linuxBrokerVersion": self._persona.version}

    def accounts(self, accounts: Sequence[AccountRecord]) -> dict[str, Any]:
        """Return the reply of ``getAccounts``."""
        return {"accounts": [self._account(account, self._persona.account) for account in accounts]}

    def token(
        self,
        account: AccountRecord,
        token: MintedToken,
        *,
        access_token: str,
        token_type: int,
        id_token: str,
        client_id: str,
        correlation_id: str,
        method: str,
    ) -> dict[str, Any]:
        """Return a token reply.

        Args:
            account: the account of the token.
            token: the token.
            access_token: the value of ``accessToken``: the token, or the signed HTTP request that contains it.
            token_type: 0 (bearer) or 1 (proof of possession).
            id_token: the ID token.
            client_id: the app's client ID.
            correlation_id: the correlation ID of the call.
            method: the method of the call.

        Returns:
            The reply.
        """
        shape = self._persona.token
        response: dict[str, Any] = {
            "accessToken": access_token,
            "accessTokenType": token_type,
            "clientInfo": account.client_info,
            "expiresOn": self._expiry(token),
            "extendedExpiresOn": token.expires_on * (1 if shape.extended_expiry_in_seconds else 1000),
            "grantedScopes": " ".join(token.granted_scopes),
            "idToken": id_token,
            **shape.extra_keys,
        }
        if shape.account:
            response["account"] = self._account(account, self._persona.account)
        reply: dict[str, Any] = {"brokerTokenResponse": response}
        if self._persona.telemetry is not None:
            values = {"client_id": client_id, "correlation_id": correlation_id, "method": method}
            reply["telemetry"] = fill_template(self._persona.telemetry, values)
        return reply

    def cookies(self, account: AccountRecord, cookies: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return a cookie reply.

        Args:
            account: the account that is signed in.
            cookies: names and contents; a flat reply has the first one only.

        Returns:
            The reply.
        """
        shape = self._persona.cookie
        items = [{"cookieName": name, "cookieContent": content} for name, content in cookies]
        reply: dict[str, Any] = {"account": self._account(account, shape.account)}
        reply |= {"cookieItems": items} if shape.listed else items[0]
        return reply if shape.telemetry is None else {**reply, "telemetry": dict(shape.telemetry)}

    def _account(self, account: AccountRecord, shape: AccountShape) -> dict[str, Any]:
        fields = account.wire()
        if shape.full_name_as_given_name:
            fields["givenName"] = account.user.name
        if shape.issuer_environment:
            fields["environment"] = self._directory.issuer_host
        return {key: value for key, value in fields.items() if key not in shape.missing}

    def _expiry(self, token: MintedToken) -> int:
        if not self._persona.token.lifetime_added_in_seconds:
            return token.expires_on * 1000
        now = self._clock()
        return math.floor(now * 1000) + max(0, token.expires_on - math.floor(now))


def without_scopes(reply: Mapping[str, Any], declined: Sequence[str]) -> dict[str, Any]:
    """Remove scopes from a token reply.

    Args:
        reply: a token reply.
        declined: the scopes to remove; empty: all but the first.

    Returns:
        A new reply.
    """
    response = dict(reply["brokerTokenResponse"])
    granted = str(response["grantedScopes"]).split()
    removed = {scope.casefold() for scope in declined or granted[1:]}
    response["grantedScopes"] = " ".join(scope for scope in granted if scope.casefold() not in removed)
    return {**reply, "brokerTokenResponse": response}


def without_tenants(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the tenant IDs from a list of accounts, as Himmelblau does while it does not know them (AC-01).

    Args:
        reply: a reply of ``getAccounts``.

    Returns:
        A new reply.
    """
    accounts: list[dict[str, Any]] = reply["accounts"]
    return {
        **reply,
        "accounts": [
            {**account, "realm": "", "homeAccountId": str(account["homeAccountId"]).partition(".")[0] + "."}
            for account in accounts
        ],
    }
