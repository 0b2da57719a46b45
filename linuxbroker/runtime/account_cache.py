"""Accounts and sign-outs that the runtime remembers for the life of the process.

Microsoft's runtime stores them in the user's keyring; this one stores nothing on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from linuxbroker.runtime.results import MSALRuntimeAccount
from linuxbroker.wire.models import Account


class AccountCache:
    """The accounts of earlier replies, and those that were signed out of an application. Used on the loop only.

    Attributes:
        client_id: the client ID of the last application that made a call, or the empty string.
        interactive: whether a sign-in is in progress.
    """

    def __init__(self) -> None:
        self.client_id = ""
        self.interactive = False
        self._accounts: dict[str, Account] = {}
        self._claims: dict[str, dict[str, Any]] = {}
        self._signed_out: set[tuple[str, str]] = set()

    def add_listed(self, account: Account) -> MSALRuntimeAccount:
        """Add an account that the broker listed.

        Args:
            account: the user's record in the home tenant.

        Returns:
            The account for the application.
        """
        self._accounts[account.home_account_id] = account
        return self._to_runtime_account(account)

    def add_from_token(self, account: Account, claims: Mapping[str, Any]) -> None:
        """Add the account of a token, as its ID token describes it, until the broker lists it again.

        Args:
            account: the account of the token.
            claims: the claims of the ID token.
        """
        self._accounts[account.home_account_id] = account
        self._claims[account.home_account_id] = {key: value for key, value in claims.items() if key != "name"}

    def find(self, account_id: str) -> MSALRuntimeAccount | None:
        """Find an account.

        Args:
            account_id: the local account ID.

        Returns:
            The account for the application; None if there is none.
        """
        known = map(self._to_runtime_account, self._accounts.values())
        return next((account for account in known if account.get_account_id() == account_id), None)

    def sign_out(self, client_id: str, home_account_id: str) -> None:
        """Record that an account is signed out of an application, until an interactive sign-in."""
        self._signed_out.add((client_id, home_account_id))

    def sign_in(self, client_id: str, home_account_id: str) -> None:
        """Record that an account was signed in to an application interactively."""
        self._signed_out.discard((client_id, home_account_id))

    def is_signed_out(self, client_id: str, home_account_id: str) -> bool:
        """Whether an account is signed out of an application."""
        return (client_id, home_account_id) in self._signed_out

    def _to_runtime_account(self, account: Account) -> MSALRuntimeAccount:
        return MSALRuntimeAccount(account, additional_fields(self._claims.get(account.home_account_id, {})))


def additional_fields(claims: Mapping[str, Any]) -> str:
    """Make the additional fields of an account.

    Args:
        claims: the claims of an ID token.

    Returns:
        A JSON object as text.
    """
    return json.dumps(claims, separators=(",", ":"), sort_keys=True)
