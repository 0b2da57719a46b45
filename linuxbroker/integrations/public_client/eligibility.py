"""Which broker, if any, is an application's? Told from its flags, its authority and the platform, without any I/O."""

from __future__ import annotations

import enum
import importlib
import importlib.util
import platform
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

# Source: msal.authority of MSAL Python 1.39, as are the three rules of `_is_entra`; but MSAL knows a B2C policy only
# where it ends a path of two parts, and takes https://HOST/tfp/TENANT/B2C_1_NAME for Entra's.
_B2C_AND_CIAM_DOMAINS = (".b2clogin.com", ".b2clogin.cn", ".b2clogin.us", ".b2clogin.de", ".ciamlogin.com")
_CIAM_DOMAIN = ".ciamlogin.com"
_DSTS_PATH = "/dstsv2"


class Platform(enum.Enum):
    """What MSAL's flags tell apart."""

    WINDOWS = "windows"
    MAC = "mac"
    WSL = "wsl"
    LINUX = "linux"
    OTHER = "other"


@dataclass(frozen=True)
class BrokerFlags:
    """MSAL's ``enable_broker_on_…``.

    Attributes:
        windows, wsl, mac, linux: whether the application opts in there.
    """

    windows: bool = False
    wsl: bool = False
    mac: bool = False
    linux: bool = False

    def opts_in(self, place: Platform) -> bool:
        """Whether the application opts in to the broker of a platform."""
        return {
            Platform.WINDOWS: self.windows,
            Platform.MAC: self.mac,
            Platform.WSL: self.wsl or self.linux,
            Platform.LINUX: self.linux,
        }.get(place, False)


def this_platform() -> Platform:
    """Find out where the program runs."""
    if sys.platform == "linux" and "microsoft" in platform.uname().release.lower():
        return Platform.WSL
    known = {"win32": Platform.WINDOWS, "darwin": Platform.MAC, "linux": Platform.LINUX}
    return known.get(sys.platform, Platform.OTHER)


def is_served(authority: str | None, oidc_authority: str | None) -> bool:
    """Find out whether brokers know an application's authority, from its text alone.

    Args:
        authority: as MSAL takes it; None for MSAL's default.
        oidc_authority: as MSAL takes it.

    Returns:
        Whether it is Microsoft Entra's; not AD FS, Azure AD B2C, Entra External ID (CIAM), dSTS or another OIDC
        provider.
    """
    return oidc_authority is None and (authority is None or _is_entra(authority))


def require_package(place: Platform) -> None:
    """Refuse to go on where MSAL's own broker is wanted and its package is not installed.

    Args:
        place: a platform whose broker is MSAL's, not this library's.

    Raises:
        ImportError: MSAL's own, which says what to install.
    """
    on_intel_mac = place is Platform.MAC and platform.machine() != "arm64"
    if not on_intel_mac and importlib.util.find_spec("pymsalruntime") is None:
        importlib.import_module("msal.broker")


def _is_entra(authority: str) -> bool:
    parts = urlsplit(authority)
    host, path = (parts.hostname or "").lower(), parts.path.split("/")
    is_adfs = len(path) > 1 and path[1].lower() == "adfs" and not host.endswith(_CIAM_DOMAIN)
    is_b2c = host.endswith(_B2C_AND_CIAM_DOMAINS) or any(part.lower().startswith("b2c_") for part in path[2:])
    return not (is_adfs or is_b2c or parts.path.startswith(_DSTS_PATH))
