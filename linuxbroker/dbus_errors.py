"""What does a D-Bus error say of the broker? The names and texts that brokers and buses answer with."""

from __future__ import annotations

from linuxbroker.bus import RemoteError
from linuxbroker.failure_texts import STARTING

DBUS_ERROR = "org.freedesktop.DBus.Error."
_ABSENT = {DBUS_ERROR + name for name in ("ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound")}
_WENT_AWAY = {DBUS_ERROR + name for name in ("NoReply", "Disconnected")}
# What dbus-broker says when a name's program does not take it, under the name of an error that else means that there is
# no such program (dbus-daemon has names of its own for it).
_STARTED_IN_VAIN = "could not activate remote peer"


def is_absent(error: RemoteError) -> bool:
    """Whether nothing on the bus provides the broker.

    Args:
        error: what came back in place of a reply.
    """
    return error.name in _ABSENT and not _was_started(error)


def did_not_start(error: RemoteError) -> bool:
    """Whether the broker is installed, and was started in vain.

    Args:
        error: what came back in place of a reply.
    """
    if error.name in _ABSENT:
        return _was_started(error)
    return error.name.startswith(DBUS_ERROR + "Spawn.") or error.name == DBUS_ERROR + "TimedOut"


def _was_started(error: RemoteError) -> bool:
    return error.text.casefold().startswith(_STARTED_IN_VAIN)


def went_away(error: RemoteError) -> bool:
    """Whether the broker got the call, and left the bus without an answer; the bus starts it again for the next call.

    Args:
        error: what came back in place of a reply.
    """
    return error.name in _WENT_AWAY


def is_starting(error: RemoteError) -> bool:
    """Whether the broker is there, and what it depends on is not there yet: it did nothing with the call.

    Args:
        error: what came back in place of a reply. Source: PROTOCOL.md, "Brokers in the field".
    """
    return STARTING in error.text.casefold()
