"""Selection of an account among the broker's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linuxbroker.wire import models

# The tenant of personal Microsoft accounts.
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
# The authorities that also accept personal accounts.
_FOR_PERSONAL = frozenset({"common", "consumers"})


def pick_account(
    accounts: Sequence[models.Account], username: str, tenant: str | None = None, *, authority_tenant: str = "common"
) -> models.Account | None:
    """Select the record of a UPN.

    Args:
        accounts: the accounts that the broker listed.
        username: the UPN, as for ``named``.
        tenant: the tenant ID of the record; None to prefer the home tenant's record.
        authority_tenant: the tenant in the client's authority; default ``common``. Unless it is ``common`` or
            ``consumers``, a work account takes precedence over a personal one of the same name.

    Returns:
        With a tenant, its record or None; without, the home tenant's record, else the first, else None.
        Source: PROTOCOL.md, "Accounts".
    """
    matching = named(accounts, username)
    if tenant is not None:
        return next((account for account in matching if folded(account.realm) == folded(tenant)), None)
    matching = without_personal(matching, authority_tenant)
    return home_record(matching) if matching else None


def named(accounts: Sequence[models.Account], username: str) -> list[models.Account]:
    """List the records with a UPN.

    Args:
        accounts: the accounts that the broker listed.
        username: the UPN; case is ignored.

    Returns:
        The matching records; if some match in case too, only those of their users.
        Source: PROTOCOL.md, AR-06.
    """
    matching = [account for account in accounts if folded(account.username) == folded(username)]
    exact = {folded(account.home_account_id) for account in matching if account.username == username}
    return [account for account in matching if folded(account.home_account_id) in exact] or matching


def folded(text: str) -> str:
    """Fold the case of a UPN or an ID, to compare it with another folded one.

    Args:
        text: the UPN or ID.

    Returns:
        The text in lower case. Letters that have no reversible lower case are kept, such as the Kelvin sign, and none
        becomes two, as ß would with ``str.casefold``.
    """
    return text.lower() if text.isascii() else "".join(map(_fold_letter, text))


def _fold_letter(letter: str) -> str:
    small = letter.lower()
    return small if small.upper() == letter else letter


def without_personal(accounts: Sequence[models.Account], authority_tenant: str) -> list[models.Account]:
    """Remove personal accounts if the authority is for work accounts, unless there are no others.

    Args:
        accounts: records with one UPN.
        authority_tenant: as for ``pick_account``.

    Returns:
        The remaining records.
    """
    if authority_tenant.lower() in _FOR_PERSONAL:
        return list(accounts)
    return [account for account in accounts if folded(account.home_tenant) != PERSONAL_TENANT] or list(accounts)


def users_of(accounts: Iterable[models.Account]) -> list[str]:
    """List the users of records; one user can have several records.

    Args:
        accounts: the accounts that the broker listed.

    Returns:
        Their UPNs, one for each home account, in order.
    """
    first = {folded(account.home_account_id): account.username for account in reversed(list(accounts))}
    return list(reversed(first.values()))


def home_record(accounts: Sequence[models.Account]) -> models.Account:
    """Select among the records of one user.

    Args:
        accounts: the records, at least one; a guest can have another UPN in another tenant.

    Returns:
        The home tenant's record, else the first.
    """
    return next(filter(is_home, accounts), accounts[0])


def is_home(account: models.Account) -> bool:
    """Whether a record is in its user's home tenant.

    Args:
        account: the record.

    Returns:
        True if its tenant is the home tenant.
    """
    return folded(account.realm) == folded(account.home_tenant) != ""
