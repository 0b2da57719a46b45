"""What does the runtime know from one call to the next? Accounts and sign-outs, for the life of the process.

Microsoft's keeps them in the user's keyring; this one writes nothing down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from linuxbroker.runtime.answers import MSALRuntimeAccount
from linuxbroker.wire.models import Account


class Memory:
    """The accounts that were seen, and those that were signed out of an application. Used on the loop alone.

    Attributes:
        client_id: of the last application that made a call, or the empty string.
        interactive: whether the user is being asked now.
    """

    def __init__(self) -> None:
        self.client_id = ""
        self.interactive = False
        self._accounts: dict[str, Account] = {}
        self._claims: dict[str, dict[str, Any]] = {}
        self._signed_out: set[tuple[str, str]] = set()

    def learn_from_list(self, account: Account) -> MSALRuntimeAccount:
        """Take down an account that the broker listed.

        Args:
            account: one of a home tenant.

        Returns:
            The account as it is shown.
        """
        self._accounts[account.home_account_id] = account
        return self._shown(account)

    def learn_from_token(self, account: Account, claims: Mapping[str, Any]) -> None:
        """Take down an account that a token came for: as the ID token has it, until it is listed again.

        Args:
            account: whose token it is.
            claims: of the ID token.
        """
        self._accounts[account.home_account_id] = account
        self._claims[account.home_account_id] = {key: value for key, value in claims.items() if key != "name"}

    def find(self, account_id: str) -> MSALRuntimeAccount | None:
        """Find an account that was seen.

        Args:
            account_id: the local account id.

        Returns:
            The account as it is shown, or None.
        """
        shown = map(self._shown, self._accounts.values())
        return next((account for account in shown if account.get_account_id() == account_id), None)

    def sign_out(self, client_id: str, home_account_id: str) -> None:
        """Note that an account is signed out of an application, until someone signs it in interactively."""
        self._signed_out.add((client_id, home_account_id))

    def sign_in(self, client_id: str, home_account_id: str) -> None:
        """Note that an account was signed in to an application interactively."""
        self._signed_out.discard((client_id, home_account_id))

    def is_signed_out(self, client_id: str, home_account_id: str) -> bool:
        """Whether an account is signed out of an application."""
        return (client_id, home_account_id) in self._signed_out

    def _shown(self, account: Account) -> MSALRuntimeAccount:
        return MSALRuntimeAccount(account, fields_json(self._claims.get(account.home_account_id, {})))


def fields_json(claims: Mapping[str, Any]) -> str:
    """Write the additional fields of an account.

    Args:
        claims: of an ID token.

    Returns:
        The text of a JSON object.
    """
    return json.dumps(claims, separators=(",", ":"), sort_keys=True)
