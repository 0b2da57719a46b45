"""What is an account to an MSAL application? A dict, made from the broker's records, and found among them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from linuxbroker.accounts import folded, home_record
from linuxbroker.authority import preferred_host
from linuxbroker.models import Account

_BROKER = "broker"
_ENTRA = "MSSTS"


def account_dict(account: Account, host: str) -> dict[str, Any]:
    """Describe a record of the broker's.

    Args:
        account: the record.
        host: the login host of the application's authority.

    Returns:
        MSAL's dict; ``realm`` is the tenant that the record is in. Source: PROTOCOL.md, MS-08.
    """
    return {
        "home_account_id": account.home_account_id,
        "environment": host,
        "username": account.username,
        "account_source": _BROKER,
        "authority_type": _ENTRA,
        "local_account_id": account.local_account_id,
        "realm": account.realm,
    }


def check(account: object) -> None:
    """Check that an account is a dict of MSAL's.

    Args:
        account: what was given.

    Raises:
        ValueError: it is something else, such as an ``Account`` of ``BrokerClient``.
    """
    if not isinstance(account, Mapping):
        raise ValueError(f"account must be a dict from get_accounts, not {type(account).__name__}")


def is_brokers(account: Mapping[str, Any]) -> bool:
    """Whether the broker may have an account; False where MSAL got it by a flow of its own."""
    return account.get("account_source") in (_BROKER, None)


def find(records: Sequence[Account], wanted: Mapping[str, Any]) -> Account | None:
    """Find the record that an account dict stands for.

    Args:
        records: what the broker has.
        wanted: a dict of ``get_accounts``, or one that MSAL itself made, whose ``realm`` need not be a tenant id.

    Returns:
        The same user's record in the same tenant; else in their home tenant; else their first; None without any.
    """
    theirs = of_user(records, wanted)
    realm = _folded(wanted.get("realm"))
    in_tenant = [record for record in theirs if record.realm and folded(record.realm) == realm]
    if in_tenant:
        return in_tenant[0]
    return home_record(theirs) if theirs else None


def of_user(records: Sequence[Account], wanted: Mapping[str, Any]) -> list[Account]:
    """List the records of the user that an account dict stands for.

    Args:
        records: what the broker has.
        wanted: as for ``find``.

    Returns:
        Those of the same home account: one for each tenant that the user is known in.
    """
    home, local = _folded(wanted.get("home_account_id")), _folded(wanted.get("local_account_id"))
    return [
        record
        for record in records
        if (home and folded(record.home_account_id) == home)
        or (not home and local and folded(record.local_account_id) == local)
    ]


def cached(token_cache: Any, host: str) -> list[dict[str, Any]]:
    """List the accounts that flows without a broker left in MSAL's token cache.

    Args:
        token_cache: an ``msal.TokenCache``.
        host: the login host of the application's authority.

    Returns:
        MSAL's dicts, one for each home account.
    """
    keys = (
        "home_account_id",
        "environment",
        "username",
        "account_source",
        "authority_type",
        "local_account_id",
        "realm",
    )
    entries: Iterable[Mapping[str, Any]] = token_cache.search(token_cache.CredentialType.ACCOUNT)
    # A cache may be shared: what AD FS or another authority's application put there is not this one's.
    mine = [entry for entry in entries if _cloud(str(entry.get("environment") or host)) == _cloud(host)]
    by_home = {entry.get("home_account_id"): {key: entry.get(key) for key in keys} for entry in mine}
    return [account for account in by_home.values() if account["account_source"] != _BROKER]


def _cloud(host: str) -> str:
    return preferred_host(host).lower()


def _folded(value: object) -> str:
    return folded(value) if isinstance(value, str) else ""
