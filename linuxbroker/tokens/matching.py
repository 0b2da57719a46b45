"""Is a token the one that was asked for? Its account, its tenant and its kind, against the request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from linuxbroker.tokens import jwt_claims
from linuxbroker.tokens.accounts import PERSONAL_TENANT, folded
from linuxbroker.wire import models

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Claims that name the user; which of them a token has depends on its version and on the application.
_NAMES = ("preferred_username", "upn", "unique_name")


def other_account(
    response: models.BrokerTokenResponse, asked: models.AuthParameters, claims: Mapping[str, Any]
) -> str | None:
    """Find out whether a token is for another account than it was asked for.

    Args:
        response: the reply, whose client info and account tell, as far as they are there.
        asked: the request. An interactive one that names no account lets the user choose.
        claims: those of the reply's ID token.

    Returns:
        The other account's name, or what else is known of it; None where nothing speaks against the one asked for.
        Source: PROTOCOL.md, "Whose token it is".
    """
    told = response.account
    names = [name for key in _NAMES if (name := _text(claims, key))]
    names += [told.username] if told and told.username else []
    shown = names[0] if names else "another account"
    if asked.account is None:
        chosen_by_name = bool(asked.username) and not _is_interactive(asked)
        differs = chosen_by_name and bool(names) and folded(asked.username or "") not in map(folded, names)
        return shown if differs else None
    ids = [_home_ids(asked.account), *_told_ids(response)]
    if any(_differ(ours, theirs) for other in ids[1:] for ours, theirs in zip(ids[0], other, strict=True)):
        return shown
    return shown if _differ(_object_id(asked.account, _text(claims, "tid")), _text(claims, "oid")) else None


def other_tenant(
    response: models.BrokerTokenResponse, asked: models.AuthParameters, claims: Mapping[str, Any]
) -> str | None:
    """Find out whether a token is for another tenant than it was asked for.

    Args:
        response: the reply.
        asked: the request.
        claims: those of the reply's ID token.

    Returns:
        The other tenant's id; None where the request leaves the tenant open, or the reply does not tell it.
        Source: PROTOCOL.md, "Whose token it is".
    """
    wanted = _tenant_id(urlsplit(asked.authority).path.strip("/").partition("/")[0], asked.account)
    found = (
        _text(claims, "tid")
        or _text(jwt_claims.peek(response.access_token), "tid")
        or (response.account.realm if response.account else "")
    )
    return found if wanted and _ID.fullmatch(folded(found)) and _differ(wanted, found) else None


def names_other_account(told: models.Account | None, asked: models.Account) -> bool:
    """Find out whether a reply names another account than it was asked for.

    Args:
        told: the account in the reply, if any.
        asked: that of the request.

    Returns:
        Whether it does: one with another home account id.
    """
    pairs = zip(_home_ids(told), _home_ids(asked), strict=True) if told else ()
    return any(_differ(one, other) for one, other in pairs)


def is_other_kind(token_type: int, asked: models.AuthParameters) -> bool:
    """Find out whether a token is of another kind than it was asked for.

    Args:
        token_type: the reply's ``accessTokenType``: 0 bearer, 1 proof of possession.
        asked: the request. A token that is bound to a key alone (``kid``) may say that it is of either.

    Returns:
        Whether it is. Source: PROTOCOL.md, "popParams".
    """
    pop = asked.pop_params
    if pop is None:
        return token_type == 1
    return pop.uri_host is not None and token_type == 0


def _is_interactive(asked: models.AuthParameters) -> bool:
    return asked.authorization_type is models.AuthorizationType.INTERACTIVE


def _tenant_id(tenant: str, account: models.Account | None) -> str:
    """The id of the tenant that an authority names; empty where it names none, or a domain whose id nobody tells."""
    # Applications that take personal accounts get them from another tenant than that of the accounts.
    if PERSONAL_TENANT in (folded(tenant), folded(account.home_tenant) if account else ""):
        return ""
    if _ID.fullmatch(folded(tenant)):
        return tenant
    if account is None or folded(account.realm) != folded(account.home_tenant):
        return ""
    return account.realm if folded(tenant) == folded(account.username.rpartition("@")[2]) else ""


def _object_id(account: models.Account, tenant: str) -> str:
    """A user's id in a tenant, which is another one in each; empty where the account does not tell it."""
    user, home = _home_ids(account)
    if folded(tenant) == folded(account.realm) and account.local_account_id:
        return account.local_account_id
    return user if folded(home) in ("", folded(tenant)) else ""


def _home_ids(account: models.Account) -> tuple[str, str]:
    user, _, tenant = account.home_account_id.partition(".")
    return user, tenant


def _told_ids(response: models.BrokerTokenResponse) -> Iterator[tuple[str, str]]:
    home = jwt_claims.decode_segment(response.client_info)
    yield _text(home, "uid"), _text(home, "utid")
    if response.account is not None:
        yield _home_ids(response.account)


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other and folded(one) != folded(other)
