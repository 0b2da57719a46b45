"""The choice of an account among the broker's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linuxbroker.wire import models

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
        username: the UPN, as for ``named``.
        tenant: the tenant id that the record must be in; None to prefer the home tenant's.
        authority_tenant: what the client's authority names; unless that is ``common`` or ``consumers``, a work account
            comes before a personal one of the same name.

    Returns:
        With a tenant, that tenant's record or None. Without, the home tenant's, else the first, else None.
        Source: PROTOCOL.md, "Accounts".
    """
    matching = named(accounts, username)
    if tenant is not None:
        return next((account for account in matching if folded(account.realm) == folded(tenant)), None)
    matching = without_personal(matching, authority_tenant)
    return home_record(matching) if matching else None


def named(accounts: Sequence[models.Account], username: str) -> list[models.Account]:
    """List the records that a UPN stands for.

    Args:
        accounts: what the broker listed.
        username: the UPN, in any case.

    Returns:
        The records of that name; where the name is spelled exactly so for some users, those of these users alone.
        Source: PROTOCOL.md, AR-06.
    """
    matching = [account for account in accounts if folded(account.username) == folded(username)]
    exact = {folded(account.home_account_id) for account in matching if account.username == username}
    return [account for account in matching if folded(account.home_account_id) in exact] or matching


def folded(text: str) -> str:
    """Spell a UPN or an id without regard to case, for comparing it with others that were spelled so.

    Args:
        text: the UPN or id.

    Returns:
        The text with a small letter for each capital that is the only one of that letter: no letter becomes two, as ß
        would, and none another one's, as the Kelvin sign would.
    """
    return text.lower() if text.isascii() else "".join(map(_small, text))


def _small(letter: str) -> str:
    small = letter.lower()
    return small if small.upper() == letter else letter


def without_personal(accounts: Sequence[models.Account], authority_tenant: str) -> list[models.Account]:
    """Leave personal accounts out where an authority is for work accounts, unless there are no others.

    Args:
        accounts: records of one name.
        authority_tenant: as for ``pick_account``.

    Returns:
        Those that a name stands for.
    """
    if authority_tenant.lower() in _FOR_PERSONAL:
        return list(accounts)
    return [account for account in accounts if folded(account.home_tenant) != PERSONAL_TENANT] or list(accounts)


def users_of(accounts: Iterable[models.Account]) -> list[str]:
    """List the users whom records are of: one user can have several records.

    Args:
        accounts: what the broker listed.

    Returns:
        Their UPNs, one for each home account, in order.
    """
    first = {folded(account.home_account_id): account.username for account in reversed(list(accounts))}
    return list(reversed(first.values()))


def home_record(accounts: Sequence[models.Account]) -> models.Account:
    """Choose among the records of one user.

    Args:
        accounts: the records, at least one; a guest's name in another tenant can be another one.

    Returns:
        The home tenant's, else the first.
    """
    return next(filter(is_home, accounts), accounts[0])


def is_home(account: models.Account) -> bool:
    """Tell whether a record is the one of its user's home tenant.

    Args:
        account: the record.

    Returns:
        Whether it is.
    """
    return folded(account.realm) == folded(account.home_tenant) != ""
