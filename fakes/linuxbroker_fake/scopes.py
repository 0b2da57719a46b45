"""What a list of scopes asks for, and which of it is granted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .entra_error import CONSENT_REQUIRED, SCOPE_INVALID, SCOPE_OF_TWO_RESOURCES, SCOPES_MISSING

GRAPH = "https://graph.microsoft.com"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
DEFAULT = ".default"
OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})

# What a request without scopes gets a token for, as MSAL for Node.js sends one where an application names none.
SIGN_IN_SCOPES = ("openid", "profile")

# A resource is a URI, or the GUID of an app; the scope's name follows the last slash. The extra slash of
# "https://management.core.windows.net//.default" belongs to the resource, whose identifier ends in one.
_SCOPE = re.compile(r"(?P<resource>[A-Za-z][\w+.-]*://[^/\s]+(?:/\S*)?|[^/:\s]+)/(?P<name>[^/\s]+)")


@dataclass(frozen=True)
class Scope:
    """One scope, taken apart; the resource is as written, or None for an OpenID Connect scope."""

    text: str
    resource: str | None
    name: str


@dataclass(frozen=True)
class Grant:
    """What Entra grants: the resource as the request wrote it, the names for ``scp``, and the scopes for the reply."""

    resource: str
    names: tuple[str, ...]
    granted_scopes: tuple[str, ...]


def parse_scope(text: str) -> Scope:
    """Take a scope apart.

    Args:
        text: such as ``User.Read`` (of Microsoft Graph), ``openid``, ``api://GUID/Files.Read`` or ``https://host/.default``.

    Returns:
        The scope.

    Raises:
        ValueError: it is not of such a form.
    """
    if text.lower() in OIDC_SCOPES:
        return Scope(text, None, text.lower())
    match = _SCOPE.fullmatch(text if "/" in text else f"{GRAPH}/{text}")
    if match is None:
        raise ValueError(f"not a scope: {text!r}")
    return Scope(text, match["resource"], match["name"])


def resource_key(resource: str) -> str:
    """Give the one spelling under which a resource is compared.

    Args:
        resource: an identifier URI or an app's GUID, in any spelling.

    Returns:
        Lower case, without slashes at the end, ``api://`` or the several names of Microsoft Graph.
    """
    key = resource.lower().rstrip("/").removeprefix("api://")
    return GRAPH if key == GRAPH_APP_ID else key


def resource_of(scopes: Sequence[str]) -> str:
    """Tell which resource scopes ask for.

    Args:
        scopes: as an app wrote them.

    Returns:
        The first resource that is named, as ``resource_key`` spells it; Microsoft Graph where none is.
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
        requested: the scopes as the app wrote them.
        consented: the scopes that the app has consent for, or None when it has consent for every scope.
        client_id: the app, for the text of a refusal.

    Returns:
        The grant. Every requested scope is in ``granted_scopes`` in the request's own spelling, ``.default`` too,
        because Microsoft's runtime refuses a reply that lacks one (PROTOCOL.md, "Scopes"); what ``.default``
        stands for follows.

    Raises:
        EntraError: no scope (900144), a malformed one (70011), two resources (28000), or no consent (65001).
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
    asked = {scope.name.lower(): scope.name for scope in scopes if scope.resource is not None}
    explicit = {folded: name for folded, name in asked.items() if folded != DEFAULT}
    expanded: dict[str, str] = {}
    if DEFAULT in asked:
        expanded = _default_names(key) if available is None else available
        if not expanded:
            raise CONSENT_REQUIRED.error(scopes=f"any scope of {resource}", client_id=client_id)
    if available is not None:
        declined = [name for folded, name in explicit.items() if folded not in available]
        if declined:
            raise CONSENT_REQUIRED.error(scopes=" ".join(declined), client_id=client_id)
        explicit = {folded: available[folded] for folded in explicit}

    names = list((explicit | expanded).values())
    if key == GRAPH:  # only Graph's tokens show the OpenID Connect scopes; offline_access shows as a refresh token
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
    """The consented names of one resource by their lower-case spelling; ``.default`` stands for its default."""
    names: dict[str, str] = {}
    for scope in map(parse_scope, consented):
        if scope.resource is None or resource_key(scope.resource) != key:
            continue
        names |= _default_names(key) if scope.name.lower() == DEFAULT else {scope.name.lower(): scope.name}
    return names
