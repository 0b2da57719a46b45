"""The broker's state: accounts, sign-outs, cached tokens and revocations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from linuxbroker_fake.directory import AccountRecord, Directory
from linuxbroker_fake.entra import MintedToken

_Account = tuple[str, str]
# A cached token is returned until this many seconds before its expiry.
_EXPIRY_MARGIN_SECONDS = 300


@dataclass(frozen=True)
class TokenKey:
    """The cache key of a token: requests with equal keys get the same token."""

    account: _Account
    client_id: str
    scopes: frozenset[str]
    client_capabilities: frozenset[str] = frozenset()


def account_key(account: AccountRecord) -> _Account:
    """Return the unique key of an account: home account ID and realm."""
    return account.home_account_id, account.realm


class Sessions:
    """Accounts, sign-outs, cached tokens and revocations.

    Args:
        directory: the users who can sign in.
        signed_in: the UPNs that are signed in at the start; None: all users.
        clock: returns the time in epoch seconds.
    """

    def __init__(
        self, directory: Directory, signed_in: Iterable[str] | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._clock = clock
        upns = None if signed_in is None else {upn.casefold() for upn in signed_in}
        self._accounts = [
            account for account in directory.accounts() if upns is None or account.username.casefold() in upns
        ]
        self._signed_out: set[tuple[str, _Account]] = set()
        self._tokens: dict[TokenKey, MintedToken] = {}
        self._revoked_before: dict[str, int] = {}
        self._sign_in_required: set[str] = set()

    def all_accounts(self) -> tuple[AccountRecord, ...]:
        """Return all accounts, including those that are signed out of an app."""
        return tuple(self._accounts)

    def accounts(self, client_id: str) -> list[AccountRecord]:
        """Return the accounts that are not signed out of an app."""
        return [account for account in self._accounts if (client_id, account_key(account)) not in self._signed_out]

    def sign_in(self, account: AccountRecord, client_id: str) -> None:
        """Sign an account in to an app."""
        if account not in self._accounts:
            self._accounts.append(account)
        self._signed_out.discard((client_id, account_key(account)))
        self._sign_in_required.discard(account.username.casefold())

    def sign_out(self, account: AccountRecord, client_id: str) -> None:
        """Sign an account out of an app and remove its cached tokens."""
        self._signed_out.add((client_id, account_key(account)))
        self._tokens = {
            key: token
            for key, token in self._tokens.items()
            if (key.client_id, key.account) != (client_id, account_key(account))
        }

    def is_signed_in(self, account: AccountRecord, client_id: str) -> bool:
        """Whether an app may use an account silently."""
        return account in self.accounts(client_id)

    def cached_token(self, key: TokenKey) -> MintedToken | None:
        """Return the cached token of a request; None if there is none, or it expires within 300 seconds."""
        token = self._tokens.get(key)
        return token if token and token.expires_on - _EXPIRY_MARGIN_SECONDS > self._clock() else None

    def keep_token(self, key: TokenKey, token: MintedToken) -> None:
        """Add a token to the cache."""
        self._tokens[key] = token

    def revoke(self, upn: str, *, sign_in_again: bool) -> int:
        """Revoke the tokens that a user has now, as continuous access evaluation does.

        Args:
            upn: the user.
            sign_in_again: whether a new token requires an interactive sign-in.

        Returns:
            The time before which tokens are revoked, epoch seconds.
        """
        not_before = int(self._clock()) + 1
        self._revoked_before[upn.casefold()] = not_before
        if sign_in_again:
            self._sign_in_required.add(upn.casefold())
        return not_before

    def revoked_before(self, upn: str) -> int:
        """Return the time before which a user's tokens are revoked, epoch seconds; 0 if none are."""
        return self._revoked_before.get(upn.casefold(), 0)

    def must_sign_in_again(self, upn: str) -> bool:
        """Whether a new token requires an interactive sign-in."""
        return upn.casefold() in self._sign_in_required
