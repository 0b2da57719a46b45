"""Accounts as MSAL's dicts, made from the broker's records and matched with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from linuxbroker.tokens.accounts import folded, home_record
from linuxbroker.tokens.authority import preferred_host
from linuxbroker.wire.models import Account

_BROKER = "broker"
_ENTRA = "MSSTS"


def account_dict(account: Account, host: str) -> dict[str, Any]:
    """Convert a record of the broker.

    Args:
        account: the record.
        host: the login host of the application's authority.

    Returns:
        MSAL's dict; ``realm`` is the tenant of the record. Source: PROTOCOL.md, MS-08.
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
    """Check that an account is one of MSAL's dicts.

    Args:
        account: the argument.

    Raises:
        ValueError: it is something else, such as an ``Account`` of ``BrokerClient``.
    """
    if not isinstance(account, Mapping):
        raise ValueError(f"account must be a dict from get_accounts, not {type(account).__name__}")


def is_broker_account(account: Mapping[str, Any]) -> bool:
    """Whether an account may be the broker's; False if it is from a flow of MSAL without a broker."""
    return account.get("account_source") in (_BROKER, None)


def find_record(records: Sequence[Account], account: Mapping[str, Any]) -> Account | None:
    """Find the record of an account dict.

    Args:
        records: the broker's records.
        account: a dict from ``get_accounts``, or one that MSAL made, whose ``realm`` may be no tenant ID.

    Returns:
        The user's record in the same tenant, else in the home tenant, else the first one; None if there is none.
    """
    of_user = records_of_user(records, account)
    realm = _folded(account.get("realm"))
    in_tenant = [record for record in of_user if record.realm and folded(record.realm) == realm]
    if in_tenant:
        return in_tenant[0]
    return home_record(of_user) if of_user else None


def records_of_user(records: Sequence[Account], account: Mapping[str, Any]) -> list[Account]:
    """List the records of the user of an account dict.

    Args:
        records: the broker's records.
        account: as for ``find_record``.

    Returns:
        The records with the same home account, one for each tenant that the user is known in.
    """
    home, local = _folded(account.get("home_account_id")), _folded(account.get("local_account_id"))
    return [
        record
        for record in records
        if (home and folded(record.home_account_id) == home)
        or (not home and local and folded(record.local_account_id) == local)
    ]


def cached_accounts(token_cache: Any, host: str) -> list[dict[str, Any]]:
    """List the accounts that flows without a broker added to MSAL's token cache.

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
    # A shared cache may contain accounts of AD FS, or of an application with another authority.
    own = [entry for entry in entries if _cloud(str(entry.get("environment") or host)) == _cloud(host)]
    by_home = {entry.get("home_account_id"): {key: entry.get(key) for key in keys} for entry in own}
    return [account for account in by_home.values() if account["account_source"] != _BROKER]


def _cloud(host: str) -> str:
    return preferred_host(host).lower()


def _folded(value: object) -> str:
    return folded(value) if isinstance(value, str) else ""
