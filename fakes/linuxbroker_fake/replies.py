"""How each broker spells its replies: the one place that reads a persona's shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .directory import AccountRecord, Directory
from .entra import MintedToken
from .persona import AccountShape, Persona
from .telemetry import written


class ReplyWriter:
    """Writes replies as one persona does.

    Args:
        persona: which.
        directory: knows the login hosts.
        clock: gives the time in epoch seconds.
    """

    def __init__(self, persona: Persona, directory: Directory, clock: Callable[[], float]) -> None:
        self._persona = persona
        self._directory = directory
        self._clock = clock

    def version(self) -> dict[str, Any]:
        """Write the reply of ``getLinuxBrokerVersion``."""
        return {"linuxBrokerVersion": self._persona.version}

    def accounts(self, accounts: Sequence[AccountRecord]) -> dict[str, Any]:
        """Write the reply of ``getAccounts``."""
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
        """Write a token reply.

        Args:
            account: whose token.
            token: the token that was minted.
            access_token: what stands as ``accessToken``: the token, or the signed request around it.
            token_type: 0 bearer, 1 proof of possession.
            id_token: the ID token.
            client_id: for which app.
            correlation_id: the call's.
            method: the method.

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
            **shape.more,
        }
        if shape.account:
            response["account"] = self._account(account, self._persona.account)
        reply: dict[str, Any] = {"brokerTokenResponse": response}
        if self._persona.telemetry is not None:
            values = {"client_id": client_id, "correlation_id": correlation_id, "method": method}
            reply["telemetry"] = written(self._persona.telemetry, values)
        return reply

    def cookies(self, account: AccountRecord, cookies: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Write a cookie reply.

        Args:
            account: who is signed in.
            cookies: names and contents; only a listing reply has more than the first.

        Returns:
            The reply.
        """
        shape = self._persona.cookie
        items = [{"cookieName": name, "cookieContent": content} for name, content in cookies]
        reply: dict[str, Any] = {"account": self._account(account, shape.account)}
        reply |= {"cookieItems": items} if shape.listed else items[0]
        return reply if shape.telemetry is None else {**reply, "telemetry": dict(shape.telemetry)}

    def _account(self, account: AccountRecord, shape: AccountShape) -> dict[str, Any]:
        written_account = account.wire()
        if shape.whole_name_as_given_name:
            written_account["givenName"] = account.user.name
        if shape.environment_of_issuer:
            written_account["environment"] = self._directory.issuer_host
        return {key: value for key, value in written_account.items() if key not in shape.missing}

    def _expiry(self, token: MintedToken) -> int:
        if not self._persona.token.lifetime_added_in_seconds:
            return token.expires_on * 1000
        now = self._clock()
        return math.floor(now * 1000) + max(0, token.expires_on - math.floor(now))


def with_scopes_declined(reply: Mapping[str, Any], declined: Sequence[str]) -> dict[str, Any]:
    """Take scopes out of a token reply.

    Args:
        reply: a token reply.
        declined: the scopes to leave out; empty for all but the first.

    Returns:
        A new reply.
    """
    response = dict(reply["brokerTokenResponse"])
    granted = str(response["grantedScopes"]).split()
    left_out = {scope.casefold() for scope in declined or granted[1:]}
    response["grantedScopes"] = " ".join(scope for scope in granted if scope.casefold() not in left_out)
    return {**reply, "brokerTokenResponse": response}


def without_tenants(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Take the tenant ids out of a list of accounts, as Himmelblau lists one whose tenant it has not learnt.

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
