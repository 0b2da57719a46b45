"""The choice of an account among the broker's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxbroker.models import Account


def pick_account(accounts: Sequence[Account], username: str, tenant: str | None = None) -> Account | None:
    """Choose the record that a UPN means.

    Args:
        accounts: what the broker listed.
        username: the UPN, compared case-insensitively.
        tenant: the tenant id that the record must be in; None to prefer the home tenant's.

    Returns:
        With a tenant, that tenant's record or None. Without, the home tenant's, else the first, else None.
        Source: PROTOCOL.md, "Accounts".
    """
    matching = [account for account in accounts if account.username.casefold() == username.casefold()]
    if tenant is not None:
        return next((account for account in matching if account.realm.casefold() == tenant.casefold()), None)
    named = (account for account in matching if account.realm)
    at_home = (account for account in named if account.realm.casefold() == account.home_tenant.casefold())
    return next(at_home, matching[0] if matching else None)
