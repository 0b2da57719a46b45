"""The properties of ``org.freedesktop.LogControl1``, systemd's interface for logs, of Himmelblau 4.0."""

from __future__ import annotations

from dbus_next.signature import Variant

from linuxbroker.bus import Message
from linuxbroker.bus.connection import error_reply, method_return

_INTERFACE = "org.freedesktop.LogControl1"
_VALUES = {"LogLevel": "info", "LogTarget": "journal", "SyslogIdentifier": "himmelblau_broker"}
_ERROR = "org.freedesktop.DBus.Error"


def property_reply(call: Message) -> Message:
    """Return the reply to a call to ``org.freedesktop.DBus.Properties`` of the log object.

    Args:
        call: the call.

    Returns:
        The reply.
    """
    arguments = [str(argument) for argument in call.body]
    if (call.member, call.signature) not in {("Get", "ss"), ("GetAll", "s")}:
        return error_reply(call, f"{_ERROR}.UnknownMethod", f"Unknown method {call.member}")
    if arguments[0] not in (_INTERFACE, "") or (arguments[0] == "" and call.member == "Get"):
        return error_reply(call, f"{_ERROR}.UnknownInterface", f"Unknown interface {arguments[0]}")
    if call.member == "GetAll":
        return method_return(call, "a{sv}", {name: Variant("s", value) for name, value in _VALUES.items()})
    if arguments[1] not in _VALUES:
        return error_reply(call, f"{_ERROR}.UnknownProperty", f"Unknown property {arguments[1]}")
    return method_return(call, "v", Variant("s", _VALUES[arguments[1]]))
