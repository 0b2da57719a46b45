"""Scopes: parsing, resources, and the scopes that Entra grants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .entra_error import CONSENT_REQUIRED, SCOPE_INVALID, SCOPE_OF_TWO_RESOURCES, SCOPES_MISSING

GRAPH = "https://graph.microsoft.com"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
DEFAULT = ".default"
OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})

# The scopes of a request without scopes, as MSAL for Node.js sends it for an application without any (SC-01).
SIGN_IN_SCOPES = ("openid", "profile")

# A resource is a URI or an app's GUID; the scope's name follows the last slash. The extra slash in
# "https://management.core.windows.net//.default" is part of the resource, whose identifier ends with a slash.
_SCOPE = re.compile(r"(?P<resource>[A-Za-z][\w+.-]*://[^/\s]+(?:/\S*)?|[^/:\s]+)/(?P<name>[^/\s]+)")


@dataclass(frozen=True)
class Scope:
    """A parsed scope; ``resource`` is as written, or None for an OpenID Connect scope."""

    text: str
    resource: str | None
    name: str


@dataclass(frozen=True)
class Grant:
    """What Entra grants: the resource as in the request, the names for ``scp``, and the scopes for the reply."""

    resource: str
    names: tuple[str, ...]
    granted_scopes: tuple[str, ...]


def parse_scope(text: str) -> Scope:
    """Parse a scope.

    Args:
        text: such as ``User.Read`` (of Microsoft Graph), ``openid``, ``api://GUID/Files.Read`` or ``https://host/.default``.

    Returns:
        The scope.

    Raises:
        ValueError: the text has another form.
    """
    if text.lower() in OIDC_SCOPES:
        return Scope(text, None, text.lower())
    match = _SCOPE.fullmatch(text if "/" in text else f"{GRAPH}/{text}")
    if match is None:
        raise ValueError(f"invalid scope: {text!r}")
    return Scope(text, match["resource"], match["name"])


def resource_key(resource: str) -> str:
    """Return the normalized form of a resource, for comparison.

    Args:
        resource: an identifier URI or an app's GUID, in any spelling.

    Returns:
        The resource in lower case without trailing slashes and ``api://``; Microsoft Graph's GUID becomes its URI.
    """
    key = resource.lower().rstrip("/").removeprefix("api://")
    return GRAPH if key == GRAPH_APP_ID else key


def resource_of(scopes: Sequence[str]) -> str:
    """Return the resource of scopes.

    Args:
        scopes: the scopes of a request.

    Returns:
        The first resource in them, in the form of ``resource_key``; Microsoft Graph if they have none.
    """
    for text in scopes:
        try:
            scope = parse_scope(text)
        except ValueError:
            continue
        if scope.resource is not None:
            return resource_key(scope.resource)
    return GRAPH


def grant_scopes(requested: Sequence[str], consented: Sequence[str] | None, client_id: str) -> Grant:
    """Decide which scopes a token gets.

    Args:
        requested: the scopes of the request.
        consented: the scopes that the app has consent for; None: all scopes.
        client_id: the app's client ID, for the error text.

    Returns:
        The grant. ``granted_scopes`` has every requested scope as spelled in the request, including ``.default``, as
        Microsoft's runtime rejects a reply that lacks one (PROTOCOL.md, SC-05 and SC-06), followed by the scopes that
        ``.default`` stands for.

    Raises:
        EntraError: no scopes (900144), a malformed scope (70011), several resources (28000), or no consent (65001).
    """
    scopes = [_parse_requested(text) for text in dict.fromkeys(requested)]
    if not scopes:
        raise SCOPES_MISSING.error()
    resources = {
        resource_key(scope.resource): scope.resource for scope in reversed(scopes) if scope.resource is not None
    }
    if len(resources) > 1:
        raise SCOPE_OF_TWO_RESOURCES.error(resources=", ".join(reversed(resources.values())))
    key, resource = next(iter(resources.items()), (GRAPH, GRAPH))

    available = None if consented is None else _consented_names(consented, key)
    names_by_key = {scope.name.lower(): scope.name for scope in scopes if scope.resource is not None}
    explicit = {folded: name for folded, name in names_by_key.items() if folded != DEFAULT}
    expanded: dict[str, str] = {}
    if DEFAULT in names_by_key:
        expanded = _default_names(key) if available is None else available
        if not expanded:
            raise CONSENT_REQUIRED.error(scopes=f"any scope of {resource}", client_id=client_id)
    if available is not None:
        declined = [name for folded, name in explicit.items() if folded not in available]
        if declined:
            raise CONSENT_REQUIRED.error(scopes=" ".join(declined), client_id=client_id)
        explicit = {folded: available[folded] for folded in explicit}

    names = list((explicit | expanded).values())
    if key == GRAPH:  # only Graph's tokens contain the OpenID Connect scopes; offline_access has no name in scp
        names += [scope.name for scope in scopes if scope.resource is None and scope.name != "offline_access"]
    if not names:
        raise SCOPE_INVALID.error(scope=" ".join(requested))
    extra = [f"{resource.rstrip('/')}/{name}" for folded, name in expanded.items() if folded not in explicit]
    return Grant(resource, tuple(dict.fromkeys(names)), tuple(dict.fromkeys([scope.text for scope in scopes] + extra)))


def _parse_requested(text: str) -> Scope:
    try:
        return parse_scope(text)
    except ValueError:
        raise SCOPE_INVALID.error(scope=text) from None


def _default_names(key: str) -> dict[str, str]:
    name = "User.Read" if key == GRAPH else "user_impersonation"
    return {name.lower(): name}


def _consented_names(consented: Sequence[str], key: str) -> dict[str, str]:
    """Return the consented names of a resource by their lower-case form, with ``.default`` resolved."""
    names: dict[str, str] = {}
    for scope in map(parse_scope, consented):
        if scope.resource is None or resource_key(scope.resource) != key:
            continue
        names |= _default_names(key) if scope.name.lower() == DEFAULT else {scope.name.lower(): scope.name}
    return names
