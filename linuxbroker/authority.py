"""Which login host is an authority's, and which names are aliases of one host?"""

from __future__ import annotations

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
# The authorities that stand for "whichever tenant the account is in".
_ANY_TENANT = frozenset({"common", "organizations"})
_PREFERRED = {alias: cloud[0] for cloud in _CLOUDS for alias in cloud}


def preferred_host(environment: str) -> str:
    """Give the name that a login host is shown under.

    Args:
        environment: a login host, such as an account's ``environment``.

    Returns:
        Its cloud's preferred host, or the same host where no alias is known.
    """
    return _PREFERRED.get(environment.casefold(), environment)


def is_same_cloud(environment: str, host: str) -> bool:
    """Tell whether two login hosts may stand for one cloud.

    Args:
        environment: such as an account's ``environment``.
        host: such as an authority's host.

    Returns:
        False only where both are known and belong to different clouds.
    """
    one, other = _PREFERRED.get(environment.casefold()), _PREFERRED.get(host.casefold())
    return one == other or one is None or other is None


def host_of(authority: str) -> str:
    """Give an authority's login host.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.

    Returns:
        Such as ``login.microsoftonline.com``.
    """
    return urlsplit(authority).netloc


def authority_for_realm(authority: str, realm: str) -> str:
    """Point an authority that names no tenant at an account's own, as Microsoft's runtime does.

    Args:
        authority: such as ``https://login.microsoftonline.com/common``.
        realm: the account's tenant id; empty to leave the authority as it is.

    Returns:
        Such as ``https://login.microsoftonline.com/<realm>``; the same authority where it names a tenant.
        Source: PROTOCOL.md, "authParameters".
    """
    tenant = urlsplit(authority).path.strip("/").casefold()
    return f"https://{host_of(authority)}/{realm}" if realm and tenant in _ANY_TENANT else authority
