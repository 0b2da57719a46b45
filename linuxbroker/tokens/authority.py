"""Which login host is an authority's, and which names are aliases of one host?"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# A cloud's login hosts, the preferred one first. Source: Entra's instance discovery document, as MSAL carries it, and
# PROTOCOL.md, "Accounts", for what the runtime shows in place of login.windows.net.
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
# The authorities that stand for "whichever tenant the account is in".
_ANY_TENANT = frozenset({"common", "organizations"})
_TENANT_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# A domain name of two labels or more, the last of which does not begin with a digit, as those of IP addresses do.
_LABEL = r"(?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:[A-Za-z0-9]{_LABEL}\.)+[A-Za-z]{_LABEL}")
_LONGEST_DOMAIN = 253
_PREFERRED = {alias: cloud[0] for cloud in _CLOUDS for alias in cloud}


def preferred_host(environment: str) -> str:
    """Give the name that a login host is shown under.

    Args:
        environment: a login host, such as an account's ``environment``.

    Returns:
        Its cloud's preferred host, or the same host where no alias is known.
    """
    return _cloud_host(environment) or environment


def is_known_host(host: str) -> bool:
    """Tell whether a host is known to be a cloud's login host.

    Args:
        host: such as ``login.microsoftonline.com``, in any case.

    Returns:
        Whether it is.
    """
    return _cloud_host(host) != ""


def host_of(authority: str) -> str:
    """Give an authority's login host.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        Such as ``login.microsoftonline.com``.
    """
    return urlsplit(authority).netloc


def tenant_of(authority: str) -> str:
    """Give what an authority names behind its host.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        Such as ``common``.
    """
    return urlsplit(authority).path.strip("/")


def sovereign_host(environment: str) -> str:
    """Give the login host of an account's cloud, where that is not the commercial one.

    Args:
        environment: an account's ``environment``. Himmelblau names the commercial cloud whatever the account's is.

    Returns:
        Such as ``login.microsoftonline.us``; empty for the commercial cloud, and for a host that is not known.
    """
    host = _cloud_host(environment)
    return "" if host == _COMMERCIAL else host


def is_commercial(authority: str) -> bool:
    """Tell whether an authority is of Azure's commercial cloud.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        Whether it is.
    """
    return _cloud_host(host_of(authority)) == _COMMERCIAL


def known_host(environment: str, otherwise: str) -> str:
    """Give a login host that is known to be one.

    Args:
        environment: what a reply says, such as an account's ``environment``.
        otherwise: what stands in its place where that is no cloud's.

    Returns:
        The preferred host of the environment's cloud, or ``otherwise``.
    """
    return _cloud_host(environment) or otherwise


def is_tenant(text: str) -> bool:
    """Tell whether a text names one tenant, and nothing else.

    Args:
        text: such as an account's ``realm``.

    Returns:
        Whether it is a tenant id or a domain name; not for ``common`` and the like.
    """
    return bool(_TENANT_ID.fullmatch(text)) or (len(text) <= _LONGEST_DOMAIN and bool(_DOMAIN.fullmatch(text)))


def authority_for_realm(authority: str, realm: str) -> str:
    """Point an authority that names no tenant at an account's own, as Microsoft's runtime does.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.
        realm: the account's tenant id; empty to leave the authority as it is.

    Returns:
        Such as ``https://login.microsoftonline.com/<realm>``; the same authority where it names a tenant, and where the
        realm is neither an id nor a domain.
        Source: PROTOCOL.md, "authParameters".
    """
    names_none = tenant_of(authority).casefold() in _ANY_TENANT
    return f"https://{host_of(authority)}/{realm}" if names_none and is_tenant(realm) else authority


def _cloud_host(host: str) -> str:
    """The preferred login host of a host's cloud; empty where none is known."""
    return _PREFERRED.get(host.lower(), "") if host.isascii() else ""
