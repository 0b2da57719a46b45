"""MSAL's flows over D-Bus, in MSAL's order of steps."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from linuxbroker.client import BrokerClient
from linuxbroker.errors import (
    BrokerError,
    BrokerTimeoutError,
    InvalidArgumentError,
    NoAccountError,
    RedirectUriError,
    UnsupportedOperationError,
)
from linuxbroker.integrations.public_client import accounts, results
from linuxbroker.redaction.secrets import HiddenFields, hidden
from linuxbroker.results import TokenResult
from linuxbroker.tokens import validation
from linuxbroker.tokens.accounts import folded, named, pick_account, without_personal
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.wire.models import Account
from linuxbroker.wire.names import PROMPTS

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_WRONG_ACCOUNT = {
    "error": results.BROKER_ERROR,
    "error_description": 'prompt="none" will not work for login_hint="non-default-user"',
}


@dataclass(frozen=True)
class TokenRequest:
    """The arguments that all token requests have.

    Attributes:
        scopes: the scopes to request.
        claims: the claims challenge, JSON text.
        auth_scheme: the scheme of a proof-of-possession token.
        query: extra parameters of the request to Entra.
        authority: overrides the application's authority.
    """

    scopes: Sequence[str]
    claims: str | None = field(default=None, repr=False)
    auth_scheme: PopAuthScheme | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    authority: str | None = None

    def arguments(self) -> dict[str, Any]:
        """The same as keyword arguments of a ``BrokerClient`` method."""
        return {
            "scopes": self.scopes,
            "claims_challenge": self.claims,
            "auth_scheme": self.auth_scheme,
            "extra_query_parameters": self.query,
            "authority": self.authority,
        }


def _failures_as_dicts(flow: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T | dict[str, Any]]]:
    """Decorate a flow to return its failures as dicts, except those that MSAL raises too."""

    @functools.wraps(flow)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T | dict[str, Any]:
        result = flow(*args, **kwargs)
        del args, kwargs  # they may contain secrets, which a traceback would show
        try:
            return await result
        except (InvalidArgumentError, RedirectUriError):
            raise
        except BrokerError as error:
            return results.failure_dict(error)

    return wrapper


class BrokerFlows:
    """MSAL's flows for one application and one authority.

    Args:
        client: the client, with the application's authority.

    Attributes:
        has_refused_pop: whether the broker answered a request for proof of possession without it.
    """

    def __init__(self, client: BrokerClient) -> None:
        self.has_refused_pop = False
        self._client = client
        parts = urlsplit(client.authority)
        self._host, self._tenant = parts.netloc, parts.path.strip("/")

    async def accounts(self, username: str | None = None) -> list[dict[str, Any]]:
        """List the broker's accounts.

        Args:
            username: a UPN, in any case, to list the accounts of one user only.

        Returns:
            MSAL's dicts, one for each tenant that a user is known in.

        Raises:
            BrokerError: the broker did not list the accounts.
        """
        return [accounts.account_dict(record, self._host) for record in await self._records(username)]

    @_failures_as_dicts
    async def interactive(
        self,
        request: TokenRequest,
        *,
        prompt: str | None,
        login_hint: str | None,
        parent_window_handle: int | None,
        timeout: float | None,
        before_sign_in: Callable[[], object],
    ) -> dict[str, Any]:
        """Get a token silently if that is allowed and succeeds, else by a sign-in.

        Args:
            request: the token request.
            prompt: MSAL's prompt.
            login_hint: a UPN.
            parent_window_handle: the X11 ID of the dialog's parent window; None if there is none.
            timeout: the time limit of the sign-in in seconds; None for no limit.
            before_sign_in: called before the broker opens its window.

        Returns:
            MSAL's dict.

        Raises:
            RedirectUriError: the app registration lacks the broker's redirect URI.
            InvalidArgumentError: an argument is invalid.
        """
        # Arguments of the sign-in are checked before the application is told of a window.
        validation.scopes(request.scopes)
        validation.query_parameters(request.query)
        validation.window_handle(parent_window_handle)
        validation.time_limit("timeout", timeout)
        if prompt == "select_account" and login_hint:
            logger.warning("ignoring login_hint with prompt=select_account")
            login_hint = None
        if not prompt or prompt == "none":
            hinted = await self._find_hinted(login_hint) if login_hint else None
            silent = HiddenFields(await self._silent_token(request, hinted))
            is_wrong = "error" not in silent and hinted is None and not _is_for(silent, login_hint)
            if prompt == "none" and is_wrong:
                return dict(_WRONG_ACCOUNT)
            if prompt == "none" or not (is_wrong or results.is_recoverable(silent)):
                return dict(silent)
        if prompt and prompt not in PROMPTS:
            logger.warning("ignoring unsupported prompt=%s", prompt)
        before_sign_in()
        sign_in = self._client.acquire_token_interactive(
            prompt=prompt if prompt in PROMPTS else None,
            login_hint=login_hint,
            parent_window_handle=parent_window_handle,
            **request.arguments(),
        )
        try:
            return await self._token(request, asyncio.wait_for(sign_in, timeout))
        except BrokerError:
            raise
        except asyncio.TimeoutError:
            raise BrokerTimeoutError(f"sign-in not completed within {timeout:g} s") from None

    @_failures_as_dicts
    async def silent(self, request: TokenRequest, account: Mapping[str, Any]) -> dict[str, Any] | None:
        """Get a token without user interaction.

        Args:
            request: the token request.
            account: MSAL's dict of the account.

        Returns:
            MSAL's dict; None if the broker has no such account.

        Raises:
            RedirectUriError: the app registration lacks the broker's redirect URI.
            InvalidArgumentError: an argument is invalid.
        """
        record = accounts.find_record(await self._list_records(), account)
        return None if record is None else await self._silent_token(request, record)

    @_failures_as_dicts
    async def username_password(self, request: TokenRequest, username: str, password: str) -> dict[str, Any]:
        """Get a token for a user name and password.

        Args:
            request: the token request.
            username: the UPN.
            password: the password.

        Returns:
            MSAL's dict.

        Raises:
            RedirectUriError: the app registration lacks the broker's redirect URI.
            InvalidArgumentError: an argument is invalid.
        """
        password = hidden(password)
        result = self._client.acquire_token_by_username_password(username, password, **request.arguments())
        return await self._token(request, result)

    async def remove(self, account: Mapping[str, Any]) -> None:
        """Sign a user out of this application, in every tenant; does nothing if the broker does not know the user.

        Args:
            account: MSAL's dict.

        Raises:
            BrokerError: the broker did not sign the user out.
        """
        for record in accounts.records_of_user(await self._client.get_accounts(), account):
            await self._client.remove_account(record)

    @_failures_as_dicts
    async def _silent_token(self, request: TokenRequest, record: Account | None) -> dict[str, Any]:
        return await self._token(request, self._client.acquire_token_silent(account=record, **request.arguments()))

    async def _token(self, request: TokenRequest, result: Awaitable[TokenResult]) -> dict[str, Any]:
        try:
            return results.token_dict(await result)
        except UnsupportedOperationError:
            self.has_refused_pop = self.has_refused_pop or request.auth_scheme is not None
            raise

    async def _list_records(self) -> list[Account]:
        try:
            return await self._client.get_accounts()
        except NoAccountError:
            return []

    async def _records(self, username: str | None) -> list[Account]:
        records = await self._list_records()
        return named(records, username) if username else records

    async def _find_hinted(self, login_hint: str) -> Account | None:
        """Find the account of a login hint; None if it matches no user or several."""
        records = without_personal(await self._records(login_hint), self._tenant)
        if len({record.home_account_id for record in records}) != 1:
            return None
        return pick_account(records, login_hint, self._tenant) or pick_account(records, login_hint)


def _is_for(token: Mapping[str, Any], login_hint: str | None) -> bool:
    username = str(token.get("id_token_claims", {}).get("preferred_username", ""))
    return login_hint is None or folded(username) == folded(login_hint)
