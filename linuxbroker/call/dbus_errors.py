"""What does a D-Bus error say of the broker? The names and texts that brokers and buses answer with."""

from __future__ import annotations

import re

from linuxbroker.bus import RemoteError
from linuxbroker.call import failure_texts

DBUS_ERROR = "org.freedesktop.DBus.Error."
# Microsoft's broker 2.0.1, in Java, names D-Bus's own errors so.
_JAVA_ERROR = "org.freedesktop.dbus.errors."
_SYSTEMD_ERROR = "org.freedesktop.systemd1."
_ABSENT = {DBUS_ERROR + name for name in ("ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound")}
_WENT_AWAY = {DBUS_ERROR + "NoReply"}
_UNSUPPORTED = {
    prefix + name
    for prefix in (DBUS_ERROR, _JAVA_ERROR)
    for name in ("UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs")
}
_NO_OBJECT = {DBUS_ERROR + "UnknownObject", _JAVA_ERROR + "UnknownObject"}
_CONFINED = (
    "What confines this program (a sandbox, AppArmor, SELinux, the bus's own policy) keeps it from the broker: "
    "'journalctl -b' tells what was denied."
)
_FULL = "The bus has no room for more: end programs that use it a lot, or log out and in again."
_FAILING = "The bus, or a proxy in front of it, is failing: log out and in again, or start the sandbox anew."
# What a bus, or a proxy in front of it, answers in the broker's place, and what can be done about it.
_REFUSED = {
    DBUS_ERROR + name: advice
    for name, advice in {
        "AccessDenied": _CONFINED,
        "AuthFailed": _CONFINED,
        "LimitsExceeded": _FULL,
        "NoMemory": _FULL,
        "NoServer": _FAILING,
        "IOError": _FAILING,
        "Disconnected": _FAILING,
    }.items()
}
# What dbus-broker says when a name's program does not take it, under the name of an error that else means that there is
# no such program (dbus-daemon has names of its own for it).
_STARTED_IN_VAIN = "could not activate remote peer"
# systemd's words for a unit that the user or an administrator has switched off.
_MASKED_UNIT = re.compile(r"\bUnit ([\w:.\\@-]+) is masked")
_BROKERS_UNIT = "microsoft-identity-broker.service"
WHERE_TO_LOOK = (
    "Look at 'systemctl --user --failed', 'journalctl --user -t microsoft-identity-broker' and 'dsreg --status'."
)


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
    return error.name.startswith((DBUS_ERROR + "Spawn.", _SYSTEMD_ERROR)) or error.name == DBUS_ERROR + "TimedOut"


def _was_started(error: RemoteError) -> bool:
    return error.text.casefold().startswith(_STARTED_IN_VAIN)


def advice_for_start(name: str, text: str) -> str:
    """Say what to look at when the broker did not start.

    Args:
        name: the name of an error that says so.
        text: its text, fit to be shown.

    Returns:
        A sentence or two.
    """
    named = _MASKED_UNIT.search(text)
    if named is None and not name.endswith(".UnitMasked") and "masked" not in text.casefold():
        return WHERE_TO_LOOK
    unit = named[1] if named else _BROKERS_UNIT
    return f"Its unit is masked: allow it with 'systemctl --user unmask {unit}'. {WHERE_TO_LOOK}"


def advice_for_refusal(error: RemoteError) -> str:
    """Say what to do where the bus, or a proxy in front of it, did not pass the call on.

    Args:
        error: what came back in place of a reply.

    Returns:
        A sentence; the empty string for an error that says nothing of the kind.
    """
    return _REFUSED.get(error.name, "")


def went_away(error: RemoteError) -> bool:
    """Whether the broker got the call, and left the bus without an answer; the bus starts it again for the next call.

    Args:
        error: what came back in place of a reply.
    """
    return error.name in _WENT_AWAY


def is_starting(error: RemoteError) -> bool:
    """Whether the broker is there, and what it depends on is not there yet: it did nothing with the call.

    Args:
        error: what came back in place of a reply. A broker's object can come later than its name. Source: PROTOCOL.md,
            "Brokers in the field".
    """
    return is_object_missing(error) or failure_texts.is_starting(error.text)


def is_object_missing(error: RemoteError) -> bool:
    """Whether the broker's object is not on the bus, as it can be just after its name.

    Args:
        error: what came back in place of a reply.
    """
    return error.name in _NO_OBJECT


def is_unsupported(error: RemoteError) -> bool:
    """Whether the broker lacks the method, the interface or the object.

    Args:
        error: what came back in place of a reply.
    """
    return error.name in _UNSUPPORTED
