"""How does each broker spell its replies? The one place that reads a persona's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from linuxbroker.models import tag_name
from linuxbroker_fake.directory import AccountRecord
from linuxbroker_fake.entra import MintedToken
from linuxbroker_fake.faults import TOKEN_METHODS, Failure
from linuxbroker_fake.personas import Persona

_STATUS_NAMES = {
    2: "StatusInternal::InteractionRequired",
    3: "StatusInternal::NoNetwork",
    7: "StatusInternal::UserCanceled",
}


class ReplyWriter:
    """Writes replies as one persona does.

    Args:
        persona: which.
    """

    def __init__(self, persona: Persona) -> None:
        self._persona = persona

    def account(self, account: AccountRecord) -> dict[str, Any]:
        """Write an account."""
        written = account.wire()
        return {key: value for key, value in written.items() if key not in self._persona.missing_account_keys}

    def token(
        self,
        account: AccountRecord,
        token: MintedToken,
        *,
        access_token: str,
        pop: bool,
        id_token: str,
        correlation_id: str,
    ) -> dict[str, Any]:
        """Write a token reply.

        Args:
            account: whose token.
            token: the token that was minted.
            access_token: what stands as ``accessToken``: the token, or the signed request around it.
            pop: whether it is a proof-of-possession token.
            id_token: the ID token.
            correlation_id: the call's.

        Returns:
            The reply.
        """
        milliseconds = token.expires_on * 1000
        response: dict[str, Any] = {
            "accessToken": access_token,
            "accessTokenType": 1 if pop else 0,
            "clientInfo": account.client_info,
            "expiresOn": milliseconds,
            "extendedExpiresOn": token.expires_on if self._persona.extended_expiry_in_seconds else milliseconds,
            "grantedScopes": " ".join(token.granted_scopes),
            "idToken": id_token,
        }
        if self._persona.token_names_account:
            response["account"] = self.account(account)
        return {"brokerTokenResponse": response, "telemetry": self._telemetry(correlation_id)}

    def with_scopes_declined(self, reply: Mapping[str, Any], declined: Sequence[str]) -> dict[str, Any]:
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

    def cookies(self, account: AccountRecord, cookies: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Write a cookie reply: flat with the first cookie, or a list of all."""
        items = [{"cookieName": name, "cookieContent": content} for name, content in cookies]
        if self._persona.flat_cookie:
            return {"account": self.account(account), **items[0]}
        return {"cookieItems": items, "telemetry": {}}

    def failure(self, member: str, failure: Failure, correlation_id: str) -> dict[str, Any]:
        """Write the reply of a call that failed.

        Args:
            member: the method.
            failure: what went wrong.
            correlation_id: the call's.

        Returns:
            The reply; its error stands at the top where the method gives no token.
        """
        error = {
            "context": failure.context,
            "diagnostics": self._diagnostics(failure),
            "errorCode": failure.error_code,
            "status": failure.status,
            "subStatus": failure.sub_status,
            "tag": 0 if self._persona.diagnostics else failure.tag,
        }
        telemetry = self._telemetry(correlation_id)
        if not self._persona.diagnostics:
            telemetry |= {
                "api_status_code": _STATUS_NAMES.get(failure.status, f"StatusInternal::{failure.status}"),
                "all_error_tags": tag_name(failure.tag),
            }
        if member not in TOKEN_METHODS:
            return {"error": error}
        if failure.top_level:
            return {"brokerTokenResponse": None, "error": error, "telemetry": telemetry}
        response = {
            "error": error,
            "accessTokenType": 0,
            "expiresOn": 0,
            "extendedExpiresOn": 0,
            "subError": failure.sub_error,
        }
        return {"brokerTokenResponse": response, "telemetry": telemetry}

    def _diagnostics(self, failure: Failure) -> dict[str, str] | None:
        if not self._persona.diagnostics:
            return None
        return {
            "raw_error_code": failure.oauth_error,
            "exception_type": "com.microsoft.identity.common.exception.UiRequiredException",
            "oauth2_sub_error_code": failure.sub_error,
        }

    def _telemetry(self, correlation_id: str) -> dict[str, str]:
        return {**self._persona.telemetry, "correlation_id": correlation_id}
