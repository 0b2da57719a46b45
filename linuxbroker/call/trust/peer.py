"""Check of the bus's owner: the user ID that the kernel reports for the other end of the socket."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from linuxbroker.call.trust.policy import UntrustedError

_ROOT = 0
_OVERFLOW_UID_FILE = Path("/proc/sys/kernel/overflowuid")
_DEFAULT_OVERFLOW_UID = 65534
_ADVICE = (
    "The owner of a bus can read, change and answer everything sent over it. Start this program as the owner of the "
    "bus, without sudo, or set DBUS_SESSION_BUS_ADDRESS to your own bus. To use this bus anyway, set "
    "allow_bus_of_other_user=True (--allow-bus-of-other-user)."
)


def check_peer(uid: int | None, own_uid: int, overflow_uid: int) -> str | None:
    """Find out why the process that listens on a bus's socket is not trusted, if it is not.

    Args:
        uid: the user ID of that process; None if the system does not report it.
        own_uid: the effective user ID of this process.
        overflow_uid: the user ID that the kernel reports, in a user namespace, for users without an ID there.

    Returns:
        The reason, in words; None if the peer is root or the same user. Source: user_namespaces(7), unix(7).
    """
    if uid is None:
        return "the system does not report its owner"
    if uid == overflow_uid:
        return (
            f"its owner is unknown: user ID {uid} stands for every user without an ID in this user namespace, such as "
            "that of a container"
        )
    if uid not in (_ROOT, own_uid):
        return f"it belongs to user ID {uid}, which is neither yours ({own_uid}) nor root's"
    return None


def untrusted_bus_error(uid: int | None) -> UntrustedError | None:
    """Check the owner of a bus.

    Args:
        uid: the user ID of the process that listens on its socket; None if the system does not report it.

    Returns:
        The exception for a call that must not be sent over the bus; None if the bus is this user's or root's.
    """
    reason = check_peer(uid, os.geteuid(), _overflow_uid())
    if reason is None:
        return None
    return UntrustedError(f"the bus is not trusted: {reason}", reason=reason, advice=_ADVICE, uid=uid)


@cache
def _overflow_uid() -> int:
    try:
        return int(_OVERFLOW_UID_FILE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _DEFAULT_OVERFLOW_UID
