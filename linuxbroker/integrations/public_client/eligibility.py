"""Choice of the broker for an application, from its flags, its authority and the platform; no I/O."""

from __future__ import annotations

import enum
import importlib
import importlib.util
import platform
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

# Source: msal.authority of MSAL Python 1.39, also of the three rules of `_is_entra`. But MSAL recognizes a B2C policy
# only at the end of a path of two parts, and treats https://HOST/tfp/TENANT/B2C_1_NAME as Entra's.
_B2C_AND_CIAM_DOMAINS = (".b2clogin.com", ".b2clogin.cn", ".b2clogin.us", ".b2clogin.de", ".ciamlogin.com")
_CIAM_DOMAIN = ".ciamlogin.com"
_DSTS_PATH = "/dstsv2"


class Platform(enum.Enum):
    """The platforms that MSAL's flags distinguish."""

    WINDOWS = "windows"
    MAC = "mac"
    WSL = "wsl"
    LINUX = "linux"
    OTHER = "other"


@dataclass(frozen=True)
class BrokerFlags:
    """MSAL's ``enable_broker_on_…``.

    Attributes:
        windows, wsl, mac, linux: whether the application opts in to the broker of that platform.
    """

    windows: bool = False
    wsl: bool = False
    mac: bool = False
    linux: bool = False

    def opts_in(self, target: Platform) -> bool:
        """Whether the application opts in to the broker of a platform."""
        return {
            Platform.WINDOWS: self.windows,
            Platform.MAC: self.mac,
            Platform.WSL: self.wsl or self.linux,
            Platform.LINUX: self.linux,
        }.get(target, False)


def host_platform() -> Platform:
    """Find out which platform the program runs on."""
    if sys.platform == "linux" and "microsoft" in platform.uname().release.lower():
        return Platform.WSL
    known = {"win32": Platform.WINDOWS, "darwin": Platform.MAC, "linux": Platform.LINUX}
    return known.get(sys.platform, Platform.OTHER)


def is_served(authority: str | None, oidc_authority: str | None) -> bool:
    """Find out whether brokers serve an authority, from its text alone.

    Args:
        authority: MSAL's argument; None for its default.
        oidc_authority: MSAL's argument.

    Returns:
        Whether it is Microsoft Entra's; not AD FS, Azure AD B2C, Entra External ID (CIAM), dSTS or another OIDC
        provider.
    """
    return oidc_authority is None and (authority is None or _is_entra(authority))


def require_package(target: Platform) -> None:
    """Check that the package of MSAL's own broker support is installed.

    Args:
        target: a platform on which MSAL, not this library, calls the broker.

    Raises:
        ImportError: MSAL's own, which names the package.
    """
    on_intel_mac = target is Platform.MAC and platform.machine() != "arm64"
    if not on_intel_mac and importlib.util.find_spec("pymsalruntime") is None:
        importlib.import_module("msal.broker")


def _is_entra(authority: str) -> bool:
    parts = urlsplit(authority)
    host, path = (parts.hostname or "").lower(), parts.path.split("/")
    is_adfs = len(path) > 1 and path[1].lower() == "adfs" and not host.endswith(_CIAM_DOMAIN)
    is_b2c = host.endswith(_B2C_AND_CIAM_DOMAINS) or any(part.lower().startswith("b2c_") for part in path[2:])
    return not (is_adfs or is_b2c or parts.path.startswith(_DSTS_PATH))
