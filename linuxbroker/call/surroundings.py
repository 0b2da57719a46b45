"""Advice for processes that cannot reach the broker because of a snap, a Flatpak sandbox or sudo."""

from __future__ import annotations

import os
from pathlib import Path

from linuxbroker.wire.names import BROKER_BUS_NAME

# Flatpak creates this file in each sandbox.
_FLATPAK_INFO = Path("/.flatpak-info")


def sandbox_advice() -> str:
    """Advise on reaching the broker from a sandbox.

    Returns:
        A sentence; the empty string outside of a known sandbox.
    """
    flatpak = os.environ.get("FLATPAK_ID", "")
    if flatpak or _FLATPAK_INFO.exists():
        return (
            "This program runs in a Flatpak sandbox: allow it to talk to the broker with 'flatpak override --user "
            f"--talk-name={BROKER_BUS_NAME} {flatpak or 'APP'}', and restart it."
        )
    if snap := os.environ.get("SNAP_NAME") or os.environ.get("SNAP"):
        return (
            f"This program runs in a snap ({snap}), whose confinement blocks the broker: use a snap with classic "
            "confinement ('snap install --classic') or another kind of package."
        )
    return ""


def sudo_advice() -> str:
    """Advise on reaching the user's bus from a program that was started with sudo.

    Returns:
        A sentence; the empty string if sudo did not change the user.
    """
    user = os.environ.get("SUDO_UID", "")
    if not user or user == str(os.geteuid()):
        return ""
    return (
        f"This program was started with sudo: the broker is on the session bus of user ID {user}, which other users "
        "cannot use. Start it without sudo."
    )
