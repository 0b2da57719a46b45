"""Authorities: their login host and tenant, and the aliases of login hosts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# A cloud's login hosts, the preferred one first. Source: Entra's instance discovery document, as MSAL carries it, and
# PROTOCOL.md, "Accounts", for the host that the runtime shows instead of login.windows.net.
_CLOUDS: tuple[tuple[str, ...], ...] = (
    ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"),
    ("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
    ("login.microsoftonline.us", "login.usgovcloudapi.net"),
    ("login-us.microsoftonline.com",),
    ("login.microsoftonline.de",),
    ("login.sovcloud-identity.fr",),
    ("login.sovcloud-identity.de",),
    ("login.sovcloud-identity.sg",),
)
_COMMERCIAL = "login.microsoftonline.com"
# The authorities that mean the tenant of the account.
_ANY_TENANT = frozenset({"common", "organizations"})
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# A domain name of at least two labels; the last one does not begin with a digit, unlike in an IP address.
_LABEL = r"(?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:[A-Za-z0-9]{_LABEL}\.)+[A-Za-z]{_LABEL}")
_MAX_DOMAIN_CHARACTERS = 253
_PREFERRED = {alias: cloud[0] for cloud in _CLOUDS for alias in cloud}


def preferred_host(environment: str) -> str:
    """Get the preferred alias of a login host.

    Args:
        environment: a login host, such as an account's ``environment``.

    Returns:
        Its cloud's preferred host; the same host if it is unknown.
    """
    return _cloud_host(environment) or environment


def is_known_host(host: str) -> bool:
    """Whether a host is a cloud's login host.

    Args:
        host: such as ``login.microsoftonline.com``, in any case.

    Returns:
        True if the host is known.
    """
    return _cloud_host(host) != ""


def host_of(authority: str) -> str:
    """Get an authority's login host.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        Such as ``login.microsoftonline.com``.
    """
    return urlsplit(authority).netloc


def tenant_of(authority: str) -> str:
    """Get the tenant in an authority: its path.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        Such as ``common``.
    """
    return urlsplit(authority).path.strip("/")


def sovereign_host(environment: str) -> str:
    """Get the login host of an account's cloud if that is a sovereign cloud.

    Args:
        environment: an account's ``environment``; from Himmelblau always the commercial cloud's.

    Returns:
        Such as ``login.microsoftonline.us``; empty for the commercial cloud and for an unknown host.
    """
    host = _cloud_host(environment)
    return "" if host == _COMMERCIAL else host


def is_commercial(authority: str) -> bool:
    """Whether an authority is in Azure's commercial cloud.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        True for the commercial cloud.
    """
    return _cloud_host(host_of(authority)) == _COMMERCIAL


def known_host(environment: str, otherwise: str) -> str:
    """Get a known login host.

    Args:
        environment: a host from a reply, such as an account's ``environment``.
        otherwise: the host to return if it is unknown.

    Returns:
        The preferred host of the environment's cloud, or ``otherwise``.
    """
    return _cloud_host(environment) or otherwise


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID with hyphens, as IDs of tenants, users, applications and calls are.

    Args:
        text: any text.
    """
    return bool(_UUID.fullmatch(text))


def is_tenant(text: str) -> bool:
    """Whether a text is the ID or the domain name of one tenant.

    Args:
        text: such as an account's ``realm``.

    Returns:
        True for a tenant ID or a domain name; False for others, such as ``common``.
    """
    return is_uuid(text) or (len(text) <= _MAX_DOMAIN_CHARACTERS and bool(_DOMAIN.fullmatch(text)))


def authority_for_realm(authority: str, realm: str) -> str:
    """Replace ``common`` or ``organizations`` in an authority by an account's tenant, as Microsoft's runtime does.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.
        realm: the account's tenant ID; empty to keep the authority.

    Returns:
        Such as ``https://login.microsoftonline.com/<realm>``; the same authority if it contains a tenant, or if the
        realm is neither a tenant ID nor a domain name.
        Source: PROTOCOL.md, "authParameters".
    """
    is_any_tenant = tenant_of(authority).casefold() in _ANY_TENANT
    return f"https://{host_of(authority)}/{realm}" if is_any_tenant and is_tenant(realm) else authority


def _cloud_host(host: str) -> str:
    """The preferred login host of a host's cloud; empty if the host is unknown."""
    return _PREFERRED.get(host.lower(), "") if host.isascii() else ""
