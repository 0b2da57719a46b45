"""Whose bus it is: the user id that the kernel tells of the other end of the bus's socket."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from linuxbroker.trust.policy import UntrustedError

_ROOT = 0
_OVERFLOW_UID_FILE = Path("/proc/sys/kernel/overflowuid")
_USUAL_OVERFLOW_UID = 65534
_ADVICE = (
    "Whoever runs the bus can read, change and answer all that is sent over it. Start this program as the user whose "
    "bus it is, without sudo, or set DBUS_SESSION_BUS_ADDRESS to your own; to use that bus all the same, give "
    "allow_bus_of_other_user=True (--allow-bus-of-other-user)."
)


def reason_against_peer(uid: int | None, own_uid: int, overflow_uid: int) -> str | None:
    """Say why the process that listens on a bus's socket is not to be trusted with what is sent to it.

    Args:
        uid: its user id, as the kernel tells it; None where the system tells none.
        own_uid: this process's effective user id.
        overflow_uid: the user id that the kernel tells, in a user namespace, of each user who has none there.

    Returns:
        What is wrong, in words; None where the peer is root or the same user. Source: user_namespaces(7), unix(7).
    """
    if uid is None:
        return "the system does not tell whose it is"
    if uid == overflow_uid:
        return (
            f"whose it is can't be told: user id {uid} stands for everyone who has none in this user namespace (of "
            "a container, perhaps)"
        )
    if uid not in (_ROOT, own_uid):
        return f"it belongs to user id {uid}, which is neither yours ({own_uid}) nor root"
    return None


def untrusted_bus(uid: int | None) -> UntrustedError | None:
    """Look at whose a bus is.

    Args:
        uid: the user id of the process that listens on its socket; None where the system tells none.

    Returns:
        The failure of a call that is not to be sent over it; None where it is the caller's or root's.
    """
    reason = reason_against_peer(uid, os.geteuid(), _overflow_uid())
    if reason is None:
        return None
    return UntrustedError(f"the session bus is not trusted: {reason}", reason=reason, advice=_ADVICE, uid=uid)


@cache
def _overflow_uid() -> int:
    try:
        return int(_OVERFLOW_UID_FILE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _USUAL_OVERFLOW_UID
