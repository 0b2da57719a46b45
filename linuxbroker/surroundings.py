"""What surrounds this process and can keep it from the broker: a snap, a Flatpak sandbox, sudo."""

from __future__ import annotations

import os
from pathlib import Path

from linuxbroker.names import BROKER_BUS_NAME

# Flatpak puts it into each sandbox.
_FLATPAK_INFO = Path("/.flatpak-info")


def sandbox_advice() -> str:
    """Say how a program in a sandbox gets to the broker.

    Returns:
        A sentence; the empty string outside a sandbox that is known here.
    """
    flatpak = os.environ.get("FLATPAK_ID", "")
    if flatpak or _FLATPAK_INFO.exists():
        return (
            "This program runs in a Flatpak sandbox: let it talk to the broker with 'flatpak override --user "
            f"--talk-name={BROKER_BUS_NAME} {flatpak or 'APP'}', and start it again."
        )
    if snap := os.environ.get("SNAP_NAME") or os.environ.get("SNAP"):
        return (
            f"This program runs in a snap ({snap}), whose confinement keeps it from the broker: use one with classic "
            "confinement ('snap install --classic'), or a package that is no snap."
        )
    return ""


def sudo_advice() -> str:
    """Say how a program that was started with sudo gets to the user's bus.

    Returns:
        A sentence; the empty string where sudo changed nothing.
    """
    user = os.environ.get("SUDO_UID", "")
    if not user or user == str(os.geteuid()):
        return ""
    return (
        f"This program was started with sudo: the broker is on the session bus of user id {user}, which another user "
        "can't use. Start it without sudo."
    )
