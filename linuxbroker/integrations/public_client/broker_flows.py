"""How are MSAL's flows carried out over D-Bus? In its order of steps, by this library's client."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from linuxbroker import validation
from linuxbroker.accounts import folded, named, pick_account, without_personal
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
from linuxbroker.models import Account
from linuxbroker.pop import PopAuthScheme
from linuxbroker.redaction import HiddenFields, hidden
from linuxbroker.results import TokenResult

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_WIRE_PROMPTS = ("select_account", "login", "consent")
_WRONG_ACCOUNT = {
    "error": results.BROKER_ERROR,
    "error_description": 'prompt="none" will not work for login_hint="non-default-user"',
}


@dataclass(frozen=True)
class Wanted:
    """What every way to a token is told.

    Attributes:
        scopes: what the token is for.
        claims: the claims challenge, JSON text.
        auth_scheme: for a proof-of-possession token.
        query: extra parameters for the request to Entra.
        authority: in place of the application's.
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
    """Have a flow return its failures, but for those that MSAL raises too."""

    @functools.wraps(flow)
    async def telling(*args: P.args, **kwargs: P.kwargs) -> T | dict[str, Any]:
        begun = flow(*args, **kwargs)
        del args, kwargs  # there may be secrets among them
        try:
            return await begun
        except (InvalidArgumentError, RedirectUriError):
            raise
        except BrokerError as error:
            return results.failure_dict(error)

    return telling


class BrokerFlows:
    """MSAL's flows for one application and one authority.

    Args:
        client: the client, whose authority is the application's.

    Attributes:
        has_refused_pop: whether the broker has answered a request for a proof of possession without one.
    """

    def __init__(self, client: BrokerClient) -> None:
        self.has_refused_pop = False
        self._client = client
        parts = urlsplit(client.authority)
        self._host, self._tenant = parts.netloc, parts.path.strip("/")

    async def accounts(self, username: str | None = None) -> list[dict[str, Any]]:
        """List the broker's accounts.

        Args:
            username: only this UPN's, in any case.

        Returns:
            MSAL's dicts, one for each record: a user has one in every tenant that they are known in.

        Raises:
            BrokerError: the broker does not list them.
        """
        return [accounts.account_dict(record, self._host) for record in await self._records(username)]

    @_failures_as_dicts
    async def interactive(
        self,
        wanted: Wanted,
        *,
        prompt: str | None,
        login_hint: str | None,
        parent_window_handle: int | None,
        timeout: float | None,
        before_asking: Callable[[], object],
    ) -> dict[str, Any]:
        """Get a token silently where that is allowed and works, else have the broker ask the user.

        Args:
            wanted: the token.
            prompt: MSAL's.
            login_hint: a UPN.
            parent_window_handle: the X11 window id that the dialog belongs to; None for none.
            timeout: seconds that the user is given; None is no limit.
            before_asking: called before the broker shows its window.

        Returns:
            MSAL's dict.

        Raises:
            RedirectUriError: the app registration lacks the broker's redirect URI.
            InvalidArgumentError: an argument can't be right.
        """
        # What the sign-in would refuse is refused before anybody is told of a window.
        validation.scopes(wanted.scopes)
        validation.query_parameters(wanted.query)
        validation.window_handle(parent_window_handle)
        validation.time_limit("timeout", timeout)
        if prompt == "select_account" and login_hint:
            logger.warning("prompt=select_account lets the user choose: the login hint is left out")
            login_hint = None
        if not prompt or prompt == "none":
            hinted = await self._hinted(login_hint) if login_hint else None
            silent = HiddenFields(await self._silent_token(wanted, hinted))
            is_wrong = "error" not in silent and hinted is None and not _is_for(silent, login_hint)
            if prompt == "none" and is_wrong:
                return dict(_WRONG_ACCOUNT)
            if prompt == "none" or not (is_wrong or results.is_recoverable(silent)):
                return dict(silent)
        if prompt and prompt not in _WIRE_PROMPTS:
            logger.warning("prompt=%s is not known to the broker: it is left out", prompt)
        before_asking()
        sign_in = self._client.acquire_token_interactive(
            prompt=prompt if prompt in _WIRE_PROMPTS else None,
            login_hint=login_hint,
            parent_window_handle=parent_window_handle,
            **wanted.arguments(),
        )
        try:
            return await self._token(wanted, asyncio.wait_for(sign_in, timeout))
        except BrokerError:
            raise
        except asyncio.TimeoutError:
            raise BrokerTimeoutError(f"The user did not sign in within {timeout:g} s") from None

    @_failures_as_dicts
    async def silent(self, wanted: Wanted, account: Mapping[str, Any]) -> dict[str, Any] | None:
        """Get a token without the user.

        Args:
            wanted: the token.
            account: MSAL's dict of the account.

        Returns:
            MSAL's dict; None where the broker has no such account.

        Raises:
            RedirectUriError: the app registration lacks the broker's redirect URI.
            InvalidArgumentError: an argument can't be right.
        """
        record = accounts.find(await self._listed(), account)
        return None if record is None else await self._silent_token(wanted, record)

    @_failures_as_dicts
    async def username_password(self, wanted: Wanted, username: str, password: str) -> dict[str, Any]:
        """Get a token for a user name and password.

        Args:
            wanted: the token.
            username: the UPN.
            password: the password.

        Returns:
            MSAL's dict.

        Raises:
            RedirectUriError: the app registration lacks the broker's redirect URI.
            InvalidArgumentError: an argument can't be right.
        """
        password = hidden(password)
        getting = self._client.acquire_token_by_username_password(username, password, **wanted.arguments())
        return await self._token(wanted, getting)

    async def remove(self, account: Mapping[str, Any]) -> None:
        """Sign a user out of this application, in every tenant; nothing happens where the broker does not have them.

        Args:
            account: MSAL's dict.

        Raises:
            BrokerError: the broker did not do it.
        """
        for record in accounts.of_user(await self._client.get_accounts(), account):
            await self._client.remove_account(record)

    @_failures_as_dicts
    async def _silent_token(self, wanted: Wanted, record: Account | None) -> dict[str, Any]:
        return await self._token(wanted, self._client.acquire_token_silent(account=record, **wanted.arguments()))

    async def _token(self, wanted: Wanted, getting: Awaitable[TokenResult]) -> dict[str, Any]:
        try:
            return results.token_dict(await getting)
        except UnsupportedOperationError:
            self.has_refused_pop = self.has_refused_pop or wanted.auth_scheme is not None
            raise

    async def _listed(self) -> list[Account]:
        try:
            return await self._client.get_accounts()
        except NoAccountError:
            return []

    async def _records(self, username: str | None) -> list[Account]:
        records = await self._listed()
        return named(records, username) if username else records

    async def _hinted(self, login_hint: str) -> Account | None:
        """The account that a hint stands for; None where it is nobody's, or that of several users."""
        records = without_personal(await self._records(login_hint), self._tenant)
        if len({record.home_account_id for record in records}) != 1:
            return None
        return pick_account(records, login_hint, self._tenant) or pick_account(records, login_hint)


def _is_for(token: Mapping[str, Any], login_hint: str | None) -> bool:
    whose = str(token.get("id_token_claims", {}).get("preferred_username", ""))
    return login_hint is None or folded(whose) == folded(login_hint)
