"""How a request is read by Microsoft's brokers: what is not there, or of another type, is a violated contract."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, cast

from .faults import BrokerFailure, Failure
from .scopes import SIGN_IN_SCOPES, resource_of

Json = Mapping[str, Any]


def unacceptable(context: str) -> BrokerFailure:
    """Make the failure of a request that violates the contract."""
    return BrokerFailure(Failure(context, status=6))


def parse_request(text: str) -> Json:
    """Read a request.

    Args:
        text: JSON text.

    Returns:
        The object.

    Raises:
        BrokerFailure: it is none.
    """
    request: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        request = json.loads(text)
    if not isinstance(request, dict):
        raise unacceptable("The request is not a JSON object.")
    return cast("Json", request)


def required_text(values: Json, key: str) -> str:
    """Read a text that must be there, and not be empty; BrokerFailure where it is not."""
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise unacceptable(f"The request lacks {key}.")
    return value


def required_object(values: Json, key: str) -> Json:
    """Read an object that must be there; BrokerFailure where it is not."""
    if not isinstance(values.get(key), Mapping):
        raise unacceptable(f"The request lacks {key}.")
    return child(values, key)


def child(values: Json, key: str) -> Json:
    """The object under a key, an empty one where there is none."""
    value = values.get(key)
    return cast("Json", value) if isinstance(value, Mapping) else {}


def account_in(request: Json) -> Json:
    """The account of a request, at its root or in its parameters: the root first, as Himmelblau reads it."""
    return child(request, "account") or child(child(request, "authParameters"), "account")


def requested_scopes(parameters: Json) -> list[str]:
    """Read the scopes of a token request, whose key must be there; an empty list asks for a sign-in alone."""
    scopes: Any = parameters.get("requestedScopes")
    if not isinstance(scopes, list):
        raise unacceptable("The request lacks requestedScopes.")
    return [str(scope) for scope in cast("list[object]", scopes)] or list(SIGN_IN_SCOPES)


def pop_target(pop: Json) -> tuple[str, str]:
    """The host and path to sign for: some clients put the whole URL into ``uriHost`` (PROTOCOL.md, "popParams")."""
    host, path = str(pop.get("uriHost") or ""), str(pop.get("uriPath") or "")
    if "://" in host:
        host, slash, rest = host.partition("://")[2].partition("/")
        path = path or slash + rest
    return host, path


def resource_asked(request: Json) -> str | None:
    """The resource that a token request is for, or None."""
    scopes: Any = child(request, "authParameters").get("requestedScopes")
    return resource_of([str(scope) for scope in cast("list[object]", scopes)]) if isinstance(scopes, list) else None


def lenient(text: str) -> Json:
    """Read a request of which nothing is demanded: an empty object stands for one that can't be read."""
    try:
        return parse_request(text)
    except BrokerFailure:
        return {}
