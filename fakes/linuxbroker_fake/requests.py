"""Parser for the requests of broker methods; a missing key or a wrong type is a contract violation (status 6)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, cast

from .faults import BrokerFailure, Failure
from .scopes import SIGN_IN_SCOPES, resource_of

Json = Mapping[str, Any]


def contract_violation(context: str) -> BrokerFailure:
    """Return the failure of an invalid request, ApiContractViolation."""
    return BrokerFailure(Failure(context, status=6))


def parse_request(text: str) -> Json:
    """Parse a request.

    Args:
        text: JSON text.

    Returns:
        The request.

    Raises:
        BrokerFailure: the text is not a JSON object.
    """
    request: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        request = json.loads(text)
    if not isinstance(request, dict):
        raise contract_violation("The request is not a JSON object.")
    return cast("Json", request)


def required_text(values: Json, key: str) -> str:
    """Return a required, non-empty string; raises BrokerFailure if it is missing."""
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise contract_violation(f"The request lacks {key}.")
    return value


def required_object(values: Json, key: str) -> Json:
    """Return a required object; raises BrokerFailure if it is missing."""
    if not isinstance(values.get(key), Mapping):
        raise contract_violation(f"The request lacks {key}.")
    return child(values, key)


def child(values: Json, key: str) -> Json:
    """Return the object under a key; empty if there is none."""
    value = values.get(key)
    return cast("Json", value) if isinstance(value, Mapping) else {}


def account_of(request: Json) -> Json:
    """Return the account of a request: at its root, else in ``authParameters``; empty if there is none."""
    return child(request, "account") or child(child(request, "authParameters"), "account")


def requested_scopes(parameters: Json) -> list[str]:
    """Return the scopes of a token request; an empty list requests the sign-in scopes. The key is required."""
    scopes: Any = parameters.get("requestedScopes")
    if not isinstance(scopes, list):
        raise contract_violation("The request lacks requestedScopes.")
    return [str(scope) for scope in cast("list[object]", scopes)] or list(SIGN_IN_SCOPES)


def pop_target(pop: Json) -> tuple[str, str]:
    """Return the host and path to sign; some clients put the whole URL into ``uriHost`` (PROTOCOL.md, PP-05)."""
    host, path = str(pop.get("uriHost") or ""), str(pop.get("uriPath") or "")
    if "://" in host:
        host, slash, rest = host.partition("://")[2].partition("/")
        path = path or slash + rest
    return host, path


def requested_resource(request: Json) -> str | None:
    """Return the resource of a token request, in the form of ``resource_key``; None for other requests."""
    scopes: Any = child(request, "authParameters").get("requestedScopes")
    return resource_of([str(scope) for scope in cast("list[object]", scopes)]) if isinstance(scopes, list) else None


def parse_leniently(text: str) -> Json:
    """Parse a request; returns an empty object if it is invalid."""
    try:
        return parse_request(text)
    except BrokerFailure:
        return {}
