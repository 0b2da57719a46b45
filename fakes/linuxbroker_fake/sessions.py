"""Who is signed in, to which app, with which tokens in hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from linuxbroker_fake.directory import AccountRecord, Directory
from linuxbroker_fake.entra import MintedToken

_Account = tuple[str, str]
# A cached token is given again until this many seconds before it expires.
_SPARE_SECONDS = 300


@dataclass(frozen=True)
class TokenKey:
    """What two requests have in common when one token serves both."""

    account: _Account
    client_id: str
    scopes: frozenset[str]
    client_capabilities: frozenset[str] = frozenset()


def account_key(account: AccountRecord) -> _Account:
    """What tells an account from all others: its home account id and its realm."""
    return account.home_account_id, account.realm


class Sessions:
    """The broker's memory: accounts, sign-outs, cached tokens, revocations.

    Args:
        directory: who could sign in.
        signed_in: the UPNs that are signed in at the start; None for everyone.
        clock: gives the time in epoch seconds.
    """

    def __init__(
        self, directory: Directory, signed_in: Iterable[str] | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._clock = clock
        wanted = None if signed_in is None else {upn.casefold() for upn in signed_in}
        self._accounts = [
            account for account in directory.accounts() if wanted is None or account.username.casefold() in wanted
        ]
        self._signed_out: set[tuple[str, _Account]] = set()
        self._tokens: dict[TokenKey, MintedToken] = {}
        self._revoked_before: dict[str, int] = {}
        self._sign_in_wanted: set[str] = set()

    def everyone(self) -> tuple[AccountRecord, ...]:
        """All accounts, those too that have signed out of an app."""
        return tuple(self._accounts)

    def accounts(self, client_id: str) -> list[AccountRecord]:
        """The accounts that an app sees."""
        return [account for account in self._accounts if (client_id, account_key(account)) not in self._signed_out]

    def sign_in(self, account: AccountRecord, client_id: str) -> None:
        """Note that a user has signed in to an app: in every tenant they are known in if they were new."""
        if account not in self._accounts:
            self._accounts.append(account)
        self._signed_out.discard((client_id, account_key(account)))
        self._sign_in_wanted.discard(account.username.casefold())

    def sign_out(self, account: AccountRecord, client_id: str) -> None:
        """Note that a user has signed out of an app."""
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
        """The token in hand for a request, unless it is about to expire."""
        token = self._tokens.get(key)
        return token if token and token.expires_on - _SPARE_SECONDS > self._clock() else None

    def keep_token(self, key: TokenKey, token: MintedToken) -> None:
        """Keep a token for the next request like it."""
        self._tokens[key] = token

    def revoke(self, upn: str, *, sign_in_again: bool) -> int:
        """Declare a user's tokens so far invalid, as continuous access evaluation does.

        Args:
            upn: the user.
            sign_in_again: whether a new token takes an interactive sign-in.

        Returns:
            The time before which tokens are invalid, in epoch seconds.
        """
        moment = int(self._clock()) + 1
        self._revoked_before[upn.casefold()] = moment
        if sign_in_again:
            self._sign_in_wanted.add(upn.casefold())
        return moment

    def revoked_before(self, upn: str) -> int:
        """The time before which a user's tokens are invalid, 0 where none are."""
        return self._revoked_before.get(upn.casefold(), 0)

    def must_sign_in_again(self, upn: str) -> bool:
        """Whether a new token takes an interactive sign-in."""
        return upn.casefold() in self._sign_in_wanted
