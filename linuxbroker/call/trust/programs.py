"""Known broker programs: the paths at which packages install them."""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """A program that owns the broker's bus name.

    Attributes:
        path: its path, or that of a link that only root can change.
        package: the package that installs it.
        source: where the path is documented.
    """

    path: str
    package: str
    source: str


_MICROSOFT = "microsoft-identity-broker"
_HIMMELBLAU = "himmelblau-broker"

# Versions on Java (Microsoft's up to 2.0.1) are not listed: their executable is the Java runtime, which runs any
# program. Nor are patterns of the Nix store: any user can have the Nix daemon add a program of any name there.
KNOWN_PROGRAMS = (
    Program(
        "/opt/microsoft/identity-broker/bin/microsoft-identity-broker",
        f"{_MICROSOFT} from 2.0.4 on",
        "the recipe of unofficial-intune 0.0.4 for 2.0.4; 'Broker Binary Path' of Microsoft's page on dsreg",
    ),
    Program(
        "/usr/bin/microsoft-identity-broker",
        f"{_MICROSOFT} 2.0.2 and 2.0.3",
        "the recipe of nixpkgs for 2.0.3, which replaces that path",
    ),
    Program(
        "/run/current-system/sw/bin/microsoft-identity-broker",
        f"{_MICROSOFT} on NixOS",
        "the module services.intune of nixpkgs, which has it among the system's packages",
    ),
    Program(
        "/usr/sbin/himmelblau_broker",
        f"{_HIMMELBLAU} (deb, rpm)",
        "src/broker/Cargo.toml of Himmelblau",
    ),
    Program(
        "/usr/bin/himmelblau_broker",
        "himmelblau (Arch Linux); where /usr/sbin is a link to /usr/bin",
        "platform/arch/PKGBUILD of Himmelblau",
    ),
    Program(
        "/usr/sbin/broker",
        "himmelblau 0.8 (openSUSE)",
        "himmelblau.spec, and Exec= in platform/opensuse/com.microsoft.identity.broker1.service",
    ),
)
