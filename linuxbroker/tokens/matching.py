"""Comparison of a token's account, tenant and type with the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from linuxbroker.tokens import jwt_claims
from linuxbroker.tokens.accounts import PERSONAL_TENANT, folded
from linuxbroker.tokens.authority import is_uuid
from linuxbroker.wire import models

# Claims with the user's name; which of them a token contains depends on its version and on the application.
_NAMES = ("preferred_username", "upn", "unique_name")


def other_account(
    response: models.BrokerTokenResponse, request: models.AuthParameters, claims: Mapping[str, Any]
) -> str | None:
    """Find the account of a token if it is not the requested one.

    Args:
        response: the reply, whose client info and account are compared if present.
        request: the request. In an interactive one without an account the user chooses.
        claims: the claims of the reply's ID token.

    Returns:
        The other account's name, or a placeholder if it is unknown; None if nothing differs from the request.
        Source: PROTOCOL.md, "Whose token it is".
    """
    account = response.account
    names = [name for key in _NAMES if (name := _text(claims, key))]
    names += [account.username] if account and account.username else []
    other_name = names[0] if names else "another account"
    if request.account is None:
        chosen_by_name = bool(request.username) and not _is_interactive(request)
        differs = chosen_by_name and bool(names) and folded(request.username or "") not in map(folded, names)
        return other_name if differs else None
    ids = [_home_ids(request.account), *_reply_ids(response)]
    if any(_differ(ours, theirs) for other in ids[1:] for ours, theirs in zip(ids[0], other, strict=True)):
        return other_name
    return other_name if _differ(_object_id(request.account, _text(claims, "tid")), _text(claims, "oid")) else None


def other_tenant(
    response: models.BrokerTokenResponse, request: models.AuthParameters, claims: Mapping[str, Any]
) -> str | None:
    """Find the tenant of a token if it is not the requested one.

    Args:
        response: the reply.
        request: the request.
        claims: the claims of the reply's ID token.

    Returns:
        The other tenant's ID; None if it is the same, the request specifies none, or the reply does not contain it.
        Source: PROTOCOL.md, "Whose token it is".
    """
    requested = _tenant_id(urlsplit(request.authority).path.strip("/").partition("/")[0], request.account)
    found = (
        _text(claims, "tid")
        or _text(jwt_claims.peek(response.access_token), "tid")
        or (response.account.realm if response.account else "")
    )
    return found if requested and is_uuid(found) and _differ(requested, found) else None


def names_other_account(replied: models.Account | None, requested: models.Account) -> bool:
    """Whether the account in a reply is another one than in the request.

    Args:
        replied: the account in the reply, if any.
        requested: the account in the request.

    Returns:
        True if their home account IDs differ.
    """
    pairs = zip(_home_ids(replied), _home_ids(requested), strict=True) if replied else ()
    return any(_differ(one, other) for one, other in pairs)


def is_other_kind(token_type: int, request: models.AuthParameters) -> bool:
    """Whether a token has another type than requested.

    Args:
        token_type: the reply's ``accessTokenType``: 0 bearer, 1 proof of possession.
        request: the request. For a token bound to a key alone (``kid``), both types are valid.

    Returns:
        True if the type differs. Source: PROTOCOL.md, "popParams".
    """
    pop = request.pop_params
    if pop is None:
        return token_type == 1
    return pop.uri_host is not None and token_type == 0


def _is_interactive(request: models.AuthParameters) -> bool:
    return request.authorization_type is models.AuthorizationType.INTERACTIVE


def _tenant_id(tenant: str, account: models.Account | None) -> str:
    """The ID of the tenant in an authority; empty if it contains none, or a domain with an unknown ID."""
    # Tokens for personal accounts can come from another tenant than the accounts'.
    if PERSONAL_TENANT in (folded(tenant), folded(account.home_tenant) if account else ""):
        return ""
    if is_uuid(tenant):
        return tenant
    if account is None or folded(account.realm) != folded(account.home_tenant):
        return ""
    return account.realm if folded(tenant) == folded(account.username.rpartition("@")[2]) else ""


def _object_id(account: models.Account, tenant: str) -> str:
    """A user's object ID in a tenant, different in each tenant; empty if the account does not contain it."""
    user, home = _home_ids(account)
    if folded(tenant) == folded(account.realm) and account.local_account_id:
        return account.local_account_id
    return user if folded(home) in ("", folded(tenant)) else ""


def _home_ids(account: models.Account) -> tuple[str, str]:
    user, _, tenant = account.home_account_id.partition(".")
    return user, tenant


def _reply_ids(response: models.BrokerTokenResponse) -> Iterator[tuple[str, str]]:
    home = jwt_claims.decode_segment(response.client_info)
    yield _text(home, "uid"), _text(home, "utid")
    if response.account is not None:
        yield _home_ids(response.account)


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other and folded(one) != folded(other)
