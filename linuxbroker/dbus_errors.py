"""What does a D-Bus error say of the broker? The names and texts that brokers and buses answer with."""

from __future__ import annotations

from linuxbroker.bus import RemoteError

DBUS_ERROR = "org.freedesktop.DBus.Error."
_ABSENT = {DBUS_ERROR + name for name in ("ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound")}
_WENT_AWAY = {DBUS_ERROR + name for name in ("NoReply", "Disconnected")}
# What Himmelblau says while its daemon starts (PROTOCOL.md, "Brokers in the field").
STARTING = "broker socket connect"


def is_absent(error: RemoteError) -> bool:
    """Whether nothing on the bus provides the broker.

    Args:
        error: what came back in place of a reply.
    """
    return error.name in _ABSENT


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
