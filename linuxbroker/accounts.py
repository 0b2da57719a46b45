"""The choice of an account among the broker's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linuxbroker import models

# The tenant of personal Microsoft accounts.
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
# The authorities that personal accounts sign in to, too.
_FOR_PERSONAL = frozenset({"common", "consumers"})


def pick_account(
    accounts: Sequence[models.Account], username: str, tenant: str | None = None, *, authority_tenant: str = "common"
) -> models.Account | None:
    """Choose the record that a UPN means.

    Args:
        accounts: what the broker listed.
        username: the UPN, compared case-insensitively.
        tenant: the tenant id that the record must be in; None to prefer the home tenant's.
        authority_tenant: what the client's authority names; unless that is ``common`` or ``consumers``, a work account
            comes before a personal one of the same name.

    Returns:
        With a tenant, that tenant's record or None. Without, the home tenant's, else the first, else None.
        Source: PROTOCOL.md, "Accounts".
    """
    matching = [account for account in accounts if account.username.casefold() == username.casefold()]
    if tenant is not None:
        return next((account for account in matching if account.realm.casefold() == tenant.casefold()), None)
    matching = without_personal(matching, authority_tenant)
    return home_record(matching) if matching else None


def without_personal(accounts: Sequence[models.Account], authority_tenant: str) -> list[models.Account]:
    """Leave personal accounts out where an authority is for work accounts, unless there are no others.

    Args:
        accounts: records of one name.
        authority_tenant: as for ``pick_account``.

    Returns:
        Those that a name stands for.
    """
    if authority_tenant.casefold() in _FOR_PERSONAL:
        return list(accounts)
    return [account for account in accounts if account.home_tenant.casefold() != PERSONAL_TENANT] or list(accounts)


def users_of(accounts: Iterable[models.Account]) -> list[str]:
    """List the users whom records are of: one user can have several records.

    Args:
        accounts: what the broker listed.

    Returns:
        Their UPNs, one for each home account, in order.
    """
    first = {account.home_account_id.casefold(): account.username for account in reversed(list(accounts))}
    return list(reversed(first.values()))


def home_record(accounts: Sequence[models.Account]) -> models.Account:
    """Choose among the records of one user.

    Args:
        accounts: the records, at least one; a guest's name in another tenant can be another one.

    Returns:
        The home tenant's, else the first.
    """
    at_home = (account for account in accounts if account.realm.casefold() == account.home_tenant.casefold() != "")
    return next(at_home, accounts[0])
